//! `zonewright completions`: a script for a shell.

use clap::CommandFactory;

use crate::Context;
use crate::args::{Cli, CompletionsArgs};
use crate::exit::Exit;
use crate::report::Failure;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zonewright", &mut script);
    ctx.term.data(&String::from_utf8_lossy(&script));
    Ok(Exit::DONE)
}
