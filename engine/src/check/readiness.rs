//! Whether a zone may be counted on, from proofs. Pure: the time comes from the caller.
//!
//! The verdict is a gate: one blocking check that failed, is not known or was never made for this very
//! spec makes the zone not ready, whatever else is green. A proof that is only old makes it degraded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Check, Severity, Verdict};
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

impl Proof {
    /// What to keep of a check; nothing of one that was skipped.
    pub fn of(
        (zone, check): (&ZoneName, &Check),
        verdict: &Verdict,
        took: Duration,
        (at, spec): (u64, &str),
    ) -> Option<Proof> {
        if matches!(verdict, Verdict::Skipped(_)) {
            return None;
        }
        Some(Proof {
            at,
            zone: zone.clone(),
            check: check.id.to_owned(),
            verdict: verdict.name().to_owned(),
            evidence: verdict.evidence().to_owned(),
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            spec: spec.to_owned(),
        })
    }
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
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

/// Every gate of a zone and the verdict. `proofs` are in the order in which they were made; `budget` are
/// the gates of [`budget()`].
pub fn readiness(
    zone: &ZoneName,
    (checks, budget): (&[Check], Vec<Gate>),
    proofs: &[Proof],
    (now, spec): (u64, &str),
) -> (Readiness, Vec<Gate>) {
    let newest: BTreeMap<&str, &Proof> = proofs
        .iter()
        .filter(|p| p.zone == *zone)
        .map(|p| (p.check.as_str(), p))
        .collect();
    let gates: Vec<Gate> = checks
        .iter()
        .map(|check| gate(check, newest.get(check.id).copied(), now, spec))
        .chain(budget)
        .collect();
    let of = |gate: &Gate| match (gate.standing, gate.severity) {
        (Standing::Proven, _) => Readiness::Ready,
        (Standing::Aged, _) | (_, Severity::Warning) => Readiness::Degraded,
        (_, Severity::Blocking) => Readiness::NotReady,
    };
    let worst = gates.iter().map(of).max();
    // A zone without any check has shown nothing.
    let verdict = worst.filter(|_| !checks.is_empty());
    let verdict = verdict.unwrap_or(Readiness::NotReady);
    (verdict, gates)
}

fn gate(check: &Check, proof: Option<&Proof>, now: u64, spec: &str) -> Gate {
    let age = proof.map(|p| now.saturating_sub(p.at));
    let standing = match proof {
        None => Standing::Never,
        Some(p) if p.spec != spec => Standing::Stale,
        Some(p) if p.verdict == "fail" => Standing::Failed,
        Some(p) if p.verdict != "pass" => Standing::Unknown,
        // A proof from the future tells nothing about its age.
        Some(p) if p.at > now.saturating_add(300) => Standing::Unknown,
        Some(_) if age > Some(check.max_age.as_secs()) => Standing::Aged,
        Some(_) => Standing::Proven,
    };
    Gate {
        check: check.id.to_owned(),
        severity: check.severity,
        standing,
        age_seconds: age,
        evidence: proof.map(|p| p.evidence.clone()),
    }
}
