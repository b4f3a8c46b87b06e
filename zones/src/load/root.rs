//! The root file, and the configuration that comes out at the end.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use zonewright_engine::address::{Address, EDGE, InstanceId, ZoneName};
use zonewright_engine::canon;
use zonewright_engine::config::{
    Allowance, Config, Disabled, Instance, Observability, Resource, SecretSource, Zone,
};

use super::declare::Decl;
use super::realm::Realm;
use super::{Ctx, types, unreadable};
use crate::diag::{Code, Draft};
use crate::project::{Facts, Objectives};
use crate::suggest;
use crate::tree::{Entry, Item, Loc, Table, Tree};

mod encryption;
mod state;

pub(crate) use state::BACKENDS;

/// The root file's name.
pub(super) const ROOT: &str = "zonewright.toml";

/// What the root file says.
#[derive(Clone)]
pub(crate) struct Project {
    pub(super) file: u32,
    pub(super) facts: Facts,
    pub(super) zones: Vec<(ZoneName, Loc)>,
    pub(super) active: Option<ZoneName>,
    pub(super) secrets: BTreeMap<String, SecretSource>,
    pub(super) parity: Vec<Allowance>,
    pub(super) observability: Option<Observability>,
    pub(super) providers: Table,
    pub(super) shared: Table,
    /// `moved` and `forget`, which are read once it is known what is declared.
    pub(super) renames: Table,
}

const TABLES: &[&str] = &[
    "project",
    "objectives",
    "parity",
    "observability",
    "state",
    "secret",
    "providers",
    "shared",
    "moved",
    "forget",
];

pub(super) fn read(ctx: &Ctx<'_>) -> Project {
    let (file, table) = match ctx.top(ROOT) {
        Ok(Some((text, table))) => (text.file, table),
        Ok(None) => (ctx.add_source(ROOT, ""), Table::new()),
        Err(error) => {
            let file = ctx.add_source(ROOT, "");
            let help = "run this where the project is, or name its directory with --project";
            ctx.report(unreadable(ROOT, &error).label(start(file), "").help(help));
            (file, Table::new())
        }
    };
    let empty = Table::new();
    let root = Root { ctx, file };
    let unread = ctx.errors() > 0;
    root.known(&table, TABLES, "the root file");
    // The table may be there under a mistyped name.
    let mistyped = ctx.errors() > 0 && !table.contains_key("state");
    let before = ctx.errors();
    let sub = |name: &str| root.sub(&table, name).unwrap_or(&empty);
    let secrets = root.secrets(sub("secret"));
    let here = table.get("state").map_or(start(file), |e| e.value.at);
    let facts = Facts {
        state: root.state(sub("state"), here, &secrets),
        state_unclear: unread || mistyped || ctx.errors() > before,
        ..Facts::default()
    };
    let mut out = Project {
        file,
        facts,
        zones: Vec::new(),
        active: None,
        secrets,
        parity: root.parity(sub("parity")),
        observability: table.get("observability").and_then(|entry| {
            let inner = root.sub(&table, "observability")?;
            root.observability(inner, entry.value.at)
        }),
        providers: sub("providers").clone(),
        shared: sub("shared").clone(),
        renames: ["moved", "forget"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), table.get(name)?.clone())))
            .collect(),
    };
    if table.contains_key("project") || !table.is_empty() {
        root.project(sub("project"), table.get("project"), &mut out);
    }
    out.facts.objectives = root.objectives(sub("objectives"));
    out
}

pub(super) fn start(file: u32) -> Loc {
    Loc::new(file, 0, 0)
}

struct Root<'c, 'a> {
    ctx: &'c Ctx<'a>,
    file: u32,
}

impl Root<'_, '_> {
    fn known(&self, table: &Table, names: &[&str], what: &str) {
        for (key, entry) in table {
            if !names.contains(&key.as_str()) {
                let draft = Draft::new(Code::UnknownTable, format!("{what} has no `{key}`"))
                    .label(entry.key, "not known")
                    .maybe_help(suggest::help(key, names.iter().copied()));
                self.ctx.report(draft);
            }
        }
    }

    fn sub<'t>(&self, table: &'t Table, name: &str) -> Option<&'t Table> {
        let entry = table.get(name)?;
        let inner = entry.value.table();
        if inner.is_none() {
            self.wrong(&entry.value, name, "a table");
        }
        inner
    }

    fn wrong(&self, tree: &Tree, name: &str, wanted: &str) {
        self.ctx
            .report(types::wrong(tree.at, name, wanted, tree.what()));
    }

    fn missing(&self, at: Loc, name: &str, example: &str) {
        let draft = Draft::new(Code::MissingAttribute, format!("`{name}` is missing"))
            .label(at, "in this table")
            .help(format!("write `{example}`"));
        self.ctx.report(draft);
    }

    fn text<'t>(&self, table: &'t Table, name: &str) -> Option<(&'t str, Loc)> {
        let tree = &table.get(name)?.value;
        let text = tree.str();
        if text.is_none() {
            self.wrong(tree, name, "text");
        }
        text.map(|t| (t, tree.at))
    }

    fn project(&self, table: &Table, entry: Option<&Entry>, out: &mut Project) {
        self.known(table, &["name", "env", "zones", "active"], "[project]");
        let here = entry.map_or(start(self.file), |e| e.value.at);
        match self.text(table, "name") {
            Some((name, _)) => out.facts.name = Some(name.to_owned()),
            None if table.contains_key("name") => {}
            None => self.missing(here, "name", "name = \"shop\""),
        }
        out.facts.env = self.text(table, "env").map(|(e, _)| e.to_owned());
        match table.get("zones").map(|e| &e.value) {
            Some(Tree {
                node: Item::List(items),
                ..
            }) => out.zones = items.iter().filter_map(|t| self.zone(t)).collect(),
            Some(other) => self.wrong(other, "zones", "a list of names"),
            None => self.missing(here, "zones", "zones = [\"pz\", \"bz\"]"),
        }
        out.zones.dedup_by(|b, a| a.0 == b.0);
        out.facts.zones = out.zones.iter().map(|(zone, _)| zone.clone()).collect();
        match self.text(table, "active") {
            Some((name, at)) => out.active = self.active(name, at, &out.zones),
            None if table.contains_key("active") => {}
            None => self.missing(here, "active", "active = \"pz\""),
        }
    }

    fn zone(&self, tree: &Tree) -> Option<(ZoneName, Loc)> {
        let Some(text) = tree.str() else {
            self.wrong(tree, "zones", "the name of a zone");
            return None;
        };
        if [EDGE, "active", "standby"].contains(&text) {
            let draft = Draft::new(Code::Reserved, format!("no zone can be named `{text}`"))
                .label(tree.at, "reserved")
                .help("references use this name; choose another");
            self.ctx.report(draft);
            return None;
        }
        name(self.ctx, text, tree.at).map(|zone| (zone, tree.at))
    }

    fn active(&self, text: &str, at: Loc, zones: &[(ZoneName, Loc)]) -> Option<ZoneName> {
        let found = zones.iter().find(|(z, _)| z.as_str() == text);
        if found.is_none() {
            let names = zones.iter().map(|(z, _)| z.as_str());
            let message = format!("the active zone `{text}` is no zone of the project");
            let draft = Draft::new(Code::ActiveUnknown, message)
                .label(at, "not in `zones`")
                .maybe_help(suggest::help(text, names));
            self.ctx.report(draft);
        }
        found.map(|(z, _)| z.clone())
    }

    fn objectives(&self, table: &Table) -> Objectives {
        self.known(table, &["rto", "rpo", "strict"], "[objectives]");
        let strict = table.get("strict").map(|e| &e.value);
        if let Some(tree) = strict.filter(|t| t.bool().is_none()) {
            self.wrong(tree, "strict", "a boolean");
        }
        Objectives {
            rto: self.duration(table, "rto"),
            rpo: self.duration(table, "rpo"),
            strict: strict.and_then(Tree::bool).unwrap_or(false),
        }
    }

    /// `[parity] allow`: differences between zones that are meant to be, each with a reason.
    fn parity(&self, table: &Table) -> Vec<Allowance> {
        self.known(table, &["allow"], "[parity]");
        let Some(entry) = table.get("allow") else {
            return Vec::new();
        };
        let Item::List(items) = &entry.value.node else {
            self.wrong(&entry.value, "allow", "a list of tables");
            return Vec::new();
        };
        items.iter().filter_map(|t| self.allowance(t)).collect()
    }

    fn allowance(&self, tree: &Tree) -> Option<Allowance> {
        let Some(table) = tree.table() else {
            self.wrong(tree, "allow", "a table with `path` and `reason`");
            return None;
        };
        self.known(table, &["path", "reason"], "an allowance");
        for (name, example) in [
            ("path", "path = \"kubernetes.secret.db\""),
            ("reason", "reason = \"why the zones differ here\""),
        ] {
            if !table.contains_key(name) {
                self.missing(tree.at, name, example);
            }
        }
        Some(Allowance {
            path: self.text(table, "path")?.0.to_owned(),
            reason: self.text(table, "reason")?.0.to_owned(),
            at: Some(self.ctx.origin(tree.at)),
        })
    }

    /// `[observability]`: who has to act, and where it is written what to do.
    fn observability(&self, table: &Table, here: Loc) -> Option<Observability> {
        let names = ["owner", "runbooks", "blackbox", "resolvers", "zone_header"];
        self.known(table, &names, "[observability]");
        for (name, example) in [
            ("owner", "owner = \"platform-team\""),
            (
                "runbooks",
                "runbooks = \"https://wiki.example.org/runbooks/\"",
            ),
        ] {
            if !table.contains_key(name) {
                self.missing(here, name, example);
            }
        }
        let owner = self.some_text(table, "owner");
        let runbooks = self.text(table, "runbooks");
        let schemes = ["https://", "http://"];
        if let Some((text, at)) = runbooks
            && !schemes
                .iter()
                .any(|s| text.starts_with(s) && text.len() > s.len())
        {
            let wanted = "an address that begins with `https://`";
            let found = "another text";
            self.ctx.report(types::wrong(at, "runbooks", wanted, found));
        }
        let blackbox = match table.contains_key("blackbox") {
            true => self.some_text(table, "blackbox"),
            false => Some(Observability::BLACKBOX.to_owned()),
        };
        let resolvers = match table.get("resolvers") {
            Some(entry) => self.addresses("resolvers", &entry.value),
            None => Some(Observability::RESOLVERS.map(str::to_owned).to_vec()),
        };
        let zone_header = match table.contains_key("zone_header") {
            true => Some(self.header(table)?),
            false => None,
        };
        Some(Observability {
            owner: owner?,
            runbooks: runbooks?.0.to_owned(),
            blackbox: blackbox?,
            resolvers: resolvers?,
            zone_header,
        })
    }

    /// The name of a header.
    fn header(&self, table: &Table) -> Option<String> {
        let (text, at) = self.text(table, "zone_header")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if text.is_empty() || !text.chars().all(fits) {
            let wanted = "the name of a header, such as `X-Zone`";
            let draft = types::wrong(at, "zone_header", wanted, "another text");
            self.ctx.report(draft);
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that says something.
    fn some_text(&self, table: &Table, name: &str) -> Option<String> {
        let (text, at) = self.text(table, name)?;
        if text.trim().is_empty() {
            let draft = types::wrong(at, name, "a text", "nothing");
            self.ctx.report(draft);
            return None;
        }
        Some(text.to_owned())
    }

    /// A list of IP addresses.
    fn addresses(&self, name: &str, tree: &Tree) -> Option<Vec<String>> {
        let Item::List(items) = &tree.node else {
            self.wrong(tree, name, "a list of addresses");
            return None;
        };
        let address = |item: &Tree| {
            let parsed = item.str().and_then(|t| t.parse::<IpAddr>().ok());
            if parsed.is_none() {
                self.wrong(item, name, "an IP address such as `9.9.9.9`");
            }
            parsed.map(|a| a.to_string())
        };
        // All of them are looked at before the first mistake ends it.
        let parsed: Vec<Option<String>> = items.iter().map(address).collect();
        parsed.into_iter().collect()
    }

    fn duration(&self, table: &Table, name: &str) -> Option<Duration> {
        let (text, at) = self.text(table, name)?;
        let parsed = types::duration(text);
        if parsed.is_none() {
            self.ctx.report(types::bad_duration(text, at));
        }
        parsed
    }

    fn secrets(&self, table: &Table) -> BTreeMap<String, SecretSource> {
        // A source that is wrong still declares its name, or every use would be reported too.
        let unknown = SecretSource::Env(String::new());
        table
            .iter()
            .map(|(name, entry)| {
                let source = self.secret(name, &entry.value);
                (name.clone(), source.unwrap_or(unknown.clone()))
            })
            .collect()
    }

    fn secret(&self, name: &str, tree: &Tree) -> Option<SecretSource> {
        let parsed = match &tree.node {
            Item::String(_) => {
                super::hygiene::literal(self.ctx, "the value of a secret", tree.at);
                return None;
            }
            Item::Table(table) => source(table),
            _ => None,
        };
        if parsed.is_none() {
            let message = format!("the source of the secret `{name}` is not understood");
            let draft = Draft::new(Code::SecretSource, message)
                .label(tree.at, "here")
                .help("write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ cmd = [\"program\", \"argument\"] }`");
            self.ctx.report(draft);
        }
        parsed
    }
}

fn source(table: &Table) -> Option<SecretSource> {
    let mut entries = table.iter();
    let (Some((key, entry)), None) = (entries.next(), entries.next()) else {
        return None;
    };
    let text = entry.value.str().filter(|t| !t.is_empty());
    match (key.as_str(), &entry.value.node) {
        ("env", _) => Some(SecretSource::Env(text?.to_owned())),
        ("file", _) => Some(SecretSource::File(text?.to_owned())),
        ("cmd", Item::List(items)) if !items.is_empty() => {
            let words = items.iter().map(|t| t.str().map(str::to_owned));
            Some(SecretSource::Cmd(words.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// A name of any sort, or a report.
pub(super) fn name<T: std::str::FromStr<Err: std::fmt::Display>>(
    ctx: &Ctx<'_>,
    text: &str,
    at: Loc,
) -> Option<T> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            ctx.report(Draft::new(Code::BadName, format!("{error}")).label(at, "this name"));
            None
        }
    }
}

/// Puts the parts together; `None` when the root file lacks what a configuration cannot do without.
pub(super) fn config(
    ctx: &Ctx<'_>,
    project: &Project,
    realms: &BTreeMap<ZoneName, Realm>,
    decls: &BTreeMap<Address, Decl<'_>>,
    instances: BTreeMap<InstanceId, Instance>,
    resources: BTreeMap<Address, Resource>,
) -> Option<Config> {
    let zones = realms.values().filter_map(|realm| {
        let zone = Zone {
            name: realm.name.clone(),
            role: realm.role?,
            posture: realm.posture,
            database: realm.database.clone(),
            media: realm.media.as_ref().map(|(media, _)| media.clone()),
            settings: realm.values(),
            at: Some(ctx.origin(start(realm.file))),
        };
        Some((realm.name.clone(), zone))
    });
    let (moved, forgotten) = super::moved::read(ctx, project, decls);
    let mut config = Config {
        moved,
        forgotten,
        project: project.facts.name.clone()?,
        zones: zones.collect(),
        active: project.active.clone()?,
        objectives: project.facts.objectives.clone(),
        instances,
        resources,
        disabled: disabled(ctx, decls),
        parity: project.parity.clone(),
        observability: project.observability.clone(),
        secrets: project.secrets.clone(),
        digest_key: project.facts.state.digest_key.clone(),
        digest: canon::Digest::of(b""),
    };
    config.digest = config.compute_digest();
    Some(config)
}

/// Declarations that are switched off, with where and whether a setting decides.
fn disabled(ctx: &Ctx<'_>, decls: &BTreeMap<Address, Decl<'_>>) -> BTreeMap<Address, Disabled> {
    let off = decls.iter().filter(|(_, d)| !d.enabled);
    off.map(|(address, decl)| {
        let written = decl.meta.get("enabled").map(|e| &e.value);
        let disabled = Disabled {
            at: decl.enabled_at.map(|at| ctx.origin(at)),
            by_setting: written.is_some_and(|t| t.str().is_some()),
        };
        (address.clone(), disabled)
    })
    .collect()
}
