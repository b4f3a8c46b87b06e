//! Arguments of `init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to write the project; made when it does not exist.
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// What the project is like.
    #[arg(long, value_name = "NAME", default_value = "hello")]
    pub template: Template,
}

/// A project to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A network, a cluster and a program behind an ingress, in few lines.
    Hello,
    /// WordPress with a database, its replica in the backup zone, certificates, monitoring and DNS.
    Wordpress,
}
