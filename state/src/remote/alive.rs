//! Proof that a writer on this host is dead: it holds a lock on a file named after its nonce for as
//! long as it lives, and the kernel lets go of that when it ends, however it ends.
//!
//! The file of a writer that was killed stays: each of its shards needs the proof, whenever it is taken.
//!
//! A store elsewhere cannot tell that a process was killed; without this, every apply after a crash
//! would have to wait until its predecessor has been silent for long enough.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::StateError;
use crate::vfs::real::RealVfs;
use crate::vfs::{Open, Vfs, VfsFile};

/// The lock of a writer that lives.
pub(crate) struct Sign {
    vfs: RealVfs,
    name: String,
    /// Behind a lock only so that the sign can be shared.
    _file: Mutex<Box<dyn VfsFile>>,
}

fn name(nonce: &str) -> String {
    format!("{nonce}.writer")
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Shows that this process lives, in a directory of this host.
pub(crate) fn show(dir: &Path, nonce: &str) -> Result<Sign, StateError> {
    let io = |e| StateError::io(dir, "write in", e);
    let vfs = RealVfs::create(dir, false).map_err(io)?;
    let name = name(nonce);
    let mut file = vfs.open(&name, Open::Any).map_err(io)?;
    if !file.try_lock().map_err(io)? {
        return Err(io(std::io::ErrorKind::AlreadyExists.into()));
    }
    Ok(Sign {
        vfs,
        name,
        _file: Mutex::new(file),
    })
}

/// Whether a writer is known to be dead: it was at work on this host and is not any more.
pub(crate) fn is_dead(dir: Option<&PathBuf>, nonce: &str) -> Result<bool, StateError> {
    let Some(dir) = dir.filter(|_| is_nonce(nonce)) else {
        return Ok(false);
    };
    let io = |e| StateError::io(dir, "look into", e);
    let Some(vfs) = RealVfs::open(dir, false).map_err(io)? else {
        return Ok(false);
    };
    match vfs.open(&name(nonce), Open::Read) {
        Ok(mut file) => Ok(!file.is_locked().map_err(io)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io(e)),
    }
}

impl Sign {
    /// The writer ends in order, and the log says so. Otherwise the file stays, and shows that it is dead.
    pub(crate) fn end(self) {
        // What stays is a small file that says nothing to anybody.
        let _ = self.vfs.unlink(&self.name);
    }
}
