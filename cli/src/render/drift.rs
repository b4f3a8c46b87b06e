//! The drift report for people. For programs it is serialised as it is.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::Address;
use zonewright_engine::drift::{DriftKind, DriftReport};

use super::plan::attr_lines;
use super::style::{Paint, Tone};
use super::text::{count, escape};

/// The report as text.
pub fn text(report: &DriftReport, paint: Paint) -> String {
    let mut out = String::new();
    for drift in &report.drift {
        let (symbol, words) = match drift.kind {
            DriftKind::Changed => ("~", "changed outside"),
            DriftKind::Missing => ("-", "gone"),
            DriftKind::Replaced => ("x", "something else has its name"),
            DriftKind::Failed => ("!", "the vendor says it failed"),
            DriftKind::Unmarked => ("~", "our mark of ownership was changed or taken off"),
            DriftKind::Unfinished => ("%", "an earlier run did not finish it"),
        };
        let head = paint.tone(Tone::Change, format!("{symbol} {words}"));
        let address = drift.address.to_string();
        let _ = writeln!(out, "{head}: {}", escape(&address));
        for line in drift.attrs.iter().flat_map(|a| attr_lines(a, paint)) {
            let _ = writeln!(out, "    {line}");
        }
    }
    let unread: Vec<(&Address, &str)> = report
        .unreadable
        .iter()
        .map(|u| (&u.address, u.error.as_str()))
        .collect();
    for line in super::unread::lines(&unread, false) {
        let head = paint.tone(Tone::Bad, "? unreadable");
        let _ = writeln!(out, "{head}: {line}");
    }
    for found in &report.exposure {
        let words = match found.known {
            true => "! exposed",
            false => "? exposure not known",
        };
        let head = paint.tone(Tone::Bad, words);
        let (zone, evidence) = (&found.zone, escape(&found.evidence));
        let _ = writeln!(out, "{head}: {zone} ({}): {evidence}", found.check);
    }
    if !report.in_progress.is_empty() {
        let n = count(report.in_progress.len(), "resource");
        let _ = writeln!(out, "In the hands of a run that is at work: {n}.");
    }
    let checked = count(report.checked, "resource");
    let _ = match (report.drift.len(), report.unreadable.len()) {
        (0, 0) if report.checked == 0 => {
            writeln!(out, "Nothing is recorded, so nothing can have drifted.")
        }
        (0, 0) => writeln!(out, "No drift: {checked} compared."),
        (0, bad) => writeln!(
            out,
            "Not known: {} could not be compared, {checked} as applied.",
            count(bad, "resource")
        ),
        (n, 0) => writeln!(out, "Drift: {n} of {checked} differ."),
        (n, bad) => writeln!(
            out,
            "Drift: {n} of {checked} differ; {} could not be compared.",
            count(bad, "resource")
        ),
    };
    out
}

/// The report as one JSON object, with a summary.
pub fn json(report: &DriftReport) -> Json {
    let mut out = serde_json::to_value(report).unwrap_or(Json::Null);
    out["summary"] = json!({
        "checked": report.checked,
        "drift": report.drift.len(),
        "unreadable": report.unreadable.len(),
        "in_progress": report.in_progress.len(),
        "exposed": report.exposure.iter().filter(|e| e.known).count(),
    });
    out
}

#[cfg(test)]
mod tests {
    use zonewright_engine::drift::Drift;

    use super::*;
    use crate::render::plan::tests::attr;

    fn report() -> DriftReport {
        DriftReport {
            format_version: 1,
            checked: 3,
            drift: vec![Drift {
                address: "bz/digitalocean.vpc.main".parse().unwrap(),
                kind: DriftKind::Changed,
                attrs: vec![attr("name", Some("a".into()), Some("b".into()))],
            }],
            unreadable: Vec::new(),
            in_progress: Vec::new(),
            exposure: Vec::new(),
        }
    }

    #[test]
    fn drift_shows_what_was_applied_and_what_is_there() {
        assert_eq!(
            text(&report(), Paint::new(false)),
            "~ changed outside: bz/digitalocean.vpc.main\n    name: \"a\" -> \"b\"\nDrift: 1 of 3 resources differ.\n"
        );
    }

    #[test]
    fn json_counts() {
        let json = json(&report());
        assert_eq!(json["summary"]["drift"], 1);
        assert_eq!(json["drift"][0]["kind"], "changed");
    }

    #[test]
    fn no_drift_is_one_line() {
        let mut clean = report();
        clean.drift.clear();
        assert_eq!(
            text(&clean, Paint::new(false)),
            "No drift: 3 resources compared.\n"
        );
    }
}
