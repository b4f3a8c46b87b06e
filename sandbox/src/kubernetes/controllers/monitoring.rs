//! The Prometheus operator: its custom resources become available once it runs.

use serde_json::json;

use super::super::request::Ctx;
use super::{Looked, condition, has_ready_deployment, waits_until};

/// Seconds from the operator's first look to ready pods.
const STARTING: u64 = 20;

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let operator = has_ready_deployment(ctx, |d| {
        let labels = &d["metadata"]["labels"];
        let label = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        label("app").contains("prometheus-stack-operator")
            || label("app.kubernetes.io/name") == "prometheus-operator"
            || label("app.kubernetes.io/component") == "prometheus-operator"
    });
    if !operator || it.is_terminating() {
        return None;
    }
    let generation = it.generation();
    let since = it.since(ctx, &generation.to_string());
    let due = waits_until(ctx, since, STARTING);
    let now = ctx.now();
    it.update(ctx, |o| {
        let wanted = o["spec"]["replicas"].as_u64().unwrap_or(1);
        let ready = if due.is_some() { 0 } else { wanted };
        let status = &mut o["status"];
        let told = if due.is_some() {
            ("Available", false, "NoPodReady", "pods are starting")
        } else {
            ("Available", true, "", "")
        };
        condition(status, &now, told);
        condition(status, &now, ("Reconciled", true, "", ""));
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = json!(generation);
        }
        status["replicas"] = json!(wanted);
        status["updatedReplicas"] = json!(wanted);
        status["availableReplicas"] = json!(ready);
        status["unavailableReplicas"] = json!(wanted - ready);
        status["paused"] = json!(false);
    });
    due
}
