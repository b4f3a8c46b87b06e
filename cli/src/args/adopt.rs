//! Arguments of `adopt` and `orphans`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use zonewright_engine::address::{Address, ZoneName};

use super::{Format, duration};

/// Arguments of `adopt`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright adopt --zone pz --dry-run\n  zonewright adopt pz/digitalocean.vpc.main\n  terraform state pull > tf.json && zonewright adopt --zone pz --terraform tf.json"
)]
pub struct AdoptArgs {
    /// Only these resources; a chart or a manifest stands for all its objects.
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<Address>,
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Only what a Terraform state (version 4) manages, by the ids in it.
    #[arg(long, value_name = "FILE")]
    pub terraform: Option<PathBuf>,
    /// Show it, record nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// How long to wait for somebody else's run to end: `90s`, `5m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub lock_timeout: Duration,
}

/// Arguments of `orphans`.
#[derive(Debug, Args)]
pub struct OrphansArgs {
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}
