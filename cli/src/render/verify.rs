//! The lines of a verification.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Severity, Verdict};

use super::style::{Paint, Tone};
use super::text::escape;
pub use crate::commands::verify::Line;

fn tone(line: &Line) -> Tone {
    match &line.verdict {
        _ if line.is_warning() => Tone::Change,
        Verdict::Pass(_) => Tone::Good,
        Verdict::Fail(_) => Tone::Bad,
        Verdict::Unknown(_) => Tone::Change,
        Verdict::Skipped(_) => Tone::Faint,
    }
}

/// The word of a line: a defect that the zone is ready with is no failure.
fn word(line: &Line) -> &'static str {
    match line.is_warning() {
        true => "warning",
        false => line.verdict.name(),
    }
}

/// Passed, failed and skipped.
fn counts(lines: &[Line]) -> (usize, usize, usize) {
    let count = |f: fn(&Line) -> bool| lines.iter().filter(|l| f(l)).count();
    (
        count(|l| matches!(l.verdict, Verdict::Pass(_))),
        count(Line::is_red),
        count(|l| matches!(l.verdict, Verdict::Skipped(_))),
    )
}

fn summary(lines: &[Line]) -> String {
    let (passed, failed, skipped) = counts(lines);
    let warnings = match lines.iter().filter(|l| l.is_warning()).count() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    };
    format!("{passed} passed, {failed} failed, {skipped} skipped{warnings}.")
}

/// For people: one line each, what failed with its evidence.
pub fn text(zone: &ZoneName, lines: &[Line], paint: Paint) -> String {
    let mut out = format!("{}\n", paint.tone(Tone::Strong, format!("zone {zone}")));
    for line in lines {
        let name = format!("{:<8}", word(line));
        let _ = writeln!(
            out,
            "  {}{:<18}{} ({} ms)",
            paint.tone(tone(line), name),
            line.check.id,
            escape(line.verdict.evidence()),
            line.took.as_millis()
        );
    }
    let _ = writeln!(out, "{}", summary(lines));
    out
}

/// For a change request.
pub fn markdown(zone: &ZoneName, lines: &[Line]) -> String {
    let mut out = format!(
        "## Verification of zone {zone}\n\n| check | requirement | verdict | evidence | ms |\n|---|---|---|---|---|\n"
    );
    for line in lines {
        let cell = |text: &str| escape(text).replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(
            out,
            "| {} | {}: {} | {} | {} | {} |",
            line.check.id,
            line.check.rows.join(", "),
            cell(&line.check.title),
            word(line),
            cell(line.verdict.evidence()),
            line.took.as_millis()
        );
    }
    let _ = writeln!(out, "\n{}", summary(lines));
    out
}

/// For programs.
pub fn json(zone: &ZoneName, lines: &[Line]) -> Json {
    let checks: Vec<Json> = lines
        .iter()
        .map(|line| {
            json!({
                "id": line.check.id,
                "title": line.check.title,
                "requirements": line.check.rows,
                "severity": match line.check.severity {
                    Severity::Blocking => "blocking",
                    Severity::Warning => "warning",
                },
                "writes": line.check.writes,
                "verdict": line.verdict.name(),
                "evidence": line.verdict.evidence(),
                "millis": u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX),
            })
        })
        .collect();
    let (passed, failed, skipped) = counts(lines);
    let warnings = lines.iter().filter(|l| l.is_warning()).count();
    json!({"zone": zone.as_str(), "checks": checks, "passed": passed, "failed": failed,
           "skipped": skipped, "warnings": warnings})
}
