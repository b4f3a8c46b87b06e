//! Arguments of `runbook`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use zonewright_engine::address::ZoneName;

/// Arguments of `runbook`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright runbook --to bz\n  zonewright runbook --to bz --format html -o to-bz.html\n  zonewright --sandbox runbook --to bz"
)]
pub struct RunbookArgs {
    /// The zone that shall serve, one that stands by.
    #[arg(long, value_name = "ZONE")]
    pub to: ZoneName,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "markdown")]
    pub format: RunbookFormat,
    /// Print the commands as they are typed in the project's directory against the real vendors, whatever
    /// `-C` and `--sandbox` say: for a runbook that is committed.
    #[arg(long)]
    pub portable: bool,
    /// Where to write it; without it, to the standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A form of a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunbookFormat {
    /// For version control and reviews.
    Markdown,
    /// One file for a browser.
    Html,
    /// For programs.
    Json,
}
