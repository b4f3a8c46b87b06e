//! Arguments of `sandbox bucket`.

use std::time::Duration;

use clap::Args;

use super::{WorldArgs, duration};

/// Arguments of `sandbox bucket`.
#[derive(Debug, Args)]
pub struct BucketArgs {
    /// Which sandbox.
    #[command(flatten)]
    pub world: WorldArgs,
    /// The name of the bucket.
    pub name: String,
    /// Have it copied into this bucket from now on.
    #[arg(long, value_name = "BUCKET", conflicts_with = "no_copy")]
    pub copy_to: Option<String>,
    /// How long an object takes to be in the copy.
    #[arg(long, value_name = "TIME", requires = "copy_to", value_parser = duration)]
    pub copy_lag: Option<Duration>,
    /// Have it copied no more.
    #[arg(long)]
    pub no_copy: bool,
    /// Put an object into it.
    #[arg(long, value_name = "KEY")]
    pub put: Option<String>,
    /// How old that object is.
    #[arg(long, value_name = "TIME", requires = "put", value_parser = duration)]
    pub age: Option<Duration>,
}
