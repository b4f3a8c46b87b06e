//! Deployments, StatefulSets and DaemonSets: their pods start, and they become ready.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::request::Ctx;
use super::pods::{self, Pods};
use super::{Looked, condition, waits_until};

/// Seconds from a change to ready pods.
const ROLLOUT: u64 = 30;

/// The annotation by which tests and rehearsals decide how a workload ends.
const KNOB: &str = "sandbox.zonewright.dev/ready";

/// What becomes of the pods of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Ready,
    Never,
    CrashLoop,
    ImagePull,
    BadImage,
}

/// Reads the knob of a workload or of its pod template.
pub(super) fn fate(object: &Value) -> Fate {
    let own = object["metadata"]["annotations"][KNOB].as_str();
    let template = object["spec"]["template"]["metadata"]["annotations"][KNOB].as_str();
    match own.or(template) {
        Some("never") => Fate::Never,
        Some("crashloop") => Fate::CrashLoop,
        Some("imagepull") => Fate::ImagePull,
        Some("badimage") => Fate::BadImage,
        _ => Fate::Ready,
    }
}

/// A short digest that names the pods of a template.
pub(super) fn template_hash(object: &Value) -> String {
    let digest = Sha256::digest(object["spec"]["template"].to_string().as_bytes());
    digest.iter().take(5).map(|b| format!("{b:02x}")).collect()
}

/// How many nodes a DaemonSet finds.
fn nodes(ctx: &Ctx<'_, '_>) -> u64 {
    let cluster = ctx
        .tables()
        .get("digitalocean/kubernetes_clusters", ctx.cluster);
    let Some(pools) = cluster.and_then(|c| c["node_pools"].as_array()) else {
        return 1;
    };
    pools.iter().map(|p| p["count"].as_u64().unwrap_or(0)).sum()
}

pub(super) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() {
        return None;
    }
    let kind = it.object["kind"].as_str().unwrap_or_default().to_owned();
    let wanted = match kind.as_str() {
        "DaemonSet" => nodes(ctx),
        _ => it.object["spec"]["replicas"].as_u64().unwrap_or(1),
    };
    let stamp = it.generation().to_string();
    let since = it.since(ctx, &stamp);
    let fate = fate(&it.object);
    let due = waits_until(ctx, since, ROLLOUT);
    let ready = due.is_none() && fate == Fate::Ready;
    pods::ensure(
        ctx,
        &it,
        Pods {
            wanted,
            ready,
            fate,
            starting: due.is_some(),
        },
    );
    let overdue = match it.object["spec"]["progressDeadlineSeconds"].as_u64() {
        Some(deadline) if !ready && due.is_none() => waits_until(ctx, since, deadline),
        _ => None,
    };
    let late = !ready && due.is_none() && overdue.is_none() && wanted > 0;
    let now = ctx.now();
    let hash = template_hash(&it.object);
    let up = if ready { wanted } else { 0 };
    let name = it.name().to_owned();
    it.update(ctx, |o| {
        let generation = o["metadata"]["generation"].clone();
        match kind.as_str() {
            "Deployment" => deployment(&mut o["status"], (wanted, up, late), &now, (&name, &hash)),
            "StatefulSet" => stateful_set(&mut o["status"], (wanted, up), (&name, &hash)),
            _ => daemon_set(&mut o["status"], (wanted, up)),
        }
        o["status"]["observedGeneration"] = generation;
        if kind == "Deployment" {
            o["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("1");
        }
    });
    due.or(overdue)
}

/// Sets a count; zero is left out, as in the answers of a real server.
fn count(status: &mut Value, field: &str, value: u64) {
    if status.is_null() {
        *status = json!({});
    }
    let Some(map) = status.as_object_mut() else {
        return;
    };
    if value == 0 {
        map.remove(field);
    } else {
        map.insert(field.to_owned(), json!(value));
    }
}

fn deployment(
    status: &mut Value,
    (wanted, up, late): (u64, u64, bool),
    now: &str,
    (name, hash): (&str, &str),
) {
    count(status, "replicas", wanted);
    count(status, "updatedReplicas", wanted);
    count(status, "readyReplicas", up);
    count(status, "availableReplicas", up);
    count(status, "unavailableReplicas", wanted - up);
    let set = format!("{name}-{hash}");
    if up == wanted {
        let text = "Deployment has minimum availability.";
        condition(
            status,
            now,
            ("Available", true, "MinimumReplicasAvailable", text),
        );
        let text = format!("ReplicaSet \"{set}\" has successfully progressed.");
        condition(
            status,
            now,
            ("Progressing", true, "NewReplicaSetAvailable", &text),
        );
        return;
    }
    let text = "Deployment does not have minimum availability.";
    condition(
        status,
        now,
        ("Available", false, "MinimumReplicasUnavailable", text),
    );
    if late {
        let text = format!("ReplicaSet \"{set}\" has timed out progressing.");
        condition(
            status,
            now,
            ("Progressing", false, "ProgressDeadlineExceeded", &text),
        );
    } else {
        let text = format!("ReplicaSet \"{set}\" is progressing.");
        condition(
            status,
            now,
            ("Progressing", true, "ReplicaSetUpdated", &text),
        );
    }
}

fn stateful_set(status: &mut Value, (wanted, up): (u64, u64), (name, hash): (&str, &str)) {
    count(status, "replicas", wanted);
    status["replicas"] = json!(wanted);
    status["availableReplicas"] = json!(up);
    for field in ["currentReplicas", "updatedReplicas"] {
        count(status, field, wanted);
    }
    count(status, "readyReplicas", up);
    let revision = json!(format!("{name}-{hash}"));
    status["currentRevision"] = revision.clone();
    status["updateRevision"] = revision;
    status["collisionCount"] = json!(0);
}

fn daemon_set(status: &mut Value, (wanted, up): (u64, u64)) {
    count(status, "updatedNumberScheduled", wanted);
    status["currentNumberScheduled"] = json!(wanted);
    status["desiredNumberScheduled"] = json!(wanted);
    status["numberMisscheduled"] = json!(0);
    status["numberReady"] = json!(up);
    count(status, "numberAvailable", up);
    count(status, "numberUnavailable", wanted - up);
}
