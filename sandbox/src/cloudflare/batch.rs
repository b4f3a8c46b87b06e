//! A batch of record changes: deletes, patches, puts, posts, in this order whatever the order in
//! the body; all of it or nothing.

use serde_json::{Map, Value, json};

use crate::call::{Scene, text};

use super::dns::{self, Records};
use super::{Answer, ApiError, success};

/// The most changes in one batch on the free plan.
const MOST: usize = 200;

pub(super) fn answer(
    scene: &mut Scene<'_, '_>,
    zone: &Value,
    mut records: Records,
    body: &Map<String, Value>,
) -> Answer {
    let items = |name: &str| -> Result<Vec<Map<String, Value>>, ApiError> {
        let listed = match body.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(listed) => listed.as_array().ok_or_else(ApiError::malformed)?,
        };
        listed
            .iter()
            .map(|item| item.as_object().cloned().ok_or_else(ApiError::malformed))
            .collect()
    };
    let (deletes, patches) = (items("deletes")?, items("patches")?);
    let (puts, posts) = (items("puts")?, items("posts")?);
    let count = deletes.len() + patches.len() + puts.len() + posts.len();
    if count == 0 || count > MOST {
        let message = format!("A batch must have between 1 and {MOST} operations.");
        return Err(ApiError::new(400, 9402, message));
    }
    // The changes are tried on a copy; the world sees them only when all have passed.
    let before = records.clone();
    let mut done = json!({"deletes": [], "patches": [], "puts": [], "posts": []});
    let mut note = |name: &str, record: &Value| {
        if let Some(list) = done[name].as_array_mut() {
            list.push(record.clone());
        }
    };
    for item in deletes {
        let gone = records.remove(id(&item)).ok_or_else(dns::unknown)?;
        note("deletes", &gone);
    }
    let changes = patches.iter().map(|item| ("patches", item));
    for (name, item) in changes.chain(puts.iter().map(|item| ("puts", item))) {
        let old = records.get(id(item)).cloned().ok_or_else(dns::unknown)?;
        let new = dns::change(scene, zone, &records, &old, item, name == "puts")?;
        records.insert(id(item).to_owned(), new.clone());
        note(name, &new);
    }
    for item in posts {
        let new = dns::create(scene, zone, &records, &item)?;
        records.insert(text(&new, "id").to_owned(), new.clone());
        note("posts", &new);
    }
    let table = dns::table(zone);
    for gone in before.keys().filter(|id| !records.contains_key(*id)) {
        scene.txn.delete(&table, gone);
    }
    for (id, record) in &records {
        if before.get(id) != Some(record) {
            scene.txn.put(&table, id, record.clone());
        }
    }
    Ok(success(&done))
}

fn id(item: &Map<String, Value>) -> &str {
    item.get("id").and_then(Value::as_str).unwrap_or("")
}
