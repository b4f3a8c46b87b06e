//! Arguments of what proves a zone: `verify`, `smoke`, `readiness`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use zonewright_engine::address::ZoneName;

use super::{ReportFormat, duration};

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright verify --zone bz\n  zonewright verify --zone bz --only replication-lag --only targets\n  zonewright verify --zone bz --wait 10m --format markdown > proof.md"
)]
pub struct VerifyArgs {
    /// The zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// Only this check. Can be given several times.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Skip what makes something in the zone, even though it removes it again.
    #[arg(long)]
    pub read_only: bool,
    /// Ask the databases by a Job in the zone, which is gone after: for a machine that they do not let in.
    #[arg(long, conflicts_with = "read_only")]
    pub in_cluster: bool,
    /// Ask again what fails, for so long: `10m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub wait: Duration,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: ReportFormat,
}

/// Arguments of `smoke`.
#[derive(Debug, Args)]
pub struct SmokeArgs {
    /// The zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// Ask again while it fails, for so long: `10m`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub wait: Duration,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: ReportFormat,
}

/// Arguments of `readiness`.
#[derive(Debug, Args)]
pub struct ReadinessArgs {
    /// The zone; by default every zone that stands by.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// Send nothing: judge by the proofs that are recorded. Otherwise, what can be asked without
    /// making anything is asked first.
    #[arg(long)]
    pub recorded: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: ReadinessFormat,
}

/// A form of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReadinessFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Prometheus: the text format.
    Metrics,
}
