//! The verdict on a zone.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Gate, Readiness, Standing};
use zonewright_engine::objectives::Forecast;
use zonewright_engine::observability::metrics::exposition;
use zonewright_engine::observability::{Sample, readiness_samples};

use super::style::{Paint, Tone};
use super::text::{duration, escape};

/// What is known of a zone.
#[derive(Debug, Clone)]
pub struct Report {
    /// The zone.
    pub zone: ZoneName,
    /// The verdict.
    pub verdict: Readiness,
    /// Every gate.
    pub gates: Vec<Gate>,
    /// What the zone can achieve; absent for the one that serves.
    pub forecast: Option<Forecast>,
}

fn words(verdict: Readiness) -> &'static str {
    match verdict {
        Readiness::Ready => "ready",
        Readiness::Degraded => "degraded",
        Readiness::NotReady => "not ready",
    }
}

fn standing(standing: Standing) -> (&'static str, Tone) {
    match standing {
        Standing::NotApplicable => ("n/a", Tone::Faint),
        Standing::Proven => ("proven", Tone::Good),
        Standing::Aged => ("aged", Tone::Change),
        Standing::Stale => ("stale", Tone::Change),
        Standing::Never => ("never", Tone::Bad),
        Standing::Unknown => ("unknown", Tone::Bad),
        Standing::Failed => ("failed", Tone::Bad),
    }
}

/// For people.
pub fn text(reports: &[Report], paint: Paint) -> String {
    let mut out = String::new();
    for report in reports {
        let tone = match report.verdict {
            Readiness::Ready => Tone::Good,
            Readiness::Degraded => Tone::Change,
            Readiness::NotReady => Tone::Bad,
        };
        let verdict = paint.tone(tone, words(report.verdict));
        let _ = writeln!(out, "zone {}: {verdict}", report.zone);
        if let Some(forecast) = &report.forecast {
            out.push_str(&super::forecast::text(forecast, false));
        }
        for gate in &report.gates {
            let (word, tone) = standing(gate.standing);
            let age = gate.age_seconds.map(Duration::from_secs);
            let age = age
                .map(|a| format!("{} ago: ", duration(a)))
                .unwrap_or_default();
            let evidence = gate.evidence.as_deref().unwrap_or("no proof yet");
            let word = paint.tone(tone, format!("{word:<8}"));
            let _ = writeln!(out, "  {word}{:<18}{age}{}", gate.check, escape(evidence));
        }
    }
    out
}

/// For programs.
pub fn json(reports: &[Report]) -> Json {
    let zones: Vec<Json> = reports
        .iter()
        .map(|r| {
            json!({"zone": r.zone.as_str(), "verdict": r.verdict, "gates": r.gates,
                   "forecast": r.forecast})
        })
        .collect();
    json!({ "zones": zones })
}

/// For Prometheus.
pub fn metrics(reports: &[Report]) -> String {
    let samples: Vec<Sample> = reports
        .iter()
        .flat_map(|r| readiness_samples(&r.zone, r.verdict, &r.gates))
        .collect();
    exposition(&samples)
}
