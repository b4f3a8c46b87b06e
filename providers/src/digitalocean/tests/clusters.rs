//! Kubernetes clusters and their pools of nodes.

use super::*;

#[tokio::test]
async fn a_cluster_starts_with_the_newest_version_of_its_prefix() {
    let made = check(CLUSTER, create(&cluster("1.34", "s-2vcpu-4gb")), r#"
        GET /v2/kubernetes/options
        200 {"options":{"versions":[{"slug":"1.34.1-do.2"},{"slug":"1.34.1-do.10"},{"slug":"1.33.9-do.0"}]}}
        POST /v2/kubernetes/clusters {"version":"1.34.1-do.10","vpc_uuid":"v1","cluster_subnet":"10.120.0.0/16","tags":["prod","$M"],"node_pools":[{"name":"main","size":"s-2vcpu-4gb","count":2,"auto_scale":false,"tags":["$M"]}]}
        201 {"kubernetes_cluster":{"id":"c1","name":"bz","status":{"state":"provisioning"}}}
    "#).await;
    assert_eq!(made, "submitted c1");
    let refused = check(
        CLUSTER,
        create(&cluster("1.34.0-do.1", "s")),
        r#"
        POST /v2/kubernetes/clusters
        422 {"id":"unprocessable_entity","message":"invalid version slug"}
        GET /v2/kubernetes/options
        200 {"options":{"versions":[{"slug":"1.34.1-do.2"}]}}
    "#,
    )
    .await;
    assert_eq!(
        refused,
        "Invalid: DigitalOcean does not offer version `1.34.0-do.1`; it offers 1.34.1-do.2"
    );
}

fn pool(id: &str, name: &str, size: &str, running: usize) -> String {
    let mark = marker(CLUSTER);
    let nodes = vec![json!({"status": {"state": "running"}}); running];
    json!({"id": id, "name": name, "size": size, "count": 2, "auto_scale": false, "min_nodes": 0,
        "max_nodes": 0, "tags": ["k8s", "k8s-worker", mark.to_string()], "nodes": nodes})
    .to_string()
}

fn got(state: &str, pools: &[String]) -> String {
    format!(
        r#"
        GET /v2/kubernetes/clusters/c1
        200 {{"kubernetes_cluster":{{"id":"c1","name":"bz","region":"sfo3","version":"1.34.1-do.2","vpc_uuid":"v1","endpoint":"https://c1","ha":false,"status":{{"state":"{state}"}},"tags":["k8s","k8s:c1","Prod","$M"],"node_pools":[{}]}}}}
    "#,
        pools.join(",")
    )
}

#[tokio::test]
async fn a_cluster_is_ready_with_its_last_node() {
    let desired = cluster("1.34", "small");
    for (state, running, expected) in [
        ("provisioning", 0, "pending provisioning"),
        ("running", 1, "pending pool main: 1 of 2 nodes run"),
        ("degraded", 2, "pending degraded"),
        ("running", 2, "ready c1"),
    ] {
        let text = got(state, &[pool("p1", "main", "small", running)]);
        let told = check(CLUSTER, poll("c1", Wait::Ready, &desired), &text).await;
        assert!(told.starts_with(expected), "{state}: {told}");
    }
    let text = got("running", &[pool("p1", "main", "small", 2)]);
    let told = check(
        CLUSTER,
        poll("c1", Wait::Ready, &cluster("1.35", "small")),
        &text,
    )
    .await;
    assert_eq!(told, "pending still at version 1.34.1-do.2");
}

#[tokio::test]
async fn a_new_cluster_may_be_unknown_for_a_minute() {
    let script = script(
        CLUSTER,
        &"GET /v2/kubernetes/clusters/c1\n404 {}\n".repeat(2),
    );
    let session = open(&*connect(&script)).await;
    let poll = op(CLUSTER, poll("c1", Wait::Ready, &cluster("1.34", "small")));
    assert_eq!(tell(&session.apply(&poll).await), "pending not visible yet");
    drop(crate::clock::Clock::sleep(
        &*script.clock,
        std::time::Duration::from_secs(61),
    ));
    assert_eq!(tell(&session.apply(&poll).await), "gone");
}

#[tokio::test]
async fn a_live_cluster_is_told_in_the_terms_of_the_spec() {
    let text = got("running", &[pool("p1", "main", "small", 2)]);
    let seen = look(vec![known(CLUSTER, "c1", &cluster("1.34", "small"))], &text).await;
    assert_eq!(
        seen[0],
        r#"present c1 Ready {"endpoint":"https://c1","ha":false,"id":"c1","name":"bz","node_pool":{"count":2,"labels":{},"name":"main","size":"small","tags":[]},"region":"sfo3","tags":["Prod"],"urn":"do:kubernetes:c1","version":"1.34.1-do.2","version_slug":"1.34.1-do.2","vpc":"v1"}"#
    );
}

#[tokio::test]
async fn the_only_pool_changes_its_size_beside_the_old_one() {
    let desired = cluster("1.34", "big");
    let (old, new) = (pool("p1", "main", "small", 2), |n| {
        pool("p2", "main-big", "big", n)
    });
    let step = |pools: &[String], rest: &str| got("running", pools) + rest;

    let text = step(
        std::slice::from_ref(&old),
        r#"
        POST /v2/kubernetes/clusters/c1/node_pools {"name":"main-big","size":"big","count":2,"tags":["$M"]}
        201 {"node_pool":{"id":"p2"}}
    "#,
    );
    let change = || update("c1", &desired, &["node_pool.size"]);
    assert_eq!(check(CLUSTER, change(), &text).await, "submitted c1");

    // Interrupted and started again: the new pool is there, no third one comes.
    let text = step(
        &[old.clone(), new(1)],
        r#"
        PUT /v2/kubernetes/clusters/c1/node_pools/p2 {"name":"main-big","count":2}
        202 {"node_pool":{"id":"p2"}}
    "#,
    );
    assert_eq!(check(CLUSTER, change(), &text).await, "submitted c1");

    let ready = || poll("c1", Wait::Ready, &desired);
    let told = check(CLUSTER, ready(), &step(&[old.clone(), new(1)], "")).await;
    assert_eq!(told, "pending pool main-big: 1 of 2 nodes run");
    let gone = "DELETE /v2/kubernetes/clusters/c1/node_pools/p1\n204";
    let told = check(CLUSTER, ready(), &step(&[old.clone(), new(2)], gone)).await;
    assert_eq!(told, "pending pool main is being removed");
    let told = check(CLUSTER, ready(), &step(&[new(2)], "")).await;
    assert!(
        told.starts_with("ready c1") && told.contains(r#""name":"main","size":"big""#),
        "{told}"
    );

    // In the middle of it the old pool is the one that is seen, so that a plan finishes the change.
    let seen = look(
        vec![known(CLUSTER, "c1", &desired)],
        &step(&[old, new(2)], ""),
    )
    .await;
    assert!(seen[0].contains(r#""size":"small""#), "{seen:?}");
}

#[tokio::test]
async fn a_cluster_is_upgraded_and_keeps_foreign_tags() {
    let desired = cluster("1.35", "small");
    let text = got("running", &[pool("p1", "main", "small", 2)])
        + r#"
        PUT /v2/kubernetes/clusters/c1 {"name":"bz","tags":["Prod","$M"],"ha":false}
        202 {"kubernetes_cluster":{"id":"c1"}}
        GET /v2/kubernetes/clusters/c1/upgrades
        200 {"available_upgrade_versions":[{"slug":"1.35.0-do.1"}]}
        POST /v2/kubernetes/clusters/c1/upgrade {"version":"1.35.0-do.1"}
        202
    "#;
    let told = check(CLUSTER, update("c1", &desired, &["tags", "version"]), &text).await;
    assert_eq!(told, "submitted c1");
}

#[tokio::test]
async fn a_cluster_takes_its_load_balancers_along() {
    let told = check(CLUSTER, delete("c1", &json!({})), r#"
        GET /v2/kubernetes/clusters/c1/destroy_with_associated_resources
        200 {"load_balancers":[{"id":"lb1","name":"a"}],"volumes":[{"id":"vol1"}],"volume_snapshots":[]}
        DELETE /v2/kubernetes/clusters/c1/destroy_with_associated_resources/selective {"load_balancers":["lb1"],"volumes":[]}
        204
    "#).await;
    assert_eq!(told, "submitted c1");
}

#[tokio::test]
async fn credentials_are_secrets_of_the_hour() {
    let script = script(
        CLUSTER,
        r#"
        GET /v2/kubernetes/clusters/c1/credentials?expiry_seconds=3600
        200 {"server":"https://c1","certificate_authority_data":"Y2E=","token":"t0p","expires_at":"2026-11-24T00:00:00Z","client_key_data":null}
        GET /v2/kubernetes/clusters/c1/kubeconfig?expiry_seconds=3600&type=token
        200 content-type: application/yaml; apiVersion: v1
    "#,
    );
    let session = open(&*connect(&script)).await;
    let kind = "digitalocean.kubernetes_cluster".parse().unwrap();
    let secret = session.ephemeral(&kind, "c1", "credentials").await.unwrap();
    assert!(!format!("{secret:?}").contains("t0p"));
    let json: Json = serde_json::from_str(secret.expose(Purpose::Derive).unwrap()).unwrap();
    assert_eq!(json["token"], "t0p");
    let yaml = session.ephemeral(&kind, "c1", "kubeconfig").await.unwrap();
    assert_eq!(yaml.expose(Purpose::Derive), Some("apiVersion: v1"));
    script.done();
}
