//! What a real server recorded, against what this one does.

use std::path::Path;

use serde_json::{Value, json};

use crate::profile::Profile;

use super::*;

fn recorded() -> Option<Value> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = "shared/specs/kubernetes.defaults.json";
    let found = ["../..", "../../.."]
        .iter()
        .map(|up| near.join(up).join(name))
        .find(|p| p.is_file());
    let Some(path) = found else {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "no recorded answers beside the checkout");
        println!("skipped: no recorded answers beside the checkout");
        return None;
    };
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

#[tokio::test]
async fn ownership_is_what_the_real_server_recorded() {
    let Some(recorded) = recorded() else { return };
    let c = Cluster::new(Profile::Instant);
    c.apply(
        "/api/v1/namespaces/gold",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gold"}}),
    )
    .await;
    let cases = recorded["cases"].as_array().unwrap();
    for case in cases {
        let uri = case["path"]
            .as_str()
            .unwrap()
            .replace("{namespace}", "gold");
        let (code, answer) = c
            .apply_as(
                "zonewright",
                &uri,
                "&dryRun=All&fieldValidation=Strict",
                &case["applied"],
            )
            .await;
        assert_eq!(code, 201, "{uri}: {answer}");
        let ours = &answer["metadata"]["managedFields"][0]["fieldsV1"];
        let theirs = &case["answer"]["metadata"]["managedFields"][0]["fieldsV1"];
        assert_eq!(ours, theirs, "{uri}");
        let generation = |o: &Value| o["metadata"]["generation"].clone();
        assert_eq!(generation(&answer), generation(&case["answer"]), "{uri}");
    }
    println!(
        "{} of {} recorded field sets are equal",
        cases.len(),
        cases.len()
    );
}

/// Defaults that the recorded server fills in and this one does not; may only shrink.
const MISSING_DEFAULTS: usize = 34;

fn differences(ours: &Value, theirs: &Value, path: &str, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(name).cloned().unwrap_or_default()
                };
                differences(&of(a), &of(b), &format!("{path}.{name}"), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (x, y)) in a.iter().zip(b).enumerate() {
                differences(x, y, &format!("{path}[{index}]"), out);
            }
        }
        _ if ours != theirs => out.push(format!("{path}: {ours}, recorded {theirs}")),
        _ => {}
    }
}

#[tokio::test]
async fn defaults_are_near_what_the_real_server_recorded() {
    let Some(recorded) = recorded() else { return };
    let c = Cluster::new(Profile::Instant);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gold"}});
    c.apply("/api/v1/namespaces/gold", &namespace).await;
    let mut all = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let uri = case["path"]
            .as_str()
            .unwrap()
            .replace("{namespace}", "gold");
        let (_, answer) = c
            .apply_as("zonewright", &uri, "&dryRun=All", &case["applied"])
            .await;
        let mut found = Vec::new();
        differences(&answer, &case["answer"], "", &mut found);
        // Identifiers, addresses and ports are made up by both; the storage class is DigitalOcean's.
        let made_up = [
            "(server)",
            "uid",
            "clusterIP",
            "nodePort",
            "storageClassName",
        ];
        found.retain(|line| !made_up.iter().any(|m| line.contains(m)));
        all.extend(found.into_iter().map(|line| format!("{uri} {line}")));
    }
    assert!(
        all.len() <= MISSING_DEFAULTS,
        "{} differences:\n{}",
        all.len(),
        all.join("\n")
    );
    println!("{} defaults differ from the recorded ones", all.len());
}
