//! Fields of one object that several managers have: who disputes what, what is given up to whom. Pure.
//!
//! The server keeps for each field who set it (`metadata.managedFields`): by *applying* it, which is a claim
//! that lasts, or by an *update*, which is an edit. Somebody else's edit of what the spec says is drift. Somebody
//! else's claim is only overruled when the spec names him.

use serde_json::Value as Json;
use zonewright_engine::address::{AttrPath, Segment};
use zonewright_engine::provider::Claim;

use super::tools::is_taken;

/// The field manager that we apply as.
pub(crate) const MANAGER: &str = "zonewright";

/// One cause of a conflict: who has a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The manager's name.
    pub(crate) manager: String,
    /// Whether he applies the field, as opposed to having changed it once.
    pub(crate) applies: bool,
    /// The field, as the server writes it: `.spec.template.spec.containers[name="app"].image`.
    pub(crate) field: String,
}

impl Holder {
    /// Reads a cause. The server says `conflict with "NAME"` of those that apply, and adds
    /// `using VERSION at TIME` for an update (`managedfields/internal/conflict.go` of apimachinery 1.36).
    pub(crate) fn read(cause: &Json) -> Option<Holder> {
        if cause["reason"] != "FieldManagerConflict" {
            return None;
        }
        let message = cause["message"].as_str().unwrap_or_default();
        let said = message.strip_prefix("conflict with ").unwrap_or(message);
        let mut names = serde_json::Deserializer::from_str(said).into_iter::<String>();
        let name = names.next().and_then(Result::ok);
        let rest = &said[names.byte_offset().min(said.len())..];
        Some(Holder {
            applies: name.is_none() || !rest.contains(" using "),
            manager: name.unwrap_or_else(|| said.to_owned()),
            field: cause["field"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// The claims among the holders of contested fields that the spec does not overrule. None are left when all
/// of it is drift, or taken.
pub(crate) fn disputed(holders: &[Holder], take_from: &[String], body: &Json) -> Vec<Claim> {
    let mut out: Vec<Claim> = Vec::new();
    let stands = |h: &&Holder| h.applies && !is_taken(&h.manager, take_from);
    for holder in holders.iter().filter(stands) {
        let field = path_of(body, &holder.field).map(|p| p.to_string());
        let field = field.unwrap_or_else(|| holder.field.trim_start_matches('.').to_owned());
        match out.iter_mut().find(|c| c.manager == holder.manager) {
            Some(claim) => claim.fields.push(field),
            None => out.push(Claim {
                manager: holder.manager.clone(),
                fields: vec![field],
            }),
        }
    }
    out
}

/// The path of a field of an object, in the spec's words: items of lists by position.
fn path_of(object: &Json, field: &str) -> Option<AttrPath> {
    let (mut here, mut rest, mut out) = (object, field, AttrPath::root());
    while !rest.is_empty() {
        match here {
            Json::Object(map) => {
                rest = rest.strip_prefix('.')?;
                // Keys of labels hold dots: the longest one that fits is meant.
                let fits = |key: &&String| {
                    let after = rest.strip_prefix(key.as_str());
                    after.is_some_and(|a| a.is_empty() || a.starts_with(['.', '[']))
                };
                let key = map.keys().filter(fits).max_by_key(|key| key.len())?;
                (here, rest, out) = (&map[key], &rest[key.len()..], out.key(key));
            }
            Json::Array(items) => {
                let (key, after) = rest.strip_prefix('[')?.split_once(']')?;
                let at = items.iter().position(|item| is_named(item, key))?;
                (here, rest, out) = (&items[at], after, out.index(at));
            }
            _ => return None,
        }
    }
    Some(out)
}

/// Whether an item has the key `name="app"` or `containerPort=80,protocol="TCP"`, or is the value `="a"`.
fn is_named(item: &Json, key: &str) -> bool {
    key.split(',').all(|pair| {
        let Some((name, value)) = pair.split_once('=') else {
            return false;
        };
        let value = serde_json::from_str::<Json>(value).ok();
        match name {
            "" => Some(item) == value.as_ref(),
            name => item.get(name) == value.as_ref(),
        }
    })
}

/// Leaves out of a body what the spec gives up and somebody else holds. What nobody else holds stays with the
/// value that is live: without an owner the server would put its default there.
pub(crate) fn give_up(body: &mut Json, live: &Json, yields: &[AttrPath]) {
    let held = yields
        .iter()
        .filter(|path| is_held_by_others(live, body, path.segments()));
    let mut held: Vec<&AttrPath> = held.collect();
    // From the end on, so that positions in lists stay true.
    held.sort();
    for path in held.into_iter().rev() {
        remove(body, path.segments());
    }
}

fn is_held_by_others(live: &Json, body: &Json, path: &[Segment]) -> bool {
    let entries = live["metadata"]["managedFields"].as_array();
    let ours = |e: &&Json| e["manager"] == MANAGER && e["operation"] == "Apply";
    let mut others = entries.into_iter().flatten().filter(|e| !ours(e));
    others.any(|entry| holds(&entry["fieldsV1"], body, path))
}

/// Whether a set of fields has a path of an object, or all that is around it. A path with nothing below it in
/// the set is held as a whole.
fn holds(fields: &Json, object: &Json, path: &[Segment]) -> bool {
    let Some((step, rest)) = path.split_first() else {
        return true;
    };
    let Some(members) = fields.as_object() else {
        return false;
    };
    let (inner, below) = match step {
        Segment::Key(key) => (members.get(&format!("f:{key}")), &object[key]),
        Segment::Index(at) => {
            let item = &object[*at];
            let same = |(name, _): &(&String, &Json)| is_item(name, item);
            (members.iter().find(same).map(|(_, inner)| inner), item)
        }
    };
    let Some(inner) = inner else {
        return false;
    };
    let whole = inner.as_object().is_some_and(serde_json::Map::is_empty);
    whole || holds(inner, below, rest)
}

/// Whether `k:{"name":"app"}` or `v:"a"` is an item of a list.
pub(crate) fn is_item(name: &str, item: &Json) -> bool {
    let read = |text: &str| serde_json::from_str::<Json>(text).ok();
    if let Some(key) = name.strip_prefix("k:").and_then(read) {
        let members = key.as_object();
        return members.is_some_and(|m| m.iter().all(|(k, v)| item.get(k) == Some(v)));
    }
    name.strip_prefix("v:").and_then(read).as_ref() == Some(item)
}

fn remove(object: &mut Json, path: &[Segment]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let inner = match (step, object) {
        (Segment::Key(key), Json::Object(map)) if rest.is_empty() => {
            map.remove(key);
            return;
        }
        (Segment::Key(key), Json::Object(map)) => map.get_mut(key),
        (Segment::Index(at), Json::Array(items)) if rest.is_empty() => {
            let mut position = 0..;
            items.retain(|_| position.next() != Some(*at));
            return;
        }
        (Segment::Index(at), Json::Array(items)) => items.get_mut(*at),
        _ => None,
    };
    if let Some(inner) = inner {
        remove(inner, rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holder(message: &str) -> (String, bool) {
        let cause =
            json!({"reason": "FieldManagerConflict", "message": message, "field": ".data.k"});
        let holder = Holder::read(&cause).unwrap();
        (holder.manager, holder.applies)
    }

    /// Texts of a real server.
    #[test]
    fn claims_are_told_from_edits() {
        for (message, manager, applies) in [
            (
                r#"conflict with "argocd-controller""#,
                "argocd-controller",
                true,
            ),
            (
                r#"conflict with "kubectl-edit" using v1"#,
                "kubectl-edit",
                false,
            ),
            (
                r#"conflict with "kube-controller-manager" with subresource "scale" using autoscaling/v1 at 2026-11-30T10:00:00Z"#,
                "kube-controller-manager",
                false,
            ),
            (r#"conflict with "a \"using\" b""#, r#"a "using" b"#, true),
            ("conflict with somebody", "somebody", true),
        ] {
            assert_eq!(holder(message), (manager.to_owned(), applies), "{message}");
        }
    }

    #[test]
    fn what_is_disputed_is_named_in_the_words_of_the_spec() {
        let body = json!({"metadata": {"labels": {"app.kubernetes.io/name": "a"}}, "data": {"k": "v"},
            "spec": {"containers": [{"name": "a"}, {"name": "b", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}});
        let of = |manager: &str, applies: bool, field: &str| Holder {
            manager: manager.to_owned(),
            applies,
            field: field.to_owned(),
        };
        let holders = [
            of("argo", true, ".metadata.labels.app.kubernetes.io/name"),
            of("argo", true, r#".spec.containers[name="b"].image"#),
            of("helm", true, ".data.k"),
            of("kubectl-edit", false, ".data.k"),
            of(
                "flux",
                true,
                r#".spec.containers[name="b"].ports[containerPort=80,protocol="TCP"].containerPort"#,
            ),
            of("flux", true, ".spec.gone"),
        ];
        let told = disputed(&holders, &["helm".to_owned()], &body);
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                r#"`argo` applies metadata.labels["app.kubernetes.io/name"], spec.containers[1].image"#,
                "`flux` applies spec.containers[1].ports[0].containerPort, spec.gone",
            ]
        );
    }

    #[test]
    fn only_what_somebody_else_holds_is_given_up() {
        let entry = |manager: &str, operation: &str, fields: Json| json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        let live = |entries: Vec<Json>| json!({"metadata": {"managedFields": entries}});
        let body = json!({"spec": {"replicas": 2, "containers": [{"name": "a", "image": "i"}]}});
        let given = |live: &Json, path: &str| {
            let mut body = body.clone();
            give_up(&mut body, live, &[path.parse().unwrap()]);
            body.to_string()
        };
        let whole = body.to_string();
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let ours = live(vec![entry(MANAGER, "Apply", replicas.clone())]);
        assert_eq!(given(&ours, "spec.replicas"), whole);
        for other in [
            entry("hpa", "Update", replicas.clone()),
            entry("x", "Apply", json!({"f:spec": {}})),
        ] {
            let both = live(vec![entry(MANAGER, "Apply", replicas.clone()), other]);
            assert_eq!(
                given(&both, "spec.replicas"),
                r#"{"spec":{"containers":[{"image":"i","name":"a"}]}}"#
            );
        }
        let keyed =
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}}});
        let keyed = live(vec![entry("updater", "Update", keyed)]);
        assert_eq!(
            given(&keyed, "spec.containers[0].image"),
            r#"{"spec":{"containers":[{"name":"a"}],"replicas":2}}"#
        );
        assert_eq!(given(&keyed, "spec.replicas"), whole);
    }
}
