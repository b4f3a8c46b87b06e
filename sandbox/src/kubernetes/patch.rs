//! The patch formats besides server-side apply.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::schema::{ANY, Listing, Schema, Shape, TypeId};

/// RFC 7386.
pub(crate) fn merge(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else {
        return patch.clone();
    };
    let mut out = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            out.remove(name);
        } else {
            let merged = merge(out.get(name).unwrap_or(&Value::Null), value);
            out.insert(name.clone(), merged);
        }
    }
    Value::Object(out)
}

/// A merge patch that also merges keyed lists, item by item.
pub(crate) fn strategic(schema: &Schema, id: TypeId, target: &Value, patch: &Value) -> Value {
    match (schema.shape(id, patch), patch) {
        (Shape::Fields(fields, rest), Value::Object(patch)) => {
            let mut out = target.as_object().cloned().unwrap_or_default();
            if patch.get("$patch").is_some_and(|p| p == "replace") {
                out = Map::new();
            }
            for (name, value) in patch.iter().filter(|(n, _)| !n.starts_with('$')) {
                if value.is_null() {
                    out.remove(name);
                    continue;
                }
                let of = fields.get(name).copied().or(rest).unwrap_or(ANY);
                let merged = strategic(schema, of, out.get(name).unwrap_or(&Value::Null), value);
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Shape::Items(Listing::Keyed(keys), of), Value::Array(patch)) => {
            let mut out = target.as_array().cloned().unwrap_or_default();
            for item in patch {
                let same = |other: &Value| {
                    keys.iter().all(|(k, default)| {
                        let at = |v: &Value| v.get(k).cloned().or_else(|| default.clone());
                        at(other) == at(item)
                    })
                };
                let position = out.iter().position(same);
                match (position, item.get("$patch").is_some_and(|p| p == "delete")) {
                    (Some(at), true) => {
                        out.remove(at);
                    }
                    (Some(at), false) => out[at] = strategic(schema, of, &out[at], item),
                    (None, true) => {}
                    (None, false) => out.push(item.clone()),
                }
            }
            Value::Array(out)
        }
        _ => patch.clone(),
    }
}

/// RFC 6902.
pub(crate) fn json_patch(target: &Value, patch: &Value) -> Result<Value, Failure> {
    let Some(operations) = patch.as_array() else {
        return Err(Failure::bad_request(
            "error decoding patch: not a list of operations",
        ));
    };
    let mut out = target.clone();
    for operation in operations {
        apply_operation(&mut out, operation).ok_or_else(|| {
            let text = format!(
                "the server rejected our request due to an error in our request: {operation}"
            );
            Failure::bad_request(text)
        })?;
    }
    Ok(out)
}

fn apply_operation(root: &mut Value, operation: &Value) -> Option<()> {
    let path = operation["path"].as_str()?;
    let value = || operation.get("value").cloned();
    match operation["op"].as_str()? {
        "add" => insert(root, path, value()?),
        "remove" => take(root, path).map(drop),
        "replace" => {
            *root.pointer_mut(path)? = value()?;
            Some(())
        }
        "test" => (root.pointer(path) == operation.get("value")).then_some(()),
        "move" => {
            let moved = take(root, operation["from"].as_str()?)?;
            insert(root, path, moved)
        }
        "copy" => {
            let copied = root.pointer(operation["from"].as_str()?)?.clone();
            insert(root, path, copied)
        }
        _ => None,
    }
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn insert(root: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *root = value;
        return Some(());
    }
    let (parent, last) = split(path)?;
    match root.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(list) => {
            let at = if last == "-" {
                list.len()
            } else {
                last.parse().ok()?
            };
            if at > list.len() {
                return None;
            }
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn take(root: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match root.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&last),
        Value::Array(list) => {
            let at: usize = last.parse().ok()?;
            (at < list.len()).then(|| list.remove(at))
        }
        _ => None,
    }
}
