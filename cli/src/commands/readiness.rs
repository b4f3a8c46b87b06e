//! `zonewright readiness`: whether a zone may be counted on. Fit for cron outside both zones: every
//! request has a deadline, and a primary that is dead only leaves unknown what needs it.

use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Demand, Moment, Readiness, budget, checks, readiness};
use zonewright_engine::config::Role;
use zonewright_engine::objectives::outlook;

use super::verify::{Round, ask};
use crate::Context;
use crate::args::{ReadinessArgs, ReadinessFormat};
use crate::exit::Exit;
use crate::render::readiness::{Report, json, metrics, text};
use crate::report::Failure;
use crate::stage::Stage;
use crate::{probes, proofs};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: ReadinessArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let mut zones = args.zones;
    if zones.is_empty() {
        let standby = stage
            .config
            .zones
            .values()
            .filter(|z| z.role == Role::Standby);
        zones = standby.map(|z| z.name.clone()).collect();
    }
    let mut reports = Vec::new();
    let mut refused = None;
    for zone in zones {
        let (report, failure) = report(&stage, zone, args.recorded).await?;
        reports.push(report);
        refused = refused.or(failure);
    }
    ctx.term.data(&match args.format {
        ReadinessFormat::Text => text(&reports, ctx.term.out_paint()),
        ReadinessFormat::Json => format!("{:#}\n", json(&reports)),
        ReadinessFormat::Metrics => metrics(&reports),
    });
    if let Some(refused) = refused {
        return Err(refused);
    }
    let ready = !reports.is_empty() && reports.iter().all(|r| r.verdict == Readiness::Ready);
    Ok(if ready { Exit::DONE } else { Exit::REFUSED })
}

/// The report on a zone, and credentials that were refused on the way.
async fn report(
    stage: &Stage,
    zone: ZoneName,
    recorded: bool,
) -> Result<(Report, Option<Failure>), Failure> {
    let inputs = probes::inputs(stage, &zone).await?;
    let list = checks(&inputs, &zone);
    let mut refused = None;
    if !recorded {
        let mut asked = list.clone();
        asked.retain(|c| !c.writes);
        let round = Round {
            zone: &zone,
            checks: asked,
            read_only: true,
            wait: Duration::ZERO,
        };
        refused = ask(stage, &inputs, round).await?.refused;
    }
    let digest = inputs.config.digest.to_string();
    let now = Moment {
        at: proofs::now(),
        spec: &digest,
    };
    let known = proofs::read(stage)?;
    let forecast = outlook(&inputs).remove(&zone);
    let demand = Demand {
        checks: &list,
        budget: budget(&inputs.config.objectives, forecast.as_ref()),
        recorded,
    };
    let (verdict, gates) = readiness(&zone, demand, &known, now);
    let report = Report {
        zone,
        verdict,
        gates,
        forecast,
    };
    Ok((report, refused))
}
