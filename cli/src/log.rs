//! The log, on standard error. Other crates are silent unless asked for by name: some of them print
//! headers, and headers hold tokens.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

use crate::args::{Format, Global};
use crate::env;
use crate::render::text::{inert, inert_json};

/// The error output. Where a runner of jobs reads along, it has nothing in it that it would obey.
struct Lines {
    runner: bool,
    json: bool,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = match (self.runner, self.json) {
            (false, _) => text,
            (true, true) => inert_json(&text).into(),
            (true, false) => inert(&text).into_owned().into(),
        };
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging; a second start in the same process changes nothing.
pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let directives = env::var(env::LOG).unwrap_or_else(|| format!("zonewright={level}"));
    let runner = env::has_runner();
    let json = global.log_format == Format::Json;
    let builder = tracing_subscriber::fmt()
        .with_writer(move || Lines { runner, json })
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(directives));
    // Only a process that logs already refuses, and then it goes on logging.
    let _ = match global.log_format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
}
