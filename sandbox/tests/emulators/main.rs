//! The emulators from outside: requests in, replies out.

// Everything here is test code, also what is no test itself.
#![allow(clippy::unwrap_used)]

mod client;
mod cloudflare;
mod databases;
mod digitalocean;
mod dns;
mod faults;
mod lifetime;
mod mysql;
mod proxies;
mod s3;
mod schemas;
mod workloads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use zonewright_sandbox::Sandbox;
use zonewright_sandbox::clock::{Clock, MachineClock};
use zonewright_sandbox::profile::Profile;
use zonewright_sandbox::reply::Body;

/// A clock that is ahead of the machine's by so many milliseconds.
#[derive(Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        MachineClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

/// A sandbox without a socket.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    clock: Arc<Ahead>,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(profile: Profile) -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Ahead::default());
        let origin = "http://127.0.0.1:4000";
        let sandbox = Sandbox::open_at(dir.path(), profile, origin, clock.clone()).unwrap();
        World {
            sandbox: Arc::new(sandbox),
            clock,
            _dir: dir,
        }
    }

    /// Sends `METHOD /path` with a body; gives status and JSON body (null when empty).
    pub(crate) async fn ask(&self, line: &str, body: &str) -> (u16, Value) {
        let response = self.raw(line, body, None).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned())),
        };
        (status, value)
    }

    /// Like `ask`, and the status must be as given.
    pub(crate) async fn expect(&self, status: u16, line: &str, body: &str) -> Value {
        let (got, value) = self.ask(line, body).await;
        assert_eq!(got, status, "{line} {body} -> {value}");
        value
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// A running cluster.
    pub(crate) async fn cluster(&self, name: &str) -> Cluster<'_> {
        let body = format!(
            r#"{{"name":"{name}","region":"nyc3","version":"latest",
                "node_pools":[{{"name":"main","size":"s-2vcpu-4gb","count":1}}]}}"#
        );
        let made = self
            .expect(201, "POST /v2/kubernetes/clusters", &body)
            .await;
        Cluster {
            id: id(&made, "kubernetes_cluster"),
            world: self,
        }
    }

    pub(crate) async fn raw(&self, line: &str, body: &str, token: Option<&str>) -> Response<Body> {
        let (method, path) = line.split_once(' ').unwrap();
        let identity = self.sandbox.identity();
        let own = match path.starts_with("/client/") {
            true => identity.cloudflare_token(),
            false => identity.digitalocean_token(),
        };
        let token = token.map_or(own, str::to_owned);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        self.sandbox.handle(request).await
    }
}

/// The API of one cluster.
pub(crate) struct Cluster<'w> {
    pub(crate) id: String,
    world: &'w World,
}

impl Cluster<'_> {
    /// One request; gives the whole response and its text.
    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (http::response::Parts, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let sandbox = &self.world.sandbox;
        let token = sandbox.identity().cluster_token(&self.id);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/clusters/{}{path}", self.id))
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let (parts, body) = sandbox.handle(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Status and JSON (or text) of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let (parts, text) = self.send(&format!("GET {path}"), &[], "").await;
        let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text));
        (parts.status.as_u16(), value)
    }

    /// Applies an object; its address follows from it.
    pub(crate) async fn apply(&self, object: &Value) -> Value {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let version = text(&object["apiVersion"]);
        let root = match version.contains('/') {
            true => format!("/apis/{version}"),
            false => format!("/api/{version}"),
        };
        let (status, list) = self.get(&root).await;
        assert_eq!(status, 200, "{root}");
        let kinds = list["resources"].as_array().unwrap();
        let kind = kinds
            .iter()
            .find(|k| k["kind"] == object["kind"] && !text(&k["name"]).contains('/'));
        let kind = kind.unwrap_or_else(|| panic!("no kind {}", object["kind"]));
        let space = match kind["namespaced"] == true {
            true => format!("/namespaces/{}", text(&object["metadata"]["namespace"])),
            false => String::new(),
        };
        let (plural, name) = (text(&kind["name"]), text(&object["metadata"]["name"]));
        let line = format!("PATCH {root}{space}/{plural}/{name}?fieldManager=test&force=true");
        let yaml = [("content-type", "application/apply-patch+yaml")];
        let (parts, text) = self.send(&line, &yaml, &object.to_string()).await;
        assert!(parts.status.is_success(), "{line}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Applies a stream of YAML documents: namespaces and definitions first.
    pub(crate) async fn install(&self, yaml: &str) {
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        objects.retain(Value::is_object);
        objects.sort_by_key(|o| match o["kind"].as_str().unwrap() {
            "Namespace" => 0,
            "CustomResourceDefinition" => 1,
            _ => 2,
        });
        for object in &objects {
            self.apply(object).await;
        }
    }

    pub(crate) async fn namespace(&self, name: &str) {
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name}});
        self.apply(&object).await;
    }
}

/// An id in a reply.
pub(crate) fn id(value: &Value, root: &str) -> String {
    value[root]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_path_is_refused_and_the_control_api_keeps_web_pages_out() {
    let world = World::new(Profile::Instant);
    world.expect(404, "GET /nothing", "").await;
    for (name, value) in [("origin", "http://evil.test"), ("host", "evil.test:4000")] {
        let request = Request::builder()
            .uri("/_sandbox/health")
            .header(name, value)
            .body(Bytes::new())
            .unwrap();
        let response = world.sandbox.handle(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    let request = Request::builder()
        .uri("/_sandbox/health")
        .header("host", "127.0.0.1:4000")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.sandbox.handle(request).await.status(), StatusCode::OK);
}
