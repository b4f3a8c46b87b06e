//! Files that a command is given by name.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::report::Failure;

/// No plan, snapshot or other file that is given is larger.
pub(crate) const LIMIT: u64 = 256 << 20;

/// Reads a file that a user named: a whole one, of a size that can be meant. A pipe would be waited for, a
/// device may have no end.
///
/// # Errors
/// It cannot be read, is no regular file, or has more than [`LIMIT`] bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    bounded(path, LIMIT)
}

fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |e: io::Error| Failure::file("read", path, e);
    // NONBLOCK: a pipe that nobody writes to must not hang us before it is known to be one.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(Failure::error(message).help("write it to a file, and name that"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        let message = format!(
            "{} has {} bytes, and no file that is meant here has more than {limit}",
            path.display(),
            meta.len()
        );
        return Err(Failure::error(message).help("look whether it is the right one"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(bounded(&path, 5).unwrap(), b"12345");
        assert!(bounded(&path, 4).is_err());
        assert!(bounded(dir.path(), 5).is_err());
        assert!(bounded(Path::new("/dev/zero"), 5).is_err());
    }
}
