//! Two zones side by side: for people, for programs, for a document. Secrets show as keyed digests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::parity::{Cause, Difference, ParityReport, SecretPair, Side};
use zonewright_engine::value::Value;

use super::style::{Paint, Tone};
use super::text::{count, escape};
use super::value;

/// The report as text.
pub fn text(report: &ParityReport, paint: Paint, verbose: bool) -> String {
    let mut out = String::new();
    for difference in &report.differences {
        let head = paint.tone(Tone::Change, format!("x {}", what(report, difference)));
        let _ = writeln!(out, "{head}: {}", escape(&difference.subject()));
        for line in both(report, difference) {
            let _ = writeln!(out, "    {}", escape(&line));
        }
    }
    for (address, error) in &report.unreadable {
        let head = paint.tone(Tone::Change, "? unreadable");
        let _ = writeln!(out, "{head}: {}", escape(&format!("{address}: {error}")));
    }
    if verbose {
        for explained in &report.explained {
            let line = format!(
                "= {}: {}",
                explained.difference.subject(),
                cause(&explained.because)
            );
            let _ = writeln!(out, "{}", escape(&line));
        }
        for pair in &report.secrets {
            let line = format!("* {}: {}", pair.subject, digests(pair));
            let _ = writeln!(out, "{}", escape(&line));
        }
    }
    for unused in &report.unused {
        let at = unused.at.as_deref().unwrap_or("the spec");
        let line = format!("unused allowance `{}` ({at})", unused.path);
        let _ = writeln!(out, "{}", paint.tone(Tone::Note, escape(&line)));
    }
    out.push_str(&summary(report));
    out.push('\n');
    out
}

fn what(report: &ParityReport, difference: &Difference) -> String {
    let side = match difference.side {
        Side::Spec => "spec",
        Side::Live => "live",
    };
    let of = match difference.objects {
        1 => String::new(),
        n => format!(", {n} objects"),
    };
    match (&difference.left, &difference.right) {
        (Some(_), None) => format!("{side}: only in {}{of}", report.left),
        (None, Some(_)) => format!("{side}: only in {}{of}", report.right),
        _ => format!("{side}: differs{of}"),
    }
}

fn both(report: &ParityReport, difference: &Difference) -> Vec<String> {
    let sides = [
        (&report.left, &difference.left, &difference.left_at),
        (&report.right, &difference.right, &difference.right_at),
    ];
    sides
        .into_iter()
        .filter(|(_, value, at)| value.is_some() || at.is_some())
        .map(|(zone, value, at)| {
            let value = value.as_ref().map_or_else(|| "(nothing)".to_owned(), shown);
            let at = at.as_ref().map(|a| format!(" ({a})"));
            format!("{zone}: {value}{}", at.unwrap_or_default())
        })
        .collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Secret(secret) => format!("(secret, {})", digest(&secret.digest())),
        other => value::value(other),
    }
}

fn digest(digest: &Option<String>) -> String {
    match digest {
        Some(digest) => format!("digest {}…", digest.get(..12).unwrap_or(digest)),
        None => "no digest".to_owned(),
    }
}

fn digests(pair: &SecretPair) -> String {
    let (left, right) = (digest(&pair.left), digest(&pair.right));
    match pair.same {
        Some(true) => format!("the same, {left}"),
        Some(false) => format!("differs, {left} and {right}"),
        None => "cannot be compared".to_owned(),
    }
}

fn cause(because: &Cause) -> String {
    match because {
        Cause::Settings => "the zones' settings differ".to_owned(),
        Cause::Overlay { of } => format!("[{of}] says so"),
        Cause::Allowed { reason } => format!("allowed: {reason}"),
    }
}

fn summary(report: &ParityReport) -> String {
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for explained in &report.explained {
        let name = match &explained.because {
            Cause::Settings => "by settings".to_owned(),
            Cause::Overlay { of } => format!("by {of}"),
            Cause::Allowed { .. } => "allowed".to_owned(),
        };
        *causes.entry(name).or_default() += 1;
    }
    let causes: Vec<String> = causes.iter().map(|(c, n)| format!("{n} {c}")).collect();
    let head = match report.differences.len() {
        0 => "Parity",
        _ => "No parity",
    };
    let mut line = format!(
        "{head}: {} in both, {}",
        count(report.pairs, "resource"),
        count(report.differences.len(), "difference")
    );
    if !causes.is_empty() {
        let _ = write!(line, "; differ for a reason: {}", causes.join(", "));
    }
    let same = report.secrets.iter().filter(|s| s.same == Some(true));
    let same = same.count();
    let _ = write!(
        line,
        "; {} of {} the same.",
        same,
        count(report.secrets.len(), "secret value")
    );
    if !report.unreadable.is_empty() {
        let _ = write!(
            line,
            " {} could not be read.",
            count(report.unreadable.len(), "resource")
        );
    }
    line
}

/// The report as one JSON object, with a summary.
pub fn json(report: &ParityReport) -> Json {
    let mut out = serde_json::to_value(report).unwrap_or(Json::Null);
    let same = report.secrets.iter().filter(|s| s.same == Some(true));
    out["summary"] = json!({
        "clean": report.is_clean(),
        "pairs": report.pairs,
        "differences": report.differences.len(),
        "explained": report.explained.len(),
        "secrets": report.secrets.len(),
        "secrets_same": same.count(),
        "unused": report.unused.len(),
        "unreadable": report.unreadable.len(),
    });
    out
}

/// The report as a Markdown document.
pub fn markdown(report: &ParityReport) -> String {
    let mut out = format!("# Parity of {} and {}\n\n", report.left, report.right);
    let _ = writeln!(out, "{}", cell(&summary(report)));
    if !report.differences.is_empty() {
        let head = format!("| what | where | {} | {} |", report.left, report.right);
        let _ = writeln!(out, "\n## Differences\n\n{head}\n|---|---|---|---|");
        for difference in &report.differences {
            let side = |value: &Option<Value>| {
                value.as_ref().map_or_else(|| "(nothing)".to_owned(), shown)
            };
            let _ = writeln!(
                out,
                "| {} | `{}` | {} | {} |",
                cell(&what(report, difference)),
                cell(&difference.subject()),
                cell(&side(&difference.left)),
                cell(&side(&difference.right)),
            );
        }
    }
    if !report.explained.is_empty() {
        out.push_str("\n## Different for a reason\n\n| where | why |\n|---|---|\n");
        for explained in &report.explained {
            let subject = cell(&explained.difference.subject());
            let _ = writeln!(
                out,
                "| `{subject}` | {} |",
                cell(&cause(&explained.because))
            );
        }
    }
    if !report.secrets.is_empty() {
        out.push_str("\n## Secrets\n\n| entry | values |\n|---|---|\n");
        for pair in &report.secrets {
            let values = digests(pair);
            let _ = writeln!(out, "| `{}` | {} |", cell(&pair.subject), cell(&values));
        }
    }
    if !report.unused.is_empty() {
        out.push_str("\n## Unused allowances\n\n");
        for unused in &report.unused {
            let _ = writeln!(out, "- `{}`", cell(&unused.path));
        }
    }
    out
}

fn cell(text: &str) -> String {
    escape(text).replace('|', "\\|").replace('\n', " ")
}
