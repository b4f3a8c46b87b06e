//! `zonewright graph`: how the resources of the spec depend on each other.

use crate::Context;
use crate::args::{GraphArgs, GraphFormat};
use crate::exit::Exit;
use crate::project::Project;
use crate::render::graph::Graph;
use crate::report::Failure;
use crate::world;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &GraphArgs) -> Result<Exit, Failure> {
    let project = Project::find(ctx)?;
    let (config, _) = project.config(ctx, &world::registry()?)?;
    let graph = Graph::of(&config);
    match args.format {
        GraphFormat::Dot => ctx.term.data(&graph.dot()),
        GraphFormat::Mermaid => ctx.term.data(&graph.mermaid()),
        GraphFormat::Json => ctx.term.pretty(&graph.json()),
    }
    Ok(Exit::DONE)
}
