//! Directories that cannot be written: who only looks does without, who changes something is told before the
//! first request.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::report::Failure;

/// Whether this is what a directory says that must not be written.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether a file can be made in a directory, or in the nearest one above it that there is.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let there = dir.ancestors().find(|d| d.exists()).unwrap_or(dir);
    let path = there.join(format!(".zonewright-{}.tmp", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    made.and_then(|_| fs::remove_file(&path))
}

/// Refuses to begin what could not be recorded.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn check(dir: &Path) -> Result<(), Failure> {
    probe(dir).map_err(|source| {
        let message = format!("cannot write to {}; nothing was sent", dir.display());
        Failure::error(message).because(source).help(
            "`plan`, `drift`, `verify`, `readiness`, `show` and `cost` work where nothing can be written; change things where the state can be kept",
        )
    })
}
