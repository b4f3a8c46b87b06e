//! `[database]`: how a standby zone gets its data when it takes over. A decision that is recorded, with
//! a reason and a date, and has no default.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use zonewright_engine::address::{Address, RefText, ZoneName, ZoneSelector};
use zonewright_engine::config::{DatabaseDecision, PostRestore, PostRestoreRun, Restore, Strategy};
use zonewright_engine::schema::Part;

use super::fields::Fields;
use super::realm::Realm;
use super::root::Project;
use super::scope::World;
use super::{Ctx, job, types};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Item, Loc, Table, Tree};

const KEYS: [&str; 5] = ["strategy", "reason", "date", "restore", "post_restore"];
const RESTORE: [&str; 7] = [
    "source", "window", "max_age", "size", "region", "name", "backup",
];
const STEP: [&str; 4] = ["name", "sql", "job", "check"];
const EXAMPLE: &str = "write `[database]` with `strategy = \"replica\"` (a read-replica of the \
    primary, seconds of loss, bills all the time) or `strategy = \"restore\"` (nothing until \
    activation, loss as old as the newest backup), `reason = \"…\"` and `date = \"2026-11-20\"`";

/// Whether a merged zone table declares a database of its own, on or off.
pub(super) fn has_database(ctx: &Ctx<'_>, table: &Table) -> bool {
    let writers = ctx.registry.kinds().map(|k| (&k.kind, k.part));
    writers
        .filter(|(_, part)| *part == Some(Part::Writer))
        .filter_map(|(kind, _)| table.get(kind.provider())?.value.table()?.get(kind.name()))
        .any(|e| e.value.table().is_some_and(|t| !t.is_empty()))
}

/// A standby zone that extends one with a database says how it gets the data.
pub(super) fn undecided(ctx: &Ctx<'_>, zone: &ZoneName, extends: Loc) {
    let message = format!("nothing says how `{zone}` gets its data when it takes over");
    let draft = Draft::new(Code::DatabaseUndecided, message)
        .label(extends, "the zone that it extends has a database")
        .help(EXAMPLE);
    ctx.report(draft);
}

/// The source of every restore is declared, and is a database.
pub(super) fn sources(world: &World<'_, '_>) {
    for realm in world.realms.values() {
        let restore = realm.database.as_ref().and_then(|d| d.restore.as_ref());
        let (Some(restore), Some(at)) = (restore, realm.restore_from) else {
            continue;
        };
        let source = &restore.source;
        let draft = if world.ctx.registry.part(&source.kind) != Some(Part::Writer) {
            types::wrong(
                at,
                "source",
                "a database cluster",
                &format!("`{}`", source.kind),
            )
        } else if !world.decls.contains_key(source) {
            let message = format!(
                "there is no `{}.{}` in `{}`",
                source.kind, source.name, source.zone
            );
            Draft::new(Code::Dangling, message)
                .label(at, "not declared")
                .help("name the cluster whose backups are restored")
        } else {
            continue;
        };
        world.ctx.report(realm.inherited(draft));
    }
}

/// The decision as data; `None` where it is not whole, which is reported.
pub(super) fn decision(
    ctx: &Ctx<'_>,
    project: &Project,
    realm: &Realm,
    table: &Table,
    at: Loc,
) -> Option<DatabaseDecision> {
    let fields = Fields { ctx, realm };
    let reader = Reader { fields, project };
    fields.known(table, &KEYS, "[database]");
    let strategy = match fields.text(table, "strategy") {
        Some(("replica", _)) => Some(Strategy::Replica),
        Some(("restore", _)) => Some(Strategy::Restore),
        Some((_, at)) => {
            let wanted = "\"replica\" or \"restore\"";
            fields.report(types::wrong(at, "strategy", wanted, "another text"));
            None
        }
        None => None,
    };
    let required = |name: &str| fields.required(table, name, ("[database]", at), EXAMPLE);
    if !table.contains_key("strategy") {
        required("strategy");
    }
    let (reason, date) = (required("reason"), required("date"));
    if let (Some(text), Some(entry)) = (&date, table.get("date"))
        && !is_date(text)
    {
        let wanted = "a calendar date (`2026-11-20`)";
        reader.report(types::wrong(entry.value.at, "date", wanted, "another text"));
    }
    let restore = table.get("restore").and_then(|e| reader.restore(&e.value));
    let post_restore = table
        .get("post_restore")
        .map(|e| reader.steps(&e.value))
        .unwrap_or_default();
    Some(DatabaseDecision {
        strategy: strategy?,
        reason: reason?,
        date: date?,
        restore,
        post_restore,
    })
}

/// `2026-11-20`, and a day that there is.
fn is_date(text: &str) -> bool {
    let whole = text.len() == "2026-11-20".len() && text.matches('-').count() == 2;
    whole && text.parse::<Date>().is_ok()
}

struct Reader<'r, 'a> {
    fields: Fields<'r, 'a>,
    project: &'r Project,
}

impl Reader<'_, '_> {
    fn report(&self, draft: Draft) {
        self.fields.report(draft);
    }

    fn restore(&self, tree: &Tree) -> Option<Restore> {
        let Some(table) = tree.table() else {
            self.report(types::wrong(tree.at, "restore", "a table", tree.what()));
            return None;
        };
        self.fields.known(table, &RESTORE, "[database.restore]");
        let Some((text, at)) = self.fields.text(table, "source") else {
            if !table.contains_key("source") {
                let draft = Draft::new(Code::MissingAttribute, "`source` is missing")
                    .label(tree.at, "in [database.restore]")
                    .help("write `source = \"${pz/digitalocean.database_cluster.main}\"`");
                self.report(draft);
            }
            return None;
        };
        Some(Restore {
            source: self.source(text, at)?,
            window: self.fields.owned(table, "window"),
            max_age_s: self.fields.seconds(table, "max_age"),
            size: self.fields.owned(table, "size"),
            region: self.fields.owned(table, "region"),
            name: self.fields.owned(table, "name"),
            backup: self.backup(table),
        })
    }

    fn backup(&self, table: &Table) -> String {
        let latest = "latest".to_owned();
        let Some((text, at)) = self.fields.text(table, "backup") else {
            return latest;
        };
        if text != latest && text.parse::<Timestamp>().is_err() {
            let wanted = "`latest` or a timestamp like `2026-11-20T02:00:00Z`";
            self.report(types::wrong(at, "backup", wanted, "another text"));
        }
        text.to_owned()
    }

    /// The cluster, as the settings have it: a reference that is read here and not looked up.
    fn source(&self, text: &str, at: Loc) -> Option<Address> {
        let inner = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        let parsed = inner.and_then(|t| RefText::parse(t).ok());
        let Some(RefText::Resource {
            zone: Some(ZoneSelector::Named(zone)),
            kind,
            name,
            key: None,
            ..
        }) = parsed
        else {
            let draft = Draft::new(
                Code::BadReference,
                "the source of a restore is a cluster of a named zone",
            )
            .label(at, "here")
            .help("write `source = \"${pz/digitalocean.database_cluster.main}\"`");
            self.report(draft);
            return None;
        };
        if self.project.zones.iter().all(|(z, _)| *z != zone) {
            let names = self.project.zones.iter().map(|(z, _)| z.as_str());
            let draft = Draft::new(Code::UnknownZone, format!("there is no zone `{zone}`"))
                .label(at, "here")
                .maybe_help(suggest::help(zone.as_str(), names));
            self.report(draft);
            return None;
        }
        Some(Address::new(zone, kind, name, None))
    }

    fn steps(&self, tree: &Tree) -> Vec<PostRestore> {
        let Item::List(items) = &tree.node else {
            let wanted = "a list of tables";
            self.report(types::wrong(tree.at, "post_restore", wanted, tree.what()));
            return Vec::new();
        };
        let mut seen: BTreeMap<&str, Loc> = BTreeMap::new();
        for item in items {
            let Some(entry) = item.table().and_then(|t| t.get("name")) else {
                continue;
            };
            let (Some(name), at) = (entry.value.str(), entry.value.at) else {
                continue;
            };
            if let Some(first) = seen.insert(name, at) {
                let message = format!("two steps after the restore are called `{name}`");
                let draft = Draft::new(Code::DuplicateStep, message)
                    .label(at, "again here")
                    .label(first, "first here")
                    .help("give each its own name: proofs and runbooks tell them apart by it");
                self.report(draft);
            }
        }
        items.iter().filter_map(|item| self.step(item)).collect()
    }

    fn step(&self, tree: &Tree) -> Option<PostRestore> {
        let Some(table) = tree.table() else {
            self.report(types::wrong(
                tree.at,
                "post_restore",
                "a table",
                tree.what(),
            ));
            return None;
        };
        self.fields.known(table, &STEP, "[[database.post_restore]]");
        for name in ["name", "check"] {
            if !table.contains_key(name) {
                let draft = Draft::new(Code::MissingAttribute, format!("`{name}` is missing"))
                    .label(tree.at, "in this step")
                    .help("each step has a `name`, `sql` or `job`, and a `check`: a query that tells whether the step is needed");
                self.report(draft);
            }
        }
        let run = match (
            self.fields.owned(table, "sql"),
            self.fields.owned(table, "job"),
        ) {
            (Some(sql), None) => Some(PostRestoreRun::Sql(sql)),
            (None, Some(job)) => {
                // Read now, so that a file that is not there is found before it is needed.
                let at = table.get("job").map_or(tree.at, |e| e.value.at);
                if let Some(text) = self.fields.ctx.text(&job, at) {
                    job::check(&text, at, &mut |draft| self.report(draft));
                }
                Some(PostRestoreRun::Job(job))
            }
            _ => {
                let draft = Draft::new(Code::MissingAttribute, "a step has either `sql` or `job`")
                    .label(tree.at, "needs exactly one of them");
                self.report(draft);
                None
            }
        };
        Some(PostRestore {
            name: self.fields.owned(table, "name")?,
            run: run?,
            check: self.fields.owned(table, "check")?,
        })
    }
}
