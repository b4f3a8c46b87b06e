//! Whole charts and large numbers.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::profile::Profile;

use super::*;

fn documents(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { budget: None };
    let all: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).unwrap();
    all.into_iter().filter(|d| d.is_object()).collect()
}

/// Namespaces and definitions first, what webhooks guard last.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str().unwrap() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        _ => 2,
    }
}

async fn uri(c: &Cluster, object: &Value, namespace: &str) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let root = if version.contains('/') {
        format!("/apis/{version}")
    } else {
        format!("/api/{version}")
    };
    let (code, resources) = c.get(&root).await;
    assert_eq!(code, 200, "{root}: {resources}");
    let found = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["kind"] == kind.as_str());
    let found = found.unwrap_or_else(|| panic!("{kind} is not served"));
    let (plural, name) = (text(&found["name"]), text(&object["metadata"]["name"]));
    if found["namespaced"] == true {
        let own = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(namespace);
        return format!("{root}/namespaces/{own}/{plural}/{name}");
    }
    format!("{root}/{plural}/{name}")
}

/// Applies everything, waiting where a client has to wait; gives the resource versions.
async fn apply_all(c: &Cluster, objects: &[Value]) -> Vec<String> {
    let mut versions = Vec::new();
    for object in objects {
        let uri = uri(c, object, "platform").await;
        let text = object.to_string().into_bytes();
        let (code, bytes) = c
            .raw(
                "PATCH",
                &format!("{uri}?fieldManager=zonewright&fieldValidation=Strict"),
                APPLY,
                text,
            )
            .await;
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(code < 300, "{uri}: {}", answer["message"]);
        versions.push(answer["metadata"]["resourceVersion"].to_string());
    }
    versions
}

async fn install(c: &Cluster, mut objects: Vec<Value>) {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "platform"}});
    objects.insert(0, namespace);
    objects.sort_by_key(rank);
    apply_all(c, &objects).await;
    c.get("/readyz").await;
    let before = apply_all(c, &objects).await;
    let after = apply_all(c, &objects).await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn real_charts_apply_twice_without_a_change() {
    let near = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dirs = ["../../shared/manifests", "../../../shared/manifests"].map(|d| near.join(d));
    let Some(dir) = dirs.iter().find(|d| d.is_dir()) else {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "no rendered charts beside the checkout");
        println!("skipped: no rendered charts beside the checkout");
        return;
    };
    let c = Cluster::new(Profile::Instant);
    for name in ["cert-manager", "traefik", "kube-prometheus-stack"] {
        let started = Instant::now();
        let objects =
            documents(&std::fs::read_to_string(dir.join(format!("{name}.yaml"))).unwrap());
        let parsed = started.elapsed();
        install(&c, objects).await;
        println!(
            "{name}: parsed in {parsed:?}, applied three times in {:?}",
            started.elapsed() - parsed
        );
    }
    let (_, prometheus) =
        c.get("/apis/monitoring.coreos.com/v1/namespaces/platform/prometheuses/monitoring-kube-prometheus-prometheus").await;
    assert!(
        super::super::controllers::holds(&prometheus, "Available"),
        "{}",
        prometheus["status"]
    );
}

#[tokio::test]
async fn stand_ins_install_and_become_ready() {
    let c = Cluster::new(Profile::Instant);
    for (chart, release) in [
        ("cert-manager", "cert_manager"),
        ("kube-prometheus-stack", "monitoring"),
        ("traefik", "traefik"),
    ] {
        install(
            &c,
            documents(&crate::charts::stand_in(chart, release, "platform").unwrap()),
        )
        .await;
    }
    let (_, list) = c.get("/apis/apps/v1/deployments").await;
    let deployments = list["items"].as_array().unwrap();
    assert_eq!(deployments.len(), 7);
    for deployment in deployments {
        assert!(
            super::super::controllers::holds(deployment, "Available"),
            "{deployment}"
        );
    }
    let hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cert-manager-webhook";
    let (_, hook) = c.get(hooks).await;
    assert!(hook["webhooks"][0]["clientConfig"]["caBundle"].is_string());
    let (_, service) = c.get("/api/v1/namespaces/platform/services/traefik").await;
    let address = service["status"]["loadBalancer"]["ingress"][0]["ip"]
        .as_str()
        .unwrap();
    assert!(address.starts_with("203.0.113."));
    let proxied = "/api/v1/namespaces/platform/services/monitoring-kube-prometheus-prometheus:9090/proxy/-/ready";
    assert_eq!(c.get(proxied).await.0, 200);
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"ingressClassName": "traefik", "defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}});
    let at = "/apis/networking.k8s.io/v1/namespaces/platform/ingresses/i";
    assert_eq!(c.apply(at, &ingress).await.0, 201);
    let (_, live) = c.get(at).await;
    assert_eq!(live["status"]["loadBalancer"]["ingress"][0]["ip"], address);
}

#[tokio::test]
async fn custom_resources_wait_for_the_webhook_of_their_chart() {
    let c = Cluster::new(Profile::Instant);
    let text = crate::charts::stand_in("cert-manager", "cert-manager", "default").unwrap();
    let mut objects = documents(&text);
    objects.sort_by_key(rank);
    let webhook = objects
        .iter()
        .position(|o| o["kind"] == "Deployment" && o["metadata"]["name"] == "cert-manager-webhook")
        .unwrap();
    objects[webhook]["metadata"]["annotations"] = json!({"sandbox.zonewright.dev/ready": "never"});
    apply_all(&c, &objects).await;
    let issuer = json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer",
                        "metadata": {"name": "self"}, "spec": {"selfSigned": {}}});
    let at = "/apis/cert-manager.io/v1/clusterissuers/self";
    let (code, body) = c.apply_as("zonewright", at, "&dryRun=All", &issuer).await;
    assert_eq!(code, 500, "{body}");
    let text = body["message"].as_str().unwrap();
    assert!(
        text.contains("failed calling webhook \"webhook.cert-manager.io\""),
        "{text}"
    );
    assert!(
        text.contains("no endpoints available for service \"cert-manager-webhook\""),
        "{text}"
    );
    objects[webhook]["metadata"]["annotations"] = json!({});
    apply_all(&c, &objects).await;
    assert_eq!(
        c.apply_as("zonewright", at, "&dryRun=All", &issuer).await.0,
        201
    );
    assert_eq!(c.apply(at, &issuer).await.0, 201);
    assert!(super::super::controllers::holds(
        &c.get(at).await.1,
        "Ready"
    ));
}

#[tokio::test]
async fn ten_thousand_objects_cost_ten_times_a_thousand() {
    let c = Cluster::new(Profile::Instant);
    let mut took = Vec::new();
    for round in 0..10 {
        let started = Instant::now();
        for n in 0..1000 {
            let name = format!("m{round}-{n:04}");
            let (code, _) = c
                .apply(
                    &format!("{MAPS}/{name}"),
                    &config_map(&name, &json!({"n": "1"})),
                )
                .await;
            assert_eq!(code, 201);
        }
        took.push(started.elapsed());
    }
    let started = Instant::now();
    let (code, text) = c.raw("GET", MAPS, "", Vec::new()).await;
    let listed = started.elapsed();
    assert_eq!(code, 200);
    let list: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 10_001);
    println!(
        "first thousand {:?}, last thousand {:?}, list {listed:?}",
        took[0], took[9]
    );
    let slack = Duration::from_millis(500);
    assert!(took[9] < took[0] * 4 + slack, "{took:?}");
}
