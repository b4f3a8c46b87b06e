//! Tables about objects that planning reads: what cannot change, what a list's items are told apart
//! by, what has to go before the cluster does, how long things take.

use std::time::Duration;

use zonewright_engine::schema::Ground;
use zonewright_engine::value::Value;

use super::kinds::{self, Identity};

/// Paths that the server refuses to change. Secret and ConfigMap `data` is so only for objects that
/// say `immutable: true`; that is left to the server's answer.
pub(crate) const IMMUTABLE: &[(&str, &str)] = &[
    ("apps/DaemonSet", "spec.selector"),
    ("apps/Deployment", "spec.selector"),
    ("apps/ReplicaSet", "spec.selector"),
    ("apps/StatefulSet", "spec.podManagementPolicy"),
    ("apps/StatefulSet", "spec.selector"),
    ("apps/StatefulSet", "spec.serviceName"),
    ("apps/StatefulSet", "spec.volumeClaimTemplates"),
    ("batch/Job", "spec.completions"),
    ("batch/Job", "spec.selector"),
    ("batch/Job", "spec.template"),
    ("core/PersistentVolumeClaim", "spec.accessModes"),
    ("core/PersistentVolumeClaim", "spec.selector"),
    ("core/PersistentVolumeClaim", "spec.storageClassName"),
    ("core/PersistentVolumeClaim", "spec.volumeMode"),
    ("core/PersistentVolumeClaim", "spec.volumeName"),
    ("core/Secret", "type"),
    ("core/Service", "spec.clusterIP"),
    ("networking.k8s.io/IngressClass", "spec.controller"),
    ("node.k8s.io/RuntimeClass", "handler"),
    ("rbac.authorization.k8s.io/ClusterRoleBinding", "roleRef"),
    ("rbac.authorization.k8s.io/RoleBinding", "roleRef"),
    ("scheduling.k8s.io/PriorityClass", "value"),
    ("storage.k8s.io/StorageClass", "parameters"),
    ("storage.k8s.io/StorageClass", "provisioner"),
    ("storage.k8s.io/StorageClass", "reclaimPolicy"),
    ("storage.k8s.io/StorageClass", "volumeBindingMode"),
    (
        "apiextensions.k8s.io/CustomResourceDefinition",
        "spec.group",
    ),
    (
        "apiextensions.k8s.io/CustomResourceDefinition",
        "spec.scope",
    ),
];

/// What identifies an item of a list, by the last two keys of the list's path.
pub(crate) fn list_key(path: &[&str]) -> Option<&'static [&'static str]> {
    let list = *path.last()?;
    let parent = path.len().checked_sub(2).map(|i| path[i]);
    Some(match (parent, list) {
        // Ports of containers carry `containerPort`, those of Services `port`.
        (Some("containers" | "initContainers" | "ephemeralContainers"), "ports") => {
            &["containerPort", "protocol"]
        }
        (Some("spec"), "ports") => &["port", "protocol"],
        (Some("spec"), "versions")
        | (_, "containers" | "initContainers" | "ephemeralContainers")
        | (_, "env" | "volumes" | "webhooks" | "imagePullSecrets") => &["name"],
        (_, "volumeMounts") => &["mountPath"],
        (_, "volumeDevices") => &["devicePath"],
        (_, "conditions") => &["type"],
        (_, "hostAliases") => &["ip"],
        (_, "topologySpreadConstraints") => &["topologyKey", "whenUnsatisfiable"],
        (_, "matchConditions" | "resourceClaims" | "schedulingGates") => &["name"],
        (_, "ownerReferences") => &["uid"],
        (Some("metadata"), "secrets") => &["name"],
        _ => return None,
    })
}

/// Fields that the API's Go types omit when they are zero: a value of that, applied, is not there
/// afterwards (`omitempty` on fields that are no pointers, `k8s.io/api` of Kubernetes 1.36).
pub(crate) const ZERO_IS_UNSET: &[&str] = &[
    "externalName",
    "healthCheckNodePort",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "hostname",
    "initialDelaySeconds",
    "loadBalancerIP",
    "minReadySeconds",
    "nodeName",
    "nodePort",
    "paused",
    "preserveUnknownFields",
    "priorityClassName",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "subPath",
    "subPathExpr",
    "subdomain",
    "tty",
];

pub(super) fn text<'a>(object: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .try_fold(object, |value, key| value.get(key))
        .and_then(Value::as_str)
}

/// A Job is made anew: it runs to its end and holds nothing.
pub(crate) fn replaced_freely(object: &Value) -> bool {
    text(object, &["kind"]) == Some("Job")
}

/// What goes with an object that is deleted, for kinds that are never replaced by themselves.
pub(crate) fn never_replaced(object: &Value) -> Option<&'static str> {
    match text(object, &["kind"])? {
        "Namespace" => Some("everything in the namespace goes with it"),
        "CustomResourceDefinition" => Some("every object of the kind goes with it"),
        "PersistentVolumeClaim" | "PersistentVolume" => Some("the data goes with it"),
        "Service" if evict_first(object) => Some("the load balancer gets another address"),
        _ => None,
    }
}

/// What an object brings: a namespace, or the kind that it defines.
pub(crate) fn brings(object: &Value) -> Option<Ground> {
    match text(object, &["kind"])? {
        "Namespace" if text(object, &["apiVersion"]) == Some("v1") => Some(Ground::Namespace(
            text(object, &["metadata", "name"])?.to_owned(),
        )),
        "CustomResourceDefinition" => Some(Ground::Kind(
            text(object, &["spec", "group"])?.to_owned(),
            text(object, &["spec", "names", "kind"])?.to_owned(),
        )),
        _ => None,
    }
}

/// What has to be there before the server can try an object: its namespace, and its kind unless every
/// server has it.
pub(crate) fn stands_on(object: &Value) -> Vec<Ground> {
    let Some(id) = Identity::of_object(object) else {
        return Vec::new();
    };
    let kind = Ground::Kind(id.group.clone(), id.kind.clone());
    let custom = (!kinds::is_built_in_group(&id.group)).then_some(kind);
    let namespace = id.namespace.map(Ground::Namespace);
    namespace.into_iter().chain(custom).collect()
}

/// Whether something outside the cluster hangs on the object: a load balancer, a volume.
pub(crate) fn evict_first(object: &Value) -> bool {
    match text(object, &["kind"]) {
        Some("Service") => text(object, &["spec", "type"]) == Some("LoadBalancer"),
        Some("PersistentVolumeClaim") => true,
        _ => false,
    }
}

fn replicas(object: &Value) -> Option<i64> {
    object.get("spec")?.get("replicas")?.as_i64()
}

/// How long an object may take by its own word, and a moment for its controller to say that it took longer.
pub(crate) fn deadline(object: &Value) -> Option<Duration> {
    let says = |field: &str| {
        let seconds = object.get("spec")?.get(field)?.as_i64()?;
        u64::try_from(seconds).ok()
    };
    let seconds = match text(object, &["kind"])? {
        "Deployment" => says("progressDeadlineSeconds"),
        "Job" => says("activeDeadlineSeconds"),
        _ => None,
    };
    seconds.map(|s| Duration::from_secs(s.saturating_add(30)))
}

/// How long an object typically takes to be ready. Only the load balancer's figure is the vendor's; the
/// others are those of charts on a fresh node, images included.
pub(crate) fn typical(object: &Value) -> Duration {
    let api = text(object, &["apiVersion"]).unwrap_or_default();
    Duration::from_millis(match text(object, &["kind"]).unwrap_or_default() {
        // Nothing has to start.
        "Deployment" | "StatefulSet" if replicas(object) == Some(0) => 300,
        "Deployment" => 25_000,
        "StatefulSet" => 40_000,
        "DaemonSet" | "Job" => 20_000,
        "Pod" => 10_000,
        // A load balancer has its address after 1 to 3 minutes; the middle.
        "Service" if evict_first(object) => 120_000,
        "PersistentVolumeClaim" => 10_000,
        "CustomResourceDefinition" => 2_000,
        "APIService" => 10_000,
        "Certificate" => 60_000,
        "Issuer" | "ClusterIssuer" if api.starts_with("cert-manager.io/") => 10_000,
        "Prometheus" | "Alertmanager" => 60_000,
        "Ingress" | "Gateway" => 5_000,
        _ => 300,
    })
}
