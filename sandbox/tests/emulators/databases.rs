//! Managed MySQL, along the vectors.

use serde_json::{Value, json};
use zonewright_sandbox::profile::Profile;

use crate::{World, id};

const DATABASE: &str = r#"{"name":"wp-pz","engine":"mysql","version":"8","region":"nyc3",
    "size":"db-s-1vcpu-2gb","num_nodes":1,"tags":["zonewright:wp:db"],
    "rules":[{"type":"ip_addr","value":"192.0.2.1"}]}"#;
const REPLICA: &str = r#"{"name":"wp-bz","region":"sfo3","size":"db-s-1vcpu-2gb",
    "tags":["zonewright:wp:replica"]}"#;

async fn database(world: &World) -> String {
    id(
        &world.expect(201, "POST /v2/databases", DATABASE).await,
        "database",
    )
}

#[tokio::test]
async fn a_database_comes_online_and_names_are_unique_in_the_account() {
    let world = World::new(Profile::Realistic);
    let made = world.expect(201, "POST /v2/databases", DATABASE).await;
    assert_eq!(made["database"]["status"], "creating");
    assert_eq!(made["database"]["connection"]["host"], "");
    assert!(
        made["database"]["connection"]["password"]
            .as_str()
            .unwrap()
            .len()
            > 8
    );
    let rule = &made["database"]["rules"][0];
    assert_eq!(rule["value"], "192.0.2.1");
    assert!(rule["uuid"].is_string());
    let line = format!("GET /v2/databases/{}", id(&made, "database"));
    world
        .expect(
            412,
            &format!("{}/dbs", line.replace("GET", "POST")),
            r#"{"name":"wp"}"#,
        )
        .await;
    world.pass(361);
    let up = world.expect(200, &line, "").await;
    assert_eq!(up["database"]["status"], "online");
    assert_eq!(up["database"]["connection"]["port"], 25060);
    assert_eq!(up["database"]["metrics_endpoints"][0]["port"], 9273);
    let uri = up["database"]["connection"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("mysql://doadmin:"));
    let taken = world.expect(422, "POST /v2/databases", DATABASE).await;
    assert_eq!(taken["message"], "cluster name is not available");
    let by_tag = |tag: &str| format!("GET /v2/databases?tag_name={tag}");
    let found = world.expect(200, &by_tag("zonewright%3Awp%3Adb"), "").await;
    assert_eq!(found["databases"].as_array().unwrap().len(), 1);
    let none = world.expect(200, &by_tag("other"), "").await;
    assert_eq!(none["databases"], json!([]));
}

#[tokio::test]
async fn a_replica_needs_a_backup_and_its_promotion_keeps_its_id() {
    let world = World::new(Profile::Realistic);
    let parent = database(&world).await;
    let replicas = format!("/v2/databases/{parent}/replicas");
    let early = world
        .expect(412, &format!("POST {replicas}"), REPLICA)
        .await;
    assert_eq!(early["id"], "precondition_failed");
    let backups = format!("GET /v2/databases/{parent}/backups");
    world.pass(361);
    let none = world.expect(200, &backups, "").await;
    assert_eq!(none["backups"], json!([]));
    world
        .expect(412, &format!("POST {replicas}"), REPLICA)
        .await;
    world.pass(601);
    let one = world.expect(200, &backups, "").await;
    assert_eq!(one["backups"].as_array().unwrap().len(), 1);
    let made = world
        .expect(201, &format!("POST {replicas}"), REPLICA)
        .await;
    assert_eq!(made["replica"]["status"], "forking");
    let replica = id(&made, "replica");
    world
        .expect(422, &format!("POST {replicas}"), REPLICA)
        .await;
    world
        .expect(412, &format!("PUT {replicas}/wp-bz/promote"), "")
        .await;
    let get = format!("GET {replicas}/wp-bz");
    world.pass(481);
    let up = world.expect(200, &get, "").await;
    assert_eq!(up["replica"]["status"], "online");
    let host = up["replica"]["connection"]["host"].clone();
    let password = up["replica"]["connection"]["password"].clone();
    let own = format!("/v2/databases/{replica}");
    world.expect(200, &format!("GET {own}"), "").await;
    world.expect(404, &format!("GET {own}/users"), "").await;

    world
        .expect(204, &format!("PUT {replicas}/wp-bz/promote"), "")
        .await;
    world
        .expect(404, &format!("PUT {replicas}/wp-bz/promote"), "")
        .await;
    world.expect(404, &get, "").await;
    let cluster = world.expect(200, &format!("GET {own}"), "").await;
    assert_eq!(cluster["database"]["status"], "creating");
    world.pass(91);
    let cluster = world.expect(200, &format!("GET {own}"), "").await;
    assert_eq!(cluster["database"]["status"], "online");
    assert_eq!(cluster["database"]["id"], replica);
    assert_eq!(cluster["database"]["connection"]["host"], host);
    assert_eq!(cluster["database"]["connection"]["password"], password);
    let left = world.expect(200, &format!("GET {replicas}"), "").await;
    assert_eq!(left["replicas"], json!([]));
    let events = world.expect(200, &format!("GET {own}/events"), "").await;
    let promoted = |e: &Value| e["event_type"] == "cluster_master_promotion";
    assert!(events["events"].as_array().unwrap().iter().any(promoted));
}

#[tokio::test]
async fn a_parent_takes_its_replicas_along_and_frees_the_names() {
    let world = World::new(Profile::Instant);
    let parent = database(&world).await;
    let made = world
        .expect(
            201,
            &format!("POST /v2/databases/{parent}/replicas"),
            REPLICA,
        )
        .await;
    let replica = id(&made, "replica");
    world
        .expect(204, &format!("DELETE /v2/databases/{parent}"), "")
        .await;
    world
        .expect(404, &format!("GET /v2/databases/{replica}"), "")
        .await;
    world
        .expect(404, &format!("DELETE /v2/databases/{parent}"), "")
        .await;
    database(&world).await;
}

#[tokio::test]
async fn trusted_sources_are_replaced_whole_and_keep_what_they_are_told() {
    let world = World::new(Profile::Instant);
    let parent = database(&world).await;
    let made = world
        .expect(
            201,
            &format!("POST /v2/databases/{parent}/replicas"),
            REPLICA,
        )
        .await;
    let replica = id(&made, "replica");
    let path = format!("/v2/databases/{replica}/firewall");
    let empty = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(empty["rules"], json!([]));
    let put = format!("PUT {path}");
    let unknown = r#"{"rules":[{"type":"k8s","value":"nothing"}]}"#;
    world.expect(422, &put, unknown).await;
    let body = r#"{"rules":[{"type":"ip_addr","value":"192.0.2.7","description":"a hand"}]}"#;
    world.expect(204, &put, body).await;
    let one = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(one["rules"][0]["cluster_uuid"], replica);
    let mut rules = one["rules"].as_array().unwrap().clone();
    rules.push(json!({"type": "tag", "value": "web"}));
    world
        .expect(204, &put, &json!({ "rules": rules }).to_string())
        .await;
    let two = world.expect(200, &format!("GET {path}"), "").await;
    let two = two["rules"].as_array().unwrap();
    assert_eq!(two.len(), 2);
    assert!(
        two.contains(&one["rules"][0]),
        "the old rule is kept byte for byte"
    );
    let line = format!("GET /v2/databases/{parent}/firewall");
    let parents = world.expect(200, &line, "").await;
    assert_eq!(parents["rules"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn users_and_databases_come_and_go() {
    let world = World::new(Profile::Instant);
    let path = format!("/v2/databases/{}", database(&world).await);
    let made = world
        .expect(201, &format!("POST {path}/users"), r#"{"name":"wp"}"#)
        .await;
    let password = made["user"]["password"].as_str().unwrap();
    world
        .expect(422, &format!("POST {path}/users"), r#"{"name":"wp"}"#)
        .await;
    let again = world.expect(200, &format!("GET {path}/users/wp"), "").await;
    assert_eq!(again["user"]["password"], password);
    let rotated = world
        .expect(200, &format!("POST {path}/users/wp/reset_auth"), "{}")
        .await;
    assert_ne!(rotated["user"]["password"], password);
    world
        .expect(201, &format!("POST {path}/dbs"), r#"{"name":"wp"}"#)
        .await;
    world
        .expect(422, &format!("POST {path}/dbs"), r#"{"name":"wp"}"#)
        .await;
    let dbs = world.expect(200, &format!("GET {path}/dbs"), "").await;
    assert_eq!(dbs["dbs"], json!([{"name": "defaultdb"}, {"name": "wp"}]));
    world
        .expect(204, &format!("DELETE {path}/dbs/wp"), "")
        .await;
    world.expect(404, &format!("GET {path}/dbs/wp"), "").await;
    world
        .expect(204, &format!("DELETE {path}/users/wp"), "")
        .await;
    world
        .expect(404, &format!("DELETE {path}/users/wp"), "")
        .await;
    let ca = world.expect(200, &format!("GET {path}/ca"), "").await;
    assert!(
        ca["ca"]["certificate"]
            .as_str()
            .unwrap()
            .starts_with("LS0tLS1CRUdJTi")
    );
    let hide = r#"{"hide_credentials":true}"#;
    world.expect(204, "POST /_sandbox/switches", hide).await;
    let blind = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(blind["database"]["connection"]["password"], "");
    assert!(blind["database"]["users"][0].get("password").is_none());
}

#[tokio::test]
async fn a_backup_is_restored_into_a_new_cluster_elsewhere() {
    let world = World::new(Profile::Instant);
    let source = database(&world).await;
    let path = format!("/v2/databases/{source}");
    world
        .expect(201, &format!("POST {path}/users"), r#"{"name":"wp"}"#)
        .await;
    let backups = world.expect(200, &format!("GET {path}/backups"), "").await;
    let newest = backups["backups"][0]["created_at"].as_str().unwrap();
    let restore = |name: &str, at: &str| {
        json!({"name": name, "engine": "mysql", "version": "8", "region": "sfo3",
            "size": "db-s-1vcpu-2gb", "num_nodes": 1,
            "backup_restore": {"database_name": "wp-pz", "backup_created_at": at}})
        .to_string()
    };
    let line = "POST /v2/databases";
    let never = restore("wp-bz-r1", "2001-01-01T00:00:00Z");
    world.expect(422, line, &never).await;
    let made = world.expect(201, line, &restore("wp-bz-r1", newest)).await;
    let fork = id(&made, "database");
    assert_eq!(made["database"]["rules"], json!([]));
    let users = world
        .expect(200, &format!("GET /v2/databases/{fork}/users"), "")
        .await;
    assert_eq!(users["users"][1]["name"], "wp");
    let of = world.expect(200, &format!("GET {path}"), "").await;
    assert_ne!(
        made["database"]["connection"]["password"],
        of["database"]["connection"]["password"]
    );
}

#[tokio::test]
async fn a_database_is_resized_up_and_moved() {
    let world = World::new(Profile::Instant);
    let path = format!("/v2/databases/{}", database(&world).await);
    let line = format!("PUT {path}/resize");
    world
        .expect(422, &line, r#"{"size":"db-s-2vcpu-4gb"}"#)
        .await;
    let body = r#"{"size":"db-s-2vcpu-4gb","num_nodes":2}"#;
    world.expect(202, &line, body).await;
    let less = r#"{"size":"db-s-1vcpu-1gb","num_nodes":1,"storage_size_mib":10240}"#;
    world.expect(422, &line, less).await;
    world
        .expect(202, &format!("PUT {path}/migrate"), r#"{"region":"SFO3"}"#)
        .await;
    let line = format!("PUT {path}/maintenance");
    world
        .expect(204, &line, r#"{"day":"Tuesday","hour":"13:00"}"#)
        .await;
    let now = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(now["database"]["num_nodes"], 2);
    assert_eq!(now["database"]["region"], "sfo3");
    assert_eq!(now["database"]["storage_size_mib"], 61_440);
    assert_eq!(now["database"]["maintenance_window"]["hour"], "13:00:00");
}

#[tokio::test]
async fn a_rule_outlives_the_cluster_that_it_names() {
    let world = World::new(Profile::Instant);
    let body = r#"{"name":"pz","region":"nyc3","version":"latest",
        "node_pools":[{"name":"main","size":"s-2vcpu-4gb","count":1}]}"#;
    let made = world
        .expect(201, "POST /v2/kubernetes/clusters", body)
        .await;
    let cluster = id(&made, "kubernetes_cluster");
    let path = format!("/v2/databases/{}/firewall", database(&world).await);
    let rules = json!({"rules": [{"type": "k8s", "value": cluster}]}).to_string();
    world.expect(204, &format!("PUT {path}"), &rules).await;
    let line = format!("DELETE /v2/kubernetes/clusters/{cluster}");
    world.expect(204, &line, "").await;
    let there = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(there["rules"][0]["value"], cluster);
    world
        .expect(204, &format!("PUT {path}"), &there.to_string())
        .await;
    world
        .expect(204, &format!("PUT {path}"), r#"{"rules":[]}"#)
        .await;
    world.expect(422, &format!("PUT {path}"), &rules).await;
}
