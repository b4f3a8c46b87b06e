//! Arguments of `sandbox database`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{WorldArgs, duration};

/// Arguments of `sandbox database`.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// Which sandbox.
    #[command(flatten)]
    pub world: WorldArgs,
    /// The name or id of a cluster or replica; without it, all are listed.
    #[arg(value_name = "DATABASE")]
    pub name: Option<String>,
    /// What a replica does; `frozen` claims to be up to date and is not.
    #[arg(long, value_enum, requires = "name")]
    pub replication: Option<Replication>,
    /// How far a replica is behind its source.
    #[arg(long, value_name = "SECS", requires = "name")]
    pub lag: Option<u64>,
    /// Whether it refuses writes: a replica as a rule, a writer when its disk is nearly full.
    #[arg(long, value_name = "BOOL", requires = "name")]
    pub read_only: Option<bool>,
    /// Which certificate is shown.
    #[arg(long, value_enum, requires = "name")]
    pub certificate: Option<Certificate>,
    /// Whether a heartbeat is written into a writer, whatever runs in the clusters.
    #[arg(long, value_name = "BOOL", requires = "name")]
    pub heartbeat: Option<bool>,
    /// Whether a writer is backed up.
    #[arg(long, value_enum, requires = "name")]
    pub backups: Option<Backups>,
    /// Make no more backups of a writer; the newest is so old: `30h`.
    #[arg(long, value_name = "TIME", requires = "name", value_parser = duration)]
    pub backup_age: Option<Duration>,
}

/// Whether a database is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backups {
    /// Every day.
    Daily,
    /// There is none.
    None,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Replication {
    /// It follows its source.
    Running,
    /// It has lost its source and says so.
    Broken,
    /// It has stopped and claims to be up to date.
    Frozen,
}

/// Which certificate a database shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Certificate {
    /// The right one.
    Right,
    /// One by another authority.
    OtherAuthority,
    /// One for another host.
    OtherName,
}
