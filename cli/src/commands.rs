//! One file per command.

mod absorb;
mod adopt;
mod apply;
mod charts;
mod completions;
mod cost;
mod destroy;
pub(crate) mod drift;
mod explain;
mod fmt;
mod graph;
mod import;
mod init;
mod kubeconfig;
mod metrics;
mod observability;
mod orphans;
mod output;
mod parity;
mod plan;
mod posture;
mod readiness;
mod restore;
mod runbook;
pub(crate) mod sandbox;
mod schema;
mod show;
mod state;
mod validate;
pub(crate) mod verify;

use crate::Context;
use crate::args::Command;
use crate::exit::Exit;
use crate::report::Failure;

/// Runs a command.
pub(crate) async fn run(ctx: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(ctx, &args),
        Command::Validate(args) => validate::run(ctx, &args),
        Command::Fmt(args) => fmt::run(ctx, &args),
        Command::Schema(args) => schema::run(ctx, &args),
        Command::Explain(args) => explain::run(ctx, &args),
        Command::Completions(args) => completions::run(ctx, &args),
        Command::Plan(args) => Box::pin(plan::run(ctx, args)).await,
        Command::Apply(args) => Box::pin(apply::run(ctx, args)).await,
        Command::Drift(args) => Box::pin(drift::run(ctx, args)).await,
        Command::Parity(args) => Box::pin(parity::run(ctx, args)).await,
        Command::Verify(args) => Box::pin(verify::run(ctx, args)).await,
        Command::Readiness(args) => Box::pin(readiness::run(ctx, args)).await,
        Command::Smoke(args) => Box::pin(verify::smoke(ctx, args)).await,
        Command::Metrics(args) => Box::pin(metrics::run(ctx, args)).await,
        Command::Observability(args) => observability::run(ctx, &args),
        Command::Charts(command) => Box::pin(charts::run(ctx, command)).await,
        Command::Adopt(args) => Box::pin(adopt::run(ctx, args)).await,
        Command::Orphans(args) => Box::pin(orphans::run(ctx, args)).await,
        Command::Import(args) => Box::pin(import::run(ctx, &args)).await,
        Command::Destroy(args) => Box::pin(destroy::run(ctx, args)).await,
        Command::Posture(args) => Box::pin(posture::run(ctx, args)).await,
        Command::Cost(args) => cost::run(ctx, &args),
        Command::Restore(command) => Box::pin(restore::run(ctx, command)).await,
        Command::Runbook(args) => runbook::run(ctx, &args),
        Command::Show(args) => Box::pin(show::run(ctx, &args)).await,
        Command::Output(args) => Box::pin(output::run(ctx, &args)).await,
        Command::Graph(args) => graph::run(ctx, &args),
        Command::State(command) => Box::pin(state::run(ctx, &command)).await,
        Command::Kubeconfig(args) => Box::pin(kubeconfig::run(ctx, &args)).await,
        Command::Sandbox(command) => Box::pin(sandbox::run(ctx, command)).await,
    }
}
