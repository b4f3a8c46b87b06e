//! The lines of a verification.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Line, Severity, Verdict};

use super::style::{Paint, Tone};
use super::text::escape;

fn tone(line: &Line) -> Tone {
    match &line.verdict {
        _ if line.is_warning() => Tone::Change,
        Verdict::Pass(_) => Tone::Good,
        Verdict::Fail(_) => Tone::Bad,
        Verdict::Unknown(_) => Tone::Change,
        Verdict::Skipped(_) | Verdict::NotApplicable(_) => Tone::Faint,
    }
}

/// A line in a word of at most seven letters: a defect that the zone is ready with is no failure.
fn word(line: &Line) -> &'static str {
    match &line.verdict {
        _ if line.is_warning() => "warning",
        Verdict::NotApplicable(_) => "n/a",
        other => other.name(),
    }
}

/// How many lines there are of each kind.
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    not_applicable: usize,
    warnings: usize,
}

impl Summary {
    fn of(lines: &[Line]) -> Summary {
        let count = |f: fn(&Line) -> bool| lines.iter().filter(|l| f(l)).count();
        Summary {
            passed: count(|l| matches!(l.verdict, Verdict::Pass(_))),
            failed: count(Line::is_red),
            skipped: count(|l| matches!(l.verdict, Verdict::Skipped(_))),
            not_applicable: count(|l| matches!(l.verdict, Verdict::NotApplicable(_))),
            warnings: count(Line::is_warning),
        }
    }

    fn text(&self) -> String {
        let warnings = match self.warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            n => format!(", {n} warnings"),
        };
        format!(
            "{} passed, {} failed, {} skipped, {} not applicable{warnings}.",
            self.passed, self.failed, self.skipped, self.not_applicable
        )
    }
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
    let _ = writeln!(out, "{}", Summary::of(lines).text());
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
    let _ = writeln!(out, "\n{}", Summary::of(lines).text());
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
    let summary = Summary::of(lines);
    json!({"zone": zone.as_str(), "checks": checks, "passed": summary.passed,
           "failed": summary.failed, "skipped": summary.skipped,
           "not_applicable": summary.not_applicable, "warnings": summary.warnings})
}
