//! Arguments of `charts`.

use clap::{Args, Subcommand};
use zonewright_engine::address::ZoneName;

use super::Format;

/// The commands of `charts`.
#[derive(Debug, Subcommand)]
pub enum ChartsCommand {
    /// Get charts, vendor their archives, render them for every zone, role and posture, and write
    /// `charts.lock`. Plan and apply use only what this wrote, and refuse what does not fit it.
    Lock(ChartsLockArgs),
    /// Render a chart from its vendored archive, as the spec is now. Writes nothing.
    Render(ChartsRenderArgs),
    /// Show which objects two versions of a chart make differently. Writes nothing.
    Diff(ChartsDiffArgs),
}

/// Arguments of `charts lock`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright charts lock\n  zonewright charts lock cert_manager\n  zonewright charts lock --check\n\nhelm is taken from the path or from ZONEWRIGHT_HELM. `--check` sends nothing: it renders from the vendored archives and exits with 2 when a file would change."
)]
pub struct ChartsLockArgs {
    /// Only these charts, by their names in the spec; the others stay as they are locked.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Write nothing and send nothing; exit with 2 when a file would change.
    #[arg(long)]
    pub check: bool,
    /// Get archives anew although they are vendored already.
    #[arg(long, conflicts_with = "check")]
    pub update: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `charts render`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright charts render cert_manager --zone bz\n  zonewright charts render cert_manager --images"
)]
pub struct ChartsRenderArgs {
    /// The chart, by its name in the spec.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The zone to render it for; without it, the first one that has it.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// List the images that it names, with how firmly, instead.
    #[arg(long)]
    pub images: bool,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

/// Arguments of `charts diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright charts diff cert_manager\n  zonewright charts diff cert_manager cert_manager@1.20.0\n  zonewright charts diff old.tgz new.tgz --chart cert_manager --zone bz\n  zonewright charts diff charts/pz/web.yaml charts/bz/web.yaml\n\nExits with 2 when an object differs."
)]
pub struct ChartsDiffArgs {
    /// A chart by its name in the spec (what is vendored), NAME@VERSION (got from its source), an archive, a
    /// directory (`./…`), or a rendering (`….yaml`).
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The same; without it, what `charts lock` would make of OLD now.
    #[arg(value_name = "NEW")]
    pub new: Option<String>,
    /// Render archives and directories as the spec renders this chart.
    #[arg(long, value_name = "NAME")]
    pub chart: Option<String>,
    /// The zone to render for; without it, the first one that has the chart.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<ZoneName>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,
}

impl ChartsCommand {
    /// The form of the output.
    pub(super) fn format(&self) -> Format {
        match self {
            ChartsCommand::Lock(args) => args.format,
            ChartsCommand::Render(args) => args.format,
            ChartsCommand::Diff(args) => args.format,
        }
    }
}
