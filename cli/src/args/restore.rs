//! Arguments of `restore`.

use std::time::Duration;

use clap::{Args, Subcommand};
use zonewright_engine::address::ZoneName;
use zonewright_engine::restore::Choice;

use super::{BadArgument, Format, duration};

/// The commands of `restore`.
#[derive(Debug, Subcommand)]
pub enum RestoreCommand {
    /// Resolve the recorded decision to one backup: which, how old, into what, and what is done
    /// afterwards. Changes nothing.
    #[command(
        after_help = "Examples:\n  zonewright restore plan\n  zonewright restore plan --zone bz --backup 2026-11-20T02:00:00Z"
    )]
    Plan(RestorePlanArgs),
    /// Do what `[[database.post_restore]]` says in the restored database: each step is asked for, done
    /// if it is needed, and asked for once more. What was done already is not done again.
    #[command(
        after_help = "Examples:\n  zonewright restore finish --dry-run\n  zonewright restore finish --zone bz --auto-approve"
    )]
    Finish(RestoreFinishArgs),
}

/// Arguments of `restore plan`.
#[derive(Debug, Args)]
pub struct RestorePlanArgs {
    /// The zone that gets the data; by default the one whose decision is `restore`.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// `latest`, or the timestamp of one backup; by default what the spec says.
    #[arg(long, value_name = "BACKUP", value_parser = wanted)]
    pub backup: Option<String>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `restore finish`.
#[derive(Debug, Args)]
pub struct RestoreFinishArgs {
    /// The zone that got the data; by default the one whose decision is `restore`.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// The database on the restored server; by default the one that the spec declares.
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// Only say which steps are needed.
    #[arg(long, conflicts_with = "auto_approve")]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// How long one step may take: `90s`, `1h`.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub timeout: Duration,
    /// How long to wait for somebody else's run to end: `90s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

fn wanted(text: &str) -> Result<String, BadArgument> {
    choice(text).map(|_| text.to_owned()).ok_or_else(|| {
        BadArgument("expected `latest` or a timestamp like `2026-11-20T02:00:00Z`".to_owned())
    })
}

/// Which backup a text means.
pub(crate) fn choice(text: &str) -> Option<Choice> {
    if text == "latest" {
        return Some(Choice::Latest);
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_second()).ok().map(Choice::At)
}
