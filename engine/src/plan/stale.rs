//! Whether a saved plan still fits: it is compared with one made just now.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tier::{Because, Tier};
use super::{Change, Plan};

/// What differs between a saved plan and a fresh one, in words; empty when it still fits.
///
/// A plan that was made from the same things has the same bytes, so only when they differ is there
/// something to name.
pub fn differences(saved: &Plan, fresh: &Plan) -> Vec<String> {
    if saved.bytes() == fresh.bytes() {
        return Vec::new();
    }
    let (saved, fresh) = &as_far_as_tried(saved.clone(), fresh.clone());
    if saved.bytes() == fresh.bytes() {
        return Vec::new();
    }
    let mut out = Vec::new();
    base(saved, fresh, &mut out);
    // What was saved has lost its origins: the fresh one is compared in the same form.
    let fresh = &serde_json::from_slice::<Plan>(&fresh.bytes()).unwrap_or_else(|_| fresh.clone());
    out.extend(changed(&saved.changes, &fresh.changes));
    if out.is_empty() {
        out.push("its steps, notes or header differ from what would be planned now".to_owned());
    }
    out
}

/// Two plans without what the server said of a change in one of them only: that it could not be asked for a
/// moment changes nothing of what is done.
fn as_far_as_tried(mut saved: Plan, mut fresh: Plan) -> (Plan, Plan) {
    let untried = |change: &Change| {
        matches!(
            change.tier.as_ref().and_then(Tier::because),
            Some(Because::Untried { .. })
        )
    };
    for old in &mut saved.changes {
        let new = fresh.changes.iter_mut().find(|n| n.address == old.address);
        if let Some(new) = new.filter(|new| untried(old) || untried(new)) {
            for change in [old, new] {
                change.tier = None;
                change.effect = None;
            }
        }
    }
    (saved, fresh)
}

/// What differs between the changes of two plans.
fn changed(saved: &[Change], fresh: &[Change]) -> Vec<String> {
    let mut out = Vec::new();
    let mut only_seen = Vec::new();
    for (old, new) in paired(saved, fresh) {
        match (old, new) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) if names(old) != names(new) => out.push(format!(
                "{}: the plan says {}, now it would be {}{}",
                old.address,
                names(old),
                names(new),
                seen(old, new),
            )),
            (Some(old), Some(new)) => match particulars(old, new) {
                what if what.is_empty() => only_seen.push(format!(
                    "{}: the live object changed; what is done to it ({}) does not",
                    old.address,
                    names(old),
                )),
                what => out.push(format!(
                    "{}: {} as before, but not the same in {}",
                    old.address,
                    names(old),
                    what.join(", "),
                )),
            },
            (Some(old), None) => out.push(format!("{}: is no longer there", old.address)),
            (None, Some(new)) => out.push(format!("{}: was not there", new.address)),
            (None, None) => {}
        }
    }
    // As long as there is more to say, it only hides that.
    if out.is_empty() { only_seen } else { out }
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

/// What else differs of two changes with the same actions, what was seen left out: attributes by their
/// paths, anything else by its name in the plan.
fn particulars(old: &Change, new: &Change) -> Vec<String> {
    let mut out: Vec<String> = old
        .attrs
        .iter()
        .chain(&new.attrs)
        .filter(|a| !(old.attrs.contains(a) && new.attrs.contains(a)))
        .map(|a| format!("`{}`", a.path))
        .collect();
    out.sort();
    out.dedup();
    if !out.is_empty() {
        return out;
    }
    let fields = |c: &Change| match serde_json::to_value(c) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = names.into_iter().filter(|n| old.get(*n) != new.get(*n));
    differ.filter(|n| *n != "seen").cloned().collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canon::Digest;

    fn change(action: &str, replicas: u32, seen: &str) -> Change {
        serde_json::from_value(json!({
            "address": "pz/kubernetes.deployment.web",
            "instance": "pz/provider.kubernetes",
            "actions": [action],
            "reason": {"why": "unchanged"},
            "certainty": "seen",
            "attrs": [{"path": "replicas", "before": 0, "after": replicas, "replaces": false}],
            "generation": 1,
            "seen": Digest::of(seen.as_bytes()),
            "depends_on": [],
            "exports": [],
            "protect": false,
        }))
        .unwrap()
    }

    #[test]
    fn what_differs_is_named_and_the_same_is_never_said_to_be_something_else() {
        let old = [change("update", 1, "a")];
        let check = |new: Change, expected: &str| {
            let said = changed(&old, &[new]);
            assert_eq!(said, [format!("pz/kubernetes.deployment.web: {expected}")]);
        };
        check(
            change("create", 1, "b"),
            "the plan says update, now it would be create (the live object changed)",
        );
        check(
            change("update", 2, "b"),
            "update as before, but not the same in `replicas`",
        );
        check(
            change("update", 1, "b"),
            "the live object changed; what is done to it (update) does not",
        );
        let mut protected = change("update", 1, "b");
        protected.protect = true;
        check(protected, "update as before, but not the same in protect");
        assert_eq!(changed(&old, &old), Vec::<String>::new());
    }
}
