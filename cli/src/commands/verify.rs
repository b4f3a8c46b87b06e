//! `zonewright verify` and `zonewright smoke`: every line of the validation list, asked live.

use std::time::{Duration, Instant};

use futures::StreamExt;
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Check, Line, Moment, Probe, Prober, Proof, Verdict, checks, judge};
use zonewright_engine::config::{Posture, Zone};
use zonewright_engine::observe::Inputs;
use zonewright_providers::probe::Probes;

use crate::Context;
use crate::args::{ReportFormat, SmokeArgs, VerifyArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::render;
use crate::report::Failure;
use crate::stage::Stage;
use crate::{probes, proofs};

/// Checks under way at once.
const AT_ONCE: usize = 6;
/// The pause before what failed is asked again; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs `verify`.
pub(crate) async fn run(ctx: &Context, args: VerifyArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    refuse_off(&stage, &args.zone)?;
    let inputs = probes::inputs(&stage, &args.zone).await?;
    let all = checks(&inputs, &args.zone);
    for id in &args.only {
        if !all.iter().any(|c| c.is(id)) {
            let known: Vec<&str> = all.iter().map(|c| c.id.as_str()).collect();
            return Err(
                Failure::error(format!("zone {} has no check `{id}`", args.zone))
                    .help(format!("its checks are {}", known.join(", "))),
            );
        }
    }
    let wanted = |c: &Check| args.only.is_empty() || args.only.iter().any(|id| c.is(id));
    let chosen = all.into_iter().filter(wanted);
    let chosen: Vec<Check> = match args.in_cluster {
        true => chosen.map(Check::inside).collect(),
        false => chosen.collect(),
    };
    let round = Round {
        zone: &args.zone,
        checks: chosen,
        read_only: args.read_only,
        wait: args.wait,
    };
    finish(ctx, &stage, &inputs, round, args.format).await
}

/// Of a zone that is off nothing is there to be asked, by decision: no line could tell more than that.
fn refuse_off(stage: &Stage, name: &ZoneName) -> Result<(), Failure> {
    let off = |z: &Zone| z.posture == Some(Posture::Off);
    if !stage.config.zone(name).is_some_and(off) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::REFUSED,
        format!("zone {name} is off: nothing of it is built, so nothing can be proven"),
    )
    .help(format!("`zonewright posture --zone {name} cold` builds it")))
}

/// Runs `smoke`.
pub(crate) async fn smoke(ctx: &Context, args: SmokeArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    refuse_off(&stage, &args.zone)?;
    let inputs = probes::inputs(&stage, &args.zone).await?;
    let mut chosen = checks(&inputs, &args.zone);
    chosen.retain(|c| c.is("smoke"));
    if let [
        Check {
            probe: Probe::NotApplicable(why),
            ..
        },
    ] = &chosen[..]
    {
        return Err(Failure::error(format!("zone {}: {why}", args.zone)));
    }
    let round = Round {
        zone: &args.zone,
        checks: chosen,
        read_only: false,
        wait: args.wait,
    };
    finish(ctx, &stage, &inputs, round, args.format).await
}

/// What is to be asked.
pub(crate) struct Round<'a> {
    pub(crate) zone: &'a ZoneName,
    pub(crate) checks: Vec<Check>,
    pub(crate) read_only: bool,
    pub(crate) wait: Duration,
}

async fn finish(
    ctx: &Context,
    stage: &Stage,
    inputs: &Inputs,
    round: Round<'_>,
    format: ReportFormat,
) -> Result<Exit, Failure> {
    let zone = round.zone.clone();
    let Asked { lines, refused } = ask(stage, inputs, round).await?;
    let text = match format {
        ReportFormat::Text => render::verify::text(&zone, &lines, ctx.term.out_paint()),
        ReportFormat::Markdown => render::verify::markdown(&zone, &lines),
        ReportFormat::Json => format!("{:#}\n", render::verify::json(&zone, &lines)),
    };
    ctx.term.data(&text);
    if let Some(refused) = refused {
        return Err(refused);
    }
    let failed = lines.iter().any(Line::is_red);
    // A zone of which nothing can be asked has shown nothing.
    let empty = |l: &Line| matches!(l.verdict, Verdict::NotApplicable(_));
    Ok(match failed || lines.iter().all(empty) {
        true => Exit::REFUSED,
        false => Exit::DONE,
    })
}

/// What came of a round.
pub(crate) struct Asked {
    /// One line a check.
    pub(crate) lines: Vec<Line>,
    /// Credentials that were refused, with where they come from.
    pub(crate) refused: Option<Failure>,
}

/// Asks, cleans up, and keeps the proofs.
pub(crate) async fn ask(
    stage: &Stage,
    inputs: &Inputs,
    round: Round<'_>,
) -> Result<Asked, Failure> {
    let interrupt = Interrupt::listen();
    let opening = probes::open(stage, inputs, round.zone);
    let prober = interrupt.or(opening).await??;
    ask_with(&prober, stage, inputs, round).await
}

/// The same with probes that are open.
pub(crate) async fn ask_with(
    prober: &Probes,
    stage: &Stage,
    inputs: &Inputs,
    round: Round<'_>,
) -> Result<Asked, Failure> {
    let interrupt = Interrupt::listen();
    let zone = round.zone;
    let made = made(&round);
    if !made.is_empty() {
        // What a killed run left would answer for this one. What cannot be removed shows in the checks.
        let swept = interrupt.or(prober.sweep(zone, &made)).await?;
        tracing::debug!(?swept, "what earlier probes left");
    }
    let asked = interrupt.or(until_green(prober, &round)).await;
    if !made.is_empty() && asked.is_err() {
        // The probe was cut off before it could clean up after itself.
        prober.sweep(zone, &made).await?;
    }
    let lines = asked?;
    let digest = inputs.config.digest.to_string();
    let now = Moment {
        at: proofs::now(),
        spec: &digest,
    };
    let proofs: Vec<Proof> = lines
        .iter()
        .filter_map(|line| Proof::of(zone, line, now))
        .collect();
    proofs::append(stage, &proofs)?;
    let refused = probes::refused(stage, inputs, prober);
    Ok(Asked { lines, refused })
}

/// The probes of a round that make something.
fn made(round: &Round<'_>) -> Vec<Probe> {
    let writing = round.checks.iter().filter(|c| c.writes && !round.read_only);
    writing.map(|c| c.probe.clone()).collect()
}

async fn until_green(prober: &Probes, round: &Round<'_>) -> Vec<Line> {
    let until = Instant::now() + round.wait;
    let mut pause = FIRST_PAUSE;
    let mut lines = once(prober, round.zone, round.checks.clone(), round.read_only).await;
    loop {
        let failed: Vec<Check> = lines
            .iter()
            .filter(|l| l.is_red())
            .map(|l| l.check.clone())
            .collect();
        let left = until.saturating_duration_since(Instant::now());
        if failed.is_empty() || left.is_zero() {
            return lines;
        }
        // The last look is at the end of the wait.
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        for line in once(prober, round.zone, failed, round.read_only).await {
            if let Some(place) = lines.iter_mut().find(|l| l.check.id == line.check.id) {
                *place = line;
            }
        }
    }
}

async fn once(prober: &Probes, zone: &ZoneName, checks: Vec<Check>, read_only: bool) -> Vec<Line> {
    // What makes something shares a label and a name, so it runs one after the other.
    let (writing, reading): (Vec<Check>, Vec<Check>) = checks.into_iter().partition(|c| c.writes);
    let reading = reading.into_iter().map(|c| one(prober, zone, c, false));
    let mut lines: Vec<Line> = futures::stream::iter(reading)
        .buffered(AT_ONCE)
        .collect()
        .await;
    for check in writing {
        lines.push(one(prober, zone, check, read_only).await);
    }
    lines
}

async fn one(prober: &Probes, zone: &ZoneName, check: Check, skip: bool) -> Line {
    let begun = Instant::now();
    let applies = !matches!(check.probe, Probe::NotApplicable(_));
    let (verdict, answer) = if skip && applies {
        let why = "it makes something, and --read-only was given".to_owned();
        (Verdict::Skipped(why), None)
    } else {
        let asked = prober.ask(zone, &check.probe).await;
        (judge(&check, &asked), asked.ok())
    };
    Line {
        check,
        verdict,
        took: begun.elapsed(),
        answer,
    }
}
