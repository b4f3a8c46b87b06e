//! `[state]`: where the state is kept, and by which credentials it is reached.

use std::collections::BTreeMap;

use zonewright_engine::config::SecretSource;

use super::Root;
use crate::diag::{Code, Draft};
use crate::load::hygiene;
use crate::project::{Backend, Credential, StateSettings};
use crate::suggest;
use crate::tree::{Item, Loc, Table};

/// The kinds of stores.
pub(crate) const BACKENDS: [&str; 4] = ["file", "s3", "postgres", "kubernetes"];

/// What all kinds of stores have in common.
const COMMON: [&str; 7] = [
    "backend",
    "digest_key",
    "encryption",
    "keep",
    "keep_for",
    "mirror",
    "ttl",
];

impl Root<'_, '_> {
    pub(super) fn state(
        &self,
        table: &Table,
        here: Loc,
        secrets: &BTreeMap<String, SecretSource>,
    ) -> StateSettings {
        let (name, at) = self.text(table, "backend").unwrap_or(("file", here));
        let own = if name == "file" { "dir" } else { name };
        let known: Vec<&str> = COMMON.into_iter().chain([own]).collect();
        if BACKENDS.contains(&name) {
            self.known(table, &known, &format!("[state] with backend `{name}`"));
        }
        let place = Place {
            root: self,
            table: table.get(name).and_then(|_| self.sub(table, name)),
            at: table.get(name).map_or(here, |entry| entry.value.at),
            name,
            secrets,
        };
        let mut out = StateSettings::default();
        match name {
            "file" => {
                if let Some((dir, _)) = self.text(table, "dir") {
                    out.backend = Backend::File {
                        dir: dir.to_owned(),
                    };
                }
            }
            "s3" => out.backend = place.s3().unwrap_or(out.backend),
            "postgres" => out.backend = place.postgres().unwrap_or(out.backend),
            "kubernetes" => out.backend = place.kubernetes().unwrap_or(out.backend),
            other => self.unknown_backend(other, at),
        }
        if let Some(ttl) = self.duration(table, "ttl") {
            out.ttl = ttl;
            if !(StateSettings::TTL_RANGE).contains(&ttl) {
                let at = table.get("ttl").map_or(here, |entry| entry.value.at);
                let draft = Draft::new(Code::StatePlace, "`ttl` is between 2s and 1h")
                    .label(at, "here")
                    .help("after so long a silence another writer takes over; `60s` is what is used without it");
                self.ctx.report(draft);
            }
        }
        out.encryption = Place {
            root: self,
            table: table
                .get("encryption")
                .and_then(|_| self.sub(table, "encryption")),
            at: table.get("encryption").map_or(here, |entry| entry.value.at),
            name: "encryption",
            secrets,
        }
        .encryption();
        out.mirrors = self.mirrors(table, secrets);
        if let (Backend::File { .. }, Some(entry)) = (&out.backend, table.get("mirror")) {
            let draft = Draft::new(Code::StatePlace, "a state in files has no objects to copy")
                .label(entry.value.at, "mirrors are for states in stores")
                .help("move the state into a store first: `zonewright state migrate`");
            self.ctx.report(draft);
        }
        out.keep = self.kept(table).unwrap_or(out.keep);
        out.keep_for = self.duration(table, "keep_for").unwrap_or(out.keep_for);
        out.digest_key = table
            .get("digest_key")
            .and_then(|e| self.secret("digest_key", &e.value));
        out
    }

    /// `mirror = [{ backend = "s3", … }]`: each is written like the table of its kind of store.
    fn mirrors(&self, table: &Table, secrets: &BTreeMap<String, SecretSource>) -> Vec<Backend> {
        let Some(tree) = table.get("mirror").map(|e| &e.value) else {
            return Vec::new();
        };
        let Item::List(items) = &tree.node else {
            self.wrong(tree, "mirror", "a list of stores");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            let Some(table) = item.table() else {
                self.wrong(item, "mirror", "a table: `{ backend = \"s3\", … }`");
                continue;
            };
            let Some((name, at)) = self.text(table, "backend") else {
                self.missing(item.at, "backend", "backend = \"s3\"");
                continue;
            };
            let mut own = table.clone();
            own.remove("backend");
            let place = Place {
                root: self,
                table: Some(&own),
                at: item.at,
                name,
                secrets,
            };
            match name {
                "file" => out.extend(place.file()),
                "s3" => out.extend(place.s3()),
                "postgres" => out.extend(place.postgres()),
                "kubernetes" => out.extend(place.kubernetes()),
                other => self.unknown_backend(other, at),
            }
        }
        out
    }

    /// How many snapshots are kept: at least one.
    fn kept(&self, table: &Table) -> Option<usize> {
        let tree = &table.get("keep")?.value;
        let number = match &tree.node {
            Item::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        };
        if number.is_none_or(|n| n == 0) {
            self.wrong(tree, "keep", "a number of snapshots, at least 1");
        }
        number.filter(|n| *n > 0)
    }

    fn unknown_backend(&self, name: &str, at: Loc) {
        let known = BACKENDS.map(|b| format!("`{b}`")).join(", ");
        let draft = Draft::new(
            Code::BackendUnsupported,
            format!("there is no state backend `{name}`"),
        )
        .label(at, format!("one of {known}"))
        .maybe_help(suggest::help(name, BACKENDS));
        self.ctx.report(draft);
    }
}

/// A table of `[state]`, as that of one kind of store.
pub(super) struct Place<'a, 'r, 'c> {
    pub(super) root: &'a Root<'r, 'c>,
    pub(super) table: Option<&'a Table>,
    pub(super) at: Loc,
    name: &'a str,
    secrets: &'a BTreeMap<String, SecretSource>,
}

impl Place<'_, '_, '_> {
    pub(super) fn known(&self, names: &[&str]) {
        if let Some(table) = self.table {
            self.root
                .known(table, names, &format!("[state.{}]", self.name));
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    fn optional(&self, name: &str) -> Option<(&str, Loc)> {
        self.root.text(self.table?, name)
    }

    fn required(&self, name: &str, example: &str) -> Option<String> {
        if !self.has(name) {
            let example = format!("{name} = \"{example}\"");
            self.root.missing(self.at, name, &example);
        }
        self.optional(name).map(|(text, _)| text.to_owned())
    }

    /// Credentials come by reference only, so that none is in a file.
    pub(super) fn credential(&self, name: &str) -> Option<Credential> {
        if !self.has(name) {
            let example = format!("{name} = \"${{secret.state_{name}}}\"");
            self.root.missing(self.at, name, &example);
        }
        let (text, at) = self.optional(name)?;
        let inner = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        let Some(secret) = inner.and_then(|t| t.trim().strip_prefix("secret.")) else {
            hygiene::literal(self.root.ctx, &format!("the value of `{name}`"), at);
            return None;
        };
        match self.secrets.get(secret) {
            Some(source) => Some(Credential {
                secret: secret.to_owned(),
                source: source.clone(),
            }),
            None => {
                let names = self.secrets.keys().map(String::as_str);
                let message = format!("the secret `{secret}` is not declared");
                let draft = Draft::new(Code::UnknownSecret, message)
                    .label(at, "here")
                    .maybe_help(suggest::help(secret, names));
                self.root.ctx.report(draft);
                None
            }
        }
    }

    /// A name without what would lead out of it.
    fn plain(&self, name: &str) -> Option<String> {
        let (text, at) = self.optional(name)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let parts_ok = text
            .split('/')
            .all(|p| !p.is_empty() && !p.starts_with('.'));
        if text.is_empty() || (text.chars().all(fits) && parts_ok) {
            return Some(text.to_owned());
        }
        let draft = Draft::new(
            Code::StatePlace,
            format!("`{text}` cannot be part of a key"),
        )
        .label(at, "here")
        .help(
            "write letters, digits, `-`, `_` and `.`, with `/` between parts and none around them",
        );
        self.root.ctx.report(draft);
        None
    }

    fn endpoint(&self) -> Option<String> {
        let (text, at) = self.optional("endpoint")?;
        let host = text
            .strip_prefix("https://")
            .map(|rest| rest.trim_end_matches('/'));
        if host.is_some_and(|h| !h.is_empty() && !h.contains(['@', '?', '#'])) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        let draft = Draft::new(
            Code::StatePlace,
            format!("`{text}` is no address of a store"),
        )
        .label(at, "here")
        .help("write `https://` and the host, as in `https://fra1.digitaloceanspaces.com`");
        self.root.ctx.report(draft);
        None
    }

    /// Objects in files, for mirrors.
    fn file(&self) -> Option<Backend> {
        self.known(&["dir"]);
        let dir = self.required("dir", "/mnt/other/shop-state")?;
        Some(Backend::File { dir })
    }

    fn s3(&self) -> Option<Backend> {
        self.known(&[
            "bucket",
            "region",
            "endpoint",
            "prefix",
            "access_key",
            "secret_key",
        ]);
        // All of them are looked at before the first mistake ends it.
        let bucket = self.required("bucket", "shop-state");
        let region = self.required("region", "fra1");
        let endpoint = self.endpoint();
        let prefix = self.plain("prefix");
        let (access_key, secret_key) =
            (self.credential("access_key"), self.credential("secret_key"));
        Some(Backend::S3 {
            bucket: bucket?,
            region: region?,
            endpoint,
            prefix: prefix.unwrap_or_default(),
            access_key: access_key?,
            secret_key: secret_key?,
        })
    }

    fn postgres(&self) -> Option<Backend> {
        self.known(&["url", "region", "ca_file"]);
        let text = |name: &str| self.optional(name).map(|(t, _)| t.to_owned());
        let (region, ca_file) = (text("region"), text("ca_file"));
        Some(Backend::Postgres {
            url: self.credential("url")?,
            region,
            ca_file,
        })
    }

    fn kubernetes(&self) -> Option<Backend> {
        self.known(&["kubeconfig", "context", "namespace", "region"]);
        let namespace = self.required("namespace", "zonewright");
        let text = |name: &str| self.optional(name).map(|(t, _)| t.to_owned());
        let (context, region) = (text("context"), text("region"));
        Some(Backend::Kubernetes {
            kubeconfig: self.credential("kubeconfig")?,
            context,
            namespace: namespace?,
            region,
        })
    }
}
