//! Tags. Names compare without case; the first spelling stays.

use http::Method;
use serde_json::{Value, json};

use crate::call::{Call, Scene, text};
use crate::reply;

use super::error::ApiError;
use super::{Answer, all, page, wrong_method};

const TABLE: &str = "digitalocean/tags";
/// The tables of taggable objects, with the name that a tagging request uses.
const TAGGED: [(&str, &str); 3] = [
    ("database", "digitalocean/databases"),
    ("database", "digitalocean/database_replicas"),
    ("kubernetes", "digitalocean/kubernetes_clusters"),
];

pub(super) fn answer(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let tables = scene.txn.tables();
            let tags = all(tables, TABLE).map(|tag| show(scene, text(tag, "name")));
            page::list(call, "tags", tags.collect())
        }
        (&Method::POST, []) => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let name = body.get("name").and_then(Value::as_str).unwrap_or("");
            check(name)?;
            ensure(scene, [name]);
            Ok(reply::json(201, &json!({"tag": show(scene, name)})))
        }
        (&Method::GET, [name]) => {
            find(scene, name)?;
            Ok(reply::json(200, &json!({"tag": show(scene, name)})))
        }
        (&Method::DELETE, [name]) => {
            find(scene, name)?;
            for (_, table) in TAGGED {
                let keys: Vec<String> = keys(scene, table);
                for key in keys {
                    untag(scene, table, &key, name);
                }
            }
            scene.txn.delete(TABLE, &name.to_lowercase());
            Ok(reply::empty(204))
        }
        (&Method::POST | &Method::DELETE, [name, "resources"]) => assign(scene, call, name),
        _ => Err(wrong_method()),
    }
}

/// Checks the form of a tag.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(fits) {
        let message = "Name is invalid. Only letters, numbers, colons, dashes and underscores \
                       are accepted";
        return Err(ApiError::unprocessable(message));
    }
    Ok(())
}

/// The tags of a request body, checked; none when there are none.
pub(super) fn of(body: &serde_json::Map<String, Value>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(Value::Array(tags)) = body.get("tags") else {
        return Ok(None);
    };
    let tags: Vec<String> = tags
        .iter()
        .filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect();
    tags.iter().try_for_each(|tag| check(tag))?;
    Ok(Some(tags))
}

/// Creates the tags that do not exist yet.
pub(super) fn ensure<'n>(scene: &mut Scene<'_, '_>, names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        let key = name.to_lowercase();
        if scene.txn.tables().get(TABLE, &key).is_none() {
            scene.txn.put(TABLE, &key, json!({ "name": name }));
        }
    }
}

/// Whether a document has a tag.
pub(super) fn has(doc: &Value, name: &str) -> bool {
    let tags = doc.get("tags").and_then(Value::as_array);
    tags.into_iter()
        .flatten()
        .any(|tag| tag.as_str().is_some_and(|t| t.eq_ignore_ascii_case(name)))
}

fn find(scene: &Scene<'_, '_>, name: &str) -> Result<(), ApiError> {
    let found = scene.txn.tables().get(TABLE, &name.to_lowercase());
    found.map(drop).ok_or_else(ApiError::not_found)
}

fn show(scene: &Scene<'_, '_>, name: &str) -> Value {
    let tables = scene.txn.tables();
    let count = |kind: &str| -> usize {
        TAGGED
            .iter()
            .filter(|(known, _)| *known == kind)
            .flat_map(|(_, table)| all(tables, table))
            .filter(|doc| has(doc, name))
            .count()
    };
    let databases = count("database");
    json!({"name": name, "resources": {
        "count": databases + count("kubernetes"),
        "databases": {"count": databases}, "droplets": {"count": 0}, "images": {"count": 0},
        "volumes": {"count": 0}, "volume_snapshots": {"count": 0},
    }})
}

fn assign(scene: &mut Scene<'_, '_>, call: &Call, name: &str) -> Answer {
    find(scene, name)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let resources = body.get("resources").and_then(Value::as_array);
    for resource in resources.into_iter().flatten() {
        let kind = text(resource, "resource_type");
        let id = text(resource, "resource_id");
        let table = TAGGED
            .iter()
            .filter(|(known, _)| *known == kind)
            .find(|(_, table)| scene.txn.tables().get(table, id).is_some());
        let (_, table) = table.ok_or_else(ApiError::not_found)?;
        untag(scene, table, id, name);
        if call.method == Method::POST {
            edit(scene, table, id, |tags| tags.push(json!(name)));
        }
    }
    Ok(reply::empty(204))
}

fn keys(scene: &Scene<'_, '_>, table: &str) -> Vec<String> {
    let rows = scene.txn.tables().list(table);
    rows.map(|(key, _)| key.clone()).collect()
}

fn untag(scene: &mut Scene<'_, '_>, table: &str, key: &str, name: &str) {
    let tagged = scene.txn.tables().get(table, key);
    if tagged.is_some_and(|doc| has(doc, name)) {
        edit(scene, table, key, |tags| {
            tags.retain(|tag| !tag.as_str().is_some_and(|t| t.eq_ignore_ascii_case(name)));
        });
    }
}

fn edit(scene: &mut Scene<'_, '_>, table: &str, key: &str, f: impl FnOnce(&mut Vec<Value>)) {
    let Some(mut doc) = scene.txn.tables().get(table, key).cloned() else {
        return;
    };
    if !doc["tags"].is_array() {
        doc["tags"] = json!([]);
    }
    if let Some(tags) = doc["tags"].as_array_mut() {
        f(tags);
    }
    scene.txn.put(table, key, doc);
}
