//! Create, replace, patch and apply: everything that ends in one stored object.
//!
//! Nothing is stored before every check has passed, so a failed or dry request leaves no trace.

use serde_json::{Value, json};

use super::admission;
use super::defaults;
use super::failure::{Cause, Failure};
use super::managed::{self, Typed, Who};
use super::patch;
use super::request::{Answer, Call, Ctx, Place, Reply, new_uid};
use super::typed;
use super::validate;

const APPLY: &str = "application/apply-patch+yaml";
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Checking {
    Ignore,
    Warn,
    Strict,
}

fn checking(call: &Call) -> Checking {
    match call.param("fieldValidation") {
        Some("Strict") => Checking::Strict,
        Some("Ignore") => Checking::Ignore,
        _ => Checking::Warn,
    }
}

fn dry_run(call: &Call) -> Result<bool, Failure> {
    match call.param("dryRun") {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Failure::bad_request(format!(
            "invalid dryRun value {other:?}"
        ))),
    }
}

/// The manager of a request: the parameter, or the name of the client program.
fn manager(call: &Call) -> String {
    let agent = call.user_agent.split('/').next().unwrap_or_default();
    let agent = if agent.is_empty() { "unknown" } else { agent };
    call.param("fieldManager").unwrap_or(agent).to_owned()
}

fn who(call: &Call, place: &Place) -> Who {
    Who {
        manager: manager(call),
        api_version: place.kind.api_version(),
        subresource: place.subresource.clone().unwrap_or_default(),
    }
}

fn reset_fields(place: &Place) -> &'static [&'static str] {
    match (place.subresource.as_deref(), place.kind.has_status()) {
        (Some("status"), _) => &["spec", "metadata"],
        (_, true) => &["status"],
        _ => &[],
    }
}

fn typed_of(place: &Place) -> Typed<'_> {
    Typed {
        schema: place.kind.schema(),
        root: place.kind.root,
        reset: reset_fields(place),
    }
}

fn check_identity(place: &Place, body: &mut Value) -> Result<(), Failure> {
    let expected = place.kind.api_version();
    let got = (body["apiVersion"].as_str(), body["kind"].as_str());
    if let (Some(version), _) = got
        && version != expected
    {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if let (_, Some(kind)) = got
        && kind != place.kind.kind
    {
        return Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: no kind match",
            kind, place.kind.version, place.kind.kind
        )));
    }
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    body["apiVersion"] = json!(expected);
    body["kind"] = json!(place.kind.kind);
    if let (Some(there), Some(here)) = (body["metadata"]["namespace"].as_str(), &place.namespace)
        && there != here
    {
        let text =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(text));
    }
    if let (Some(there), Some(here)) = (body["metadata"]["name"].as_str(), &place.name)
        && there != here
    {
        return Err(Failure::bad_request(format!(
            "the name of the object ({there}) does not match the name on the URL ({here})"
        )));
    }
    match &place.namespace {
        Some(namespace) => body["metadata"]["namespace"] = json!(namespace),
        None => {
            if let Some(metadata) = body["metadata"].as_object_mut() {
                metadata.remove("namespace");
            }
        }
    }
    Ok(())
}

/// Unknown and mistyped fields of a body that is not applied; unknown ones are dropped.
fn check_fields(call: &Call, place: &Place, body: &mut Value) -> Result<Vec<String>, Failure> {
    let complaints = typed::validate(place.kind.schema(), place.kind.root, body);
    let undeclared = ": field not declared in schema";
    let (unknown, mistyped): (Vec<_>, Vec<_>) = complaints
        .into_iter()
        .partition(|c| c.ends_with(undeclared));
    if let Some(first) = mistyped.iter().find(|c| c.contains(": expected ")) {
        return Err(Failure::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {first}",
            kind = place.kind.kind,
            version = place.kind.version,
        )));
    }
    let texts: Vec<String> = unknown
        .iter()
        .map(|c| {
            format!(
                "unknown field {:?}",
                c.trim_end_matches(undeclared).trim_start_matches('.')
            )
        })
        .collect();
    if texts.is_empty() {
        return Ok(texts);
    }
    if checking(call) == Checking::Strict {
        let text = format!("strict decoding error: {}", texts.join(", "));
        if call.method == http::Method::PATCH {
            let cause = Cause::invalid("patch", &Value::Null, &text);
            let name = place.name.clone().unwrap_or_default();
            return Err(Failure::invalid(&place.kind, &name, &[cause]));
        }
        return Err(Failure::bad_request(text));
    }
    validate::drop_undeclared(place.kind.schema(), place.kind.root, body);
    Ok(if checking(call) == Checking::Warn {
        texts
    } else {
        Vec::new()
    })
}

/// `POST` of a new object.
pub(crate) fn create(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let mut body = call.object()?;
    check_identity(place, &mut body)?;
    if body["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
        && let Some(prefix) = body["metadata"]["generateName"].as_str().map(str::to_owned)
    {
        body["metadata"]["name"] = json!(format!("{prefix}{}", &new_uid()[..5]));
    }
    let name = body["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let place = Place {
        name: Some(name.clone()),
        ..same(place)
    };
    if body["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|v| !v.is_empty())
    {
        let text = "resourceVersion should not be set on objects to be created";
        return Err(Failure::bad_request(text));
    }
    let warnings = check_fields(call, &place, &mut body)?;
    let live = lookup(ctx, &place);
    admission::namespace(ctx, &place, live.is_some())?;
    if live.is_some() {
        return Err(Failure::already_exists(&place.kind, &name));
    }
    let stored = finish(call, ctx, &place, None, body, Owners::Updated)?;
    Ok(Reply {
        answer: Answer::Json(201, stored.0),
        warnings,
    })
}

fn same(place: &Place) -> Place {
    Place {
        kind: std::sync::Arc::clone(&place.kind),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        subresource: place.subresource.clone(),
        table: place.table.clone(),
    }
}

/// The live object, in the version that the request speaks.
pub(crate) fn lookup(ctx: &Ctx<'_, '_>, place: &Place) -> Option<Value> {
    let name = place.name.as_deref()?;
    let key = super::kinds::key(place.namespace.as_deref(), name);
    let mut live = ctx.tables().get(&place.table, &key)?.clone();
    live["apiVersion"] = json!(place.kind.api_version());
    Some(live)
}

fn preconditions(place: &Place, live: &Value, body: &Value) -> Result<(), Failure> {
    let name = place.name.as_deref().unwrap_or_default();
    let (uid, version) = (
        &body["metadata"]["uid"],
        &body["metadata"]["resourceVersion"],
    );
    if uid.as_str().is_some_and(|u| !u.is_empty()) && *uid != live["metadata"]["uid"] {
        let cause = Cause::invalid("metadata.uid", uid, "field is immutable");
        return Err(Failure::invalid(&place.kind, name, &[cause]));
    }
    if version.as_str().is_some_and(|v| !v.is_empty())
        && *version != live["metadata"]["resourceVersion"]
    {
        return Err(Failure::modified(&place.kind, name));
    }
    Ok(())
}

/// `PUT` of an object that exists.
pub(crate) fn replace(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let mut body = call.object()?;
    if place.subresource.as_deref() == Some("scale") {
        return scale_write(call, ctx, place, &body);
    }
    check_identity(place, &mut body)?;
    let name = place.name.clone().unwrap_or_default();
    body["metadata"]["name"] = json!(name);
    let warnings = check_fields(call, place, &mut body)?;
    let Some(live) = lookup(ctx, place) else {
        return Err(Failure::not_found(&place.kind, &name));
    };
    preconditions(place, &live, &body)?;
    let stored = finish(call, ctx, place, Some(&live), body, Owners::Updated)?;
    Ok(Reply {
        answer: Answer::Json(200, stored.0),
        warnings,
    })
}

/// `PATCH` in any of the four formats.
pub(crate) fn patch(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    if call.content_type == APPLY || call.content_type == "application/apply-patch+json" {
        return apply(call, ctx, place);
    }
    let name = place.name.clone().unwrap_or_default();
    let live = lookup(ctx, place).ok_or_else(|| Failure::not_found(&place.kind, &name))?;
    let change: Value = serde_json::from_slice(&call.body)
        .map_err(|e| Failure::bad_request(format!("error decoding patch: {e}")))?;
    let scale = place.subresource.as_deref() == Some("scale");
    let target = if scale {
        scale_of(place, &live)
    } else {
        live.clone()
    };
    let mut new = match call.content_type.as_str() {
        "application/merge-patch+json" => patch::merge(&target, &change),
        "application/strategic-merge-patch+json" if place.kind.is_custom() => {
            return Err(Failure::unsupported_media_type(
                &call.content_type,
                &PATCHES,
            ));
        }
        "application/strategic-merge-patch+json" if scale => patch::merge(&target, &change),
        "application/strategic-merge-patch+json" => {
            patch::strategic(place.kind.schema(), place.kind.root, &target, &change)
        }
        "application/json-patch+json" => patch::json_patch(&target, &change)?,
        other => return Err(Failure::unsupported_media_type(other, &PATCHES)),
    };
    if scale {
        return scale_write(call, ctx, place, &new);
    }
    check_identity(place, &mut new)?;
    preconditions(place, &live, &new)?;
    let warnings = check_fields(call, place, &mut new)?;
    let stored = finish(call, ctx, place, Some(&live), new, Owners::Updated)?;
    Ok(Reply {
        answer: Answer::Json(200, stored.0),
        warnings,
    })
}

/// Server-side apply.
fn apply(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let name = place.name.clone().unwrap_or_default();
    if call.param("fieldManager").is_none() {
        return Err(Failure::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let mut config = call.object()?;
    check_identity(place, &mut config)?;
    config["metadata"]["name"] = json!(name);
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let live = lookup(ctx, place);
    match &live {
        Some(live) => preconditions(place, live, &config)?,
        None => absent_preconditions(ctx, place, &config)?,
    }
    if let Some(metadata) = config["metadata"].as_object_mut() {
        for field in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "selfLink",
        ] {
            metadata.remove(field);
        }
    }
    let complaints = typed::validate(place.kind.schema(), place.kind.root, &config);
    if !complaints.is_empty() {
        return Err(untypable(place, &name, &complaints));
    }
    let (base, entries) = match &live {
        Some(live) => {
            let mut base = live.clone();
            if let Some(metadata) = base["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            (base, managed::decode(live))
        }
        None => (json!({}), Vec::new()),
    };
    let force = call.flag("force");
    let now = ctx.now();
    let asks = (&who(call, place), force, now.as_str());
    let (merged, entries) = managed::apply(typed_of(place), &base, &config, entries, asks)
        .map_err(|conflicts| Failure::apply_conflict(&conflicts))?;
    let (stored, created) = finish(
        call,
        ctx,
        place,
        live.as_ref(),
        merged,
        Owners::Applied(entries),
    )?;
    Ok(Answer::Json(if created { 201 } else { 200 }, stored).into())
}

fn absent_preconditions(ctx: &Ctx<'_, '_>, place: &Place, config: &Value) -> Result<(), Failure> {
    let name = place.name.as_deref().unwrap_or_default();
    if place.subresource.is_some() {
        return Err(Failure::not_found(&place.kind, name));
    }
    if let Some(uid) = config["metadata"]["uid"].as_str().filter(|u| !u.is_empty()) {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Failure::conflict(&place.kind, name, &why));
    }
    if config["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|v| !v.is_empty())
    {
        return Err(Failure::modified(&place.kind, name));
    }
    admission::namespace(ctx, place, false)
}

fn untypable(place: &Place, name: &str, complaints: &[String]) -> Failure {
    let text = match complaints {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Failure::unreasoned(format!(
        "failed to create typed patch object ({}/{name}; {}/{}, Kind={}): {text}",
        place.namespace.as_deref().unwrap_or_default(),
        place.kind.group,
        place.kind.version,
        place.kind.kind,
    ))
}

/// Who owns the fields of the object that is about to be stored.
enum Owners {
    /// Whoever changed them by this request.
    Updated,
    /// Settled by server-side apply.
    Applied(Vec<managed::Entry>),
}

/// Completes, checks and stores an object; says whether it was created.
fn finish(
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
                live.map(managed::decode).unwrap_or_default()
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

/// The generation counts changes of what is wanted: neither metadata nor status.
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
    if changed {
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

fn scale_write(
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
