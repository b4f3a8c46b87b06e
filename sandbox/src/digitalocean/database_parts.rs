//! What is inside a database cluster: users, databases, trusted sources, certificate, settings.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, rfc3339, text};
use crate::mysql::authority;
use crate::reply;

use super::error::ApiError;
use super::{Answer, cluster, database, wrong_method};

const RULE_TYPES: [&str; 5] = ["droplet", "k8s", "ip_addr", "tag", "app"];

pub(super) fn answer(
    scene: &mut Scene<'_, '_>,
    call: &Call,
    id: &str,
    part: &str,
    rest: &[&str],
) -> Answer {
    match (part, rest) {
        ("firewall", []) => firewall(scene, call, id),
        ("users", rest) => users(scene, call, id, rest),
        ("dbs", rest) => dbs(scene, call, id, rest),
        ("ca", []) => {
            database::either(scene, id)?;
            use base64::Engine;
            let made = authority::certificate(scene.txn).map_err(|_| {
                ApiError::new(500, "server_error", "the certificate cannot be made")
            })?;
            let certificate = base64::engine::general_purpose::STANDARD.encode(made);
            let ca = json!({ "certificate": certificate });
            Ok(reply::json(200, &json!({ "ca": ca })))
        }
        ("events", []) => events(scene, id),
        ("config", []) => config(scene, call, id),
        ("sql_mode", []) => sql_mode(scene, call, id),
        ("maintenance", []) => maintenance(scene, call, id),
        _ => Err(ApiError::not_found()),
    }
}

/// Trusted sources as they are stored: what is asked for, with the server's own fields. A rule
/// that names the uuid of an old one keeps that one's fields.
pub(super) fn rules(
    scene: &mut Scene<'_, '_>,
    id: &str,
    asked: Option<&Value>,
    old: &[Value],
) -> Result<Value, ApiError> {
    let asked = asked.and_then(Value::as_array).cloned().unwrap_or_default();
    if asked.len() > 100 {
        return Err(ApiError::unprocessable("too many firewall rules"));
    }
    let mut stored = Vec::new();
    for rule in asked {
        let (kind, value) = (text(&rule, "type"), text(&rule, "value"));
        if !RULE_TYPES.contains(&kind) || value.is_empty() {
            return Err(ApiError::unprocessable("invalid firewall rule"));
        }
        if kind == "ip_addr" && value.contains(':') {
            let message = "invalid firewall rule: IPv6 addresses are not supported";
            return Err(ApiError::unprocessable(message));
        }
        let uuid = text(&rule, "uuid");
        let same = |other: &&Value| {
            let named = !uuid.is_empty() && text(other, "uuid") == uuid;
            named
                || (uuid.is_empty() && text(other, "type") == kind && text(other, "value") == value)
        };
        let kept = old.iter().find(same);
        // A rule that is there already outlives the cluster it names.
        if kind == "k8s" && kept.is_none() && cluster::find(scene, value).is_err() {
            let message = "invalid firewall rule: the kubernetes cluster does not exist";
            return Err(ApiError::unprocessable(message));
        }
        let mut new = json!({"type": kind, "value": value, "cluster_uuid": id});
        if let Some(Value::String(description)) = rule.get("description") {
            new["description"] = json!(description);
        }
        new["uuid"] = kept.map_or_else(|| json!(scene.uuid()), |rule| rule["uuid"].clone());
        new["created_at"] = kept.map_or_else(
            || json!(rfc3339(scene.now)),
            |rule| rule["created_at"].clone(),
        );
        stored.push(new);
    }
    // The vendor keeps no order either.
    stored.sort_by(|a, b| text(a, "uuid").cmp(text(b, "uuid")));
    Ok(Value::from(stored))
}

fn firewall(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let (table, mut doc) = database::either(scene, id)?;
    match call.method {
        Method::GET => Ok(reply::json(200, &json!({"rules": doc["rules"]}))),
        Method::PUT => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let old = doc["rules"].as_array().cloned().unwrap_or_default();
            doc["rules"] = rules(scene, id, body.get("rules"), &old)?;
            database::store(scene, table, doc);
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

fn users(scene: &mut Scene<'_, '_>, call: &Call, id: &str, rest: &[&str]) -> Answer {
    let doc = if call.method == Method::GET {
        database::find(scene, id)?
    } else {
        database::online(scene, id)?
    };
    let missing = || ApiError::new(404, "not_found", "user does not exist");
    let mut users = doc["users"].as_array().cloned().unwrap_or_default();
    let at = |name: &str| users.iter().position(|user| text(user, "name") == name);
    match (&call.method, rest) {
        (&Method::GET, []) => {
            users
                .iter_mut()
                .for_each(|user| database::hide(scene, user));
            Ok(reply::json(200, &json!({ "users": users })))
        }
        (&Method::GET, [name]) => {
            let mut user = users.remove(at(name).ok_or_else(missing)?);
            database::hide(scene, &mut user);
            Ok(reply::json(200, &json!({ "user": user })))
        }
        (&Method::POST, []) => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let user = new_user(scene, &body)?;
            if at(text(&user, "name")).is_some() {
                return Err(ApiError::unprocessable("user already exists"));
            }
            users.push(user.clone());
            put(scene, doc, "users", json!(users));
            Ok(reply::json(201, &json!({ "user": user })))
        }
        (&Method::POST, [name, "reset_auth"]) => {
            let at = at(name).ok_or_else(missing)?;
            users[at]["password"] = json!(scene.password());
            let body = call.object().ok_or_else(ApiError::malformed)?;
            if let Some(settings) = body.get("mysql_settings") {
                users[at]["mysql_settings"] = settings.clone();
            }
            let user = users[at].clone();
            put(scene, doc, "users", json!(users));
            Ok(reply::json(200, &json!({ "user": user })))
        }
        (&Method::DELETE, ["doadmin"]) => Err(ApiError::unprocessable(
            "the default user cannot be deleted",
        )),
        (&Method::DELETE, [name]) => {
            users.remove(at(name).ok_or_else(missing)?);
            put(scene, doc, "users", json!(users));
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

fn new_user(scene: &mut Scene<'_, '_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or("");
    check_part_name(name)?;
    let default = json!({"auth_plugin": "caching_sha2_password"});
    let settings = body.get("mysql_settings").unwrap_or(&default);
    Ok(
        json!({"name": name, "role": "normal", "password": scene.password(),
        "mysql_settings": settings}),
    )
}

fn dbs(scene: &mut Scene<'_, '_>, call: &Call, id: &str, rest: &[&str]) -> Answer {
    let doc = if call.method == Method::GET {
        database::find(scene, id)?
    } else {
        database::online(scene, id)?
    };
    let missing = || ApiError::new(404, "not_found", "database does not exist");
    let mut names = doc["db_names"].as_array().cloned().unwrap_or_default();
    let at = |name: &str| names.iter().position(|known| known == name);
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let dbs: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            Ok(reply::json(200, &json!({ "dbs": dbs })))
        }
        (&Method::GET, [name]) => {
            at(name).ok_or_else(missing)?;
            Ok(reply::json(200, &json!({"db": {"name": name}})))
        }
        (&Method::POST, []) => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let name = body.get("name").and_then(Value::as_str).unwrap_or("");
            check_part_name(name)?;
            if at(name).is_some() {
                return Err(ApiError::unprocessable("database already exists"));
            }
            names.push(json!(name));
            put(scene, doc, "db_names", json!(names));
            Ok(reply::json(201, &json!({"db": {"name": name}})))
        }
        (&Method::DELETE, [name]) => {
            names.remove(at(name).ok_or_else(missing)?);
            put(scene, doc, "db_names", json!(names));
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

fn check_part_name(name: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
        return Err(ApiError::unprocessable("invalid name"));
    }
    Ok(())
}

fn put(scene: &mut Scene<'_, '_>, mut doc: Value, field: &str, value: Value) {
    doc[field] = value;
    database::store(scene, database::TABLE, doc);
}

fn events(scene: &Scene<'_, '_>, id: &str) -> Answer {
    let (_, doc) = database::either(scene, id)?;
    let kinds = doc["events"].as_array().into_iter().flatten();
    let events: Vec<Value> = kinds
        .enumerate()
        .map(|(n, kind)| {
            json!({"id": format!("{}-{n}", &id[..8.min(id.len())]), "cluster_name": doc["name"],
                "event_type": kind,
                "create_time": rfc3339(doc["created_ms"].as_u64().unwrap_or(0))})
        })
        .collect();
    Ok(reply::json(200, &json!({ "events": events })))
}

fn config(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut doc = database::find(scene, id)?;
    if !doc["config"].is_object() {
        doc["config"] = json!({"sql_require_primary_key": true, "binlog_retention_period": 600});
    }
    match call.method {
        Method::GET => Ok(reply::json(200, &json!({"config": doc["config"]}))),
        Method::PATCH => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let changes = body.get("config").and_then(Value::as_object);
            let changes = changes.ok_or_else(|| ApiError::unprocessable("config is required"))?;
            for (name, value) in changes {
                doc["config"][name] = value.clone();
            }
            database::store(scene, database::TABLE, doc);
            Ok(reply::empty(200))
        }
        _ => Err(wrong_method()),
    }
}

fn sql_mode(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut doc = database::find(scene, id)?;
    match call.method {
        Method::GET => {
            let default = "ANSI,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
                           NO_ZERO_DATE,NO_ZERO_IN_DATE,STRICT_ALL_TABLES";
            let mode = doc["sql_mode"].as_str().unwrap_or(default);
            Ok(reply::json(200, &json!({ "sql_mode": mode })))
        }
        Method::PUT => {
            let body = call.object().ok_or_else(ApiError::malformed)?;
            let mode = body.get("sql_mode").and_then(Value::as_str);
            let mode = mode.ok_or_else(|| ApiError::unprocessable("sql_mode is required"))?;
            doc["sql_mode"] = json!(mode);
            database::store(scene, database::TABLE, doc);
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

fn maintenance(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let (table, mut doc) = database::either(scene, id)?;
    if call.method != Method::PUT {
        return Err(wrong_method());
    }
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let (day, hour) = (field("day").to_lowercase(), field("hour"));
    if day.is_empty() || hour.is_empty() {
        return Err(ApiError::unprocessable("day and hour are required"));
    }
    // Seconds are added where they are missing, as the vendor does.
    let seconds = if hour.matches(':').count() == 1 {
        ":00"
    } else {
        ""
    };
    let hour = format!("{hour}{seconds}");
    doc["maintenance_window"] = json!({"day": day, "hour": hour, "pending": false});
    database::store(scene, table, doc);
    Ok(reply::empty(204))
}
