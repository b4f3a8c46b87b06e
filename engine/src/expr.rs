//! Expressions: values with references in them, and where each part was written.
//!
//! An expression is what the spec says, after inheritance and with zones resolved. Evaluating it
//! against a scope gives a value, in which what is not there yet is [`Value::Unknown`]. A plan keeps
//! the *reduced* expression: all that was known while planning is a literal, so that applying can
//! only fill the gaps that the plan showed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::address::{Address, AddressError, AttrPath, RefText, ZoneSelector, text_serde};
use crate::secret::{Purpose, Secret};
use crate::value::{Marked, Sorted, Unknown, Value};

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Path of the file as the user knows it.
    pub file: Arc<str>,
    /// First line, counted from one.
    pub line: u32,
    /// First byte in the file.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// The overlay that it was written in: `role.standby`, `posture.warm`.
    pub overlay: Option<Arc<str>>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a reference names, with its zone resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// An attribute of a resource; an empty path is its id.
    Resource {
        /// The resource.
        address: Address,
        /// The attribute.
        path: AttrPath,
    },
    /// A declared secret.
    Secret(String),
}

impl Reference {
    /// The resource that is referred to.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Reference::Resource { address, .. } => Some(address),
            Reference::Secret(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Secret(name) => write!(f, "secret.{name}"),
            Reference::Resource { address, path } => RefText::Resource {
                zone: Some(ZoneSelector::Named(address.zone.clone())),
                kind: address.kind.clone(),
                name: address.name.clone(),
                key: address.key.clone(),
                path: path.clone(),
            }
            .fmt(f),
        }
    }
}

impl FromStr for Reference {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match RefText::parse(text)? {
            RefText::Secret(name) => Ok(Reference::Secret(name)),
            RefText::Resource {
                zone: Some(ZoneSelector::Named(zone)),
                kind,
                name,
                key,
                path,
            } => Ok(Reference::Resource {
                address: Address::new(zone, kind, name, key),
                path,
            }),
            _ => Err(AddressError {
                message: format!("`{text}` names no zone"),
                at: 0,
            }),
        }
    }
}

text_serde!(Reference);

/// An expression and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it was written; `None` for what the engine made itself.
    pub at: Option<Origin>,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A known scalar.
    Literal(Value),
    /// Exactly one reference: takes the type of what it names.
    Ref(Reference),
    /// Text with references in it.
    Template(Vec<Part>),
    /// A list.
    List(Vec<Expr>),
    /// A map.
    Map(Sorted<Expr>),
    /// Text that is another one when the value is: see [`crate::canon::fingerprint`].
    Fingerprint(Box<Expr>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// A reference whose value is put in as text.
    Ref(Reference),
}

/// What a reference has as its value just now.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// The value (which may itself be a secret or unknown).
    Known(Value),
    /// Known once the resource has been applied; `secret` if it will be one.
    Later {
        /// Whether it will be a secret.
        secret: bool,
    },
}

/// Gives references their values.
pub trait Scope {
    /// The value of a reference.
    fn lookup(&self, reference: &Reference) -> Lookup;
}

impl<F: Fn(&Reference) -> Lookup> Scope for F {
    fn lookup(&self, reference: &Reference) -> Lookup {
        self(reference)
    }
}

impl Expr {
    /// An expression that the engine makes itself.
    pub fn literal(value: Value) -> Expr {
        match value {
            Value::List(items) => {
                Expr::from(Node::List(items.into_iter().map(Expr::literal).collect()))
            }
            Value::Map(map) => Expr::from(Node::Map(
                map.into_iter()
                    .map(|(k, v)| (k, Expr::literal(v)))
                    .collect(),
            )),
            scalar => Expr::from(Node::Literal(scalar)),
        }
    }

    /// The entry of a map.
    pub fn get(&self, key: &str) -> Option<&Expr> {
        match &self.node {
            Node::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// Where a path was written: the deepest part that exists and has an origin.
    pub fn origin_of(&self, path: &AttrPath) -> Option<&Origin> {
        let mut here = self;
        let mut found = self.at.as_ref();
        for segment in path.segments() {
            let next = match (&here.node, segment) {
                (Node::Map(map), crate::address::Segment::Key(key)) => map.get(key),
                (Node::List(items), crate::address::Segment::Index(i)) => items.get(*i),
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
            found = here.at.as_ref().or(found);
        }
        found
    }

    /// Every reference in it, with where it was written.
    pub fn references(&self) -> Vec<(&Reference, Option<&Origin>)> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }

    fn collect<'a>(&'a self, out: &mut Vec<(&'a Reference, Option<&'a Origin>)>) {
        match &self.node {
            Node::Literal(_) => {}
            Node::Ref(reference) => out.push((reference, self.at.as_ref())),
            Node::Template(parts) => out.extend(parts.iter().filter_map(|part| match part {
                Part::Ref(reference) => Some((reference, self.at.as_ref())),
                Part::Text(_) => None,
            })),
            Node::List(items) => items.iter().for_each(|e| e.collect(out)),
            Node::Map(map) => map.values().for_each(|e| e.collect(out)),
            Node::Fingerprint(inner) => inner.collect(out),
        }
    }

    /// The value in a scope.
    pub fn eval(&self, scope: &dyn Scope) -> Value {
        match &self.node {
            Node::Literal(value) => value.clone(),
            Node::Ref(reference) => lookup_value(scope, reference),
            Node::Template(parts) => eval_template(parts, scope),
            Node::List(items) => Value::List(items.iter().map(|e| e.eval(scope)).collect()),
            Node::Map(map) => Value::Map(
                map.iter()
                    .map(|(k, e)| (k.clone(), e.eval(scope)))
                    .collect(),
            ),
            Node::Fingerprint(inner) => {
                let value = inner.eval(scope);
                if value.is_known() {
                    return Value::text(crate::canon::fingerprint(&value));
                }
                Value::unknown(value.unknowns(), false)
            }
        }
    }

    /// The same expression with everything that is known in the scope as a literal. Secrets stay
    /// references: a plan never holds one.
    #[must_use]
    pub fn reduce(&self, scope: &dyn Scope) -> Expr {
        let node = match &self.node {
            Node::List(items) => Node::List(items.iter().map(|e| e.reduce(scope)).collect()),
            Node::Map(map) => Node::Map(
                map.iter()
                    .map(|(k, e)| (k.clone(), e.reduce(scope)))
                    .collect(),
            ),
            Node::Literal(_) => self.node.clone(),
            Node::Fingerprint(inner) => match self.eval(scope) {
                text @ Value::String(_) => Node::Literal(text),
                _ => Node::Fingerprint(Box::new(inner.reduce(scope))),
            },
            Node::Ref(_) | Node::Template(_) => {
                let value = self.eval(scope);
                let mut plain = value.is_known();
                value.visit(&mut |leaf| plain &= !matches!(leaf, Value::Secret(_)));
                if plain {
                    Expr::literal(value).node
                } else {
                    self.node.clone()
                }
            }
        };
        Expr {
            node,
            at: self.at.clone(),
        }
    }

    /// The stored form: values as JSON, references as `{"$ref"}`, templates as `{"$template"}`.
    ///
    /// # Panics
    /// Never: every expression has such a form.
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).expect("invariant: an expression serialises to JSON")
    }

    /// Reads what [`Expr::to_json`] wrote.
    ///
    /// # Errors
    /// A marked form does not hold what it should.
    pub fn from_json(json: Json) -> Result<Expr, serde_json::Error> {
        let node = match json {
            Json::Array(items) => Node::List(
                items
                    .into_iter()
                    .map(Expr::from_json)
                    .collect::<Result<_, _>>()?,
            ),
            Json::Object(map) => return Expr::from_object(map),
            leaf => Node::Literal(Value::from_plain_json(leaf)),
        };
        Ok(Expr::from(node))
    }

    fn from_object(mut map: serde_json::Map<String, Json>) -> Result<Expr, serde_json::Error> {
        if map.len() == 1 {
            if let Some(reference) = map.remove("$ref") {
                return Ok(Expr::from(Node::Ref(serde_json::from_value(reference)?)));
            }
            if let Some(Json::Array(parts)) = map.remove("$template") {
                let parts = parts.into_iter().map(part_from_json);
                return Ok(Expr::from(Node::Template(parts.collect::<Result<_, _>>()?)));
            }
            if let Some(inner) = map.remove("$fingerprint") {
                let inner = Box::new(Expr::from_json(inner)?);
                return Ok(Expr::from(Node::Fingerprint(inner)));
            }
            if map.contains_key("$secret") || map.contains_key("$unknown") {
                return Ok(Expr::literal(Value::from_json(Json::Object(map))?));
            }
            if let Some(Json::Object(inner)) = map.remove("$map") {
                map = inner;
            }
        }
        let entries = map
            .into_iter()
            .map(|(k, v)| Ok((k, Expr::from_json(v)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        Ok(Expr::from(Node::Map(entries)))
    }
}

fn part_from_json(json: Json) -> Result<Part, serde_json::Error> {
    match json {
        Json::String(text) => Ok(Part::Text(text)),
        other => match Expr::from_json(other)?.node {
            Node::Ref(reference) => Ok(Part::Ref(reference)),
            _ => Err(serde::de::Error::custom("a template part is no reference")),
        },
    }
}

fn lookup_value(scope: &dyn Scope, reference: &Reference) -> Value {
    match scope.lookup(reference) {
        Lookup::Known(value) => value,
        Lookup::Later { secret } => Value::unknown([reference.clone()].into(), secret),
    }
}

/// Text with values put in: unknown if any part is, secret if any part is.
fn eval_template(parts: &[Part], scope: &dyn Scope) -> Value {
    let values: Vec<Value> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Value::text(text.clone()),
            Part::Ref(reference) => lookup_value(scope, reference),
        })
        .collect();
    let mut unknown = Unknown::default();
    let mut secrets = Vec::new();
    for value in &values {
        match value {
            Value::Unknown(u) => {
                unknown.from.extend(u.from.iter().cloned());
                unknown.secret |= u.secret;
            }
            Value::Secret(secret) => secrets.push(secret),
            _ => {}
        }
    }
    if !unknown.from.is_empty() {
        unknown.secret |= !secrets.is_empty();
        return Value::Unknown(Box::new(unknown));
    }
    let label = secrets
        .iter()
        .map(|s| &*s.label)
        .collect::<Vec<_>>()
        .join("+");
    match (secrets.first(), concat(&values)) {
        (None, text) => Value::text(text.unwrap_or_default()),
        (Some(first), Some(text)) => Value::Secret(Secret::new(label, text, first.key())),
        (Some(_), None) => Value::Secret(Secret::recorded(crate::secret::SecretRecord {
            label,
            digest: None,
        })),
    }
}

fn concat(values: &[Value]) -> Option<String> {
    let mut out = String::new();
    for value in values {
        match value {
            Value::Secret(secret) => out.push_str(secret.expose(Purpose::Derive)?),
            Value::String(text) => out.push_str(text),
            Value::Null => {}
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => out.push_str(&n.to_string()),
            other => out.push_str(&other.to_json().to_string()),
        }
    }
    Some(out)
}

impl From<Node> for Expr {
    fn from(node: Node) -> Expr {
        Expr { node, at: None }
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.node {
            Node::Literal(value) => value.serialize(s),
            Node::Ref(reference) => Marked("$ref", reference).serialize(s),
            Node::Template(parts) => Marked("$template", parts).serialize(s),
            Node::List(items) => items.serialize(s),
            Node::Map(map) if map.looks_marked() => Marked("$map", map).serialize(s),
            Node::Map(map) => map.serialize(s),
            Node::Fingerprint(inner) => Marked("$fingerprint", inner).serialize(s),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Text(text) => s.serialize_str(text),
            Part::Ref(reference) => Marked("$ref", reference).serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Expr::from_json(Json::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
