//! Server-side apply: merging, ownership, conflicts, laws.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::profile::Profile;

use super::*;

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{DEPLOYMENTS}/web");
    let (code, first) = c.apply(&uri, &deployment("web")).await;
    assert_eq!(code, 201, "{first}");
    assert_eq!(first["metadata"]["generation"], 1);
    c.get(&uri).await;
    let (_, settled) = c.get(&uri).await;
    assert_eq!(settled["status"]["readyReplicas"], 1, "{settled}");
    let (code, again) = c.apply(&uri, &deployment("web")).await;
    assert_eq!(code, 200);
    assert_eq!(again, settled);
}

#[tokio::test]
async fn a_conflict_names_field_and_manager() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{MAPS}/x");
    c.apply(&uri, &config_map("x", &json!({"k": "1"}))).await;
    let other = config_map("x", &json!({"k": "2"}));
    let (code, body) = c.apply_as("other", &uri, "", &other).await;
    assert_eq!(code, 409);
    assert_eq!(body["reason"], "Conflict");
    assert_eq!(
        body["details"]["causes"][0]["reason"],
        "FieldManagerConflict"
    );
    assert_eq!(
        body["details"]["causes"][0]["message"],
        "conflict with \"zonewright\""
    );
    assert_eq!(body["details"]["causes"][0]["field"], ".data.k");
    let (code, taken) = c.apply_as("other", &uri, "&force=true", &other).await;
    assert_eq!(code, 200);
    let managers = taken["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(managers.len(), 1);
    assert_eq!(managers[0]["manager"], "other");
}

#[tokio::test]
async fn an_edit_takes_the_field_and_is_then_a_conflict() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{MAPS}/x");
    let ours = config_map("x", &json!({"k": "1", "l": "1"}));
    c.apply(&uri, &ours).await;
    let edit = json!({"data": {"k": "2"}});
    let (code, edited) = c
        .call(
            "PATCH",
            &format!("{uri}?fieldManager=kubectl-edit"),
            Some(&edit),
        )
        .await;
    assert_eq!(code, 200);
    let fields = &edited["metadata"]["managedFields"];
    assert_eq!(fields[0]["fieldsV1"], json!({"f:data": {"f:l": {}}}));
    assert_eq!(fields[1]["fieldsV1"], json!({"f:data": {"f:k": {}}}));
    let (code, body) = c.apply(&uri, &ours).await;
    assert_eq!(code, 409);
    assert_eq!(
        body["details"]["causes"][0]["message"],
        "conflict with \"kubectl-edit\" using v1"
    );
    assert_eq!(
        body["message"],
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.k"
    );
}

#[tokio::test]
async fn shared_fields_stay_until_the_last_owner_leaves() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{MAPS}/x");
    let both = config_map("x", &json!({"k": "1"}));
    let none = config_map("x", &json!({}));
    c.apply_as("a", &uri, "", &both).await;
    let (code, _) = c.apply_as("b", &uri, "", &both).await;
    assert_eq!(code, 200);
    let (_, left) = c.apply_as("a", &uri, "", &none).await;
    assert_eq!(left["data"]["k"], "1");
    let (_, left) = c.apply_as("b", &uri, "", &none).await;
    assert_eq!(left["data"].get("k"), None, "{left}");
}

#[tokio::test]
async fn list_items_belong_to_who_applied_them() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{DEPLOYMENTS}/web");
    c.apply(&uri, &deployment("web")).await;
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}});
    let (code, body) = c.apply_as("mesh", &uri, "", &sidecar).await;
    assert_eq!(code, 200, "{body}");
    let names = |b: &Value| -> Vec<Value> {
        let list = b["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap();
        list.iter().map(|c| c["name"].clone()).collect()
    };
    assert_eq!(names(&body), ["c", "side"]);
    assert_eq!(body["metadata"]["generation"], 2);
    let empty = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let (_, body) = c.apply_as("mesh", &uri, "", &empty).await;
    assert_eq!(names(&body), ["c"]);
}

#[tokio::test]
async fn unknown_and_duplicate_entries_are_the_servers_500() {
    let c = Cluster::new(Profile::Instant);
    let mut wrong = deployment("web");
    wrong["spec"]["replicaz"] = json!(1);
    let (code, body) = c.apply(&format!("{DEPLOYMENTS}/web"), &wrong).await;
    assert_eq!(code, 500);
    assert_eq!(body.get("reason"), None);
    assert_eq!(
        body["message"],
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): \
         .spec.replicaz: field not declared in schema"
    );
    let twice = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                       "spec": {"ports": [{"port": 80}, {"port": 80, "name": "b"}]}});
    let (code, body) = c
        .apply("/api/v1/namespaces/default/services/s", &twice)
        .await;
    assert_eq!(code, 500);
    let text = body["message"].as_str().unwrap();
    assert!(
        text.contains("duplicate entries for key [port=80,protocol=\"TCP\"]"),
        "{text}"
    );
}

#[tokio::test]
async fn preconditions_of_an_apply() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{MAPS}/x");
    let mut body = config_map("x", &json!({"k": "1"}));
    body["metadata"]["uid"] = json!("11111111-1111-4111-8111-111111111111");
    let (code, answer) = c.apply(&uri, &body).await;
    assert_eq!(code, 409);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("no existing object was found")
    );
    c.apply(&uri, &config_map("x", &json!({"k": "1"}))).await;
    let (code, answer) = c.apply(&uri, &body).await;
    assert_eq!(code, 422);
    assert_eq!(answer["details"]["causes"][0]["field"], "metadata.uid");
    let mut stale = config_map("x", &json!({"k": "2"}));
    stale["metadata"]["resourceVersion"] = json!("1");
    let (code, answer) = c.apply(&uri, &stale).await;
    assert_eq!(code, 409);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("the object has been modified")
    );
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{MAPS}/x");
    let body = config_map("x", &json!({"k": "1"}));
    let (code, answer) = c.apply_as("zonewright", &uri, "&dryRun=All", &body).await;
    assert_eq!(code, 201);
    assert!(answer["metadata"]["uid"].is_string());
    assert_eq!(answer["metadata"].get("resourceVersion"), None);
    assert_eq!(c.get(&uri).await.0, 404);
    let (code, answer) = c.apply("/api/v1/namespaces/nope/configmaps/x", &body).await;
    assert_eq!(code, 404);
    assert_eq!(answer["message"], "namespaces \"nope\" not found");
}

#[tokio::test]
async fn string_data_becomes_data_and_is_never_removed() {
    let c = Cluster::new(Profile::Instant);
    let uri = "/api/v1/namespaces/default/secrets/s";
    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data});
    let (_, first) = c.apply(uri, &secret(json!({"a": "x", "b": "y"}))).await;
    assert_eq!(first["data"], json!({"a": "eA==", "b": "eQ=="}));
    let (_, second) = c.apply(uri, &secret(json!({"a": "x"}))).await;
    assert_eq!(second["data"], json!({"a": "eA==", "b": "eQ=="}));
    assert_eq!(second.get("stringData"), None);
}

/// A small object of one kind with maps, keyed lists and atomic lists in it.
fn services() -> impl Strategy<Value = Value> {
    let labels = proptest::collection::btree_map("[a-c]", "[x-z]", 0..3);
    let ports =
        proptest::collection::btree_map(80u16..84, proptest::option::of(8080u16..8083), 1..4);
    let sources = proptest::collection::vec("10\\.0\\.[0-3]\\.0/24", 0..3);
    (labels.clone(), labels, ports, sources).prop_map(|(labels, selector, ports, sources)| {
        let ports: Vec<Value> = ports
            .into_iter()
            .map(|(port, target)| {
                let mut out = json!({"port": port, "name": format!("p{port}")});
                if let Some(target) = target {
                    out["targetPort"] = json!(target);
                }
                out
            })
            .collect();
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "labels": labels},
               "spec": {"ports": ports, "selector": selector, "loadBalancerSourceRanges": sources}})
    })
}

fn leaves(value: &Value, prefix: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(k, v)| leaves(v, &format!("{prefix}/{k}"), out)),
        _ => out.push(prefix.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_is_idempotent_and_what_is_left_out_goes(one in services(), two in services()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let c = Cluster::new(Profile::Instant);
            let uri = "/api/v1/namespaces/default/services/s";
            for body in [&one, &two, &one] {
                let (code, first) = c.apply(uri, body).await;
                assert!(code < 300, "{first}");
                let (code, again) = c.apply(uri, body).await;
                assert_eq!(code, 200);
                assert_eq!(&again, &first);
                let wanted = body["metadata"]["labels"].as_object().unwrap();
                let live = first["metadata"]["labels"].as_object().cloned().unwrap_or_default();
                assert_eq!(&live, wanted);
                let ports = |b: &Value| -> Vec<Value> {
                    b["spec"]["ports"].as_array().unwrap().iter().map(|p| p["port"].clone()).collect()
                };
                let (mut a, mut b) = (ports(&first), ports(body));
                a.sort_by_key(Value::to_string);
                b.sort_by_key(Value::to_string);
                assert_eq!(a, b);
                let mut paths = Vec::new();
                leaves(&body["spec"]["selector"], "/spec/selector", &mut paths);
                for path in paths {
                    assert_eq!(first.pointer(&path), body.pointer(&path));
                }
            }
        });
    }
}
