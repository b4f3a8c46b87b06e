//! What differs between what shall be and what is, per attribute. Pure.
//!
//! Only what the spec names is compared: what the vendor or somebody else adds is invisible by
//! construction. For Kubernetes objects, fields that were applied and left the spec are compared
//! too, because they are to be removed.

use crate::address::AttrPath;
use crate::schema::{Attr, Equality, KindSchema, ObjectRules, OnChange, Type};
use crate::value::{Map, Value};

mod equality;
pub mod ignore;
mod object;
pub mod text;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: AttrPath,
    /// What is there; `None` when nothing is.
    pub before: Option<Value>,
    /// What shall be there; `None` when it is to be removed.
    pub after: Option<Value>,
    /// Whether the vendor cannot change it in place.
    pub replaces: bool,
}

/// Compares what shall be (`desired`) with what is (`live`). `recorded` is what was applied last.
pub fn diff(
    schema: &KindSchema,
    objects: Option<&ObjectRules>,
    desired: &Value,
    live: &Value,
    recorded: Option<&Value>,
) -> Vec<Difference> {
    let mut out = Vec::new();
    match objects.filter(|_| schema.is_object()) {
        Some(rules) => object::diff(rules, desired, live, recorded, &mut out),
        None => attributes(
            &schema.attrs,
            &AttrPath::root(),
            desired,
            live,
            recorded,
            &mut out,
        ),
    }
    out
}

fn attributes(
    attrs: &[Attr],
    at: &AttrPath,
    desired: &Value,
    live: &Value,
    recorded: Option<&Value>,
    out: &mut Vec<Difference>,
) {
    for attr in attrs {
        let Some(after) = desired.get(attr.name) else {
            continue;
        };
        let path = at.key(attr.name);
        let was = recorded.and_then(|r| r.get(attr.name));
        let before = if attr.write_only {
            was
        } else {
            live.get(attr.name)
        };
        if let (Type::Object(inner), Some(before @ Value::Map(_)), Value::Map(_)) =
            (&attr.ty, before, after)
        {
            attributes(inner, &path, after, before, was, out);
            continue;
        }
        if equality::same(attr.equal, before, after) {
            continue;
        }
        out.push(Difference {
            path,
            before: before.map(|b| equality::veiled(b, after)),
            after: Some(after.clone()),
            replaces: attr.on_change == OnChange::Replace,
        });
    }
}

/// The part of a live object that a comparison with `desired` looks at: what a plan was decided on.
pub fn projection(
    schema: &KindSchema,
    objects: Option<&ObjectRules>,
    desired: &Value,
    live: &Value,
) -> Value {
    match objects.filter(|_| schema.is_object()) {
        Some(rules) => object::projection(rules, desired, live),
        None => attr_projection(&schema.attrs, desired, live),
    }
}

fn attr_projection(attrs: &[Attr], desired: &Value, live: &Value) -> Value {
    let mut out = Map::new();
    for attr in attrs.iter().filter(|a| !a.write_only) {
        let (Some(want), Some(have)) = (desired.get(attr.name), live.get(attr.name)) else {
            continue;
        };
        let part = match &attr.ty {
            Type::Object(inner) => attr_projection(inner, want, have),
            _ if attr.equal == Equality::TagSet => equality::shared_tags(want, have),
            _ => have.clone(),
        };
        out.insert(attr.name.to_owned(), part);
    }
    Value::Map(out)
}

#[cfg(test)]
mod tests;
