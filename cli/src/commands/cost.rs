//! `zonewright cost`: what each zone costs a month by mode. From the spec and the dated price tables
//! alone: no vendor, no state, no credentials.

use zonewright_engine::address::ZoneName;
use zonewright_engine::cost::PriceLists;

use crate::args::{CostArgs, ReportFormat};
use crate::exit::Exit;
use crate::project::Project;
use crate::render::cost::{Costs, modes};
use crate::report::Failure;
use crate::{Context, world};

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &CostArgs) -> Result<Exit, Failure> {
    let registry = world::registry()?;
    let project = Project::find(ctx)?;
    let (config, _) = project.config(ctx, &registry)?;
    if let Some(unknown) = args.zones.iter().find(|z| config.zone(z).is_none()) {
        return Err(Failure::no_zone(unknown, config.zones.keys()));
    }
    let selected = |zone: &ZoneName| args.zones.is_empty() || args.zones.contains(zone);
    let sandbox = ctx.global.sandbox.is_some();
    let costs = Costs {
        prices: PriceLists::tables(&registry),
        by_mode: crate::modes::by_mode(&project, &config, &registry, sandbox, selected),
    };
    match args.format {
        ReportFormat::Text => ctx.term.prose(&modes::text(&costs, ctx.term.out_paint())),
        ReportFormat::Markdown => ctx.term.data(&modes::markdown(&costs)),
        ReportFormat::Json => ctx.term.pretty(&modes::json(&costs)),
    }
    Ok(Exit::DONE)
}
