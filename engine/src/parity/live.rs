//! What differs live where the specs agree.

use super::spec::leaves;
use super::words;
use super::{Difference, Found, Relative, SecretPair, Side, Words};
use crate::address::{Address, AttrPath};
use crate::config::Resource;
use crate::diff::projection;
use crate::expr::{Expr, Node, Part, Reference};
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::provider::{Live, Observed};
use crate::value::{Map, Text, Value};

#[derive(Default)]
pub(super) struct Looked {
    pub(super) found: Vec<Found>,
    pub(super) secrets: Vec<SecretPair>,
    pub(super) unreadable: Vec<(Address, String)>,
}

/// Compares one pair. `known` is what the specs say differently: that is told already.
pub(super) fn compare(
    inputs: &Inputs,
    seen: &Observations,
    words: &[Words; 2],
    (relative, left, right): (&Relative, &Resource, &Resource),
    known: &[Found],
    out: &mut Looked,
) {
    let subject = relative.to_string();
    let lives = [left, right].map(|resource| live(seen, &resource.address, out));
    let (l, r) = match lives {
        [Some(Some(l)), Some(Some(r))] => (l, r),
        // What was not looked at, could not be read or is missing on both sides says nothing.
        [None, _] | [_, None] | [Some(None), Some(None)] => return,
        [l, r] => {
            let there = |live: Option<Option<&Live>>| live.flatten().map(|_| Value::text("there"));
            out.found.push(found(&subject, None, there(l), there(r)));
            return;
        }
    };
    let told: Vec<&AttrPath> = known
        .iter()
        .filter(|f| f.difference.resource == subject)
        .filter_map(|f| f.difference.path.as_ref())
        .collect();
    let shown = [shown(inputs, seen, left, l), shown(inputs, seen, right, r)];
    secrets(&subject, &AttrPath::root(), [&shown[0], &shown[1]], out);
    leaves(
        &AttrPath::root(),
        Some(&shown[0]),
        Some(&shown[1]),
        &mut |path, l, r| {
            if words::agree(words, l, r) {
                return;
            }
            let told = told.iter().any(|t| covers(t, path));
            if !told && !is_derived(left, path) && !is_derived(right, path) {
                out.found
                    .push(found(&subject, Some(path.clone()), l.cloned(), r.cloned()));
            }
        },
    );
}

fn found(
    subject: &str,
    path: Option<AttrPath>,
    left: Option<Value>,
    right: Option<Value>,
) -> Found {
    Found {
        because: None,
        difference: Difference {
            resource: subject.to_owned(),
            path,
            side: Side::Live,
            left,
            right,
            left_at: None,
            right_at: None,
            objects: 1,
        },
    }
}

/// What was seen: `None` when nothing is known, `Some(None)` when it is not there.
#[allow(clippy::option_option)]
fn live<'a>(
    seen: &'a Observations,
    address: &Address,
    out: &mut Looked,
) -> Option<Option<&'a Live>> {
    match seen.seen.get(address)? {
        Observed::Present(live) | Observed::Foreign(live) => Some(Some(live)),
        Observed::Gone => Some(None),
        Observed::Unreadable(error) => {
            out.unreadable
                .push((address.clone(), error.message.clone()));
            None
        }
    }
}

/// The live attributes that the spec is about; the data of a Secret or a ConfigMap as a whole, because
/// an entry too many matters as much as one that is missing.
fn shown(inputs: &Inputs, seen: &Observations, resource: &Resource, live: &Live) -> Value {
    let Some(schema) = inputs.registry.kind(&resource.address.kind) else {
        return Value::Null;
    };
    let rules = inputs.object_rules(&resource.address);
    let desired = resource
        .body
        .eval(&|reference: &Reference| lookup_seen(inputs, seen, reference));
    let mut out = projection(schema, rules, &desired, &live.attrs);
    let Some(rules) = rules else { return out };
    let whole = (rules.canonical)(&live.attrs);
    let kind = whole.get("kind").and_then(Value::as_str);
    if let (Value::Map(map), Some("Secret" | "ConfigMap")) = (&mut out, kind) {
        for key in ["data", "stringData"] {
            if let Some(data) = whole.get(key) {
                map.insert(key.to_owned(), data.clone());
            }
        }
    }
    out
}

/// Whether `path` lies at or below `told`.
fn covers(told: &AttrPath, path: &AttrPath) -> bool {
    path.segments().starts_with(told.segments())
}

/// Whether the spec takes the value from something that each zone has for itself.
fn is_derived(resource: &Resource, path: &AttrPath) -> bool {
    let own = |reference: &Reference| {
        reference
            .address()
            .is_some_and(|a| a.zone == resource.address.zone)
    };
    let mut here = &resource.body;
    let hit = |expr: &Expr| match &expr.node {
        Node::Ref(reference) => own(reference),
        Node::Template(parts) => parts
            .iter()
            .any(|p| matches!(p, Part::Ref(reference) if own(reference))),
        _ => false,
    };
    for segment in path.segments() {
        let next = match (&here.node, segment) {
            (Node::Map(map), crate::address::Segment::Key(key)) => map.get(key),
            (Node::List(items), crate::address::Segment::Index(i)) => items.get(*i),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    hit(here)
}

fn secrets(subject: &str, path: &AttrPath, pair: [&Value; 2], out: &mut Looked) {
    match pair {
        [Value::Map(l), Value::Map(r)] => {
            let both = |l: &Map, r: &Map| -> Vec<Text> {
                l.keys().filter(|k| r.contains_key(k)).cloned().collect()
            };
            for key in both(l, r) {
                secrets(subject, &path.key(&key), [&l[&key], &r[&key]], out);
            }
        }
        [Value::Secret(l), Value::Secret(r)] => out.secrets.push(SecretPair {
            subject: format!("{subject} {path}"),
            same: l.same(r),
            left: l.digest(),
            right: r.digest(),
        }),
        _ => {}
    }
}
