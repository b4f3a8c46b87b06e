//! The samples, from what was learned. A number that is not known is left out, never zero.

use std::collections::{BTreeMap, BTreeSet};

use super::metrics::{self, Sample};
use crate::address::ZoneName;
use crate::check::{Gate, Readiness, Severity, Standing};
use crate::config::{Config, Role};
use crate::data::DatabaseMode;
use crate::schema::Registry;
use crate::snapshot::{Record, RecordStatus, Snapshot, State};

/// What was learned of a project.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// When, in seconds since 1970.
    pub now: u64,
    /// Whether a run is at work.
    pub run_active: bool,
    /// The number of the last writer of the edge's shard.
    pub epoch: Option<u64>,
    /// What is recorded as not settled, by shard; empty while a run is at work, which has it in hand.
    pub unsettled: BTreeMap<ZoneName, Unsettled>,
    /// By zone.
    pub zones: BTreeMap<ZoneName, ZoneKnown>,
}

/// What a shard records as not settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Operations whose outcome is not known.
    pub open: usize,
    /// Resources that never became ready and are to be replaced.
    pub tainted: usize,
}

impl Unsettled {
    /// Of every shard.
    pub fn of(state: &State) -> BTreeMap<ZoneName, Unsettled> {
        let tainted = |r: &&Record| r.status == RecordStatus::Tainted;
        let of = |shard: &Snapshot| Unsettled {
            open: shard.open.len(),
            tainted: shard.records().filter(tainted).count(),
        };
        let shards = state.shards.iter();
        shards.map(|(name, s)| (name.clone(), of(s))).collect()
    }
}

/// What was learned of a zone.
#[derive(Debug, Clone, Default)]
pub struct ZoneKnown {
    /// Whether it can be reached from outside.
    pub exposed: Option<bool>,
    /// Whether its database takes writes.
    pub writes: Option<bool>,
    /// Age of the newest heartbeat in its replica, in seconds.
    pub lag_seconds: Option<f64>,
    /// The verdict on it and every gate; for zones that stand by.
    pub readiness: Option<(Readiness, Vec<Gate>)>,
    /// Resources that drifted, when all were compared.
    pub drift: Option<usize>,
    /// When all were last compared.
    pub compared_at: Option<u64>,
    /// Resources that bill.
    pub billable: Option<usize>,
    /// What the authoritative servers answer for the public names: server and answer.
    pub public: BTreeSet<(String, String)>,
    /// The newest backups of its databases.
    pub backups: Vec<Backup>,
    /// When a backup was last restored here and its steps were done, in seconds since 1970.
    pub restored_at: Option<u64>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The database that it is of.
    pub source: String,
    /// When it was made, in seconds since 1970.
    pub at: u64,
}

/// All samples, in a fixed order.
pub fn samples(config: &Config, registry: &Registry, known: &Known) -> Vec<Sample> {
    let mut out = vec![
        metrics::COLLECTED.sample(&[], number(known.now)),
        metrics::COLLECT_SUCCESS.sample(&[], 1.0),
        metrics::RUN_ACTIVE.sample(&[], flag(known.run_active)),
    ];
    out.extend(known.epoch.map(|e| metrics::EPOCH.sample(&[], number(e))));
    for (shard, unsettled) in &known.unsettled {
        for (kind, n) in [("open", unsettled.open), ("tainted", unsettled.tainted)] {
            let labels = [("zone", shard.as_str()), ("kind", kind)];
            out.push(metrics::OBLIGATIONS.sample(&labels, count(n)));
        }
    }
    let views: BTreeSet<_> = known.zones.values().flat_map(|z| &z.public).collect();
    for (server, target) in views {
        let labels = [("resolver", server.as_str()), ("target", target.as_str())];
        out.push(metrics::DNS_VIEW.sample(&labels, 1.0));
    }
    let nothing = ZoneKnown::default();
    for zone in config.zones.keys() {
        out.extend(declared(config, registry, zone));
        let learned = known.zones.get(zone).unwrap_or(&nothing);
        out.extend(live(config, zone, learned));
        let settled = !known.run_active && config.role(zone) == Some(Role::Standby);
        if let Some(exposed) = learned.exposed.filter(|_| settled) {
            let labels = [("zone", zone.as_str()), ("kind", "exposure")];
            out.push(metrics::OBLIGATIONS.sample(&labels, flag(exposed)));
        }
    }
    out.extend(writers(config, registry, known));
    out
}

/// What the spec says of a zone.
fn declared(config: &Config, registry: &Registry, name: &ZoneName) -> Vec<Sample> {
    let Some(zone) = config.zone(name) else {
        return Vec::new();
    };
    let label = ("zone", name.as_str());
    let role = ("role", zone.role.name());
    let posture = ("posture", zone.posture.map_or("none", |p| p.name()));
    let mode = ("mode", DatabaseMode::of(config, registry, name).name());
    let mut out = vec![
        metrics::ZONE_INFO.sample(&[label, role, posture], 1.0),
        metrics::ACTIVE_ZONE.sample(&[label], flag(zone.role == Role::Active)),
        metrics::ZONE_DB_MODE.sample(&[label, mode], 1.0),
    ];
    let goals = &config.objectives;
    for (metric, goal) in [
        (metrics::RTO_TARGET, goals.rto),
        (metrics::RPO_TARGET, goals.rpo),
    ] {
        out.extend(goal.map(|d| metric.sample(&[label], d.as_secs_f64())));
    }
    out
}

fn live(config: &Config, name: &ZoneName, known: &ZoneKnown) -> Vec<Sample> {
    let zone = ("zone", name.as_str());
    let declared = config.zone(name);
    let mut out = Vec::new();
    if let (Some(exposed), Some(declared)) = (known.exposed, declared) {
        let role = ("role", declared.role.name());
        out.push(metrics::ZONE_EXPOSED.sample(&[zone, role], flag(exposed)));
    }
    // A clock that is a little ahead is no lag.
    let lag = known.lag_seconds.filter(|lag| lag.is_finite());
    out.extend(lag.map(|lag| metrics::REPLICATION_LAG.sample(&[zone], lag.max(0.0))));
    for backup in &known.backups {
        let source = ("source", backup.source.as_str());
        out.push(metrics::BACKUP_LAST_SUCCESS.sample(&[zone, source], number(backup.at)));
    }
    if let Some(at) = known.restored_at {
        out.push(metrics::RESTORE_VERIFIED.sample(&[zone], number(at)));
    }
    if let Some((verdict, gates)) = &known.readiness {
        out.extend(readiness_samples(name, *verdict, gates));
    }
    if let Some(drift) = known.drift {
        out.push(metrics::DRIFT.sample(&[zone], count(drift)));
    }
    if let Some(at) = known.compared_at {
        out.push(metrics::DRIFT_LAST_SUCCESS.sample(&[zone], number(at)));
    }
    if let Some(billable) = known.billable {
        let posture = declared.and_then(|z| z.posture);
        let mode = ("mode", posture.map_or("active", |p| p.name()));
        out.push(metrics::BILLABLE.sample(&[zone, mode], count(billable)));
    }
    out
}

/// What readiness says of a zone.
pub fn readiness_samples(name: &ZoneName, verdict: Readiness, gates: &[Gate]) -> Vec<Sample> {
    let zone = ("zone", name.as_str());
    let mut out = vec![metrics::READY.sample(&[zone], flag(verdict == Readiness::Ready))];
    for (severity, text) in [
        (Severity::Blocking, "blocking"),
        (Severity::Warning, "warning"),
    ] {
        let bad = |g: &&Gate| {
            let good = [Standing::Proven, Standing::Aged, Standing::NotApplicable];
            g.severity == severity && !good.contains(&g.standing)
        };
        let failed = gates.iter().filter(bad).count();
        let labels = [zone, ("severity", text)];
        out.push(metrics::READINESS_FAILED.sample(&labels, count(failed)));
    }
    for gate in gates {
        let labels = [zone, ("check", gate.check.as_str())];
        let age = gate.age_seconds;
        out.extend(age.map(|age| metrics::READINESS_AGE.sample(&labels, number(age))));
    }
    out
}

/// How many databases take writes: only when every one was asked, since one that was not may be the
/// second writer.
fn writers(config: &Config, registry: &Registry, known: &Known) -> Option<Sample> {
    let with_data = config.zones.keys().filter(|z| {
        matches!(
            DatabaseMode::of(config, registry, z),
            DatabaseMode::Writer | DatabaseMode::Replica
        )
    });
    let asked: Option<Vec<bool>> = with_data.map(|z| known.zones.get(z)?.writes).collect();
    let asked = asked.filter(|a| !a.is_empty())?;
    let writing = asked.into_iter().filter(|w| *w).count();
    Some(metrics::WRITERS.sample(&[], count(writing)))
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn count(n: usize) -> f64 {
    number(u64::try_from(n).unwrap_or(u64::MAX))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds and counts are far below 2^53"
)]
fn number(n: u64) -> f64 {
    n as f64
}
