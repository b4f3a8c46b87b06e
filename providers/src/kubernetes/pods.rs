//! What a workload's pods need: the objects that their template names.

use zonewright_engine::schema::Need;
use zonewright_engine::value::Value;

fn path<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_list).unwrap_or_default()
}

/// The template of a workload's pods: labels and spec are in it. A pod is its own.
pub(crate) fn template<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    match kind {
        "Pod" => Some(object),
        "Deployment"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicaSet"
        | "Job"
        | "ReplicationController" => path(object, &["spec", "template"]),
        "CronJob" => path(object, &["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// The name of the service account that pods run as.
pub(crate) fn service_account(template: &Value) -> &str {
    path(template, &["spec", "serviceAccountName"])
        .and_then(Value::as_str)
        .unwrap_or("default")
}

/// Everything that the pods of an object name; nothing of what runs none.
pub(crate) fn needs_of(object: &Value) -> Vec<Need> {
    let kind = object.get("kind").and_then(Value::as_str);
    let template = kind.and_then(|kind| template(kind, object));
    template.map(needs).unwrap_or_default()
}

/// The ConfigMaps and Secrets that the containers of a lasting workload take. A Job ends by itself and its
/// template cannot change; the next run of a CronJob reads them anew.
pub(crate) fn reads_at_start(object: &Value) -> Vec<Need> {
    let kind = object.get("kind").and_then(Value::as_str);
    let lasting = matches!(kind, Some("Deployment" | "StatefulSet" | "DaemonSet"));
    let Some(spec) = path(object, &["spec", "template", "spec"]).filter(|_| lasting) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            container_needs(container, &mut out);
        }
    }
    for volume in items(spec, "volumes") {
        volume_needs(volume, &mut out);
    }
    out.retain(|need| matches!(need.kind, "ConfigMap" | "Secret"));
    out.sort();
    out.dedup();
    out
}

/// Everything that pods name, in no particular order; what is optional counts too.
pub(crate) fn needs(template: &Value) -> Vec<Need> {
    let Some(spec) = template.get("spec") else {
        return Vec::new();
    };
    let mut out = Vec::new();
    add(&mut out, "ServiceAccount", spec.get("serviceAccountName"));
    add(&mut out, "PriorityClass", spec.get("priorityClassName"));
    add(&mut out, "RuntimeClass", spec.get("runtimeClassName"));
    for secret in items(spec, "imagePullSecrets") {
        add(&mut out, "Secret", secret.get("name"));
    }
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            container_needs(container, &mut out);
        }
    }
    for volume in items(spec, "volumes") {
        volume_needs(volume, &mut out);
    }
    out
}

fn add(out: &mut Vec<Need>, kind: &'static str, name: Option<&Value>) {
    if let Some(name) = name.and_then(Value::as_str) {
        out.push(Need {
            kind,
            name: name.to_owned(),
        });
    }
}

fn container_needs(container: &Value, out: &mut Vec<Need>) {
    for env in items(container, "env") {
        let from = |key| path(env, &["valueFrom", key, "name"]);
        add(out, "ConfigMap", from("configMapKeyRef"));
        add(out, "Secret", from("secretKeyRef"));
    }
    for from in items(container, "envFrom") {
        add(out, "ConfigMap", path(from, &["configMapRef", "name"]));
        add(out, "Secret", path(from, &["secretRef", "name"]));
    }
}

fn volume_needs(volume: &Value, out: &mut Vec<Need>) {
    add(out, "ConfigMap", path(volume, &["configMap", "name"]));
    add(out, "Secret", path(volume, &["secret", "secretName"]));
    let claim = path(volume, &["persistentVolumeClaim", "claimName"]);
    add(out, "PersistentVolumeClaim", claim);
    let Some(projected) = volume.get("projected") else {
        return;
    };
    for source in items(projected, "sources") {
        add(out, "ConfigMap", path(source, &["configMap", "name"]));
        add(out, "Secret", path(source, &["secret", "name"]));
    }
}
