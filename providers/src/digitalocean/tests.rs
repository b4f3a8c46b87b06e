use std::sync::Arc;

use serde_json::{Value as Json, json};
use zonewright_engine::address::AttrPath;
use zonewright_engine::provider::{Mark, Observed, Op, Outcome, ReadTarget, Verb, Wait};
use zonewright_engine::secret::Purpose;
use zonewright_engine::value::Value;

use super::*;
use crate::contract::{complaints, fits};
use crate::script::{Script, known, marker, op, open, show, target, tell, value};

mod clusters;
mod databases;

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
