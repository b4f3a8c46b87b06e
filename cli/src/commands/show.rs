//! `zonewright show`: a saved plan, a recorded resource, or everything that is recorded.

use std::path::Path;

use zonewright_engine::address::Address;
use zonewright_engine::cost::PriceLists;

use super::apply::load;
use super::state::{self, Recorded};
use crate::Context;
use crate::args::{Format, ShowArgs};
use crate::exit::Exit;
use crate::render::cost::Costs;
use crate::render::plan::View;
use crate::render::{plan, plan_json};
use crate::report::Failure;
use crate::world::registry;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let Some(what) = &args.what else {
        let recorded = Recorded::open(ctx).await?;
        state::list(ctx, &recorded.state, args.format);
        return Ok(Exit::DONE);
    };
    let path = Path::new(what);
    // What is there and no file is told to be so, and not taken for an address.
    if path.exists() {
        saved(ctx, path, args.format)?;
        return Ok(Exit::DONE);
    }
    let address: Address = what
        .parse()
        .map_err(|e| Failure::error(format!("`{what}` is no file and no address")).because(e))?;
    let recorded = Recorded::open(ctx).await?;
    state::show(ctx, &recorded.state, &address, args.format)?;
    Ok(Exit::DONE)
}

fn saved(ctx: &Context, path: &Path, format: Format) -> Result<(), Failure> {
    let saved = load(ctx, path)?;
    // Nobody is asked for prices: the tables are at hand.
    // What other postures would cost follows from the spec, which may have moved on.
    let costs = Costs {
        prices: PriceLists::tables(&registry()?),
        ..Costs::default()
    };
    match format {
        Format::Json => ctx.term.pretty(&plan_json::json(&saved, None, &costs)),
        Format::Text => {
            let words = ["apply".to_owned(), path.display().to_string()];
            let view = View {
                paint: ctx.term.out_paint(),
                verbose: ctx.global.verbose > 0,
                command: Some(ctx.command(&words)),
                program: ctx.command(&[]),
                approvable: true,
                costs,
            };
            ctx.term.prose(&plan::text(&saved, &view));
        }
    }
    Ok(())
}
