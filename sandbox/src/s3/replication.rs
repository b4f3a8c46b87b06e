//! Buckets that are copied into others, as the sandbox is told to: what was put into the one is in the other
//! after a while, and what was removed is removed. The vendor has no such rule of its own; something that
//! copies, like rclone, behaves like this when it runs all the time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BUCKETS, STANDARD, etag, objects_of};
use crate::call::{Scene, text};

use base64::Engine as _;

/// Rules by the bucket that is copied.
const RULES: &str = "s3/replication";

/// What is changed about a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bucket {
    /// The bucket that it is copied into from now on, or `""` for none.
    pub copied_to: Option<String>,
    /// Seconds until an object is in the copy.
    pub copy_lag_seconds: u64,
    /// An object that is put into it.
    pub put: Option<String>,
    /// How old that object is, in seconds.
    pub age_seconds: u64,
}

/// Changes a bucket that exists.
///
/// # Errors
/// There is no such bucket.
pub(crate) fn change(scene: &mut Scene<'_, '_>, name: &str, asked: &Bucket) -> Result<(), String> {
    let exists = |scene: &Scene<'_, '_>, bucket: &str| match scene.txn.tables().get(BUCKETS, bucket)
    {
        Some(_) => Ok(()),
        None => Err(format!("there is no bucket {bucket}")),
    };
    exists(scene, name)?;
    match asked.copied_to.as_deref() {
        None => {}
        Some("") => {
            scene.txn.delete(RULES, name);
        }
        Some(to) => {
            exists(scene, to)?;
            let rule = json!({ "to": to, "lag_ms": asked.copy_lag_seconds.saturating_mul(1000) });
            scene.txn.put(RULES, name, rule);
        }
    }
    if let Some(key) = &asked.put {
        let body = Bytes::from(format!("put by hand: {key}"));
        let age = asked.age_seconds.saturating_mul(1000);
        let doc = json!({
            "etag": etag(&body), "body": STANDARD.encode(&body), "size": body.len(),
            "type": "text/plain", "acl": "private", "stored_ms": scene.now.saturating_sub(age),
        });
        scene.txn.put(&objects_of(name), key, doc);
    }
    Ok(())
}

/// Does what is due by now.
pub(super) fn work(scene: &mut Scene<'_, '_>) {
    let rules: Vec<(String, Value)> = rows(scene, RULES);
    for (from, rule) in rules {
        let (to, lag) = (
            text(&rule, "to").to_owned(),
            rule["lag_ms"].as_u64().unwrap_or(0),
        );
        let table = objects_of(&to);
        let originals = rows(scene, &objects_of(&from));
        for (key, original) in &originals {
            let stored = original["stored_ms"].as_u64().unwrap_or(0);
            let known = scene.txn.tables().get(&table, key);
            let due = stored.saturating_add(lag) <= scene.now;
            if due && known.is_none_or(|k| k["etag"] != original["etag"]) {
                let mut copy = original.clone();
                copy["stored_ms"] = json!(scene.now);
                copy["copied_from"] = json!(from);
                scene.txn.put(&table, key, copy);
            }
        }
        for (key, copy) in rows(scene, &table) {
            let gone = !originals.iter().any(|(original, _)| *original == key);
            if copy["copied_from"] == from.as_str() && gone {
                scene.txn.delete(&table, &key);
            }
        }
    }
}

fn rows(scene: &Scene<'_, '_>, table: &str) -> Vec<(String, Value)> {
    let rows = scene.txn.tables().list(table);
    rows.map(|(key, doc)| (key.clone(), doc.clone())).collect()
}
