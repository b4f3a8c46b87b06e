//! Learns what the metrics tell: asks what can be asked without making anything, compares the world with
//! the state, and lists backups. What cannot be learned stays unknown, and says why in the log.

use std::collections::BTreeSet;
use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{
    Answer, DatabaseAnswer, Proof, Readiness, Verdict, checks, readiness,
};
use zonewright_engine::config::{Config, Role};
use zonewright_engine::drift::{DriftReport, drift};
use zonewright_engine::observability::{Backup, Known, ZoneKnown};
use zonewright_engine::observe::{Inputs, Observations};
use zonewright_engine::plan::Options;
use zonewright_engine::plan::build::plan;
use zonewright_engine::plan::exposure::exposure;
use zonewright_engine::provider::Observed;
use zonewright_engine::snapshot::State;
use zonewright_providers::probe::Probes;
use zonewright_state::Notice;

use crate::Context;
use crate::commands::drift::set_aside;
use crate::commands::verify::{Line, Round, ask_with};
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
        ..Known::default()
    };
    for zone in stage.config.zones.keys() {
        let learned = zone_known(&stage, zone, recorded).await?;
        known.zones.insert(zone.clone(), learned);
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
        let whole = |p: &&Proof| p.zone == *zone && p.check == COMPARED;
        learned.compared_at = kept.iter().filter(whole).map(|p| p.at).max();
    }
    known.now = proofs::now();
    Ok((stage.config, known))
}

/// What the checks of a zone tell.
async fn zone_known(stage: &Stage, zone: &ZoneName, recorded: bool) -> Result<ZoneKnown, Failure> {
    let inputs = probes::inputs(stage, zone).await?;
    let list = checks(&inputs, zone);
    let mut out = ZoneKnown::default();
    if !recorded {
        let prober = probes::open(stage, &inputs, zone).await;
        let mut asked = list.clone();
        asked.retain(|c| !c.writes);
        let round = Round {
            zone,
            checks: asked,
            read_only: true,
            wait: Duration::ZERO,
        };
        let asked = ask_with(&prober, stage, &inputs, round).await?;
        if let Some(refused) = asked.refused {
            return Err(refused);
        }
        learn(&mut out, &asked.lines);
        out.backups = backups(&prober, &inputs, zone).await;
    }
    if stage.config.role(zone) == Some(Role::Standby) {
        let digest = inputs.config.digest.to_string();
        let kept = proofs::read(stage)?;
        let judged: (Readiness, _) = readiness(zone, &list, &kept, (proofs::now(), &digest));
        out.readiness = Some(judged);
    }
    Ok(out)
}

fn learn(out: &mut ZoneKnown, lines: &[Line]) {
    for line in lines {
        match &line.answer {
            Some(Answer::Database(DatabaseAnswer::ReadOnly { read_only })) => {
                out.writes = Some(!read_only);
            }
            // A clock that is far off makes no lag of it: the check says unknown then.
            Some(Answer::Database(DatabaseAnswer::Heartbeat { age_seconds, .. }))
                if !matches!(line.verdict, Verdict::Unknown(_)) =>
            {
                out.lag_seconds = *age_seconds;
            }
            _ => {}
        }
    }
    let doors: Vec<&Verdict> = lines
        .iter()
        .filter(|l| l.check.id.starts_with("exposure-"))
        .map(|l| &l.verdict)
        .collect();
    let open = doors.iter().any(|v| matches!(v, Verdict::Fail(_)));
    let closed = doors.iter().all(|v| matches!(v, Verdict::Pass(_)));
    if !doors.is_empty() && (open || closed) {
        out.exposed = Some(open);
    }
}

/// The newest backup of each database of a zone.
async fn backups(prober: &Probes, inputs: &Inputs, zone: &ZoneName) -> Vec<Backup> {
    let mut out = Vec::new();
    for record in inputs.state.records() {
        let of_zone = record.address.zone == *zone;
        if !of_zone || record.kind().to_string() != "digitalocean.database_cluster" {
            continue;
        }
        let newest = match prober.newest_backup(&record.id).await {
            Ok(newest) => newest,
            Err(error) => {
                tracing::warn!(%zone, %error, "backups are not known");
                continue;
            }
        };
        out.extend(newest.map(|at| Backup {
            source: format!("{}.{}", record.kind().name(), record.address.name),
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
        let unread = unread(&seen, &report, zone);
        if unread || !inputs.state.records().any(|r| r.address.zone == *zone) {
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

/// Whether something of a zone could not be looked at, or was in the middle of a change.
fn unread(seen: &Observations, report: &DriftReport, zone: &ZoneName) -> bool {
    let of_zone = |a: &zonewright_engine::address::Address| a.zone == *zone;
    report.in_progress.iter().any(of_zone)
        || seen.unopened.keys().any(|i| i.zone == *zone)
        || seen
            .seen
            .iter()
            .any(|(a, o)| of_zone(a) && matches!(o, Observed::Unreadable(_)))
}

/// Whether a declared object that is live lets somebody in.
fn exposed(inputs: &Inputs, seen: &Observations, zone: &ZoneName) -> Option<bool> {
    let mut objects = seen.seen.iter().filter(|(a, _)| a.zone == *zone).peekable();
    objects.peek()?;
    Some(objects.any(|(address, observed)| match observed {
        Observed::Present(live) => exposure(&inputs.registry, address, &live.attrs).is_some(),
        _ => false,
    }))
}
