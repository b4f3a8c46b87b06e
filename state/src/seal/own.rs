//! A key of this host, in a file (mode 0600): what a rehearsal is sealed with when nothing else is at hand.

use std::path::Path;

use zeroize::Zeroizing;

use super::keys::NewKey;
use crate::error::StateError;
use crate::rng::Rng;
use crate::vfs::real::{RealVfs, split};
use crate::vfs::{self, Refusal, Vfs};

/// Reads the identity file; `None` when it does not exist.
///
/// # Errors
/// Others can read it, or it cannot be read.
pub fn load(path: &Path) -> Result<Option<Zeroizing<String>>, StateError> {
    let io = |e| StateError::io(path, "read", e);
    let (dir, name) = split(path).map_err(io)?;
    match RealVfs::open(dir, false).map_err(io)? {
        Some(vfs) => load_in(&vfs, name, path),
        None => Ok(None),
    }
}

/// Reads the identity file, or makes one with a new key.
///
/// # Errors
/// As for [`load`], or it cannot be made.
pub fn load_or_create(path: &Path, rng: &mut dyn Rng) -> Result<Zeroizing<String>, StateError> {
    let io = |e| StateError::io(path, "create", e);
    let (dir, name) = split(path).map_err(io)?;
    let vfs = RealVfs::create(dir, false).map_err(io)?;
    if let Some(text) = load_in(&vfs, name, path)? {
        return Ok(text);
    }
    let tmp = format!(".{name}.tmp.{}", rng.hex128());
    vfs::write_new(&vfs, &tmp, NewKey::generate().identity.as_bytes()).map_err(io)?;
    // Of two that make it at once, both use the one that was first.
    let linked = vfs.link(&tmp, name);
    vfs.unlink(&tmp).map_err(io)?;
    match linked {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(e)),
        _ => vfs.sync_dir("").map_err(io)?,
    }
    load_in(&vfs, name, path)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))
}

fn load_in(
    vfs: &RealVfs,
    name: &str,
    path: &Path,
) -> Result<Option<Zeroizing<String>>, StateError> {
    let io = |e| StateError::io(path, "read", e);
    let Some(bytes) = vfs::read(vfs, name).map_err(io)? else {
        return Ok(None);
    };
    let mode = vfs.mode(name).map_err(io)?;
    if mode & 0o077 != 0 {
        return Err(StateError::Insecure(Refusal::Readable {
            path: path.to_owned(),
            mode,
        }));
    }
    let text = String::from_utf8(bytes);
    text.map(|text| Some(Zeroizing::new(text)))
        .map_err(|_| StateError::Damaged {
            file: path.to_owned(),
            offset: 0,
            what: "it does not hold a key".to_owned(),
            history: Vec::new(),
        })
}
