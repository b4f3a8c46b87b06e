//! A workload is rolled when a ConfigMap or a Secret that its pods read changes: its template carries an
//! annotation with the fingerprint of each. Pure.
//!
//! The fingerprint of a Secret depends on the project's digest key. On a machine that has another key, what
//! is live stays as long as the Secret itself stays, so that nothing is rolled for the key's sake.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::address::{Address, AttrPath, InstanceId};
use crate::canon;
use crate::config::Resource;
use crate::expr::{Expr, Node, Reference, Scope};
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::plan::build::object_values;
use crate::snapshot::Record;
use crate::value::{Sorted, Value};

/// What the annotations begin with.
const PREFIX: &str = "zonewright.dev/checksum-";

/// The longest name of an annotation behind its prefix, in bytes.
const LONGEST: usize = 63 - "checksum-".len();

/// Where the annotations of pods are.
const ANNOTATIONS: [&str; 4] = ["spec", "template", "metadata", "annotations"];

/// The parts of an object that pods read.
const CONTENT: [&str; 3] = ["binaryData", "data", "stringData"];

/// Which objects each workload reads, by the annotation that tells of them.
#[derive(Debug, Default)]
pub(crate) struct Rolls(BTreeMap<Address, BTreeMap<String, Vec<Address>>>);

/// Instance, namespace, kind and name.
type Place<'a> = (InstanceId, &'a str, &'a str, &'a str);

fn text<'a>(object: &'a Value, keys: &[&str]) -> &'a str {
    let found = keys.iter().try_fold(object, |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// What one resource shall be, with the annotations of what its pods read: for those who look at few.
pub(crate) fn value(inputs: &Inputs, seen: &Observations, resource: &Resource) -> Value {
    let scope = |r: &Reference| lookup_seen(inputs, seen, r);
    let object = resource.body.eval(&scope);
    let rules = inputs.object_rules(&resource.address);
    if rules.is_none_or(|rules| (rules.reads_at_start)(&object).is_empty()) {
        return object;
    }
    let rolls = Rolls::of(inputs, &object_values(inputs, seen));
    rolls.value(
        inputs,
        &scope,
        resource,
        inputs.state.record(&resource.address),
    )
}

impl Rolls {
    /// Works out who reads what. Only what the spec declares counts.
    pub(crate) fn of(inputs: &Inputs, values: &BTreeMap<Address, Value>) -> Rolls {
        let mut places: BTreeMap<Place<'_>, &Address> = BTreeMap::new();
        for (address, object) in values {
            let kind = text(object, &["kind"]);
            if matches!(kind, "ConfigMap" | "Secret")
                && let Some(instance) = inputs.instance_of(address)
            {
                let namespace = text(object, &["metadata", "namespace"]);
                let name = text(object, &["metadata", "name"]);
                places.insert((instance, namespace, kind, name), address);
            }
        }
        let mut out = Rolls::default();
        for (address, object) in values {
            let (Some(rules), Some(instance)) =
                (inputs.object_rules(address), inputs.instance_of(address))
            else {
                continue;
            };
            let resource = inputs.config.resources.get(address);
            if resource.is_some_and(|r| r.meta.steady) {
                continue;
            }
            let namespace = text(object, &["metadata", "namespace"]);
            for need in (rules.reads_at_start)(object) {
                let place = (instance.clone(), namespace, need.kind, need.name.as_str());
                if let Some(read) = places.get(&place) {
                    let marks = out.0.entry(address.clone()).or_default();
                    let mark = marks.entry(annotation(&need.name)).or_default();
                    mark.push((*read).clone());
                }
            }
        }
        out
    }

    /// What a resource shall be, with the annotations of what its pods read.
    pub(crate) fn body<'a>(&self, inputs: &Inputs, resource: &'a Resource) -> Cow<'a, Expr> {
        let Some(marks) = self.0.get(&resource.address) else {
            return Cow::Borrowed(&resource.body);
        };
        let mut body = resource.body.clone();
        for (name, read) in marks {
            let of = read.iter().filter_map(|a| inputs.config.resources.get(a));
            let content = Expr::from(Node::List(of.map(content).collect()));
            let mark = Expr::from(Node::Fingerprint(Box::new(content)));
            put(&mut body, &ANNOTATIONS, name, mark);
        }
        Cow::Owned(body)
    }

    /// The value of that as far as it is known, beside what is recorded of it.
    pub(crate) fn value(
        &self,
        inputs: &Inputs,
        scope: &dyn Scope,
        resource: &Resource,
        record: Option<&Record>,
    ) -> Value {
        let mut value = self.body(inputs, resource).eval(scope);
        if let Some(record) = record {
            let there = &record.inputs;
            self.settle(&resource.address, there, |_| false, &mut value, None);
        }
        value
    }

    /// Keeps what is there (live, or recorded) where only the key is another one: the rest of the fingerprint
    /// is the same, or nothing of what is read changes (`stays`). A secret of which only the record is known
    /// does not say with which key that was made.
    pub(crate) fn settle(
        &self,
        address: &Address,
        there: &Value,
        stays: impl Fn(&Address) -> bool,
        value: &mut Value,
        mut expr: Option<&mut Expr>,
    ) {
        for (name, read) in self.0.get(address).into_iter().flatten() {
            let path = ANNOTATIONS.iter().fold(AttrPath::root(), |p, k| p.key(k));
            let path = path.key(name);
            let (Some(Value::String(wanted)), Some(Value::String(there))) =
                (value.at(&path), there.at(&path))
            else {
                continue;
            };
            let (Some((key, digest)), Some((old_key, old_digest))) =
                (canon::keyed(wanted), canon::keyed(there))
            else {
                continue;
            };
            if key != old_key && (digest == old_digest || read.iter().all(&stays)) {
                let there = Value::text(there.clone());
                if let Some(expr) = expr.as_deref_mut() {
                    put(expr, &ANNOTATIONS, name, Expr::literal(there.clone()));
                }
                put_value(value, &ANNOTATIONS, name, there);
            }
        }
    }
}

/// The annotation of a name; a long one is cut and told apart by its digest.
fn annotation(name: &str) -> String {
    if name.len() <= LONGEST {
        return format!("{PREFIX}{name}");
    }
    let digest = &canon::Digest::of(name.as_bytes()).hex()[..8];
    let cut: String = name.chars().take(LONGEST - 9).collect();
    format!("{PREFIX}{cut}-{digest}")
}

fn content(resource: &Resource) -> Expr {
    let entry = |key: &&str| Some(((*key).to_owned(), resource.body.get(key)?.clone()));
    Expr::from(Node::Map(CONTENT.iter().filter_map(entry).collect()))
}

/// Sets an entry of the map at a path; what stands there and is no map is left as it is.
fn put(here: &mut Expr, path: &[&str], key: &str, mark: Expr) {
    let Node::Map(map) = &mut here.node else {
        return;
    };
    match path {
        [] => {
            map.insert(key.to_owned(), mark);
        }
        [first, rest @ ..] => {
            let empty = || Expr::from(Node::Map(Sorted::new()));
            let inner = map.get_or_insert_with(*first, empty);
            put(inner, rest, key, mark);
        }
    }
}

fn put_value(here: &mut Value, path: &[&str], key: &str, mark: Value) {
    let Value::Map(map) = here else {
        return;
    };
    match path {
        [] => {
            map.insert(key.to_owned(), mark);
        }
        [first, rest @ ..] => {
            if let Some(inner) = map.get_mut(first) {
                put_value(inner, rest, key, mark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secret::{DigestKey, Secret};

    #[test]
    fn names_fit_into_an_annotation() {
        assert_eq!(annotation("settings"), "zonewright.dev/checksum-settings");
        let long = annotation(&"x".repeat(200));
        assert_eq!(long.len(), "zonewright.dev/".len() + 63);
        assert_ne!(long, annotation(&"x".repeat(201)));
    }

    fn secret(label: &str, value: &str, key: u8) -> Value {
        let key = Arc::new(DigestKey::new([key; 32]));
        Value::Secret(Secret::new(label, value, Some(key)))
    }

    #[test]
    fn a_fingerprint_follows_values_and_not_where_they_come_from() {
        let of = |v: Value| canon::fingerprint(&Value::List(vec![v]));
        assert_eq!(of(secret("a", "x", 1)), of(secret("b", "x", 1)));
        assert_ne!(of(secret("a", "x", 1)), of(secret("a", "y", 1)));
        assert_ne!(of(secret("a", "x", 1)), of(secret("a", "x", 2)));
        assert_eq!(of(Value::text("x")), of(Value::text("x")));
        assert_eq!(canon::keyed(&of(Value::text("x"))), None);
    }

    #[test]
    fn another_key_alone_rolls_nothing() {
        let address: Address = "pz/kubernetes.manifest.app".parse().unwrap();
        let read: Address = "pz/kubernetes.secret.s".parse().unwrap();
        let name = annotation("s");
        let marks = BTreeMap::from([(name.clone(), vec![read])]);
        let rolls = Rolls(BTreeMap::from([(address.clone(), marks)]));
        let object = |key: u8, content: &str| {
            let mark = Value::text(canon::fingerprint(&secret("s", content, key)));
            let mut object = Expr::from(Node::Map(Sorted::new()));
            put(&mut object, &ANNOTATIONS, &name, Expr::literal(mark));
            object
        };
        let nothing = |_: &_| unreachable!("literals only");
        let settled = |wanted: &Expr, live: &Expr, stays: bool| {
            let (mut expr, mut value) = (wanted.clone(), wanted.eval(&nothing));
            let live = live.eval(&nothing);
            rolls.settle(&address, &live, |_| stays, &mut value, Some(&mut expr));
            assert_eq!(expr.eval(&nothing), value);
            expr
        };
        let (wanted, live) = (object(1, "x"), object(2, "x"));
        assert_eq!(settled(&wanted, &live, true), live);
        // The Secret changes in the same plan: then it rolls.
        assert_eq!(settled(&wanted, &live, false), wanted);
        // Of a secret that is only recorded the key is not known, and its digest is.
        let recorded = |content: &str| {
            let Value::Secret(whole) = secret("s", content, 2) else {
                unreachable!("a secret")
            };
            let mark = canon::fingerprint(&Value::Secret(Secret::recorded(whole.record())));
            let mut object = Expr::from(Node::Map(Sorted::new()));
            put(
                &mut object,
                &ANNOTATIONS,
                &name,
                Expr::literal(Value::text(mark)),
            );
            object
        };
        assert_eq!(settled(&recorded("x"), &live, false), live);
        assert_ne!(settled(&recorded("y"), &live, false), live);
        // The same key says what it is.
        let old = object(1, "y");
        assert_eq!(settled(&wanted, &old, true), wanted);
    }
}
