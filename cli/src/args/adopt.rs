//! Arguments of `import`, `adopt` and `orphans`.

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
    /// Take what differs of these into the spec.
    #[arg(long)]
    pub absorb: bool,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright import pz/digitalocean.vpc.main 5a4981aa-9653-4bd1-bef5-d6bff52042e4\n  zonewright import pz/cloudflare.dns_record.www ZONE/RECORD --set zone=example.org"
)]
pub struct ImportArgs {
    /// The resource. What the spec does not have is written into it.
    #[arg(value_name = "ADDRESS")]
    pub address: Address,
    /// The vendor's id of what exists, as the plan's error names it.
    #[arg(value_name = "ID")]
    pub id: String,
    /// For what the spec does not have: an attribute as the spec shall say it, `${…}` included. Can be given
    /// several times.
    #[arg(long = "set", value_name = "ATTRIBUTE=VALUE", value_parser = attribute)]
    pub set: Vec<(String, String)>,
    /// Also what carries the mark of another project: it must not be managed there any more.
    #[arg(long)]
    pub marked: bool,
    /// For what the spec has: take what differs into it.
    #[arg(long, conflicts_with = "set")]
    pub absorb: bool,
    /// How.
    #[command(flatten)]
    pub edit: EditArgs,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected ATTRIBUTE=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Arguments of `orphans`.
#[derive(Debug, Args)]
pub struct OrphansArgs {
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}
