//! `zonewright posture`: how ready a standby zone stands. An edit of the zone's file, shown, and an
//! ordinary plan and apply of that zone with it. The file is written once the plan is approved.

use zonewright_engine::config::{Posture, Role};
use zonewright_engine::plan::Options;
use zonewright_engine::plan::build::PlanError;

use super::apply::{Request, execute};
use crate::Context;
use crate::args::PostureArgs;
use crate::exit::Exit;
use crate::project::{Edit, Project};
use crate::report::Failure;
use crate::stage::Stage;
use crate::world;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: PostureArgs) -> Result<Exit, Failure> {
    let project = Project::find(ctx)?;
    // What it warns of is said when it is read with the edit.
    let (config, _) = project.edited(ctx, &world::registry()?)?;
    let Some(zone) = config.zone(&args.zone) else {
        return Err(Failure::no_zone(&args.zone, config.zones.keys()));
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
    let edit = edit(&project, &args)?;
    let edit = Some(edit).filter(|e| e.after != e.before);
    let Some(edit) = edit else {
        return apply(ctx, &args, project, None).await;
    };
    ctx.term.say(&format!(
        "{}: [zone] posture = \"{}\" (was {before})",
        edit.file,
        args.posture.name()
    ));
    let edited = project.with(edit.clone());
    apply(ctx, &args, edited, Some(edit)).await
}

fn edit(project: &Project, args: &PostureArgs) -> Result<Edit, Failure> {
    project.edit(format!("zones/{}.toml", args.zone), |before| {
        zonewright_zones::set_posture(before, args.posture)
    })
}

async fn apply(
    ctx: &Context,
    args: &PostureArgs,
    project: Project,
    edit: Option<Edit>,
) -> Result<Exit, Failure> {
    let stage = Stage::of(ctx, project).await?;
    let found = stage.config.zone(&args.zone).and_then(|z| z.posture);
    if found != Some(args.posture) {
        let message = format!(
            "the posture that zones/{}.toml sets does not win: an overlay sets another",
            args.zone
        );
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
        edit,
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
