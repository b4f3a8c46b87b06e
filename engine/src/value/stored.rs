//! How a value is stored and shown: plain JSON with two marked forms, `{"$secret": {"ref", "digest"}}`
//! and `{"$unknown": {"from": […], "secret"}}`. A map that would look like one of these is wrapped as
//! `{"$map": {…}}`.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value as Json};

use super::{Map, Sorted, Text, Unknown, Value};
use crate::expr::Reference;
use crate::secret::{Secret, SecretRecord};

impl Value {
    /// The JSON that is stored and shown: secrets as their records, unknowns as their sources.
    ///
    /// # Panics
    /// Never: every value has such a form.
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).expect("invariant: a value serialises to JSON")
    }

    /// Reads what [`Value::to_json`] wrote.
    ///
    /// # Errors
    /// A marked form does not hold what it should.
    pub fn from_json(json: Json) -> Result<Value, serde_json::Error> {
        Value::deserialize(json)
    }
}

/// What a marked form is stored as: one entry under a key of its own.
pub(crate) struct Marked<'a, T: ?Sized>(pub(crate) &'static str, pub(crate) &'a T);

impl<T: Serialize + ?Sized> Serialize for Marked<'_, T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

impl<V> Sorted<V> {
    /// Whether it would be read as a marked form.
    pub(crate) fn looks_marked(&self) -> bool {
        self.len() == 1 && self.keys().any(|k| k.starts_with('$'))
    }
}

impl<V: Serialize> Serialize for Sorted<V> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Number(n) => n.serialize(s),
            Value::String(text) => s.serialize_str(text),
            Value::List(items) => s.collect_seq(items),
            Value::Map(map) if map.looks_marked() => Marked("$map", map).serialize(s),
            Value::Map(map) => map.serialize(s),
            Value::Secret(secret) => Marked("$secret", &secret.record()).serialize(s),
            Value::Unknown(unknown) => Marked("$unknown", unknown.as_ref()).serialize(s),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Unknown", deny_unknown_fields)]
struct UnknownForm {
    from: BTreeSet<Reference>,
    secret: bool,
}

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        UnknownForm::serialize(self, s)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Stored)
    }
}

/// Builds a value from its stored form.
struct Stored;

impl<'de> Visitor<'de> for Stored {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Number(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(Value::Number(n.into()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        Ok(Number::from_f64(n).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Some(first) = entries.next_key::<Text>()? else {
            return Ok(Value::Map(Map::new()));
        };
        if !first.starts_with('$') {
            return rest(Some((first, entries.next_value()?)), entries);
        }
        // Only what is alone is a marked form, and that shows behind it.
        let json: Json = entries.next_value()?;
        match entries.next_key::<Text>()? {
            None => marked(&first, json).map_err(A::Error::custom),
            Some(second) => {
                let value = Value::from_json(json).map_err(A::Error::custom)?;
                let head = [(first, value), (second, entries.next_value()?)];
                rest(head, entries)
            }
        }
    }
}

/// A map of the entries that were read and of those that follow.
fn rest<'de, A: MapAccess<'de>>(
    head: impl IntoIterator<Item = (Text, Value)>,
    mut entries: A,
) -> Result<Value, A::Error> {
    let mut all = Vec::from_iter(head);
    while let Some(entry) = entries.next_entry()? {
        all.push(entry);
    }
    Ok(Value::Map(all.into_iter().collect()))
}

/// What the only entry of a map stands for.
fn marked(key: &Text, json: Json) -> Result<Value, serde_json::Error> {
    match (key.as_str(), json) {
        ("$secret", json) => {
            let record: SecretRecord = serde_json::from_value(json)?;
            Ok(Value::Secret(Secret::recorded(record)))
        }
        ("$unknown", json) => Ok(Value::Unknown(Box::new(UnknownForm::deserialize(json)?))),
        ("$map", Json::Object(inner)) => {
            let entries = inner
                .into_iter()
                .map(|(k, v)| Ok((k, Value::from_json(v)?)))
                .collect::<Result<Vec<_>, serde_json::Error>>()?;
            Ok(Value::Map(entries.into_iter().collect()))
        }
        (_, json) => Ok(Value::Map(Map::from([(
            key.clone(),
            Value::from_json(json)?,
        )]))),
    }
}
