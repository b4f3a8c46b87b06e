//! `zonewright import`: takes something that exists under management.

use zonewright_engine::import::import;
use zonewright_engine::journal::{Entry, Journal};
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;
use zonewright_state::Writer;

use crate::Context;
use crate::args::ImportArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let options = Options {
        zones: vec![args.address.zone.clone()],
        ..Options::default()
    };
    stage.check_zones(&options.zones)?;
    let work = async |writer: &Writer, state| {
        under_lock(&stage, args, options.clone(), (writer, state)).await
    };
    let timeout = args.lock_timeout;
    stage.locked(&options, "import", timeout, work).await?;
    ctx.term.say(&format!(
        "{} is managed from now on; `{}` shows what differs from the spec.",
        args.address,
        ctx.command(&["plan".to_owned()])
    ));
    Ok(Exit::DONE)
}

async fn under_lock(
    stage: &Stage,
    args: &ImportArgs,
    options: Options,
    (writer, state): (&Writer, State),
) -> Result<(), Failure> {
    let (inputs, seen) = stage.look(state, options).await?;
    let record = import(&inputs, &seen, &args.address, &args.id)
        .map_err(|e| Failure::error(e.to_string()))?;
    stage.record_identities(writer)?;
    let entry = Entry::Import {
        record: Box::new(record),
    };
    writer
        .append(&args.address.zone, vec![entry])
        .await
        .map_err(|e| Failure::error(format!("{e}: {}", e.source)))
}
