//! What nodes and operators would do, done in words: pods run, load balancers get addresses, custom
//! resources become ready. Nothing runs for real.
//!
//! As in the sandbox, the annotation `sandbox.zonewright.dev/ready` on a pod says otherwise: `never` leaves it
//! alone, `badimage` has it wait for an image that there cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// A stand-in at work in one cluster; it ends with the value.
pub struct Kubelet {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Kubelet {
    /// Starts in the cluster of a kubeconfig.
    pub fn start(kubeconfig: String) -> Kubelet {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let client = client(&kubeconfig).await.expect("a client");
                while !ended.load(Ordering::Relaxed) {
                    round(&client).await;
                    inject(&client).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        });
        Kubelet {
            stop,
            thread: Some(thread),
        }
    }
}

/// A client for a kubeconfig.
///
/// # Errors
/// The text is no kubeconfig.
pub async fn client(kubeconfig: &str) -> Result<Client, String> {
    zonewright_providers::install_crypto();
    let parsed = Kubeconfig::from_yaml(kubeconfig).map_err(|e| e.to_string())?;
    let config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(|e| e.to_string())?;
    Client::try_from(config).map_err(|e| e.to_string())
}

/// Whether the server says that it is ready.
pub async fn answers(kubeconfig: &str) -> bool {
    let Ok(client) = client(kubeconfig).await else {
        return false;
    };
    let request = Request::get("/readyz").body(Vec::new()).expect("a request");
    client
        .request_text(request)
        .await
        .is_ok_and(|text| text == "ok")
}

/// The status that an object shall get; `None` leaves it as it is.
type Tend = fn(&Value) -> Option<Value>;

/// What is looked at: where it is listed, and what becomes of its status.
const TENDED: &[(&str, Tend)] = &[
    ("/api/v1/pods", pod),
    ("/api/v1/services", service),
    ("/apis/cert-manager.io/v1/clusterissuers", ready_condition),
    ("/apis/cert-manager.io/v1/issuers", ready_condition),
    ("/apis/cert-manager.io/v1/certificates", ready_condition),
    ("/apis/monitoring.coreos.com/v1/prometheuses", available),
    ("/apis/monitoring.coreos.com/v1/alertmanagers", available),
];

async fn round(client: &Client) {
    for (path, tend) in TENDED {
        // A kind that is not served yet is no mistake.
        let Some(list) = get(client, path).await else {
            continue;
        };
        for item in list["items"].as_array().into_iter().flatten() {
            if let Some(status) = tend(item) {
                let plural = path.rsplit('/').next().expect("a path has a last part");
                let root = path.trim_end_matches(plural);
                let metadata = &item["metadata"];
                let name = metadata["name"].as_str().unwrap_or_default();
                let place = match metadata["namespace"].as_str() {
                    Some(namespace) => format!("{root}namespaces/{namespace}/{plural}/{name}"),
                    None => format!("{root}{plural}/{name}"),
                };
                patch(
                    client,
                    &format!("{place}/status"),
                    &json!({ "status": status }),
                )
                .await;
            }
        }
    }
}

/// What cert-manager's injector does: webhooks that it is asked to complete get a certificate authority.
async fn inject(client: &Client) {
    let root = "/apis/admissionregistration.k8s.io/v1";
    for plural in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        let Some(list) = get(client, &format!("{root}/{plural}")).await else {
            continue;
        };
        for item in list["items"].as_array().into_iter().flatten() {
            let asked = item["metadata"]["annotations"]
                .as_object()
                .is_some_and(|a| a.keys().any(|k| k.starts_with("cert-manager.io/inject")));
            let mut webhooks = item["webhooks"].clone();
            let bare = |w: &Value| w["clientConfig"]["caBundle"].is_null();
            if !asked || !webhooks.as_array().is_some_and(|w| w.iter().any(bare)) {
                continue;
            }
            for webhook in webhooks.as_array_mut().into_iter().flatten() {
                webhook["clientConfig"]["caBundle"] =
                    STANDARD.encode("-----BEGIN CERTIFICATE-----").into();
            }
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let path = format!("{root}/{plural}/{name}");
            patch(client, &path, &json!({ "webhooks": webhooks })).await;
        }
    }
}

async fn get(client: &Client, path: &str) -> Option<Value> {
    let request = Request::get(path).body(Vec::new()).ok()?;
    client.request(request).await.ok()
}

async fn patch(client: &Client, path: &str, body: &Value) {
    let request = Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .expect("a request");
    // The object may be gone by now; the next round sees what is there.
    let _ = client.request::<Value>(request).await;
}

const THEN: &str = "2026-01-01T00:00:00Z";

fn condition(kind: &str) -> Value {
    json!({ "type": kind, "status": "True", "lastTransitionTime": THEN, "reason": "Test", "message": "" })
}

fn has(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

fn pod(pod: &Value) -> Option<Value> {
    let ready = &pod["metadata"]["annotations"]["sandbox.zonewright.dev/ready"];
    let over = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if over || has(pod, "Ready") || ready == "never" {
        return None;
    }
    if ready == "badimage" {
        return cannot_start(pod);
    }
    // Pods that may not be restarted are those of jobs: they do their work and end.
    let ends = pod["spec"]["restartPolicy"] != "Always";
    let state = if ends {
        json!({ "terminated": { "exitCode": 0, "startedAt": THEN, "finishedAt": THEN } })
    } else {
        json!({ "running": { "startedAt": THEN } })
    };
    let containers = pod["spec"]["containers"].as_array()?.iter().map(|c| {
        json!({
            "name": c["name"], "image": c["image"], "imageID": "", "restartCount": 0,
            "ready": !ends, "started": !ends, "state": state,
        })
    });
    let conditions = if ends {
        json!([condition("PodScheduled"), condition("Initialized")])
    } else {
        let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
        kinds.map(condition).to_vec().into()
    };
    Some(json!({
        "phase": if ends { "Succeeded" } else { "Running" },
        "conditions": conditions,
        "containerStatuses": containers.collect::<Vec<_>>(),
        "podIP": "10.244.0.9",
        "podIPs": [{ "ip": "10.244.0.9" }],
        "startTime": THEN,
    }))
}

/// A pod whose images have no names that can be pulled.
fn cannot_start(pod: &Value) -> Option<Value> {
    if pod["status"]["containerStatuses"].is_array() {
        return None;
    }
    let waiting = json!({ "waiting": { "reason": "InvalidImageName",
        "message": "Failed to apply default image tag: invalid reference format" } });
    let containers = pod["spec"]["containers"].as_array()?.iter().map(|c| {
        json!({ "name": c["name"], "image": c["image"], "imageID": "", "restartCount": 0,
            "ready": false, "started": false, "state": waiting })
    });
    Some(json!({
        "phase": "Pending",
        "conditions": [condition("PodScheduled")],
        "containerStatuses": containers.collect::<Vec<_>>(),
    }))
}

fn service(service: &Value) -> Option<Value> {
    let has_address = !service["status"]["loadBalancer"]["ingress"].is_null();
    if service["spec"]["type"] != "LoadBalancer" || has_address {
        return None;
    }
    Some(json!({ "loadBalancer": { "ingress": [{ "ip": "203.0.113.9" }] } }))
}

fn ready_condition(object: &Value) -> Option<Value> {
    (!has(object, "Ready")).then(|| json!({ "conditions": [condition("Ready")] }))
}

fn available(object: &Value) -> Option<Value> {
    let kinds = ["Available", "Reconciled"].map(condition);
    (!has(object, "Available")).then(|| {
        json!({
            "paused": false, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
            "unavailableReplicas": 0, "conditions": kinds,
        })
    })
}
