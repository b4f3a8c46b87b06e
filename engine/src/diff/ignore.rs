//! Attributes that somebody else looks after (`zonewright.ignore`): what is live is what shall be.

use super::object;
use crate::address::{AttrPath, Segment};
use crate::schema::ObjectRules;
use crate::value::Value;

/// What shall be, with what is live at the ignored paths. What is not live there is not asked for.
pub fn overlay(
    rules: Option<&ObjectRules>,
    desired: &Value,
    live: &Value,
    ignore: &[AttrPath],
) -> Value {
    let mut out = desired.clone();
    for path in ignore {
        put(
            rules,
            &mut out,
            Some(live),
            path.segments(),
            &mut Vec::new(),
        );
    }
    out
}

/// What shall be, without the ignored paths: what is recorded, and what a plan is decided on.
pub fn without(desired: &Value, ignore: &[AttrPath]) -> Value {
    let mut out = desired.clone();
    for path in ignore {
        put(None, &mut out, None, path.segments(), &mut Vec::new());
    }
    out
}

/// Replaces what stands at a path by what is live there. Items of a list that has a key are found by it.
fn put<'p>(
    rules: Option<&ObjectRules>,
    here: &mut Value,
    live: Option<&Value>,
    path: &'p [Segment],
    walked: &mut Vec<&'p str>,
) {
    match (path, here) {
        ([Segment::Key(key)], Value::Map(map)) => match live.and_then(|l| l.get(key)) {
            Some(value) if map.contains_key(key) => {
                map.insert(key.clone(), value.clone());
            }
            Some(_) => {}
            None => {
                map.remove(key);
            }
        },
        ([Segment::Key(key), rest @ ..], Value::Map(map)) => {
            if let Some(inner) = map.get_mut(key) {
                walked.push(key);
                put(rules, inner, live.and_then(|l| l.get(key)), rest, walked);
                walked.pop();
            }
        }
        ([Segment::Index(at), rest @ ..], Value::List(items)) => {
            let live = live.and_then(Value::as_list);
            let Some(item) = items.get_mut(*at) else {
                return;
            };
            let key = rules.and_then(|r| (r.list_key)(walked));
            let there = match key {
                Some(key) => live.and_then(|l| object::find(l, item, key)),
                None => live.and_then(|l| l.get(*at)),
            };
            match (rest.is_empty(), there) {
                (false, there) => put(rules, item, there, rest, walked),
                (true, Some(there)) => *item = there.clone(),
                (true, None) => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(json: serde_json::Value) -> Value {
        Value::from_plain_json(json)
    }

    fn shown(desired: serde_json::Value, live: serde_json::Value, paths: &[&str]) -> String {
        let paths: Vec<AttrPath> = paths.iter().map(|p| p.parse().unwrap()).collect();
        let out = overlay(None, &value(desired), &value(live), &paths);
        out.to_json().to_string()
    }

    #[test]
    fn what_is_live_stands_where_it_is_ignored_and_nothing_else_moves() {
        let desired = json!({"size": "s", "pool": {"count": 2, "name": "a"}, "list": [1, 2]});
        let live = json!({"size": "l", "pool": {"count": 7, "name": "b", "more": 1}, "list": [3, 4], "x": 1});
        for (paths, expected) in [
            (
                vec![],
                r#"{"list":[1,2],"pool":{"count":2,"name":"a"},"size":"s"}"#,
            ),
            (
                vec!["size"],
                r#"{"list":[1,2],"pool":{"count":2,"name":"a"},"size":"l"}"#,
            ),
            (
                vec!["pool.count", "list[1]"],
                r#"{"list":[1,4],"pool":{"count":7,"name":"a"},"size":"s"}"#,
            ),
            // What the spec does not name is not taken up, and what is nowhere changes nothing.
            (
                vec!["x", "pool.more", "list[9]", "y.z"],
                r#"{"list":[1,2],"pool":{"count":2,"name":"a"},"size":"s"}"#,
            ),
        ] {
            assert_eq!(
                shown(desired.clone(), live.clone(), &paths),
                expected,
                "{paths:?}"
            );
        }
        // What somebody took away stays away.
        assert_eq!(
            shown(desired, json!({"pool": {}}), &["size", "pool.count"]),
            r#"{"list":[1,2],"pool":{"name":"a"}}"#
        );
    }

    #[test]
    fn without_takes_the_ignored_out() {
        let paths = ["pool.count".parse().unwrap()];
        let out = without(&value(json!({"pool": {"count": 2, "name": "a"}})), &paths);
        assert_eq!(out.to_json(), json!({"pool": {"name": "a"}}));
    }
}
