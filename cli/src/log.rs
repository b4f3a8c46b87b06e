//! The log, on standard error. Other crates are silent unless asked for by name: some of them print
//! headers, and headers hold tokens.

use tracing_subscriber::EnvFilter;

use crate::args::{Format, Global};
use crate::env;

/// Starts logging; a second start in the same process changes nothing.
pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let directives = env::var(env::LOG).unwrap_or_else(|| format!("zonewright={level}"));
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(directives));
    // Only a process that logs already refuses, and then it goes on logging.
    let _ = match global.log_format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
}
