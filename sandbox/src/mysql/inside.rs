//! What a MySQL client in a cluster learns of a database, as a Job prints it: a program is not run here, so what
//! it would see is said in its place, as `name=value` lines.

use serde_json::Value;

use crate::call::text;
use crate::digitalocean::login;
use crate::world::Tables;

use super::{authority, heartbeat, replication};

/// What a connection is verified with.
pub(crate) struct Trust<'a> {
    /// The authorities of the client, PEM.
    pub(crate) authority: &'a str,
}

/// The lines about one server that lets the client in.
pub(crate) fn lines(tables: &Tables, now: u64, id: &str, trust: &Trust<'_>) -> String {
    let Some(doc) = login::by_id(tables, id) else {
        return refused("Can't connect to MySQL server");
    };
    let own = authority::known(tables).is_some_and(|pem| pem.trim() == trust.authority.trim());
    match doc["certificate"].as_str() {
        _ if !own => return refused("certificate verify failed"),
        Some("other_authority") => return refused("certificate verify failed"),
        Some("other_name") => return refused("certificate is for another name"),
        _ => {}
    }
    let read_only = u8::from(!login::writable(doc));
    let beat = replication::layers(doc, now)
        .iter()
        .find_map(|layer| heartbeat::row(tables, &layer.id, layer.until));
    let beat = match &beat {
        Some((_, row)) => row.get("ts").and_then(Value::as_str).unwrap_or_default(),
        None => "ERROR 1146 (42S02) at line 1: Table 'heartbeat.heartbeat' doesn't exist",
    };
    let at = now as f64 / 1000.0;
    let status = replication::status(tables, doc, false);
    let place = status
        .columns
        .iter()
        .position(|c| c == "Seconds_Behind_Source");
    let figure = place.and_then(|place| status.rows.first()?.get(place).cloned());
    let behind = match figure {
        None => String::new(),
        Some(Value::Null) => "NULL".to_owned(),
        Some(other) => other.to_string(),
    };
    format!(
        "version=8.0.45\nother_authority=refused\nother_name=refused\nread_only={read_only}\n\
         heartbeat={beat}\nat={at:.3}\nbehind={behind}\n"
    )
}

fn refused(why: &str) -> String {
    format!("failed=ERROR 2026 (HY000): SSL connection error: {why}\n")
}

/// Whether a container is such a client: nothing but the client's image, with a script that asks for the version and
/// says what it learns in the termination message.
pub(crate) fn is_client(pod: &Value) -> bool {
    let container = &pod["spec"]["containers"][0];
    let image = text(container, "image");
    let last = image.rsplit('/').next().unwrap_or(image);
    let script = container["args"][0].as_str().unwrap_or_default();
    last.split([':', '@']).next() == Some("mysql")
        && ["SELECT VERSION()", "/dev/termination-log"]
            .iter()
            .all(|part| script.contains(part))
}
