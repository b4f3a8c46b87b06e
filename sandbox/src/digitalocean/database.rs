//! Database clusters: create (also from a backup), resize, migrate, delete.
//!
//! Replicas have documents of the same shape in a table of their own; their uuid is good for some
//! of the cluster calls, as with the vendor.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, due, pending, rfc3339, text, without_times};
use crate::{mysql, reply};

use super::error::ApiError;
use super::{
    Answer, all, backup, catalog, created, database_parts, replica, tag, vpc, wrong_method,
};

pub(super) const TABLE: &str = "digitalocean/databases";

// The vendor's usual durations, in seconds. MySQL takes 4 to 8 minutes, here the middle; what begins with a
// backup, a replica or a restored cluster, takes longer, here the long end.
const CREATE: u64 = 360;
pub(super) const COPY: u64 = 480;
const RESIZE: u64 = 180;
const MIGRATE: u64 = 300;

pub(super) fn answer(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => list(scene, call),
        (&Method::POST, []) => create(scene, call),
        (&Method::GET, ["options"]) => options(),
        (&Method::GET, ["metrics", "credentials"]) => {
            let password = scene.identity.derive("database metrics", 24);
            let basic = json!({"basic_auth_username": "metrics", "basic_auth_password": password});
            Ok(reply::json(
                200,
                &json!({"credentials": {"credentials": basic}}),
            ))
        }
        (&Method::GET, [id]) => {
            let (_, doc) = either(scene, id)?;
            Ok(reply::json(200, &json!({"database": show(scene, &doc)})))
        }
        (&Method::DELETE, [id]) => delete(scene, id),
        (&Method::PUT, [id, "resize"]) => resize(scene, call, id),
        (&Method::PUT, [id, "migrate"]) => migrate(scene, call, id),
        (&Method::GET, [id, "backups"]) => backup::answer(scene, id),
        (_, [id, "replicas", rest @ ..]) => replica::answer(scene, call, id, rest),
        (_, [id, part, rest @ ..]) => database_parts::answer(scene, call, id, part, rest),
        _ => Err(wrong_method()),
    }
}

/// A database cluster.
pub(super) fn find(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let found = scene.txn.tables().get(TABLE, id);
    found.cloned().ok_or_else(not_found)
}

/// A database cluster or a replica, with the table it is in.
pub(super) fn either(scene: &Scene<'_, '_>, id: &str) -> Result<(&'static str, Value), ApiError> {
    [TABLE, replica::TABLE]
        .into_iter()
        .find_map(|table| Some((table, scene.txn.tables().get(table, id)?.clone())))
        .ok_or_else(not_found)
}

/// A database cluster that is ready for work on its contents.
pub(super) fn online(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let doc = find(scene, id)?;
    if !due(&doc, "online_ms", scene.now) {
        return Err(ApiError::precondition("cluster is not ready"));
    }
    Ok(doc)
}

pub(super) fn store(scene: &mut Scene<'_, '_>, table: &str, doc: Value) {
    let id = text(&doc, "id").to_owned();
    scene.txn.put(table, &id, doc);
}

pub(super) fn not_found() -> ApiError {
    ApiError::new(404, "not_found", "cluster not found")
}

/// The state of a database cluster or replica now.
pub(super) fn status(scene: &Scene<'_, '_>, doc: &Value) -> &'static str {
    let now = scene.now;
    if pending(doc, "online_ms", now) {
        let forked = doc["forked"] == true;
        if forked { "forking" } else { "creating" }
    } else if pending(doc, "migrated_ms", now) {
        "migrating"
    } else if pending(doc, "resized_ms", now) {
        "resizing"
    } else {
        "online"
    }
}

/// A database cluster as the API shows it now.
pub(super) fn show(scene: &Scene<'_, '_>, doc: &Value) -> Value {
    let mut shown = without_times(doc);
    let connections = connections(scene, doc, doc);
    let up = due(doc, "online_ms", scene.now);
    let host = if up { text(doc, "host") } else { "" };
    if let Some(map) = shown.as_object_mut() {
        for own in [
            "forked",
            "host",
            "parent_id",
            "config",
            "sql_mode",
            "events",
            "replication",
            "certificate",
            "heartbeat",
            "backups",
        ] {
            map.remove(own);
        }
        map.extend(connections);
        map.insert("status".into(), json!(status(scene, doc)));
        let created_at = rfc3339(doc["created_ms"].as_u64().unwrap_or(0));
        map.insert("created_at".into(), json!(created_at));
        let endpoints = match up {
            true => json!([{"host": host, "port": 9273}]),
            false => json!([]),
        };
        map.insert("metrics_endpoints".into(), endpoints);
        if let Some(Value::Array(users)) = map.get_mut("users") {
            users.iter_mut().for_each(|user| hide(scene, user));
        }
    }
    shown
}

/// The connection objects of a cluster or replica; `owner` is the one that has the users.
pub(super) fn connections(scene: &Scene<'_, '_>, doc: &Value, owner: &Value) -> Map<String, Value> {
    let up = due(doc, "online_ms", scene.now);
    let users = owner["users"].as_array().into_iter().flatten();
    let admin = users
        .into_iter()
        .find(|user| text(user, "name") == "doadmin");
    let hidden = scene.switches.hide_credentials;
    let password = admin.map_or("", |user| text(user, "password"));
    let (user, password) = if hidden {
        ("", "")
    } else {
        ("doadmin", password)
    };
    let connection = |prefix: &str| {
        let host = match up {
            true => format!("{prefix}{}", text(doc, "host")),
            false => String::new(),
        };
        let uri = match up && !hidden {
            true => {
                format!("mysql://{user}:{password}@{host}:25060/defaultdb?ssl-mode=REQUIRED")
            }
            false => String::new(),
        };
        json!({"protocol": "mysql", "uri": uri, "database": "defaultdb", "host": host,
            "port": 25060, "user": user, "password": password, "ssl": true})
    };
    let mut map = Map::new();
    map.insert("connection".into(), connection(""));
    map.insert("private_connection".into(), connection("private-"));
    map
}

/// Leaves the password out where the token may not see it.
pub(super) fn hide(scene: &Scene<'_, '_>, user: &mut Value) {
    if scene.switches.hide_credentials
        && let Some(map) = user.as_object_mut()
    {
        map.remove("password");
    }
}

/// Checks that a name is well formed and free among clusters and replicas.
pub(super) fn check_name(scene: &Scene<'_, '_>, name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(3..=63).contains(&name.len()) || !name.chars().all(fits) {
        return Err(ApiError::unprocessable("invalid cluster name"));
    }
    let tables = scene.txn.tables();
    let taken = all(tables, TABLE)
        .chain(all(tables, replica::TABLE))
        .any(|doc| text(doc, "name") == name);
    if taken {
        return Err(ApiError::unprocessable("cluster name is not available"));
    }
    Ok(())
}

/// The public host name of a database.
pub(super) fn host(scene: &mut Scene<'_, '_>, name: &str) -> String {
    let account = scene.number() % 100_000_000;
    format!("{name}-do-user-{account}-0.db.ondigitalocean.com")
}

fn list(scene: &Scene<'_, '_>, call: &Call) -> Answer {
    let wanted = call.query("tag_name");
    let shown: Vec<Value> = all(scene.txn.tables(), TABLE)
        .filter(|doc| wanted.is_none_or(|name| tag::has(doc, name)))
        .map(|doc| show(scene, doc))
        .collect();
    // Not paged.
    Ok(reply::json(200, &json!({ "databases": shown })))
}

fn options() -> Answer {
    let regions: Vec<&str> = catalog::REGIONS.iter().map(|(slug, ..)| *slug).collect();
    let sizes: Vec<&str> = catalog::DATABASE_SIZES.iter().map(|(s, _)| *s).collect();
    // A cluster of one node has no standby, so the smallest sizes are for it alone.
    let layouts = json!([
        {"num_nodes": 1, "sizes": sizes}, {"num_nodes": 2, "sizes": &sizes[1..]},
        {"num_nodes": 3, "sizes": &sizes[1..]},
    ]);
    let availability = catalog::MYSQL.map(
        |version| json!({"version": version, "end_of_life": null, "end_of_availability": null}),
    );
    Ok(reply::json(
        200,
        &json!({
            "options": {"mysql": {"regions": regions, "versions": catalog::MYSQL,
                "layouts": layouts}},
            "version_availability": {"mysql": availability},
        }),
    ))
}

fn create(scene: &mut Scene<'_, '_>, call: &Call) -> Answer {
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let name = field("name");
    check_name(scene, name)?;
    if field("engine") != "mysql" {
        return Err(ApiError::unprocessable("invalid engine"));
    }
    let region = region(field("region"))?;
    let size = field("size");
    let storage = storage(&body, size)?;
    let version = match field("version") {
        "" => catalog::MYSQL[0],
        asked => asked,
    };
    if !catalog::MYSQL.contains(&version) {
        return Err(ApiError::unprocessable("invalid engine version"));
    }
    let nodes = node_count(&body)?;
    let network = vpc::place(
        scene,
        body.get("private_network_uuid").and_then(Value::as_str),
        &region,
    )?;
    let tags = tag::of(&body)?.unwrap_or_default();
    let source = match body.get("backup_restore") {
        Some(restore) if !restore.is_null() => Some(backup::source(scene, restore, size)?),
        _ => None,
    };
    let id = scene.uuid();
    let rules = database_parts::rules(scene, &id, body.get("rules"), &[])?;
    let online = scene.after(if source.is_some() { COPY } else { CREATE });
    let admin = json!({"name": "doadmin", "role": "primary", "password": scene.password()});
    let (users, names) = contents(source.as_ref().map(|(doc, _)| doc), admin);
    let doc = json!({
        "id": id, "name": name, "engine": "mysql", "version": version,
        "semantic_version": if version == "8" { "8.0.45" } else { "8.4.8" },
        "num_nodes": nodes, "size": size, "region": region, "tags": tags,
        "private_network_uuid": network, "storage_size_mib": storage, "rules": rules,
        "project_id": scene.identity.project_id(), "host": host(scene, name),
        "users": users, "db_names": names, "forked": source.is_some(),
        "maintenance_window": {"day": "monday", "hour": "04:00:00", "pending": false},
        "events": ["cluster_create"],
        "created_ms": scene.now, "online_ms": online,
        "backup_ms": online + scene.scaled(backup::FIRST),
    });
    tag::ensure(scene, tags.iter().map(String::as_str));
    store(scene, TABLE, doc.clone());
    if let Some((source, at)) = source {
        mysql::restore(scene, &source, at, &id);
    }
    Ok(created(&id, &json!({ "database": show(scene, &doc) })))
}

// A fork has its source's users and databases, and an administrator of its own.
fn contents(source: Option<&Value>, admin: Value) -> (Vec<Value>, Value) {
    let mut users = vec![admin];
    let copied = source.and_then(|doc| doc["users"].as_array());
    users.extend(
        copied
            .into_iter()
            .flatten()
            .filter(|user| text(user, "name") != "doadmin")
            .cloned(),
    );
    let names = source.map_or_else(|| json!(["defaultdb"]), |doc| doc["db_names"].clone());
    (users, names)
}

fn delete(scene: &mut Scene<'_, '_>, id: &str) -> Answer {
    let doc = find(scene, id)?;
    let replicas: Vec<Value> = replica::of(scene, id).cloned().collect();
    for gone in &replicas {
        replica::remove(scene, gone);
    }
    scene.txn.delete(TABLE, id);
    mysql::forget(scene, id);
    vpc::leave(scene, "dbaas", &doc, text(&doc, "private_network_uuid"));
    Ok(reply::empty(204))
}

fn resize(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let (table, mut doc) = either(scene, id)?;
    if status(scene, &doc) != "online" {
        return Err(ApiError::precondition("cluster is not ready"));
    }
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let size = body.get("size").and_then(Value::as_str).unwrap_or("");
    let nodes = node_count(&body)?;
    let storage = match body.get("storage_size_mib") {
        Some(_) => storage(&body, size)?,
        None => storage(&body, size)?.max(doc["storage_size_mib"].as_u64().unwrap_or(0)),
    };
    if storage < doc["storage_size_mib"].as_u64().unwrap_or(0) {
        return Err(ApiError::unprocessable("storage cannot be reduced"));
    }
    doc["size"] = json!(size);
    doc["storage_size_mib"] = json!(storage);
    if table == TABLE {
        doc["num_nodes"] = json!(nodes);
    }
    doc["resized_ms"] = json!(scene.after(RESIZE));
    store(scene, table, doc);
    Ok(reply::empty(202))
}

fn migrate(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut doc = online(scene, id)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let region = region(field("region").unwrap_or(""))?;
    let network = vpc::place(scene, field("private_network_uuid"), &region)?;
    vpc::leave(scene, "dbaas", &doc, text(&doc, "private_network_uuid"));
    doc["region"] = json!(region);
    doc["private_network_uuid"] = json!(network);
    doc["migrated_ms"] = json!(scene.after(MIGRATE));
    store(scene, TABLE, doc);
    Ok(reply::empty(202))
}

/// A known region, however it is spelled.
pub(super) fn region(asked: &str) -> Result<String, ApiError> {
    let region = asked.to_lowercase();
    if catalog::is_region(&region) {
        return Ok(region);
    }
    Err(ApiError::unprocessable("invalid region"))
}

/// The storage of a database of a size: what is asked for, or what the size brings.
pub(super) fn storage(body: &Map<String, Value>, size: &str) -> Result<u64, ApiError> {
    let least = catalog::DATABASE_SIZES
        .iter()
        .find(|(slug, _)| *slug == size)
        .map(|(_, storage)| *storage)
        .ok_or_else(|| ApiError::unprocessable("invalid size"))?;
    match body.get("storage_size_mib").map(Value::as_u64) {
        None => Ok(least),
        Some(Some(asked)) if asked >= least => Ok(asked),
        Some(_) => Err(ApiError::unprocessable("invalid storage size")),
    }
}

fn node_count(body: &Map<String, Value>) -> Result<u64, ApiError> {
    match body.get("num_nodes").and_then(Value::as_u64) {
        Some(nodes @ 1..=3) => Ok(nodes),
        _ => Err(ApiError::unprocessable("invalid number of nodes")),
    }
}
