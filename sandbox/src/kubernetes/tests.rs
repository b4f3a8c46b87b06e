//! Behaviour through [`handle`](super::handle), as a client sees it.

mod lifecycle;
mod machine;
mod recorded;
mod rest;
mod ssa;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::profile::Profile;
use crate::world::World;

/// A client of one cluster in a world of its own.
struct Cluster {
    world: Arc<World>,
    _dir: tempfile::TempDir,
}

const ID: &str = "c1";
const APPLY: &str = "application/apply-patch+yaml";

impl Cluster {
    fn new(profile: Profile) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::open(dir.path(), profile).unwrap());
        world
            .write(|txn| super::create_cluster(&world, txn, ID))
            .unwrap();
        Cluster { world, _dir: dir }
    }

    async fn raw(
        &self,
        method: &str,
        uri: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        let response = self
            .response(method, uri, content_type, "application/json", body)
            .await;
        let code = response.status().as_u16();
        (
            code,
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec(),
        )
    }

    async fn response(
        &self,
        method: &str,
        uri: &str,
        content_type: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> http::Response<super::Body> {
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content_type)
            .header("accept", accept)
            .body(Bytes::from(body))
            .unwrap();
        let path = uri.split('?').next().unwrap();
        super::handle(&self.world, ID, path, request).await
    }

    async fn call(&self, method: &str, uri: &str, body: Option<&Value>) -> (u16, Value) {
        let content_type = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let (code, bytes) = self.raw(method, uri, content_type, body).await;
        (
            code,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))),
        )
    }

    async fn get(&self, uri: &str) -> (u16, Value) {
        self.call("GET", uri, None).await
    }

    async fn apply_as(&self, manager: &str, uri: &str, more: &str, body: &Value) -> (u16, Value) {
        let uri = format!("{uri}?fieldManager={manager}{more}");
        let (code, bytes) = self
            .raw("PATCH", &uri, APPLY, body.to_string().into_bytes())
            .await;
        (
            code,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))),
        )
    }

    async fn apply(&self, uri: &str, body: &Value) -> (u16, Value) {
        self.apply_as("zonewright", uri, "", body).await
    }
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
           "metadata": {"name": name, "labels": {"app": name}},
           "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
               "metadata": {"labels": {"app": name}},
               "spec": {"containers": [{"name": "c", "image": "nginx:1.27",
                                        "ports": [{"containerPort": 80}]}]}}}})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
