//! Objects on their way out and in: what is sent, how ours are marked, what a live one shows.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as JsonMap, Value as Json};
use zonewright_engine::address::Address;
use zonewright_engine::canon::Digest;
use zonewright_engine::provider::{Live, Mark, Marker};
use zonewright_engine::secret::{DigestKey, Secret};
use zonewright_engine::value::{Map, Value};

use super::canonical::{SERVER_METADATA, digest_key};
use super::kinds::Identity;
use super::{ready, rules, tools};

/// The label that selects what a project owns in a zone.
pub(crate) const OWNER: &str = "zonewright.dev/owner";

/// The annotation that names the resource.
pub(crate) const ADDRESS: &str = "zonewright.dev/address";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The value of the owner label.
pub(crate) fn owner(marker: &Marker) -> String {
    let text = format!("{}{}", marker.lineage, marker.address.zone);
    Digest::of(text.as_bytes()).hex()[..32].to_owned()
}

/// Why an object cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Planning let something unknown through, or the value of a secret is not at hand.
    #[error("the object is not wholly known")]
    Unknown,
    /// No map with metadata.
    #[error("the object has no metadata")]
    Shape,
}

/// The body of a server-side apply: the desired object, marked, and nothing that is the server's.
pub(crate) fn to_send(
    desired: &Value,
    marker: &Marker,
    uid: Option<&str>,
) -> Result<Json, BodyError> {
    let mut json = desired.to_request_json().ok_or(BodyError::Unknown)?;
    strip_nulls(&mut json);
    let kind = json["kind"].as_str().unwrap_or_default().to_owned();
    let object = json.as_object_mut().ok_or(BodyError::Shape)?;
    object.remove("status");
    if kind == "Secret" {
        encode_secret(object);
    } else if kind == "CustomResourceDefinition" {
        drop_placeholder_ca(object);
    }
    if kind != "ConfigMap" && kind != "Secret" {
        default_protocols(object.get_mut("spec"));
    }
    let metadata = object
        .get_mut("metadata")
        .and_then(Json::as_object_mut)
        .ok_or(BodyError::Shape)?;
    metadata.retain(|key, _| !SERVER_METADATA.contains(&key.as_str()));
    entry(metadata, "labels").insert(OWNER.to_owned(), owner(marker).into());
    entry(metadata, "annotations").insert(ADDRESS.to_owned(), marker.address.to_string().into());
    if let Some(uid) = uid {
        metadata.insert("uid".to_owned(), uid.into());
    }
    Ok(json)
}

fn entry<'a>(map: &'a mut JsonMap<String, Json>, key: &str) -> &'a mut JsonMap<String, Json> {
    let slot = map
        .entry(key)
        .or_insert_with(|| Json::Object(JsonMap::new()));
    if !slot.is_object() {
        *slot = Json::Object(JsonMap::new());
    }
    slot.as_object_mut()
        .expect("invariant: made an object above")
}

/// Nulls in maps mean absent.
fn strip_nulls(json: &mut Json) {
    match json {
        Json::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// `stringData` to `data`: applying `stringData` would never remove an entry.
fn encode_secret(object: &mut JsonMap<String, Json>) {
    let Some(Json::Object(texts)) = object.remove("stringData") else {
        return;
    };
    let data = entry(object, "data");
    for (key, value) in texts {
        let text = match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        data.insert(key, STANDARD.encode(text).into());
    }
}

/// A conversion webhook's CA bundle that is no certificate makes the server refuse the definition;
/// the real one is injected later.
fn drop_placeholder_ca(object: &mut JsonMap<String, Json>) {
    let client = object
        .get_mut("spec")
        .and_then(|s| s.pointer_mut("/conversion/webhook/clientConfig"))
        .and_then(Json::as_object_mut);
    if let Some(client) = client {
        let real = client
            .get("caBundle")
            .and_then(Json::as_str)
            .and_then(|text| STANDARD.decode(text).ok())
            .is_some_and(|pem| pem.starts_with(b"-----BEGIN"));
        if !real {
            client.remove("caBundle");
        }
    }
}

/// The protocol is part of a port's key: leaving it to the server confuses merging.
fn default_protocols(json: Option<&mut Json>) {
    match json {
        Some(Json::Object(map)) => {
            for (key, value) in map {
                if let (true, Json::Array(ports)) = (key == "ports", &mut *value) {
                    ports.iter_mut().for_each(default_protocol);
                } else {
                    default_protocols(Some(value));
                }
            }
        }
        Some(Json::Array(items)) => items.iter_mut().for_each(|v| default_protocols(Some(v))),
        _ => {}
    }
}

fn default_protocol(port: &mut Json) {
    if let Json::Object(port) = port
        && (port.contains_key("containerPort")
            || (port.contains_key("port") && port.contains_key("targetPort")))
    {
        port.entry("protocol").or_insert_with(|| "TCP".into());
    }
}

/// Whether what the server says of an object may hold a secret: it quotes values.
pub(crate) fn is_secret(id: &Identity, object: &Value) -> bool {
    let mut secret = id.kind == "Secret" && id.group.is_empty();
    object.visit(&mut |leaf| secret |= matches!(leaf, Value::Secret(_)));
    secret
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This resource's.
    Ours,
    /// Another resource's of this project and zone.
    OtherAddress,
    /// Somebody else's.
    Foreign,
}

/// Reads the marks of an object.
pub(crate) fn ownership(object: &Json, marker: &Marker) -> Ownership {
    let metadata = &object["metadata"];
    if metadata["labels"][OWNER] != *owner(marker) {
        Ownership::Foreign
    } else if metadata["annotations"][ADDRESS] == *marker.address.to_string() {
        Ownership::Ours
    } else {
        Ownership::OtherAddress
    }
}

/// What an object says of whose it is. Of others' marks it is enough that they are there.
fn mark(object: &Json, marker: &Marker) -> Mark {
    let metadata = &object["metadata"];
    let said = |key: &str, map: &str| metadata[map][key].as_str().map(|v| format!("{key}={v}"));
    match ownership(object, marker) {
        Ownership::Ours => Mark::Carried(marker.to_string()),
        Ownership::OtherAddress => {
            said(ADDRESS, "annotations").map_or(Mark::Missing, Mark::Carried)
        }
        Ownership::Foreign => {
            let other = said(OWNER, "labels").or_else(|| tools::mark(object));
            other.map_or(Mark::Missing, Mark::Carried)
        }
    }
}

/// A live object as the engine sees it. Where `desired` has a secret, the live value is one too.
pub(crate) fn live(object: Json, marker: &Marker, desired: Option<&Value>) -> Live {
    let status = ready::status(&object);
    let id = uid(&object).to_owned();
    let mark = mark(&object, marker);
    let key = digest_key(desired);
    let mut attrs = attributes(object, &marker.address, key.as_ref());
    if let Some(desired) = desired {
        veil(desired, &mut attrs, &mut Vec::new());
    }
    Live {
        id,
        attrs,
        mark,
        status,
    }
}

/// Makes a secret of everything that stands where `desired` has one: a password that a template put
/// into an environment variable comes back in clear.
fn veil<'a>(desired: &'a Value, live: &mut Value, path: &mut Vec<&'a str>) {
    match (desired, live) {
        (Value::Map(desired), Value::Map(live)) => {
            for (key, value) in desired {
                if let Some(live) = live.get_mut(key) {
                    path.push(key);
                    veil(value, live, path);
                    path.pop();
                }
            }
        }
        (Value::List(desired), Value::List(live)) => {
            let keys = rules::list_key(path);
            for (i, item) in desired.iter().enumerate() {
                let found = keys.and_then(|keys| {
                    let same = |o: &Value| keys[..1].iter().all(|k| o.get(k) == item.get(k));
                    live.iter().position(same)
                });
                if let Some(live) = live.get_mut(found.unwrap_or(i)) {
                    veil(item, live, path);
                }
            }
        }
        (Value::Secret(secret), live) => hide(&secret.label, secret.key(), live),
        (Value::Unknown(unknown), live) if unknown.secret => hide("(secret)", None, live),
        _ => {}
    }
}

fn hide(label: &str, key: Option<Arc<DigestKey>>, live: &mut Value) {
    let text = match &*live {
        Value::Secret(_) | Value::Null => return,
        Value::String(text) => text.to_string(),
        other => other.to_json().to_string(),
    };
    *live = Value::Secret(Secret::new(label, text, key));
}

/// The uid of a live object.
pub(crate) fn uid(object: &Json) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn attributes(mut object: Json, address: &Address, key: Option<&Arc<DigestKey>>) -> Value {
    let secret = object["kind"] == "Secret" && object["apiVersion"] == "v1";
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if let (true, Some(Json::Object(notes))) = (secret, metadata.get_mut("annotations")) {
            // Another tool's copy of the whole Secret.
            notes.remove(LAST_APPLIED);
        }
    }
    let data = if secret {
        object["data"].take()
    } else {
        Json::Null
    };
    let mut value = Value::from_plain_json(object);
    if let (Value::Map(map), true) = (&mut value, secret) {
        secret_entries(map, data, address, key);
    }
    value
}

/// A live Secret shows its entries in clear under `stringData`, and those that are no text as base64
/// under `data`; all of them as secrets.
fn secret_entries(map: &mut Map, data: Json, address: &Address, key: Option<&Arc<DigestKey>>) {
    map.remove("data");
    let Json::Object(entries) = data else {
        return;
    };
    let (mut clear, mut encoded) = (Map::new(), Map::new());
    for (name, value) in entries {
        let base64 = value.as_str().unwrap_or_default().to_owned();
        let text = STANDARD
            .decode(&base64)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let label = format!("{address} data.{name}");
        let secret = |value| Value::Secret(Secret::new(label, value, key.cloned()));
        match text {
            Some(text) => clear.insert(name, secret(text)),
            None => encoded.insert(name, secret(base64)),
        };
    }
    if !clear.is_empty() {
        map.insert("stringData".to_owned(), Value::Map(clear));
    }
    if !encoded.is_empty() {
        map.insert("data".to_owned(), Value::Map(encoded));
    }
}
