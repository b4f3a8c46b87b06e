//! Node pools of a cluster.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, due, pending, rfc3339, text, without_times};
use crate::reply;

use super::error::ApiError;
use super::{Answer, all, catalog, cluster, created, page, tag, wrong_method};

// The vendor's usual durations, in seconds.
const JOIN: u64 = 120;
const DRAIN: u64 = 90;

pub(super) fn answer(
    scene: &mut Scene<'_, '_>,
    call: &Call,
    cluster_id: &str,
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let doc = cluster::find(scene, cluster_id)?;
            let pools = pools(&doc).map(|pool| show(scene, pool)).collect();
            page::list(call, "node_pools", pools)
        }
        (&Method::POST, []) => add(scene, call, cluster_id),
        (&Method::GET, [id]) => {
            let doc = cluster::find(scene, cluster_id)?;
            let pool = pools(&doc).find(|pool| text(pool, "id") == *id);
            let shown = show(scene, pool.ok_or_else(ApiError::not_found)?);
            Ok(reply::json(200, &json!({"node_pool": shown})))
        }
        (&Method::PUT, [id]) => update(scene, call, cluster_id, id),
        (&Method::DELETE, [id]) => delete(scene, cluster_id, id),
        (&Method::DELETE, [id, "nodes", node]) => delete_node(scene, call, cluster_id, id, node),
        _ => Err(wrong_method()),
    }
}

/// Removes pools whose deletion is due.
pub(super) fn settle(scene: &mut Scene<'_, '_>) {
    let now = scene.now;
    let touched: Vec<Value> = all(scene.txn.tables(), cluster::TABLE)
        .filter(|doc| pools(doc).any(|pool| due(pool, "deleted_ms", now)))
        .cloned()
        .collect();
    for mut doc in touched {
        if let Some(pools) = doc["node_pools"].as_array_mut() {
            pools.retain(|pool| !due(pool, "deleted_ms", now));
        }
        cluster::store(scene, doc);
    }
}

/// The pools of a cluster as the API shows them now.
pub(super) fn show_all(scene: &Scene<'_, '_>, doc: &Value) -> Value {
    pools(doc).map(|pool| show(scene, pool)).collect()
}

/// A new pool, its nodes ready at `ready`.
pub(super) fn build(
    scene: &mut Scene<'_, '_>,
    cluster_id: &str,
    body: &Map<String, Value>,
    others: &[Value],
    ready: u64,
) -> Result<Value, ApiError> {
    let size = body.get("size").and_then(Value::as_str).unwrap_or("");
    if !catalog::is_size(size) {
        return Err(ApiError::unprocessable("invalid node pool size"));
    }
    let mut pool = json!({
        "id": scene.uuid(), "size": size, "labels": null, "taints": [],
        "auto_scale": false, "min_nodes": 0, "max_nodes": 0, "nodes": [],
        "tags": server_tags(cluster_id, &[]),
    });
    change(scene, cluster_id, &mut pool, body, others)?;
    resize(scene, &mut pool, ready);
    Ok(pool)
}

fn pools(doc: &Value) -> impl Iterator<Item = &Value> {
    doc["node_pools"].as_array().into_iter().flatten()
}

fn show(scene: &Scene<'_, '_>, pool: &Value) -> Value {
    let leaving = pool.get("deleted_ms").is_some();
    let mut shown = without_times(pool);
    let nodes = pool["nodes"].as_array().into_iter().flatten();
    shown["nodes"] = nodes
        .map(|node| {
            let state = match (leaving, pending(node, "ready_ms", scene.now)) {
                (true, _) => "draining",
                (false, true) => "provisioning",
                (false, false) => "running",
            };
            let created_at = rfc3339(node["created_ms"].as_u64().unwrap_or(0));
            let mut shown = without_times(node);
            shown["status"] = json!({"state": state});
            shown["updated_at"] = json!(created_at);
            shown["created_at"] = json!(created_at);
            shown
        })
        .collect();
    shown
}

fn add(scene: &mut Scene<'_, '_>, call: &Call, cluster_id: &str) -> Answer {
    let mut doc = cluster::changeable(scene, cluster_id)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let others: Vec<Value> = pools(&doc).cloned().collect();
    let running = doc["running_ms"].as_u64().unwrap_or(0);
    let ready = scene.after(JOIN).max(running);
    let pool = build(scene, cluster_id, &body, &others, ready)?;
    if let Some(pools) = doc["node_pools"].as_array_mut() {
        pools.push(pool.clone());
    }
    cluster::store(scene, doc);
    let shown = show(scene, &pool);
    Ok(created(text(&pool, "id"), &json!({ "node_pool": shown })))
}

fn update(scene: &mut Scene<'_, '_>, call: &Call, cluster_id: &str, id: &str) -> Answer {
    let doc = cluster::changeable(scene, cluster_id)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let (mut pool, others) = split(&doc, id)?;
    let scales = body.get("auto_scale").is_some_and(|v| v == true);
    if !body.contains_key("name") || !(scales || body.contains_key("count")) {
        return Err(ApiError::unprocessable("name and count are required"));
    }
    change(scene, cluster_id, &mut pool, &body, &others)?;
    let ready = scene.after(JOIN);
    resize(scene, &mut pool, ready);
    let shown = show(scene, &pool);
    replace(scene, doc, pool);
    Ok(reply::json(202, &json!({ "node_pool": shown })))
}

fn delete(scene: &mut Scene<'_, '_>, cluster_id: &str, id: &str) -> Answer {
    let doc = cluster::changeable(scene, cluster_id)?;
    let (mut pool, others) = split(&doc, id)?;
    let staying = others
        .iter()
        .filter(|other| other.get("deleted_ms").is_none());
    if staying.count() == 0 {
        let message = "the last node pool of a cluster cannot be deleted";
        return Err(ApiError::unprocessable(message));
    }
    if pool.get("deleted_ms").is_none() {
        pool["deleted_ms"] = json!(scene.after(DRAIN));
        replace(scene, doc, pool);
    }
    Ok(reply::empty(204))
}

fn delete_node(
    scene: &mut Scene<'_, '_>,
    call: &Call,
    cluster_id: &str,
    id: &str,
    node: &str,
) -> Answer {
    let doc = cluster::changeable(scene, cluster_id)?;
    let (mut pool, _) = split(&doc, id)?;
    let nodes = pool["nodes"]
        .as_array_mut()
        .ok_or_else(ApiError::not_found)?;
    let at = nodes.iter().position(|n| text(n, "id") == node);
    nodes.remove(at.ok_or_else(ApiError::not_found)?);
    let left = nodes.len();
    if call.query("replace") == Some("1") {
        let ready = scene.after(JOIN);
        resize(scene, &mut pool, ready);
    } else {
        pool["count"] = json!(left);
    }
    replace(scene, doc, pool);
    Ok(reply::empty(202))
}

fn split(doc: &Value, id: &str) -> Result<(Value, Vec<Value>), ApiError> {
    let (mine, others): (Vec<&Value>, Vec<&Value>) =
        pools(doc).partition(|pool| text(pool, "id") == id);
    let pool = mine.first().ok_or_else(ApiError::not_found)?;
    Ok(((*pool).clone(), others.into_iter().cloned().collect()))
}

fn replace(scene: &mut Scene<'_, '_>, mut doc: Value, pool: Value) {
    let slot = doc["node_pools"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .find(|other| other["id"] == pool["id"]);
    if let Some(slot) = slot {
        *slot = pool;
    }
    cluster::store(scene, doc);
}

// Applies the fields of a request that can change, and checks what has come out.
fn change(
    scene: &mut Scene<'_, '_>,
    cluster_id: &str,
    pool: &mut Value,
    body: &Map<String, Value>,
    others: &[Value],
) -> Result<(), ApiError> {
    for name in [
        "name",
        "count",
        "labels",
        "taints",
        "auto_scale",
        "min_nodes",
        "max_nodes",
    ] {
        if let Some(value) = body.get(name) {
            pool[name] = value.clone();
        }
    }
    if let Some(tags) = tag::of(body)? {
        tag::ensure(scene, tags.iter().map(String::as_str));
        pool["tags"] = server_tags(cluster_id, &tags);
    }
    let name = text(pool, "name");
    if name.is_empty() {
        return Err(ApiError::unprocessable("node pool name is required"));
    }
    if others.iter().any(|other| text(other, "name") == name) {
        return Err(ApiError::unprocessable("node pool name is not unique"));
    }
    let (min, max) = (number(pool, "min_nodes"), number(pool, "max_nodes"));
    if pool["auto_scale"] == true {
        if max < min.max(1) {
            let message = "max_nodes must not be less than min_nodes";
            return Err(ApiError::unprocessable(message));
        }
        let count = number(pool, "count").clamp(min.max(1), max);
        pool["count"] = json!(count);
    } else {
        pool["min_nodes"] = json!(0);
        pool["max_nodes"] = json!(0);
    }
    match pool.get("count").and_then(Value::as_u64) {
        Some(count) if count <= 512 => Ok(()),
        _ => Err(ApiError::unprocessable("node pool count is invalid")),
    }
}

fn number(pool: &Value, name: &str) -> u64 {
    pool.get(name).and_then(Value::as_u64).unwrap_or(0)
}

// Brings the nodes to the count; the newest leave first.
fn resize(scene: &mut Scene<'_, '_>, pool: &mut Value, ready: u64) {
    let count = usize::try_from(number(pool, "count")).unwrap_or(0);
    let name = text(pool, "name").to_owned();
    let mut nodes = pool["nodes"].as_array().cloned().unwrap_or_default();
    nodes.truncate(count);
    while nodes.len() < count {
        let id = scene.uuid();
        nodes.push(json!({
            "id": id, "name": format!("{name}-{}", &id[..5]),
            "droplet_id": scene.number().to_string(),
            "created_ms": scene.now, "ready_ms": ready,
        }));
    }
    pool["nodes"] = Value::from(nodes);
}

fn server_tags(cluster_id: &str, tags: &[String]) -> Value {
    let own = [
        "k8s".to_owned(),
        format!("k8s:{cluster_id}"),
        "k8s-worker".to_owned(),
    ];
    let theirs = tags.iter().filter(|tag| !own.contains(tag));
    own.iter().chain(theirs).cloned().collect()
}
