//! The environment of a container, from its literals, Secrets and ConfigMaps.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::kinds::{key, table};
use super::request::Ctx;

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// The variables of all containers of a pod; what does not resolve is left out.
pub(crate) fn of_pod(ctx: &Ctx<'_, '_>, pod: &Value) -> Variables {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut out = Variables::new();
    for container in containers {
        for source in container["envFrom"].as_array().into_iter().flatten() {
            out.extend(whole_source(ctx, namespace, source));
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            if let Some(value) = value(ctx, namespace, variable) {
                out.insert(name.to_owned(), value);
            }
        }
    }
    out
}

/// The Secrets and ConfigMaps that a pod cannot start without and that do not exist, or lack a key.
pub(crate) fn missing(ctx: &Ctx<'_, '_>, pod: &Value) -> Option<String> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut wanted: Vec<(&'static str, &Value)> = Vec::new();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        for source in container["envFrom"].as_array().into_iter().flatten() {
            wanted.push(("secrets", &source["secretRef"]));
            wanted.push(("configmaps", &source["configMapRef"]));
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            wanted.push(("secrets", &variable["valueFrom"]["secretKeyRef"]));
            wanted.push(("configmaps", &variable["valueFrom"]["configMapKeyRef"]));
        }
    }
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        wanted.push(("secrets", &volume["secret"]));
        wanted.push(("configmaps", &volume["configMap"]));
    }
    let wanted = wanted
        .into_iter()
        .filter(|(_, r)| r.is_object() && r["optional"] != true);
    for (plural, reference) in wanted {
        let name = reference["name"]
            .as_str()
            .or(reference["secretName"].as_str());
        let name = name.unwrap_or_default();
        let kind = plural.trim_end_matches('s');
        let Some(data) = data(ctx, namespace, plural, name) else {
            return Some(format!("{kind} \"{name}\" not found"));
        };
        let wanted = reference["key"].as_str();
        if let Some(wanted) = wanted.filter(|k| !data.contains_key(*k)) {
            return Some(format!(
                "couldn't find key {wanted} in {kind} {namespace}/{name}"
            ));
        }
    }
    None
}

fn whole_source(ctx: &Ctx<'_, '_>, namespace: &str, source: &Value) -> Variables {
    let prefix = source["prefix"].as_str().unwrap_or_default();
    let of = |plural: &str, reference: &Value| {
        let name = reference["name"].as_str()?;
        data(ctx, namespace, plural, name)
    };
    let found = of("secrets", &source["secretRef"])
        .or_else(|| of("configmaps", &source["configMapRef"]))
        .unwrap_or_default();
    found
        .into_iter()
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .collect()
}

fn value(ctx: &Ctx<'_, '_>, namespace: &str, variable: &Value) -> Option<String> {
    if let Some(literal) = variable["value"].as_str() {
        return Some(literal.to_owned());
    }
    let from = &variable["valueFrom"];
    for (field, plural) in [
        ("secretKeyRef", "secrets"),
        ("configMapKeyRef", "configmaps"),
    ] {
        let reference = &from[field];
        if let (Some(name), Some(wanted)) = (reference["name"].as_str(), reference["key"].as_str())
        {
            return data(ctx, namespace, plural, name)?.remove(wanted);
        }
    }
    None
}

/// The texts of a Secret or ConfigMap.
pub(crate) fn data(
    ctx: &Ctx<'_, '_>,
    namespace: &str,
    plural: &str,
    name: &str,
) -> Option<Variables> {
    let table = table(ctx.cluster, "", plural);
    let object = ctx.tables().get(&table, &key(Some(namespace), name))?;
    let entries = object["data"].as_object().into_iter().flatten();
    let texts = entries.filter_map(|(name, value)| {
        let value = value.as_str()?;
        let text = match plural {
            "secrets" => String::from_utf8_lossy(&STANDARD.decode(value).ok()?).into_owned(),
            _ => value.to_owned(),
        };
        Some((name.clone(), text))
    });
    Some(texts.collect())
}
