//! `DELETE`: preconditions, finalizers, what happens to dependents.

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::key;
use super::persist::is_finished;
use super::read::{Filter, prefix};
use super::request::{Answer, Call, Ctx, Place, Reply, timestamp};
use super::write::lookup;

struct Options {
    dry_run: bool,
    uid: Option<String>,
    resource_version: Option<String>,
    orphan: bool,
}

fn options(call: &Call, place: &Place) -> Result<Options, Failure> {
    let body = if call.body.is_empty() {
        json!({})
    } else {
        call.object()?
    };
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let policy = text(&body["propagationPolicy"])
        .or_else(|| call.param("propagationPolicy").map(str::to_owned));
    let dry = body["dryRun"]
        .as_array()
        .is_some_and(|d| d.iter().any(|v| v == "All"));
    Ok(Options {
        dry_run: dry || call.param("dryRun") == Some("All"),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        orphan: match policy.as_deref() {
            Some(policy) => policy == "Orphan",
            // Without a policy, the pods of a Job stay behind, for reasons of history.
            None => body["orphanDependents"]
                .as_bool()
                .unwrap_or_else(|| place.kind.is("batch", "Job")),
        },
    })
}

/// Deletes one object, or marks it when finalizers hold it.
pub(crate) fn one(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let name = place.name.clone().unwrap_or_default();
    let options = options(call, place)?;
    let live = lookup(ctx, place).ok_or_else(|| Failure::not_found(&place.kind, &name))?;
    check(place, &name, &live, &options)?;
    if place.kind.is("", "Namespace")
        && ["default", "kube-system", "kube-public"].contains(&name.as_str())
    {
        return Err(Failure::forbidden(
            &place.kind,
            &name,
            "this namespace may not be deleted",
        ));
    }
    if options.dry_run {
        return Ok(Answer::Json(200, live).into());
    }
    if options.orphan {
        release_dependents(ctx, &live);
    }
    let at = key(place.namespace.as_deref(), &name);
    let (left, gone) = remove(ctx, &place.table, &at, live);
    if !gone {
        return Ok(Answer::Json(200, left).into());
    }
    let mut details =
        json!({"name": name, "kind": place.kind.plural, "uid": left["metadata"]["uid"]});
    if !place.kind.group.is_empty() {
        details["group"] = json!(place.kind.group);
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                        "details": details});
    Ok(Answer::Json(200, status).into())
}

fn check(place: &Place, name: &str, live: &Value, options: &Options) -> Result<(), Failure> {
    let differs = |wanted: &Option<String>, field: &str| {
        let found = live["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        wanted
            .as_ref()
            .filter(|w| **w != found)
            .map(|w| (w.clone(), found))
    };
    if let Some((wanted, found)) = differs(&options.uid, "uid") {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({found}). \
             The object might have been deleted and then recreated"
        );
        return Err(Failure::conflict(&place.kind, name, &why));
    }
    if let Some((wanted, found)) = differs(&options.resource_version, "resourceVersion") {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion \
             in record ({found}). The object might have been modified"
        );
        return Err(Failure::conflict(&place.kind, name, &why));
    }
    Ok(())
}

/// Removes an object, or marks it if finalizers hold it; says whether it is gone.
pub(crate) fn remove(
    ctx: &mut Ctx<'_, '_>,
    table: &str,
    key: &str,
    mut object: Value,
) -> (Value, bool) {
    let held = object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|f| !f.is_empty())
        || (object["kind"] == "Namespace" && object["spec"]["finalizers"][0].is_string());
    if !held {
        ctx.txn.delete(table, key);
        return (object, true);
    }
    if object["metadata"]["deletionTimestamp"].is_string() {
        return (object, false);
    }
    object["metadata"]["deletionTimestamp"] = json!(timestamp(ctx.world.now_ms()));
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    if object["kind"] == "Namespace" {
        object["status"]["phase"] = json!("Terminating");
    }
    if let Some(generation) = object["metadata"]["generation"].as_u64() {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    debug_assert!(!is_finished(&object), "a held object waits for somebody");
    (ctx.store(table, key, object), false)
}

/// Takes the owner out of its dependents, so that they stay.
fn release_dependents(ctx: &mut Ctx<'_, '_>, owner: &Value) {
    let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
    let dependents = ctx
        .world
        .kubernetes()
        .with(ctx.cluster, |c| c.owned.get(uid).cloned());
    for (table, key) in dependents.into_iter().flatten() {
        let Some(mut object) = ctx.tables().get(&table, &key).cloned() else {
            continue;
        };
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|o| o["uid"] != uid);
            ctx.store(&table, &key, object);
        }
    }
}

/// Deletes every matching object of a collection.
pub(crate) fn collection(
    call: &Call,
    ctx: &mut Ctx<'_, '_>,
    place: &Place,
) -> Result<Reply, Failure> {
    let filter = Filter::of(call)?;
    let options = options(call, place)?;
    let prefix = prefix(place.namespace.as_deref());
    let found: Vec<(String, Value)> = ctx
        .tables()
        .range(&place.table, &prefix, "")
        .filter(|(_, o)| filter.matches(o))
        .map(|(k, o)| (k.clone(), o.clone()))
        .collect();
    let mut items = Vec::new();
    for (key, object) in found {
        let left = if options.dry_run {
            object
        } else {
            remove(ctx, &place.table, &key, object).0
        };
        items.push(left);
    }
    let revision = ctx.tables().revision().to_string();
    let list = json!({"kind": place.kind.list_kind, "apiVersion": place.kind.api_version(),
                      "metadata": {"resourceVersion": revision}, "items": items});
    Ok(Answer::Json(200, list).into())
}
