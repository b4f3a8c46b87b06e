//! `drift --absorb`: takes an outside change into the spec instead of undoing it. No request that changes
//! anything is sent.

use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;
use zonewright_state::Writer;

use crate::Context;
use crate::args::DriftArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::stage::Stage;
use crate::taking::{Approval, Taking, edits, wanted};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &DriftArgs) -> Result<Exit, Failure> {
    let mut zones: Vec<_> = args.absorb.iter().map(|a| a.zone.clone()).collect();
    zones.sort();
    zones.dedup();
    let options = Options {
        zones,
        ..Options::default()
    };
    let stage = Stage::open(ctx).await?;
    stage.check_zones(&options.zones)?;
    let work = async |writer: &Writer, state| {
        under_lock(ctx, &stage, args, &options, (writer, state)).await
    };
    let command = "drift --absorb";
    stage
        .locked(&options, command, args.lock_timeout, work)
        .await
}

async fn under_lock(
    ctx: &Context,
    stage: &Stage,
    args: &DriftArgs,
    options: &Options,
    (writer, state): (&Writer, State),
) -> Result<Exit, Failure> {
    let planned = stage.plan(state.clone(), options.clone()).await?;
    let absorbed = wanted(&planned, &args.absorb)?;
    if absorbed.is_empty() {
        ctx.term
            .say("These are as the spec says; there is nothing to take into it.");
        return Ok(Exit::DONE);
    }
    let taking = Taking {
        ctx,
        stage,
        options,
        addresses: args.absorb.clone(),
        taken: Vec::new(),
        edits: edits(stage.project(), &absorbed)?,
        import: None,
        approval: Approval {
            dry_run: false,
            auto_approve: args.auto_approve,
        },
    };
    taking.run(writer, state).await
}
