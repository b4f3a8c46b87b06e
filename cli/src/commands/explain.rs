//! `zonewright explain`: what a diagnostic code means.

use crate::Context;
use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::report::Failure;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &ExplainArgs) -> Result<Exit, Failure> {
    let code = args.code.to_ascii_uppercase();
    let text = crate::explain(&code).ok_or_else(|| {
        Failure::error(format!("there is no code {code}"))
            .help("codes look like ZW1502 and stand in square brackets behind messages; X1 to X14 are in docs/contradictions.md")
    })?;
    ctx.term.prose(&format!("{code}\n\n{text}\n"));
    Ok(Exit::DONE)
}
