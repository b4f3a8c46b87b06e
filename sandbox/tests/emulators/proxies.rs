//! The service proxy of a cluster, and what answers behind it.

use std::path::Path;

use serde_json::{Value, json};
use zonewright_sandbox::charts;
use zonewright_sandbox::profile::Profile;

use crate::{Cluster, World, id};

const PROMETHEUS: &str =
    "/api/v1/namespaces/platform/services/monitoring-kube-prometheus-prometheus:9090/proxy";

fn health(answer: &Value) -> Vec<(String, String)> {
    assert_eq!(answer["status"], "success", "{answer}");
    let targets = answer["data"]["activeTargets"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let mut shown: Vec<_> = targets
        .iter()
        .map(|t| (text(&t["scrapePool"]), text(&t["health"])))
        .collect();
    shown.sort();
    shown
}

async fn annotate(cluster: &Cluster<'_>, path: &str, value: &Value) {
    let patch = json!({"metadata": {"annotations": {"sandbox.zonewright.dev/scrape": value}}});
    let merge = [("content-type", "application/merge-patch+json")];
    let line = format!("PATCH {path}");
    let (parts, text) = cluster.send(&line, &merge, &patch.to_string()).await;
    assert!(parts.status.is_success(), "{text}");
}

#[tokio::test]
async fn targets_follow_from_monitors_services_and_pods() {
    let world = World::new(Profile::Instant);
    let cluster = world.cluster("pz").await;
    cluster.namespace("platform").await;
    let chart = charts::stand_in("kube-prometheus-stack", "monitoring", "platform").unwrap();
    cluster.install(&chart).await;
    let (status, text) = cluster.get(&format!("{PROMETHEUS}/-/healthy")).await;
    assert_eq!(
        (status, text),
        (200, json!("Prometheus Server is Healthy.\n"))
    );
    let targets = format!("{PROMETHEUS}/api/v1/targets?state=active");
    let (_, answer) = cluster.get(&targets).await;
    let all = health(&answer);
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|(_, h)| h == "up"), "{all:?}");
    assert_eq!(
        all[0].0,
        "serviceMonitor/platform/monitoring-kube-prometheus-operator/0"
    );

    let monitor = "/apis/monitoring.coreos.com/v1/namespaces/platform/servicemonitors/monitoring-kube-state-metrics";
    annotate(&cluster, monitor, &json!("down")).await;
    let (_, answer) = cluster.get(&targets).await;
    let down: Vec<_> = health(&answer)
        .into_iter()
        .filter(|(_, h)| h == "down")
        .collect();
    assert_eq!(down.len(), 1);
    assert!(down[0].0.contains("kube-state-metrics"));
    let query = |q: &str| format!("{PROMETHEUS}/api/v1/query?query={q}");
    let (_, down) = cluster.get(&query("up%20%3D%3D%200")).await;
    assert_eq!(
        down["data"]["result"][0]["metric"]["job"],
        "monitoring-kube-state-metrics"
    );
    assert_eq!(down["data"]["result"][0]["value"][1], "0");
    let (_, sum) = cluster.get(&query("sum(up)")).await;
    assert_eq!(sum["data"]["result"][0]["value"][1], "3");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let line = format!("POST {PROMETHEUS}/api/v1/query");
    let (_, posted) = cluster.send(&line, &form, "query=count%28up%29").await;
    assert!(posted.contains(r#""4"]"#), "{posted}");
    let (status, refused) = cluster.get(&query("rate(x[5m])")).await;
    assert_eq!((status, &refused["status"]), (422, &json!("error")));
    annotate(&cluster, monitor, &Value::Null).await;

    // An unready program is down, not gone.
    let operator = "/apis/apps/v1/namespaces/platform/deployments/monitoring-kube-state-metrics";
    let never = json!({"metadata": {"annotations": {"sandbox.zonewright.dev/ready": "never"}}});
    let merge = [("content-type", "application/merge-patch+json")];
    cluster
        .send(&format!("PATCH {operator}"), &merge, &never.to_string())
        .await;
    let (_, answer) = cluster.get(&targets).await;
    assert_eq!(
        health(&answer).iter().filter(|(_, h)| h == "down").count(),
        1
    );
}

#[tokio::test]
async fn the_real_rendering_has_targets_too() {
    let name = "shared/manifests/kube-prometheus-stack.yaml";
    let near = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = ["../..", "../../.."].map(|up| near.join(up).join(name));
    let Some(path) = paths.iter().find(|p| p.is_file()) else {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "no rendered charts beside the checkout");
        println!("skipped: no rendered charts beside the checkout");
        return;
    };
    let world = World::new(Profile::Instant);
    let cluster = world.cluster("pz").await;
    cluster.namespace("platform").await;
    cluster
        .install(&std::fs::read_to_string(path).unwrap())
        .await;
    let (_, answer) = cluster.get(&format!("{PROMETHEUS}/api/v1/targets")).await;
    let all = health(&answer);
    assert!(all.len() >= 6, "{all:?}");
    assert!(all.iter().all(|(_, h)| h == "up"), "{all:?}");
}

#[tokio::test]
async fn a_service_without_endpoints_is_refused_in_the_servers_words() {
    let world = World::new(Profile::Instant);
    let cluster = world.cluster("pz").await;
    cluster.namespace("app").await;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "wp", "namespace": "app"},
        "spec": {"selector": {"app": "wp"}, "ports": [{"name": "http", "port": 80}]}});
    cluster.apply(&service).await;
    let base = "/api/v1/namespaces/app/services";
    for (name, said) in [
        ("wp:80", "no endpoints available for service \"wp\""),
        ("http:wp:http", "no endpoints available for service \"wp\""),
        ("wp:81", "no service port 81 found for service \"wp\""),
    ] {
        let (status, answer) = cluster.get(&format!("{base}/{name}/proxy/")).await;
        assert_eq!(status, 503, "{answer}");
        assert_eq!(answer["kind"], "Status");
        assert_eq!(answer["reason"], "ServiceUnavailable");
        assert_eq!(answer["message"], said);
    }
    assert_eq!(cluster.get(&format!("{base}/other:80/proxy/")).await.0, 404);
    assert_eq!(cluster.get(&format!("{base}/a:b:c:d/proxy/")).await.0, 400);
}

fn wordpress() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "wp", "namespace": "app"},
        "spec": {"selector": {"matchLabels": {"app": "wp"}}, "template": {
            "metadata": {"labels": {"app": "wp"}},
            "spec": {"containers": [{"name": "wordpress", "image": "wordpress:6.9-php8.3-apache",
                "envFrom": [{"secretRef": {"name": "wp-db"}}]}]}}}})
}

fn secret(host: &str, user: &str, password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "wp-db", "namespace": "app"},
        "stringData": {"WORDPRESS_DB_HOST": format!("{host}:25060"), "WORDPRESS_DB_USER": user,
            "WORDPRESS_DB_PASSWORD": password, "WORDPRESS_DB_NAME": "defaultdb"}})
}

#[tokio::test]
async fn wordpress_is_as_well_as_its_database() {
    let world = World::new(Profile::Instant);
    let cluster = world.cluster("pz").await;
    let body = r#"{"name":"wp-pz","engine":"mysql","version":"8","region":"nyc3",
        "size":"db-s-1vcpu-2gb","num_nodes":1}"#;
    let made = world.expect(201, "POST /v2/databases", body).await;
    let connection = &made["database"]["connection"];
    let text = |name: &str| connection[name].as_str().unwrap();
    let (host, password) = (text("host"), text("password"));
    cluster.namespace("app").await;
    cluster.apply(&secret(host, "doadmin", password)).await;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "wp", "namespace": "app"},
        "spec": {"selector": {"app": "wp"}, "ports": [{"name": "http", "port": 80}]}});
    cluster.apply(&service).await;
    cluster.apply(&wordpress()).await;
    let at = |path: &str| format!("GET /api/v1/namespaces/app/services/wp:80/proxy{path}");
    let code = async |path: &str| cluster.send(&at(path), &[], "").await.0.status.as_u16();
    for path in ["/", "/wp-login.php", "/readyz", "/wp-json/"] {
        assert_eq!(code(path).await, 200, "{path}");
    }
    assert_eq!(code("/nothing").await, 404);
    assert_eq!(code("/wp-admin/").await, 302);
    let line = at("/wp-login.php").replace("GET", "POST");
    let (parts, _) = cluster.send(&line, &[], "log=a&pwd=b").await;
    assert_eq!(parts.status, 302);
    let cookie = parts.headers["set-cookie"].to_str().unwrap().to_owned();
    let admin = cluster
        .send(&at("/wp-admin/"), &[("cookie", &cookie)], "")
        .await;
    assert_eq!(admin.0.status, 200);

    cluster.apply(&secret(host, "doadmin", "another")).await;
    assert_eq!(code("/").await, 500);
    cluster
        .apply(&secret("elsewhere.example", "doadmin", password))
        .await;
    assert_eq!(code("/").await, 500);
    cluster.apply(&secret(host, "doadmin", password)).await;
    assert_eq!(code("/").await, 200);

    // Trusted sources keep a cluster out that they do not name.
    let firewall = format!("PUT /v2/databases/{}/firewall", id(&made, "database"));
    let rules = r#"{"rules":[{"type":"ip_addr","value":"192.0.2.1"}]}"#;
    world.expect(204, &firewall, rules).await;
    assert_eq!(code("/").await, 500);
    let own = json!({"rules": [{"type": "k8s", "value": cluster.id}]}).to_string();
    world.expect(204, &firewall, &own).await;
    assert_eq!(code("/").await, 200);
}
