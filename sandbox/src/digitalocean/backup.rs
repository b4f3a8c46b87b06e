//! Backups of a database: the first a while after it is ready, then one a day, the newest seven.

use serde_json::{Value, json};

use crate::call::{Scene, rfc3339, text};
use crate::reply;

use super::error::ApiError;
use super::{Answer, all, catalog, database};

/// How long after it is ready a database has its first backup, in the vendor's seconds. The vendor gives no
/// figure; its Terraform provider waits for one up to 30 minutes.
pub(super) const FIRST: u64 = 600;
const DAY: u64 = 24 * 3600;
const KEPT: u64 = 7;
/// Without latencies a day would take no time at all.
const SHORTEST_DAY_MS: u64 = 14_400;

pub(super) fn answer(scene: &Scene<'_, '_>, id: &str) -> Answer {
    let doc = database::find(scene, id)?;
    // In no order that a client could rely on: here, the oldest last but one.
    let mut shown: Vec<Value> = times(scene, &doc)
        .map(
            |at| json!({"created_at": rfc3339(at), "size_gigabytes": 0.0336, "incremental": false}),
        )
        .collect();
    let middle = shown.len() / 2;
    shown.rotate_left(middle);
    Ok(reply::json(
        200,
        &json!({"backups": shown, "backup_progress": "0", "scheduled_backup_time": {
            "backup_hour": 2, "backup_minute": 0, "backup_interval_hours": 24}}),
    ))
}

/// Whether a database has a finished backup.
pub(super) fn exists(scene: &Scene<'_, '_>, doc: &Value) -> bool {
    times(scene, doc).next().is_some()
}

/// The cluster whose backup a request wants to restore, and the time of that backup.
pub(super) fn source(
    scene: &Scene<'_, '_>,
    restore: &Value,
    size: &str,
) -> Result<(Value, u64), ApiError> {
    let name = text(restore, "database_name");
    let doc = all(scene.txn.tables(), database::TABLE)
        .find(|doc| text(doc, "name") == name)
        .cloned()
        .ok_or_else(|| ApiError::new(404, "not_found", "the source cluster does not exist"))?;
    if !exists(scene, &doc) {
        return Err(ApiError::precondition(
            "the source cluster has no backup yet",
        ));
    }
    let wanted = text(restore, "backup_created_at");
    let at = times(scene, &doc).find(|at| wanted.is_empty() || rfc3339(*at) == wanted);
    let at = at.ok_or_else(|| ApiError::unprocessable("there is no backup of that time"))?;
    if catalog::database_rank(size) < catalog::database_rank(text(&doc, "size")) {
        let message = "the size must not be smaller than that of the source";
        return Err(ApiError::unprocessable(message));
    }
    Ok((doc, at))
}

/// When the backups were made that are there, newest first.
pub(super) fn times(scene: &Scene<'_, '_>, doc: &Value) -> impl Iterator<Item = u64> + use<> {
    let day = scene.scaled(DAY).max(SHORTEST_DAY_MS);
    let (newest, count) = match &doc["backups"] {
        Value::Null => running(doc, scene.now, day),
        // Told by the control API: backups have stopped, or there never was one.
        told => match told["newest_ms"].as_u64() {
            Some(newest) => (newest, KEPT),
            None => (0, 0),
        },
    };
    (0..count).map(move |n| newest.saturating_sub(n * day))
}

/// The newest backup of a database that is backed up, and how many are kept.
fn running(doc: &Value, now: u64, day: u64) -> (u64, u64) {
    let first = doc["backup_ms"].as_u64().unwrap_or(u64::MAX);
    match now.checked_sub(first) {
        Some(age) => (first + age / day * day, (age / day + 1).min(KEPT)),
        None => (0, 0),
    }
}
