//! Replies held to the vendors' own OpenAPI documents, where those are at hand.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zonewright_sandbox::profile::Profile;

use crate::{World, id};

fn document(name: &str) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found: Option<PathBuf> = [
        "../shared/specs",
        "../../shared/specs",
        "../../../shared/specs",
    ]
    .into_iter()
    .map(|dir| root.join(dir).join(name))
    .find(|path| path.exists());
    let Some(path) = found else {
        #[allow(clippy::print_stdout)] // Whoever reads the test's output should know.
        {
            let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
            assert!(!required, "{name} is not at hand");
            println!("skipped: {name} is not at hand");
        }
        return None;
    };
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// Checks a reply against the schema of an operation's response.
fn check(document: &Value, operation: &str, status: &str, reply: &Value) {
    let errors = errors(document, operation, status, reply);
    assert!(
        errors.is_empty(),
        "{operation} {status}: {errors:#?}\n{reply:#}"
    );
}

fn errors(document: &Value, operation: &str, status: &str, reply: &Value) -> Vec<String> {
    let (method, path) = operation.split_once(' ').unwrap();
    let responses = &document["paths"][path][method]["responses"];
    let mut response = &responses[status];
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(&reference[1..]).unwrap();
    }
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{operation} {status} has no schema");
    let mut whole = json!({"components": document["components"], "allOf": [schema]});
    translate(&mut whole);
    let validator =
        jsonschema::draft4::new(&whole).unwrap_or_else(|error| panic!("{operation}: {error}"));
    validator
        .iter_errors(reply)
        .map(|e| format!("{e} at {}", e.instance_path()))
        .collect()
}

// The published document merges all record types and requires the fields of each of them from
// every record; and it does not know that a record without a comment has the comment null.
fn repair(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    let required = &mut schemas["dns-records_dns-record-response"]["required"];
    let per_type = [json!("data"), json!("settings")];
    required
        .as_array_mut()
        .unwrap()
        .retain(|field| !per_type.contains(field));
    schemas["dns-records_comment"]["nullable"] = json!(true);
}

// OpenAPI 3.0 says `nullable` where JSON Schema says the type `null`.
fn translate(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(translate),
        Value::Object(map) => {
            let nullable = map.remove("nullable") == Some(Value::Bool(true));
            map.remove("example");
            map.remove("discriminator");
            map.values_mut().for_each(translate);
            if !nullable {
                return;
            }
            if let Some(Value::String(kind)) = map.get("type") {
                let kinds = json!([kind, "null"]);
                map.insert("type".to_owned(), kinds);
            }
            if let Some(Value::Array(values)) = map.get_mut("enum")
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn digitalocean_replies_fit() {
    let Some(spec) = document("digitalocean.openapi.json") else {
        return;
    };
    let world = World::new(Profile::Instant);
    for (path, operation) in [
        ("account", "get /v2/account"),
        ("vpcs?per_page=3&page=2", "get /v2/vpcs"),
        ("regions", "get /v2/regions"),
        ("sizes", "get /v2/sizes"),
        ("kubernetes/options", "get /v2/kubernetes/options"),
        ("databases/options", "get /v2/databases/options"),
    ] {
        let reply = world.expect(200, &format!("GET /v2/{path}"), "").await;
        check(&spec, operation, "200", &reply);
    }
    let body = r#"{"name":"bz","region":"sfo3","ip_range":"10.20.0.0/20"}"#;
    let reply = world.expect(201, "POST /v2/vpcs", body).await;
    check(&spec, "post /v2/vpcs", "201", &reply);
    let vpc = id(&reply, "vpc");
    clusters_fit(&world, &spec, &vpc).await;
    databases_fit(&world, &spec).await;
    let lost = world.expect(404, "GET /v2/vpcs/none", "").await;
    check(&spec, "get /v2/vpcs/{vpc_id}", "404", &lost);
}

async fn clusters_fit(world: &World, spec: &Value, vpc: &str) {
    let body = json!({"name": "bz", "region": "sfo3", "version": "latest", "vpc_uuid": vpc,
        "node_pools": [{"name": "main", "size": "s-2vcpu-4gb", "count": 1}]});
    let reply = world
        .expect(201, "POST /v2/kubernetes/clusters", &body.to_string())
        .await;
    check(spec, "post /v2/kubernetes/clusters", "201", &reply);
    let cluster = id(&reply, "kubernetes_cluster");
    let balancer = json!({"id": "4de7ac8b-495b-4884-9a69-1050c6793cd6", "name": "lb",
        "ip": "203.0.113.7", "region": "sfo3", "status": "active",
        "created_ms": 1_700_000_000_000u64, "vpc_uuid": vpc, "cluster_id": cluster});
    let write = |t: &mut zonewright_sandbox::world::Txn<'_>| {
        t.put(
            "digitalocean/load_balancers",
            "4de7ac8b-495b-4884-9a69-1050c6793cd6",
            balancer,
        );
    };
    world.sandbox.world().write(write).unwrap();
    let one = format!("GET /v2/kubernetes/clusters/{cluster}");
    let base = "get /v2/kubernetes/clusters/{cluster_id}";
    for (tail, line) in [
        ("", one.clone()),
        ("/credentials", format!("{one}/credentials")),
        ("/node_pools", format!("{one}/node_pools")),
        ("/upgrades", format!("{one}/upgrades")),
        ("/user", format!("{one}/user")),
        (
            "/destroy_with_associated_resources",
            format!("{one}/destroy_with_associated_resources"),
        ),
    ] {
        let reply = world.expect(200, &line, "").await;
        check(spec, &format!("{base}{tail}"), "200", &reply);
    }
    for (line, operation) in [
        (
            "GET /v2/kubernetes/clusters".to_owned(),
            "get /v2/kubernetes/clusters",
        ),
        (
            format!("GET /v2/vpcs/{vpc}/members"),
            "get /v2/vpcs/{vpc_id}/members",
        ),
        (
            "GET /v2/load_balancers".to_owned(),
            "get /v2/load_balancers",
        ),
        ("GET /v2/tags".to_owned(), "get /v2/tags"),
    ] {
        let reply = world.expect(200, &line, "").await;
        check(spec, operation, "200", &reply);
    }
}

async fn databases_fit(world: &World, spec: &Value) {
    let body = r#"{"name":"wp-pz","engine":"mysql","version":"8","region":"nyc3","tags":["a"],
        "size":"db-s-1vcpu-2gb","num_nodes":1,"rules":[{"type":"ip_addr","value":"192.0.2.1"}]}"#;
    let reply = world.expect(201, "POST /v2/databases", body).await;
    check(spec, "post /v2/databases", "201", &reply);
    let path = format!("/v2/databases/{}", id(&reply, "database"));
    let base = "/v2/databases/{database_cluster_uuid}";
    for (tail, body) in [
        (
            "/replicas",
            r#"{"name":"wp-bz","region":"sfo3","size":"db-s-1vcpu-2gb"}"#,
        ),
        ("/users", r#"{"name":"wp"}"#),
        ("/dbs", r#"{"name":"wp"}"#),
    ] {
        let reply = world.expect(201, &format!("POST {path}{tail}"), body).await;
        check(spec, &format!("post {base}{tail}"), "201", &reply);
    }
    for tail in [
        "",
        "/replicas",
        "/users",
        "/dbs",
        "/firewall",
        "/backups",
        "/ca",
        "/events",
        "/config",
        "/sql_mode",
    ] {
        let reply = world.expect(200, &format!("GET {path}{tail}"), "").await;
        check(spec, &format!("get {base}{tail}"), "200", &reply);
    }
    // The check itself must be able to fail, deep inside as well.
    let mut spoiled = world.expect(200, &format!("GET {path}"), "").await;
    spoiled["database"]["status"] = json!("sleeping");
    spoiled["database"]["connection"]["port"] = json!("25060");
    let found = errors(spec, &format!("get {base}"), "200", &spoiled);
    assert_eq!(found.len(), 2, "{found:#?}");
    let reply = world.expect(200, "GET /v2/databases", "").await;
    check(spec, "get /v2/databases", "200", &reply);
}

#[tokio::test]
async fn cloudflare_replies_fit() {
    let Some(mut spec) = document("cloudflare.openapi.json") else {
        return;
    };
    repair(&mut spec);
    let world = World::new(Profile::Instant);
    let verified = world
        .expect(200, "GET /client/v4/user/tokens/verify", "")
        .await;
    check(&spec, "get /user/tokens/verify", "200", &verified);
    let zones = world.expect(200, "GET /client/v4/zones", "").await;
    check(&spec, "get /zones", "200", &zones);
    let zone = zones["result"][0]["id"].as_str().unwrap();
    let path = format!("/client/v4/zones/{zone}");
    let one = world.expect(200, &format!("GET {path}"), "").await;
    check(&spec, "get /zones/{zone_id}", "200", &one);
    let records = format!("{path}/dns_records");
    let base = "/zones/{zone_id}/dns_records";
    for body in [
        r#"{"type":"CNAME","name":"c","content":"x.example.net","ttl":60,"comment":"m"}"#,
        r#"{"type":"A","name":"a","content":"192.0.2.1","proxied":true,"ttl":1}"#,
        r#"{"type":"TXT","name":"t","content":"v","ttl":60}"#,
        r#"{"type":"MX","name":"m","content":"mail.example.net","priority":10,"ttl":1}"#,
    ] {
        let reply = world.expect(200, &format!("POST {records}"), body).await;
        check(&spec, &format!("post {base}"), "200", &reply);
    }
    let all = world.expect(200, &format!("GET {records}"), "").await;
    check(&spec, &format!("get {base}"), "200", &all);
    let batch = r#"{"posts":[{"type":"TXT","name":"u","content":"v","ttl":60}]}"#;
    let done = world
        .expect(200, &format!("POST {records}/batch"), batch)
        .await;
    check(&spec, &format!("post {base}/batch"), "200", &done);
    let refused = world.expect(400, &format!("POST {records}"), "{}").await;
    assert!(refused["errors"][0]["code"].as_u64().unwrap() >= 1000);
}
