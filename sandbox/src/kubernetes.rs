//! The emulated Kubernetes API of each cluster.
//!
//! Until the emulator is in place every request is answered 503, as by an API server that is down.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;

use crate::reply::{self, Body};
use crate::world::{Txn, World};

/// Answers a request to the API of a cluster; `path` is the path inside the cluster.
pub async fn handle(
    _world: &Arc<World>,
    _cluster_id: &str,
    path: &str,
    _req: Request<Bytes>,
) -> Response<Body> {
    let message = format!("the server is currently unable to handle the request for {path}");
    reply::json(
        503,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": "ServiceUnavailable", "code": 503, "metadata": {}}),
    )
}

/// Puts the objects into a new cluster that every cluster has.
pub fn create_cluster(_world: &World, _txn: &mut Txn<'_>, _cluster_id: &str) {}

/// Removes every object of a cluster that is gone.
pub fn delete_cluster(txn: &mut Txn<'_>, cluster_id: &str) {
    let prefix = format!("kubernetes/{cluster_id}/");
    let tables: Vec<String> = txn.tables().names(&prefix).cloned().collect();
    for table in tables {
        let keys: Vec<String> = txn.tables().list(&table).map(|(k, _)| k.clone()).collect();
        for key in keys {
            txn.delete(&table, &key);
        }
    }
}
