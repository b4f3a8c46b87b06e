//! `zonewright parity`: two zones side by side. Takes no lock and writes nothing.

use std::fs;

use zonewright_engine::expr::Origin;
use zonewright_engine::parity::{ChartFacts, Question, parity};
use zonewright_engine::plan::Options;
use zonewright_engine::value::Value;
use zonewright_zones::ChartSpec;

use crate::Context;
use crate::args::{ParityArgs, ReportFormat};
use crate::exit::Exit;
use crate::render;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: ParityArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let zones = vec![args.left.clone(), args.right.clone()];
    stage.check_zones(&zones)?;
    let options = Options {
        zones,
        ..Options::default()
    };
    let (inputs, seen) = stage.look(stage.read()?, options).await?;
    let charts: Vec<ChartFacts> = stage.charts().into_iter().map(facts).collect();
    let question = Question {
        left: &args.left,
        right: &args.right,
        charts: &charts,
        overlay: &|at| overlay(&stage, at),
    };
    let Some(report) = parity(&inputs, &seen, &question) else {
        return Err(Failure::error("the edge is no zone to compare")
            .help("name two zones of `[project] zones`"));
    };
    let (paint, verbose) = (ctx.term.out_paint(), ctx.global.verbose > 0);
    match args.format {
        ReportFormat::Json => ctx.term.pretty(&render::parity::json(&report)),
        ReportFormat::Markdown => ctx.term.data(&render::parity::markdown(&report)),
        ReportFormat::Text => ctx
            .term
            .prose(&render::parity::text(&report, paint, verbose)),
    }
    Ok(if !report.is_clean() {
        Exit::CHANGES
    } else if !report.unreadable.is_empty() {
        Exit::ERROR
    } else {
        Exit::DONE
    })
}

fn facts(chart: ChartSpec) -> ChartFacts {
    let version = chart.version.map_or(Value::Null, Value::text);
    let facts = [
        ("chart".to_owned(), Value::text(chart.chart)),
        ("version".to_owned(), version),
        ("values".to_owned(), Value::from_plain_json(chart.values)),
    ];
    ChartFacts {
        address: chart.address,
        facts: Value::Map(facts.into()),
    }
}

/// The role or posture whose overlay a place belongs to.
fn overlay(stage: &Stage, at: &Origin) -> Option<String> {
    if !at.file.ends_with(".toml") {
        return None;
    }
    let text = fs::read_to_string(stage.root().join(&*at.file)).ok()?;
    table_at(&text, at.start).and_then(overlay_of)
}

/// The header of the table that a byte of a TOML text belongs to.
fn table_at(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    // The place may be in the header's own line.
    let whole = text.get(..line_end.max(start))?;
    whole.lines().rev().find_map(|line| {
        let line = line.trim();
        let inner = line.strip_prefix('[')?.split(']').next()?;
        inner
            .starts_with(|c: char| c.is_alphabetic())
            .then_some(inner)
    })
}

fn overlay_of(table: &str) -> Option<String> {
    let mut words = table.split('.').map(str::trim);
    match (words.next(), words.next()) {
        (Some(kind @ ("role" | "posture")), Some(which)) => Some(format!("{kind}.{which}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_the_table_above_it() {
        let text = "[zone]\na = 1\n\n[role.standby.x.y.z]\ncontent = [\n  1,\n]\n[other]\nb = 2\n";
        let of = |needle: &str| table_at(text, text.find(needle).unwrap()).and_then(overlay_of);
        assert_eq!(of("a = 1"), None);
        assert_eq!(of("content"), Some("role.standby".to_owned()));
        assert_eq!(of("1,"), Some("role.standby".to_owned()));
        assert_eq!(of("b = 2"), None);
        assert_eq!(table_at("x = 1", 0), None);
    }
}
