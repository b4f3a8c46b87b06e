//! Taking the place of others: what they had becomes ours, so that what the spec does not say goes with them. Pure.
//!
//! The fields that a tool wrote stay its own when somebody else applies them as well, and nobody removes them
//! when they leave the spec. So its entries of `managedFields` are made part of ours before the first apply; the
//! apply then removes what only they had.

use serde_json::{Map, Value as Json, json};
use zonewright_engine::config::Sharing;

use super::sharing::{MANAGER, is_item};
use super::tools;

/// Fields by name, as in `fieldsV1`; `.` stands for the thing itself.
type Fields = Map<String, Json>;

/// What is taken over of an object, and how its owners are written down then.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Succession {
    /// The fields that others had.
    inherited: Fields,
    /// All entries, with theirs in ours.
    pub(crate) managed: Json,
}

fn entries(object: &Json) -> impl Iterator<Item = &Json> {
    let list = object["metadata"]["managedFields"].as_array();
    list.into_iter().flatten()
}

fn is_ours(entry: &Json) -> bool {
    entry["manager"] == MANAGER && entry["operation"] == "Apply" && entry["subresource"].is_null()
}

fn fields(entry: &Json) -> Fields {
    entry["fieldsV1"].as_object().cloned().unwrap_or_default()
}

/// What is to be taken of an object. Entries of another version of the API name other fields: they are left,
/// and their fields are taken one by one, as they are applied.
pub(crate) fn succession(live: &Json, api_version: &str, sharing: &Sharing) -> Option<Succession> {
    let is_taken = |e: &Json| {
        let manager = e["manager"].as_str().unwrap_or_default();
        tools::is_taken(manager, &sharing.take_from)
            && e["subresource"].is_null()
            && e["apiVersion"] == api_version
    };
    let (taken, left): (Vec<&Json>, Vec<&Json>) = entries(live).partition(|e| is_taken(e));
    let time = taken.first()?["time"].clone();
    let mut inherited = Fields::new();
    for entry in taken {
        let had = fields(entry);
        match entry["operation"] == "Apply" {
            true => add(&mut inherited, &had),
            false => add(&mut inherited, &written(&had)),
        }
    }
    let mut all = inherited.clone();
    let mut managed = Vec::new();
    for entry in left {
        match is_ours(entry) {
            true => add(&mut all, &fields(entry)),
            false => managed.push(entry.clone()),
        }
    }
    managed.push(json!({
        "manager": MANAGER, "operation": "Apply", "apiVersion": api_version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": all,
    }));
    Some(Succession {
        inherited,
        managed: managed.into(),
    })
}

impl Succession {
    /// What would be there after an apply that was only tried before the succession: without what only the
    /// others had.
    pub(crate) fn without_the_rest(&self, tried: &Json, sharing: &Sharing) -> Json {
        let is_taken = |e: &Json| {
            let manager = e["manager"].as_str().unwrap_or_default();
            tools::is_taken(manager, &sharing.take_from) && e["subresource"].is_null()
        };
        let mut gone = self.inherited.clone();
        for entry in entries(tried).filter(|e| is_ours(e) || !is_taken(e)) {
            take_out(&mut gone, &fields(entry));
        }
        let mut out = tried.clone();
        remove(&mut out, &gone);
        out
    }

    /// What the others had of an object, with its name.
    pub(crate) fn held(&self, live: &Json) -> Json {
        let mut out = pick(live, &self.inherited);
        if !out.is_object() {
            out = json!({});
        }
        for key in ["apiVersion", "kind"] {
            out[key] = live[key].clone();
        }
        for key in ["name", "namespace", "uid"] {
            if let Some(value) = live["metadata"].get(key) {
                out["metadata"][key] = value.clone();
            }
        }
        out
    }
}

/// What of an update was said by who made it, and is not a default of the server that was recorded with it:
/// labels, annotations, data, and the items of keyed lists.
fn written(had: &Fields) -> Fields {
    let mut out = items(had);
    for name in ["f:data", "f:binaryData"] {
        out.extend(had.get(name).map(|all| (name.to_owned(), all.clone())));
    }
    let metadata = had.get("f:metadata").and_then(Json::as_object);
    let texts = metadata.into_iter().flatten();
    let texts: Fields = texts
        .filter(|(name, _)| matches!(name.as_str(), "f:labels" | "f:annotations"))
        .map(|(name, all)| (name.clone(), all.clone()))
        .collect();
    out.remove("f:metadata");
    if !texts.is_empty() {
        out.insert("f:metadata".to_owned(), Json::Object(texts));
    }
    out
}

/// The items of keyed lists in a set, without what is in them.
fn items(had: &Fields) -> Fields {
    let mut out = Fields::new();
    for (name, inner) in had {
        let mut inner = inner.as_object().map(items).unwrap_or_default();
        if name.starts_with("k:") {
            inner.insert(".".to_owned(), json!({}));
        }
        if !inner.is_empty() {
            out.insert(name.clone(), Json::Object(inner));
        }
    }
    out
}

/// Adds a set of fields to another.
fn add(into: &mut Fields, more: &Fields) {
    for (name, inner) in more {
        let slot = into.entry(name).or_insert_with(|| json!({}));
        if let (Json::Object(slot), Json::Object(inner)) = (slot, inner) {
            add(slot, inner);
        }
    }
}

/// Takes the fields of another set out of one.
fn take_out(from: &mut Fields, others: &Fields) {
    for (name, inner) in others {
        let Some(Json::Object(slot)) = from.get_mut(name) else {
            continue;
        };
        let nested = inner.as_object().filter(|m| !m.is_empty());
        if let Some(nested) = nested {
            take_out(slot, nested);
        }
        // Somebody holds all of it, or nothing is left of it.
        if nested.is_none() || slot.is_empty() {
            from.remove(name);
        }
    }
}

/// Removes fields from an object.
fn remove(object: &mut Json, gone: &Fields) {
    for (name, inner) in gone {
        let inner = inner.as_object().cloned().unwrap_or_default();
        let whole = inner.is_empty();
        match object {
            Json::Object(map) => {
                let Some(key) = name.strip_prefix("f:") else {
                    continue;
                };
                if let Some(below) = map.get_mut(key).filter(|_| !whole) {
                    remove(below, &inner);
                    let bare = below.as_object().is_some_and(Map::is_empty)
                        || below.as_array().is_some_and(Vec::is_empty);
                    if bare && inner.contains_key(".") {
                        map.remove(key);
                    }
                } else {
                    map.remove(key);
                }
            }
            Json::Array(items) if whole || inner.contains_key(".") => {
                items.retain(|item| !is_item(name, item));
            }
            Json::Array(items) => {
                let own = items.iter_mut().filter(|item| is_item(name, item));
                own.for_each(|item| remove(item, &inner));
            }
            _ => {}
        }
    }
}

/// The part of an object that a set of fields names.
fn pick(object: &Json, fields: &Fields) -> Json {
    let below = |value: &Json, inner: &Json| match inner.as_object() {
        Some(inner) if inner.keys().any(|k| k != ".") => pick(value, inner),
        _ => value.clone(),
    };
    match object {
        Json::Object(map) => {
            let named = |(name, inner): (&String, &Json)| {
                let key = name.strip_prefix("f:")?;
                Some((key.to_owned(), below(map.get(key)?, inner)))
            };
            Json::Object(fields.iter().filter_map(named).collect())
        }
        Json::Array(items) => {
            let named = |(name, inner): (&String, &Json)| {
                let item = items.iter().find(|item| is_item(name, item))?;
                Some(below(item, inner))
            };
            Json::Array(fields.iter().filter_map(named).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Json) -> Json {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "t",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn from(name: &str) -> Sharing {
        Sharing {
            take_from: vec![name.to_owned()],
            ..Sharing::default()
        }
    }

    #[test]
    fn what_only_the_other_had_goes_with_him() {
        let helm = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}},
            "f:metadata": {"f:annotations": {".": {}, "f:meta.helm.sh/release-name": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80}": {".": {}, "f:port": {}}, "k:{\"port\":81}": {".": {}, "f:port": {}, "f:name": {}}}}});
        let ours = json!({"f:data": {"f:a": {}}, "f:spec": {"f:ports": {"k:{\"port\":81}": {".": {}, "f:port": {}}}}});
        let third = json!({"f:data": {"f:b": {}}});
        let body = json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n",
                "annotations": {"meta.helm.sh/release-name": "wp"}},
            "data": {"a": "1", "b": "2", "c": "3"}, "spec": {"ports": [{"port": 80}, {"port": 81, "name": "x"}]}});
        let mut live = body.clone();
        live["metadata"]["managedFields"] = json!([
            entry("helm", "Apply", helm.clone()),
            entry("other", "Update", third.clone())
        ]);
        let taken = succession(&live, "v1", &from("helm")).unwrap();
        let managers: Vec<String> = taken
            .managed
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["manager"].to_string())
            .collect();
        assert_eq!(managers, [r#""other""#, r#""zonewright""#]);
        assert_eq!(taken.managed[1]["fieldsV1"], helm);
        let mut tried = body;
        tried["metadata"]["managedFields"] = json!([
            entry("helm", "Apply", helm),
            entry("other", "Update", third),
            entry(MANAGER, "Apply", ours)
        ]);
        let mut after = taken.without_the_rest(&tried, &from("helm"));
        after["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        assert_eq!(
            after,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"},
                "data": {"a": "1", "b": "2"}, "spec": {"ports": [{"port": 81}]}})
        );
        let held = taken.held(&live);
        assert_eq!(
            held["spec"]["ports"],
            json!([{"port": 80}, {"port": 81, "name": "x"}])
        );
        assert!(succession(&live, "v2", &from("helm")).is_none());
        assert!(succession(&live, "v1", &from("argocd")).is_none());
    }

    /// An update has the server's defaults among its fields: only what somebody wrote goes with him.
    #[test]
    fn defaults_do_not_go() {
        let had = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:finalizers": {}},
            "f:data": {"f:k": {}},
            "f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:imagePullPolicy": {}}}}});
        let written = written(had.as_object().unwrap());
        assert_eq!(
            Json::Object(written),
            json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:data": {"f:k": {}},
                "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}}}}})
        );
    }
}
