//! How a replica follows its source, and what it says about that.
//!
//! A replica's state is a field of its document: `replication.mode` is `running` (behind by
//! `lag_seconds`), `broken` (its connection to the source has ended and it says so) or `frozen` (it
//! has stopped and claims to be up to date, as the vendor's figure does while a link is cut).

use serde_json::{Value, json};

use crate::call::text;
use crate::digitalocean::login;
use crate::world::Tables;

use super::outcome::Rows;
use super::rows::Layer;

/// The layers of a database: its own writes, under them what has arrived from its source.
pub(super) fn layers(doc: &Value, now: u64) -> Vec<Layer> {
    let own = Layer {
        id: text(doc, "id").to_owned(),
        until: now,
    };
    match doc["parent_id"].as_str() {
        None => vec![own],
        Some(parent) => vec![
            Layer {
                id: parent.to_owned(),
                until: arrived(doc, now),
            },
            own,
        ],
    }
}

fn mode(doc: &Value) -> &str {
    doc["replication"]["mode"].as_str().unwrap_or("running")
}

fn lag(doc: &Value) -> u64 {
    doc["replication"]["lag_seconds"].as_u64().unwrap_or(0)
}

/// Up to when a replica has its source's writes.
fn arrived(doc: &Value, now: u64) -> u64 {
    let stopped = match mode(doc) {
        "running" => None,
        _ => doc["replication"]["stopped_ms"].as_u64(),
    };
    let behind = lag(doc).saturating_mul(1000);
    stopped.unwrap_or(now).min(now).saturating_sub(behind)
}

/// The answer to `SHOW REPLICA STATUS`, or in the old words to `SHOW SLAVE STATUS`.
pub(super) fn status(tables: &Tables, doc: &Value, old_words: bool) -> Rows {
    if !doc["parent_id"].is_string() {
        return Rows {
            columns: columns(old_words),
            rows: Vec::new(),
        };
    }
    let source = login::owner(tables, doc);
    let broken = mode(doc) == "broken";
    let behind = match mode(doc) {
        "broken" => Value::Null,
        "frozen" => json!(0),
        _ => json!(lag(doc)),
    };
    let (state, running, number, error) = match broken {
        true => (
            "",
            "No",
            2003,
            "error connecting to source: connection refused",
        ),
        false => ("Waiting for source to send event", "Yes", 0, ""),
    };
    let row = vec![
        json!(state),
        json!(text(source, "host")),
        json!("replicator"),
        json!(login::PORT),
        json!(60),
        json!(running),
        json!("Yes"),
        behind,
        json!(number),
        json!(error),
        json!(0),
        json!(""),
        json!("Replica has read all relay log; waiting for more updates"),
        json!("Yes"),
        json!(1),
        json!(""),
    ];
    Rows {
        columns: columns(old_words),
        rows: vec![row],
    }
}

fn columns(old_words: bool) -> Vec<String> {
    let names = [
        "Replica_IO_State",
        "Source_Host",
        "Source_User",
        "Source_Port",
        "Connect_Retry",
        "Replica_IO_Running",
        "Replica_SQL_Running",
        "Seconds_Behind_Source",
        "Last_IO_Errno",
        "Last_IO_Error",
        "Last_SQL_Errno",
        "Last_SQL_Error",
        "Replica_SQL_Running_State",
        "Source_SSL_Allowed",
        "Auto_Position",
        "Channel_Name",
    ];
    let worded = |name: &str| match old_words {
        true => name.replace("Replica", "Slave").replace("Source", "Master"),
        false => name.to_owned(),
    };
    names.into_iter().map(worded).collect()
}
