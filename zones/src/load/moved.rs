//! `[[moved]]` and `[[forget]]`: what became of resources that the spec does not have any more.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::Address;
use zonewright_engine::config::{Forgotten, Moved};

use super::declare::Decl;
use super::root::Project;
use super::{Ctx, types};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Item, Loc, Table, Tree};

/// The entries of a list of tables, each with these texts, or reports.
pub(super) fn tables<'t>(
    ctx: &Ctx<'_>,
    table: &'t Table,
    name: &str,
    keys: &[(&str, &str)],
) -> Vec<&'t Tree> {
    let Some(entry) = table.get(name) else {
        return Vec::new();
    };
    let Item::List(items) = &entry.value.node else {
        let what = entry.value.what();
        let draft = types::wrong(entry.value.at, name, "a list of tables", what)
            .help(format!("write `[[{name}]]` with two brackets"));
        ctx.report(draft);
        return Vec::new();
    };
    items
        .iter()
        .filter(|item| is_complete(ctx, item, name, keys))
        .collect()
}

fn is_complete(ctx: &Ctx<'_>, item: &Tree, name: &str, keys: &[(&str, &str)]) -> bool {
    let Some(inner) = item.table() else {
        ctx.report(types::wrong(item.at, name, "a table", item.what()));
        return false;
    };
    for (key, entry) in inner {
        if !keys.iter().any(|(known, _)| known == key) {
            let draft = Draft::new(Code::UnknownTable, format!("[[{name}]] has no `{key}`"))
                .label(entry.key, "not known")
                .maybe_help(suggest::help(key, keys.iter().map(|(k, _)| *k)));
            ctx.report(draft);
        }
    }
    let mut complete = true;
    for (key, example) in keys {
        match inner.get(*key).map(|e| &e.value) {
            Some(tree) if tree.str().is_some() => {}
            Some(tree) => {
                ctx.report(types::wrong(tree.at, key, "text", tree.what()));
                complete = false;
            }
            None => {
                let draft = Draft::new(Code::MissingAttribute, format!("`{key}` is missing"))
                    .label(item.at, "in this entry")
                    .help(format!("write `{example}`"));
                ctx.report(draft);
                complete = false;
            }
        }
    }
    complete
}

const FROM: (&str, &str) = ("from", "from = \"bz/digitalocean.vpc.old\"");
const TO: (&str, &str) = ("to", "to = \"bz/digitalocean.vpc.new\"");
const ADDRESS: (&str, &str) = ("address", "address = \"bz/digitalocean.vpc.old\"");
const REASON: (&str, &str) = ("reason", "reason = \"why it is left alone\"");

/// Reads both lists and holds them against what is declared.
pub(super) fn read(
    ctx: &Ctx<'_>,
    project: &Project,
    decls: &BTreeMap<Address, Decl<'_>>,
) -> (Vec<Moved>, Vec<Forgotten>) {
    let look = Look {
        ctx,
        project,
        decls,
    };
    let moved = tables(ctx, &project.renames, "moved", &[FROM, TO]);
    let later = |at: usize| {
        let rest = moved[at + 1..].iter();
        let from = rest.filter_map(|t| t.table()?.get("from")?.value.str()?.parse().ok());
        from.collect::<Vec<Address>>()
    };
    let all = moved.iter().enumerate();
    let moved: Vec<Moved> = all.filter_map(|(i, t)| look.moved(t, &later(i))).collect();
    look.once(&moved);
    let forgotten = tables(ctx, &project.renames, "forget", &[ADDRESS, REASON]);
    let forgotten = forgotten.into_iter().filter_map(|t| look.forgotten(t));
    (moved, forgotten.collect())
}

struct Look<'c, 'a> {
    ctx: &'c Ctx<'a>,
    project: &'c Project,
    decls: &'c BTreeMap<Address, Decl<'a>>,
}

impl Look<'_, '_> {
    /// What moves on in a later entry need not be declared where it is in between.
    fn moved(&self, tree: &Tree, later: &[Address]) -> Option<Moved> {
        let (from, from_at) = self.address(tree, "from")?;
        let (to, to_at) = self.address(tree, "to")?;
        if from.zone != to.zone || from.kind != to.kind || from.key.is_some() != to.key.is_some() {
            return self.refuse(
                to_at,
                format!("{from} cannot move to {to}"),
                "another zone, another kind, or a whole declaration for one object",
                "a resource keeps its zone and its kind: in another zone it is another one",
            );
        }
        if self.is_declared(&from) {
            return self.refuse(
                from_at,
                format!("{from} moved, and is still declared"),
                "declared all the same",
                "take the entry out, or rename the declaration",
            );
        }
        if !self.is_declared(&to) && !later.contains(&to) {
            let names = self.decls.keys().map(ToString::to_string);
            let names: Vec<String> = names.collect();
            let near = suggest::nearest(&to.to_string(), names.iter().map(String::as_str));
            let help = near.map_or_else(
                || "name the declaration that it has become".to_owned(),
                |n| format!("did you mean `{n}`?"),
            );
            return self.refuse(
                to_at,
                format!("{from} moved to {to}, which is not declared"),
                "not declared",
                &help,
            );
        }
        Some(Moved {
            from,
            to,
            at: Some(self.ctx.origin(tree.at)),
        })
    }

    fn forgotten(&self, tree: &Tree) -> Option<Forgotten> {
        let (address, at) = self.address(tree, "address")?;
        if self.is_declared(&address) {
            return self.refuse(
                at,
                format!("{address} is to be forgotten, and is still declared"),
                "declared all the same",
                "take its declaration out of the spec, or this entry",
            );
        }
        let reason = tree.table()?.get("reason")?.value.str()?;
        Some(Forgotten {
            address,
            reason: reason.to_owned(),
            at: Some(self.ctx.origin(tree.at)),
        })
    }

    /// Nothing moves from one place to two, and two do not move to one.
    fn once(&self, moved: &[Moved]) {
        let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
        for entry in moved {
            if !from.insert(&entry.from) || !to.insert(&entry.to) {
                let at = entry.at.as_ref().map(|at| self.ctx.loc(at));
                let message = format!("{} moves to {} in two entries", entry.from, entry.to);
                let draft = Draft::new(Code::BadMove, message);
                let draft = match at {
                    Some(at) => draft.label(at, "the second one"),
                    None => draft,
                };
                self.ctx.report(draft.help("keep one of them"));
            }
        }
    }

    fn is_declared(&self, address: &Address) -> bool {
        let decl = self.decls.get(&address.declaration());
        decl.is_some_and(|d| match &address.key {
            Some(key) => d.keys.contains(key) || !d.enabled || d.broken,
            None => true,
        })
    }

    /// An address with the zone that it is in.
    fn address(&self, tree: &Tree, key: &str) -> Option<(Address, Loc)> {
        let value = &tree.table()?.get(key)?.value;
        let text = value.str()?;
        let address: Address = match text.parse() {
            Ok(address) => address,
            Err(error) => {
                let message = format!("`{text}` is no address: {error}");
                let draft = Draft::new(Code::BadReference, message)
                    .label(value.at, "here")
                    .help("write `zone/provider.kind.name`; `zonewright state list` shows all");
                self.ctx.report(draft);
                return None;
            }
        };
        let zones = &self.project.zones;
        if !address.zone.is_edge() && !zones.iter().any(|(z, _)| *z == address.zone) {
            let names = zones.iter().map(|(z, _)| z.as_str());
            let message = format!("there is no zone `{}`", address.zone);
            let draft = Draft::new(Code::UnknownZone, message)
                .label(value.at, "in this address")
                .maybe_help(suggest::help(address.zone.as_str(), names));
            self.ctx.report(draft);
            return None;
        }
        Some((address, value.at))
    }

    fn refuse<T>(&self, at: Loc, message: String, label: &str, help: &str) -> Option<T> {
        let draft = Draft::new(Code::BadMove, message)
            .label(at, label)
            .help(help);
        self.ctx.report(draft);
        None
    }
}
