//! How the storage treats writes: well, or like one of those that only seem to.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;

use super::{Call, answer};
use crate::call::Scene;
use crate::control::Storage;
use crate::reply::{self, Body};
use crate::sandbox::Sandbox;

/// Between the check and the write of a storage that does one after the other.
const GAP: Duration = Duration::from_millis(100);

/// Answers a request, in the way that is switched on.
pub(crate) async fn carry_out(sandbox: &Sandbox, req: &Request<Bytes>) -> Response<Body> {
    let now = |checked| sandbox.on_stage(|scene| answer(scene, req, checked));
    let create = *req.method() == Method::PUT && req.headers().contains_key("if-none-match");
    match sandbox.storage() {
        Storage::CheckThenAct if create => {
            let mut there = false;
            sandbox.on_stage(|scene| {
                let call = Call::new(req);
                there = scene.txn.tables().get(&call.objects(), &call.key).is_some();
                reply::empty(204)
            });
            if !there {
                tokio::time::sleep(GAP).await;
            }
            now(!there)
        }
        Storage::RepeatsWrites if create => {
            now(false);
            now(false)
        }
        _ => now(false),
    }
}

/// Whether a condition of a write is looked at when the write is done.
pub(super) fn checks(scene: &Scene<'_, '_>, call: &Call<'_>) -> bool {
    !call.checked && scene.switches.storage != Storage::IgnoresConditions
}

fn markers(call: &Call<'_>) -> String {
    format!("s3/deleted/{}", call.bucket)
}

/// Notes that an object was deleted.
pub(super) fn deleted(scene: &mut Scene<'_, '_>, call: &Call<'_>) {
    if scene.switches.storage == Storage::DeleteMarkers {
        scene.txn.put(&markers(call), &call.key, json!({}));
    }
}

/// Whether a deleted object counts as there.
pub(super) fn is_marked(scene: &Scene<'_, '_>, call: &Call<'_>) -> bool {
    scene.switches.storage == Storage::DeleteMarkers
        && scene.txn.tables().get(&markers(call), &call.key).is_some()
}
