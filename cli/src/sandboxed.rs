//! The emulators of `--sandbox`: attached to when they run, started otherwise. A server that is
//! started outlives the command and ends by itself after a minute without requests.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_sandbox::control::Client;
use zonewright_sandbox::lifecycle::{self, Ready};
use zonewright_zones::{Charts, Rendering};

use crate::Context;
use crate::args::Profile;
use crate::project::make_private_dir;
use crate::report::Failure;

const IDLE: &str = "60";
const PATIENCE: Duration = Duration::from_secs(20);

/// The running emulators of a directory.
pub(crate) async fn start(ctx: &Context, dir: &Path) -> Result<Ready, Failure> {
    if let Some(ready) = lifecycle::attach(dir).await {
        check_profile(ctx, &ready).await;
        return Ok(ready);
    }
    make_private_dir(dir).map_err(|e| Failure::file("make", dir, e))?;
    let log = dir.join("serve.log");
    let open = || {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)?;
        std::io::Result::Ok(file)
    };
    let err = open().map_err(|e| Failure::file("write", &log, e))?;
    let exe = std::env::current_exe()
        .map_err(|e| Failure::error("the own program cannot be found").because(e))?;
    let mut command = Command::new(exe);
    command.args(["sandbox", "serve", "--idle-exit", IDLE, "--dir"]);
    command.arg(dir);
    if let Some(profile) = ctx.global.profile {
        command.args(["--profile", name(profile)]);
    }
    // What it prints once ready holds tokens and belongs in no log.
    // Its own process group: an interrupt at the terminal is for the command, not for the server.
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(err)
        .process_group(0)
        .spawn();
    let mut child =
        child.map_err(|e| Failure::error("the sandbox cannot be started").because(e))?;
    tracing::info!(dir = %dir.display(), pid = child.id(), "sandbox started");
    match lifecycle::wait_ready(dir, PATIENCE).await {
        Ok(ready) => Ok(ready),
        Err(error) => {
            // It serves nobody; whether it could be ended changes nothing about the report.
            let _ = child.kill();
            let said = fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("").to_owned();
            Err(Failure::from(error).help(format!("see {}: {last}", log.display())))
        }
    }
}

/// A running server keeps its profile; a command that asks for another one is told.
async fn check_profile(ctx: &Context, ready: &Ready) {
    let Some(wanted) = ctx.global.profile else {
        return;
    };
    let Ok(client) = Client::new(&ready.control_url()) else {
        return;
    };
    if let Ok(health) = client.health().await
        && let Some(running) = health["profile"].as_str()
        && running != name(wanted)
    {
        ctx.term.say(&format!(
            "warning: the sandbox runs with profile {running}; `{}` lets the next command start it with {}",
            ctx.command(&["sandbox".to_owned(), "stop".to_owned()]),
            name(wanted)
        ));
    }
}

/// The profile's name on command lines.
pub(crate) fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Instant => "instant",
        Profile::Fast => "fast",
        Profile::Realistic => "realistic",
    }
}

/// Vendored renderings, and stand-ins for what is not vendored.
pub(crate) struct StandIns<'a>(pub(crate) &'a dyn Charts);

impl Charts for StandIns<'_> {
    fn rendering(
        &self,
        zone: &ZoneName,
        chart: &str,
        name: &str,
        namespace: &str,
    ) -> Option<Rendering> {
        if let Some(vendored) = self.0.rendering(zone, chart, name, namespace) {
            return Some(vendored);
        }
        let text = zonewright_sandbox::charts::stand_in(chart, name, namespace)?;
        Some(Rendering {
            text,
            origin: format!("stand-in for {chart}"),
            stand_in: true,
        })
    }
}
