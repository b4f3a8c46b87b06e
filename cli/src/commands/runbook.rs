//! `zonewright runbook`: what is done when another zone shall serve. From the spec alone: no vendor, no
//! state and no clock, so that it can be made while the zone that serves is gone, and compared in CI.

use zonewright_engine::address::ZoneName;
use zonewright_engine::config::{Config, Posture, Role};
use zonewright_engine::runbook::{NoRunbook, Runbook, runbook};
use zonewright_engine::schema::Registry;

use crate::Context;
use crate::args::{RunbookArgs, RunbookFormat};
use crate::exit::Exit;
use crate::project::{Project, ROOT_FILE, replace_with};
use crate::render::runbook::{html, json, markdown};
use crate::report::Failure;
use crate::typed::typed;
use crate::world;

/// Where requests by hand go, unless it is a rehearsal.
const DIGITALOCEAN: &str = "https://api.digitalocean.com";

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &RunbookArgs) -> Result<Exit, Failure> {
    let program = match args.portable {
        true => "zonewright".to_owned(),
        false => ctx.command(&[]),
    };
    let rehearsed = ctx.global.sandbox.is_some() && !args.portable;
    let here = |text: &str| match rehearsed {
        true => typed(&program, text).replace(DIGITALOCEAN, "\"$DIGITALOCEAN_API_URL\""),
        false => typed(&program, text),
    };
    let mut made = make(ctx, &args.to)?.retyped(&here);
    if rehearsed {
        let serve = ctx.command(&["sandbox".to_owned(), "serve".to_owned()]);
        made.warnings.insert(0, format!(
            "A rehearsal: every command stays in the sandbox. Keep it up with {serve}, and set the variables that it prints."
        ));
    }
    let text = match args.format {
        RunbookFormat::Markdown => markdown(&made, &program),
        RunbookFormat::Html => html(&made, &program),
        RunbookFormat::Json => format!("{:#}\n", json(&made)),
    };
    match &args.output {
        Some(path) => replace_with(path, text.as_bytes(), 0o644)
            .map_err(|e| Failure::file("write", path, e))?,
        None => ctx.term.data(&text),
    }
    Ok(Exit::DONE)
}

fn make(ctx: &Context, to: &ZoneName) -> Result<Runbook, Failure> {
    let registry = world::registry()?;
    let project = Project::find(ctx)?;
    let (now, _) = project.config(ctx, &registry)?;
    let zone = now.zone(to);
    let zone = zone.ok_or_else(|| Failure::no_zone(to, now.zones.keys()))?;
    if zone.role == Role::Active {
        let message = format!("zone {to} serves already");
        return Err(Failure::new(Exit::REFUSED, message)
            .help("name a zone that stands by: the runbook leads to it"));
    }
    let off = zone.posture == Some(Posture::Off);
    // A zone that is off is built first, and then switched to like any other.
    let project = match off {
        true => {
            let file = format!("zones/{to}.toml");
            let cold = |text: &str| zonewright_zones::set_posture(text, Posture::Cold);
            let edit = project.edit(file, cold)?;
            project.with(edit)
        }
        false => project,
    };
    let before = match off {
        true => project.edited(ctx, &registry)?.0,
        false => now,
    };
    let active = |text: &str| zonewright_zones::set_active(text, to);
    let edit = project.edit(ROOT_FILE.to_owned(), active)?;
    let (after, _) = project.with(edit).edited(ctx, &registry)?;
    of(ctx, (&before, &after), off, &registry)
}

fn of(
    ctx: &Context,
    (before, after): (&Config, &Config),
    off: bool,
    registry: &Registry,
) -> Result<Runbook, Failure> {
    runbook((before, after), off, registry).map_err(|error| match error {
        NoRunbook::NoReplica { ref zone } => Failure::new(Exit::REFUSED, error.to_string()).help(
            format!(
                "the decision of {zone} is `strategy = \"replica\"`: declare one, or decide for `restore`"
            ),
        ),
        NoRunbook::Undecided { ref zone, .. } => Failure::new(Exit::REFUSED, error.to_string())
            .help(format!(
                "decide it in `[database]` of zones/{zone}.toml: `strategy`, `reason` and `date`; apply the zone, then make the runbook"
            )),
        NoRunbook::Plan { zone, errors } => {
            ctx.term.say(&format!("With `active = \"{zone}\"`:"));
            Failure::from(errors)
        }
    })
}
