use std::sync::Arc;

use serde_json::{Value as Json, json};
use zonewright_engine::address::AttrPath;
use zonewright_engine::provider::{Mark, Observed, Op, Outcome, ReadTarget, Verb, Wait};
use zonewright_engine::secret::Purpose;
use zonewright_engine::value::Value;

use super::*;
use crate::contract::{complaints, fits};
use crate::script::{Script, known, marker, op, open, show, target, tell, value};

const VPC: &str = "bz/digitalocean.vpc.main";
const CLUSTER: &str = "bz/digitalocean.kubernetes_cluster.main";
const DB: &str = "pz/digitalocean.database_cluster.main";
const REPLICA: &str = "bz/digitalocean.database_replica.main";
const FIREWALL: &str = "bz/digitalocean.database_firewall.main";
const USER: &str = "pz/digitalocean.database_user.app";
const DATABASE: &str = "pz/digitalocean.database.wordpress";

/// `$M` stands for the mark of the address.
fn script(address: &str, text: &str) -> Arc<Script> {
    Script::new(&text.replace("$M", &marker(address).to_string()))
}

fn connect(script: &Arc<Script>) -> Arc<dyn Provider> {
    digitalocean_at(script.clone(), script.clock.clone(), "http://127.0.0.1")
}

/// Carries one operation out against a script and tells the outcome; the bodies that were sent are
/// checked against the vendor's description.
async fn check(address: &str, verb: Verb, text: &str) -> String {
    let script = script(address, text);
    let session = open(&*connect(&script)).await;
    let outcome = tell(&session.apply(&op(address, verb)).await);
    script.done();
    let mut wrong = complaints(&script, "digitalocean");
    // The description lists fewer types than the vendor takes: its own client tags databases so.
    wrong.retain(|c| !c.contains("\"database\" is not one of \"droplet\""));
    assert_eq!(wrong, [""; 0]);
    outcome.replace(&marker(address).to_string(), "$M")
}

async fn look(targets: Vec<ReadTarget>, text: &str) -> Vec<String> {
    let script = script(&targets[0].address.to_string(), text);
    let session = open(&*connect(&script)).await;
    let seen = session.refresh(&targets).await.unwrap();
    script.done();
    seen.iter().map(show).collect()
}

fn create(desired: &Json) -> Verb {
    Verb::Create {
        desired: value(desired),
    }
}

fn update(id: &str, desired: &Json, changed: &[&str]) -> Verb {
    Verb::Update {
        id: id.to_owned(),
        desired: value(desired),
        changed: changed
            .iter()
            .map(|p| p.parse::<AttrPath>().unwrap())
            .collect(),
        live: value(&json!({})),
    }
}

fn delete(id: &str, prior: &Json) -> Verb {
    Verb::Delete {
        id: id.to_owned(),
        prior: value(prior),
    }
}

fn poll(id: &str, wait: Wait, context: &Json) -> Verb {
    Verb::Poll {
        id: id.to_owned(),
        wait,
        context: value(context),
    }
}

fn vpc() -> Json {
    json!({"name": "bz", "region": "sfo3", "ip_range": "10.20.0.0/20", "description": "backup zone"})
}

fn cluster(version: &str, size: &str) -> Json {
    json!({
        "name": "bz", "region": "sfo3", "version": version, "vpc": "v1", "tags": ["prod"],
        "cluster_subnet": "10.120.0.0/16", "service_subnet": "10.121.0.0/19",
        "node_pool": {"size": size, "count": 2},
    })
}

fn replica(role: &str) -> Json {
    json!({"source": "d1", "name": "wp-bz", "region": "sfo3", "size": "db-s-1", "role": role})
}

#[test]
fn structs_and_schemas_agree() {
    let script = Script::new("");
    let schema = connect(&script).schema();
    let kind = |name: &str| schema.kinds.iter().find(|k| k.kind.name() == name).unwrap();
    fits::<vpc::VpcSpec>(kind("vpc"));
    fits::<kubernetes_cluster::ClusterSpec>(kind("kubernetes_cluster"));
    fits::<database_cluster::DatabaseClusterSpec>(kind("database_cluster"));
    fits::<database_replica::DatabaseReplicaSpec>(kind("database_replica"));
    fits::<database::DatabaseSpec>(kind("database"));
    fits::<database_user::DatabaseUserSpec>(kind("database_user"));
    fits::<database_firewall::DatabaseFirewallSpec>(kind("database_firewall"));
    assert_eq!(schema.kinds.len(), 7);
}

#[tokio::test]
async fn a_network_is_made_with_our_mark() {
    let made = check(VPC, create(&vpc()), r#"
        POST /v2/vpcs {"name":"bz","region":"sfo3","ip_range":"10.20.0.0/20","description":"backup zone $M"}
        201 {"vpc":{"id":"v1","urn":"do:vpc:v1","name":"bz","region":"sfo3","ip_range":"10.20.0.0/20","description":"backup zone $M","default":false}}
    "#).await;
    assert_eq!(
        made,
        r#"ready v1 {"description":"backup zone","id":"v1","ip_range":"10.20.0.0/20","name":"bz","region":"sfo3","urn":"do:vpc:v1"}"#
    );
}

#[tokio::test]
async fn a_lost_reply_is_ambiguous_and_the_object_is_found_by_its_mark() {
    let lost = check(VPC, create(&vpc()), "POST /v2/vpcs\nlost").await;
    assert_eq!(
        lost,
        "Ambiguous: no answer from DigitalOcean: the connection broke"
    );
    let find = Verb::Find {
        desired: value(&vpc()),
    };
    let found = check(VPC, find, r#"
        GET /v2/vpcs?page=1&per_page=200
        200 {"vpcs":[{"id":"v0","name":"other","description":""},{"id":"v1","name":"bz","description":"$M"}],"meta":{"total":2}}
    "#).await;
    assert_eq!(found, "found v1");
}

#[tokio::test]
async fn a_taken_name_is_a_conflict() {
    let taken = check(VPC, create(&vpc()), r#"
        POST /v2/vpcs
        422 {"id":"unprocessable_entity","message":"This range/size overlaps with another VPC network in your account"}
    "#).await;
    assert!(taken.starts_with("Conflict: "), "{taken}");
}

#[tokio::test]
async fn what_is_there_is_told_apart() {
    let text = r#"
        GET /v2/vpcs?page=1&per_page=200
        200 {"vpcs":[{"id":"v1","name":"renamed","description":"x $M"},{"id":"v2","name":"taken"}],"meta":{"total":2}}
    "#;
    let foreign = target("bz/digitalocean.vpc.two", &json!({"name": "taken"}));
    let gone = known("bz/digitalocean.vpc.three", "v3", &json!({"name": "three"}));
    let by_id = known("bz/digitalocean.vpc.four", "v2", &json!({"name": "four"}));
    let seen = look(vec![target(VPC, &vpc()), foreign, gone, by_id], text).await;
    assert!(seen[0].starts_with("present v1 Ready"), "{seen:?}");
    assert_eq!(seen[1..3], ["foreign v2", "gone"]);
    assert!(seen[3].starts_with("present v2"));
}

#[tokio::test]
async fn a_kind_that_fails_does_not_hide_the_others() {
    let user = json!({"cluster": "d1", "name": "app"});
    let seen = look(
        vec![target(VPC, &vpc()), target(USER, &user)],
        r#"
        GET /v2/vpcs?page=1&per_page=200
        403 {"id":"forbidden","message":"You do not have access"}
        GET /v2/databases/d1/users
        200 {"users":[]}
    "#,
    )
    .await;
    assert_eq!(seen, ["unreadable Denied", "gone"]);
}

#[tokio::test]
async fn a_network_with_members_goes_later_and_the_default_one_never() {
    let members = check(
        VPC,
        delete("v1", &vpc()),
        r#"
        DELETE /v2/vpcs/v1
        409 {"id":"conflict","message":"Can not delete VPC with members"}
        GET /v2/vpcs/v1
        200 {"vpc":{"id":"v1","default":false}}
    "#,
    )
    .await;
    assert!(members.starts_with("NotYet { after: None }: "), "{members}");
    let default = check(
        VPC,
        delete("v1", &vpc()),
        r#"
        DELETE /v2/vpcs/v1
        403 {"id":"forbidden","message":"Can not delete default VPCs"}
        GET /v2/vpcs/v1
        200 {"vpc":{"id":"v1","default":true}}
    "#,
    )
    .await;
    assert!(default.starts_with("Denied: "), "{default}");
    assert_eq!(
        check(VPC, delete("v1", &vpc()), "DELETE /v2/vpcs/v1\n404 {}").await,
        "gone"
    );
}

#[tokio::test]
async fn a_wrong_token_is_named_and_not_shown() {
    let script = script(
        VPC,
        "GET /v2/vpcs?page=1&per_page=200\n401 {\"id\":\"unauthorized\",\"message\":\"Unable to authenticate you.\"}",
    );
    let session = open(&*connect(&script)).await;
    let seen = session.refresh(&[target(VPC, &vpc())]).await.unwrap();
    let Observed::Unreadable(error) = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.starts_with("DigitalOcean refused the token"));
}

#[tokio::test]
async fn a_token_goes_over_no_open_line() {
    let script = Script::new("");
    for (endpoint, good) in [
        ("http://api.example.org", false),
        ("https://api.example.org", true),
        ("http://127.0.0.1:8080", true),
        ("http://127.0.0.1.example.org", false),
        ("ftp://x", false),
    ] {
        let provider = digitalocean_at(script.clone(), script.clock.clone(), endpoint);
        let token = zonewright_engine::secret::Secret::new("secret.t", "x", None);
        let config = Value::Map([("token".to_owned(), Value::Secret(token))].into());
        assert_eq!(
            provider.open(&config, None).await.is_ok(),
            good,
            "{endpoint}"
        );
    }
}

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

const ONLINE: &str = r#"
    GET /v2/databases/d1
    200 {"database":{"id":"d1","name":"wp-pz","engine":"mysql","version":"8","semantic_version":"8.0.35","region":"nyc3","size":"db-s-1","num_nodes":1,"private_network_uuid":"00000000-0000-0000-0000-0000000000a1","tags":["$M"],"status":"online","connection":{"host":"h","port":25060,"user":"doadmin","password":"canary-pw","database":"defaultdb","uri":"mysql://doadmin:canary-pw@h"},"private_connection":{"host":"p"}}}
    GET /v2/databases/d1/ca
    200 {"ca":{"certificate":"LS0tUEVNLS0t"}}
"#;

fn database_cluster() -> Json {
    json!({"name": "wp-pz", "region": "nyc3", "size": "db-s-1", "vpc": "00000000-0000-0000-0000-0000000000a1"})
}

#[tokio::test]
async fn a_database_cluster_shows_how_to_connect_but_no_password() {
    let made = check(DB, create(&database_cluster()), r#"
        POST /v2/databases {"name":"wp-pz","engine":"mysql","version":"8","num_nodes":1,"private_network_uuid":"00000000-0000-0000-0000-0000000000a1","tags":["$M"]}
        201 {"database":{"id":"d1","status":"creating","connection":{"host":"","password":"canary-pw"}}}
    "#).await;
    assert_eq!(made, "submitted d1");
    let told = check(DB, poll("d1", Wait::Ready, &database_cluster()), ONLINE).await;
    assert_eq!(
        told,
        r#"ready d1 {"ca":"---PEM---","database":"defaultdb","engine":"mysql","host":"h","id":"d1","name":"wp-pz","num_nodes":1,"password":{"$secret":{"ref":"pz/digitalocean.database_cluster.main.password"}},"port":25060,"private_host":"p","region":"nyc3","size":"db-s-1","tags":[],"urn":"do:dbaas:d1","user":"doadmin","version":"8.0.35","vpc":"00000000-0000-0000-0000-0000000000a1"}"#
    );
}

#[tokio::test]
async fn a_narrow_token_leaves_the_password_unknown() {
    let narrow = ONLINE
        .replace("\"canary-pw\"", "\"\"")
        .replace("\"doadmin\"", "\"\"");
    let seen = look(vec![known(DB, "d1", &database_cluster())], &narrow).await;
    assert!(
        !seen[0].contains("password") && !seen[0].contains("\"user\""),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_database_cluster_grows_and_is_tagged_through_tags() {
    let mut desired = database_cluster();
    desired["size"] = json!("db-s-2");
    desired["tags"] = json!(["prod"]);
    let get = ONLINE.lines().take(3).collect::<Vec<_>>().join("\n");
    let told = check(
        DB,
        update("d1", &desired, &["size", "tags"]),
        &(get
            + r#"
        POST /v2/tags {"name":"prod"}
        201 {"tag":{"name":"prod"}}
        PUT /v2/databases/d1/resize {"size":"db-s-2","num_nodes":1}
        202
    "#)
        .replace(
            "PUT",
            r#"POST /v2/tags/prod/resources
        204
        PUT"#,
        ),
    )
    .await;
    assert_eq!(told, "submitted d1");
}

#[tokio::test]
async fn a_cluster_with_replicas_is_not_deleted() {
    let told = check(
        DB,
        delete("d1", &json!({})),
        r#"
        GET /v2/databases/d1/replicas
        200 {"replicas":[{"name":"wp-bz"}]}
    "#,
    )
    .await;
    assert_eq!(told, "Conflict: it still has the replicas wp-bz");
}

#[tokio::test]
async fn parts_of_a_cluster_have_ids_of_two_parts() {
    let made = check(
        DATABASE,
        create(&json!({"cluster": "d1", "name": "wordpress"})),
        r#"
        POST /v2/databases/d1/dbs {"name":"wordpress"}
        201 {"db":{"name":"wordpress"}}
    "#,
    )
    .await;
    assert_eq!(
        made,
        r#"ready d1/wordpress {"cluster":"d1","id":"d1/wordpress","name":"wordpress"}"#
    );
    let made = check(
        USER,
        create(&json!({"cluster": "d1", "name": "app"})),
        r#"
        POST /v2/databases/d1/users {"name":"app"}
        201 {"user":{"name":"app","role":"normal","password":"canary-pw"}}
    "#,
    )
    .await;
    assert_eq!(
        made,
        r#"ready d1/app {"cluster":"d1","id":"d1/app","name":"app","password":{"$secret":{"ref":"pz/digitalocean.database_user.app.password"}}}"#
    );
    let told = check(
        USER,
        delete("d1/a b", &json!({})),
        "DELETE /v2/databases/d1/users/a%20b\n204",
    )
    .await;
    assert_eq!(told, "gone");
    let seen = look(
        vec![
            known(USER, "d1/app", &json!({})),
            target(
                "pz/digitalocean.database_user.two",
                &json!({"cluster": "d1", "name": "doadmin"}),
            ),
            known("pz/digitalocean.database_user.three", "d2/x", &json!({})),
            target("pz/digitalocean.database_user.four", &json!({"name": "x"})),
        ],
        r#"
        GET /v2/databases/d1/users
        200 {"users":[{"name":"doadmin"},{"name":"app"}]}
        GET /v2/databases/d2/users
        404 {"id":"not_found","message":"gone"}
    "#,
    )
    .await;
    assert!(seen[0].starts_with("present d1/app"), "{seen:?}");
    assert_eq!(seen[1..], ["foreign d1/doadmin", "gone", "gone"]);
}

#[tokio::test]
async fn foreign_firewall_rules_survive_as_they_are() {
    let rules = r#"
        GET /v2/databases/d1/firewall
        200 {"rules":[{"uuid":"11111111-1111-1111-1111-111111111111","cluster_uuid":"d1","created_at":"2026-01-01T00:00:00Z","type":"ip_addr","value":"1.2.3.4","description":"bob's house"},{"uuid":"22222222-2222-2222-2222-222222222222","type":"k8s","value":"old","description":"$M"}]}
    "#;
    let desired = json!({"cluster": "d1", "clusters": ["c1"], "addresses": ["1.2.3.4"]});
    let told = check(FIREWALL, update("d1", &desired, &["clusters"]), &format!(r#"{rules}
        PUT /v2/databases/d1/firewall {{"rules":[{{"uuid":"11111111-1111-1111-1111-111111111111","type":"ip_addr","value":"1.2.3.4","description":"bob's house"}},{{"type":"k8s","value":"c1","description":"$M"}}]}}
        204
    "#)).await;
    assert_eq!(
        told,
        r#"ready d1 {"addresses":["1.2.3.4"],"cluster":"d1","clusters":["c1"],"id":"d1"}"#
    );

    // A rule that left the spec is ours by its mark, and seen.
    let seen = look(
        vec![known(
            FIREWALL,
            "d1",
            &json!({"cluster": "d1", "clusters": ["c1"]}),
        )],
        rules,
    )
    .await;
    assert_eq!(
        seen[0],
        r#"present d1 Ready {"addresses":[],"cluster":"d1","clusters":["old"],"id":"d1"}"#
    );

    let told = check(
        FIREWALL,
        delete("d1", &desired),
        &format!(
            r#"{rules}
        PUT /v2/databases/d1/firewall {{"rules":[{{"value":"1.2.3.4"}}]}}
        204
    "#
        ),
    )
    .await;
    assert_eq!(told, "gone");
}

#[tokio::test]
async fn a_firewall_is_never_emptied_by_a_write_and_waits_for_a_young_cluster() {
    let none = "GET /v2/databases/d1/firewall\n200 {\"rules\":[]}\n";
    let told = check(FIREWALL, create(&json!({"cluster": "d1"})), none).await;
    assert!(told.starts_with("Invalid: no rule would be left"), "{told}");
    let desired = json!({"cluster": "d1", "clusters": ["c1"]});
    let text =
        format!("{none}PUT /v2/databases/d1/firewall\n422 {{\"message\":\"no such cluster\"}}");
    let told = check(FIREWALL, create(&desired), &text).await;
    assert!(told.starts_with("Transient"), "{told}");
}

#[tokio::test]
async fn a_replica_waits_for_the_first_backup() {
    let told = check(REPLICA, create(&replica("replica")), r#"
        POST /v2/databases/d1/replicas {"name":"wp-bz","region":"sfo3","size":"db-s-1","tags":["$M"]}
        412 {"id":"precondition_failed","message":"no backup yet"}
    "#).await;
    assert!(told.starts_with("NotYet { after: None }: "), "{told}");
    let find = Verb::Find {
        desired: value(&replica("replica")),
    };
    let script = script(
        REPLICA,
        r#"
        GET /v2/databases/d1/replicas
        200 {"replicas":[{"id":"r1","name":"wp-bz","status":"forking"}]}
    "#,
    );
    let session = open(&*connect(&script)).await;
    let op: Op = op(REPLICA, find);
    let Ok(Outcome::Found(found)) = session.apply(&op).await else {
        panic!()
    };
    assert_eq!(found[0].id, "r1");
    assert_eq!(found[0].mark, Mark::Carried(op.marker.to_string()));
}

#[tokio::test]
async fn a_promoted_replica_stays_the_same_resource() {
    let by_name = "GET /v2/databases/d1/replicas/wp-bz\n";
    let there = r#"200 {"replica":{"id":"r1","name":"wp-bz","region":"sfo3","size":"db-s-1","status":"online"}}"#;
    let cluster = "GET /v2/databases/r1\n200 {\"database\":{\"id\":\"r1\",\"name\":\"wp-bz\",\"region\":\"sfo3\",\"size\":\"db-s-1\",\"num_nodes\":1,\"status\":\"online\"}}\n";
    let ca = "GET /v2/databases/r1/ca\n404 {}\n";
    let promote = "PUT /v2/databases/d1/replicas/wp-bz/promote\n";
    for (reply, more) in [("204", ""), ("404 {}", cluster)] {
        let text = format!("{by_name}{there}\n{promote}{reply}\n{more}");
        let told = check(REPLICA, update("r1", &replica("primary"), &["role"]), &text).await;
        assert_eq!(told, "submitted r1", "{reply}");
    }
    let ready = || poll("r1", Wait::Ready, &replica("primary"));
    let told = check(REPLICA, ready(), &format!("{by_name}{there}\n{ca}")).await;
    assert_eq!(told, "pending being promoted");
    let told = check(
        REPLICA,
        ready(),
        &format!("{by_name}404 {{}}\n{cluster}{ca}"),
    )
    .await;
    assert!(
        told.starts_with("ready r1") && told.contains(r#""role":"primary""#),
        "{told}"
    );

    let list = "GET /v2/databases/d1/replicas\n200 {\"replicas\":[]}\n";
    let seen = look(
        vec![known(REPLICA, "r1", &replica("primary"))],
        &format!("{list}{cluster}{ca}"),
    )
    .await;
    assert!(
        seen[0].contains(r#""role":"primary""#) && seen[0].contains(r#""source":"d1""#),
        "{seen:?}"
    );

    let text = format!("{by_name}404 {{}}\n{cluster}DELETE /v2/databases/r1\n204");
    assert_eq!(
        check(REPLICA, delete("r1", &replica("primary")), &text).await,
        "submitted r1"
    );
    // Promoted after the plan was made: it is not the copy any more that was to go.
    let text = format!("{by_name}404 {{}}\n{cluster}");
    let told = check(REPLICA, delete("r1", &replica("replica")), &text).await;
    assert!(told.starts_with("Conflict: it was promoted"), "{told}");
}

#[tokio::test]
async fn secrets_in_complaints_are_removed() {
    let prior = Value::Map(
        [(
            "password".to_owned(),
            Value::Secret(zonewright_engine::secret::Secret::new(
                "p",
                "canary-pw",
                None,
            )),
        )]
        .into(),
    );
    let verb = Verb::Delete {
        id: "d1/app".to_owned(),
        prior,
    };
    let told = check(
        USER,
        verb,
        "DELETE /v2/databases/d1/users/app\n422 {\"message\":\"cannot drop app:canary-pw\"}",
    )
    .await;
    assert_eq!(
        told,
        "Invalid: DigitalOcean answered 422 to DELETE: cannot drop app:(secret)"
    );
}
