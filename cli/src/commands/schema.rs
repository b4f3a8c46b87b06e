//! `zonewright schema`: the JSON Schema of spec files, or the reference of all kinds.

use crate::Context;
use crate::args::SchemaArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::world;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &SchemaArgs) -> Result<Exit, Failure> {
    let registry = world::registry()?;
    if args.reference {
        ctx.term
            .data(&zonewright_zones::reference_markdown(&registry));
    } else {
        ctx.term.pretty(&zonewright_zones::json_schema(&registry));
    }
    Ok(Exit::DONE)
}
