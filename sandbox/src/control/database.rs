//! How a database behaves: replication, read-only, the certificate that it shows.

use bytes::Bytes;
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Scene, text};
use crate::digitalocean::{self, login};
use crate::mysql::heartbeat;
use crate::reply::{self, Body};

/// What is to be changed of a database; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// What a replica does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// How far a replica is behind its source, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Whether it refuses writes: a replica as a rule, a writer when its disk is nearly full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Which certificate is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Whether a writer's heartbeat is written, whatever runs in the clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<bool>,
    /// Whether a writer is backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// From now on no backup is made any more, and the newest is so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_age_seconds: Option<u64>,
}

/// Whether a database is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backups {
    /// Every day.
    Daily,
    /// There is none.
    None,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// It follows its source, as far behind as it is told.
    Running,
    /// It has lost its source and says so.
    Broken,
    /// It has stopped, and claims to be no second behind: the lie of the vendor's figure.
    Frozen,
}

/// Which certificate a database shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// The right one.
    Right,
    /// One by another authority of the same name.
    OtherAuthority,
    /// One for another host.
    OtherName,
}

/// All databases with their behaviour.
pub(super) fn list(scene: &Scene<'_, '_>) -> Response<Body> {
    let tables = scene.txn.tables();
    let shown = login::everything(tables).map(|doc| {
        let mut shown = show(doc);
        shown["heartbeat"] = json!(heartbeat::is_on(tables, doc));
        shown
    });
    let all: Vec<Value> = shown.collect();
    reply::json(200, &Value::Array(all))
}

/// Changes a database that is named by id or name.
pub(super) fn change(scene: &mut Scene<'_, '_>, named: &str, body: &Bytes) -> Response<Body> {
    let behaviour: Behaviour = match serde_json::from_slice(body) {
        Ok(behaviour) => behaviour,
        Err(error) => return super::refuse(400, &error.to_string()),
    };
    let found = login::everything(scene.txn.tables())
        .find(|doc| text(doc, "id") == named || text(doc, "name") == named);
    let Some(mut doc) = found.cloned() else {
        return super::refuse(404, "no such database");
    };
    let of_replica = behaviour.replication.is_some() || behaviour.lag_seconds.is_some();
    if of_replica && !doc["parent_id"].is_string() {
        return super::refuse(400, "only a replica has a source");
    }
    let of_writer = behaviour.backups.is_some() || behaviour.backup_age_seconds.is_some();
    if of_writer && doc["parent_id"].is_string() {
        return super::refuse(400, "a replica has no backups of its own");
    }
    if let Some(backups) = behaviour.backups {
        doc["backups"] = match backups {
            Backups::Daily => Value::Null,
            Backups::None => json!({ "newest_ms": null }),
        };
    }
    if let Some(age) = behaviour.backup_age_seconds {
        let newest = scene.now.saturating_sub(age.saturating_mul(1000));
        doc["backups"] = json!({ "newest_ms": newest });
    }
    if let Some(mode) = behaviour.replication {
        let stopped = doc["replication"]["stopped_ms"]
            .as_u64()
            .unwrap_or(scene.now);
        doc["replication"]["mode"] = json!(mode);
        doc["replication"]["stopped_ms"] = match mode {
            Replication::Running => Value::Null,
            Replication::Broken | Replication::Frozen => json!(stopped),
        };
        if mode == Replication::Running {
            doc["replication"]["lag_seconds"] = json!(0);
        }
    }
    if let Some(lag) = behaviour.lag_seconds {
        doc["replication"]["lag_seconds"] = json!(lag);
    }
    if let Some(read_only) = behaviour.read_only {
        doc["replication"]["read_only"] = json!(read_only);
    }
    if let Some(certificate) = behaviour.certificate {
        doc["certificate"] = json!(certificate);
    }
    if let Some(heartbeat) = behaviour.heartbeat {
        doc["heartbeat"] = json!(heartbeat);
    }
    let mut shown = show(&doc);
    shown["heartbeat"] = json!(doc["heartbeat"] == true);
    digitalocean::keep_database(scene, doc);
    reply::json(200, &shown)
}

fn show(doc: &Value) -> Value {
    let mut shown = json!({
        "id": doc["id"], "name": doc["name"], "host": doc["host"],
        "certificate": doc["certificate"].as_str().unwrap_or("right"),
    });
    if doc["parent_id"].is_string() {
        let state = &doc["replication"];
        shown["source"] = doc["parent_id"].clone();
        shown["replication"] = json!(state["mode"].as_str().unwrap_or("running"));
        shown["lag_seconds"] = json!(state["lag_seconds"].as_u64().unwrap_or(0));
    }
    if doc["parent_id"].is_string() || !login::writable(doc) {
        shown["read_only"] = json!(!login::writable(doc));
    }
    shown
}
