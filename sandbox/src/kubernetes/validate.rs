//! What makes an object invalid: names, immutable fields, a few values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::failure::Cause;
use super::kinds::Kind;
use super::schema::{Schema, Type, TypeId};

const IMMUTABLE: &str = "field is immutable";

/// Every complaint about an object, new or changed.
pub(crate) fn object(kind: &Kind, live: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut out = Vec::new();
    name(kind, new, &mut out);
    if let Some(live) = live {
        immutable(kind, live, new, &mut out);
    }
    values(kind, new, &mut out);
    if let Some(open_api) = &kind.open_api {
        custom(open_api, new, "", &mut out);
    }
    out
}

/// Removes what the schema does not declare.
pub(crate) fn drop_undeclared(schema: &Schema, id: TypeId, value: &mut Value) {
    match (schema.get(id), value) {
        (Type::Map { fields, rest, .. }, Value::Object(map)) => {
            map.retain(|name, _| fields.contains_key(name) || rest.is_some());
            for (name, child) in map.iter_mut() {
                if let Some(of) = fields.get(name).copied().or(*rest) {
                    drop_undeclared(schema, of, child);
                }
            }
        }
        (Type::List { of, .. }, Value::Array(list)) => {
            list.iter_mut()
                .for_each(|item| drop_undeclared(schema, *of, item));
        }
        _ => {}
    }
}

fn is_label(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(ok)
        && text.ends_with(ok)
        && text.chars().all(|c| ok(c) || c == '-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_loose_label)
}

/// A label without the limit of 63, as subdomains allow.
fn is_loose_label(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(ok) && text.ends_with(ok) && text.chars().all(|c| ok(c) || c == '-')
}

fn name(kind: &Kind, new: &Value, out: &mut Vec<Cause>) {
    let value = &new["metadata"]["name"];
    let text = value.as_str().unwrap_or_default();
    if text.is_empty() {
        out.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
        return;
    }
    if kind.group == "rbac.authorization.k8s.io" {
        if text == "." || text == ".." || text.contains(['/', '%']) {
            out.push(Cause::invalid(
                "metadata.name",
                value,
                "may not contain '/' or '%'",
            ));
        }
        return;
    }
    if matches!(kind.kind.as_str(), "Namespace" | "Service") && !kind.is_custom() {
        if !is_label(text) {
            out.push(Cause::invalid(
                "metadata.name",
                value,
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
                 '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ));
        }
    } else if !is_subdomain(text) {
        out.push(Cause::invalid(
            "metadata.name",
            value,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ));
    }
}

fn immutable(kind: &Kind, live: &Value, new: &Value, out: &mut Vec<Cause>) {
    let frozen = |paths: &[&str], out: &mut Vec<Cause>| {
        for path in paths {
            let (a, b) = (live.pointer(path), new.pointer(path));
            if a != b {
                let field = path.trim_start_matches('/').replace('/', ".");
                out.push(Cause::invalid(&field, b.unwrap_or(&Value::Null), IMMUTABLE));
            }
        }
    };
    match kind.kind.as_str() {
        _ if kind.is_custom() => {}
        "Deployment" | "DaemonSet" | "ReplicaSet" => frozen(&["/spec/selector"], out),
        "StatefulSet" => stateful_set(live, new, out),
        "Job" => frozen(
            &[
                "/spec/completions",
                "/spec/selector",
                "/spec/template",
                "/spec/completionMode",
            ],
            out,
        ),
        "Service" => cluster_ip(live, new, out),
        "Secret" => {
            frozen(&["/type"], out);
            sealed(live, new, &["data", "immutable"], out);
        }
        "ConfigMap" => sealed(live, new, &["data", "binaryData", "immutable"], out),
        "RoleBinding" | "ClusterRoleBinding" if live["roleRef"] != new["roleRef"] => {
            out.push(Cause::invalid(
                "roleRef",
                &new["roleRef"],
                "cannot change roleRef",
            ));
        }
        "PersistentVolumeClaim" => claim(live, new, out),
        "StorageClass" => {
            for path in [
                "provisioner",
                "parameters",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                if live[path] != new[path] {
                    let text = format!("updates to {path} are forbidden.");
                    out.push(Cause::forbidden(path, &text));
                }
            }
        }
        "CustomResourceDefinition" => {
            frozen(
                &[
                    "/spec/group",
                    "/spec/names/plural",
                    "/spec/names/kind",
                    "/spec/scope",
                ],
                out,
            );
        }
        "PriorityClass" if live["value"] != new["value"] => {
            out.push(Cause::forbidden(
                "value",
                "may not be changed in an update.",
            ));
        }
        _ => {}
    }
}

fn stateful_set(live: &Value, new: &Value, out: &mut Vec<Cause>) {
    const MUTABLE: [&str; 8] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "podFailurePolicy",
    ];
    let rest = |o: &Value| {
        let mut spec = o["spec"].as_object().cloned().unwrap_or_default();
        spec.retain(|name, _| !MUTABLE.contains(&name.as_str()));
        spec
    };
    if rest(live) != rest(new) {
        out.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
             'minReadySeconds' are forbidden",
        ));
    }
}

fn cluster_ip(live: &Value, new: &Value, out: &mut Vec<Cause>) {
    let (a, b) = (&live["spec"]["clusterIP"], &new["spec"]["clusterIP"]);
    let external = |o: &Value| o["spec"]["type"] == "ExternalName";
    if a.as_str().is_some_and(|a| !a.is_empty()) && a != b && !external(live) && !external(new) {
        out.push(Cause::invalid(
            "spec.clusterIPs[0]",
            &json!([b]),
            "may not change once set",
        ));
    }
}

/// An object that says of itself that it does not change.
fn sealed(live: &Value, new: &Value, fields: &[&str], out: &mut Vec<Cause>) {
    if live["immutable"] != true {
        return;
    }
    for field in fields {
        if live[*field] != new[*field] {
            out.push(Cause::forbidden(
                field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

fn claim(live: &Value, new: &Value, out: &mut Vec<Cause>) {
    let rest = |o: &Value| {
        let mut spec = o["spec"].as_object().cloned().unwrap_or_default();
        spec.remove("resources");
        spec.remove("volumeAttributesClassName");
        spec
    };
    // The binder sets the volume's name, so a body without it is no change of it.
    let (mut a, b) = (rest(live), rest(new));
    if !b.contains_key("volumeName") {
        a.remove("volumeName");
    }
    if a != b {
        out.push(Cause::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims",
        ));
    }
}

fn values(kind: &Kind, new: &Value, out: &mut Vec<Cause>) {
    if kind.is_custom() {
        return;
    }
    let replicas = &new["spec"]["replicas"];
    if matches!(
        kind.kind.as_str(),
        "Deployment" | "StatefulSet" | "ReplicaSet"
    ) && replicas.as_i64().is_some_and(|n| n < 0)
    {
        out.push(Cause::invalid(
            "spec.replicas",
            replicas,
            "must be greater than or equal to 0",
        ));
    }
    match kind.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" => workload(new, out),
        "Secret" => secret(new, out),
        "Service" => service(new, out),
        "CustomResourceDefinition" => {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            let spec = &new["spec"];
            let wanted = format!(
                "{}.{}",
                text(&spec["names"]["plural"]),
                text(&spec["group"])
            );
            if new["metadata"]["name"] != wanted.as_str() {
                let message = "must be spec.names.plural+\".\"+spec.group";
                out.push(Cause::invalid(
                    "metadata.name",
                    &new["metadata"]["name"],
                    message,
                ));
            }
        }
        _ => {}
    }
}

fn workload(new: &Value, out: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if !spec["selector"].is_object() {
        out.push(Cause::required("spec.selector", ""));
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !super::selector::matches_label_selector(&spec["selector"], labels) {
        let message = "`selector` does not match template `labels`";
        out.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            message,
        ));
    }
    let containers = spec["template"]["spec"]["containers"].as_array();
    if containers.is_none_or(Vec::is_empty) {
        out.push(Cause::required("spec.template.spec.containers", ""));
    }
    for (index, container) in containers.into_iter().flatten().enumerate() {
        if container["image"].as_str().unwrap_or_default().is_empty() {
            out.push(Cause::required(
                &format!("spec.template.spec.containers[{index}].image"),
                "",
            ));
        }
    }
}

fn secret(new: &Value, out: &mut Vec<Cause>) {
    for (name, value) in new["data"].as_object().into_iter().flatten() {
        if STANDARD.decode(value.as_str().unwrap_or_default()).is_err() {
            let shown = Value::String("<secret>".to_owned());
            out.push(Cause::invalid(
                &format!("data[{name}]"),
                &shown,
                "illegal base64 data",
            ));
        }
    }
}

fn service(new: &Value, out: &mut Vec<Cause>) {
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = &new["spec"]["type"];
    if !kind.as_str().is_some_and(|k| TYPES.contains(&k)) {
        out.push(Cause::unsupported("spec.type", kind, &TYPES));
    }
    let headless = new["spec"]["clusterIP"] == "None" || kind == "ExternalName";
    let ports = new["spec"]["ports"].as_array();
    if !headless && ports.is_none_or(Vec::is_empty) {
        out.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.into_iter().flatten().enumerate() {
        // A target may also be the name of a container's port.
        let numbers = [
            ("port", true),
            ("targetPort", port["targetPort"].is_number()),
        ];
        for (field, _) in numbers.into_iter().filter(|(_, checked)| *checked) {
            let number = &port[field];
            if !number.as_i64().is_some_and(|n| (1..=65535).contains(&n)) {
                let at = format!("spec.ports[{index}].{field}");
                let message = "must be between 1 and 65535, inclusive";
                out.push(Cause::invalid(&at, number, message));
            }
        }
    }
}

/// Required fields and enumerations of a custom kind's schema.
fn custom(schema: &Value, value: &Value, path: &str, out: &mut Vec<Cause>) {
    let at = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(map) => {
            for name in schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                if map.get(name).is_none_or(Value::is_null) {
                    out.push(Cause::required(&at(name), ""));
                }
            }
            for (name, child) in map {
                let of = schema["properties"]
                    .get(name)
                    .unwrap_or(&schema["additionalProperties"]);
                if of.is_object() && !(path.is_empty() && name == "metadata") {
                    custom(of, child, &at(name), out);
                }
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                custom(&schema["items"], item, &format!("{path}[{index}]"), out);
            }
        }
        Value::Null => {}
        _ => {
            if let Some(known) = schema["enum"].as_array()
                && !known.contains(value)
            {
                let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
                out.push(Cause::unsupported(path, value, &known));
            }
        }
    }
}
