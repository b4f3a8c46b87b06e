//! The dynamic value that everything between a spec and an API is made of.
//!
//! Secrets and unknowns are variants, so that every consumer has to decide what to do with them.
//! Serialised, a value is plain JSON with two marked forms: `{"$secret": {"ref", "digest"}}` and
//! `{"$unknown": {"from": […], "secret"}}`. A map that would look like one of these is wrapped as
//! `{"$map": {…}}`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::address::{AttrPath, Segment};
use crate::expr::Reference;
use crate::secret::{DigestKey, Purpose, Secret, SecretRecord};

/// A map of values in key order.
pub type Map = BTreeMap<String, Value>;

/// Any value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON's null; in a Kubernetes object the same as absent.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, exactly as written.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Map),
    /// A value that is used and never shown.
    Secret(Secret),
    /// A value that will be known when what it comes from has been applied.
    Unknown(Unknown),
}

/// Where an unknown value will come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown {
    /// The references that have no value yet.
    pub from: BTreeSet<Reference>,
    /// Whether the value will be a secret once it is known.
    pub secret: bool,
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Number(n) => n.as_i64(),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The value at a path.
    pub fn at(&self, path: &AttrPath) -> Option<&Value> {
        path.segments()
            .iter()
            .try_fold(self, |value, segment| match segment {
                Segment::Key(key) => value.get(key),
                Segment::Index(i) => value.as_list()?.get(*i),
            })
    }

    /// Every unknown leaf's sources; empty when the value is wholly known.
    pub fn unknowns(&self) -> BTreeSet<Reference> {
        let mut out = BTreeSet::new();
        self.visit(&mut |leaf| {
            if let Value::Unknown(unknown) = leaf {
                out.extend(unknown.from.iter().cloned());
            }
        });
        out
    }

    /// Whether nothing in it is unknown.
    pub fn is_known(&self) -> bool {
        self.unknowns().is_empty()
    }

    /// Calls `f` with every leaf (everything but lists and maps).
    pub fn visit(&self, f: &mut impl FnMut(&Value)) {
        match self {
            Value::List(items) => items.iter().for_each(|v| v.visit(f)),
            Value::Map(map) => map.values().for_each(|v| v.visit(f)),
            leaf => f(leaf),
        }
    }

    /// The same value, with secrets that came from a vendor given the project's digest key.
    #[must_use]
    pub fn rekeyed(self, key: Option<&Arc<DigestKey>>) -> Value {
        match self {
            Value::List(items) => Value::List(items.into_iter().map(|v| v.rekeyed(key)).collect()),
            Value::Map(map) => {
                Value::Map(map.into_iter().map(|(k, v)| (k, v.rekeyed(key))).collect())
            }
            Value::Secret(secret) if secret.key().is_none() => {
                let again = secret
                    .expose(Purpose::Derive)
                    .map(|v| Secret::new(secret.label.clone(), v, key.cloned()));
                Value::Secret(again.unwrap_or(secret))
            }
            other => other,
        }
    }

    /// The value with every secret exposed, as plain JSON: for request bodies only.
    ///
    /// `None` when something is unknown or a secret's value is not at hand.
    pub fn to_request_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(n) => Json::Number(n.clone()),
            Value::String(s) => Json::String(s.clone()),
            Value::List(items) => Json::Array(
                items
                    .iter()
                    .map(Value::to_request_json)
                    .collect::<Option<_>>()?,
            ),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(k, v)| Some((k.clone(), v.to_request_json()?)))
                    .collect::<Option<_>>()?,
            ),
            Value::Secret(secret) => Json::String(secret.expose(Purpose::Request)?.to_owned()),
            Value::Unknown(_) => return None,
        })
    }

    /// Plain JSON as a value; nothing in it is taken for a secret or an unknown.
    pub fn from_plain_json(json: Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(b),
            Json::Number(n) => Value::Number(n),
            Json::String(s) => Value::String(s),
            Json::Array(items) => {
                Value::List(items.into_iter().map(Value::from_plain_json).collect())
            }
            Json::Object(map) => Value::Map(
                map.into_iter()
                    .map(|(k, v)| (k, Value::from_plain_json(v)))
                    .collect(),
            ),
        }
    }

    /// The JSON that is stored and shown: secrets as their records, unknowns as their sources.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(n) => Json::Number(n.clone()),
            Value::String(s) => Json::String(s.clone()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(map) => wrap(map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
            Value::Secret(secret) => json!({ "$secret": secret.record() }),
            Value::Unknown(u) => json!({ "$unknown": { "from": u.from, "secret": u.secret } }),
        }
    }

    /// Reads what [`Value::to_json`] wrote.
    ///
    /// # Errors
    /// A marked form does not hold what it should.
    pub fn from_json(json: Json) -> Result<Value, serde_json::Error> {
        match json {
            Json::Array(items) => Ok(Value::List(
                items
                    .into_iter()
                    .map(Value::from_json)
                    .collect::<Result<_, _>>()?,
            )),
            Json::Object(map) => Value::from_object(map),
            leaf => Ok(Value::from_plain_json(leaf)),
        }
    }

    fn from_object(mut map: serde_json::Map<String, Json>) -> Result<Value, serde_json::Error> {
        if map.len() == 1 {
            if let Some(record) = map.remove("$secret") {
                let record: SecretRecord = serde_json::from_value(record)?;
                return Ok(Value::Secret(Secret::recorded(record)));
            }
            if let Some(unknown) = map.remove("$unknown") {
                let UnknownForm { from, secret } = serde_json::from_value(unknown)?;
                return Ok(Value::Unknown(Unknown { from, secret }));
            }
            if let Some(Json::Object(inner)) = map.remove("$map") {
                return Value::entries(inner);
            }
        }
        Value::entries(map)
    }

    fn entries(map: serde_json::Map<String, Json>) -> Result<Value, serde_json::Error> {
        Ok(Value::Map(
            map.into_iter()
                .map(|(k, v)| Ok((k, Value::from_json(v)?)))
                .collect::<Result<_, serde_json::Error>>()?,
        ))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnknownForm {
    from: BTreeSet<Reference>,
    secret: bool,
}

/// Keeps an ordinary map from being read as a marked form.
pub(crate) fn wrap(map: serde_json::Map<String, Json>) -> Json {
    if map.len() == 1 && map.keys().any(|k| k.starts_with('$')) {
        json!({ "$map": map })
    } else {
        Json::Object(map)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Value::from_json(Json::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Number(n.into())
    }
}
