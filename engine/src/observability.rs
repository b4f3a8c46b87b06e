//! What watches a project from outside its zones: alerts, probes, a dashboard, the heartbeat's writer and
//! the metrics that they are about. Pure; the same spec gives the same bytes.
//!
//! A monitoring that lives in a zone is lost with it, so the files are for a Prometheus in a third place.
//! What is not known has no series: every alert about a number has one about its absence.

use crate::address::ZoneName;
use crate::config::{Observability, Posture, Role};
use crate::data::{self, DatabaseMode};
use crate::observe::Inputs;
use crate::plan::exposure::may_be_exposed;

mod dashboard;
mod heartbeat;
mod ingress;
mod learn;
pub mod metrics;
mod names;
mod probes;
mod rules;
mod samples;
mod yaml;

pub use heartbeat::IMAGE as CLIENT_IMAGE;
pub use learn::{exposed, learn, unread};
pub use metrics::{METRICS, Metric, Sample};
pub use samples::{Backup, Known, Unsettled, ZoneKnown, readiness_samples, samples};

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name.
    pub path: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Its content.
    pub text: String,
}

/// What the files are made from.
struct Facts<'a> {
    project: &'a str,
    env: Option<&'a str>,
    told: &'a Observability,
    zones: Vec<ZoneFacts<'a>>,
    writers: Vec<WriterFacts<'a>>,
    names: Vec<names::PublicName>,
    rpo: bool,
    /// Whether a zone says what a restore takes its data from, so that one can be proven.
    restores: bool,
}

struct ZoneFacts<'a> {
    name: &'a ZoneName,
    role: Role,
    exposed: bool,
    mode: DatabaseMode,
}

/// A database that takes writes.
struct WriterFacts<'a> {
    zone: &'a ZoneName,
    /// Its name in labels.
    source: String,
    /// Seconds from which on its newest backup is too old; `None` when the vendor takes none.
    limit: Option<u64>,
}

impl<'a> Facts<'a> {
    fn of(inputs: &'a Inputs, told: &'a Observability) -> Facts<'a> {
        let config = &inputs.config;
        let registry = &inputs.registry;
        let writers = config.zones.keys().flat_map(|zone| {
            let own = data::writers(config, registry, zone);
            own.map(move |database| WriterFacts {
                zone,
                source: data::label(database),
                limit: data::backup_limit(inputs, database),
            })
        });
        let zones = config.zones.values().map(|zone| ZoneFacts {
            name: &zone.name,
            role: zone.role,
            exposed: may_be_exposed(config, &zone.name) && zone.posture != Some(Posture::Off),
            mode: DatabaseMode::of(config, registry, &zone.name),
        });
        let mut decisions = config.zones.values().filter_map(|z| z.database.as_ref());
        let mut settings = config.zones.values().map(|z| &z.settings);
        Facts {
            project: &config.project,
            env: settings.find_map(|s| s.get("env")?.as_str()),
            told,
            zones: zones.collect(),
            writers: writers.collect(),
            names: names::public(inputs),
            rpo: config.objectives.rpo.is_some(),
            restores: decisions.any(|d| d.restore.is_some()),
        }
    }

    fn any(&self, mode: DatabaseMode) -> bool {
        self.zones.iter().any(|z| z.mode == mode)
    }
}

/// Everything that is generated for a project that says who is told.
pub fn artifacts(inputs: &Inputs, told: &Observability) -> Vec<Artifact> {
    let facts = Facts::of(inputs, told);
    let mut out = vec![
        Artifact {
            path: "prometheus.yml",
            purpose: "the Prometheus outside the zones: scrape jobs and rules",
            text: probes::prometheus(&facts),
        },
        Artifact {
            path: "rules.yml",
            purpose: "its recording and alert rules",
            text: rules::file(&facts),
        },
        Artifact {
            path: "blackbox.yml",
            purpose: "modules of the blackbox exporter",
            text: probes::modules(&facts),
        },
        Artifact {
            path: "probes.yaml",
            purpose: "the same probes as objects of the Prometheus operator",
            text: probes::objects(&facts),
        },
        Artifact {
            path: "dashboard.json",
            purpose: "the dashboard, for Grafana",
            text: dashboard::file(&facts),
        },
    ];
    out.extend(heartbeat::file(inputs).map(|text| Artifact {
        path: "heartbeat.yaml",
        purpose: "the heartbeat's writer, for the zone that serves",
        text,
    }));
    out.extend(ingress::file(inputs, &facts).map(|text| Artifact {
        path: "ingress.yaml",
        purpose: "rules about errors and latency at the way in, for the zone that serves",
        text,
    }));
    out
}

#[cfg(test)]
mod tests;
