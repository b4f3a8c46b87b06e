//! The environment of a container, from its literals, Secrets and ConfigMaps.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::kinds::{key, table};
use crate::world::Tables;

/// The cluster that a container is in.
#[derive(Clone, Copy)]
pub(crate) struct Home<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) cluster: &'a str,
}

/// Names that programs give to where their database is: host, user, password, schema, port.
const NAMES: [[&str; 5]; 3] = [
    [
        "WORDPRESS_DB_HOST",
        "WORDPRESS_DB_USER",
        "WORDPRESS_DB_PASSWORD",
        "WORDPRESS_DB_NAME",
        "WORDPRESS_DB_PORT",
    ],
    [
        "MYSQL_HOST",
        "MYSQL_USER",
        "MYSQL_PASSWORD",
        "MYSQL_DATABASE",
        "MYSQL_PORT",
    ],
    ["DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME", "DB_PORT"],
];

/// The database that an environment names: host with port, user, password, schema.
pub(crate) fn database(variables: &Variables) -> Option<[String; 4]> {
    let get = |name: &str| variables.get(name).cloned().unwrap_or_default();
    let names = NAMES
        .iter()
        .find(|names| variables.contains_key(names[0]))?;
    let host = match get(names[4]).as_str() {
        "" => get(names[0]),
        port => format!("{}:{port}", get(names[0])),
    };
    Some([host, get(names[1]), get(names[2]), get(names[3])])
}

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// The variables of all containers of a pod; what does not resolve is left out.
pub(crate) fn of_pod(home: Home<'_>, pod: &Value) -> Variables {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut out = Variables::new();
    for container in containers {
        for source in container["envFrom"].as_array().into_iter().flatten() {
            out.extend(whole_source(home, namespace, source));
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            if let Some(value) = value(home, namespace, variable) {
                out.insert(name.to_owned(), value);
            }
        }
    }
    out
}

/// The Secrets and ConfigMaps that a pod cannot start without and that do not exist, or lack a key.
pub(crate) fn missing(home: Home<'_>, pod: &Value) -> Option<String> {
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
        let Some(data) = data(home, namespace, plural, name) else {
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

fn whole_source(home: Home<'_>, namespace: &str, source: &Value) -> Variables {
    let prefix = source["prefix"].as_str().unwrap_or_default();
    let of = |plural: &str, reference: &Value| {
        let name = reference["name"].as_str()?;
        data(home, namespace, plural, name)
    };
    let found = of("secrets", &source["secretRef"])
        .or_else(|| of("configmaps", &source["configMapRef"]))
        .unwrap_or_default();
    found
        .into_iter()
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .collect()
}

fn value(home: Home<'_>, namespace: &str, variable: &Value) -> Option<String> {
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
            return data(home, namespace, plural, name)?.remove(wanted);
        }
    }
    None
}

/// The texts of a Secret or ConfigMap.
pub(crate) fn data(home: Home<'_>, namespace: &str, plural: &str, name: &str) -> Option<Variables> {
    let table = table(home.cluster, "", plural);
    let object = home.tables.get(&table, &key(Some(namespace), name))?;
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
