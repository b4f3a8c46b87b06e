//! Arguments of what watches the zones: `observability`, `metrics`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Format, duration};

/// Arguments of `observability`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright observability\n  zonewright observability rules.yml | promtool check rules\n  zonewright observability --out monitoring\n  zonewright observability --out monitoring --check\n\nWho is told is declared in zonewright.toml:\n  [observability]\n  owner = \"platform-team\"\n  runbooks = \"https://wiki.example.org/runbooks/\""
)]
pub struct ObservabilityArgs {
    /// Print this file only.
    #[arg(value_name = "FILE", conflicts_with = "out")]
    pub file: Option<String>,
    /// Write all files into this directory; it is made when it does not exist.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write nothing; exit with 2 when a file in DIR would change.
    #[arg(long, requires = "out")]
    pub check: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `metrics`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright metrics\n  zonewright metrics --textfile /var/lib/node_exporter/zonewright.prom\n  zonewright metrics --listen 127.0.0.1:9469"
)]
pub struct MetricsArgs {
    /// Write them to a file for the textfile collector; readers see the old one or the new one.
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub textfile: Option<PathBuf>,
    /// Serve them at `/metrics` until interrupted. They name zones and databases: keep the address private.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// How often they are collected anew while they are served.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, requires = "listen")]
    pub every: Duration,
    /// Send nothing: what is recorded and what the spec says.
    #[arg(long)]
    pub recorded: bool,
}
