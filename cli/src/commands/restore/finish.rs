//! `zonewright restore finish`: the steps after a restore, each asked for, done if it is needed, and asked
//! for once more. What was done already is not done again.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::Proof;
use zonewright_engine::config::{PostRestore, PostRestoreRun};
use zonewright_engine::expr::Reference;
use zonewright_engine::observe::{Inputs, Observations, ObserveError, lookup_seen};
use zonewright_engine::plan::Options;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::restore::Blocked;
use zonewright_engine::restore::finish::{Errand, Finish, Reach, Restored, Row, Standing, errand};
use zonewright_providers::probe::{Cluster, Hands, mysql};

use super::{PATIENCE, blocked, inputs, zone};
use crate::Context;
use crate::args::{Format, LOOK_FIRST, RestoreFinishArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::render::restore::finish::{Report, json, text};
use crate::report::Failure;
use crate::report::code::Code;
use crate::stage::Stage;
use crate::{probes, proofs};

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: RestoreFinishArgs) -> Result<Exit, Failure> {
    let stage = Stage::open(ctx).await?;
    let inputs = inputs(&stage)?;
    let zone = zone(&stage, &inputs, args.zone.clone())?;
    let errand = errand(&inputs, &zone).map_err(blocked)?;
    let database = database(&errand, args.database.clone())?;
    let job = Work {
        ctx,
        stage: &stage,
        inputs: &inputs,
        errand: &errand,
        database,
        args: &args,
    };
    if args.dry_run {
        return job.carry_out().await;
    }
    // Two at once would do the same steps twice, and remove each other's Job: names of their own would keep
    // the Jobs apart, and not what the steps do to the data.
    let options = Options {
        zones: vec![zone],
        ..Options::default()
    };
    let writer = stage.acquire(&options, "restore finish", args.lock_timeout)?;
    let done = job.carry_out().await;
    let released = writer.release();
    let exit = done?;
    released?;
    Ok(exit)
}

/// What is to be done, and where.
struct Work<'a> {
    ctx: &'a Context,
    stage: &'a Stage,
    inputs: &'a Inputs,
    errand: &'a Errand,
    database: String,
    args: &'a RestoreFinishArgs,
}

impl Work<'_> {
    async fn carry_out(&self) -> Result<Exit, Failure> {
        let Work {
            ctx,
            stage,
            inputs,
            errand,
            args,
            ..
        } = *self;
        let interrupt = Interrupt::listen();
        let opening = hands(stage, inputs, errand, &self.database, args);
        let hands = interrupt.or(opening).await??;
        let mut found = Finish::look(&errand.steps);
        interrupt.or(hands.carry_out(&mut found)).await?;
        let report = |rows: &[Row]| Report {
            zone: errand.zone.clone(),
            server: hands.server.host.clone(),
            database: self.database.clone(),
            dry_run: args.dry_run,
            steps: rows.to_vec(),
        };
        if args.dry_run || found.reach() == Reach::Whole {
            show(ctx, args.format, &report(found.rows()));
            prove(stage, inputs, &errand.zone, &found)?;
            return ended(&found);
        }
        if !args.auto_approve {
            ask(ctx, &interrupt, &report(found.rows())).await?;
        }
        let mut finish = Finish::run(&errand.steps);
        let done = interrupt.or(hands.carry_out(&mut finish)).await;
        if done.is_err() {
            finish.cut_off();
            hands.sweep().await?;
        }
        show(ctx, args.format, &report(finish.rows()));
        if done.is_err() {
            let message = "interrupted; what was done already is not done again";
            return Err(Failure::new(Exit::INTERRUPTED, message));
        }
        prove(stage, inputs, &errand.zone, &finish)?;
        ended(&finish)
    }
}

/// Keeps that the restored database is as the steps' checks want it; what is not whole proves nothing.
fn prove(stage: &Stage, inputs: &Inputs, zone: &ZoneName, finish: &Finish) -> Result<(), Failure> {
    if finish.reach() != Reach::Whole {
        return Ok(());
    }
    let proof = Proof {
        at: proofs::now(),
        zone: zone.clone(),
        check: proofs::RESTORED.to_owned(),
        verdict: "pass".to_owned(),
        evidence: format!(
            "{} steps, none of them needed any more",
            finish.rows().len()
        ),
        millis: 0,
        spec: inputs.config.digest.to_string(),
    };
    proofs::append(stage, &[proof])
}

/// The database that the steps are about.
fn database(errand: &Errand, named: Option<String>) -> Result<String, Failure> {
    match (named, &errand.databases[..]) {
        (Some(name), _) => Ok(name),
        (None, [name]) => Ok(name.clone()),
        (None, []) => Err(
            Failure::error("the spec declares no database on the restored server")
                .help("name it: --database NAME"),
        ),
        (None, several) => Err(Failure::error(format!(
            "the spec declares {} databases on the restored server",
            several.len()
        ))
        .help(format!("say which: --database {}", several.join("|")))),
    }
}

async fn hands(
    stage: &Stage,
    inputs: &Inputs,
    errand: &Errand,
    database: &str,
    args: &RestoreFinishArgs,
) -> Result<Hands, Failure> {
    let jobs = jobs(stage, &errand.steps)?;
    let looking = tokio::time::timeout(PATIENCE, server(stage, inputs, errand));
    let mut server = looking.await.unwrap_or_else(|_| {
        let message = "the vendor did not say in time how the database is reached";
        Err(ProviderError::new(ErrorClass::Unreachable, message).into())
    })?;
    server.address = stage.world.overrides().mysql;
    server.database = Some(database.to_owned());
    server.writer().await.map_err(not_a_writer)?;
    Ok(Hands {
        server,
        cluster: cluster(stage, &errand.zone, &jobs).await?,
        jobs,
        patience: args.timeout,
    })
}

/// How the restored server is reached, as its administrator.
async fn server(stage: &Stage, inputs: &Inputs, errand: &Errand) -> Result<mysql::Server, Failure> {
    let source_cluster = || errand.source.clone();
    let unrecorded = || {
        blocked(Blocked::Unrecorded {
            source_cluster: source_cluster(),
        })
    };
    let instance = inputs.instance_of(&errand.source).ok_or_else(unrecorded)?;
    let nothing = Observations::default();
    let scope = |r: &Reference| lookup_seen(inputs, &nothing, r);
    let found = inputs.instance(&instance).ok_or_else(unrecorded)?;
    let lists = stage.world.lists(&found.config.eval(&scope))?;
    let asked = async {
        let id = match &errand.server {
            Restored::Id(id) => Some(id.clone()),
            Restored::Name(name) => {
                let all = lists.databases().await?;
                all.into_iter().find(|c| c.name == *name).map(|c| c.id)
            }
        };
        match id {
            Some(id) => lists.server(&id).await.map(Some),
            None => Ok(None),
        }
    };
    let asked = asked.await;
    // A cluster that is not ready says nothing against the token.
    let refused =
        |class: &ErrorClass| matches!(class, ErrorClass::Unauthorized | ErrorClass::Denied);
    let found = asked.map_err(|source| match refused(&source.class) {
        true => stage.unusable(ObserveError { instance, source }),
        false => source.into(),
    })?;
    found.ok_or_else(|| {
        let name = match &errand.server {
            Restored::Name(name) | Restored::Id(name) => name,
        };
        Failure::error(format!("the vendor has no database called {name}"))
            .code(Code::NotRestored)
            .help("restore a backup first: `zonewright restore plan` says which, into what")
    })
}

/// A server that must not be written to refuses; everything else is an error like any other.
fn not_a_writer(failed: ProviderError) -> Failure {
    if failed.class != ErrorClass::Conflict {
        return failed.into();
    }
    Failure::new(Exit::REFUSED, failed.to_string())
        .code(Code::NotAWriter)
        .help("the steps are for the server that was restored; a replica takes none")
}

/// The Jobs of the steps, as their files have them.
fn jobs(stage: &Stage, steps: &[PostRestore]) -> Result<BTreeMap<String, Json>, Failure> {
    let files = steps.iter().filter_map(|step| match &step.run {
        PostRestoreRun::Job(file) => Some(file),
        PostRestoreRun::Sql(_) => None,
    });
    files
        .map(|file| Ok((file.clone(), stage.project().job(file)?)))
        .collect()
}

/// The zone's cluster, if a Job needs it.
async fn cluster(
    stage: &Stage,
    zone: &ZoneName,
    jobs: &BTreeMap<String, Json>,
) -> Result<Result<Cluster, ProviderError>, Failure> {
    if jobs.is_empty() {
        let message = "no step is a Job";
        return Ok(Err(ProviderError::new(ErrorClass::NotFound, message)));
    }
    let inputs = probes::inputs(stage, zone).await?;
    Ok(probes::open_cluster(stage, &inputs, zone).await)
}

async fn ask(ctx: &Context, interrupt: &Interrupt, report: &Report) -> Result<(), Failure> {
    let term = ctx.term;
    term.must_ask(LOOK_FIRST)?;
    term.explain(&text(report, term.out_paint()));
    let question = format!(
        "Do what is needed in {} of {}? Only `yes` goes on:",
        report.database, report.server
    );
    // On a thread of its own: reading a line cannot be given up.
    let asking = tokio::task::spawn_blocking(move || term.ask(&question, "yes"));
    match interrupt.or(asking).await? {
        Ok(true) => Ok(()),
        _ => Err(Failure::new(
            Exit::REFUSED,
            "not approved; nothing was done",
        )),
    }
}

fn show(ctx: &Context, format: Format, report: &Report) {
    match format {
        Format::Text => ctx.term.prose(&text(report, ctx.term.out_paint())),
        Format::Json => ctx.term.pretty(&json(report)),
    }
}

/// How the command ends: what may have been changed decides on the code.
fn ended(finish: &Finish) -> Result<Exit, Failure> {
    let exit = match finish.reach() {
        Reach::Whole | Reach::Needed => return Ok(Exit::DONE),
        Reach::Nothing => Exit::ERROR,
        Reach::Some => Exit::PARTIAL,
        Reach::InDoubt => Exit::IN_DOUBT,
    };
    let stuck = |row: &&Row| matches!(row.standing, Standing::Failed | Standing::InDoubt);
    let stuck = finish.rows().iter().find(stuck);
    let message = stuck.map_or_else(String::new, |row| {
        let why = row.why.as_deref().unwrap_or("no reason was told");
        format!("step `{}`: {why}", row.step.name)
    });
    Err(Failure::new(exit, message)
        .code(Code::StepFailed)
        .help("settle that and run it again: what was done already is not done again"))
}
