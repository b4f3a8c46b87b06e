//! The Prometheus operator: its custom resources become available once it runs.

use serde_json::json;

use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid};
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
    pods_of(ctx, &it);
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

/// The StatefulSet that the operator makes of a custom resource; Services select its pods.
fn pods_of(ctx: &mut Ctx<'_, '_>, it: &Looked) {
    let kind = it.object["kind"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    let name = format!("{kind}-{}", it.name());
    let sets = table(ctx.cluster, "apps", "statefulsets");
    let at = key(Some(it.namespace()), &name);
    let replicas = it.object["spec"]["replicas"].as_u64().unwrap_or(1);
    if let Some(mut known) = ctx.tables().get(&sets, &at).cloned() {
        if known["spec"]["replicas"] != replicas {
            known["spec"]["replicas"] = json!(replicas);
            let generation = known["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            known["metadata"]["generation"] = json!(generation);
            ctx.store(&sets, &at, known);
        }
        return;
    }
    let mut labels = json!({"app.kubernetes.io/name": kind, "app.kubernetes.io/instance": it.name(),
                            "operator.prometheus.io/name": it.name()});
    labels[kind.as_str()] = json!(it.name());
    let owner = json!({"apiVersion": it.object["apiVersion"], "kind": it.object["kind"],
                       "name": it.name(), "uid": it.uid(), "controller": true, "blockOwnerDeletion": true});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {
            "name": name, "namespace": it.namespace(), "uid": new_uid(), "generation": 1,
            "creationTimestamp": ctx.now(), "labels": labels, "ownerReferences": [owner]},
        "spec": {"replicas": replicas, "serviceName": format!("{kind}-operated"),
                 "podManagementPolicy": "Parallel", "selector": {"matchLabels": labels}, "template": {
                     "metadata": {"labels": labels},
                     "spec": {"containers": [{"name": kind, "image": it.object["spec"]["image"]}]}}},
    });
    ctx.store(&sets, &at, set);
}
