//! Volume claims become bound, and leave with their finalizer.

use serde_json::json;

use super::super::request::Ctx;
use super::{Looked, waits_until};

const PROTECTION: &str = "kubernetes.io/pvc-protection";

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() {
        it.update(ctx, |o| {
            if let Some(list) = o["metadata"]["finalizers"].as_array_mut() {
                list.retain(|f| f != PROTECTION);
            }
        });
        if super::super::persist::is_finished(&it.object) {
            ctx.txn.delete(&it.table, &it.key);
        }
        return None;
    }
    let since = it.since(ctx, "");
    if let Some(due) = waits_until(ctx, since, 10) {
        return Some(due);
    }
    let volume = format!("pvc-{}", it.uid());
    it.update(ctx, |o| {
        if !o["spec"]["volumeName"].is_string() {
            o["spec"]["volumeName"] = json!(volume);
        }
        o["status"]["phase"] = json!("Bound");
        o["status"]["accessModes"] = o["spec"]["accessModes"].clone();
        o["status"]["capacity"] = o["spec"]["resources"]["requests"].clone();
    });
    None
}
