//! `zonewright apply`: makes the world what the spec, or a saved plan, says.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use zonewright_engine::address::ZoneName;
use zonewright_engine::apply::driver::{self, Run, RunError};
use zonewright_engine::apply::{RunOptions, RunReport};
use zonewright_engine::canon::Digest;
use zonewright_engine::failpoint;
use zonewright_engine::journal::Entry;
use zonewright_engine::plan::left_out::left_out;
use zonewright_engine::plan::stale::differences;
use zonewright_engine::plan::{FORMAT_VERSION, Options, Plan, moves};
use zonewright_engine::snapshot::{LastRun, State};
use zonewright_state::Writer;

use crate::args::{ApplyArgs, Format, RunArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::project::Edit;
use crate::render::cost::Costs;
use crate::render::plan::View;
use crate::render::text::count;
use crate::render::{self, events, progress};
use crate::report::code::Code;
use crate::report::{Failure, Reach, run_exit};
use crate::stage::{Planned, Stage, holder};
use crate::{Context, given, sealed, watch, writable};

/// What is to be applied, and how.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) options: Options,
    /// A plan that was saved and reviewed: it needs no further approval.
    pub(crate) saved: Option<Plan>,
    pub(crate) expect: Option<Digest>,
    /// An edit of the spec that the plan is made with: written once the plan is approved.
    pub(crate) edit: Option<Edit>,
    pub(crate) run: RunArgs,
    /// What the holder of the state is said to run.
    pub(crate) command: &'static str,
    /// The command that goes on after a failure or an interruption.
    pub(crate) resume: Vec<String>,
    pub(crate) question: String,
    pub(crate) answer: String,
}

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: ApplyArgs) -> Result<Exit, Failure> {
    let saved = args.file.as_deref().map(|path| load(ctx, path));
    let saved = saved.transpose()?;
    let mut zones = args.zones.clone();
    zones.sort();
    zones.dedup();
    let options = match &saved {
        Some(plan) => plan.options.clone(),
        None => Options {
            zones,
            ..Options::default()
        },
    };
    let mut resume = vec!["apply".to_owned()];
    for zone in &options.zones {
        resume.extend(["--zone".to_owned(), zone.to_string()]);
    }
    if options.destroy {
        resume[0] = "plan".to_owned();
        resume.push("--destroy".to_owned());
    }
    check_expected(args.expect, saved.as_ref())?;
    refuse_unasked(ctx, &args.run, saved.is_some())?;
    let stage = Stage::open(ctx).await?;
    stage.check_zones(&options.zones)?;
    let request = Request {
        options,
        saved,
        expect: args.expect,
        edit: None,
        run: args.run,
        command: "apply",
        resume,
        question: "Apply this? Only `yes` goes on:".to_owned(),
        answer: "yes".to_owned(),
    };
    execute(ctx, &stage, request).await
}

/// Reads a saved plan. Only the exact bytes that `plan -o` wrote are one.
pub(crate) fn load(ctx: &Context, path: &Path) -> Result<Plan, Failure> {
    let bytes = given::read(path)?;
    let bytes = sealed::plan_in_the_clear(ctx, path, bytes)?;
    let damaged = |what: &str| sealed::not_as_saved(path, what);
    let json: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|_| damaged("it is not JSON"))?;
    if let Some(version) = json["format_version"].as_u64()
        && version > u64::from(FORMAT_VERSION)
    {
        return Err(damaged("a newer version of zonewright made it"));
    }
    let plan: Plan =
        serde_json::from_value(json).map_err(|_| damaged("something in it is not as it was"))?;
    if plan.bytes() != bytes {
        return Err(damaged("its bytes were changed"));
    }
    Ok(plan)
}

fn check_expected(expect: Option<Digest>, plan: Option<&Plan>) -> Result<(), Failure> {
    let (Some(expected), Some(plan)) = (expect, plan) else {
        return Ok(());
    };
    let found = plan.digest();
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(
        Exit::STALE,
        format!("the plan is {found}, expected {expected}; nothing was sent"),
    )
    .help("look at the plan as it is now with `zonewright plan`"))
}

/// Without anybody to ask, approval must come with the command.
fn refuse_unasked(ctx: &Context, run: &RunArgs, reviewed: bool) -> Result<(), Failure> {
    match run.auto_approve || reviewed {
        true => Ok(()),
        false => ctx
            .term
            .must_ask("give --auto-approve, or save a plan with `plan -o FILE` and apply the file"),
    }
}

/// Takes the state, plans, asks and applies.
pub(crate) async fn execute(
    ctx: &Context,
    stage: &Stage,
    request: Request,
) -> Result<Exit, Failure> {
    refuse_unasked(ctx, &request.run, request.saved.is_some())?;
    check_world(stage, request.saved.as_ref())?;
    let json = request.run.format == Format::Json;
    if json {
        ctx.term.line(&events::version());
    }
    if let Some(edit) = &request.edit {
        let file = stage.project().root().join(&edit.file);
        writable::check(file.parent().unwrap_or(stage.project().root()))?;
    }
    let writer = stage.acquire(&request.options, request.command, request.run.lock_timeout)?;
    // Not before: who waits for the lock is ended by a signal as usual.
    let interrupt = Interrupt::listen();
    match under_lock(ctx, stage, &request, &writer, &interrupt).await {
        Ok(exit) => {
            writer.release()?;
            Ok(exit)
        }
        Err(failure) => {
            // The first failure is the one to report; what was durable still is.
            let _ = writer.release();
            Err(failure)
        }
    }
}

/// A plan for another world is never looked at twice.
fn check_world(stage: &Stage, saved: Option<&Plan>) -> Result<(), Failure> {
    let Some(plan) = saved else { return Ok(()) };
    let here = stage.world_name();
    if plan.base.world == here {
        return Ok(());
    }
    Err(Failure::new(
        Exit::STALE,
        format!(
            "the plan is for {}, this is {here}; nothing was sent",
            plan.base.world
        ),
    ))
}

async fn under_lock(
    ctx: &Context,
    stage: &Stage,
    request: &Request,
    writer: &Writer,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let state = stage.whole_state(writer)?;
    let planning = stage.plan(state, request.options.clone());
    let mut planned = interrupt.or(planning).await??;
    if let Some(saved) = &request.saved {
        check_fresh(saved, &planned)?;
    }
    check_expected(request.expect, Some(&planned.plan))?;
    show(ctx, stage, &planned, request);
    if let Some(blind) = planned.blind.take() {
        return Err(Failure::blind(&blind, &planned.plan));
    }
    // Before anything is sent into a cluster, and also when nothing is to be done there.
    stage.record_identities(writer)?;
    planned.inputs.state.shards.extend(writer.state().shards);
    if planned.plan.is_empty() {
        keep_edit(ctx, stage, request)?;
        if request.run.format == Format::Text {
            say_left_out(ctx, &planned, &planned.inputs.state);
        }
        return Ok(Exit::DONE);
    }
    refuse_dangers(&planned.plan, &request.run.accept)?;
    let approved = request.run.auto_approve || request.saved.is_some();
    if !approved && !answered(ctx, request, interrupt).await? {
        ctx.term.say("Not approved; nothing was sent.");
        return Ok(Exit::REFUSED);
    }
    keep_edit(ctx, stage, request)?;
    record_moves(writer, &mut planned)?;
    writer.lineage().clone_into(&mut planned.inputs.lineage);
    carry_out(ctx, stage, request, writer, &planned, interrupt).await
}

/// What has another address is recorded there before anything is done to it.
fn record_moves(writer: &Writer, planned: &mut Planned) -> Result<(), Failure> {
    for (shard, entries) in moves::entries(&writer.state(), &planned.plan.moves) {
        writer.append_now(&shard, entries)?;
    }
    planned.inputs.state.shards.extend(writer.state().shards);
    Ok(())
}

/// A danger that is not accepted by name is no plan to apply, approved or not.
fn refuse_dangers(plan: &Plan, accepted: &[String]) -> Result<(), Failure> {
    let Some(danger) = plan.to_accept(accepted).next() else {
        return Ok(());
    };
    let way = danger.help.as_deref().unwrap_or("see the plan");
    Err(Failure::new(
        Exit::REFUSED,
        format!("{} [{}]; nothing was sent", danger.message, danger.code),
    )
    .help(format!(
        "{way}; `--accept {0}` applies it all the same (`explain {0}`)",
        danger.code
    )))
}

/// From here on the spec says what is done: a run that is cut off is gone on with by any later one.
fn keep_edit(ctx: &Context, stage: &Stage, request: &Request) -> Result<(), Failure> {
    if let Some(edit) = &request.edit {
        stage.write(edit)?;
        ctx.term.say(&format!("Wrote {}.", edit.file));
    }
    Ok(())
}

async fn answered(
    ctx: &Context,
    request: &Request,
    interrupt: &Interrupt,
) -> Result<bool, Failure> {
    let answered = interrupt.or(ask(ctx, request)).await;
    if answered.is_err() {
        // The cursor stands behind the question.
        ctx.term.say("");
    }
    answered
}

/// Asks, on a thread of its own: reading a line cannot be given up.
async fn ask(ctx: &Context, request: &Request) -> bool {
    let term = ctx.term;
    let (question, answer) = (request.question.clone(), request.answer.clone());
    let asked = tokio::task::spawn_blocking(move || term.ask(&question, &answer));
    asked.await.unwrap_or(false)
}

fn check_fresh(saved: &Plan, planned: &Planned) -> Result<(), Failure> {
    let differences = differences(saved, &planned.plan);
    if differences.is_empty() || failpoint::without("plan-fresh") {
        return Ok(());
    }
    if let Some(before) = applied_before(saved, planned) {
        return Err(before);
    }
    const SHOWN: usize = 20;
    let more = differences.len().saturating_sub(SHOWN);
    let mut related: Vec<Failure> = differences
        .into_iter()
        .take(SHOWN)
        .map(|d| Failure::new(Exit::STALE, d))
        .collect();
    if more > 0 {
        related.push(Failure::new(Exit::STALE, format!("and {more} more")));
    }
    Err(
        Failure::many("the plan does not fit any more; nothing was sent", related)
            .help("make a new one with `zonewright plan -o FILE`, and look at it"),
    )
}

/// A plan that a run began with already is not compared line by line: it did what it says.
fn applied_before(saved: &Plan, planned: &Planned) -> Option<Failure> {
    let digest = saved.digest();
    let shards = &planned.inputs.state.shards;
    let run = shards
        .values()
        .filter_map(|s| s.last_run.as_ref())
        .find(|r| r.plan == digest)?;
    let moved: Vec<String> = shards
        .iter()
        .filter_map(|(shard, now)| {
            let then = saved.base.serials.get(shard).copied().unwrap_or(0);
            (then != now.serial).then(|| format!("{shard} from {then} to {}", now.serial))
        })
        .collect();
    let message = format!(
        "this plan was applied already, by {} at {} (serials moved: {}); nothing was sent",
        run.by,
        run.at,
        moved.join(", ")
    );
    let help = "`zonewright plan` shows whether anything is left to do";
    let failure = Failure::new(Exit::STALE, message).code(Code::AppliedBefore);
    Some(failure.help(help))
}

fn show(ctx: &Context, stage: &Stage, planned: &Planned, request: &Request) {
    let plan = &planned.plan;
    match request.run.format {
        Format::Json => {
            for line in events::planned(plan) {
                ctx.term.line(&line);
            }
        }
        Format::Text => {
            let view = View {
                paint: ctx.term.out_paint(),
                verbose: ctx.global.verbose > 0,
                command: None,
                program: ctx.command(&[]),
                approvable: planned.blind.is_none(),
                costs: Costs {
                    prices: planned.prices.clone(),
                    by_mode: stage.by_mode(&plan.options),
                },
            };
            ctx.term.prose(&render::plan::text(plan, &view));
        }
    }
}

async fn carry_out(
    ctx: &Context,
    stage: &Stage,
    request: &Request,
    writer: &Writer,
    planned: &Planned,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    write_header(request, writer, &planned.plan)?;
    let begun = Instant::now();
    let observer = watch::observer(ctx, &planned.plan, request.run.format);
    let run = Run {
        plan: &planned.plan,
        inputs: &planned.inputs,
        seen: &planned.seen,
        sessions: &stage.sessions,
        journal: writer,
        observer: observer.as_ref(),
        options: RunOptions {
            parallelism: request.run.parallelism,
            ..RunOptions::default()
        },
        stop: interrupt.stop(),
    };
    let outcome = driver::run(&run).await;
    drop(observer);
    let (report, fatal) = match outcome {
        Ok(report) => (report, None),
        Err(RunError::Journal { source, report }) => (*report, Some(Failure::from(source))),
        Err(other) => return Err(other.into()),
    };
    let exit = run_exit(
        report.interrupted,
        report.in_doubt(),
        report.failed().map(|(_, e)| e),
        report.is_complete(),
        reach(planned, &report),
    );
    // Everything that happened is in the journal: without a snapshot it is only slower to read.
    let fatal = match fatal {
        None => writer.checkpoint().err().map(Failure::from),
        fatal => fatal,
    };
    let exit = match &fatal {
        None => unread(ctx, &planned.plan, exit),
        Some(_) => unwritten(stage, reach(planned, &report)),
    };
    conclude(
        ctx,
        request,
        planned,
        &report,
        begun.elapsed(),
        (exit, fatal.is_some()),
    );
    match fatal {
        None => Ok(exit),
        Some(mut failure) => {
            failure.exit = exit;
            Err(failure)
        }
    }
}

/// Who applies which plan, in every shard that it changes.
fn write_header(request: &Request, writer: &Writer, plan: &Plan) -> Result<(), Failure> {
    let who = holder(request.command);
    let run = LastRun {
        plan: plan.digest(),
        command: who.command,
        by: format!("{}@{}", who.user, who.host),
        at: who.since,
    };
    let changed: BTreeSet<&ZoneName> = plan
        .changes
        .iter()
        .filter(|c| !c.is_no_op())
        .map(|c| &c.address.zone)
        .collect();
    for shard in changed {
        writer.append_now(shard, vec![Entry::Run(run.clone())])?;
    }
    Ok(())
}

/// The log or a snapshot could not be written. What is readable afterwards decides: the next run
/// looks up what was announced, unless the state itself is gone.
fn unwritten(stage: &Stage, reach: Reach) -> Exit {
    match (stage.load(&State::default()), reach) {
        (Err(failure), _) if failure.exit == Exit::STATE => Exit::STATE,
        (_, Reach::Nothing) => Exit::ERROR,
        (_, Reach::Something) => Exit::PARTIAL,
    }
}

/// Every request that changes something is announced first, and an announcement raises the serial.
fn reach(planned: &Planned, report: &RunReport) -> Reach {
    let before = &planned.inputs.state.shards;
    let moved = report
        .state
        .shards
        .iter()
        .any(|(shard, snapshot)| before.get(shard).map(|s| s.serial) != Some(snapshot.serial));
    if moved {
        Reach::Something
    } else {
        Reach::Nothing
    }
}

/// What could not be looked at was left alone: the world is not what the spec says.
fn unread(ctx: &Context, plan: &Plan, exit: Exit) -> Exit {
    let n = render::unread::of(plan).len();
    if n == 0 || exit != Exit::DONE {
        return exit;
    }
    ctx.term.say(&format!(
        "{} could not be read and {} left alone.",
        count(n, "resource"),
        if n == 1 { "was" } else { "were" }
    ));
    Exit::PARTIAL
}

/// A selection is rarely all there is to do: what it leaves out, and what applies that.
fn say_left_out(ctx: &Context, planned: &Planned, state: &State) {
    if planned.plan.options.destroy {
        return;
    }
    for shard in left_out(&planned.inputs, state) {
        let words = ["apply", "--zone", shard.zone.as_str()].map(str::to_owned);
        let command = ctx.command(&words);
        let zone = &shard.zone;
        ctx.term.say(&match shard.pending {
            0 => format!("{zone} was not looked at; its records are as the spec says. To apply it, too: {command}"),
            n => format!("{zone} was left out, with {} to apply: {command}", count(n, "change")),
        });
    }
}

fn conclude(
    ctx: &Context,
    request: &Request,
    planned: &Planned,
    report: &RunReport,
    elapsed: std::time::Duration,
    (exit, unwritten): (Exit, bool),
) {
    match request.run.format {
        Format::Json => {
            let left_out = left_out(&planned.inputs, &report.state);
            let mut line = events::summary(&planned.plan, report, elapsed, exit.code());
            line["left_out"] = json!(left_out);
            ctx.term.line(&line);
        }
        Format::Text => {
            let paint = ctx.term.err_paint();
            ctx.term
                .explain(&progress::summary(&planned.plan, report, elapsed, paint));
            say_left_out(ctx, planned, &report.state);
        }
    }
    if !report.is_complete() || unwritten {
        let so_far = match (exit, reach(planned, report)) {
            (Exit::STATE, _) => "The state is damaged or lost",
            (_, Reach::Nothing) => "Nothing was changed",
            (_, Reach::Something) if unwritten => "The state is saved up to the write that failed",
            (_, Reach::Something) => "The state is saved",
        };
        ctx.term.say(&format!(
            "{so_far}. To go on: {}",
            ctx.command(&request.resume)
        ));
    }
}
