//! The dynamic value that everything between a spec and an API is made of.
//!
//! Secrets and unknowns are variants, so that every consumer has to decide what to do with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::address::{AttrPath, Segment};
use crate::expr::Reference;
use crate::secret::{DigestKey, Purpose, Secret};

mod map;
mod stored;

pub use map::{Map, Sorted};
pub(crate) use stored::Marked;

/// Text of a value, or a key: a short one takes no allocation, and all copies of a long one share it.
pub type Text = smol_str::SmolStr;

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
    String(Text),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Map),
    /// A value that is used and never shown.
    Secret(Secret),
    /// A value that will be known when what it comes from has been applied.
    Unknown(Box<Unknown>),
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
    pub fn text(text: impl Into<Text>) -> Value {
        Value::String(text.into())
    }

    /// What will be known later.
    pub fn unknown(from: BTreeSet<Reference>, secret: bool) -> Value {
        Value::Unknown(Box::new(Unknown { from, secret }))
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
            Value::String(s) => Json::String(s.to_string()),
            Value::List(items) => Json::Array(
                items
                    .iter()
                    .map(Value::to_request_json)
                    .collect::<Option<_>>()?,
            ),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(k, v)| Some((k.to_string(), v.to_request_json()?)))
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
            Json::String(s) => Value::String(s.into()),
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
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
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

// A state of 100,000 resources holds millions of them.
const _: () = assert!(size_of::<Value>() <= 32);
