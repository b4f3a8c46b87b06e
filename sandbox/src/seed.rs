//! What a world holds before anybody has created anything, and how it is emptied.

use serde_json::json;

use crate::call::Scene;
use crate::cloudflare;
use crate::digitalocean;
use crate::s3;

const TABLE: &str = "sandbox/seeded";

/// Puts the first objects into an empty world.
pub(crate) fn plant(scene: &mut Scene<'_, '_>) {
    if scene.txn.tables().get(TABLE, "seeded").is_some() {
        return;
    }
    digitalocean::seed(scene);
    cloudflare::seed(scene);
    s3::seed(scene);
    let at = scene.now;
    scene.txn.put(TABLE, "seeded", json!({ "at_ms": at }));
}

/// Removes everything and starts again.
pub(crate) fn reset(scene: &mut Scene<'_, '_>) {
    let tables: Vec<String> = scene.txn.tables().names("").cloned().collect();
    for table in tables {
        let rows = scene.txn.tables().list(&table);
        let keys: Vec<String> = rows.map(|(key, _)| key.clone()).collect();
        for key in keys {
            scene.txn.delete(&table, &key);
        }
    }
    plant(scene);
}
