//! What runs in a cluster and reaches outside of it: Jobs, certificates, load balancers; and what of
//! it bills.

use base64::Engine;
use serde_json::{Value, json};
use zonewright_sandbox::charts;
use zonewright_sandbox::profile::Profile;

use crate::{Cluster, World, id};

const DATABASE: &str = r#"{"name":"wp-pz","engine":"mysql","version":"8","region":"nyc3",
    "size":"db-s-1vcpu-1gb","num_nodes":1}"#;

async fn in_app(world: &World) -> Cluster<'_> {
    let cluster = world.cluster("pz").await;
    cluster.namespace("app").await;
    cluster
}

fn job(name: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "app"},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "check", "image": "mysql:8.4",
                "envFrom": [{"secretRef": {"name": "wp-db"}}]}]}}}})
}

fn secret(host: &str, password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wp-db", "namespace": "app"},
        "stringData": {"WORDPRESS_DB_HOST": format!("{host}:25060"),
            "WORDPRESS_DB_USER": "doadmin", "WORDPRESS_DB_PASSWORD": password,
            "WORDPRESS_DB_NAME": "defaultdb"}})
}

/// The one pod of a Job.
async fn pod(cluster: &Cluster<'_>, job: &str) -> Value {
    let path = format!("/api/v1/namespaces/app/pods?labelSelector=job-name%3D{job}");
    let (_, list) = cluster.get(&path).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{list}");
    items[0].clone()
}

async fn log(cluster: &Cluster<'_>, pod: &Value) -> (u16, Value) {
    let name = pod["metadata"]["name"].as_str().unwrap();
    cluster
        .get(&format!("/api/v1/namespaces/app/pods/{name}/log"))
        .await
}

fn holds(object: &Value, kind: &str) -> Option<String> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions
        .iter()
        .find(|c| c["type"] == kind && c["status"] == "True")?;
    Some(found["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_job_ends_as_its_database_lets_it() {
    let world = World::new(Profile::Instant);
    let cluster = in_app(&world).await;
    let made = world.expect(201, "POST /v2/databases", DATABASE).await;
    let text = |name: &str| made["database"]["connection"][name].as_str().unwrap();
    let (host, password) = (text("host"), text("password"));
    let jobs = "/apis/batch/v1/namespaces/app/jobs";

    cluster.apply(&job("early")).await;
    let early = pod(&cluster, "early").await;
    let waiting = &early["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "CreateContainerConfigError");
    assert_eq!(waiting["message"], "secret \"wp-db\" not found");
    assert_eq!(log(&cluster, &early).await.0, 400);
    let (_, live) = cluster.get(&format!("{jobs}/early")).await;
    assert_eq!(live["status"]["active"], 1, "it waits");
    let mut short = job("short");
    short["spec"]["activeDeadlineSeconds"] = json!(30);
    cluster.apply(&short).await;
    let (_, live) = cluster.get(&format!("{jobs}/short")).await;
    assert_eq!(holds(&live, "Failed").as_deref(), Some("DeadlineExceeded"));

    cluster.apply(&secret(host, password)).await;
    let mut good = job("good");
    cluster.apply(&good).await;
    let (_, live) = cluster.get(&format!("{jobs}/good")).await;
    assert_eq!(
        holds(&live, "Complete").as_deref(),
        Some("CompletionsReached")
    );
    let done = pod(&cluster, "good").await;
    assert_eq!(done["status"]["phase"], "Succeeded");
    let ended = &done["status"]["containerStatuses"][0]["state"]["terminated"];
    assert!(
        ended["message"]
            .as_str()
            .unwrap()
            .starts_with("connected to ")
    );
    let (status, said) = log(&cluster, &done).await;
    let said = said.as_str().unwrap();
    assert_eq!(status, 200);
    assert!(said.ends_with("as doadmin, read_only=0\n"), "{said}");
    assert!(!said.contains(password));

    good["metadata"]["name"] = json!("told");
    good["metadata"]["annotations"] = json!({"sandbox.zonewright.dev/output": "RESULT ok"});
    cluster.apply(&good).await;
    let told = pod(&cluster, "told").await;
    assert_eq!(log(&cluster, &told).await.1, "RESULT ok\n");

    cluster.apply(&secret(host, "wrong")).await;
    cluster.apply(&job("bad")).await;
    let (_, live) = cluster.get(&format!("{jobs}/bad")).await;
    assert_eq!(
        holds(&live, "Failed").as_deref(),
        Some("BackoffLimitExceeded")
    );
    let failed = pod(&cluster, "bad").await;
    let (_, said) = log(&cluster, &failed).await;
    assert!(
        said.as_str().unwrap().starts_with("ERROR 1045 (28000)"),
        "{said}"
    );

    // Without a policy the pods of a Job stay behind.
    let background = r#"{"propagationPolicy":"Background"}"#;
    let gone = format!("DELETE {jobs}/bad");
    let (parts, _) = cluster.send(&gone, &[], background).await;
    assert!(parts.status.is_success());
    let none = "/api/v1/namespaces/app/pods?labelSelector=job-name%3Dbad";
    assert_eq!(cluster.get(none).await.1["items"], json!([]));
    assert_eq!(log(&cluster, &failed).await.0, 404);
    cluster.send(&format!("DELETE {jobs}/good"), &[], "").await;
    assert!(pod(&cluster, "good").await["metadata"]["ownerReferences"][0].is_null());
}

fn issuer() -> Value {
    json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer",
        "metadata": {"name": "staging"}, "spec": {"acme": {
            "server": "https://acme-staging.example/directory", "email": "a@b.example",
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"dns01": {"cloudflare": {
                "apiTokenSecretRef": {"name": "cf", "key": "api-token"}}}}]}}})
}

fn certificate(name: &str, dns: &str) -> Value {
    json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
        "metadata": {"name": name, "namespace": "platform"},
        "spec": {"secretName": format!("{name}-tls"), "dnsNames": [dns],
            "secretTemplate": {"labels": {"of": "a-probe"}},
            "issuerRef": {"name": "staging", "kind": "ClusterIssuer"}}})
}

async fn live(cluster: &Cluster<'_>, name: &str) -> Value {
    let path = "/apis/cert-manager.io/v1/namespaces/platform/certificates";
    cluster.get(&format!("{path}/{name}")).await.1
}

fn reason(certificate: &Value) -> String {
    let conditions = certificate["status"]["conditions"].as_array().unwrap();
    let issuing = conditions.iter().find(|c| c["type"] == "Issuing").unwrap();
    format!("{} {}", issuing["reason"], issuing["message"])
}

#[tokio::test]
async fn certificates_need_an_issuer_that_can_prove_the_name() {
    let world = World::new(Profile::Instant);
    let cluster = world.cluster("pz").await;
    cluster.namespace("platform").await;
    let chart = charts::stand_in("cert-manager", "cert-manager", "platform").unwrap();
    cluster.install(&chart).await;
    cluster.apply(&issuer()).await;
    let path = "/apis/cert-manager.io/v1/clusterissuers/staging";
    assert_eq!(
        holds(&cluster.get(path).await.1, "Ready"),
        None,
        "its token is missing"
    );
    let token = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cf", "namespace": "platform"},
            "stringData": {"api-token": value}})
    };
    cluster.apply(&token("another")).await;
    assert!(holds(&cluster.get(path).await.1, "Ready").is_some());
    cluster
        .apply(&certificate("dummy", "dummy.wp-bz.guajiro.xyz"))
        .await;
    let failed = live(&cluster, "dummy").await;
    assert_eq!(holds(&failed, "Ready"), None);
    assert!(reason(&failed).contains("Invalid access token"), "{failed}");

    let right = world.sandbox.identity().cloudflare_token();
    cluster.apply(&token(&right)).await;
    let issued = live(&cluster, "dummy").await;
    assert_eq!(holds(&issued, "Ready").as_deref(), Some("Ready"));
    assert!(issued["status"]["notAfter"].is_string());
    let secret = "/api/v1/namespaces/platform/secrets/dummy-tls";
    let (_, secret) = cluster.get(secret).await;
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(secret["metadata"]["labels"]["of"], "a-probe");
    let encoded = secret["data"]["tls.crt"].as_str().unwrap();
    let pem = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .unwrap();
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));

    cluster
        .apply(&certificate("foreign", "www.not-ours.test"))
        .await;
    let foreign = live(&cluster, "foreign").await;
    assert!(
        reason(&foreign).contains("Could not find zone"),
        "{foreign}"
    );
    for (switch, said) in [("fail", "\"Failed\""), ("stuck", "not yet propagated")] {
        let mut issuer = issuer();
        issuer["metadata"]["annotations"] = json!({"sandbox.zonewright.dev/issue": switch});
        cluster.apply(&issuer).await;
        cluster.apply(&certificate(switch, "x.guajiro.xyz")).await;
        let wrong = live(&cluster, switch).await;
        assert!(reason(&wrong).contains(said), "{wrong}");
    }
    cluster.apply(&issuer()).await;
    assert!(holds(&live(&cluster, "fail").await, "Ready").is_some());
}

/// What bills beside the object storage, which has its first bucket from the beginning.
async fn bill(world: &World) -> (f64, Vec<String>) {
    let bill = world.expect(200, "GET /_sandbox/cost", "").await;
    let kinds = bill["items"].as_array().unwrap().iter();
    let kinds = kinds.map(|i| i["kind"].as_str().unwrap().to_owned());
    let (storage, others): (Vec<String>, Vec<String>) = kinds.partition(|k| k == "spaces");
    assert_eq!(storage.len(), 1);
    let cents = (bill["monthly"].as_f64().unwrap() * 100.0).round() - 500.0;
    (cents / 100.0, others)
}

#[tokio::test]
async fn what_an_outsider_exposes_is_in_the_vendors_list_and_on_the_bill() {
    let world = World::new(Profile::Instant);
    assert_eq!(bill(&world).await, (0.0, Vec::new()));
    let cluster = in_app(&world).await;
    world.expect(201, "POST /v2/databases", DATABASE).await;
    let (before, _) = bill(&world).await;
    let list = "GET /v2/load_balancers";
    assert_eq!(
        world.expect(200, list, "").await["load_balancers"],
        json!([])
    );
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "stray", "namespace": "app"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    cluster.apply(&service).await;
    let there = world.expect(200, list, "").await;
    let there = there["load_balancers"].as_array().unwrap();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["status"], "active");
    let (after, kinds) = bill(&world).await;
    assert!((after - before - 12.0).abs() < 1e-9);
    assert_eq!(
        kinds,
        ["kubernetes_ha", "node", "database_cluster", "load_balancer"]
    );
    assert!(
        (after - (40.0 + 24.0 + 15.15 + 12.0)).abs() < 1e-9,
        "{after}"
    );
    let gone = "DELETE /api/v1/namespaces/app/services/stray";
    cluster.send(gone, &[], "").await;
    assert_eq!(
        world.expect(200, list, "").await["load_balancers"],
        json!([])
    );
    let line = format!("DELETE /v2/kubernetes/clusters/{}", cluster.id);
    world.expect(204, &line, "").await;
    let all = world.expect(200, "GET /v2/databases", "").await;
    let database = &all["databases"][0];
    let line = format!("DELETE /v2/databases/{}", id(&json!({"d": database}), "d"));
    world.expect(204, &line, "").await;
    assert_eq!(bill(&world).await, (0.0, Vec::new()));
}
