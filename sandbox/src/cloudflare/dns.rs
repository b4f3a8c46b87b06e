//! DNS records of a zone, one at a time.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, rfc3339_micros, text};

use super::{Answer, ApiError, batch, filter, list, record, success};

const MOST_PER_PAGE: usize = 50_000;

/// The records of one zone, by id.
pub(super) type Records = BTreeMap<String, Value>;

/// The table of a zone's records.
pub(super) fn table(zone: &Value) -> String {
    format!("cloudflare/dns_records/{}", text(zone, "id"))
}

/// The records of a zone that are wanted. Only these are copied: a zone may hold tens of thousands.
fn records(scene: &Scene<'_, '_>, zone: &Value, wanted: impl Fn(&Value) -> bool) -> Records {
    let table = table(zone);
    let rows = scene.txn.tables().list(&table);
    rows.filter(|(_, record)| wanted(record))
        .map(|(id, record)| (id.clone(), record.clone()))
        .collect()
}

/// The records that one of this name could be in conflict with.
fn neighbours(scene: &Scene<'_, '_>, zone: &Value, name: Option<&str>) -> Records {
    let name = name.map(|n| n.trim_end_matches('.').to_lowercase());
    records(scene, zone, |record| match &name {
        Some(name) if name != "@" => {
            let rest = text(record, "name").strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        _ => true,
    })
}

pub(super) fn answer(
    scene: &mut Scene<'_, '_>,
    call: &Call,
    zone: &Value,
    rest: &[&str],
) -> Answer {
    let body = || call.object().ok_or_else(ApiError::malformed);
    let find = |scene: &Scene<'_, '_>, id: &str| {
        let found = scene.txn.tables().get(&table(zone), id);
        found.cloned().ok_or_else(unknown)
    };
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let found = records(scene, zone, |record| filter::matches(call, record));
            let mut found: Vec<Value> = found.into_values().collect();
            found.sort_by(|a, b| order(a).cmp(&order(b)));
            let per_page = call.number("per_page", 100).clamp(1, MOST_PER_PAGE);
            Ok(list(call, per_page, found))
        }
        (&Method::POST, []) => {
            let body = body()?;
            let near = neighbours(scene, zone, body.get("name").and_then(Value::as_str));
            let new = create(scene, zone, &near, &body)?;
            keep(scene, zone, &new);
            Ok(success(&new))
        }
        (&Method::POST, ["batch"]) => {
            let all = records(scene, zone, |_| true);
            batch::answer(scene, zone, all, &body()?)
        }
        (&Method::GET, [id]) => Ok(success(&find(scene, id)?)),
        (&Method::PUT | &Method::PATCH, [id]) => {
            let (old, body) = (find(scene, id)?, body()?);
            let name = body.get("name").and_then(Value::as_str);
            let near = neighbours(scene, zone, name.or(Some(text(&old, "name"))));
            let whole = call.method == Method::PUT;
            let new = change(scene, zone, &near, &old, &body, whole)?;
            keep(scene, zone, &new);
            Ok(success(&new))
        }
        (&Method::DELETE, [id]) => {
            find(scene, id)?;
            scene.txn.delete(&table(zone), id);
            Ok(success(&json!({ "id": id })))
        }
        _ => Err(ApiError::wrong_method()),
    }
}

/// A new record, checked against the records that are there.
pub(super) fn create(
    scene: &mut Scene<'_, '_>,
    zone: &Value,
    records: &Records,
    body: &Map<String, Value>,
) -> Result<Value, ApiError> {
    let now = rfc3339_micros(scene.now);
    let base = json!({"id": scene.hex_id(), "created_on": now});
    let new = record::build(&base, body, text(zone, "name"), &now)?;
    record::check_conflicts(&new, records)?;
    Ok(new)
}

/// A changed record: the given fields only, or (`whole`) exactly the given fields.
pub(super) fn change(
    scene: &Scene<'_, '_>,
    zone: &Value,
    records: &Records,
    old: &Value,
    body: &Map<String, Value>,
    whole: bool,
) -> Result<Value, ApiError> {
    let now = rfc3339_micros(scene.now);
    let base = match whole {
        true => json!({"id": old["id"], "created_on": old["created_on"]}),
        false => old.clone(),
    };
    let mut new = record::build(&base, body, text(zone, "name"), &now)?;
    if whole && old.get("comment") == new.get("comment") && !new["comment"].is_null() {
        new["comment_modified_on"] = old["comment_modified_on"].clone();
    }
    record::check_conflicts(&new, records)?;
    Ok(new)
}

/// There is no such record.
pub(super) fn unknown() -> ApiError {
    ApiError::new(404, 81044, "Record does not exist.")
}

fn keep(scene: &mut Scene<'_, '_>, zone: &Value, record: &Value) {
    let id = text(record, "id").to_owned();
    scene.txn.put(&table(zone), &id, record.clone());
}

fn order(record: &Value) -> (&str, &str, &str) {
    (
        text(record, "name"),
        text(record, "type"),
        text(record, "id"),
    )
}
