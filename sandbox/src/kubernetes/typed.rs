//! Schema-driven operations on objects: validate, list fields, merge, compare, remove.
//!
//! These follow the rules that server-side apply documents: granular maps and keyed lists merge item
//! by item, everything else is replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fieldset::{FieldSet, element_text};
use super::schema::{ANY, Listing, Scalar, Schema, Shape, Type, TypeId};

/// What differs between two objects.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

fn field(name: &str) -> String {
    format!("f:{name}")
}

fn child_type(fields: &BTreeMap<String, TypeId>, rest: Option<TypeId>, name: &str) -> TypeId {
    fields.get(name).copied().or(rest).unwrap_or(ANY)
}

/// The path element of a list item.
fn item_element(how: &Listing, item: &Value) -> String {
    match how {
        Listing::Keyed(keys) => {
            let mut map = Map::new();
            for (key, default) in keys {
                let value = item.get(key).filter(|v| !v.is_null()).or(default.as_ref());
                map.insert(key.clone(), value.cloned().unwrap_or(Value::Null));
            }
            format!("k:{}", Value::Object(map))
        }
        _ => format!("v:{item}"),
    }
}

fn is_void(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The complaints about `value`, in the words of the typed converter.
pub(crate) fn validate(schema: &Schema, id: TypeId, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    validate_at(schema, id, value, "", &mut out);
    out
}

fn validate_at(schema: &Schema, id: TypeId, value: &Value, path: &str, out: &mut Vec<String>) {
    match (schema.get(id), value) {
        (Type::Any, _) | (_, Value::Null) => {}
        (Type::Scalar(scalar), _) => validate_scalar(*scalar, value, path, out),
        (Type::List { of, how }, Value::Array(list)) => {
            validate_list(schema, *of, how, list, path, out);
        }
        (Type::Map { fields, rest, .. }, Value::Object(map)) => {
            for (name, child) in map {
                let at = format!("{path}.{name}");
                match fields.get(name).copied().or(*rest) {
                    Some(of) => validate_at(schema, of, child, &at, out),
                    None => out.push(format!("{at}: field not declared in schema")),
                }
            }
        }
        (Type::List { .. }, _) => out.push(format!("{path}: expected list, got {}", shown(value))),
        (Type::Map { .. }, _) => out.push(format!("{path}: expected map, got {}", shown(value))),
    }
}

fn validate_list(
    schema: &Schema,
    of: TypeId,
    how: &Listing,
    list: &[Value],
    path: &str,
    out: &mut Vec<String>,
) {
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let at = match how {
            Listing::Atomic => format!("{path}[{index}]"),
            _ => {
                let element = item_element(how, item);
                let at = format!("{path}{}", element_text(&element));
                if let Some(key) = omitted_key(how, item) {
                    out.push(format!(
                        "{path}: element {index}: associative list with keys has an element that \
                         omits key field {key:?} (and doesn't have default value)"
                    ));
                    continue;
                }
                if !seen.insert(element.clone()) {
                    let what = element_text(&element);
                    out.push(format!("{path}: duplicate entries for key {what}"));
                }
                at
            }
        };
        validate_at(schema, of, item, &at, out);
    }
}

fn omitted_key<'a>(how: &'a Listing, item: &Value) -> Option<&'a str> {
    let Listing::Keyed(keys) = how else {
        return None;
    };
    keys.iter()
        .find(|(key, default)| default.is_none() && item.get(key).is_none_or(Value::is_null))
        .map(|(key, _)| key.as_str())
}

fn validate_scalar(scalar: Scalar, value: &Value, path: &str, out: &mut Vec<String>) {
    let wanted = match (scalar, value) {
        (Scalar::Text, Value::String(_))
        | (Scalar::Number, Value::Number(_))
        | (Scalar::Bool, Value::Bool(_)) => return,
        (Scalar::Any, v) if !v.is_object() && !v.is_array() => return,
        // Quantities and times are text that clients also send as numbers.
        (Scalar::Text, _) => "string",
        (Scalar::Number, _) => "numeric (int or float)",
        (Scalar::Bool, _) => "boolean",
        (Scalar::Any, _) => "scalar",
    };
    out.push(format!("{path}: expected {wanted}, got {}", shown(value)));
}

/// A value in an error text: its kind only, since it may be a secret.
fn shown(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// The paths that an applied object claims.
pub(crate) fn field_set(schema: &Schema, id: TypeId, value: &Value) -> FieldSet {
    let mut out = FieldSet::default();
    match schema.shape(id, value) {
        Shape::Leaf => out.here = true,
        Shape::Items(how, of) => {
            for item in items(Some(value)) {
                let mut child = field_set(schema, of, item);
                child.here = true;
                out.attach(&item_element(how, item), child);
            }
        }
        Shape::Fields(fields, rest) => {
            for (name, item) in entries(Some(value)) {
                let mut child = field_set(schema, child_type(fields, rest, name), item);
                let empty_map = item.as_object().is_some_and(Map::is_empty);
                child.here |= item.is_null() || empty_map || !fields.contains_key(name);
                out.attach(&field(name), child);
            }
        }
    }
    out
}

/// `live` with `config` laid over it.
pub(crate) fn merge(schema: &Schema, id: TypeId, live: &Value, config: &Value) -> Value {
    let probe = if config.is_null() { live } else { config };
    if is_void(Some(live)) && is_void(Some(config)) {
        return config.clone();
    }
    match schema.shape(id, probe) {
        Shape::Leaf => config.clone(),
        Shape::Items(how, of) => {
            merge_items(schema, of, how, items(Some(live)), items(Some(config)))
        }
        Shape::Fields(fields, rest) => {
            let mut out = live.as_object().cloned().unwrap_or_default();
            for (name, theirs) in entries(Some(config)) {
                let merged = match out.get(name) {
                    Some(ours) => merge(schema, child_type(fields, rest, name), ours, theirs),
                    None => theirs.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
    }
}

/// Keeps the order of the applied items; live items stay behind the neighbours they had.
fn merge_items(
    schema: &Schema,
    of: TypeId,
    how: &Listing,
    live: &[Value],
    config: &[Value],
) -> Value {
    let live_keys: Vec<String> = live.iter().map(|i| item_element(how, i)).collect();
    let place: BTreeMap<&String, usize> =
        live_keys.iter().enumerate().map(|(i, k)| (k, i)).collect();
    let wanted: BTreeSet<String> = config.iter().map(|i| item_element(how, i)).collect();
    let mut out = Vec::new();
    let mut next = 0;
    for item in config {
        let Some(&at) = place.get(&item_element(how, item)) else {
            while next < live.len() && !wanted.contains(&live_keys[next]) {
                out.push(live[next].clone());
                next += 1;
            }
            out.push(item.clone());
            continue;
        };
        while next < at {
            if !wanted.contains(&live_keys[next]) {
                out.push(live[next].clone());
            }
            next += 1;
        }
        next = next.max(at + 1);
        out.push(merge(schema, of, &live[at], item));
    }
    for at in next..live.len() {
        if !wanted.contains(&live_keys[at]) {
            out.push(live[at].clone());
        }
    }
    Value::Array(out)
}

/// What has to change in `old` to get `new`.
pub(crate) fn compare(
    schema: &Schema,
    id: TypeId,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Comparison {
    let mut out = Comparison::default();
    let Some(probe) = new.filter(|v| !v.is_null()).or(old).or(new) else {
        return out;
    };
    if old == new {
        return out;
    }
    let shape = schema.shape(id, probe);
    let leaf = matches!(shape, Shape::Leaf) || (is_void(old) && is_void(new));
    if leaf && old.is_some() && new.is_some() {
        out.modified.here = true;
        return out;
    }
    if !leaf {
        match shape {
            Shape::Fields(fields, rest) => {
                compare_fields(schema, &|n| child_type(fields, rest, n), old, new, &mut out);
            }
            Shape::Items(how, of) => compare_items(schema, of, how, old, new, &mut out),
            Shape::Leaf => {}
        }
    }
    out.added.here |= old.is_none();
    out.removed.here |= new.is_none();
    out
}

fn attach(out: &mut Comparison, element: &str, child: Comparison) {
    out.added.attach(element, child.added);
    out.modified.attach(element, child.modified);
    out.removed.attach(element, child.removed);
}

fn compare_fields(
    schema: &Schema,
    type_of: &dyn Fn(&str) -> TypeId,
    old: Option<&Value>,
    new: Option<&Value>,
    out: &mut Comparison,
) {
    let names: BTreeSet<&String> = entries(old).chain(entries(new)).map(|(n, _)| n).collect();
    for name in names {
        let (a, b) = (old.and_then(|o| o.get(name)), new.and_then(|n| n.get(name)));
        attach(out, &field(name), compare(schema, type_of(name), a, b));
    }
}

fn compare_items(
    schema: &Schema,
    of: TypeId,
    how: &Listing,
    old: Option<&Value>,
    new: Option<&Value>,
    out: &mut Comparison,
) {
    let by_key = |list: Option<&Value>| -> BTreeMap<String, Value> {
        items(list)
            .iter()
            .map(|i| (item_element(how, i), i.clone()))
            .collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        attach(out, key, compare(schema, of, old.get(key), new.get(key)));
    }
}

/// What becomes of a map that loses every field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// It stays as null, and so stays a member of the field set.
    Null,
    /// It goes too.
    Gone,
}

/// `value` without the members of `set`.
pub(crate) fn remove(
    schema: &Schema,
    id: TypeId,
    value: &Value,
    set: &FieldSet,
    emptied: Emptied,
) -> Value {
    if set.under.is_empty() {
        return value.clone();
    }
    match schema.shape(id, value) {
        Shape::Leaf => value.clone(),
        Shape::Items(how, of) => {
            let kept = items(Some(value)).iter().filter_map(|item| {
                match set.under.get(&item_element(how, item)) {
                    Some(gone) if gone.here => None,
                    Some(gone) => Some(remove(schema, of, item, gone, emptied)),
                    None => Some(item.clone()),
                }
            });
            Value::Array(kept.collect())
        }
        Shape::Fields(fields, rest) => {
            let mut out = Map::new();
            for (name, item) in entries(Some(value)) {
                let kept = match set.under.get(&field(name)) {
                    Some(gone) if gone.here => continue,
                    Some(gone) => {
                        let of = child_type(fields, rest, name);
                        remove(schema, of, item, gone, emptied)
                    }
                    None => item.clone(),
                };
                if !is_void(Some(&kept)) || is_void(Some(item)) {
                    out.insert(name.clone(), kept);
                } else if emptied == Emptied::Null {
                    out.insert(name.clone(), Value::Null);
                }
            }
            Value::Object(out)
        }
    }
}

/// `set` with every declared field on the way to a member made a member itself.
pub(crate) fn with_named_fields(schema: &Schema, id: TypeId, set: &FieldSet) -> FieldSet {
    let mut out = FieldSet {
        here: set.here,
        under: BTreeMap::new(),
    };
    for (element, child) in &set.under {
        let (of, declared) = match (schema.get(id), element.strip_prefix("f:")) {
            (Type::Map { fields, rest, .. }, Some(name)) => {
                (child_type(fields, *rest, name), fields.contains_key(name))
            }
            (Type::List { of, .. }, None) => (*of, false),
            _ => (ANY, false),
        };
        let mut node = with_named_fields(schema, of, child);
        node.here |= declared;
        out.under.insert(element.clone(), node);
    }
    out
}
