//! Recording and alert rules for Prometheus. An alert about a number comes with one about its absence.

use serde_json::{Value as Json, json};

use super::{Facts, yaml};
use crate::check::LAG_LIMIT;
use crate::data::DatabaseMode;

/// How old collected metrics may be: a textfile stays when nobody writes it any more.
const FRESH: u64 = 300;

pub(super) struct Alert {
    name: &'static str,
    expr: String,
    hold: &'static str,
    severity: &'static str,
    summary: &'static str,
}

pub(super) fn alert(
    name: &'static str,
    expr: impl Into<String>,
    hold: &'static str,
    severity: &'static str,
    summary: &'static str,
) -> Alert {
    Alert {
        name,
        expr: expr.into(),
        hold,
        severity,
        summary,
    }
}

/// The rule file.
pub(super) fn file(facts: &Facts<'_>) -> String {
    let mut alerts = about_the_watch();
    if facts.any(DatabaseMode::Writer) || facts.any(DatabaseMode::Replica) {
        alerts.extend(databases());
    }
    if facts.any(DatabaseMode::Replica) {
        alerts.extend(replication());
    }
    if !facts.writers.is_empty() {
        alerts.extend(backups(facts));
    }
    alerts.extend(zones());
    if !facts.names.is_empty() {
        alerts.extend(names(facts));
    }
    let rendered: Vec<Json> = alerts.iter().map(|a| render(a, facts)).collect();
    let groups = json!({"groups": [
        {"name": "zonewright-records", "interval": "15s", "rules": records(facts)},
        {"name": "zonewright-alerts", "interval": "15s", "rules": rendered},
    ]});
    format!(
        "# Written by `zonewright observability`. For a Prometheus outside the zones: what watches from within a\n\
         # zone is lost with it.\n{}",
        yaml::document(&groups)
    )
}

pub(super) fn render(alert: &Alert, facts: &Facts<'_>) -> Json {
    let mut labels = json!({"owner": facts.told.owner, "severity": alert.severity,
        "project": facts.project});
    if let Some(env) = facts.env {
        labels["env"] = json!(env);
    }
    let base = facts.told.runbooks.trim_end_matches('/');
    let mut out = json!({"alert": alert.name, "expr": alert.expr, "labels": labels,
        "annotations": {"summary": alert.summary,
            "runbook_url": format!("{base}/{}", alert.name)}});
    if !alert.hold.is_empty() {
        out["for"] = json!(alert.hold);
    }
    out
}

pub(super) fn record(name: &str, expr: &str) -> Json {
    json!({"record": name, "expr": expr})
}

fn records(facts: &Facts<'_>) -> Vec<Json> {
    let mut out = Vec::new();
    if facts.any(DatabaseMode::Replica) {
        // The newest row counts: one of a former writer stays in the table for ever.
        let exporter = "(min by (zone) (mysql_heartbeat_now_timestamp_seconds - mysql_heartbeat_stored_timestamp_seconds) and on (zone) max by (zone) (mysql_global_variables_read_only == 1))";
        let own = format!(
            "(max by (zone) (zonewright_replication_lag_seconds) and on () (time() - max(zonewright_collected_timestamp_seconds) < {FRESH}))"
        );
        let expr = format!("{own} or {exporter}");
        out.push(record("dr:replication_lag_seconds", &expr));
    }
    if facts.any(DatabaseMode::Writer) {
        let newest =
            "time() - max by (zone, source) (zonewright_backup_last_success_timestamp_seconds)";
        out.push(record("dr:backup_age_seconds", newest));
    }
    if facts.restores {
        let verified = "time() - max by (zone) (zonewright_restore_verified_timestamp_seconds)";
        out.push(record("dr:restore_verified_age_seconds", verified));
    }
    let age = "time() - max(zonewright_collected_timestamp_seconds)";
    out.push(record("dr:collected_age_seconds", age));
    out
}

/// The watch itself: nothing below is worth anything without it.
fn about_the_watch() -> Vec<Alert> {
    vec![
        alert(
            "Watchdog",
            "vector(1)",
            "",
            "none",
            "Always fires: whoever receives it has to miss it when it stops.",
        ),
        alert(
            "MetricsStale",
            "dr:collected_age_seconds > 900 or absent(zonewright_collected_timestamp_seconds) or zonewright_collect_success == 0",
            "5m",
            "critical",
            "zonewright collects no metrics: nothing is known of the zones.",
        ),
    ]
}

fn databases() -> Vec<Alert> {
    vec![alert(
        "TwoWriters",
        "sum(mysql_global_variables_read_only == bool 0) > 1 or zonewright_writers > 1",
        "30s",
        "critical",
        "More than one database takes writes: data diverges every second.",
    )]
}

fn replication() -> Vec<Alert> {
    let limit = LAG_LIMIT.as_secs();
    vec![
        alert(
            "ReplicationLagHigh",
            format!("dr:replication_lag_seconds > {limit}"),
            "5m",
            "critical",
            "The replica in {{ $labels.zone }} is {{ $value | humanizeDuration }} behind by heartbeat.",
        ),
        alert(
            "ReplicationBroken",
            "mysql_slave_status_slave_io_running == 0 or mysql_slave_status_slave_sql_running == 0 or mysql_slave_status_replica_io_running == 0 or mysql_slave_status_replica_sql_running == 0",
            "1m",
            "critical",
            "Replication into {{ $labels.zone }} has stopped.",
        ),
        alert(
            "ReplicationLagUnknown",
            "zonewright_zone_db_mode{mode=\"replica\"} == 1 unless on (zone) dr:replication_lag_seconds",
            "2m",
            "critical",
            "Nobody knows how far the replica in {{ $labels.zone }} is behind.",
        ),
    ]
}

fn backups(facts: &Facts<'_>) -> Vec<Alert> {
    let mut out = vec![alert(
        "BackupStale",
        stale_backups(facts),
        "15m",
        "critical",
        "The newest backup of {{ $labels.source }} in {{ $labels.zone }} is older than it may be, or not known.",
    )];
    if facts.restores {
        out.push(alert(
            "RestoreVerificationStale",
            "dr:restore_verified_age_seconds > 90 * 86400 or absent(zonewright_restore_verified_timestamp_seconds)",
            "1h",
            "warning",
            "No backup was restored and proven within 90 days.",
        ));
    }
    // Where a replica has the data, the age of a backup is not what would be lost.
    if facts.any(DatabaseMode::Restore) && facts.rpo {
        out.push(alert(
            "BackupRpoAtRisk",
            "dr:backup_age_seconds > on (zone) group_left () zonewright_rpo_target_seconds",
            "5m",
            "warning",
            "The newest backup is older than what may be lost.",
        ));
    }
    out
}

/// Each database has a limit of its own, and one that is missing beside another is missed.
fn stale_backups(facts: &Facts<'_>) -> String {
    let each = facts.writers.iter().flat_map(|writer| {
        let labels = format!("{{zone=\"{}\", source=\"{}\"}}", writer.zone, writer.source);
        let old = writer
            .limit
            .map(|limit| format!("dr:backup_age_seconds{labels} > {limit}"));
        let none = format!("absent(zonewright_backup_last_success_timestamp_seconds{labels})");
        old.into_iter().chain([none])
    });
    each.collect::<Vec<_>>().join(" or ")
}

/// Zones of which something has to be known: one that is off has nothing to look at.
const BUILT: &str = "zonewright_zone_info{posture!=\"off\"}";

fn zones() -> Vec<Alert> {
    vec![
        alert(
            "StandbyZoneExposed",
            "zonewright_zone_exposed{role=\"standby\"} == 1 unless on () zonewright_run_active == 1",
            "2m",
            "critical",
            "{{ $labels.zone }} stands by and can be reached from outside.",
        ),
        alert(
            "ExposureUnknown",
            "zonewright_zone_info{role=\"standby\", posture!=\"off\"} unless on (zone) zonewright_zone_exposed",
            "15m",
            "warning",
            "Nobody knows whether {{ $labels.zone }} can be reached from outside.",
        ),
        alert(
            "ReadinessLow",
            "zonewright_readiness_checks_failed{severity=\"blocking\"} > 0",
            "15m",
            "warning",
            "{{ $value }} checks of {{ $labels.zone }} are not proven: it cannot be counted on.",
        ),
        alert(
            "DriftFound",
            "zonewright_drift_resources > 0",
            "10m",
            "warning",
            "{{ $value }} resources of {{ $labels.zone }} were changed outside.",
        ),
        alert(
            "DriftCheckStale",
            format!(
                "time() - zonewright_drift_last_success_timestamp_seconds > 7200 or {BUILT} unless on (zone) zonewright_drift_last_success_timestamp_seconds"
            ),
            "10m",
            "warning",
            "Nobody compared {{ $labels.zone }} with its state for two hours.",
        ),
        alert(
            "ObligationOpen",
            "zonewright_obligations > 0",
            "30m",
            "warning",
            "{{ $labels.zone }}: {{ $value }} of kind {{ $labels.kind }} are not settled.",
        ),
        alert(
            "ZoneCostLeak",
            "zonewright_zone_billable_resources{mode=\"off\"} > 0 unless on () zonewright_run_active == 1",
            "1h",
            "warning",
            "{{ $labels.zone }} is off, and {{ $value }} of its resources bill.",
        ),
    ]
}

fn names(facts: &Facts<'_>) -> Vec<Alert> {
    let mut out = vec![
        alert(
            "ZoneProbeFailing",
            "probe_success{target=\"zone\"} == 0",
            "10m",
            "info",
            "{{ $labels.name }} does not answer as declared.",
        ),
        alert(
            "CertExpiring",
            "probe_ssl_earliest_cert_expiry - time() < 14 * 86400",
            "1h",
            "warning",
            "A certificate of {{ $labels.name }} ends in {{ $value | humanizeDuration }}.",
        ),
    ];
    if facts.names.iter().any(|n| n.zone.is_none()) {
        let public = "probe_success{job=\"zonewright-http\", target=\"public\"}";
        out.push(alert(
            "ActiveProbeFailing",
            format!("avg_over_time({public}[5m]) < 0.5"),
            "1m",
            "critical",
            "Users do not reach {{ $labels.name }}.",
        ));
        out.push(alert(
            "TopologyMismatch",
            "probe_success{job=\"zonewright-dns\", target=\"public\"} == 0",
            "5m",
            "critical",
            "{{ $labels.name }} does not lead where the spec says, at {{ $labels.instance }}.",
        ));
        out.push(alert(
            "ActiveProbeMissing",
            format!("absent({public})"),
            "2m",
            "critical",
            "Nobody probes the public name.",
        ));
    }
    out
}
