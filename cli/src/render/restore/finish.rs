//! The steps after a restore, as they stand.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value as Json, json as object};
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::PostRestoreRun;
use zonewright_engine::restore::finish::{Row, Standing};

use crate::render::style::{Paint, Tone};
use crate::render::text::escape;

/// What was found or done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The zone.
    pub zone: ZoneName,
    /// The server's name.
    pub server: String,
    /// The database on it.
    pub database: String,
    /// Whether nothing was to be done.
    pub dry_run: bool,
    /// The steps.
    pub steps: Vec<Row>,
}

/// For people.
pub fn text(report: &Report, paint: Paint) -> String {
    let zone = format!("steps after the restore of zone {}", report.zone);
    let mut out = format!("{}\n", paint.tone(Tone::Strong, zone));
    let _ = writeln!(
        out,
        "  in       {} of {}",
        escape(&report.database),
        escape(&report.server)
    );
    if report.steps.is_empty() {
        let _ = writeln!(out, "  nothing: no [[database.post_restore]]");
    }
    for (n, row) in report.steps.iter().enumerate() {
        let (tone, word) = standing(row.standing);
        let kind = match &row.step.run {
            PostRestoreRun::Sql(_) => "SQL",
            PostRestoreRun::Job(_) => "Job",
        };
        let word = paint.tone(tone, format!("{word:<11}"));
        let _ = write!(
            out,
            "  {}. {word} {} ({kind})",
            n + 1,
            escape(&row.step.name)
        );
        match &row.why {
            Some(why) => {
                let _ = writeln!(out, ": {}", escape(why));
            }
            None => out.push('\n'),
        }
    }
    let count = |standing: Standing| {
        let like = report.steps.iter().filter(|r| r.standing == standing);
        like.count()
    };
    let _ = match report.dry_run {
        true => writeln!(
            out,
            "{} needed, {} not needed. Nothing was changed.",
            count(Standing::Needed),
            count(Standing::NotNeeded)
        ),
        false => writeln!(
            out,
            "{} done, {} not needed.",
            count(Standing::Done),
            count(Standing::NotNeeded)
        ),
    };
    out
}

fn standing(standing: Standing) -> (Tone, &'static str) {
    match standing {
        Standing::NotRun => (Tone::Faint, "not run"),
        Standing::Needed => (Tone::Change, "needed"),
        Standing::NotNeeded => (Tone::Good, "not needed"),
        Standing::Done => (Tone::Good, "done"),
        Standing::Failed => (Tone::Bad, "failed"),
        Standing::InDoubt => (Tone::Bad, "in doubt"),
    }
}

/// For programs.
pub fn json(report: &Report) -> Json {
    object!(report)
}
