//! Learns what the metrics tell: asks what can be asked without making anything, compares the world with
//! the state, and lists backups. What cannot be learned stays unknown, and says why in the log: a zone that
//! refuses says nothing about the other.

use std::collections::BTreeSet;
use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Demand, Moment, Proof, Readiness, budget, checks, readiness};
use zonewright_engine::config::{Config, Role};
use zonewright_engine::data;
use zonewright_engine::drift::drift;
use zonewright_engine::objectives::outlook;
use zonewright_engine::observability::{
    Backup, Known, Unsettled, ZoneKnown, exposed, learn, unread,
};
use zonewright_engine::observe::Inputs;
use zonewright_engine::plan::Options;
use zonewright_engine::plan::build::plan;
use zonewright_engine::provider::ErrorClass;
use zonewright_engine::snapshot::State;
use zonewright_providers::probe::Probes;
use zonewright_state::Notice;

use crate::Context;
use crate::commands::drift::set_aside;
use crate::commands::verify::{Round, ask_with};
use crate::report::Failure;
use crate::stage::Stage;
use crate::{probes, proofs};

/// The name of the proof that a comparison leaves; no check has it.
const COMPARED: &str = "drift";

/// Everything that is known now. `recorded` sends nothing.
pub(crate) async fn collect(ctx: &Context, recorded: bool) -> Result<(Config, Known), Failure> {
    let stage = Stage::open(ctx).await?;
    let loaded = stage.load(&State::default())?;
    let running = |n: &Notice| matches!(n, Notice::Running { .. });
    let mut known = Known {
        run_active: loaded.notices.iter().any(running),
        epoch: loaded.epochs.get(&ZoneName::edge()).copied(),
        ..Known::default()
    };
    let mut refusals = Vec::new();
    if !known.run_active {
        known.unsettled = Unsettled::of(&loaded.state);
    }
    for zone in stage.config.zones.keys() {
        let (learned, refused) = zone_known(&stage, zone, recorded).await?;
        refusals.extend(refused.map(|refused| (zone, refused)));
        known.zones.insert(zone.clone(), learned);
    }
    if refusals.len() == known.zones.len()
        && let Some((_, refused)) = refusals.pop()
    {
        return Err(refused);
    }
    for (zone, refused) in refusals {
        ctx.term
            .say(&format!("{zone} is not wholly known: {refused}"));
    }
    if !recorded {
        let compared = compare(&stage, loaded.state, &mut known).await;
        if let Err(failure) = compared {
            // What the checks told stands.
            ctx.term.say(&format!("not compared: {failure}"));
        }
    }
    let kept = proofs::read(&stage)?;
    for (zone, learned) in &mut known.zones {
        let newest = |wanted: &dyn Fn(&&Proof) -> bool| {
            let own = kept.iter().filter(|p| p.zone == *zone);
            own.filter(wanted).map(|p| p.at).max()
        };
        learned.compared_at = newest(&|p| p.check == COMPARED);
        learned.restored_at = newest(&|p| p.check == proofs::RESTORED && p.verdict == "pass");
    }
    known.now = proofs::now();
    Ok((stage.config, known))
}

/// What the checks of a zone tell, and whether its own cluster's credentials were refused.
async fn zone_known(
    stage: &Stage,
    zone: &ZoneName,
    recorded: bool,
) -> Result<(ZoneKnown, Option<Failure>), Failure> {
    let inputs = probes::inputs(stage, zone).await?;
    let list = checks(&inputs, zone);
    let (mut out, mut refused) = (ZoneKnown::default(), None);
    if !recorded {
        let prober = probes::open(stage, &inputs, zone).await?;
        let mut asked = list.clone();
        asked.retain(|c| !c.writes);
        let round = Round {
            zone,
            checks: asked,
            read_only: true,
            wait: Duration::ZERO,
        };
        let asked = ask_with(&prober, stage, &inputs, round).await?;
        let own = prober.clusters.get(zone).and_then(|c| c.as_ref().err());
        if own.is_some_and(|e| {
            [ErrorClass::Unauthorized, ErrorClass::WrongCluster].contains(&e.class)
        }) {
            refused = asked.refused;
        }
        let lines = asked.lines.iter();
        out = learn(lines.map(|l| (&l.check, &l.verdict, l.answer.as_ref())));
        out.backups = backups(&prober, &inputs, zone).await;
    }
    if stage.config.role(zone) == Some(Role::Standby) {
        let digest = inputs.config.digest.to_string();
        let kept = proofs::read(stage)?;
        let forecast = outlook(&inputs).remove(zone);
        let demand = Demand {
            checks: &list,
            budget: budget(&inputs.config.objectives, forecast.as_ref()),
            recorded,
        };
        let now = Moment {
            at: proofs::now(),
            spec: &digest,
        };
        let judged: (Readiness, _) = readiness(zone, demand, &kept, now);
        out.readiness = Some(judged);
    }
    Ok((out, refused))
}

/// The newest backup of each database of a zone.
async fn backups(prober: &Probes, inputs: &Inputs, zone: &ZoneName) -> Vec<Backup> {
    let mut out = Vec::new();
    for database in data::writers(&inputs.config, &inputs.registry, zone) {
        let Some(record) = inputs.state.record(database) else {
            continue;
        };
        let newest = match prober.newest_backup(&record.id).await {
            Ok(newest) => newest,
            Err(error) => {
                tracing::warn!(%zone, %error, "backups are not known");
                continue;
            }
        };
        out.extend(newest.map(|at| Backup {
            source: data::label(database),
            at,
        }));
    }
    out
}

/// Drift, what bills, and whether the zone that serves is exposed: from one look at everything.
async fn compare(stage: &Stage, state: State, known: &mut Known) -> Result<(), Failure> {
    let (inputs, seen) = stage.look(state, Options::default()).await?;
    let mut report = drift(&inputs, &seen);
    if !report.drift.is_empty() {
        set_aside(stage, &inputs.state, &mut report)?;
    }
    let bills = plan(&inputs, &seen).map(|p| p.bills);
    if let Err(errors) = &bills {
        tracing::warn!(?errors, "what bills is not known");
    }
    let spec = inputs.config.digest.to_string();
    let mut compared = Vec::new();
    for (zone, learned) in &mut known.zones {
        let recorded = inputs.state.records().any(|r| r.address.zone == *zone);
        let mut declared = inputs.config.resources.values();
        let unmade = !recorded && declared.any(|r| r.address.zone == *zone && !r.meta.observe);
        if unmade || unread(&seen, &report, zone) {
            continue;
        }
        if stage.config.role(zone) == Some(Role::Active) {
            learned.exposed = exposed(&inputs, &seen, zone);
        }
        let count = report
            .drift
            .iter()
            .filter(|d| d.address.zone == *zone)
            .count();
        learned.drift = Some(count);
        compared.push(Proof {
            at: proofs::now(),
            zone: zone.clone(),
            check: COMPARED.to_owned(),
            verdict: if count == 0 { "pass" } else { "fail" }.to_owned(),
            evidence: format!("{count} resources drifted"),
            millis: 0,
            spec: spec.clone(),
        });
        if let Some(bill) = bills.as_ref().ok().and_then(|b| b.get(zone)) {
            let what: BTreeSet<_> = bill.now.iter().filter_map(|l| l.address.as_ref()).collect();
            learned.billable = Some(what.len());
        }
    }
    proofs::append(stage, &compared)
}
