//! How ready a zone stands: `[zone] posture`, and the overlays `[posture.off|cold|warm.…]`.

use zonewright_engine::config::{Posture, Role};

use super::realm::ZoneFile;
use super::{Ctx, types};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{self, Table};

const NAMES: [&str; 3] = ["off", "cold", "warm"];

/// The posture of a zone whose files and role overlays are merged; the setting is taken out. It is
/// written as a word, since overlays depend on it before any setting is worked out.
pub(super) fn take(ctx: &Ctx<'_>, table: &mut Table, role: Role) -> Option<Posture> {
    let entry = tree::at(table, &["zone", "posture"]).cloned();
    tree::remove(table, &["zone", "posture"]);
    let standby = (role == Role::Standby).then_some(Posture::Cold);
    let Some(entry) = entry else {
        return standby;
    };
    let at = entry.value.at;
    let Some(word) = entry.value.str() else {
        let wanted = "\"off\", \"cold\" or \"warm\"";
        ctx.report(types::wrong(at, "posture", wanted, entry.value.what()));
        return standby;
    };
    let found = Posture::from_name(word);
    if found.is_none() {
        let draft = Draft::new(
            Code::UnknownPosture,
            format!("there is no posture `{word}`"),
        )
        .label(at, "a zone stands by `off`, `cold` or `warm`")
        .maybe_help(suggest::help(word, NAMES));
        ctx.report(draft);
    }
    found.or(standby).filter(|_| role == Role::Standby)
}

/// The overlay of a file for a posture.
pub(super) fn overlay(file: &ZoneFile, posture: Option<Posture>) -> Option<&Table> {
    let entry = tree::at(&file.table, &["posture", posture?.name()])?;
    entry.value.table()
}

/// Reports overlays of postures that there are not.
pub(super) fn check(ctx: &Ctx<'_>, table: &Table) {
    let Some(entry) = table.get("posture") else {
        return;
    };
    let Some(overlays) = entry.value.table() else {
        let draft = types::wrong(entry.value.at, "posture", "a table", entry.value.what())
            .help("the posture itself stands in `[zone]`");
        ctx.report(draft);
        return;
    };
    for (key, entry) in overlays {
        if NAMES.contains(&key.as_str())
            && let Some(layer) = entry.value.table()
        {
            ctx.mark_overlay(layer, &format!("posture.{key}"));
        } else {
            let draft = Draft::new(Code::UnknownPosture, format!("there is no posture `{key}`"))
                .label(entry.key, "a zone stands by `off`, `cold` or `warm`")
                .maybe_help(suggest::help(key, NAMES));
            ctx.report(draft);
        }
    }
}
