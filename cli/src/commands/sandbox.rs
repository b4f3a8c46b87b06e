//! `zonewright sandbox …`: runs and controls the emulators.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::signal::unix::{SignalKind, signal};
use zonewright_sandbox::control::database::{self as control, Behaviour};
use zonewright_sandbox::control::{Bucket, Client};
use zonewright_sandbox::fault::{self, Fault};
use zonewright_sandbox::lifecycle::{self, Ready, ServeError, ServeOptions};
use zonewright_sandbox::profile;

use crate::args::{
    Backups, BadArgument, Certificate, DatabaseArgs, FaultArgs, FaultCommand, Format, Profile,
    Replication, RequestsArgs, SandboxCommand, ServeArgs, WorldArgs,
};
use crate::exit::Exit;
use crate::project::Project;
use crate::render::text::escape;
use crate::report::Failure;
use crate::term::Term;
use crate::{Context, env, sandboxed, world};

/// Runs the command.
pub(crate) async fn run(ctx: &Context, command: SandboxCommand) -> Result<Exit, Failure> {
    match command {
        SandboxCommand::Serve(args) => serve(ctx, &args).await?,
        SandboxCommand::Stop(args) => stop(ctx, &args).await?,
        SandboxCommand::Reset(args) => {
            client(ctx, &args).await?.reset().await?;
            ctx.term
                .say("The sandbox is as new. States that refer to it do not fit any more.");
        }
        SandboxCommand::Fault(command) => fault(ctx, command).await?,
        SandboxCommand::Cost(args) => ctx.term.pretty(&client(ctx, &args).await?.cost().await?),
        SandboxCommand::Bucket(args) => {
            let copied_to = args.copy_to.or(args.no_copy.then(String::new));
            let asked = Bucket {
                copied_to,
                copy_lag_seconds: args.copy_lag.map_or(0, |d| d.as_secs()),
                put: args.put,
                age_seconds: args.age.map_or(0, |d| d.as_secs()),
            };
            let client = client(ctx, &args.world).await?;
            client.bucket(&args.name, &asked).await?;
        }
        SandboxCommand::Database(args) => database(ctx, args).await?,
        SandboxCommand::Dump(args) => ctx.term.pretty(&client(ctx, &args).await?.dump().await?),
        SandboxCommand::Requests(args) => requests(ctx, &args).await?,
    }
    Ok(Exit::DONE)
}

/// The directory that is meant: named here, named by `--sandbox`, or the project's own.
fn dir(ctx: &Context, args: &WorldArgs) -> Result<PathBuf, Failure> {
    if let Some(dir) = &args.dir {
        return std::path::absolute(dir).map_err(|e| Failure::file("find", dir, e));
    }
    if let Some(named) = world::sandbox_dir(ctx, None) {
        return Ok(named);
    }
    let project = Project::find(ctx).map_err(|e| e.help("or name the sandbox with --dir DIR"))?;
    Ok(project.make_private()?.join("sandbox"))
}

/// A client of the emulators; they are started when they do not run.
async fn client(ctx: &Context, args: &WorldArgs) -> Result<Client, Failure> {
    let elsewhere = env::var(env::SANDBOX_CONTROL);
    if let Some(url) = elsewhere.filter(|_| args.dir.is_none() && ctx.global.sandbox.is_none()) {
        return Ok(Client::new(&url)?);
    }
    let ready = sandboxed::start(ctx, &dir(ctx, args)?).await?;
    Ok(Client::new(&ready.control_url())?)
}

async fn serve(ctx: &Context, args: &ServeArgs) -> Result<(), Failure> {
    let options = ServeOptions {
        dir: dir(ctx, &args.world)?,
        listen: args.listen,
        profile: match ctx.global.profile {
            Some(Profile::Instant) => profile::Profile::Instant,
            Some(Profile::Realistic) => profile::Profile::Realistic,
            Some(Profile::Fast) | None => profile::Profile::Fast,
        },
        idle_exit: args.idle_exit.map(Duration::from_secs),
    };
    let term = ctx.term;
    let dir = options.dir.clone();
    let served = lifecycle::serve(options, ended(), |ready| announce(term, ready)).await;
    if matches!(served, Err(ServeError::Owned { .. }))
        && let Some(ready) = lifecycle::attach(&dir).await
    {
        announce(term, &ready);
    }
    served.map_err(|error| {
        let owned = matches!(error, ServeError::Owned { .. });
        let failure = Failure::from(error);
        if owned {
            failure.help("that one can be used, its addresses are printed; `zonewright sandbox stop` ends it")
        } else {
            failure
        }
    })
}

/// What a client needs to know.
fn announce(term: Term, ready: &Ready) {
    let lines = ready.env().into_iter().map(|(n, v)| format!("{n}={v}\n"));
    term.data(&lines.collect::<String>());
}

/// Resolves when the process is asked to end.
pub(crate) async fn ended() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Stopping what does not run is done already.
async fn stop(ctx: &Context, args: &WorldArgs) -> Result<(), Failure> {
    let dir = dir(ctx, args)?;
    let Some(ready) = lifecycle::attach(&dir).await else {
        ctx.term.say("No sandbox runs here.");
        return Ok(());
    };
    Client::new(&ready.control_url())?.stop().await?;
    // The answer comes before the end.
    for _ in 0..100 {
        if lifecycle::attach(&dir).await.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ctx.term.say("Stopped.");
    Ok(())
}

async fn database(ctx: &Context, args: DatabaseArgs) -> Result<(), Failure> {
    let client = client(ctx, &args.world).await?;
    let Some(name) = &args.name else {
        ctx.term.pretty(&client.databases().await?);
        return Ok(());
    };
    let behaviour = Behaviour {
        replication: args.replication.map(|mode| match mode {
            Replication::Running => control::Replication::Running,
            Replication::Broken => control::Replication::Broken,
            Replication::Frozen => control::Replication::Frozen,
        }),
        lag_seconds: args.lag,
        read_only: args.read_only,
        heartbeat: args.heartbeat,
        certificate: args.certificate.map(|shown| match shown {
            Certificate::Right => control::Certificate::Right,
            Certificate::OtherAuthority => control::Certificate::OtherAuthority,
            Certificate::OtherName => control::Certificate::OtherName,
        }),
        backups: args.backups.map(|backups| match backups {
            Backups::Daily => control::Backups::Daily,
            Backups::None => control::Backups::None,
        }),
        backup_age_seconds: args.backup_age.map(|age| age.as_secs()),
    };
    ctx.term
        .pretty(&client.set_database(name, &behaviour).await?);
    Ok(())
}

async fn fault(ctx: &Context, command: FaultCommand) -> Result<(), Failure> {
    match command {
        FaultCommand::Add(args) => add(ctx, args).await?,
        FaultCommand::List(args) => {
            let client = client(ctx, &args).await?;
            let (faults, held) = (client.faults().await?, client.held().await?);
            ctx.term
                .pretty(&serde_json::json!({ "faults": faults, "held": held }));
        }
        FaultCommand::Clear(args) => client(ctx, &args).await?.clear_faults().await?,
        FaultCommand::Release(args) => client(ctx, &args).await?.release().await?,
    }
    Ok(())
}

async fn add(ctx: &Context, args: FaultArgs) -> Result<(), Failure> {
    let client = client(ctx, &args.world).await?;
    let fault = Fault {
        service: args.service,
        method: args.method.map(|m| m.to_ascii_uppercase()),
        path: args.path,
        nth: args.nth,
        count: args.count,
        kind: args.kind,
    };
    let id = client.add_fault(&fault).await?;
    ctx.term.data(&format!("{id}\n"));
    Ok(())
}

async fn requests(ctx: &Context, args: &RequestsArgs) -> Result<(), Failure> {
    let client = client(ctx, &args.world).await?;
    if args.clear {
        return Ok(client.clear_requests().await?);
    }
    let requests = client.requests().await?;
    match args.format {
        Format::Json => ctx.term.pretty(&requests),
        Format::Text => {
            for request in requests.as_array().into_iter().flatten() {
                ctx.term.data(&format!("{}\n", line(request)));
            }
        }
    }
    Ok(())
}

/// `POST /v2/vpcs 201`, with a star in front of what changed something.
fn line(request: &Json) -> String {
    let text = |key: &str| request[key].as_str().unwrap_or("").to_owned();
    let mark = if request["mutating"] == true {
        "*"
    } else {
        " "
    };
    let status = request["status"].as_u64();
    let status = status.map_or_else(|| "-".to_owned(), |s| s.to_string());
    let line = format!(
        "{} {} {status} {}",
        text("method"),
        text("path"),
        text("service")
    );
    format!("{mark} {}", escape(line.trim_end()))
}

/// Parses the kind of a fault: `status:503`, `drop-after`, `delay:250`.
pub(crate) fn fault_kind(text: &str) -> Result<fault::Kind, BadArgument> {
    let bad = |what: &str| BadArgument(format!("`{text}`: {what}"));
    let (name, rest) = match text.split_once(':') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let status = || {
        let code = rest.and_then(|r| r.parse().ok());
        code.filter(|c| (100..=599).contains(c))
            .ok_or_else(|| bad("expected a status from 100 to 599 after the colon"))
    };
    match (name, rest) {
        ("status", _) => Ok(fault::Kind::Status {
            code: status()?,
            body: None,
            headers: std::collections::BTreeMap::new(),
        }),
        ("status-after", _) => Ok(fault::Kind::StatusAfter { code: status()? }),
        ("delay", _) => {
            let ms = rest.and_then(|r| r.parse().ok());
            let ms = ms.ok_or_else(|| bad("expected milliseconds after the colon"))?;
            Ok(fault::Kind::Delay { ms })
        }
        ("drop-before", None) => Ok(fault::Kind::DropBefore),
        ("drop-after", None) => Ok(fault::Kind::DropAfter),
        ("hold-before", None) => Ok(fault::Kind::HoldBefore),
        ("hold-after", None) => Ok(fault::Kind::HoldAfter),
        _ => Err(bad(
            "expected status:CODE, status-after:CODE, drop-before, drop-after, delay:MS, hold-before or hold-after",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_faults_are_read() {
        assert_eq!(fault_kind("delay:250"), Ok(fault::Kind::Delay { ms: 250 }));
        assert_eq!(
            fault_kind("status-after:502"),
            Ok(fault::Kind::StatusAfter { code: 502 })
        );
        for bad in ["status", "status:9", "delay:x", "drop-after:1", "explode"] {
            assert!(fault_kind(bad).is_err(), "{bad}");
        }
    }
}
