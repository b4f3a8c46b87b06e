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
