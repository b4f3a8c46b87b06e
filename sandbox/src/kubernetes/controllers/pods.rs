//! The pods of workloads, with the ReplicaSets and claims between them.

use serde_json::{Value, json};

use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid};
use super::Looked;
use super::job_pod::OUTPUT;
use super::workload::{Fate, template_hash};

/// Pods that a workload gets at most; the counts in its status are exact anyway.
const MOST: u64 = 50;

/// The pods that a workload should have.
pub(super) struct Pods {
    pub(super) wanted: u64,
    pub(super) ready: bool,
    pub(super) fate: Fate,
    /// Whether they had no time to start yet.
    pub(super) starting: bool,
}

/// Makes the pods of a workload what they should be.
pub(super) fn ensure(ctx: &mut Ctx<'_, '_>, it: &Looked, pods: Pods) {
    let hash = template_hash(&it.object);
    let kind = it.object["kind"].as_str().unwrap_or_default();
    let (owner, prefix) = match kind {
        "Deployment" => (
            replica_set(ctx, it, &hash, &pods),
            format!("{}-{hash}-", it.name()),
        ),
        _ => (owner(&it.object), format!("{}-", it.name())),
    };
    let table = table(ctx.cluster, "", "pods");
    let namespace = it.namespace().to_owned();
    let names: Vec<String> = (0..pods.wanted.min(MOST))
        .map(|n| format!("{prefix}{}", suffix(kind, it.uid(), n)))
        .collect();
    for (index, name) in names.iter().enumerate() {
        let at = key(Some(&namespace), name);
        let known = ctx.tables().get(&table, &at).cloned();
        if kind == "StatefulSet" {
            claims(ctx, it, index);
        }
        let stale = known
            .as_ref()
            .is_some_and(|k| k["metadata"]["labels"]["pod-template-hash"] != hash.as_str());
        let mut pod = match known.clone() {
            Some(pod) if !stale => pod,
            _ => new_pod(ctx, it, name, &hash, &owner),
        };
        pod["status"] = status(ctx, &pod, &pods);
        if known.as_ref() != Some(&pod) {
            ctx.store(&table, &at, pod);
        }
    }
    let uids = [
        it.uid().to_owned(),
        owner["uid"].as_str().unwrap_or_default().to_owned(),
    ];
    let start = format!("{namespace}/{}-", it.name());
    let extra: Vec<String> = ctx
        .tables()
        .range(&table, &start, "")
        .filter(|(_, p)| {
            uids.iter()
                .any(|u| p["metadata"]["ownerReferences"][0]["uid"] == u.as_str())
        })
        .filter(|(_, p)| !names.iter().any(|n| p["metadata"]["name"] == n.as_str()))
        .map(|(k, _)| k.clone())
        .collect();
    for at in extra {
        ctx.txn.delete(&table, &at);
    }
}

fn suffix(kind: &str, uid: &str, n: u64) -> String {
    if kind == "StatefulSet" {
        return n.to_string();
    }
    let start: String = uid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(3)
        .collect();
    format!("{start}{n:02}")
}

fn owner(object: &Value) -> Value {
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "controller": true,
           "blockOwnerDeletion": true, "name": object["metadata"]["name"],
           "uid": object["metadata"]["uid"]})
}

/// The ReplicaSet of a Deployment's template; older ones go.
fn replica_set(ctx: &mut Ctx<'_, '_>, it: &Looked, hash: &str, pods: &Pods) -> Value {
    let table = table(ctx.cluster, "apps", "replicasets");
    let namespace = it.namespace().to_owned();
    let name = format!("{}-{hash}", it.name());
    let start = format!("{namespace}/{}-", it.name());
    let at = key(Some(&namespace), &name);
    let old: Vec<String> = ctx
        .tables()
        .range(&table, &start, "")
        .filter(|(k, o)| **k != at && o["metadata"]["ownerReferences"][0]["uid"] == it.uid())
        .map(|(k, _)| k.clone())
        .collect();
    for at in old {
        ctx.txn.delete(&table, &at);
    }
    let known = ctx.tables().get(&table, &at).cloned();
    let mut set = known.clone().unwrap_or_else(|| {
        let mut template = it.object["spec"]["template"].clone();
        template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
        let mut selector = it.object["spec"]["selector"].clone();
        selector["matchLabels"]["pod-template-hash"] = json!(hash);
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
                   "name": name, "namespace": namespace, "uid": new_uid(), "generation": 1,
                   "creationTimestamp": ctx.now(), "labels": template["metadata"]["labels"],
                   "ownerReferences": [owner(&it.object)]},
               "spec": {"replicas": pods.wanted, "selector": selector, "template": template}})
    });
    let ready = if pods.ready { pods.wanted } else { 0 };
    set["spec"]["replicas"] = json!(pods.wanted);
    set["status"] = json!({"replicas": pods.wanted, "fullyLabeledReplicas": pods.wanted,
                           "readyReplicas": ready, "availableReplicas": ready, "observedGeneration": 1});
    if known.as_ref() != Some(&set) {
        set = ctx.store(&table, &at, set);
    }
    owner(&set)
}

fn new_pod(ctx: &Ctx<'_, '_>, it: &Looked, name: &str, hash: &str, owner: &Value) -> Value {
    let template = &it.object["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["pod-template-hash"] = json!(hash);
    let mut metadata = json!({"name": name, "namespace": it.namespace(), "uid": new_uid(), "generation": 1,
                              "creationTimestamp": ctx.now(), "labels": labels, "ownerReferences": [owner]});
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    let mut spec = template["spec"].clone();
    spec["nodeName"] = json!("node-1");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// An address that follows from the uid.
fn address(uid: &str) -> String {
    let hex: String = uid.chars().filter(char::is_ascii_hexdigit).collect();
    let part = |at: usize| {
        hex.get(at..at + 2)
            .and_then(|h| u8::from_str_radix(h, 16).ok())
            .unwrap_or(1)
    };
    format!("10.244.{}.{}", part(0) % 64, part(2).clamp(2, 254))
}

fn status(ctx: &Ctx<'_, '_>, pod: &Value, pods: &Pods) -> Value {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let now = ctx.now();
    let known = &pod["status"];
    let ready = pods.ready;
    let text = if ready { "True" } else { "False" };
    let same = known["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c["type"] == "Ready" && c["status"] == text);
    let since = same.map_or(json!(now), |c| c["lastTransitionTime"].clone());
    let started = known["startTime"].as_str().map_or(now, str::to_owned);
    let waiting = match pods.fate {
        _ if pods.starting => Some(("ContainerCreating", String::new())),
        Fate::CrashLoop => Some((
            "CrashLoopBackOff",
            "back-off 40s restarting failed container".to_owned(),
        )),
        Fate::BadImage => Some((
            "InvalidImageName",
            "Failed to apply default image tag: invalid reference format".to_owned(),
        )),
        Fate::ImagePull => Some(("ImagePullBackOff", "Back-off pulling image".to_owned())),
        Fate::Ready | Fate::Never => None,
    };
    let containers = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| {
            let state = match &waiting {
                Some((reason, message)) if message.is_empty() => {
                    json!({"waiting": {"reason": reason}})
                }
                Some((reason, message)) => {
                    json!({"waiting": {"reason": reason, "message": message}})
                }
                None => json!({"running": {"startedAt": started}}),
            };
            let crashes = pods.fate == Fate::CrashLoop && !pods.starting;
            let mut out = json!({"name": c["name"], "image": c["image"], "imageID": "", "ready": ready,
               "started": waiting.is_none(), "state": state,
               "restartCount": if crashes { 5 } else { 0 }});
            if crashes {
                let said = pod["metadata"]["annotations"][OUTPUT].as_str().unwrap_or_default();
                out["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error",
                    "message": said, "startedAt": started, "finishedAt": started}});
            }
            out
        });
    let running = waiting.is_none() || pods.fate == Fate::CrashLoop && !pods.starting;
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(|kind| {
        let holds = ready || !matches!(kind, "Ready" | "ContainersReady");
        let mut out = json!({"type": kind, "status": if holds { "True" } else { "False" },
                             "lastTransitionTime": if matches!(kind, "Ready" | "ContainersReady") { since.clone() } else { json!(started) }});
        if !holds {
            out["reason"] = json!("ContainersNotReady");
            out["message"] = json!("containers with unready status");
        }
        out
    });
    let ip = address(uid);
    json!({"phase": if running { "Running" } else { "Pending" }, "conditions": conditions,
           "containerStatuses": containers.collect::<Vec<_>>(), "startTime": started,
           "hostIP": "10.110.0.2", "podIP": ip, "podIPs": [{"ip": ip}], "qosClass": "BestEffort"})
}

/// The volume claims of one pod of a StatefulSet.
fn claims(ctx: &mut Ctx<'_, '_>, it: &Looked, index: usize) {
    let table = table(ctx.cluster, "", "persistentvolumeclaims");
    for template in it.object["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let prefix = template["metadata"]["name"].as_str().unwrap_or_default();
        let name = format!("{prefix}-{}-{index}", it.name());
        let at = key(Some(it.namespace()), &name);
        if ctx.tables().get(&table, &at).is_some() {
            continue;
        }
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
                "name": name, "namespace": it.namespace(), "uid": new_uid(),
                "creationTimestamp": ctx.now(), "finalizers": ["kubernetes.io/pvc-protection"],
                "labels": it.object["spec"]["selector"]["matchLabels"]},
            "spec": template["spec"], "status": {"phase": "Pending"},
        });
        ctx.store(&table, &at, claim);
    }
}
