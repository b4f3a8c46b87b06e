//! The heartbeat of a writer: a time a second in `heartbeat.heartbeat`.
//!
//! It is written by a ready pod called `…heartbeat…` whose environment names the database and that the
//! database lets in, or because the control API says so. Only when it began and ended is stored; the
//! row at any time follows from that, so it goes on while nobody asks the sandbox.

use serde_json::{Value, json};

use crate::call::{Scene, text};
use crate::digitalocean::login;
use crate::kubernetes::database_of_pod;
use crate::world::Tables;

use super::evaluate::time_text;
use super::rows::{Column, Row};
use super::variables::server_id;

pub(super) const SCHEMA: &str = "heartbeat";
pub(super) const TABLE: &str = "heartbeat";

fn table(id: &str) -> String {
    format!("mysql/{id}/beats")
}

/// Notes which heartbeats have begun and ended.
pub(crate) fn settle(scene: &mut Scene<'_, '_>) {
    let tables = scene.txn.tables();
    let beating = beating(tables, scene.now);
    let mut changes = Vec::new();
    for doc in login::everything(tables) {
        let id = text(doc, "id");
        let last = tables.list(&table(id)).last();
        let open = last.filter(|(_, beat)| beat["to_ms"].is_null());
        match (open, beating.iter().any(|b| b == id)) {
            (None, true) => {
                let key = format!("{:020}", tables.revision());
                changes.push((table(id), key, json!({"from_ms": scene.now, "to_ms": null})));
            }
            (Some((key, beat)), false) => {
                let mut beat = beat.clone();
                beat["to_ms"] = json!(scene.now);
                changes.push((table(id), key.clone(), beat));
            }
            _ => {}
        }
    }
    for (table, key, beat) in changes {
        scene.txn.put(&table, &key, beat);
    }
}

/// The databases that somebody writes a heartbeat into.
fn beating(tables: &Tables, now: u64) -> Vec<String> {
    let told = login::everything(tables).filter(|doc| doc["heartbeat"] == true);
    let mut out: Vec<String> = told
        .filter(|doc| login::writable(doc))
        .map(|doc| text(doc, "id").to_owned())
        .collect();
    let pods: Vec<&String> = tables
        .names("kubernetes/")
        .filter(|name| name.ends_with("/core/pods"))
        .collect();
    for name in pods {
        let cluster = name.split('/').nth(1).unwrap_or_default();
        let pods = tables
            .list(name)
            .filter(|(key, _)| key.contains("heartbeat"));
        out.extend(pods.filter_map(|(_, pod)| database_of_pod(tables, now, cluster, pod)));
    }
    out
}

/// Whether a database ever had a heartbeat that is visible at a time.
pub(super) fn began(tables: &Tables, id: &str, until: u64) -> bool {
    row(tables, id, until).is_some()
}

/// The heartbeat's row as it was at a time.
pub(super) fn row(tables: &Tables, id: &str, until: u64) -> Option<(u64, Row)> {
    let table = table(id);
    let beats = tables.list(&table);
    let begun = beats.filter(|(_, beat)| beat["from_ms"].as_u64().is_some_and(|at| at <= until));
    let (_, beat) = begun.last()?;
    let at = beat["to_ms"].as_u64().map_or(until, |end| end.min(until));
    let at = (at / 1000 * 1000).max(beat["from_ms"].as_u64().unwrap_or(0));
    let ts = time_text(at, 6).replace(' ', "T");
    let mut row = Row::new();
    row.insert("ts".to_owned(), json!(ts));
    row.insert("server_id".to_owned(), json!(server_id(id)));
    Some((at, row))
}

/// What the table is like that the writer makes.
pub(super) fn columns() -> Vec<Column> {
    let column = |name: &str, kind: &str, key: bool| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        key,
        nullable: false,
        auto: false,
        default: None,
    };
    vec![
        column("ts", "VARCHAR(26)", false),
        column("server_id", "INT UNSIGNED", true),
    ]
}

/// Whether a heartbeat is written now.
pub(crate) fn is_on(tables: &Tables, doc: &Value) -> bool {
    let last = tables.list(&table(text(doc, "id"))).last();
    last.is_some_and(|(_, beat)| beat["to_ms"].is_null())
}
