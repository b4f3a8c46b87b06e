//! Backups and the clusters that have them, as the vendor's lists show them.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{ErrorClass, ProviderError, Status};
use zonewright_engine::restore::{Backup, Cluster};
use zonewright_engine::schema::HandRestore;
use zonewright_engine::secret::Secret;

use super::database_cluster::status;
use crate::probe::mysql::Server;

/// A database cluster.
pub(super) fn cluster(listed: &Json) -> Result<Cluster, ProviderError> {
    Ok(Cluster {
        id: text(listed, "id")?,
        name: text(listed, "name")?,
        size: text(listed, "size")?,
        region: text(listed, "region")?,
    })
}

/// The administrator's connection.
pub(super) fn server(item: &Json) -> Result<Server, ProviderError> {
    let name = text(item, "name")?;
    if let Status::Pending(state) = status(item) {
        let message = format!("{name} is not ready: {state}");
        return Err(ProviderError::new(
            ErrorClass::NotYet { after: None },
            message,
        ));
    }
    let connection = &item["connection"];
    let secret = |what: &str, value: String| Secret::new(format!("{what} of {name}"), value, None);
    let port = connection["port"]
        .as_u64()
        .and_then(|p| u16::try_from(p).ok());
    Ok(Server {
        host: text(connection, "host")?,
        port: port.ok_or_else(|| strange("port"))?,
        address: None,
        user: secret("the administrator", text(connection, "user")?),
        // Without the right to see it, the vendor leaves it empty.
        password: secret("the password", text(connection, "password")?),
        authority: secret("the authority", text(item, "@ca")?),
        database: None,
    })
}

/// A backup. Its time is its identity: one that cannot be read is not left out in silence.
pub(super) fn backup(listed: &Json) -> Result<Backup, ProviderError> {
    let created_at = text(listed, "created_at")?;
    let at: Timestamp = created_at
        .parse()
        .map_err(|_| strange("created_at of a backup"))?;
    Ok(Backup {
        at: u64::try_from(at.as_second()).map_err(|_| strange("created_at of a backup"))?,
        created_at,
        size_gigabytes: listed["size_gigabytes"].as_f64(),
        incremental: listed["incremental"] == true,
    })
}

/// The request that makes a new cluster of a backup. zonewright does not send it itself yet.
pub(super) fn restore_by_hand(order: &HandRestore<'_>) -> Vec<String> {
    let source = order.source.to_json();
    let mut body = json!({
        "name": order.name,
        "size": order.size,
        "region": order.region,
        "engine": source["engine"],
        "version": source["version"],
        "num_nodes": source["num_nodes"],
        "backup_restore": {"database_name": source["name"], "backup_created_at": order.backup},
    });
    if source["vpc"].is_string() {
        body["private_network_uuid"] = source["vpc"].clone();
    }
    let mut keep: Vec<&str> = order.expansions.iter().map(String::as_str).collect();
    keep.push(order.backup);
    vec![
        format!(
            "curl -sS --fail-with-body -X POST -H \"Authorization: Bearer {}\" \\",
            order.token
        ),
        "  -H 'Content-Type: application/json' https://api.digitalocean.com/v2/databases -d @- <<JSON"
            .to_owned(),
        in_here_document(&body, &keep),
        "JSON".to_owned(),
    ]
}

/// JSON as a here-document takes it: the shell expands what is wanted, and nothing else.
fn in_here_document(body: &Json, keep: &[&str]) -> String {
    match body {
        Json::String(text) if keep.contains(&text.as_str()) => format!("\"{text}\""),
        Json::Object(map) => {
            let entries = map.iter().map(|(key, value)| {
                format!(
                    "{}: {}",
                    Json::from(key.as_str()),
                    in_here_document(value, keep)
                )
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => {
            let plain = other.to_string();
            plain
                .replace('\\', r"\\")
                .replace('$', r"\$")
                .replace('`', r"\`")
        }
    }
}

fn text(listed: &Json, key: &str) -> Result<String, ProviderError> {
    let found = listed[key].as_str().map(str::to_owned);
    found.ok_or_else(|| strange(key))
}

fn strange(what: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Bug, format!("the reply has no usable {what}"))
}

#[cfg(test)]
mod tests {
    use zonewright_engine::value::Value;

    use super::*;

    #[test]
    fn the_shell_expands_what_is_wanted_and_nothing_else() {
        let map = [
            ("name", "db$(rm)`x`\\\""),
            ("engine", "mysql"),
            ("version", "8"),
            ("vpc", "$(zonewright output bz/x.y.z)"),
        ];
        let source = map.map(|(k, v)| (k.to_owned(), Value::text(v)));
        let lines = restore_by_hand(&HandRestore {
            token: "$TOKEN",
            backup: "$BACKUP",
            source: &Value::Map(source.into()),
            expansions: &["$(zonewright output bz/x.y.z)".to_owned()],
            name: "db-bz",
            size: "s",
            region: "r",
        });
        assert_eq!(
            lines[0],
            "curl -sS --fail-with-body -X POST -H \"Authorization: Bearer $TOKEN\" \\"
        );
        let body = &lines[2];
        assert!(
            body.contains("\"backup_created_at\": \"$BACKUP\""),
            "{body}"
        );
        assert!(body.contains("\"$(zonewright output bz/x.y.z)\""), "{body}");
        assert!(
            body.contains(r#""database_name": "db\$(rm)\`x\`\\\\\\""#),
            "{body}"
        );
    }
}
