//! The lines of a verification.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Severity, Verdict};

use super::style::{Paint, Tone};
use super::text::escape;
pub use crate::commands::verify::Line;

fn tone(verdict: &Verdict) -> Tone {
    match verdict {
        Verdict::Pass(_) => Tone::Good,
        Verdict::Fail(_) => Tone::Bad,
        Verdict::Unknown(_) => Tone::Change,
        Verdict::Skipped(_) => Tone::Faint,
    }
}

fn summary(lines: &[Line]) -> (usize, usize, usize) {
    let count = |f: fn(&Verdict) -> bool| lines.iter().filter(|l| f(&l.verdict)).count();
    (
        count(|v| matches!(v, Verdict::Pass(_))),
        count(Verdict::is_failure),
        count(|v| matches!(v, Verdict::Skipped(_))),
    )
}

/// For people: one line each, what failed with its evidence.
pub fn text(zone: &ZoneName, lines: &[Line], paint: Paint) -> String {
    let mut out = format!("{}\n", paint.tone(Tone::Strong, format!("zone {zone}")));
    for line in lines {
        let name = format!("{:<8}", line.verdict.name());
        let _ = writeln!(
            out,
            "  {}{:<18}{} ({} ms)",
            paint.tone(tone(&line.verdict), name),
            line.check.id,
            escape(line.verdict.evidence()),
            line.took.as_millis()
        );
    }
    let (passed, failed, skipped) = summary(lines);
    let _ = writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped.");
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
            line.verdict.name(),
            cell(line.verdict.evidence()),
            line.took.as_millis()
        );
    }
    let (passed, failed, skipped) = summary(lines);
    let _ = writeln!(
        out,
        "\n{passed} passed, {failed} failed, {skipped} skipped."
    );
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
    let (passed, failed, skipped) = summary(lines);
    json!({"zone": zone.as_str(), "checks": checks, "passed": passed, "failed": failed,
           "skipped": skipped})
}
