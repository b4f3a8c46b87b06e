//! Sets of field paths, in the shape of `fieldsV1`: a tree whose edges are `f:name`, `k:{…}` or `v:…`.
//!
//! A node is a member or has members under it; empty nodes are dropped by every operation.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths relative to one place of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// Whether the place itself is a member.
    pub(crate) here: bool,
    /// What is below it, by path element.
    pub(crate) under: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        !self.here && self.under.is_empty()
    }

    /// Hangs `child` below this place unless it is empty.
    pub(crate) fn attach(&mut self, element: &str, child: FieldSet) {
        if !child.is_empty() {
            self.under.insert(element.to_owned(), child);
        }
    }

    pub(crate) fn union(&self, other: &FieldSet) -> FieldSet {
        let mut out = self.clone();
        out.here |= other.here;
        for (element, theirs) in &other.under {
            let merged = match out.under.get(element) {
                Some(ours) => ours.union(theirs),
                None => theirs.clone(),
            };
            out.under.insert(element.clone(), merged);
        }
        out
    }

    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet {
            here: self.here && !other.here,
            under: BTreeMap::new(),
        };
        for (element, ours) in &self.under {
            let left = match other.under.get(element) {
                Some(theirs) => ours.difference(theirs),
                None => ours.clone(),
            };
            out.attach(element, left);
        }
        out
    }

    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet {
            here: self.here && other.here,
            under: BTreeMap::new(),
        };
        for (element, ours) in &self.under {
            if let Some(theirs) = other.under.get(element) {
                out.attach(element, ours.intersection(theirs));
            }
        }
        out
    }

    /// The set without the fields that every object has and that no manager owns.
    pub(crate) fn without_identity(mut self) -> FieldSet {
        const METADATA: [&str; 8] = [
            "f:name",
            "f:namespace",
            "f:creationTimestamp",
            "f:selfLink",
            "f:uid",
            "f:generation",
            "f:managedFields",
            "f:resourceVersion",
        ];
        self.here = false;
        self.under.remove("f:apiVersion");
        self.under.remove("f:kind");
        if let Some(mut metadata) = self.under.remove("f:metadata") {
            metadata.here = false;
            for field in METADATA {
                metadata.under.remove(field);
            }
            self.attach("f:metadata", metadata);
        }
        self
    }

    /// Every member as the path text that conflicts use.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_paths("", &mut out);
        out
    }

    fn collect_paths(&self, prefix: &str, out: &mut Vec<String>) {
        if self.here {
            out.push(prefix.to_owned());
        }
        for (element, child) in &self.under {
            child.collect_paths(&format!("{prefix}{}", element_text(element)), out);
        }
    }

    pub(crate) fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        if self.here && !self.under.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, child) in &self.under {
            map.insert(element.clone(), child.to_fields_v1());
        }
        Value::Object(map)
    }

    pub(crate) fn from_fields_v1(value: &Value) -> FieldSet {
        let mut out = FieldSet::default();
        let Some(map) = value.as_object() else {
            return out;
        };
        for (element, child) in map {
            if element == "." {
                out.here = true;
                continue;
            }
            let mut node = FieldSet::from_fields_v1(child);
            node.here |= child.as_object().is_none_or(Map::is_empty);
            out.under.insert(element.clone(), node);
        }
        out
    }
}

/// One path element as people read it: `.name`, `[name="c"]` or `[="x"]`.
pub(crate) fn element_text(element: &str) -> String {
    if let Some(name) = element.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = element.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys = element.strip_prefix("k:").unwrap_or(element);
    match serde_json::from_str::<Value>(keys) {
        Ok(Value::Object(keys)) => {
            let parts: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", parts.join(","))
        }
        _ => format!("[{keys}]"),
    }
}
