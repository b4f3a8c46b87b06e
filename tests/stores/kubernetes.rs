//! A Kubernetes cluster: that of the sandbox, and a real API server where one was built.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use zonewright_engine::secret::Secret;
use zonewright_state::store::kubernetes::KubernetesStore;
use zonewright_state::store::probe::{Fit, probe};
use zonewright_state::store::{Put, Store, StoreError};
use zonewright_state::{OsRng, conformance};
use zonewright_tests::control_plane::{ControlPlane, binaries};

use crate::server::Server;

/// A cluster with as many namespaces as are wanted.
struct Cluster {
    kubeconfig: String,
    namespaces: AtomicUsize,
}

impl Cluster {
    fn of(kubeconfig: String) -> Cluster {
        Cluster {
            kubeconfig,
            namespaces: AtomicUsize::new(0),
        }
    }

    fn open(&self, namespace: &str) -> KubernetesStore {
        let secret = Secret::new("secret.state_kubeconfig", self.kubeconfig.clone(), None);
        KubernetesStore::open(&secret, None, namespace).unwrap()
    }

    /// A store in a new namespace.
    fn store(&self) -> KubernetesStore {
        let n = self.namespaces.fetch_add(1, Ordering::Relaxed);
        let name = format!("state-{n}");
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        wait(self.send("POST", "/api/v1/namespaces", Some(&namespace))).unwrap();
        self.open(&name)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let parsed = kube::config::Kubeconfig::from_yaml(&self.kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(parsed, &Default::default()).await;
        let client = kube::Client::try_from(config.unwrap()).unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.map_or_else(Vec::new, |b| b.to_string().into_bytes()))
            .unwrap();
        client.request(request).await
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The kubeconfig of a cluster of the sandbox.
fn emulated(server: &Server) -> Cluster {
    let pairs = server.ready.env();
    let of = |name: &str| pairs.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let (api, token) = (of("DIGITALOCEAN_API_URL"), of("DIGITALOCEAN_TOKEN"));
    zonewright_providers::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{api}/v2/kubernetes/clusters");
    let kubeconfig = server.wait(async {
        let vpc = json!({ "name": "state", "region": "fra1" });
        let vpcs = client
            .post(format!("{api}/v2/vpcs"))
            .bearer_auth(&token)
            .json(&vpc);
        let vpc: Value = vpcs.send().await.unwrap().json().await.unwrap();
        let pool = json!({ "name": "one", "size": "s-2vcpu-4gb", "count": 1 });
        let wanted = json!({ "name": "state", "region": "fra1", "version": "1.34",
            "vpc_uuid": vpc["vpc"]["id"], "node_pools": [pool] });
        let made = client.post(&url).bearer_auth(&token).json(&wanted);
        let made: Value = made.send().await.unwrap().json().await.unwrap();
        let id = made["kubernetes_cluster"]["id"].as_str();
        let id = id.unwrap_or_else(|| panic!("{made}")).to_owned();
        let got = client
            .get(format!("{url}/{id}/kubeconfig"))
            .bearer_auth(&token);
        got.send().await.unwrap().text().await.unwrap()
    });
    Cluster::of(kubeconfig)
}

fn conforms(cluster: &Cluster) {
    conformance::run(|| cluster.store());
    conformance::hosts::run(|| conformance::hosts::over(cluster.store()));
    let store = cluster.store();
    let fit = wait(probe(&store, &mut OsRng)).unwrap();
    assert_eq!(fit, Fit { removes: true });
    // What was made stays as it is, whoever asks.
    assert_eq!(wait(store.put_new("pz/log/1", b"x")).unwrap(), Put::Created);
    let secrets = "/api/v1/namespaces/state-8888/secrets";
    let nowhere = cluster.open("state-8888");
    let error = wait(nowhere.put_new("meta.json", b"x")).unwrap_err();
    let StoreError::Io { source, .. } = &error else {
        panic!("{error:?} of {secrets}");
    };
    assert!(source.to_string().contains("does not exist"), "{source}");
}

#[test]
fn a_cluster_of_the_sandbox_conforms() {
    let server = Server::start();
    conforms(&emulated(&server));
}

#[test]
fn a_real_api_server_conforms() {
    let Some(binaries) = binaries() else {
        zonewright_tests::skip("no control plane (tests/k8s-control-plane/build)");
        return;
    };
    let plane = ControlPlane::start(&binaries).unwrap();
    let cluster = Cluster::of(plane.kubeconfig().unwrap());
    conforms(&cluster);
    // The server itself keeps an object as it is.
    let store = cluster.store();
    wait(store.put_new("pz/log/1", b"first")).unwrap();
    let namespace = cluster.namespaces.load(Ordering::Relaxed) - 1;
    let path = format!("/api/v1/namespaces/state-{namespace}/secrets");
    let all = wait(cluster.send("GET", &path, None)).unwrap();
    let mut secret = all["items"][0].clone();
    secret["data"]["object"] = json!("c2Vjb25k");
    let path = format!("{path}/{}", secret["metadata"]["name"].as_str().unwrap());
    let changed = wait(cluster.send("PUT", &path, Some(&secret)));
    assert!(changed.is_err(), "{changed:?}");
    assert_eq!(
        wait(store.get("pz/log/1")).unwrap().as_deref(),
        Some(&b"first"[..])
    );
}

#[test]
fn a_lost_reply_is_settled_by_reading() {
    use zonewright_sandbox::fault::{Fault, Kind};
    let server = Server::start();
    let cluster = emulated(&server);
    let store = cluster.store();
    for kind in [
        Kind::DropAfter,
        Kind::StatusAfter { code: 500 },
        Kind::DropBefore,
    ] {
        let key = format!("pz/log/{}", kind.name());
        let fault = Fault {
            service: Some("kubernetes".to_owned()),
            method: Some("POST".to_owned()),
            path: Some("*/secrets".to_owned()),
            nth: 1,
            count: 2,
            kind,
        };
        server.wait(server.client().add_fault(&fault)).unwrap();
        assert_eq!(
            wait(store.put_new(&key, b"x")).unwrap(),
            Put::Created,
            "{key}"
        );
        server.clear_faults();
        assert_eq!(
            wait(store.put_new(&key, b"x")).unwrap(),
            Put::Exists,
            "{key}"
        );
    }
}

#[test]
fn a_kubeconfig_that_is_none_is_not_shown() {
    let secret = Secret::new("secret.state_kubeconfig", "token: very-secret-token", None);
    let Err(error) = KubernetesStore::open(&secret, None, "x") else {
        panic!("it is no kubeconfig");
    };
    assert!(!format!("{error:?}").contains("very-secret"), "{error:?}");
}
