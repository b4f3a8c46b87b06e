//! Whether a saved plan still fits: it is compared with one made just now.

use super::{Change, Plan};

/// What differs between a saved plan and a fresh one, in words; empty when it still fits.
///
/// A plan that was made from the same things has the same bytes, so only when they differ is there
/// something to name.
pub fn differences(saved: &Plan, fresh: &Plan) -> Vec<String> {
    if saved.bytes() == fresh.bytes() {
        return Vec::new();
    }
    let mut out = Vec::new();
    base(saved, fresh, &mut out);
    // What was saved has lost its origins: the fresh one is compared in the same form.
    let fresh = &serde_json::from_slice::<Plan>(&fresh.bytes()).unwrap_or_else(|_| fresh.clone());
    for (old, new) in paired(&saved.changes, &fresh.changes) {
        match (old, new) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => out.push(format!(
                "{}: the plan says {}, now it would be {}{}",
                old.address,
                names(old),
                names(new),
                seen(old, new),
            )),
            (Some(old), None) => out.push(format!("{}: is no longer there", old.address)),
            (None, Some(new)) => out.push(format!("{}: was not there", new.address)),
            (None, None) => {}
        }
    }
    if out.is_empty() {
        out.push("its steps, notes or header differ from what would be planned now".to_owned());
    }
    out
}

fn base(saved: &Plan, fresh: &Plan, out: &mut Vec<String>) {
    let (a, b) = (&saved.base, &fresh.base);
    let mut differs = |what: &str, old: &dyn std::fmt::Display, new: &dyn std::fmt::Display| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            out.push(format!("{what}: {old} in the plan, {new} now"));
        }
    };
    differs(
        "engine version",
        &saved.engine_version,
        &fresh.engine_version,
    );
    differs("project", &a.project, &b.project);
    differs("world", &a.world, &b.world);
    // A plan of a project that was never applied has no lineage yet; the serials tell the rest.
    if !a.lineage.is_empty() {
        differs("lineage", &a.lineage, &b.lineage);
    }
    differs("configuration", &a.config, &b.config);
    for (shard, serial) in &b.serials {
        let old = a.serials.get(shard).copied().unwrap_or(0);
        differs(&format!("serial of shard {shard}"), &old, serial);
    }
}

fn names(change: &Change) -> String {
    let names: Vec<&str> = change.actions.iter().map(|a| a.name()).collect();
    names.join("+")
}

fn seen(old: &Change, new: &Change) -> &'static str {
    if old.seen != new.seen {
        " (the live object changed)"
    } else if old.desired != new.desired {
        " (what shall be there changed)"
    } else {
        ""
    }
}

/// Both lists are sorted by address.
fn paired<'a>(
    old: &'a [Change],
    new: &'a [Change],
) -> Vec<(Option<&'a Change>, Option<&'a Change>)> {
    let mut addresses: Vec<_> = old.iter().chain(new).map(|c| &c.address).collect();
    addresses.sort();
    addresses.dedup();
    let find = |list: &'a [Change], address| {
        list.binary_search_by(|c| c.address.cmp(address))
            .ok()
            .map(|i| &list[i])
    };
    addresses
        .into_iter()
        .map(|a| (find(old, a), find(new, a)))
        .collect()
}
