//! Kubernetes objects: what we apply is compared as a subset of what is there.
//!
//! Both sides are first brought to the provider's canonical form (quantities, nulls, secret data).
//! Lists whose items have a key are compared by it; others by position and length.

use serde_json::Value as Json;

use super::{Difference, equality};
use crate::address::{AttrPath, Segment};
use crate::schema::{Equality, ObjectRules};
use crate::value::{Map, Value};

struct Walk<'a> {
    rules: &'a ObjectRules,
    /// `apps/Deployment`, `core/Service`.
    kind: String,
    out: &'a mut Vec<Difference>,
}

pub(super) fn diff(
    rules: &ObjectRules,
    desired: &Value,
    live: &Value,
    recorded: Option<&Value>,
    out: &mut Vec<Difference>,
) {
    let desired = (rules.canonical)(desired);
    let live = (rules.canonical)(live);
    let recorded = recorded.map(rules.canonical);
    let mut walk = Walk {
        rules,
        kind: group_kind(&desired),
        out,
    };
    walk.value(&AttrPath::root(), &desired, Some(&live), recorded.as_ref());
}

/// `group/Kind` of an object, with `core` for the empty group.
fn group_kind(object: &Value) -> String {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("");
    let group = match text("apiVersion").split_once('/') {
        Some((group, _)) => group,
        None => "core",
    };
    format!("{group}/{}", text("kind"))
}

fn keys(path: &AttrPath) -> Vec<&str> {
    path.segments()
        .iter()
        .filter_map(|s| match s {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
        .collect()
}

/// The item's identity within its list.
fn identity<'v>(item: &'v Value, key: &[&str]) -> Option<Vec<Option<&'v Value>>> {
    let found: Vec<_> = key.iter().map(|k| item.get(k)).collect();
    found.iter().any(Option::is_some).then_some(found)
}

pub(super) fn find<'v>(items: &'v [Value], item: &Value, key: &[&str]) -> Option<&'v Value> {
    let wanted = identity(item, key)?;
    items
        .iter()
        .find(|other| identity(other, key).as_ref() == Some(&wanted))
}

impl Walk<'_> {
    fn value(
        &mut self,
        path: &AttrPath,
        desired: &Value,
        live: Option<&Value>,
        recorded: Option<&Value>,
    ) {
        match (desired, live) {
            (Value::Map(want), Some(Value::Map(have))) => {
                let was = recorded.and_then(Value::as_map);
                self.map(path, want, have, was);
            }
            (Value::List(want), Some(Value::List(have))) => {
                let was = recorded.and_then(Value::as_list);
                self.list(path, want, have, was);
            }
            _ if equality::same(Equality::Exact, live, desired) => {}
            (_, None) if self.is_not_kept(path, desired) => {}
            _ => self.push(path, live, Some(desired), recorded),
        }
    }

    /// Whether the server drops a field that says this.
    fn is_not_kept(&self, path: &AttrPath, desired: &Value) -> bool {
        let Some(Segment::Key(name)) = path.segments().last() else {
            return false;
        };
        let zero = match desired.to_json() {
            Json::Bool(on) => !on,
            Json::Number(number) => number.as_f64() == Some(0.0),
            Json::String(text) => text.is_empty(),
            _ => false,
        };
        zero && self.rules.zero_is_unset.contains(&name.as_str())
    }

    fn map(&mut self, path: &AttrPath, want: &Map, have: &Map, was: Option<&Map>) {
        for (key, desired) in want {
            let recorded = was.and_then(|m| m.get(key));
            self.value(&path.key(key), desired, have.get(key), recorded);
        }
        // Applied once, not wanted any more, still there.
        for key in was.into_iter().flat_map(Map::keys) {
            if !want.contains_key(key)
                && let Some(left) = have.get(key)
            {
                self.push(
                    &path.key(key),
                    Some(left),
                    None,
                    was.and_then(|m| m.get(key)),
                );
            }
        }
    }

    fn list(&mut self, path: &AttrPath, want: &[Value], have: &[Value], was: Option<&[Value]>) {
        let Some(key) = (self.rules.list_key)(&keys(path)) else {
            return self.positions(path, want, have);
        };
        for (i, desired) in want.iter().enumerate() {
            let live = find(have, desired, key);
            let recorded = was.and_then(|items| find(items, desired, key));
            self.value(&path.index(i), desired, live, recorded);
        }
        for item in was.into_iter().flatten() {
            if find(want, item, key).is_none()
                && let Some(left) = find(have, item, key)
            {
                let label = identity(left, key)
                    .and_then(|id| id.first().copied().flatten().map(Value::to_json))
                    .map_or_else(String::new, |v| v.to_string().trim_matches('"').to_owned());
                self.push(&path.key(&label), Some(left), None, Some(item));
            }
        }
    }

    fn positions(&mut self, path: &AttrPath, want: &[Value], have: &[Value]) {
        if want.len() != have.len() {
            let before = Value::List(have.to_vec());
            let after = Value::List(want.to_vec());
            return self.push(path, Some(&before), Some(&after), None);
        }
        for (i, (desired, live)) in want.iter().zip(have).enumerate() {
            self.value(&path.index(i), desired, Some(live), None);
        }
    }

    /// What is there is hidden where what shall be there, or what was applied, is a secret.
    fn push(
        &mut self,
        path: &AttrPath,
        before: Option<&Value>,
        after: Option<&Value>,
        recorded: Option<&Value>,
    ) {
        let veil = |value: &Value| {
            let likes = [after, recorded].into_iter().flatten();
            likes.fold(value.clone(), |v, like| equality::veiled(&v, like))
        };
        let dotted = keys(path).join(".");
        let replaces = self.rules.immutable.iter().any(|(kind, immutable)| {
            *kind == self.kind
                && (dotted == *immutable || dotted.starts_with(&format!("{immutable}.")))
        });
        self.out.push(Difference {
            path: path.clone(),
            before: before.map(veil),
            after: after.cloned(),
            replaces: replaces && before.is_some(),
        });
    }
}

pub(super) fn projection(rules: &ObjectRules, desired: &Value, live: &Value) -> Value {
    project(
        rules,
        &AttrPath::root(),
        &(rules.canonical)(desired),
        &(rules.canonical)(live),
    )
}

fn project(rules: &ObjectRules, path: &AttrPath, desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::Map(want), Value::Map(have)) => Value::Map(
            want.iter()
                .filter_map(|(key, w)| {
                    Some((
                        key.clone(),
                        project(rules, &path.key(key), w, have.get(key)?),
                    ))
                })
                .collect(),
        ),
        (Value::List(want), Value::List(have)) => match (rules.list_key)(&keys(path)) {
            Some(key) => Value::List(
                want.iter()
                    .enumerate()
                    .filter_map(|(i, w)| {
                        Some(project(rules, &path.index(i), w, find(have, w, key)?))
                    })
                    .collect(),
            ),
            None if want.len() == have.len() => Value::List(
                want.iter()
                    .zip(have)
                    .enumerate()
                    .map(|(i, (w, h))| project(rules, &path.index(i), w, h))
                    .collect(),
            ),
            None => live.clone(),
        },
        _ => live.clone(),
    }
}
