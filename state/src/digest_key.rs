//! The file of the project's digest key: 64 hex digits, mode 0600, outside the state.

use std::path::Path;

use zonewright_engine::canon::hex;
use zonewright_engine::secret::DigestKey;

use crate::error::StateError;
use crate::rng::Rng;
use crate::vfs::real::{RealVfs, split};
use crate::vfs::{self, Refusal, Vfs};

/// Reads the key; `None` when the file does not exist.
///
/// # Errors
/// Others can read or write the file, or it does not hold a key.
pub fn load(path: &Path) -> Result<Option<DigestKey>, StateError> {
    let io = |e| StateError::io(path, "read", e);
    let (dir, name) = split(path).map_err(io)?;
    match RealVfs::open(dir, false).map_err(io)? {
        Some(vfs) => load_in(&vfs, name, path),
        None => Ok(None),
    }
}

/// Reads the key, or makes one when the file does not exist.
///
/// # Errors
/// As for [`load`], or the file cannot be made.
pub fn load_or_create(path: &Path, rng: &mut dyn Rng) -> Result<DigestKey, StateError> {
    let io = |e| StateError::io(path, "create", e);
    let (dir, name) = split(path).map_err(io)?;
    let vfs = RealVfs::create(dir, false).map_err(io)?;
    if let Some(key) = load_in(&vfs, name, path)? {
        return Ok(key);
    }
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let tmp = format!(".{name}.tmp.{}", rng.hex128());
    vfs::write_new(&vfs, &tmp, format!("{}\n", hex(&bytes)).as_bytes()).map_err(io)?;
    // Of two that make it at once, both use the one that was first.
    let linked = vfs.link(&tmp, name);
    vfs.unlink(&tmp).map_err(io)?;
    match linked {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(e)),
        _ => vfs.sync_dir("").map_err(io)?,
    }
    load_in(&vfs, name, path)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))
}

fn load_in(vfs: &RealVfs, name: &str, path: &Path) -> Result<Option<DigestKey>, StateError> {
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
    match parse(&bytes) {
        Some(key) => Ok(Some(DigestKey::new(key))),
        None => Err(StateError::Damaged {
            file: path.to_owned(),
            offset: 0,
            what: "it does not hold 64 hex digits; restore it, or remove it (all secrets then show as changed once)"
                .to_owned(),
            history: Vec::new(),
        }),
    }
}

fn parse(bytes: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end();
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}
