//! The writer of the heartbeat: an ordinary Deployment for the zone that serves. It listens to nobody.
//!
//! A time a second in UTC, written where the data is, is the only measure of replication lag that does not
//! lie while the link is cut. The connection verifies the database's certificate and name.

use serde_json::{Value as Json, json};

use super::yaml;
use crate::declared::{Access, Declared, Entry};
use crate::observe::Inputs;

/// The image of a client that knows `VERIFY_IDENTITY`, by its full version.
pub const IMAGE: &str = "mysql:8.4.7";

/// One connection takes the statements as they come; when it ends, the next line has nobody to go to and
/// the container starts again.
const SCRIPT: &str = r#"set -eu
export MYSQL_PWD="$DB_PASSWORD"
{
  echo "CREATE DATABASE IF NOT EXISTS heartbeat;"
  echo "CREATE TABLE IF NOT EXISTS heartbeat.heartbeat (ts varchar(26) NOT NULL, server_id int unsigned NOT NULL PRIMARY KEY);"
  # Rows of a former writer would stay, and look like lag.
  echo "DELETE FROM heartbeat.heartbeat WHERE server_id <> @@server_id;"
  while :; do
    echo "REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES (DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f'), @@server_id);"
    sleep 1
  done
} | mysql --host="${DB_HOST%:*}" --port="${DB_HOST##*:}" --user="$DB_USER" \
  --ssl-mode=VERIFY_IDENTITY --ssl-ca=/etc/db-ca/ca.crt --connect-timeout=5 --batch
"#;

const HEADER: &str = "\
# Written by `zonewright observability`. One row a second into heartbeat.heartbeat of the writer, in UTC:
# the only measure of replication lag that does not lie while the link is cut. For the zone that serves.
";

/// The manifest; none when no Secret of the zone that serves leads to its database.
pub(super) fn file(inputs: &Inputs) -> Option<String> {
    let zone = Declared::of(inputs, &inputs.config.active);
    let written = zone.servers().into_iter().filter(|s| !s.follows);
    let access = written.filter_map(|s| zone.access(s.resource).ok());
    let deployment = access.filter_map(|a| deployment(&a)).next()?;
    Some(format!("{HEADER}{}", yaml::document(&deployment)))
}

fn deployment(entries: &Access) -> Option<Json> {
    let host = entries.host.as_ref()?;
    let variable = |name: &str, entry: &Entry| {
        json!({"name": name, "valueFrom": {"secretKeyRef":
            {"name": entry.secret, "key": entry.key}}})
    };
    let labels = json!({"app": "heartbeat"});
    let container = json!({
        "name": "heartbeat",
        "image": IMAGE,
        "command": ["/bin/sh", "-c"],
        "args": [SCRIPT],
        "env": [
            variable("DB_HOST", host),
            variable("DB_USER", &entries.user),
            variable("DB_PASSWORD", &entries.password),
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "runAsNonRoot": true, "runAsUser": 999, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "db-ca", "mountPath": "/etc/db-ca", "readOnly": true}],
    });
    let pod = json!({
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "db-ca", "secret": {"secretName": entries.ca.secret,
            "items": [{"key": entries.ca.key, "path": "ca.crt"}]}}],
    });
    Some(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "heartbeat", "namespace": entries.password.namespace,
            "labels": labels},
        "spec": {
            "replicas": 1,
            // Two writers at once would only race for one row.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }))
}
