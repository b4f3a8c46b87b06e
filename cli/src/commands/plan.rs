//! `zonewright plan`: what would change. Sends no request that changes anything and takes no lock.

use zonewright_engine::plan::{Options, Refresh};

use crate::Context;
use crate::args::{Format, PlanArgs, RefreshArg};
use crate::exit::Exit;
use crate::project::write_private;
use crate::render::cost::Costs;
use crate::render::plan::View;
use crate::render::{plan, plan_json};
use crate::report::Failure;
use crate::stage::Stage;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: PlanArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let options = options(&args);
    stage.check_zones(&options.zones)?;
    let planned = stage.plan(stage.read()?, options).await?;
    let approvable = planned.blind.is_none();
    let by_mode = stage.by_mode(&planned.plan.options);
    if let Some(path) = args.out.as_ref().filter(|_| approvable) {
        let bytes = stage.saved(&planned.plan);
        write_private(path, &bytes)?;
    }
    match args.format {
        Format::Json => {
            let costs = Costs {
                prices: planned.prices,
                by_mode,
            };
            let mut json = plan_json::json(&planned.plan, Some(&planned.inputs.state), &costs);
            json["approvable"] = approvable.into();
            ctx.term.pretty(&json);
        }
        Format::Text => {
            let view = View {
                paint: ctx.term.out_paint(),
                verbose: ctx.global.verbose > 0,
                command: command(ctx, &args, &planned.plan.digest().to_string()),
                program: ctx.command(&[]),
                approvable,
                costs: Costs {
                    prices: planned.prices,
                    by_mode,
                },
            };
            ctx.term.prose(&plan::text(&planned.plan, &view));
        }
    }
    if let Some(blind) = planned.blind {
        return Err(Failure::blind(&blind, &planned.plan));
    }
    Ok(if args.detailed_exitcode && !planned.plan.is_empty() {
        Exit::CHANGES
    } else {
        Exit::DONE
    })
}

fn options(args: &PlanArgs) -> Options {
    let mut zones = args.zones.clone();
    zones.sort();
    zones.dedup();
    let mut replace = args.replace.clone();
    replace.sort();
    replace.dedup();
    Options {
        zones,
        destroy: args.destroy,
        replace,
        refresh: match args.refresh {
            RefreshArg::All => Refresh::All,
            RefreshArg::Changed => Refresh::Changed,
            RefreshArg::None => Refresh::None,
        },
    }
}

/// The command that applies exactly this plan. Options that only `plan` has need a saved plan.
fn command(ctx: &Context, args: &PlanArgs, digest: &str) -> Option<String> {
    let mut words = vec!["apply".to_owned()];
    if let Some(path) = &args.out {
        words.push(path.display().to_string());
        return Some(ctx.command(&words));
    }
    if args.destroy || !args.replace.is_empty() || args.refresh != RefreshArg::All {
        return None;
    }
    for zone in &args.zones {
        words.extend(["--zone".to_owned(), zone.to_string()]);
    }
    words.extend(["--expect".to_owned(), digest.to_owned()]);
    Some(ctx.command(&words))
}
