//! The form in which desired and live objects are compared.
//!
//! - null, `{}` and `[]` in a map are absent, except where an empty map is itself the choice.
//! - Quantities have the server's form, where quantities are.
//! - Ports have a protocol.
//! - `status` and what the server writes into `metadata` are gone.
//! - A Secret's entries are under `stringData` as secrets, in clear. An entry of `data` that is no
//!   UTF-8 text, or whose value is not at hand, stays under `data`.
//!
//! Idempotent. Leaves that are secret or unknown are kept.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zonewright_engine::secret::{DigestKey, Purpose, Secret};
use zonewright_engine::value::{Map, Value};

use super::quantity;

/// Members of `metadata` that only the server writes.
pub(crate) const SERVER_METADATA: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Fields whose empty map chooses one of several kinds.
const MEANINGFUL_WHEN_EMPTY: [&str; 3] = ["emptyDir", "selfSigned", "podSelector"];

/// Maps whose values are quantities.
const QUANTITY_MAPS: [&str; 6] = [
    "requests",
    "limits",
    "hard",
    "capacity",
    "podFixed",
    "allocatable",
];

/// Fields that are quantities.
const QUANTITIES: [&str; 3] = ["sizeLimit", "averageValue", "divisor"];

/// Maps of quantities in a `LimitRange`.
const LIMIT_MAPS: [&str; 5] = [
    "default",
    "defaultRequest",
    "max",
    "maxLimitRequestRatio",
    "min",
];

/// The canonical form of an object.
pub(crate) fn canonical(object: &Value) -> Value {
    let Value::Map(map) = object else {
        return object.clone();
    };
    let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
    let core = map.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let opaque = core && matches!(kind, "ConfigMap" | "Secret");
    let mut out = Map::new();
    for (key, value) in map {
        let value = match key.as_str() {
            "status" => continue,
            "metadata" => metadata(value),
            "data" | "stringData" | "binaryData" if opaque => shallow(value),
            key => deep(key, value, kind),
        };
        insert(&mut out, key, value);
    }
    if core && kind == "Secret" {
        clear_secret(&mut out);
    }
    Value::Map(out)
}

fn metadata(value: &Value) -> Value {
    let Value::Map(map) = value else {
        return value.clone();
    };
    let mut out = Map::new();
    for (key, value) in map {
        if !SERVER_METADATA.contains(&key.as_str()) {
            insert(&mut out, key, shallow(value));
        }
    }
    Value::Map(out)
}

/// Without nulls one level down; all else as it is.
fn shallow(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(
            map.iter()
                .filter(|(_, v)| **v != Value::Null)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn insert(out: &mut Map, key: &str, value: Value) {
    let absent = match &value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty() && !MEANINGFUL_WHEN_EMPTY.contains(&key),
        _ => false,
    };
    if !absent {
        out.insert(key.to_owned(), value);
    }
}

fn deep(key: &str, value: &Value, kind: &str) -> Value {
    match value {
        Value::Map(map) => {
            let quantities =
                QUANTITY_MAPS.contains(&key) || (kind == "LimitRange" && LIMIT_MAPS.contains(&key));
            let mut out = Map::new();
            for (key, value) in map {
                let target = kind == "HorizontalPodAutoscaler" && key == "value";
                let value = if quantities || target || QUANTITIES.contains(&key.as_str()) {
                    as_quantity(value, key, kind)
                } else {
                    deep(key, value, kind)
                };
                insert(&mut out, key, value);
            }
            Value::Map(out)
        }
        Value::List(items) => Value::List(items.iter().map(|v| item(key, v, kind)).collect()),
        leaf => leaf.clone(),
    }
}

/// An item of the list `key`; empty maps stay, as they hold a place.
fn item(key: &str, value: &Value, kind: &str) -> Value {
    let mut value = deep(key, value, kind);
    if let Value::Map(map) = &mut value
        && key == "ports"
        && (map.contains_key("port") || map.contains_key("containerPort"))
        && matches!(
            kind,
            "Service"
                | "NetworkPolicy"
                | "Pod"
                | "Deployment"
                | "StatefulSet"
                | "DaemonSet"
                | "ReplicaSet"
                | "Job"
                | "CronJob"
                | "PodTemplate"
                | "EndpointSlice"
                | "Endpoints"
        )
    {
        map.get_or_insert_with("protocol", || Value::text("TCP"));
    }
    value
}

fn as_quantity(value: &Value, key: &str, kind: &str) -> Value {
    match value {
        Value::String(text) => quantity::canonical(text).map_or_else(|| value.clone(), Value::text),
        Value::Number(n) => {
            quantity::canonical(&n.to_string()).map_or_else(|| value.clone(), Value::text)
        }
        other => deep(key, other, kind),
    }
}

fn clear_secret(out: &mut Map) {
    let key = digest_key(out.get("stringData")).or_else(|| digest_key(out.get("data")));
    let mut clear = Map::new();
    let mut rest = Map::new();
    if let Some(Value::Map(data)) = out.remove("data") {
        for (name, value) in data {
            match decoded(&name, &value, key.as_ref()) {
                Some(value) => clear.insert(name, value),
                None => rest.insert(name, value),
            };
        }
    }
    // The server lets stringData win over data.
    if let Some(Value::Map(texts)) = out.remove("stringData") {
        for (name, value) in texts {
            rest.remove(&name);
            let value = match value {
                Value::String(text) => Value::Secret(Secret::new(label(&name), text, key.clone())),
                other => other,
            };
            clear.insert(name, value);
        }
    }
    insert(out, "stringData", Value::Map(clear));
    insert(out, "data", Value::Map(rest));
}

fn label(name: &str) -> String {
    format!("data.{name}")
}

/// The key that secrets within a value use.
pub(crate) fn digest_key(value: Option<&Value>) -> Option<Arc<DigestKey>> {
    let mut key = None;
    value?.visit(&mut |leaf| {
        if let (None, Value::Secret(secret)) = (&key, leaf) {
            key = secret.key();
        }
    });
    key
}

fn decoded(name: &str, value: &Value, key: Option<&Arc<DigestKey>>) -> Option<Value> {
    let (label, base64, key) = match value {
        Value::String(text) => (label(name).into(), text.as_str(), key.cloned()),
        Value::Secret(secret) => (
            secret.label.clone(),
            secret.expose(Purpose::Derive)?,
            secret.key().or_else(|| key.cloned()),
        ),
        Value::Unknown(_) => return Some(value.clone()),
        _ => return None,
    };
    let bytes = STANDARD.decode(base64.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(Value::Secret(Secret::new(label, text, key)))
}
