//! Discovery, reading, writing, deleting, watching.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::profile::Profile;

use super::*;

#[tokio::test]
async fn discovery_in_both_forms() {
    let c = Cluster::new(Profile::Instant);
    let accept =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    for (path, group) in [
        ("/api", Value::Null),
        ("/apis", json!("apiregistration.k8s.io")),
    ] {
        let response = c.response("GET", path, "", accept, Vec::new()).await;
        let content_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(content_type.contains("as=APIGroupDiscoveryList"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["kind"], "APIGroupDiscoveryList");
        assert_eq!(body["items"][0]["metadata"]["name"], group);
    }
    let (_, groups) = c.get("/apis").await;
    assert!(
        groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .any(|g| g["name"] == "apps")
    );
    let (_, resources) = c.get("/apis/apps/v1").await;
    let names: Vec<&str> = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"deployments") && names.contains(&"deployments/scale"));
    assert_eq!(c.get("/version").await.1["gitVersion"], "v1.36.3");
    let (code, text) = c.get("/apis/nope/v1/things").await;
    assert_eq!((code, text), (404, json!("404 page not found\n")));
}

#[tokio::test]
async fn create_get_replace_delete() {
    let c = Cluster::new(Profile::Instant);
    let (code, made) = c
        .call("POST", MAPS, Some(&config_map("x", &json!({"k": "1"}))))
        .await;
    assert_eq!(code, 201, "{made}");
    let (code, body) = c
        .call("POST", MAPS, Some(&config_map("x", &json!({}))))
        .await;
    assert_eq!(
        (code, body["message"].as_str().unwrap()),
        (409, "configmaps \"x\" already exists")
    );
    assert_eq!(body["details"], json!({"name": "x", "kind": "configmaps"}));
    let mut changed = made.clone();
    changed["data"]["k"] = json!("2");
    let uri = format!("{MAPS}/x");
    let (code, replaced) = c.call("PUT", &uri, Some(&changed)).await;
    assert_eq!(code, 200);
    assert_ne!(
        replaced["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    changed["data"]["k"] = json!("3");
    let (code, _) = c.call("PUT", &uri, Some(&changed)).await;
    assert_eq!(code, 409);
    let wrong = json!({"preconditions": {"uid": "nope"}});
    let (code, body) = c.call("DELETE", &uri, Some(&wrong)).await;
    assert_eq!(code, 409);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("does not match the UID in record")
    );
    let right = json!({"preconditions": {"uid": made["metadata"]["uid"]}});
    assert_eq!(c.call("DELETE", &uri, Some(&right)).await.0, 200);
    let (code, body) = c.get(&uri).await;
    assert_eq!(
        (code, body["message"].as_str().unwrap()),
        (404, "configmaps \"x\" not found")
    );
}

#[tokio::test]
async fn unknown_fields_of_a_post() {
    let c = Cluster::new(Profile::Instant);
    let mut body = config_map("x", &json!({}));
    body["dota"] = json!({});
    let (code, answer) = c
        .call(
            "POST",
            &format!("{MAPS}?fieldValidation=Strict"),
            Some(&body),
        )
        .await;
    assert_eq!(code, 400);
    assert_eq!(
        answer["message"],
        "strict decoding error: unknown field \"dota\""
    );
    let bytes = body.to_string().into_bytes();
    let response = c
        .response("POST", MAPS, "application/json", "", bytes)
        .await;
    assert_eq!(
        response.headers()["warning"],
        "299 - \"unknown field \\\"dota\\\"\""
    );
    assert_eq!(c.get(&format!("{MAPS}/x")).await.1.get("dota"), None);
}

#[tokio::test]
async fn lists_select_and_page() {
    let c = Cluster::new(Profile::Instant);
    for n in 0..7 {
        let mut body = config_map(&format!("m{n}"), &json!({}));
        body["metadata"]["labels"] = json!({"n": n.to_string(), "odd": (n % 2 == 1).to_string()});
        c.call("POST", MAPS, Some(&body)).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| i["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for (selector, wanted) in [
        ("odd=true", "m1 m3 m5"),
        ("odd%3Dtrue,n!=3", "m1 m5"),
        ("n+in+(1,2)", "m1 m2"),
        ("n+notin+(1,2),odd", "m0 m3 m4 m5 m6"),
        ("!odd", "kube-root-ca.crt"),
    ] {
        let (code, list) = c.get(&format!("{MAPS}?labelSelector={selector}")).await;
        assert_eq!(code, 200, "{list}");
        assert_eq!(names(&list).join(" "), wanted, "{selector}");
    }
    let (_, list) = c
        .get(&format!("{MAPS}?fieldSelector=metadata.name=m3"))
        .await;
    assert_eq!(names(&list), ["m3"]);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"][0].get("kind"), None);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let (_, page) = c
            .get(&format!(
                "/api/v1/configmaps?limit=3&labelSelector=odd&continue={token}"
            ))
            .await;
        seen.extend(names(&page));
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|n| format!("m{n}")).collect::<Vec<_>>());
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let response = c.response("GET", MAPS, "", accept, Vec::new()).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["kind"], "PartialObjectMetadataList");
    assert_eq!(body["items"][0].get("data"), None);
}

#[tokio::test]
async fn a_watch_tells_of_every_change_and_ends() {
    let c = Cluster::new(Profile::Instant);
    let (_, list) = c.get(MAPS).await;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let uri = format!(
        "{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=1&allowWatchBookmarks=true"
    );
    let response = c.response("GET", &uri, "", "", Vec::new()).await;
    let watching =
        tokio::spawn(async move { response.into_body().collect().await.unwrap().to_bytes() });
    let uri = format!("{MAPS}/x");
    for step in 0..2 {
        c.apply(&uri, &config_map("x", &json!({"step": step.to_string()})))
            .await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    c.call("DELETE", &uri, None).await;
    let text = watching.await.unwrap();
    let events: Vec<Value> = text
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]);
    assert_eq!(events[2]["object"]["data"]["step"], "1");
}

#[tokio::test]
async fn an_old_revision_is_gone_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path(), Profile::Instant).unwrap();
    world
        .write(|txn| super::super::create_cluster(&world, txn, ID))
        .unwrap();
    drop(world);
    let c = Cluster {
        world: Arc::new(World::open(dir.path(), Profile::Instant).unwrap()),
        _dir: dir,
    };
    let uri = format!("{MAPS}?watch=1&resourceVersion=1");
    let response = c.response("GET", &uri, "", "", Vec::new()).await;
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let event: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
}

#[tokio::test]
async fn immutable_fields_say_so() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{DEPLOYMENTS}/web");
    c.apply(&uri, &deployment("web")).await;
    let mut other = deployment("web");
    other["spec"]["selector"]["matchLabels"]["x"] = json!("y");
    other["spec"]["template"]["metadata"]["labels"]["x"] = json!("y");
    let (code, body) = c.apply(&uri, &other).await;
    assert_eq!(code, 422);
    assert_eq!(body["details"]["causes"][0]["field"], "spec.selector");
    assert_eq!(body["details"]["causes"][0]["reason"], "FieldValueInvalid");
    let text = body["details"]["causes"][0]["message"].as_str().unwrap();
    assert!(text.ends_with("field is immutable"), "{text}");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                        "immutable": true, "data": {"a": "eA=="}});
    let uri = "/api/v1/namespaces/default/secrets/s";
    c.apply(uri, &secret).await;
    let mut changed = secret.clone();
    changed["data"]["a"] = json!("eQ==");
    let (code, body) = c.apply(uri, &changed).await;
    assert_eq!(code, 422);
    assert_eq!(
        body["details"]["causes"][0]["reason"],
        "FieldValueForbidden"
    );
    let mut bad = secret;
    bad["data"]["a"] = json!("not base64!");
    let (code, body) = c.apply("/api/v1/namespaces/default/secrets/s", &bad).await;
    assert_eq!(code, 422);
    assert!(!body.to_string().contains("not base64!"));
    let (code, body) = c
        .apply(
            &format!("{MAPS}/Bad_Name"),
            &config_map("Bad_Name", &json!({})),
        )
        .await;
    assert_eq!((code, &body["reason"]), (422, &json!("Invalid")));
}

#[tokio::test]
async fn patches_and_scale() {
    let c = Cluster::new(Profile::Instant);
    let uri = format!("{DEPLOYMENTS}/web");
    c.apply(&uri, &deployment("web")).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}});
    let body = image.to_string().into_bytes();
    let (code, bytes) = c
        .raw(
            "PATCH",
            &uri,
            "application/strategic-merge-patch+json",
            body,
        )
        .await;
    let new: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((code, &new["metadata"]["generation"]), (200, &json!(2)));
    let container = &new["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &container["ports"][0]["containerPort"]),
        (&json!("nginx:2"), &json!(80))
    );
    let body = br#"[{"op": "replace", "path": "/spec/replicas", "value": 3}]"#.to_vec();
    let (code, _) = c
        .raw("PATCH", &uri, "application/json-patch+json", body)
        .await;
    assert_eq!(code, 200);
    let (_, scale) = c.get(&format!("{uri}/scale")).await;
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"]),
        (&json!("Scale"), &json!(3))
    );
    let change = json!({"spec": {"replicas": 0}});
    let (code, scale) = c
        .call("PATCH", &format!("{uri}/scale"), Some(&change))
        .await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(0)));
    let (_, settled) = c.get(&uri).await;
    assert_eq!(settled["status"].get("replicas"), None, "{settled}");
    assert_eq!(
        settled["status"]["observedGeneration"],
        settled["metadata"]["generation"]
    );
    let (code, _) = c.raw("PATCH", &uri, "text/plain", b"{}".to_vec()).await;
    assert_eq!(code, 415);
}
