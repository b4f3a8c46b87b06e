//! `zonewright drift`: what was changed outside. Takes no lock and writes nothing.

use zonewright_engine::drift::drift;
use zonewright_engine::plan::Options;

use crate::Context;
use crate::args::{DriftArgs, Format};
use crate::exit::Exit;
use crate::render;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: DriftArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    stage.check_zones(&args.zones)?;
    let options = Options {
        zones: args.zones,
        ..Options::default()
    };
    let (inputs, seen) = stage.look(stage.read()?, options).await?;
    let report = drift(&inputs, &seen);
    match args.format {
        Format::Json => ctx.term.pretty(&render::drift::json(&report)),
        Format::Text => ctx
            .term
            .data(&render::drift::text(&report, ctx.term.out_paint())),
    }
    Ok(if !report.drift.is_empty() {
        Exit::CHANGES
    } else if !report.unreadable.is_empty() {
        Exit::ERROR
    } else {
        Exit::DONE
    })
}
