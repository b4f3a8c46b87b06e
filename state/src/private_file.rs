//! A secret of this host in a file of its own (mode 0600), outside the state.

use std::path::Path;

use zeroize::Zeroizing;

use crate::error::StateError;
use crate::rng::Rng;
use crate::vfs::real::{RealVfs, split};
use crate::vfs::{self, Refusal, Vfs};

/// The contents of a file.
pub(crate) type Contents = Zeroizing<Vec<u8>>;

/// Reads the file; `None` when it does not exist.
///
/// # Errors
/// Others can read or write it, or it cannot be read.
pub(crate) fn load(path: &Path) -> Result<Option<Contents>, StateError> {
    let io = |e| StateError::io(path, "read", e);
    let (dir, name) = split(path).map_err(io)?;
    match RealVfs::open(dir, false).map_err(io)? {
        Some(vfs) => load_in(&vfs, name, path),
        None => Ok(None),
    }
}

/// Reads the file, or makes one when it does not exist. Of two that make it at once, both read the one
/// that was first.
///
/// # Errors
/// As for [`load`], or the file cannot be made.
pub(crate) fn load_or_create(
    path: &Path,
    rng: &mut dyn Rng,
    make: impl FnOnce(&mut dyn Rng) -> Contents,
) -> Result<Contents, StateError> {
    let io = |e| StateError::io(path, "create", e);
    let (dir, name) = split(path).map_err(io)?;
    let vfs = RealVfs::create(dir, false).map_err(io)?;
    if let Some(contents) = load_in(&vfs, name, path)? {
        return Ok(contents);
    }
    let contents = make(rng);
    let tmp = format!(".{name}.tmp.{}", rng.hex128());
    vfs::write_new(&vfs, &tmp, &contents).map_err(io)?;
    let linked = vfs.link(&tmp, name);
    vfs.unlink(&tmp).map_err(io)?;
    match linked {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(e)),
        _ => vfs.sync_dir("").map_err(io)?,
    }
    load_in(&vfs, name, path)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))
}

fn load_in(vfs: &RealVfs, name: &str, path: &Path) -> Result<Option<Contents>, StateError> {
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
    Ok(Some(Zeroizing::new(bytes)))
}

/// What the file holds is not what belongs in it.
pub(crate) fn unfit(path: &Path, what: &str) -> StateError {
    StateError::Damaged {
        file: path.to_owned(),
        offset: 0,
        what: what.to_owned(),
        history: Vec::new(),
    }
}
