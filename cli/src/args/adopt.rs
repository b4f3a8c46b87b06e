//! Arguments of `adopt` and `orphans`.

use std::path::PathBuf;

use clap::Args;
use zonewright_engine::address::{Address, ZoneName};

use super::{EditArgs, Format};

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
    /// Also what carries the mark of another project: it must not be managed there any more.
    #[arg(long)]
    pub marked: bool,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `orphans`.
#[derive(Debug, Args)]
pub struct OrphansArgs {
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}
