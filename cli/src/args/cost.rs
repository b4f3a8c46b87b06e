//! Arguments of `cost`.

use clap::Args;
use zonewright_engine::address::ZoneName;

use super::ReportFormat;

/// Arguments of `cost`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  zonewright cost\n  zonewright cost --zone bz --format markdown\n\nNobody is asked: the prices are those of the dated tables. `plan` asks the vendor."
)]
pub struct CostArgs {
    /// Only these zones.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<ZoneName>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: ReportFormat,
}
