//! `zonewright posture`: how ready a standby zone stands. An edit of the zone's file, shown, and then an
//! ordinary plan and apply of that zone. A run that was not approved or refused takes the edit back.

use std::fs;
use std::path::Path;

use zonewright_engine::config::{Posture, Role};
use zonewright_engine::plan::Options;
use zonewright_engine::plan::build::PlanError;

use super::apply::{Request, execute};
use crate::Context;
use crate::args::PostureArgs;
use crate::exit::Exit;
use crate::project::Project;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: PostureArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    stage.check_zones(std::slice::from_ref(&args.zone))?;
    let Some(zone) = stage.config.zone(&args.zone) else {
        let message = format!("{} has no posture: it is no zone of the spec", args.zone);
        return Err(Failure::error(message));
    };
    if zone.role == Role::Active {
        let serving = PlanError::Serving {
            zone: args.zone.clone(),
        };
        let message = format!(
            "zone {} serves: only a zone that stands by has a posture",
            args.zone
        );
        return Err(Failure::new(Exit::REFUSED, message).help(serving.help()));
    }
    let before = zone.posture.map_or("none", Posture::name);
    let name = format!("zones/{}.toml", args.zone);
    let path = Project::find(ctx)?.root().join(&name);
    let old = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
    let new = zonewright_zones::set_posture(&old, args.posture)
        .map_err(|e| Failure::error(format!("{name} cannot be edited: {e}")))?;
    if new != old {
        let word = args.posture.name();
        ctx.term.say(&format!(
            "{name}: [zone] posture = \"{word}\" (was {before})"
        ));
        write(&path, &new)?;
    }
    let outcome = apply(ctx, &args, &name).await;
    if new != old && sent_nothing(&outcome) {
        write(&path, &old)?;
        ctx.term.say(&format!("{name} is as it was before."));
    }
    outcome
}

async fn apply(ctx: &Context, args: &PostureArgs, file: &str) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let found = stage.config.zone(&args.zone).and_then(|z| z.posture);
    if found != Some(args.posture) {
        let message = format!("the posture that {file} sets does not win: an overlay sets another");
        return Err(Failure::error(message).help("take `posture` out of `[role.standby.zone]`"));
    }
    let zone = args.zone.to_string();
    let request = Request {
        options: Options {
            zones: vec![args.zone.clone()],
            ..Options::default()
        },
        saved: None,
        expect: None,
        run: args.run.clone(),
        command: "posture",
        resume: vec!["apply".to_owned(), "--zone".to_owned(), zone.clone()],
        question: format!(
            "Make zone {zone} {}? Only `yes` goes on:",
            args.posture.name()
        ),
        answer: "yes".to_owned(),
    };
    execute(ctx, &stage, request).await
}

/// Whether the run ended before anything was changed.
fn sent_nothing(outcome: &Result<Exit, Failure>) -> bool {
    let exit = match outcome {
        Ok(exit) => *exit,
        Err(failure) => failure.exit,
    };
    [Exit::REFUSED, Exit::ERROR, Exit::STALE, Exit::LOCKED].contains(&exit)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|e| Failure::file("write", path, e))
}
