//! The plan for programs. The names are an interface: add, never rename.
//!
//! Secrets appear as `{"$secret": {"ref", "digest"}}`, as in every stored form.

use serde_json::{Map, Value as Json, json};
use zonewright_engine::address::{AttrPath, Segment};
use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::plan::{Change, Plan};
use zonewright_engine::snapshot::{Record, State};
use zonewright_engine::value::Value;

use super::cost::Costs;

/// The plan as one JSON object. `state` gives what was there before, where it is known.
pub fn json(plan: &Plan, state: Option<&State>, costs: &Costs) -> Json {
    let changes: Vec<Json> = plan
        .changes
        .iter()
        .map(|c| resource_change(c, state.and_then(|s| s.record(&c.address))))
        .collect();
    let steps: Vec<String> = plan.steps.iter().map(|s| s.node.to_string()).collect();
    let path: Vec<&String> = plan
        .estimate
        .critical_path
        .iter()
        .filter_map(|&i| steps.get(i))
        .collect();
    json!({
        "format_version": plan.format_version,
        "engine_version": plan.engine_version,
        "digest": plan.digest(),
        "base": plan.base,
        "options": plan.options,
        "zones": plan.zones,
        "moves": plan.moves,
        "summary": plan.summary(),
        "complete": super::unread::of(plan).is_empty(),
        "resource_changes": changes,
        "notes": plan.notes,
        "estimate": { "seconds": plan.estimate.seconds, "critical_path": path },
        "forecasts": plan.forecasts,
        "cost": super::cost::json(plan, costs),
    })
}

/// One change, without `before`: for event streams.
pub fn planned_change(change: &Change) -> Json {
    resource_change(change, None)
}

fn resource_change(change: &Change, record: Option<&Record>) -> Json {
    let (after, after_unknown) = match &change.desired {
        Some(expr) => (known(expr), unknown(expr).unwrap_or_else(|| json!({}))),
        None => (Json::Null, json!({})),
    };
    let attrs: Vec<Json> = change
        .attrs
        .iter()
        .map(|a| json!({ "path": a.path, "before": a.before, "after": a.after, "replaces": a.replaces }))
        .collect();
    let address = &change.address;
    json!({
        "address": address,
        "zone": address.zone,
        "kind": address.kind,
        "name": address.name,
        "key": address.key,
        "provider": change.instance,
        "change": {
            "actions": change.actions,
            "before": before(change, record, &after),
            "after": after,
            "after_unknown": after_unknown,
            "attrs": attrs,
        },
        "reason": change.reason,
        "certainty": change.certainty,
        "tier": change.tier,
        "declared": change.declared,
        "stand_in": change.stand_in,
    })
}

/// What was there: what is recorded, with what was seen to differ put in.
fn before(change: &Change, record: Option<&Record>, after: &Json) -> Json {
    let mut base = match record {
        Some(record) => record.inputs.to_json(),
        None if change.is_no_op() => return after.clone(),
        None => Json::Null,
    };
    for attr in &change.attrs {
        let value = attr.before.as_ref().map(Value::to_json);
        if base.is_null() {
            if value.is_none() {
                continue;
            }
            base = json!({});
        }
        put(&mut base, &attr.path, value);
    }
    base
}

fn put(at: &mut Json, path: &AttrPath, value: Option<Json>) {
    let mut here = at;
    for segment in path.segments() {
        here = match segment {
            Segment::Key(key) => {
                if !here.is_object() {
                    *here = json!({});
                }
                let Json::Object(map) = here else { return };
                map.entry(key.clone()).or_insert(Json::Null)
            }
            Segment::Index(i) => {
                if !here.is_array() {
                    *here = json!([]);
                }
                let Json::Array(items) = here else { return };
                if items.len() <= *i {
                    items.resize(i + 1, Json::Null);
                }
                &mut items[*i]
            }
        };
    }
    *here = value.unwrap_or(Json::Null);
}

/// The known part: what comes later is null.
fn known(expr: &Expr) -> Json {
    match &expr.node {
        Node::Literal(Value::Unknown(_)) => Json::Null,
        Node::Literal(value) => value.to_json(),
        Node::Ref(_) | Node::Template(_) | Node::Fingerprint(_) => Json::Null,
        Node::List(items) => Json::Array(items.iter().map(known).collect()),
        Node::Map(map) => {
            Json::Object(map.iter().map(|(k, e)| (k.to_string(), known(e))).collect())
        }
    }
}

/// `true` at every place that is known later only; nothing where all is known.
fn unknown(expr: &Expr) -> Option<Json> {
    match &expr.node {
        Node::Literal(value) => (!value.is_known()).then_some(json!(true)),
        Node::Ref(_) | Node::Template(_) | Node::Fingerprint(_) => Some(json!(true)),
        Node::List(items) => {
            let marks: Vec<Option<Json>> = items.iter().map(unknown).collect();
            marks.iter().any(Option::is_some).then(|| {
                let marks = marks.into_iter().map(|m| m.unwrap_or(json!(false)));
                Json::Array(marks.collect())
            })
        }
        Node::Map(map) => {
            let marks: Map<String, Json> = map
                .iter()
                .filter_map(|(k, e)| Some((k.to_string(), unknown(e)?)))
                .collect();
            (!marks.is_empty()).then_some(Json::Object(marks))
        }
    }
}

#[cfg(test)]
mod tests {
    use zonewright_engine::plan::{Action, Certainty, Reason};
    use zonewright_engine::value::Sorted;

    use super::*;
    use crate::render::plan::tests::{attr, change, plan};

    #[test]
    fn the_names_that_consumers_read_are_there() {
        let mut vpc = change("bz/digitalocean.vpc.main", &[Action::Create], Reason::New);
        let secret = "secret.token".parse().unwrap();
        vpc.desired = Some(Expr::from(Node::Map(Sorted::from([
            ("name".to_owned(), Expr::literal(Value::from("net"))),
            ("token".to_owned(), Expr::from(Node::Ref(secret))),
        ]))));
        let plan = plan(vec![vpc]);
        let json = json(&plan, None, &Costs::default());
        assert_eq!(json["format_version"], 1);
        assert_eq!(json["digest"], plan.digest().to_string());
        assert_eq!(json["summary"]["create"], 1);
        assert_eq!(json["summary"]["no_op"], 0);
        let change = &json["resource_changes"][0];
        assert_eq!(change["address"], "bz/digitalocean.vpc.main");
        assert_eq!(change["zone"], "bz");
        assert_eq!(change["kind"], "digitalocean.vpc");
        assert_eq!(change["reason"]["why"], "new");
        assert_eq!(change["change"]["actions"], json!(["create"]));
        assert_eq!(change["change"]["before"], Json::Null);
        assert_eq!(
            change["change"]["after"],
            json!({"name": "net", "token": null})
        );
        assert_eq!(change["change"]["after_unknown"], json!({"token": true}));
    }

    #[test]
    fn the_document_has_every_certainty() {
        let document = include_str!("../../../docs/json.md");
        for certainty in [
            Certainty::Seen,
            Certainty::Predicted,
            Certainty::Recorded,
            Certainty::Unreadable,
        ] {
            let mut change = change("bz/digitalocean.vpc.main", &[Action::Create], Reason::New);
            change.certainty = certainty;
            let json = json(&plan(vec![change]), None, &Costs::default());
            let name = json["resource_changes"][0]["certainty"].as_str().unwrap();
            assert!(document.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn an_update_shows_what_was_there_at_the_changed_places() {
        let mut db = change(
            "bz/digitalocean.vpc.main",
            &[Action::Update],
            Reason::Drifted,
        );
        db.attrs = vec![attr(
            "spec.ports[1].port",
            Some(Value::from(80)),
            Some(Value::from(81)),
        )];
        let json = json(&plan(vec![db]), None, &Costs::default());
        assert_eq!(
            json["resource_changes"][0]["change"]["before"],
            json!({"spec": {"ports": [null, {"port": 80}]}})
        );
    }
}
