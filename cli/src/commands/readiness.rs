//! `zonewright readiness`: whether a zone may be counted on. Fit for cron outside both zones: every
//! request has a deadline, and a primary that is dead only leaves unknown what needs it.

use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Readiness, checks, readiness};
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
    for zone in zones {
        reports.push(report(&stage, zone, args.recorded).await?);
    }
    ctx.term.data(&match args.format {
        ReadinessFormat::Text => text(&reports, ctx.term.out_paint()),
        ReadinessFormat::Json => format!("{:#}\n", json(&reports)),
        ReadinessFormat::Metrics => metrics(&reports),
    });
    let ready = !reports.is_empty() && reports.iter().all(|r| r.verdict == Readiness::Ready);
    Ok(if ready { Exit::DONE } else { Exit::REFUSED })
}

async fn report(stage: &Stage, zone: ZoneName, recorded: bool) -> Result<Report, Failure> {
    let inputs = probes::inputs(stage, &zone)?;
    let list = checks(&inputs, &zone);
    if !recorded {
        let mut asked = list.clone();
        asked.retain(|c| !c.writes);
        let round = Round {
            zone: &zone,
            checks: asked,
            read_only: true,
            wait: Duration::ZERO,
        };
        ask(stage, &inputs, round).await?;
    }
    let digest = inputs.config.digest.to_string();
    let known = proofs::read(stage)?;
    let (verdict, gates) = readiness(&zone, &list, &known, (proofs::now(), &digest));
    let forecast = outlook(&inputs).remove(&zone);
    Ok(Report {
        zone,
        verdict,
        gates,
        forecast,
    })
}
