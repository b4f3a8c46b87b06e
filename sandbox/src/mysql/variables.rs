//! System variables, as far as clients and checks ask for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::text;
use crate::digitalocean::login;

use super::outcome::SqlError;

/// The number of a server, which follows from its id.
pub(super) fn server_id(id: &str) -> u32 {
    u32::from_str_radix(id.get(..8).unwrap_or("1"), 16).unwrap_or(1)
}

/// What a statement can ask about its session and server.
pub(super) struct Variables {
    pub(super) now: u64,
    pub(super) user: String,
    pub(super) schema: Option<String>,
    pub(super) connection: u32,
    pub(super) autocommit: bool,
    /// Variables of the user's own, with their `@`.
    pub(super) own: BTreeMap<String, Value>,
    system: BTreeMap<&'static str, Value>,
}

impl Variables {
    /// The variables on a database.
    pub(super) fn on(doc: &Value, now: u64) -> Variables {
        let read_only = i64::from(!login::writable(doc));
        let id = text(doc, "id");
        let version = text(doc, "semantic_version");
        let system = [
            ("read_only", json!(read_only)),
            ("super_read_only", json!(read_only)),
            ("version", json!(version)),
            ("version_comment", json!("zonewright sandbox")),
            ("server_id", json!(server_id(id))),
            ("server_uuid", json!(id)),
            ("hostname", json!(text(doc, "host"))),
            ("port", json!(login::PORT)),
            ("socket", Value::Null),
            ("max_allowed_packet", json!(1 << 20)),
            ("wait_timeout", json!(28_800)),
            ("interactive_timeout", json!(28_800)),
            ("net_write_timeout", json!(60)),
            ("require_secure_transport", json!(1)),
            ("have_ssl", json!("YES")),
            ("gtid_mode", json!("ON")),
            ("time_zone", json!("+00:00")),
            ("system_time_zone", json!("UTC")),
            ("sql_mode", json!("STRICT_ALL_TABLES")),
            ("tx_isolation", json!("REPEATABLE-READ")),
            ("transaction_isolation", json!("REPEATABLE-READ")),
            ("transaction_read_only", json!(0)),
            ("lower_case_table_names", json!(0)),
            ("character_set_client", json!("utf8mb4")),
            ("character_set_connection", json!("utf8mb4")),
            ("character_set_results", json!("utf8mb4")),
            ("character_set_server", json!("utf8mb4")),
            ("collation_connection", json!("utf8mb4_general_ci")),
            ("collation_server", json!("utf8mb4_general_ci")),
        ];
        Variables {
            now,
            user: String::new(),
            schema: None,
            connection: 0,
            autocommit: true,
            own: BTreeMap::new(),
            system: system.into(),
        }
    }

    /// The value of `@name` or `@@name`.
    pub(super) fn get(&self, name: &str) -> Result<Value, SqlError> {
        let Some(system) = name.strip_prefix("@@") else {
            let own = self.own.get(&name.to_lowercase());
            return Ok(own.cloned().unwrap_or_default());
        };
        let name = system.rsplit('.').next().unwrap_or(system).to_lowercase();
        if name == "autocommit" {
            return Ok(json!(i64::from(self.autocommit)));
        }
        self.system.get(name.as_str()).cloned().ok_or_else(|| {
            SqlError::new(1193, "HY000", format!("Unknown system variable '{name}'"))
        })
    }

    /// All system variables, as `SHOW VARIABLES` writes them.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let switches = [
            "read_only",
            "super_read_only",
            "require_secure_transport",
            "transaction_read_only",
        ];
        self.system.iter().map(move |(name, value)| {
            let shown = match value.as_i64() {
                Some(on) if switches.contains(name) => json!(if on == 1 { "ON" } else { "OFF" }),
                _ => value.clone(),
            };
            (*name, shown)
        })
    }
}
