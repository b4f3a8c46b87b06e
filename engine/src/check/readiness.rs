//! Whether a zone may be counted on, from proofs. Pure: the time comes from the caller.
//!
//! The verdict is a gate: one blocking check that failed, is not known or was never made for this very
//! spec makes the zone not ready, whatever else is green. A proof that is only old makes it degraded. What is
//! not applicable counts for nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Check, Line, Probe, SKEW, Severity, Verdict};
use crate::address::ZoneName;
use crate::config::Objectives;
use crate::objectives::{Forecast, words};

/// What is kept of a check: one JSON line. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The zone.
    pub zone: ZoneName,
    /// [`Check::id`].
    pub check: String,
    /// `pass`, `fail` or `unknown`.
    pub verdict: String,
    /// In words.
    pub evidence: String,
    /// How long asking took.
    pub millis: u64,
    /// The digest of the spec that it was made for.
    pub spec: String,
}

/// Which spec, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// Seconds since 1970.
    pub at: u64,
    /// The digest of the spec.
    pub spec: &'a str,
}

impl Proof {
    /// What to keep of a line; nothing of one that was not asked.
    pub fn of(zone: &ZoneName, line: &Line, moment: Moment<'_>) -> Option<Proof> {
        let (check, verdict) = (&line.check, &line.verdict);
        if matches!(verdict, Verdict::Skipped(_) | Verdict::NotApplicable(_)) {
            return None;
        }
        Some(Proof {
            at: moment.at,
            zone: zone.clone(),
            check: check.id.clone(),
            verdict: verdict.name().to_owned(),
            evidence: verdict.evidence().to_owned(),
            millis: u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX),
            spec: moment.spec.to_owned(),
        })
    }
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There is nothing to prove.
    NotApplicable,
    /// It passed, for this spec, not long ago.
    Proven,
    /// It passed for this spec, but longer ago than its proof counts.
    Aged,
    /// It was proven for another spec.
    Stale,
    /// It was never asked.
    Never,
    /// The answer was not known.
    Unknown,
    /// It failed.
    Failed,
}

/// A check and its newest proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// [`Check::id`].
    pub check: String,
    /// What a failure means.
    pub severity: Severity,
    /// How it stands.
    pub standing: Standing,
    /// Seconds since the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Its evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Everything is proven.
    Ready,
    /// Nothing blocks, but something is old or has a defect.
    Degraded,
    /// Something blocks.
    NotReady,
}

/// The gates of what `[objectives]` allows: what nobody declared is not known, and is no budget that is
/// kept. None for a zone that serves.
pub fn budget(objectives: &Objectives, forecast: Option<&Forecast>) -> Vec<Gate> {
    let Some(forecast) = forecast else {
        return Vec::new();
    };
    let figure = |seconds: Option<u64>| seconds.map_or("not known".to_owned(), words);
    let rows = [
        (
            "rto",
            forecast.rto_objective,
            Some(forecast.rto_seconds),
            forecast.misses_rto(),
        ),
        (
            "rpo",
            forecast.rpo_objective,
            forecast.rpo_seconds,
            forecast.misses_rpo(),
        ),
    ];
    rows.map(|(name, objective, achieved, missed)| {
        let achieved = figure(achieved);
        let (standing, evidence) = match objective {
            None => (
                Standing::Unknown,
                format!("{achieved}; `[objectives] {name}` declares no budget to compare it with"),
            ),
            Some(o) if missed => {
                let evidence = format!("out of reach: {achieved}, {} allowed", words(o));
                (Standing::Failed, evidence)
            }
            Some(o) => {
                let evidence = format!("{achieved} by forecast, {} allowed", words(o));
                (Standing::Proven, evidence)
            }
        };
        Gate {
            check: name.to_owned(),
            severity: match objectives.strict {
                true => Severity::Blocking,
                false => Severity::Warning,
            },
            standing,
            age_seconds: None,
            evidence: Some(evidence),
        }
    })
    .into()
}

/// What is demanded of a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand<'a> {
    /// The lines.
    pub checks: &'a [Check],
    /// The gates of [`budget()`].
    pub budget: Vec<Gate>,
    /// Whether what was shown last counts although it could not be asked since: nobody is asked now, and what
    /// does not answer in a disaster takes no proof away.
    pub recorded: bool,
}

/// Every gate of a zone and the verdict. `proofs` are in the order in which they were made.
pub fn readiness(
    zone: &ZoneName,
    demand: Demand<'_>,
    proofs: &[Proof],
    now: Moment<'_>,
) -> (Readiness, Vec<Gate>) {
    let mut newest: BTreeMap<&str, &Proof> = BTreeMap::new();
    for proof in proofs.iter().filter(|p| p.zone == *zone) {
        let shows = proof.verdict != "unknown" || !demand.recorded;
        if shows || !newest.contains_key(proof.check.as_str()) {
            newest.insert(&proof.check, proof);
        }
    }
    let asked = demand.checks.iter();
    let asked = asked.map(|check| gate(check, newest.get(check.id.as_str()).copied(), now));
    let asked: Vec<Gate> = asked.collect();
    let of = |gate: &Gate| match (gate.standing, gate.severity) {
        (Standing::NotApplicable, _) => None,
        (Standing::Proven, _) => Some(Readiness::Ready),
        (Standing::Aged, _) | (_, Severity::Warning) => Some(Readiness::Degraded),
        (_, Severity::Blocking) => Some(Readiness::NotReady),
    };
    let worst = |gates: &[Gate]| gates.iter().filter_map(of).max();
    // A zone of which nothing can be asked has shown nothing, whatever is forecast of it.
    let shown = worst(&asked).unwrap_or(Readiness::NotReady);
    let verdict = worst(&demand.budget).map_or(shown, |budget| budget.max(shown));
    let gates = asked.into_iter().chain(demand.budget).collect();
    (verdict, gates)
}

fn gate(check: &Check, proof: Option<&Proof>, now: Moment<'_>) -> Gate {
    let gate = |standing, age_seconds, evidence| Gate {
        check: check.id.clone(),
        severity: check.severity,
        standing,
        age_seconds,
        evidence,
    };
    let proof = match (&check.probe, proof) {
        // Whatever was proven of it once was proven of something else.
        (Probe::NotApplicable(why), _) => {
            return gate(Standing::NotApplicable, None, Some(why.clone()));
        }
        (Probe::Missing(why), None) => return gate(Standing::Never, None, Some(why.clone())),
        (_, None) => return gate(Standing::Never, None, None),
        (_, Some(proof)) => proof,
    };
    let age = now.at.saturating_sub(proof.at);
    let standing = match proof.verdict.as_str() {
        _ if proof.spec != now.spec => Standing::Stale,
        "fail" => Standing::Failed,
        "pass" => match age > check.max_age.as_secs() {
            // A proof from the future tells nothing about its age.
            _ if proof.at > now.at.saturating_add(SKEW) => Standing::Unknown,
            true => Standing::Aged,
            false => Standing::Proven,
        },
        _ => Standing::Unknown,
    };
    gate(standing, Some(age), Some(proof.evidence.clone()))
}
