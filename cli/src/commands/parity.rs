//! `zonewright parity`: two zones side by side. Takes no lock and writes nothing.

use zonewright_engine::address::ZoneName;
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
    check_both(&stage, &zones)?;
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
    };
    let report = parity(&inputs, &seen, &question);
    let report = report.ok_or_else(|| Failure::error("these zones cannot be compared"))?;
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

/// The edge belongs to no zone: there is nothing to compare it with.
fn check_both(stage: &Stage, zones: &[ZoneName]) -> Result<(), Failure> {
    let known = &stage.config.zones;
    let Some(other) = zones.iter().find(|z| !known.contains_key(*z)) else {
        return Ok(());
    };
    if other.is_edge() {
        let names: Vec<&str> = known.keys().map(ZoneName::as_str).collect();
        return Err(Failure::error("the edge is no zone to compare")
            .help(format!("the zones are {}", names.join(", "))));
    }
    Err(Failure::no_zone(other, known.keys()))
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
