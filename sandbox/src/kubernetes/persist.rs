//! The last steps of every write: complete, own, admit, check, number, store.
//!
//! Nothing is stored before every check has passed, so a failed or dry request leaves no trace.

use serde_json::{Value, json};

use super::admission;
use super::defaults;
use super::failure::Failure;
use super::managed;
use super::request::{Call, Ctx, Place, new_uid};
use super::validate;
use super::write::{dry_run, typed_of, who};

/// Who owns the fields of the object that is about to be stored.
pub(crate) enum Owners {
    /// Whoever changed them by this request.
    Updated,
    /// Settled by server-side apply.
    Applied(Vec<managed::Entry>),
}

/// Completes, checks and stores an object; says whether it was created.
pub(crate) fn finish(
    call: &Call,
    ctx: &mut Ctx<'_, '_>,
    place: &Place,
    live: Option<&Value>,
    mut new: Value,
    owners: Owners,
) -> Result<(Value, bool), Failure> {
    let dry = dry_run(call)?;
    let name = place.name.as_deref().unwrap_or_default();
    keep_what_the_server_owns(place, live, &mut new);
    defaults::fill(ctx, place, live, &mut new);
    let now = ctx.now();
    let entries = match owners {
        Owners::Applied(entries) => entries,
        Owners::Updated => {
            let who = who(call, place);
            let entries = if new["metadata"]["managedFields"]
                .as_array()
                .is_some_and(Vec::is_empty)
            {
                Vec::new()
            } else {
                // Owners that the request says are those of the object, but through a subresource.
                let said = Some(managed::decode(&new));
                let said =
                    said.filter(|e| !e.is_empty() && place.subresource.is_none() && live.is_some());
                said.or_else(|| live.map(managed::decode))
                    .unwrap_or_default()
            };
            managed::update(typed_of(place), live, &new, entries, (&who, &now))
        }
    };
    managed::encode(&mut new, entries);
    if place.subresource.is_none() {
        admission::webhooks(ctx, place, live, &new)?;
        let causes = validate::object(&place.kind, live, &new);
        if !causes.is_empty() {
            return Err(Failure::invalid(&place.kind, name, &causes));
        }
    }
    match live {
        None => identify(place, &now, &mut new),
        Some(live) => bump_generation(place, live, &mut new),
    }
    if live.is_some_and(|live| same_but_times(live, &new)) {
        let unchanged = live.cloned().unwrap_or_default();
        return Ok((unchanged, false));
    }
    if dry {
        return Ok((new, live.is_none()));
    }
    let key = super::kinds::key(place.namespace.as_deref(), name);
    if is_finished(&new) {
        ctx.txn.delete(&place.table, &key);
        return Ok((new, false));
    }
    Ok((ctx.store(&place.table, &key, new), live.is_none()))
}

/// Marked for deletion and nothing left to wait for.
pub(crate) fn is_finished(object: &Value) -> bool {
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    object["metadata"]["deletionTimestamp"].is_string()
        && none(&object["metadata"]["finalizers"])
        && (object["kind"] != "Namespace" || none(&object["spec"]["finalizers"]))
}

fn keep_what_the_server_owns(place: &Place, live: Option<&Value>, new: &mut Value) {
    const OWNED: [&str; 7] = [
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    if place.subresource.as_deref() == Some("status")
        && let Some(live) = live
    {
        let status = new["status"].take();
        let managed = new["metadata"]["managedFields"].take();
        *new = live.clone();
        new["status"] = status;
        new["metadata"]["managedFields"] = managed;
    } else if place.kind.has_status()
        && let Some(map) = new.as_object_mut()
    {
        match live.and_then(|l| l.get("status")) {
            Some(status) => map.insert("status".to_owned(), status.clone()),
            None => map.remove("status"),
        };
    }
    let Some(metadata) = new["metadata"].as_object_mut() else {
        return;
    };
    for field in OWNED {
        match live.and_then(|l| l["metadata"].get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

fn identify(place: &Place, now: &str, new: &mut Value) {
    new["metadata"]["uid"] = json!(new_uid());
    new["metadata"]["creationTimestamp"] = json!(now);
    if counts_generations(place) {
        new["metadata"]["generation"] = json!(1);
    }
    defaults::after_identity(&place.kind, new);
}

fn counts_generations(place: &Place) -> bool {
    const KINDS: [&str; 18] = [
        "pods",
        "replicationcontrollers",
        "deployments",
        "statefulsets",
        "daemonsets",
        "replicasets",
        "jobs",
        "cronjobs",
        "ingresses",
        "ingressclasses",
        "networkpolicies",
        "poddisruptionbudgets",
        "priorityclasses",
        "endpointslices",
        "customresourcedefinitions",
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "servicecidrs",
    ];
    place.kind.is_custom() || KINDS.contains(&place.kind.plural.as_str())
}

/// The generation counts changes of what is wanted: neither metadata, as a rule, nor status.
fn bump_generation(place: &Place, live: &Value, new: &mut Value) {
    if !counts_generations(place) {
        return;
    }
    let counted = |name: &str| name != "metadata" && !(name == "status" && place.kind.has_status());
    let names = |v: &Value| -> Vec<String> {
        v.as_object()
            .into_iter()
            .flatten()
            .map(|(n, _)| n.clone())
            .collect()
    };
    let changed = names(live)
        .iter()
        .chain(&names(new))
        .any(|n| counted(n) && live.get(n) != new.get(n));
    // Annotations of a Deployment are copied to its replica sets, so they count as well.
    let noted = place.kind.kind == "Deployment"
        && live["metadata"]["annotations"] != new["metadata"]["annotations"];
    if changed || noted {
        let generation = live["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = json!(generation);
    }
}

/// Whether two objects differ in nothing but the times of their owners.
fn same_but_times(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return false;
    };
    let outer = a.len() == b.len()
        && a.iter()
            .all(|(n, v)| n == "metadata" || b.get(n) == Some(v));
    let (Some(a), Some(b)) = (a["metadata"].as_object(), b["metadata"].as_object()) else {
        return outer;
    };
    let untimed = |list: &Value| {
        let mut list = list.clone();
        for entry in list.as_array_mut().into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        list
    };
    outer
        && a.len() == b.len()
        && a.iter().all(|(n, v)| match b.get(n) {
            Some(other) if n == "managedFields" => untimed(v) == untimed(other),
            other => other == Some(v),
        })
}
