//! `zonewright charts …`: the only commands that run helm. They need no world, no state and no secret.

use crate::Context;
use crate::args::ChartsCommand;
use crate::exit::Exit;
use crate::report::Failure;

mod diff;
mod lock;
mod render;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, command: ChartsCommand) -> Result<Exit, Failure> {
    match command {
        ChartsCommand::Lock(args) => lock::run(ctx, &args).await,
        ChartsCommand::Render(args) => render::run(ctx, &args).await,
        ChartsCommand::Diff(args) => diff::run(ctx, &args).await,
    }
}
