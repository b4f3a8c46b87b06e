//! Create, replace, patch and apply: from the body of a request to the object that is to be stored.

use serde_json::{Value, json};

use super::admission;
use super::failure::{Cause, Failure};
use super::managed::{self, Typed, Who};
use super::patch;
use super::persist::{Owners, finish};
use super::request::{Answer, Call, Ctx, Place, Reply, new_uid};
use super::scale::{scale_of, scale_write};
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

pub(crate) fn dry_run(call: &Call) -> Result<bool, Failure> {
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

pub(crate) fn who(call: &Call, place: &Place) -> Who {
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

pub(crate) fn typed_of(place: &Place) -> Typed<'_> {
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
        headers: Vec::new(),
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

pub(crate) fn preconditions(place: &Place, live: &Value, body: &Value) -> Result<(), Failure> {
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
        headers: Vec::new(),
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
        headers: Vec::new(),
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
