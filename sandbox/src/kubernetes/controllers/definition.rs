//! Custom resource definitions: established after a moment, served a moment later, and taking their
//! objects with them when they go.

use serde_json::{Value, json};

use crate::world::{Tables, World};

use super::super::delete;
use super::super::kinds::{key, table};
use super::super::request::Ctx;
use super::{Looked, condition, holds, waits_until};

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Seconds until a definition is established, and from then until its kinds are served.
const ESTABLISHING: u64 = 2;
const LAG: u64 = 1;

/// Whether the kinds of a definition are served: established, and the lag of discovery is over.
pub(crate) fn is_served(world: &World, tables: &Tables, cluster: &str, definition: &Value) -> bool {
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    let clock = super::clock_table(cluster);
    let own = table(cluster, "apiextensions.k8s.io", "customresourcedefinitions");
    let since = tables.get(&clock, &format!("{own}|{}", key(None, name)));
    let since = since.and_then(|s| s["since"].as_u64()).unwrap_or(u64::MAX);
    let lag = world
        .profile()
        .scale(std::time::Duration::from_secs(ESTABLISHING + LAG));
    let lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
    holds(definition, "Established") && world.now_ms() >= since.saturating_add(lag)
}

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() {
        return clean_up(ctx, it);
    }
    let since = it.since(ctx, "");
    if let Some(due) = waits_until(ctx, since, ESTABLISHING) {
        return Some(due);
    }
    let now = ctx.now();
    it.update(ctx, |o| {
        let names = o["spec"]["names"].clone();
        if !o["metadata"]["finalizers"].is_array() {
            o["metadata"]["finalizers"] = json!([CLEANUP]);
        }
        let status = &mut o["status"];
        status["acceptedNames"] = names;
        condition(
            status,
            &now,
            ("NamesAccepted", true, "NoConflicts", "no conflicts found"),
        );
        let text = "the initial names have been accepted";
        condition(
            status,
            &now,
            ("Established", true, "InitialNamesAccepted", text),
        );
    });
    // Somebody who watches has no other reason to look when the lag is over.
    waits_until(ctx, since, ESTABLISHING + LAG)
}

fn clean_up(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (
        text(&it.object["spec"]["group"]),
        text(&it.object["spec"]["names"]["plural"]),
    );
    let objects = table(ctx.cluster, &group, &plural);
    let found: Vec<(String, Value)> = ctx
        .tables()
        .list(&objects)
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect();
    let mut left = 0;
    for (key, object) in found {
        left += u64::from(!delete::remove(ctx, &objects, &key, object).1);
    }
    if left > 0 {
        let now = ctx.now();
        it.update(ctx, |o| {
            let text = format!("{left} custom resources still exist");
            condition(
                &mut o["status"],
                &now,
                ("Terminating", true, "InstanceDeletionInProgress", &text),
            );
        });
        return Some(ctx.world.now_ms() + 200);
    }
    it.update(ctx, |o| {
        if let Some(list) = o["metadata"]["finalizers"].as_array_mut() {
            list.retain(|f| f != CLEANUP);
        }
    });
    if super::super::persist::is_finished(&it.object) {
        ctx.txn.delete(&it.table, &it.key);
    }
    None
}
