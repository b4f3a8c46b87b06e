//! Readiness, definitions, deletion, garbage collection, webhooks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::profile::Profile;

use super::super::controllers::holds;
use super::*;

/// Asks until `good` is satisfied.
async fn until(c: &Cluster, uri: &str, good: impl Fn(u16, &Value) -> bool) -> Value {
    for _ in 0..300 {
        let (code, body) = c.get(uri).await;
        if good(code, &body) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{uri} did not get there: {}", c.get(uri).await.1);
}

#[tokio::test]
async fn a_deployment_passes_through_progress_to_readiness() {
    let uri = format!("{DEPLOYMENTS}/web");
    // Half a minute of progress is long enough to be seen on a busy machine.
    let slow = Cluster::new(Profile::Realistic);
    let (_, made) = slow.apply(&uri, &deployment("web")).await;
    assert_eq!(made.get("status"), None, "{made}");
    let (_, first) = slow.get(&uri).await;
    assert_eq!(first["status"]["unavailableReplicas"], 1, "{first}");
    let c = Cluster::new(Profile::Fast);
    c.apply(&uri, &deployment("web")).await;
    let ready = until(&c, &uri, |_, d| d["status"]["readyReplicas"] == 1).await;
    assert!(holds(&ready, "Available") && holds(&ready, "Progressing"));
    let (_, pods) = c
        .get("/api/v1/namespaces/default/pods?labelSelector=app=web")
        .await;
    assert_eq!(pods["items"].as_array().unwrap().len(), 1);
    assert!(holds(&pods["items"][0], "Ready"));
    c.call("DELETE", &uri, None).await;
    let (_, pods) = c.get("/api/v1/namespaces/default/pods").await;
    assert_eq!(pods["items"], json!([]));
    let (_, sets) = c.get("/apis/apps/v1/replicasets").await;
    assert_eq!(sets["items"], json!([]));
}

#[tokio::test]
async fn knobs_decide_how_pods_fail() {
    let c = Cluster::new(Profile::Instant);
    for (knob, reason) in [
        ("crashloop", "CrashLoopBackOff"),
        ("imagepull", "ImagePullBackOff"),
    ] {
        let mut body = deployment(knob);
        body["metadata"]["annotations"] = json!({"sandbox.zonewright.dev/ready": knob});
        let uri = format!("{DEPLOYMENTS}/{knob}");
        c.apply(&uri, &body).await;
        let (_, live) = c.get(&uri).await;
        assert!(!holds(&live, "Available"));
        let progressing = live["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|x| x["type"] == "Progressing")
            .unwrap();
        assert_eq!(progressing["reason"], "ProgressDeadlineExceeded");
        let (_, pods) = c
            .get(&format!(
                "/api/v1/namespaces/default/pods?labelSelector=app={knob}"
            ))
            .await;
        let state = &pods["items"][0]["status"]["containerStatuses"][0]["state"];
        assert_eq!(state["waiting"]["reason"], reason);
    }
}

#[tokio::test]
async fn stateful_sets_daemon_sets_jobs_and_claims() {
    let c = Cluster::new(Profile::Instant);
    let template = deployment("x")["spec"]["template"].clone();
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "x"}}, "template": template,
                 "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                     "resources": {"requests": {"storage": "1Gi"}}}}]}});
    c.apply("/apis/apps/v1/namespaces/default/statefulsets/db", &set)
        .await;
    let (_, live) = c
        .get("/apis/apps/v1/namespaces/default/statefulsets/db")
        .await;
    assert_eq!(live["status"]["readyReplicas"], 2);
    assert_eq!(
        live["status"]["currentRevision"],
        live["status"]["updateRevision"]
    );
    let (_, claim) = c
        .get("/api/v1/namespaces/default/persistentvolumeclaims/data-db-1")
        .await;
    assert_eq!(claim["status"]["phase"], "Bound");
    let daemon = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}});
    c.apply("/apis/apps/v1/namespaces/default/daemonsets/d", &daemon)
        .await;
    let (_, live) = c.get("/apis/apps/v1/namespaces/default/daemonsets/d").await;
    assert_eq!(
        live["status"]["numberReady"],
        live["status"]["desiredNumberScheduled"]
    );
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}});
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let uri = "/apis/batch/v1/namespaces/default/jobs/j";
    c.apply(uri, &job).await;
    let (_, live) = c.get(uri).await;
    assert!(holds(&live, "Complete"), "{live}");
    let (code, _) = c.apply(uri, &job).await;
    assert_eq!(code, 200);
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other:1");
    let (code, body) = c.apply(uri, &job).await;
    assert_eq!(
        (code, &body["details"]["causes"][0]["field"]),
        (422, &json!("spec.template"))
    );
}

fn widgets() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.acme.example"},
        "spec": {"group": "acme.example", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer"}, "colour": {"type": "string", "default": "red"},
                        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}})
}

const WIDGETS: &str = "/apis/acme.example/v1/namespaces/default/widgets";
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.acme.example";

#[tokio::test]
async fn a_definition_is_served_after_a_while_and_takes_its_objects_along() {
    let c = Cluster::new(Profile::Fast);
    let widget = json!({"apiVersion": "acme.example/v1", "kind": "Widget", "metadata": {"name": "w"},
                        "spec": {"size": 1, "open": {"any": {"thing": 1}}}});
    let uri = format!("{WIDGETS}/w");
    let (code, text) = c.apply(&uri, &widget).await;
    assert_eq!((code, text), (404, json!("404 page not found\n")));
    let (_, made) = c.apply(DEFINITION, &widgets()).await;
    assert_eq!(made["status"]["conditions"], Value::Null);
    let ready = until(&c, DEFINITION, |_, d| holds(d, "Established")).await;
    assert_eq!(ready["status"]["acceptedNames"]["singular"], "widget");
    until(&c, "/apis/acme.example/v1", |code, _| code == 200).await;
    let (code, live) = c.apply(&uri, &widget).await;
    assert_eq!(code, 201, "{live}");
    assert_eq!(
        (&live["spec"]["colour"], &live["spec"]["open"]),
        (&json!("red"), &json!({"any": {"thing": 1}}))
    );
    let mut wrong = widget.clone();
    wrong["spec"]["sice"] = json!(2);
    let (code, body) = c.apply(&uri, &wrong).await;
    assert_eq!(code, 500);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .ends_with(".spec.sice: field not declared in schema")
    );
    let status = json!({"status": {"phase": "Fine"}});
    let (_, live) = c
        .call("PATCH", &format!("{uri}/status"), Some(&status))
        .await;
    assert_eq!(
        (&live["status"]["phase"], &live["metadata"]["generation"]),
        (&json!("Fine"), &json!(1))
    );
    let (_, again) = c.apply(&uri, &widget).await;
    assert_eq!(again, live);
    c.call("DELETE", DEFINITION, None).await;
    until(&c, DEFINITION, |code, _| code == 404).await;
    assert_eq!(c.get(&uri).await.1, json!("404 page not found\n"));
    c.apply(DEFINITION, &widgets()).await;
    let list = until(&c, WIDGETS, |code, _| code == 200).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn a_namespace_goes_with_its_contents_but_waits_for_finalizers() {
    let c = Cluster::new(Profile::Fast);
    let space = "/api/v1/namespaces/gone";
    c.apply(
        space,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}}),
    )
    .await;
    let maps = format!("{space}/configmaps");
    let mut held = config_map("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["acme.example/hold"]);
    c.apply(&format!("{maps}/held"), &held).await;
    c.apply(&format!("{maps}/free"), &config_map("free", &json!({})))
        .await;
    let (_, body) = c.call("DELETE", space, None).await;
    assert_eq!(body["status"]["phase"], "Terminating");
    let (code, body) = c
        .apply(&format!("{maps}/new"), &config_map("new", &json!({})))
        .await;
    assert_eq!(
        (code, &body["details"]["causes"][0]["reason"]),
        (403, &json!("NamespaceTerminating"))
    );
    let stuck = until(&c, space, |_, n| holds(n, "NamespaceFinalizersRemaining")).await;
    assert!(stuck.to_string().contains("acme.example/hold"));
    assert_eq!(c.get(&format!("{maps}/free")).await.0, 404);
    c.call(
        "PATCH",
        &format!("{maps}/held"),
        Some(&json!({"metadata": {"finalizers": null}})),
    )
    .await;
    until(&c, space, |code, _| code == 404).await;
}

#[tokio::test]
async fn load_balancers_come_and_go_with_their_service() {
    let c = Cluster::new(Profile::Fast);
    c.world
        .write(|txn| {
            txn.put(
                "digitalocean/kubernetes_clusters",
                ID,
                json!({"id": ID, "region": "fra1", "vpc_uuid": "v1"}),
            );
        })
        .unwrap();
    let uri = "/api/v1/namespaces/default/services/lb";
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lb"},
                      "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    c.apply(uri, &body).await;
    let (_, pending) = c.get(uri).await;
    assert_eq!(pending["status"]["loadBalancer"], json!({}));
    let balancers = || {
        c.world.read(|t| {
            t.list("digitalocean/load_balancers")
                .map(|(_, b)| b.clone())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        (&balancers()[0]["status"], &balancers()[0]["region"]),
        (&json!("new"), &json!("fra1"))
    );
    let live = until(&c, uri, |_, s| {
        s["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
    })
    .await;
    assert_eq!(
        balancers()[0]["ip"],
        live["status"]["loadBalancer"]["ingress"][0]["ip"]
    );
    assert_eq!(balancers()[0]["status"], "active");
    let (_, again) = c.apply(uri, &body).await;
    assert_eq!(again, live);
    c.call("DELETE", uri, None).await;
    until(&c, uri, |code, _| code == 404).await;
    assert!(balancers().is_empty());
}

#[tokio::test]
async fn a_webhook_without_a_backend_fails_the_request() {
    let c = Cluster::new(Profile::Instant);
    c.apply(DEFINITION, &widgets()).await;
    c.get("/readyz").await;
    let hooks = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "h"}, "webhooks": [{"name": "h.acme.example", "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "clientConfig": {"service": {"name": "nope", "namespace": "default"}},
            "rules": [{"apiGroups": ["acme.example"], "apiVersions": ["*"], "operations": ["*", "CREATE"], "resources": ["*/*"]}]}]});
    c.apply(
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/h",
        &hooks,
    )
    .await;
    let widget = json!({"apiVersion": "acme.example/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}});
    let (code, body) = c
        .apply_as(
            "zonewright",
            &format!("{WIDGETS}/w"),
            "&dryRun=All",
            &widget,
        )
        .await;
    assert_eq!((code, &body["reason"]), (500, &json!("InternalError")));
    let text = body["message"].as_str().unwrap();
    assert!(
        text.starts_with("Internal error occurred: failed calling webhook \"h.acme.example\""),
        "{text}"
    );
    assert!(text.contains("service \"nope\" not found"), "{text}");
}

#[tokio::test]
async fn issuers_need_their_secret() {
    let c = Cluster::new(Profile::Instant);
    let text = crate::charts::stand_in("cert-manager", "cert-manager", "default").unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let path = |o: &Value, root: &str, plural: &str| {
        format!(
            "{root}/{plural}/{}",
            o["metadata"]["name"].as_str().unwrap()
        )
    };
    for o in &objects {
        let uri = match o["kind"].as_str().unwrap() {
            "CustomResourceDefinition" => path(
                o,
                "/apis/apiextensions.k8s.io/v1",
                "customresourcedefinitions",
            ),
            "Deployment" => path(o, "/apis/apps/v1/namespaces/default", "deployments"),
            _ => continue,
        };
        assert_eq!(c.apply(&uri, o).await.0, 201);
    }
    c.get("/readyz").await;
    let issuer = json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "le"},
        "spec": {"acme": {"solvers": [{"dns01": {"cloudflare": {"apiTokenSecretRef": {"name": "cf", "key": "t"}}}}]}}});
    let uri = "/apis/cert-manager.io/v1/clusterissuers/le";
    assert_eq!(c.apply(uri, &issuer).await.0, 201);
    let (_, live) = c.get(uri).await;
    assert_eq!(live["status"]["conditions"][0]["status"], "False", "{live}");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cf"}, "data": {"t": "eA=="}});
    c.apply("/api/v1/namespaces/default/secrets/cf", &secret)
        .await;
    assert!(holds(&c.get(uri).await.1, "Ready"));
    let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "tls"},
        "spec": {"secretName": "tls", "dnsNames": ["a.example"], "issuerRef": {"name": "le", "kind": "ClusterIssuer"}}});
    let uri = "/apis/cert-manager.io/v1/namespaces/default/certificates/tls";
    c.apply(uri, &certificate).await;
    assert!(holds(&c.get(uri).await.1, "Ready"));
    assert_eq!(c.get("/api/v1/namespaces/default/secrets/tls").await.0, 200);
}

#[tokio::test]
async fn a_reopened_world_has_moved_on() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::open(dir.path(), Profile::Fast).unwrap());
    world
        .write(|txn| super::super::create_cluster(&world, txn, ID))
        .unwrap();
    let c = Cluster { world, _dir: dir };
    let uri = format!("{DEPLOYMENTS}/web");
    c.apply(&uri, &deployment("web")).await;
    c.get(&uri).await;
    let Cluster { world, _dir: dir } = c;
    drop(world);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let world = Arc::new(World::open(dir.path(), Profile::Fast).unwrap());
    let c = Cluster { world, _dir: dir };
    let (_, live) = c.get(&uri).await;
    assert_eq!(live["status"]["readyReplicas"], 1, "{live}");
    c.world
        .write(|txn| super::super::delete_cluster(txn, ID))
        .unwrap();
    assert_eq!(
        c.world
            .read(|t| t.names(&format!("kubernetes/{ID}/")).count()),
        0
    );
}

#[tokio::test]
async fn a_watch_sees_what_controllers_do() {
    use http_body_util::BodyExt as _;
    let c = Cluster::new(Profile::Fast);
    c.apply(&format!("{DEPLOYMENTS}/web"), &deployment("web"))
        .await;
    let uri = format!("{DEPLOYMENTS}?watch=true&timeoutSeconds=30");
    let mut body = c
        .response("GET", &uri, "", "", Vec::new())
        .await
        .into_body();
    let mut text = String::new();
    while !text.contains("\"readyReplicas\":1") {
        let frame = body.frame().await.expect("the watch ended early").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    assert!(text.starts_with("{\"object\":") && text.contains("\"type\":\"ADDED\""));
}
