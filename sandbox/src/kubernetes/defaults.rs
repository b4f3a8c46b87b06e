//! What the server fills in: the defaults that clients look at, and conversions such as `stringData`.

mod pod;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::request::{Ctx, Place};

use pod::{pod_spec, quantities};

/// Completes an object that is about to be checked.
pub(crate) fn fill(ctx: &Ctx<'_, '_>, place: &Place, live: Option<&Value>, new: &mut Value) {
    if let Some(open_api) = &place.kind.open_api {
        custom(open_api, new);
        tidy_metadata(new);
        return;
    }
    drop_nulls(new);
    tidy_metadata(new);
    match place.kind.kind.as_str() {
        "Namespace" => namespace(new),
        "Secret" => secret(new),
        "Service" => service(ctx, live, new),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            workload(&place.kind, new)
        }
        "CronJob" => cron_job(new),
        "Pod" => pod_spec(&mut new["spec"]),
        "PersistentVolumeClaim" => claim(live, new),
        "CustomResourceDefinition" => definition(live, new),
        "ValidatingWebhookConfiguration" => webhooks(new, false),
        "MutatingWebhookConfiguration" => webhooks(new, true),
        "RoleBinding" | "ClusterRoleBinding" => binding(new),
        "ClusterRole" if new.get("rules").is_none() => new["rules"] = Value::Null,
        "Ingress" => set(&mut new["status"], "loadBalancer", json!({})),
        "NetworkPolicy" => network_policy(new),
        "StorageClass" => {
            set(new, "reclaimPolicy", json!("Delete"));
            set(new, "volumeBindingMode", json!("Immediate"));
        }
        "PriorityClass" => set(new, "preemptionPolicy", json!("PreemptLowerPriority")),
        "HorizontalPodAutoscaler" => set(&mut new["spec"], "minReplicas", json!(1)),
        "APIService" if new["spec"]["service"].is_object() => {
            set(&mut new["spec"]["service"], "port", json!(443));
        }
        _ => {}
    }
    // Looking into absent fields leaves nulls behind; two kinds have a null of their own.
    if !matches!(
        place.kind.kind.as_str(),
        "CustomResourceDefinition" | "ClusterRole"
    ) {
        drop_nulls(new);
    }
}

/// Sets a field that is absent; makes an object of null.
fn set(at: &mut Value, field: &str, value: Value) {
    if at.is_null() {
        *at = json!({});
    }
    if let Some(map) = at.as_object_mut() {
        map.entry(field).or_insert(value);
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn tidy_metadata(new: &mut Value) {
    let Some(metadata) = new["metadata"].as_object_mut() else {
        return;
    };
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = metadata.get(field).is_some_and(|v| match v {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            other => other.is_null(),
        });
        if empty {
            metadata.remove(field);
        }
    }
}

fn namespace(new: &mut Value) {
    let name = new["metadata"]["name"].clone();
    let metadata = &mut new["metadata"];
    set(metadata, "labels", json!({}));
    metadata["labels"]["kubernetes.io/metadata.name"] = name;
    set(&mut new["spec"], "finalizers", json!(["kubernetes"]));
    set(&mut new["status"], "phase", json!("Active"));
}

fn secret(new: &mut Value) {
    set(new, "type", json!("Opaque"));
    let Some(Value::Object(plain)) = new.as_object_mut().and_then(|o| o.remove("stringData"))
    else {
        return;
    };
    for (name, value) in plain {
        let text = value.as_str().unwrap_or_default();
        set(new, "data", json!({}));
        new["data"][name] = json!(STANDARD.encode(text));
    }
}

fn service(ctx: &Ctx<'_, '_>, live: Option<&Value>, new: &mut Value) {
    let spec = &mut new["spec"];
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let external = kind == "LoadBalancer" || kind == "NodePort";
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        set(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set(port, "targetPort", number);
        if !external && let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
        set(spec, "ipFamilies", json!(["IPv4"]));
        set(spec, "ipFamilyPolicy", json!("SingleStack"));
        cluster_ip(ctx, live, spec);
    }
    if external {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
        node_ports(ctx, spec);
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("externalTrafficPolicy");
        spec.remove("allocateLoadBalancerNodePorts");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    set(&mut new["status"], "loadBalancer", json!({}));
}

fn cluster_ip(ctx: &Ctx<'_, '_>, live: Option<&Value>, spec: &mut Value) {
    if spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        let kept = live
            .and_then(|l| l["spec"]["clusterIP"].as_str())
            .filter(|ip| !ip.is_empty());
        // Revisions only rise, so the numbers differ until 65,000 writes have passed.
        let n = ctx.txn.next_revision() % 65_000 + 10;
        let fresh = || format!("10.96.{}.{}", n / 256, n % 256);
        spec["clusterIP"] = json!(kept.map_or_else(fresh, str::to_owned));
    }
    let ips = json!([spec["clusterIP"].clone()]);
    set(spec, "clusterIPs", ips);
}

fn node_ports(ctx: &Ctx<'_, '_>, spec: &mut Value) {
    let mut next = ctx.txn.next_revision() * 7;
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if port["nodePort"].is_null() || port["nodePort"] == 0 {
            port["nodePort"] = json!(30_000 + next % 2_768);
            next += 1;
        }
    }
}

fn workload(kind: &Kind, new: &mut Value) {
    let spec = &mut new["spec"];
    match kind.kind.as_str() {
        "Deployment" => {
            set(spec, "replicas", json!(1));
            set(spec, "progressDeadlineSeconds", json!(600));
            set(spec, "revisionHistoryLimit", json!(10));
            set(&mut spec["strategy"], "type", json!("RollingUpdate"));
            if spec["strategy"]["type"] == "RollingUpdate" {
                set(
                    &mut spec["strategy"],
                    "rollingUpdate",
                    json!({"maxSurge": "25%", "maxUnavailable": "25%"}),
                );
            }
        }
        "StatefulSet" => {
            set(spec, "replicas", json!(1));
            set(spec, "podManagementPolicy", json!("OrderedReady"));
            set(spec, "revisionHistoryLimit", json!(10));
            set(
                spec,
                "updateStrategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
            );
        }
        "DaemonSet" => {
            set(spec, "revisionHistoryLimit", json!(10));
            let rolling = json!({"maxSurge": 0, "maxUnavailable": 1});
            set(
                spec,
                "updateStrategy",
                json!({"type": "RollingUpdate", "rollingUpdate": rolling}),
            );
        }
        "Job" => job_spec(spec),
        _ => set(spec, "replicas", json!(1)),
    }
    pod_spec(&mut spec["template"]["spec"]);
}

fn job_spec(spec: &mut Value) {
    set(spec, "completions", json!(1));
    set(spec, "parallelism", json!(1));
    set(spec, "backoffLimit", json!(6));
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    set(spec, "manualSelector", json!(false));
    set(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
}

fn cron_job(new: &mut Value) {
    let spec = &mut new["spec"];
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    pod_spec(&mut spec["jobTemplate"]["spec"]["template"]["spec"]);
}

fn claim(live: Option<&Value>, new: &mut Value) {
    if live.is_none() {
        new["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
    }
    quantities(&mut new["spec"]["resources"]["requests"]);
    set(&mut new["spec"], "volumeMode", json!("Filesystem"));
    set(
        &mut new["spec"],
        "storageClassName",
        json!("do-block-storage"),
    );
    set(&mut new["status"], "phase", json!("Pending"));
}

fn definition(live: Option<&Value>, new: &mut Value) {
    let spec = &mut new["spec"];
    let kind = spec["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    set(&mut spec["names"], "singular", json!(kind.to_lowercase()));
    set(&mut spec["names"], "listKind", json!(format!("{kind}List")));
    set(spec, "conversion", json!({"strategy": "None"}));
    let stored: Vec<Value> = spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|v| v["storage"] == true)
        .map(|v| v["name"].clone())
        .collect();
    if live.is_none() {
        new["status"] = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""},
                               "storedVersions": stored});
    }
}

fn webhooks(new: &mut Value, mutating: bool) {
    for hook in new["webhooks"].as_array_mut().into_iter().flatten() {
        set(hook, "failurePolicy", json!("Fail"));
        set(hook, "matchPolicy", json!("Equivalent"));
        set(hook, "timeoutSeconds", json!(10));
        set(hook, "namespaceSelector", json!({}));
        set(hook, "objectSelector", json!({}));
        if mutating {
            set(hook, "reinvocationPolicy", json!("Never"));
        }
        if hook["clientConfig"]["service"].is_object() {
            set(&mut hook["clientConfig"]["service"], "port", json!(443));
        }
        if let Some(rules) = hook.get_mut("rules").and_then(Value::as_array_mut) {
            rules
                .iter_mut()
                .for_each(|rule| set(rule, "scope", json!("*")));
        }
    }
}

fn binding(new: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    set(&mut new["roleRef"], "apiGroup", json!(GROUP));
    for subject in new
        .get_mut("subjects")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if subject["kind"] != "ServiceAccount" {
            set(subject, "apiGroup", json!(GROUP));
        } else if subject["apiGroup"] == ""
            && let Some(map) = subject.as_object_mut()
        {
            map.remove("apiGroup");
        }
    }
}

fn network_policy(new: &mut Value) {
    let egress = new["spec"].get("egress").is_some();
    let types = if egress {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    set(&mut new["spec"], "policyTypes", types);
}

/// What needs the uid: a Job tells its pods apart by it.
pub(crate) fn after_identity(kind: &Kind, new: &mut Value) {
    if !kind.is("batch", "Job") || new["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (
        new["metadata"]["uid"].clone(),
        new["metadata"]["name"].clone(),
    );
    let spec = &mut new["spec"];
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    set(&mut spec["template"]["metadata"], "labels", json!({}));
    let labels = &mut spec["template"]["metadata"]["labels"];
    for (label, value) in [("controller-uid", &uid), ("job-name", &name)] {
        labels[label] = value.clone();
        labels[format!("batch.kubernetes.io/{label}")] = value.clone();
    }
}

/// The defaults of a custom kind's schema.
fn custom(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                if map.get(name).is_none_or(Value::is_null)
                    && let Some(default) = of.get("default")
                {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(child) = map.get_mut(name) {
                    custom(of, child);
                }
            }
            custom_rest(schema, map);
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|item| custom(&schema["items"], item)),
        _ => {}
    }
}

fn custom_rest(schema: &Value, map: &mut Map<String, Value>) {
    let of = &schema["additionalProperties"];
    if of.is_object() {
        map.values_mut().for_each(|v| custom(of, v));
    }
}
