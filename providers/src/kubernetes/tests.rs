//! The provider from outside: its schema, bodies and their canonical form, sessions over HTTP.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use zonewright_engine::address::Address;
use zonewright_engine::provider::Marker;
use zonewright_engine::secret::{Purpose, Secret};
use zonewright_engine::value::Value;

use super::canonical::canonical;
use super::{body, rules};

pub(crate) mod sessions;

fn marker(address: &str) -> Marker {
    Marker {
        lineage: "0123456789abcdef0123456789abcdef".to_owned(),
        address: address.parse::<Address>().expect("an address"),
        generation: 1,
    }
}

/// A recorded file: from the directory that `ZONEWRIGHT_SPECS` or `ZONEWRIGHT_MANIFESTS` names, or
/// from the one beside the crates.
pub(super) fn recorded(directory: &str, file: &str) -> Option<String> {
    let variable = format!("ZONEWRIGHT_{}", directory.to_uppercase());
    let beside = || {
        let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        crates.join("../../shared").join(directory)
    };
    let path = std::env::var_os(&variable)
        .map_or_else(beside, PathBuf::from)
        .join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "no {}; set {variable}", path.display());
        println!("skipped: no {}; set {variable}", path.display());
    }
    text
}

fn value(json: Json) -> Value {
    Value::from_plain_json(json)
}

/// Everything in `small` is in `large`; lists by their keys.
fn missing(small: &Value, large: &Value, path: &mut Vec<String>, out: &mut Vec<String>) {
    match (small, large) {
        (Value::Map(small), Value::Map(large)) => {
            for (key, value) in small {
                path.push(key.to_string());
                match large.get(key) {
                    Some(other) => missing(value, other, path, out),
                    None => out.push(format!("{}: absent", path.join("."))),
                }
                path.pop();
            }
        }
        (Value::List(small), Value::List(large)) => {
            // Keys of lists are asked for with the names of fields only.
            let names: Vec<&str> = path
                .iter()
                .map(String::as_str)
                .filter(|p| !p.starts_with('#'))
                .collect();
            let keys = rules::list_key(&names);
            for (i, item) in small.iter().enumerate() {
                let other = match keys {
                    Some(keys) => large
                        .iter()
                        .find(|o| keys.iter().all(|k| o.get(k) == item.get(k))),
                    None => large.get(i),
                };
                path.push(format!("#{i}"));
                match other {
                    Some(other) => missing(item, other, path, out),
                    None => out.push(format!("{}: no such item", path.join("."))),
                }
                path.pop();
            }
        }
        (small, large) if small == large => {}
        (small, large) => out.push(format!("{}: {small:?} {large:?}", path.join("."))),
    }
}

#[test]
fn what_was_applied_is_found_in_the_answer() {
    let Some(text) = recorded("specs", "kubernetes.defaults.json") else {
        return;
    };
    let pairs: Json = serde_json::from_str(&text).expect("JSON");
    let marker = marker("bz/kubernetes.manifest.x");
    let mut seen = 0;
    for case in pairs["cases"].as_array().expect("cases") {
        if !case["answer"]["metadata"].is_object() {
            continue;
        }
        seen += 1;
        let applied = canonical(&value(case["applied"].clone()));
        let live = body::live(case["answer"].clone(), &marker, None);
        let answer = canonical(&live.attrs);
        let mut out = Vec::new();
        missing(&applied, &answer, &mut Vec::new(), &mut out);
        assert_eq!(out, Vec::<String>::new(), "{}", case["path"]);
        assert_eq!(canonical(&answer), answer, "{}", case["path"]);
        assert_eq!(canonical(&applied), applied, "{}", case["path"]);
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn what_means_the_same_is_written_the_same() {
    let pod = |cpu: Json, port: Json, extra: Json| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {}},
            "spec": {"extra": extra, "containers": [{"name": "a", "ports": [port],
                "resources": {"limits": {"cpu": cpu, "memory": "1024Mi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]}})
    };
    let a = pod(json!("1000m"), json!({"containerPort": 80}), Json::Null);
    let b = pod(
        json!(1),
        json!({"containerPort": 80, "protocol": "TCP"}),
        json!([]),
    );
    let (a, b) = (canonical(&value(a)), canonical(&value(b)));
    assert_eq!(a, b);
    assert_eq!(
        b.to_json(),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]}})
    );
}

#[test]
fn data_of_config_maps_is_left_alone() {
    let map = value(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"},
        "data": {"limits": "1000m", "empty": ""}}),
    );
    assert_eq!(canonical(&map), map);
}

#[test]
fn secrets_are_compared_in_clear_and_never_shown() {
    let secret = |text: &str| Value::Secret(Secret::new("secret.t", text, None));
    let mut desired = value(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"},
        "data": {"b": "Yg=="}, "stringData": {"p": "plain"}}),
    );
    let Value::Map(map) = &mut desired else {
        unreachable!("a map")
    };
    let Some(Value::Map(texts)) = map.get_mut("stringData") else {
        unreachable!("a map")
    };
    texts.insert("s".to_owned(), secret("hunter2"));
    texts.insert("u".to_owned(), Value::Unknown(Box::default()));
    let live = body::live(
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "x", "uid": "1", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}},
            "data": {"b": "Yg==", "p": "cGxhaW4=", "s": "aHVudGVyMg==", "bin": "//8="}}),
        &marker("bz/kubernetes.secret.x"),
        None,
    );
    assert!(!format!("{live:?}").contains("hunter2"));
    let (want, have) = (canonical(&desired), canonical(&live.attrs));
    let mut out = Vec::new();
    missing(&want, &have, &mut Vec::new(), &mut out);
    assert_eq!(out, ["stringData.u: absent"]);
    assert!(!format!("{want:?}").contains("plain"));
    let text = |v: &Value, k| match v.get("stringData").and_then(|d| d.get(k)) {
        Some(Value::Secret(s)) => s.expose(Purpose::Derive).map(str::to_owned),
        _ => None,
    };
    assert_eq!(text(&have, "s").as_deref(), Some("hunter2"));
    assert!(have.get("data").and_then(|d| d.get("bin")).is_some());
    assert_eq!(canonical(&have), have);
}

#[test]
fn bodies_are_marked_and_hold_nothing_of_the_server() {
    let marker = marker("bz/kubernetes.manifest.x");
    let desired = value(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "x", "creationTimestamp": null, "resourceVersion": "7", "uid": "old"},
        "stringData": {"k": "v"}, "status": {"a": 1}}));
    let sent = body::to_send(&desired, &marker, Some("u1")).expect("known");
    assert_eq!(
        sent,
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "dg=="},
            "metadata": {"name": "x", "uid": "u1",
                "labels": {"zonewright.dev/owner": body::owner(&marker)},
                "annotations": {"zonewright.dev/address": "bz/kubernetes.manifest.x"}}})
    );
    let service = value(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
    );
    let sent = body::to_send(&service, &marker, None).expect("known");
    assert_eq!(sent["spec"]["ports"][0]["protocol"], "TCP");
    let unknown = Value::Unknown(Box::default());
    assert_eq!(
        body::to_send(&unknown, &marker, None),
        Err(body::BodyError::Unknown)
    );
}

#[test]
fn a_secret_in_the_spec_is_one_in_what_is_live() {
    let env = |password: Value| {
        let mut object = value(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
            "spec": {"containers": [{"name": "a", "env": [{"name": "P"}]}]}}),
        );
        let mut at = &mut object;
        for step in ["spec", "containers", "env"] {
            at = match at {
                Value::Map(map) => map.get_mut(step).expect("a member"),
                other => unreachable!("{other:?}"),
            };
            if let Value::List(items) = at {
                at = &mut items[0];
            }
        }
        let Value::Map(item) = at else {
            unreachable!("a map")
        };
        item.insert("value".to_owned(), password);
        object
    };
    let desired = env(Value::Secret(Secret::new("secret.p", "hunter2", None)));
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "uid": "1"},
        "spec": {"containers": [{"name": "injected"}, {"name": "a", "env": [
            {"name": "Q", "value": "shown"}, {"name": "P", "value": "hunter3"}]}]}});
    let live = body::live(object, &marker("bz/kubernetes.manifest.x"), Some(&desired));
    let shown = format!("{:?} {}", live.attrs, live.attrs.to_json());
    assert!(
        !shown.contains("hunter3") && shown.contains("shown"),
        "{shown}"
    );
}
