//! Arguments of `posture`.

use clap::Args;
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Posture;

use super::RunArgs;

/// Arguments of `posture`.
#[derive(Debug, Args)]
pub struct PostureArgs {
    /// The zone, one that stands by.
    #[arg(long, value_name = "ZONE")]
    pub zone: ZoneName,
    /// `off`: nothing of it is left but what costs nothing and recovery needs. `cold`: built, nothing
    /// that answers requests is running. `warm`: running, not reachable from outside.
    #[arg(value_name = "POSTURE", value_parser = posture)]
    pub posture: Posture,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunArgs,
}

fn posture(text: &str) -> Result<Posture, String> {
    Posture::from_name(text).ok_or_else(|| "a posture is off, cold or warm".to_owned())
}
