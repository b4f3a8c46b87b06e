//! The Kubernetes API of the sandbox's clusters.
//!
//! Objects are documents of the [`World`]; `resourceVersion` is the world's revision. Nothing runs in
//! the background: at the start of each request, and while somebody watches, the scripted controllers
//! do what has become due by the stored times ([`controllers`]).

mod admission;
mod controllers;
mod defaults;
mod delete;
mod discovery;
mod environment;
mod failure;
mod fieldset;
mod kinds;
mod log;
mod managed;
mod memory;
mod patch;
mod persist;
mod proxy;
mod read;
mod request;
mod scale;
mod schema;
mod selector;
mod typed;
mod validate;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::digitalocean::login;
use crate::world::{Tables, Txn, World};

pub(crate) use memory::Memory;
pub(crate) use request::decode;

use failure::Failure;
use kinds::{Kind, key, table};
use request::{Answer, Call, Ctx, Place, Reply, new_uid, timestamp};

/// The body of an answer: one piece, or the events of a watch.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The version that the clusters claim.
const VERSION: (&str, &str, &str) = ("1", "36", "v1.36.3");

/// Answers one request to the API server of a cluster; `path` is the path inside the cluster.
pub async fn handle(
    world: &Arc<World>,
    cluster_id: &str,
    path: &str,
    req: http::Request<Bytes>,
) -> Response<Body> {
    let call = Call::new(world, cluster_id, req);
    let markers = call.flag("sendInitialEvents");
    let done = world.write(|txn| {
        let mut ctx = Ctx {
            world,
            cluster: cluster_id,
            txn,
        };
        controllers::settle(&mut ctx);
        route(&call, &mut ctx, path)
    });
    let reply = match done {
        Ok(Ok(reply)) => reply,
        Ok(Err(failure)) => return failed(&failure),
        Err(e) => {
            return failed(&Failure::internal(&format!(
                "the world cannot be written: {e}"
            )));
        }
    };
    let mut response = match reply.answer {
        Answer::Json(code, value) => {
            whole(code, "application/json", value.to_string().into_bytes())
        }
        Answer::Bytes(code, content_type, bytes) => whole(code, content_type, bytes),
        Answer::Watch(watch) => response(200, "application/json", watch.into_body(markers)),
    };
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    for warning in reply.warnings {
        if let Ok(value) = format!("299 - {:?}", warning).parse() {
            response.headers_mut().append(http::header::WARNING, value);
        }
    }
    response
}

/// Brings the objects of a running cluster to where its controllers have brought them by now.
pub fn settle(world: &World, txn: &mut Txn<'_>, cluster_id: &str) {
    controllers::settle(&mut Ctx {
        world,
        cluster: cluster_id,
        txn,
    });
}

/// The database that a ready pod may write into: the one that its environment names.
pub(crate) fn database_of_pod(
    tables: &Tables,
    now: u64,
    cluster: &str,
    pod: &Value,
) -> Option<String> {
    if !controllers::holds(pod, "Ready") {
        return None;
    }
    let home = environment::Home { tables, cluster };
    let variables = environment::of_pod(home, pod);
    let [host, user, password, _] = environment::database(&variables)?;
    // The heartbeat's schema is made by who writes it.
    let client = login::Client {
        host: &host,
        user: &user,
        password: &password,
        database: "",
    };
    let session = login::from_cluster(tables, now, cluster, &client).ok()?;
    session.writable.then_some(session.id)
}

/// Creates what a new cluster starts with.
pub fn create_cluster(world: &World, txn: &mut Txn<'_>, cluster_id: &str) {
    let mut ctx = Ctx {
        world,
        cluster: cluster_id,
        txn,
    };
    let now = timestamp(world.now_ms());
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "uid": new_uid(), "creationTimestamp": now,
                         "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        ctx.store(
            &table(cluster_id, "", "namespaces"),
            &key(None, name),
            object,
        );
    }
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "uid": new_uid(),
                     "creationTimestamp": now,
                     "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"],
                 "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                 "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                 "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}]},
        "status": {"loadBalancer": {}},
    });
    ctx.store(
        &table(cluster_id, "", "services"),
        &key(Some("default"), "kubernetes"),
        service,
    );
    for (name, default) in [
        ("do-block-storage", true),
        ("do-block-storage-retain", false),
    ] {
        let object = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "uid": new_uid(), "creationTimestamp": now, "annotations":
                         {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
            "provisioner": "dobs.csi.digitalocean.com", "allowVolumeExpansion": true,
            "reclaimPolicy": if default { "Delete" } else { "Retain" },
            "volumeBindingMode": "Immediate",
        });
        ctx.store(
            &table(cluster_id, "storage.k8s.io", "storageclasses"),
            &key(None, name),
            object,
        );
    }
}

/// Removes every object of a cluster.
pub fn delete_cluster(txn: &mut Txn<'_>, cluster_id: &str) {
    let prefix = format!("kubernetes/{cluster_id}/");
    let names: Vec<String> = txn.tables().names(&prefix).cloned().collect();
    for name in names {
        let keys: Vec<String> = txn.tables().list(&name).map(|(k, _)| k.clone()).collect();
        for key in keys {
            txn.delete(&name, &key);
        }
    }
}

fn response(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut out = Response::new(body);
    *out.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    let value = http::HeaderValue::from_static(content_type);
    out.headers_mut().insert(http::header::CONTENT_TYPE, value);
    out
}

fn whole(code: u16, content_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let body = Full::new(Bytes::from(bytes))
        .map_err(|never| match never {})
        .boxed_unsync();
    response(code, content_type, body)
}

fn failed(failure: &Failure) -> Response<Body> {
    if failure.is_plain() {
        return whole(
            failure.code,
            "text/plain; charset=utf-8",
            failure.message().into(),
        );
    }
    whole(
        failure.code,
        "application/json",
        failure.status().to_string().into_bytes(),
    )
}

fn route(call: &Call, ctx: &mut Ctx<'_, '_>, path: &str) -> Result<Reply, Failure> {
    let path = request::decode(path.split('?').next().unwrap_or_default(), false);
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let json = |value: Value| Ok(Answer::Json(200, value).into());
    match segments.as_slice() {
        ["version"] => json(version()),
        ["healthz" | "livez" | "readyz"] => {
            Ok(Answer::Bytes(200, "text/plain", b"ok".to_vec()).into())
        }
        ["api"] | ["apis"] | ["api", "v1"] | ["apis", _] | ["apis", _, _] => {
            discover(call, ctx, &segments)
        }
        ["api", "v1", rest @ ..] => resource(call, ctx, ("", "v1"), rest),
        ["apis", group, version, rest @ ..] => resource(call, ctx, (group, version), rest),
        _ => Err(Failure::no_such_path()),
    }
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    json!({"major": major, "minor": minor, "gitVersion": git, "gitTreeState": "clean",
           "platform": "linux/amd64", "compiler": "gc"})
}

fn discover(call: &Call, ctx: &Ctx<'_, '_>, segments: &[&str]) -> Result<Reply, Failure> {
    if call.method != Method::GET {
        return Err(Failure::method_not_allowed());
    }
    let mut kinds: Vec<Arc<Kind>> = kinds::builtins().to_vec();
    kinds.extend(kinds::customs(ctx.world, ctx.tables(), ctx.cluster));
    let core = segments.first() == Some(&"api");
    if segments.len() == 1 && call.accept.contains("as=APIGroupDiscoveryList") {
        let beta = call.accept.contains("v=v2beta1") && !call.accept.contains("v=v2;");
        let version = if beta { "v2beta1" } else { "v2" };
        let text = discovery::aggregated(&kinds, core, version)
            .to_string()
            .into_bytes();
        let content_type = if beta {
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        } else {
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        };
        return Ok(Answer::Bytes(200, content_type, text).into());
    }
    let found = match segments {
        ["api"] => Some(discovery::core_versions()),
        ["apis"] => Some(discovery::group_list(&kinds)),
        ["api", version] => discovery::resources(&kinds, "", version),
        ["apis", group] => discovery::group(&kinds, group),
        ["apis", group, version] => discovery::resources(&kinds, group, version),
        _ => None,
    };
    let found = found.ok_or_else(Failure::no_such_path)?;
    Ok(Answer::Json(200, found).into())
}

fn resource(
    call: &Call,
    ctx: &mut Ctx<'_, '_>,
    (group, version): (&str, &str),
    rest: &[&str],
) -> Result<Reply, Failure> {
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, _, ..] => (Some(*namespace), &rest[2..]),
        _ => (None, rest),
    };
    let (Some(plural), true) = (
        rest.first(),
        rest.len() <= 3 || rest.get(2) == Some(&"proxy"),
    ) else {
        return Err(Failure::no_such_path());
    };
    let kind = kinds::find(
        ctx.world,
        ctx.tables(),
        ctx.cluster,
        (group, version, plural),
    )
    .ok_or_else(Failure::no_such_path)?;
    let across = namespace.is_none() && kind.namespaced;
    if (namespace.is_some() && !kind.namespaced) || (across && rest.len() > 1) {
        return Err(Failure::no_such_path());
    }
    let place = Place {
        table: kind.table(ctx.cluster),
        namespace: namespace.map(str::to_owned),
        name: rest.get(1).map(|s| (*s).to_owned()),
        subresource: rest.get(2).map(|s| (*s).to_owned()),
        kind,
    };
    match place.subresource.as_deref() {
        Some("proxy") if place.kind.is("", "Service") => {
            proxy::service(call, ctx, &place, rest.get(3..).unwrap_or_default())
        }
        Some("log") if place.kind.is("", "Pod") && call.method == Method::GET => {
            log::read(ctx, &place)
        }
        Some("finalize") if place.kind.is("", "Namespace") => write::replace(call, ctx, &place),
        Some("status" | "scale") | None => verb(call, ctx, &place, across),
        _ => Err(Failure::no_such_path()),
    }
}

fn verb(call: &Call, ctx: &mut Ctx<'_, '_>, place: &Place, across: bool) -> Result<Reply, Failure> {
    if let Some(name) = &place.subresource
        && !place.kind.subresources.contains_key(name)
    {
        return Err(Failure::no_such_path());
    }
    let watching = call.flag("watch") && place.name.is_none();
    let (verb, allowed) = match (&call.method, &place.name) {
        (&Method::GET, None) if watching => ("watch", true),
        (&Method::GET, None) => ("list", true),
        (&Method::GET, Some(_)) => ("get", true),
        (&Method::POST, None) => ("create", !across || place.kind.group.starts_with("auth")),
        (&Method::PUT, Some(_)) => ("update", true),
        (&Method::PATCH, Some(_)) => ("patch", true),
        (&Method::DELETE, Some(_)) => ("delete", place.subresource.is_none()),
        (&Method::DELETE, None) => ("deletecollection", !across),
        _ => ("", false),
    };
    if !allowed || (place.subresource.is_none() && !place.kind.verbs.iter().any(|v| v == verb)) {
        return Err(Failure::method_not_allowed());
    }
    match verb {
        "watch" => Ok(Answer::Watch(Box::new(watch::start(call, ctx, place)?)).into()),
        "list" => read::list(call, ctx, place),
        "get" => read::get(call, ctx, place),
        "create" if place.kind.group.starts_with("auth") => review(call),
        "create" => write::create(call, ctx, place),
        "update" => write::replace(call, ctx, place),
        "patch" => write::patch(call, ctx, place),
        "delete" => delete::one(call, ctx, place),
        _ => delete::collection(call, ctx, place),
    }
}

/// Access reviews: whoever got here may do everything.
fn review(call: &Call) -> Result<Reply, Failure> {
    let mut body = call.object()?;
    body["status"] = json!({"allowed": true, "userInfo": {"username": "sandbox"}});
    Ok(Answer::Json(201, body).into())
}
