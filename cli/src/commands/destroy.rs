//! `zonewright destroy`: removes everything of one zone. The zone that serves is refused.

use zonewright_engine::config::Role;
use zonewright_engine::plan::Options;

use super::apply::{Request, execute};
use crate::Context;
use crate::args::DestroyArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: DestroyArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let zones = vec![args.zone.clone()];
    stage.check_zones(&zones)?;
    // Said before anything else: no lock, no request.
    if stage.config.role(&args.zone) == Some(Role::Active) {
        let refused = zonewright_engine::plan::build::PlanError::Serving { zone: args.zone };
        return Err(refused.into());
    }
    let request = Request {
        options: Options {
            zones,
            destroy: true,
            ..Options::default()
        },
        saved: None,
        expect: None,
        edit: None,
        run: args.run,
        command: "destroy",
        resume: vec![
            "destroy".to_owned(),
            "--zone".to_owned(),
            args.zone.to_string(),
        ],
        question: format!(
            "Destroy everything in zone {0}? Type its name, `{0}`, to go on:",
            args.zone
        ),
        answer: args.zone.to_string(),
    };
    execute(ctx, &stage, request).await
}
