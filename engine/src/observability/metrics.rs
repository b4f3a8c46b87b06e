//! The metrics of `zonewright metrics`: their names, and the text that Prometheus reads.

use std::fmt::Write as _;

/// A gauge.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
}

/// One value of a metric. What is not known has no sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub metric: &'static Metric,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

macro_rules! metrics {
    ($($id:ident $name:literal $help:literal)*) => {
        $(
            #[doc = $help]
            pub const $id: &Metric = &Metric { name: concat!("zonewright_", $name), help: $help };
        )*
        /// All of them, in the order in which they are written.
        pub const METRICS: &[&Metric] = &[$($id),*];
    };
}

metrics! {
    COLLECTED "collected_timestamp_seconds" "When these metrics were collected, in seconds since 1970."
    COLLECT_SUCCESS "collect_success" "Whether they could be collected; without it nothing else is known."
    ZONE_INFO "zone_info" "Role and posture of a zone as the spec is: always 1."
    ACTIVE_ZONE "active_zone" "Whether the zone is the one that serves."
    RUN_ACTIVE "run_active" "Whether a run of zonewright is at work."
    EPOCH "epoch" "The number of the last writer of the shared state: every run that may change something raises it."
    OBLIGATIONS "obligations" "What is still to be settled: operations of unknown outcome (open), resources to be replaced (tainted), ways into a standby (exposure); absent while a run is at work."
    DNS_VIEW "dns_view" "Where an authoritative server says that the public name leads: always 1."
    ZONE_EXPOSED "zone_exposed" "Whether the zone can be reached from outside; absent when not known."
    ZONE_DB_MODE "zone_db_mode" "How the zone gets its data: writer, replica, restore or none."
    WRITERS "writers" "Databases that take writes; absent when one of them was not asked."
    REPLICATION_LAG "replication_lag_seconds" "Age of the newest heartbeat in the replica; absent when not known."
    RTO_TARGET "rto_target_seconds" "How long a failover may take."
    RPO_TARGET "rpo_target_seconds" "How much data may be lost, as time."
    BACKUP_LAST_SUCCESS "backup_last_success_timestamp_seconds" "When the newest backup was made; absent when none is known."
    RESTORE_VERIFIED "restore_verified_timestamp_seconds" "When a backup was last restored and its steps were done, as this host knows; absent when never."
    READY "ready" "Whether the zone may be counted on: 1 is ready."
    READINESS_FAILED "readiness_checks_failed" "Checks that are not proven for the spec as it is."
    READINESS_AGE "readiness_age_seconds" "Seconds since a check was last asked; absent when never."
    DRIFT "drift_resources" "Resources that were changed outside; absent when not all could be compared."
    DRIFT_LAST_SUCCESS "drift_last_success_timestamp_seconds" "When all resources of the zone were last compared."
    BILLABLE "zone_billable_resources" "Resources of the zone that bill, as recorded and seen."
}

impl Metric {
    /// A value of it.
    pub fn sample(&'static self, labels: &[(&'static str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(name, v)| (*name, (*v).to_owned()));
        Sample {
            metric: self,
            labels: labels.collect(),
            value,
        }
    }
}

/// The text format of Prometheus.
pub fn exposition(samples: &[Sample]) -> String {
    let mut out = String::new();
    for metric in METRICS {
        let mut own = samples.iter().filter(|s| s.metric == *metric).peekable();
        if own.peek().is_none() {
            continue;
        }
        let name = metric.name;
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", metric.help);
        for sample in own {
            let _ = writeln!(out, "{name}{} {}", labels(sample), sample.value);
        }
    }
    out
}

fn labels(sample: &Sample) -> String {
    let pairs: Vec<String> = sample
        .labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", pairs.join(",")),
    }
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}
