//! Garbage collection: what only deleted objects own is deleted.

use serde_json::Value;

use super::super::delete;
use super::super::request::Ctx;

/// The uids of an object's owners.
pub(crate) fn uids(object: &Value) -> impl Iterator<Item = String> {
    let owners = object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    owners.filter_map(|o| o["uid"].as_str().map(str::to_owned))
}

/// Deletes the dependents of the deleted owner `uid`; those with another owner lose the reference.
pub(crate) fn collect(ctx: &mut Ctx<'_, '_>, uid: &str) {
    let dependents = ctx
        .world
        .kubernetes()
        .with(ctx.cluster, |c| c.owned.remove(uid));
    for (table, key) in dependents.into_iter().flatten() {
        let Some(mut object) = ctx.tables().get(&table, &key).cloned() else {
            continue;
        };
        let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() else {
            continue;
        };
        if !owners.iter().any(|o| o["uid"] == uid) {
            continue;
        }
        owners.retain(|o| o["uid"] != uid);
        if owners.is_empty() {
            delete::remove(ctx, &table, &key, object);
        } else {
            ctx.store(&table, &key, object);
        }
    }
}
