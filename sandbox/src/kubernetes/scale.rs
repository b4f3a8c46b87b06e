//! The scale subresource.

use serde_json::{Value, json};

use super::failure::Failure;
use super::persist::{Owners, finish};
use super::request::{Answer, Call, Ctx, Place, Reply};
use super::write::{lookup, preconditions};

fn replicas_path(place: &Place) -> String {
    let path = place
        .kind
        .scale
        .as_ref()
        .and_then(|s| s["specReplicasPath"].as_str());
    path.unwrap_or(".spec.replicas").replace('.', "/")
}

/// The Scale of an object.
pub(crate) fn scale_of(place: &Place, live: &Value) -> Value {
    let wanted = live
        .pointer(&replicas_path(place))
        .cloned()
        .unwrap_or(json!(0));
    let path = place
        .kind
        .scale
        .as_ref()
        .and_then(|s| s["statusReplicasPath"].as_str());
    let path = path.unwrap_or(".status.replicas").replace('.', "/");
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        metadata[field] = live["metadata"][field].clone();
    }
    let mut status = json!({"replicas": live.pointer(&path).cloned().unwrap_or(json!(0))});
    if let Some(labels) = live["spec"]["selector"]["matchLabels"].as_object() {
        let parts: Vec<String> = labels
            .iter()
            .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
            .collect();
        status["selector"] = json!(parts.join(","));
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
           "spec": {"replicas": wanted}, "status": status})
}

/// Sets the number of replicas that a Scale asks for.
pub(crate) fn scale_write(
    call: &Call,
    ctx: &mut Ctx<'_, '_>,
    place: &Place,
    scale: &Value,
) -> Result<Reply, Failure> {
    let name = place.name.clone().unwrap_or_default();
    let live = lookup(ctx, place).ok_or_else(|| Failure::not_found(&place.kind, &name))?;
    preconditions(place, &live, scale)?;
    let Some(wanted) = scale["spec"]["replicas"].as_i64() else {
        return Err(Failure::bad_request("spec.replicas: expected a number"));
    };
    let mut new = live.clone();
    let path = replicas_path(place);
    let (parent, last) = path.rsplit_once('/').unwrap_or(("/spec", "replicas"));
    if let Some(parent) = new.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(last.to_owned(), json!(wanted));
    }
    let (stored, _) = finish(call, ctx, place, Some(&live), new, Owners::Updated)?;
    Ok(Answer::Json(200, scale_of(place, &stored)).into())
}
