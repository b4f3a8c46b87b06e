//! Account, VPCs and clusters, along the vectors.

use serde_json::{Value, json};
use zonewright_sandbox::profile::Profile;

use crate::{World, id};

const CLUSTER: &str = r#"{"name":"bz","region":"sfo3","version":"1.33.1-do.3","vpc_uuid":"VPC",
    "cluster_subnet":"10.120.0.0/16","service_subnet":"10.121.0.0/19","ha":false,
    "tags":["zonewright:wp:9f2c"],
    "node_pools":[{"name":"main","size":"s-2vcpu-4gb","count":2}]}"#;

async fn vpc(world: &World) -> String {
    let body = r#"{"name":"bz","region":"sfo3","ip_range":"10.20.0.0/20","description":"wp"}"#;
    id(&world.expect(201, "POST /v2/vpcs", body).await, "vpc")
}

async fn cluster(world: &World) -> String {
    let body = CLUSTER.replace("VPC", &vpc(world).await);
    let made = world
        .expect(201, "POST /v2/kubernetes/clusters", &body)
        .await;
    id(&made, "kubernetes_cluster")
}

fn state(value: &Value) -> &str {
    value["kubernetes_cluster"]["status"]["state"]
        .as_str()
        .unwrap_or("")
}

#[tokio::test]
async fn a_wrong_token_is_told_so_and_every_reply_has_the_limits() {
    let world = World::new(Profile::Instant);
    let response = world.raw("GET /v2/account", "", Some("dop_v1_wrong")).await;
    assert_eq!(response.status(), 401);
    for header in [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-request-id",
    ] {
        assert!(response.headers().contains_key(header), "{header}");
    }
    let account = world.expect(200, "GET /v2/account", "").await;
    assert_eq!(account["account"]["status"], "active");
    let missing = world.expect(404, "GET /v2/vpcs/nothing", "").await;
    assert_eq!(missing["id"], "not_found");
    assert!(missing["request_id"].is_string());
}

#[tokio::test]
async fn lists_come_in_pages_that_name_the_public_host() {
    let world = World::new(Profile::Instant);
    let there = world.expect(200, "GET /v2/vpcs", "").await["meta"]["total"]
        .as_u64()
        .unwrap();
    for n in there..45 {
        let body = format!(r#"{{"name":"v{n}","region":"nyc3","ip_range":"10.20.{n}.0/24"}}"#);
        world.expect(201, "POST /v2/vpcs", &body).await;
    }
    let pages = |page: u32| {
        let line = format!("GET /v2/vpcs?per_page=20&page={page}");
        let world = &world;
        async move { world.expect(200, &line, "").await }
    };
    let (one, two, three) = (pages(1).await, pages(2).await, pages(3).await);
    let count = |page: &Value| page["vpcs"].as_array().unwrap().len();
    assert_eq!((count(&one), count(&two), count(&three)), (20, 20, 5));
    assert_eq!(one["meta"]["total"], 45);
    let next = "https://api.digitalocean.com/v2/vpcs?page=2&per_page=20";
    assert_eq!(one["links"]["pages"]["next"], next);
    assert!(two["links"]["pages"]["prev"].is_string());
    assert!(three["links"]["pages"].get("next").is_none());
    let whole = world.expect(200, "GET /v2/vpcs?per_page=200", "").await;
    assert_eq!(whole["links"], json!({}));
}

#[tokio::test]
async fn vpcs_are_checked() {
    let world = World::new(Profile::Instant);
    let vpc = vpc(&world).await;
    let made = world.expect(200, &format!("GET /v2/vpcs/{vpc}"), "").await;
    assert_eq!(made["vpc"]["default"], false);
    assert_eq!(made["vpc"]["urn"], format!("do:vpc:{vpc}"));
    for (body, words) in [
        (
            r#"{"name":"bz","region":"sfo3","ip_range":"10.30.0.0/20"}"#,
            "name already",
        ),
        (
            r#"{"name":"a","region":"sfo3","ip_range":"10.20.8.0/24"}"#,
            "overlaps",
        ),
        (
            r#"{"name":"a","region":"nyc3","ip_range":"10.0.0.0/8"}"#,
            "between /16 and /28",
        ),
        (
            r#"{"name":"a","region":"nyc3","ip_range":"8.8.8.0/24"}"#,
            "RFC1918",
        ),
        (
            r#"{"name":"a","region":"nyc3","ip_range":"10.30.0.1/24"}"#,
            "network address",
        ),
        (r#"{"name":"a b","region":"nyc3"}"#, "name"),
        (r#"{"name":"a","region":"mars"}"#, "region"),
    ] {
        let error = world.expect(422, "POST /v2/vpcs", body).await;
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{body}: {message}");
    }
    let free = world
        .expect(201, "POST /v2/vpcs", r#"{"name":"free","region":"nyc3"}"#)
        .await;
    assert!(free["vpc"]["ip_range"].as_str().unwrap().ends_with("/20"));
    let line = format!("PATCH /v2/vpcs/{vpc}");
    let changed = world.expect(200, &line, r#"{"description":"new"}"#).await;
    assert_eq!(changed["vpc"]["description"], "new");
    assert_eq!(changed["vpc"]["name"], "bz");
    world
        .expect(422, &format!("PUT /v2/vpcs/{vpc}"), "{}")
        .await;
    let all = world.expect(200, "GET /v2/vpcs?per_page=200", "").await;
    let vpcs = all["vpcs"].as_array().unwrap();
    let default = vpcs.iter().find(|v| v["default"] == true).unwrap();
    let line = format!("DELETE /v2/vpcs/{}", default["id"].as_str().unwrap());
    assert_eq!(world.expect(403, &line, "").await["id"], "forbidden");
    world
        .expect(204, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
    world
        .expect(404, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
}

#[tokio::test]
async fn a_cluster_goes_through_its_life_and_holds_its_vpc() {
    let world = World::new(Profile::Realistic);
    let vpc = vpc(&world).await;
    let body = CLUSTER.replace("VPC", &vpc);
    let made = world
        .expect(201, "POST /v2/kubernetes/clusters", &body)
        .await;
    assert_eq!(state(&made), "provisioning");
    let cluster = id(&made, "kubernetes_cluster");
    let tags = json!(["k8s", format!("k8s:{cluster}"), "zonewright:wp:9f2c"]);
    assert_eq!(made["kubernetes_cluster"]["tags"], tags);
    assert_eq!(made["kubernetes_cluster"]["endpoint"], "");
    let line = format!("GET /v2/kubernetes/clusters/{cluster}");
    world.expect(409, &format!("{line}/credentials"), "").await;
    world.pass(361);
    let up = world.expect(200, &line, "").await;
    assert_eq!(state(&up), "running");
    let endpoint = format!("http://127.0.0.1:4000/clusters/{cluster}");
    assert_eq!(up["kubernetes_cluster"]["endpoint"], endpoint);
    let pool = &up["kubernetes_cluster"]["node_pools"][0];
    assert_eq!(pool["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(pool["nodes"][0]["status"]["state"], "running");
    let members = world
        .expect(200, &format!("GET /v2/vpcs/{vpc}/members"), "")
        .await;
    let urn = format!("do:kubernetes:{cluster}");
    assert_eq!(members["members"][0]["urn"], urn);
    let refused = world
        .expect(409, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
    assert_eq!(refused["message"], "Can not delete VPC with members");

    world
        .expect(
            204,
            &format!("DELETE /v2/kubernetes/clusters/{cluster}"),
            "",
        )
        .await;
    let leaving = world.expect(200, &line, "").await;
    assert_eq!(state(&leaving), "deleting");
    world
        .expect(409, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
    world.pass(61);
    world.expect(404, &line, "").await;
    world
        .expect(409, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
    world.pass(31);
    world
        .expect(204, &format!("DELETE /v2/vpcs/{vpc}"), "")
        .await;
}

#[tokio::test]
async fn clusters_are_checked_but_names_may_repeat() {
    let world = World::new(Profile::Instant);
    let vpc = vpc(&world).await;
    let good = CLUSTER.replace("VPC", &vpc);
    let line = "POST /v2/kubernetes/clusters";
    world.expect(201, line, &good).await;
    world.expect(422, line, &good).await; // the subnets are taken
    let no_subnets = good
        .replace("cluster_subnet", "x")
        .replace("service_subnet", "y");
    world.expect(201, line, &no_subnets).await;
    for (from, to, words) in [
        (
            "1.33.1-do.3",
            "1.999.999-invalid-slug",
            "invalid version slug",
        ),
        (vpc.as_str(), "5a4981aa-9653-4bd1-bef5-d6bff52042e4", "VPC"),
        ("sfo3", "nyc3", "region"),
        ("s-2vcpu-4gb", "huge", "size"),
    ] {
        let error = world.expect(422, line, &no_subnets.replace(from, to)).await;
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{error}"
        );
    }
    let options = world.expect(200, "GET /v2/kubernetes/options", "").await;
    let versions = options["options"]["versions"].as_array().unwrap();
    for minor in ["1.33.", "1.34.1-do.", "1.35.", "1.36."] {
        let has = |v: &Value| v["slug"].as_str().unwrap().starts_with(minor);
        assert!(versions.iter().any(has), "{minor}");
    }
}

#[tokio::test]
async fn a_cluster_can_be_changed_and_upgraded() {
    let world = World::new(Profile::Instant);
    let cluster = cluster(&world).await;
    let path = format!("/v2/kubernetes/clusters/{cluster}");
    let put = format!("PUT {path}");
    world.expect(422, &put, r#"{"tags":["a"]}"#).await;
    let body = r#"{"name":"bz2","tags":["a"],"auto_upgrade":true,"surge_upgrade":true,"ha":true,
        "maintenance_policy":{"day":"sunday","start_time":"04:00"}}"#;
    let changed = world.expect(202, &put, body).await;
    let shown = &changed["kubernetes_cluster"];
    assert_eq!(shown["tags"], json!(["k8s", format!("k8s:{cluster}"), "a"]));
    assert_eq!(shown["maintenance_policy"]["day"], "sunday");
    assert_eq!(shown["ha"], true);
    world
        .expect(422, &put, r#"{"name":"bz2","ha":false}"#)
        .await;
    let kept = world.expect(202, &put, r#"{"name":"bz3"}"#).await;
    assert_eq!(kept["kubernetes_cluster"]["tags"][2], "a");
    let offered = world.expect(200, &format!("GET {path}/upgrades"), "").await;
    let slugs = offered["available_upgrade_versions"].as_array().unwrap();
    assert!(
        slugs
            .iter()
            .all(|v| !v["slug"].as_str().unwrap().starts_with("1.35"))
    );
    let line = format!("POST {path}/upgrade");
    world.expect(422, &line, r#"{"version":"1.36"}"#).await;
    world.expect(202, &line, r#"{"version":"1.34"}"#).await;
    let now = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(now["kubernetes_cluster"]["version"], "1.34.1-do.3");
    let withdraw = r#"{"withdrawn_versions":["1.36.1-do.0","1.36.0-do.1","1.35.2-do.1",
        "1.35.1-do.0"]}"#;
    world.expect(204, "POST /_sandbox/switches", withdraw).await;
    let none = world.expect(200, &format!("GET {path}/upgrades"), "").await;
    assert_eq!(none["available_upgrade_versions"], Value::Null);
}

#[tokio::test]
async fn node_pools_come_and_go_but_the_last_one_stays() {
    let world = World::new(Profile::Instant);
    let cluster = cluster(&world).await;
    let pools = format!("/v2/kubernetes/clusters/{cluster}/node_pools");
    let listed = world.expect(200, &format!("GET {pools}"), "").await;
    let first = listed["node_pools"][0]["id"].as_str().unwrap().to_owned();
    world
        .expect(422, &format!("DELETE {pools}/{first}"), "")
        .await;
    let body = r#"{"name":"big","size":"s-4vcpu-8gb","count":1,"labels":{"a":"b"},
        "taints":[{"key":"k","value":"v","effect":"NoSchedule"}]}"#;
    let made = world.expect(201, &format!("POST {pools}"), body).await;
    let second = id(&made, "node_pool");
    world.expect(422, &format!("POST {pools}"), body).await;
    let line = format!("PUT {pools}/{second}");
    let body = r#"{"name":"big","count":3,"auto_scale":true,"min_nodes":2,"max_nodes":5}"#;
    let changed = world.expect(202, &line, body).await;
    assert_eq!(changed["node_pool"]["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(changed["node_pool"]["labels"], json!({"a": "b"}));
    world.expect(422, &line, r#"{"name":"big"}"#).await;
    let body = r#"{"name":"big","count":1,"auto_scale":false}"#;
    let changed = world.expect(202, &line, body).await;
    assert_eq!(changed["node_pool"]["max_nodes"], 0);
    world
        .expect(204, &format!("DELETE {pools}/{first}"), "")
        .await;
    world.expect(404, &format!("GET {pools}/{first}"), "").await;
    let listed = world.expect(200, &format!("GET {pools}"), "").await;
    assert_eq!(listed["meta"]["total"], 1);
}

#[tokio::test]
async fn the_way_into_a_cluster_takes_its_own_token_only() {
    let world = World::new(Profile::Instant);
    let cluster = cluster(&world).await;
    let path = format!("/v2/kubernetes/clusters/{cluster}");
    let line = format!("GET {path}/credentials?expiry_seconds=3600");
    let way = world.expect(200, &line, "").await;
    let server = format!("http://127.0.0.1:4000/clusters/{cluster}");
    assert_eq!(way["server"], server);
    assert_eq!(way["client_key_data"], Value::Null);
    let line = format!("GET {path}/kubeconfig?expiry_seconds=3600&type=token");
    let response = world.raw(&line, "", None).await;
    assert_eq!(response.headers()["content-type"], "application/yaml");
    let config = world.expect(200, &line, "").await;
    let config: Value = serde_saphyr::from_str(config.as_str().unwrap()).unwrap();
    assert_eq!(config["current-context"], "do-sfo3-bz");
    assert_eq!(config["clusters"][0]["cluster"]["server"], server);
    assert_eq!(config["users"][0]["user"]["token"], way["token"]);

    let line = format!("GET /clusters/{cluster}/api/v1/namespaces");
    let refused = world.raw(&line, "", Some("wrong")).await;
    assert_eq!(refused.status(), 401);
    let token = way["token"].as_str().unwrap();
    let let_in = world.raw(&line, "", Some(token)).await;
    assert_ne!(let_in.status(), 401);
    let nowhere = world.raw("GET /clusters/none/api", "", Some(token)).await;
    assert_eq!(nowhere.status(), 503);
}

#[tokio::test]
async fn what_a_cluster_made_outlives_it_unless_it_is_named() {
    let world = World::new(Profile::Instant);
    let vpc = vpc(&world).await;
    let body = CLUSTER.replace("VPC", &vpc);
    let made = world
        .expect(201, "POST /v2/kubernetes/clusters", &body)
        .await;
    let cluster = id(&made, "kubernetes_cluster");
    for n in ["lb-1", "lb-2"] {
        let doc = json!({"id": n, "name": n, "ip": "203.0.113.7", "region": "sfo3",
            "status": "active", "created_ms": 1_700_000_000_000u64, "vpc_uuid": vpc,
            "cluster_id": cluster});
        let write = |t: &mut zonewright_sandbox::world::Txn<'_>| {
            t.put("digitalocean/load_balancers", n, doc);
        };
        world.sandbox.world().write(write).unwrap();
    }
    let shown = world.expect(200, "GET /v2/load_balancers/lb-1", "").await;
    assert_eq!(shown["load_balancer"]["region"]["slug"], "sfo3");
    let path = format!("/v2/kubernetes/clusters/{cluster}/destroy_with_associated_resources");
    let listed = world.expect(200, &format!("GET {path}"), "").await;
    assert_eq!(listed["load_balancers"].as_array().unwrap().len(), 2);
    let line = format!("DELETE {path}/selective");
    world
        .expect(404, &line, r#"{"load_balancers":["lb-9"]}"#)
        .await;
    let body = r#"{"load_balancers":["lb-1"],"volumes":[],"volume_snapshots":[]}"#;
    world.expect(204, &line, body).await;
    world.expect(404, "GET /v2/load_balancers/lb-1", "").await;
    world
        .expect(404, &format!("GET /v2/kubernetes/clusters/{cluster}"), "")
        .await;
    let line = format!("DELETE /v2/vpcs/{vpc}");
    world.expect(409, &line, "").await; // the other balancer is still in it
    world
        .expect(204, "DELETE /v2/load_balancers/lb-2", "")
        .await;
    world.expect(204, &line, "").await;
}

#[tokio::test]
async fn a_new_object_may_lag_behind() {
    let world = World::new(Profile::Instant);
    world
        .expect(204, "POST /_sandbox/switches", r#"{"lag":2}"#)
        .await;
    let vpc = vpc(&world).await;
    let line = format!("GET /v2/vpcs/{vpc}");
    world.expect(404, &line, "").await;
    world.expect(404, &line, "").await;
    world.expect(200, &line, "").await;
}

#[tokio::test]
async fn tags_compare_without_case_and_find_objects() {
    let world = World::new(Profile::Instant);
    let made = world
        .expect(201, "POST /v2/tags", r#"{"name":"Prod"}"#)
        .await;
    assert_eq!(made["tag"]["name"], "Prod");
    world
        .expect(201, "POST /v2/tags", r#"{"name":"prod"}"#)
        .await;
    let listed = world.expect(200, "GET /v2/tags", "").await;
    assert_eq!(listed["meta"]["total"], 1);
    world
        .expect(422, "POST /v2/tags", r#"{"name":"a b"}"#)
        .await;
    let cluster = cluster(&world).await;
    let body =
        format!(r#"{{"resources":[{{"resource_id":"{cluster}","resource_type":"kubernetes"}}]}}"#);
    let line = "/v2/tags/PROD/resources";
    world.expect(204, &format!("POST {line}"), &body).await;
    let tag = world.expect(200, "GET /v2/tags/prod", "").await;
    assert_eq!(tag["tag"]["resources"]["count"], 1);
    world.expect(204, &format!("DELETE {line}"), &body).await;
    world.expect(204, "DELETE /v2/tags/prod", "").await;
    world.expect(404, "GET /v2/tags/prod", "").await;
}

#[tokio::test]
async fn a_service_of_a_cluster_gets_a_load_balancer_in_its_vpc() {
    let world = World::new(Profile::Instant);
    let cluster = cluster(&world).await;
    let token = world.sandbox.identity().cluster_token(&cluster);
    let line = format!("GET /clusters/{cluster}/api/v1/namespaces");
    let listed = world.raw(&line, "", Some(&token)).await;
    assert_eq!(listed.status(), 200);
    let body = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
        "spec":{"type":"LoadBalancer","ports":[{"port":80}],"selector":{"a":"b"}}}"#;
    let line = format!("POST /clusters/{cluster}/api/v1/namespaces/default/services");
    let made = world.raw(&line, body, Some(&token)).await;
    assert_eq!(made.status(), 201);
    let balancers = world.expect(200, "GET /v2/load_balancers", "").await;
    let balancer = &balancers["load_balancers"][0];
    assert_eq!(balancer["region"]["slug"], "sfo3");
    assert_eq!(balancer["status"], "active");
    let vpc = balancer["vpc_uuid"].as_str().unwrap();
    let line = format!("GET /v2/vpcs/{vpc}/members?resource_type=loadbalancer");
    let members = world.expect(200, &line, "").await;
    assert_eq!(members["meta"]["total"], 1);
}
