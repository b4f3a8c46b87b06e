//! `zonewright schema`: the JSON Schema of spec files.

use crate::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::world;

/// Runs the command.
pub(crate) fn run(ctx: &Context) -> Result<Exit, Failure> {
    ctx.term
        .pretty(&zonewright_zones::json_schema(&world::registry()?));
    Ok(Exit::DONE)
}
