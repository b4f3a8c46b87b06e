//! A database asked from inside the zone: by a Job with a MySQL client, under the name that the zone's programs
//! use. Its credentials are references to the zone's Secrets; what it learns is in its termination message.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use zonewright_engine::check::{Answer, DatabaseAnswer, DatabaseAsk, DatabaseProbe, Entry};
use zonewright_engine::observability::CLIENT_IMAGE;
use zonewright_engine::provider::ProviderError;

use super::cluster::Cluster;
use super::failed;
use super::rehearsal::{self, Purpose};

/// Asks everything that the lines of a database want to know, reading only, and says it as `name=value` lines.
/// Connections verify authority and name; those that must not come about are tried with the authorities of the
/// public web, and under the server's address in place of its name.
pub const ASK: &str = r#"export MYSQL_PWD="$DB_PASSWORD"
host="${DB_HOST%:*}" own=/etc/db-ca/ca.crt
ask() {
  mysql --host="$2" --port="${DB_HOST##*:}" --user="$DB_USER" --ssl-mode=VERIFY_IDENTITY --ssl-ca="$1" \
    --connect-timeout=5 --batch "${4:---skip-column-names}" --execute="$3" 2>&1
}
say() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tail -n 1 | cut -c1-300)"; }
refused() {
  if said=$(ask "$1" "$2" "SELECT 1"); then echo accepted; else
    case "$said" in *2026*) echo refused ;; *) echo "$said" ;; esac
  fi
}
{
  if said=$(ask "$own" "$host" "SELECT VERSION()"); then
    say version "$said"
    for web in /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt; do
      if [ -e "$web" ]; then say other_authority "$(refused "$web" "$host")"; break; fi
    done
    address=$(getent hosts "$host" | cut -d' ' -f1 | head -n 1)
    if [ -n "$address" ]; then say other_name "$(refused "$own" "$address")"; fi
    say read_only "$(ask "$own" "$host" "SELECT @@global.read_only")"
    say heartbeat "$(ask "$own" "$host" "SELECT MAX(ts) FROM heartbeat.heartbeat")"
    say at "$(date -u +%s.%N)"
    say behind "$(ask "$own" "$host" 'SHOW REPLICA STATUS\G' --column-names | sed -n 's/^ *Seconds_Behind_[A-Za-z]*: //p')"
  else
    say failed "$said"
  fi
} > /dev/termination-log
"#;

/// Runs the Job, which is gone after, and takes the answer to one of its questions.
pub(super) async fn ask(cluster: &Cluster, probe: &DatabaseProbe) -> Result<Answer, ProviderError> {
    let Some(host) = &probe.inside else {
        return Err(failed(
            "nothing says where programs of the zone find the server",
        ));
    };
    let pod = pod(probe, host);
    let namespace = &probe.password.namespace;
    let said = rehearsal::hear(cluster, namespace, Purpose::Database, pod).await?;
    answer(probe, &said).map(Answer::Database)
}

fn pod(probe: &DatabaseProbe, host: &Entry) -> Json {
    let variable = |name: &str, entry: &Entry| {
        json!({"name": name, "valueFrom": {"secretKeyRef":
            {"name": entry.secret, "key": entry.key}}})
    };
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "containers": [{
            "name": "probe",
            "image": CLIENT_IMAGE,
            "command": ["/bin/sh", "-c"],
            "args": [ASK],
            "env": [
                variable("DB_HOST", host),
                variable("DB_USER", &probe.user),
                variable("DB_PASSWORD", &probe.password),
            ],
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "runAsNonRoot": true, "runAsUser": 999, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "db-ca", "mountPath": "/etc/db-ca", "readOnly": true}],
        }],
        "volumes": [{"name": "db-ca", "secret": {"secretName": probe.ca.secret,
            "items": [{"key": probe.ca.key, "path": "ca.crt"}]}}],
    })
}

/// What the Job has said, as an answer to one question.
///
/// # Errors
/// It did not get in, or it did not learn what is asked for.
pub fn answer(probe: &DatabaseProbe, said: &str) -> Result<DatabaseAnswer, ProviderError> {
    let lines = said.lines().filter_map(|l| l.split_once('='));
    let told: BTreeMap<&str, &str> = lines.map(|(k, v)| (k, v.trim())).collect();
    let get = |name: &str| told.get(name).copied().filter(|v| !v.is_empty());
    if let Some(why) = get("failed") {
        return match why.contains("2026") {
            true => Ok(DatabaseAnswer::Untrusted {
                why: format!("inside the zone, {why}"),
            }),
            false => Err(failed(format!("inside the zone, {why}"))),
        };
    }
    let need = |name: &str| {
        let unsaid = || failed(format!("the Job in the zone does not say {name}"));
        get(name).ok_or_else(unsaid)
    };
    let accepted = |name: &str| match need(name)? {
        "accepted" => Ok(true),
        "refused" => Ok(false),
        why => Err(failed(format!("inside the zone, {why}"))),
    };
    Ok(match probe.ask {
        DatabaseAsk::Session => DatabaseAnswer::Session {
            version: need("version")?.to_owned(),
            other_authority_accepted: accepted("other_authority")?,
            other_name_accepted: accepted("other_name")?,
        },
        DatabaseAsk::ReadOnly => DatabaseAnswer::ReadOnly {
            read_only: match need("read_only")? {
                "1" | "ON" => true,
                "0" | "OFF" => false,
                why => return Err(failed(format!("inside the zone, {why}"))),
            },
        },
        DatabaseAsk::Heartbeat => {
            let beat = need("heartbeat")?;
            let age = age(beat, need("at")?);
            DatabaseAnswer::Heartbeat {
                age_seconds: age,
                why: age
                    .is_none()
                    .then(|| format!("there is no heartbeat: {beat}")),
                server_says: get("behind").map(|figure| match figure {
                    "NULL" => "NULL".to_owned(),
                    seconds => format!("{seconds} s"),
                }),
            }
        }
    })
}

/// Seconds from a heartbeat to when it was read, by the clock of the node that the Job ran on.
fn age(beat: &str, at: &str) -> Option<f64> {
    let then: jiff::Timestamp = format!("{}Z", beat.replace(' ', "T")).parse().ok()?;
    let at: f64 = at.parse().ok()?;
    Some(at - then.as_millisecond() as f64 / 1000.0)
}
