//! Read replicas and their promotion, after which a replica is a cluster with the same id.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, due, rfc3339, text};
use crate::{mysql, reply};

use super::error::ApiError;
use super::{Answer, all, backup, catalog, created, database, tag, vpc, wrong_method};

pub(super) const TABLE: &str = "digitalocean/database_replicas";

/// The vendor's usual duration of a promotion, in seconds: seconds to a few minutes are known, so the middle
/// of nothing and three minutes.
const PROMOTE: u64 = 90;

pub(super) fn answer(
    scene: &mut Scene<'_, '_>,
    call: &Call,
    parent: &str,
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            database::either(scene, parent)?;
            let replicas: Vec<Value> = of(scene, parent).map(|doc| show(scene, doc)).collect();
            Ok(reply::json(200, &json!({ "replicas": replicas })))
        }
        (&Method::POST, []) => create(scene, call, parent),
        (&Method::GET, [name]) => {
            let doc = find(scene, parent, name)?;
            Ok(reply::json(200, &json!({"replica": show(scene, &doc)})))
        }
        (&Method::DELETE, [name]) => {
            let doc = find(scene, parent, name)?;
            remove(scene, &doc);
            Ok(reply::empty(204))
        }
        (&Method::PUT, [name, "promote"]) => promote(scene, parent, name),
        _ => Err(wrong_method()),
    }
}

/// The replicas of a cluster.
pub(super) fn of<'s>(scene: &'s Scene<'_, '_>, parent: &'s str) -> impl Iterator<Item = &'s Value> {
    all(scene.txn.tables(), TABLE).filter(move |doc| text(doc, "parent_id") == parent)
}

/// Removes a replica.
pub(super) fn remove(scene: &mut Scene<'_, '_>, doc: &Value) {
    scene.txn.delete(TABLE, text(doc, "id"));
    mysql::forget(scene, text(doc, "id"));
    vpc::leave(scene, "dbaas", doc, text(doc, "private_network_uuid"));
}

/// A replica as the API shows it now.
pub(super) fn show(scene: &Scene<'_, '_>, doc: &Value) -> Value {
    let status = match database::status(scene, doc) {
        "online" if scene.switches.replica_active => "active",
        status => status,
    };
    let mut shown: Map<String, Value> = ["id", "name", "region", "size", "tags"]
        .into_iter()
        .chain(["private_network_uuid", "storage_size_mib"])
        .map(|name| (name.to_owned(), doc[name].clone()))
        .collect();
    shown.extend(database::connections(scene, doc, &owner(scene, doc)));
    shown.insert("status".into(), json!(status));
    let created_at = rfc3339(doc["created_ms"].as_u64().unwrap_or(0));
    shown.insert("created_at".into(), json!(created_at));
    Value::Object(shown)
}

fn owner(scene: &Scene<'_, '_>, doc: &Value) -> Value {
    let parent = scene
        .txn
        .tables()
        .get(database::TABLE, text(doc, "parent_id"));
    parent.cloned().unwrap_or_default()
}

fn find(scene: &Scene<'_, '_>, parent: &str, name: &str) -> Result<Value, ApiError> {
    let found = of(scene, parent).find(|doc| text(doc, "name") == name);
    let missing = || ApiError::new(404, "not_found", "replica not found");
    found.cloned().ok_or_else(missing)
}

fn create(scene: &mut Scene<'_, '_>, call: &Call, parent: &str) -> Answer {
    let source = database::find(scene, parent)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let name = field("name").unwrap_or("");
    database::check_name(scene, name)?;
    if !backup::exists(scene, &source) {
        let message = "cluster is not ready for replicas: its first backup is not finished";
        return Err(ApiError::precondition(message));
    }
    let size = field("size").unwrap_or_else(|| text(&source, "size"));
    let storage = database::storage(&body, size)?;
    if catalog::database_rank(size) < catalog::database_rank(text(&source, "size")) {
        let message = "the size of a replica must not be smaller than that of its primary";
        return Err(ApiError::unprocessable(message));
    }
    let region = database::region(field("region").unwrap_or_else(|| text(&source, "region")))?;
    let network = match field("private_network_uuid") {
        None if region == text(&source, "region") => {
            text(&source, "private_network_uuid").to_owned()
        }
        asked => vpc::place(scene, asked, &region)?,
    };
    let tags = tag::of(&body)?.unwrap_or_default();
    let id = scene.uuid();
    let doc = json!({
        "id": id, "parent_id": parent, "name": name, "engine": "mysql",
        "version": source["version"], "semantic_version": source["semantic_version"],
        "num_nodes": 1, "size": size, "region": region, "private_network_uuid": network,
        "tags": tags, "storage_size_mib": storage, "rules": [], "users": [], "db_names": [],
        "project_id": source["project_id"], "host": database::host(scene, name),
        "maintenance_window": source["maintenance_window"], "forked": true,
        "events": ["cluster_create"],
        "created_ms": scene.now, "online_ms": scene.after(database::COPY),
    });
    tag::ensure(scene, tags.iter().map(String::as_str));
    database::store(scene, TABLE, doc.clone());
    Ok(created(name, &json!({ "replica": show(scene, &doc) })))
}

fn promote(scene: &mut Scene<'_, '_>, parent: &str, name: &str) -> Answer {
    let mut doc = find(scene, parent, name)?;
    if !due(&doc, "online_ms", scene.now) {
        return Err(ApiError::precondition("replica is not ready"));
    }
    mysql::promote(scene, &doc);
    // Users, databases and passwords have come with the data.
    let source = owner(scene, &doc);
    doc["users"] = source["users"].clone();
    doc["db_names"] = source["db_names"].clone();
    doc["forked"] = json!(false);
    let online = scene.after(PROMOTE);
    doc["online_ms"] = json!(online);
    doc["backup_ms"] = json!(online + scene.scaled(backup::FIRST));
    if let Some(events) = doc["events"].as_array_mut() {
        events.push(json!("cluster_master_promotion"));
    }
    if let Some(map) = doc.as_object_mut() {
        map.remove("parent_id");
        map.remove("replication");
    }
    scene.txn.delete(TABLE, text(&doc, "id"));
    database::store(scene, database::TABLE, doc);
    Ok(reply::empty(204))
}
