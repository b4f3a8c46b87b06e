//! The commands of `state` and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zonewright_engine::address::{Address, ZoneName};

use super::FormatArgs;

/// The commands of `state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List everything that is recorded.
    List(FormatArgs),
    /// Show one record.
    Show {
        /// The resource.
        address: Address,
        /// The form of the output.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List what was done to the state.
    History(FormatArgs),
    /// Make the state where `[state]` says, once the store has shown that it can keep one.
    Init,
    /// Look whether the store is fit, every object is whole, and the place is the right one. Exit code
    /// 6 when something is wrong.
    Doctor(FormatArgs),
    /// Move the state to another store. Shows what would be copied; `--yes` copies it.
    Migrate(MigrateArgs),
    /// Go on from the newest state that is whole, after damage, loss or a rollback. What is replaced is
    /// kept aside. Sends no request; the next plan finds what exists and is not recorded.
    Restore(RestoreArgs),
}

/// Arguments of `state restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state restore\n  zonewright state restore --zone pz --serial 41\n  zonewright state restore --zone pz --empty --auto-approve"
)]
pub struct RestoreArgs {
    /// Only this zone; `edge` for what the zones share. Can be given several times.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Go on from the earlier snapshot with this serial, as `state history` lists it.
    #[arg(long, value_name = "N", requires = "zones", conflicts_with = "empty")]
    pub serial: Option<u64>,
    /// Begin with nothing recorded: when there is no snapshot left. The next plan adopts what carries
    /// the project's marker.
    #[arg(long)]
    pub empty: bool,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
}

/// Arguments of `state migrate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright state migrate new.toml\n  zonewright state migrate new.toml --yes\n\nFILE is `zonewright.toml` as it shall be, with another `[state]`. It is written once everything is copied and read back; what is at the old place stays."
)]
pub struct MigrateArgs {
    /// `zonewright.toml` as it shall be.
    #[arg(value_name = "FILE")]
    pub to: PathBuf,
    /// Copy, instead of only showing what would be.
    #[arg(long)]
    pub yes: bool,
}
