//! `zonewright validate`: the spec alone, without looking at anything outside.

use serde_json::{Value as Json, json};

use crate::Context;
use crate::args::{Format, FormatArgs};
use crate::exit::Exit;
use crate::project::{Project, say_diagnostics};
use crate::render::text::count;
use crate::report::Failure;
use crate::world;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &FormatArgs) -> Result<Exit, Failure> {
    let project = Project::find(ctx)?;
    let loaded = project.load(&world::registry()?, ctx.global.sandbox.is_some());
    let valid = loaded.config.is_some();
    match args.format {
        Format::Json => {
            let diagnostics: Vec<_> = loaded.diagnostics.iter().map(|d| d.to_json()).collect();
            let resources = loaded.config.as_ref().map(|c| c.resources.len());
            let mut out = json!({ "format_version": 1, "valid": valid, "hidden": loaded.hidden });
            out["resources"] = resources.map_or(Json::Null, |n| json!(n));
            out["diagnostics"] = json!(diagnostics);
            ctx.term.pretty(&out);
        }
        Format::Text => {
            say_diagnostics(ctx, &loaded);
            match &loaded.config {
                Some(config) => ctx.term.data(&format!(
                    "The spec is valid: {} in {}.\n",
                    count(config.resources.len(), "resource"),
                    count(config.zones.len(), "zone")
                )),
                None => ctx.term.say(&format!(
                    "The spec has {}.",
                    count(loaded.diagnostics.len() + loaded.hidden, "mistake")
                )),
            }
        }
    }
    Ok(if valid { Exit::DONE } else { Exit::ERROR })
}
