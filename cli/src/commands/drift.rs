//! `zonewright drift`: what was changed outside, and what exposes a zone that must not be. Takes no lock and writes nothing.

use zonewright_engine::check::{Check, Prober, checks, judge};
use zonewright_engine::drift::{DriftReport, drift};
use zonewright_engine::observe::Inputs;
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;
use zonewright_state::Notice;

use super::absorb;
use crate::Context;
use crate::args::{DriftArgs, Format};
use crate::exit::Exit;
use crate::probes;
use crate::render;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: DriftArgs) -> Result<Exit, Failure> {
    if !args.absorb.is_empty() {
        return absorb::run(ctx, &args).await;
    }
    let stage = Stage::open(ctx).await?;
    stage.check_zones(&args.zones)?;
    let options = Options {
        zones: args.zones,
        ..Options::default()
    };
    let (inputs, seen) = stage.look(stage.read()?, options).await?;
    let mut report = drift(&inputs, &seen);
    if !report.drift.is_empty() {
        set_aside(&stage, &inputs.state, &mut report)?;
    }
    look_for_exposure(&stage, &inputs, &mut report).await?;
    match args.format {
        Format::Json => ctx.term.pretty(&render::drift::json(&report)),
        Format::Text => ctx
            .term
            .prose(&render::drift::text(&report, ctx.term.out_paint())),
    }
    Ok(if report.found() {
        Exit::CHANGES
    } else if report.incomplete() {
        Exit::ERROR
    } else {
        Exit::DONE
    })
}

/// Looks at the ways into every standby that exists, its cluster's and the cloud's: what somebody else
/// made there is in no record.
async fn look_for_exposure(
    stage: &Stage,
    inputs: &Inputs,
    report: &mut DriftReport,
) -> Result<(), Failure> {
    for zone in inputs.config.zones.keys() {
        if !inputs.options.selects(zone) || !probes::has_cluster(inputs, zone) {
            continue;
        }
        let mut wanted = checks(inputs, zone);
        wanted.retain(Check::is_about_exposure);
        if wanted.is_empty() {
            continue;
        }
        let prober = probes::open(stage, inputs, zone).await?;
        for check in &wanted {
            let verdict = judge(check, &prober.ask(zone, &check.probe).await);
            report.note_exposure(zone, check, &verdict);
        }
    }
    Ok(())
}

/// What a run changes while we look is no drift. Whether one is at work says the lock, or the state:
/// it moved on since it was read.
pub(crate) fn set_aside(
    stage: &Stage,
    before: &State,
    report: &mut DriftReport,
) -> Result<(), Failure> {
    let after = stage.load(&State::default())?;
    let running = |n: &Notice| matches!(n, Notice::Running { .. });
    if after.notices.iter().any(running) || after.state != *before {
        report.set_aside(before, &after.state);
    }
    Ok(())
}
