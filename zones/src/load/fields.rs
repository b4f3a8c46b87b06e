//! Reads the fields of a zone's tables that are no resources, such as `[database]`.

use super::realm::Realm;
use super::{Ctx, types};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Loc, Table};

/// Fields of tables of a zone.
#[derive(Clone, Copy)]
pub(super) struct Fields<'r, 'a> {
    pub(super) ctx: &'r Ctx<'a>,
    pub(super) realm: &'r Realm,
}

impl Fields<'_, '_> {
    pub(super) fn report(&self, draft: Draft) {
        self.ctx.report(self.realm.inherited(draft));
    }

    /// Reports what is none of these.
    pub(super) fn known(&self, table: &Table, names: &[&str], what: &str) {
        for (key, entry) in table {
            if !names.contains(&key.as_str()) {
                let draft = Draft::new(Code::UnknownAttribute, format!("{what} has no `{key}`"))
                    .label(entry.key, "not known")
                    .maybe_help(suggest::help(key, names.iter().copied()));
                self.report(draft);
            }
        }
    }

    /// A text that says something.
    pub(super) fn text<'t>(&self, table: &'t Table, name: &str) -> Option<(&'t str, Loc)> {
        let tree = &table.get(name)?.value;
        let Some(text) = tree.str() else {
            self.report(types::wrong(tree.at, name, "text", tree.what()));
            return None;
        };
        if text.trim().is_empty() {
            let wanted = "text that says something";
            self.report(types::wrong(tree.at, name, wanted, "an empty text"));
            return None;
        }
        Some((text, tree.at))
    }

    pub(super) fn owned(&self, table: &Table, name: &str) -> Option<String> {
        self.text(table, name).map(|(text, _)| text.to_owned())
    }

    /// A text that must be there; `what` is the table, `help` how it is written.
    pub(super) fn required(
        &self,
        table: &Table,
        name: &str,
        (what, at): (&str, Loc),
        help: &str,
    ) -> Option<String> {
        if !table.contains_key(name) {
            let draft = Draft::new(Code::MissingAttribute, format!("`{name}` is missing"))
                .label(at, format!("in {what}"))
                .help(help);
            self.report(draft);
        }
        self.owned(table, name)
    }

    /// A duration in seconds.
    pub(super) fn seconds(&self, table: &Table, name: &str) -> Option<u64> {
        let (text, at) = self.text(table, name)?;
        let found = types::duration(text);
        if found.is_none() {
            self.report(types::bad_duration(text, at));
        }
        found.map(|d| d.as_secs())
    }
}
