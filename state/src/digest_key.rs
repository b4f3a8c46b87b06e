//! The file of the project's digest key: 64 hex digits, mode 0600, outside the state.

use std::path::Path;

use zeroize::Zeroizing;
use zonewright_engine::canon::hex;
use zonewright_engine::secret::DigestKey;

use crate::error::StateError;
use crate::private_file::{self, unfit};
use crate::rng::Rng;

/// Reads the key; `None` when the file does not exist.
///
/// # Errors
/// Others can read or write the file, or it does not hold a key.
pub fn load(path: &Path) -> Result<Option<DigestKey>, StateError> {
    let contents = private_file::load(path)?;
    contents.map(|bytes| key(path, &bytes)).transpose()
}

/// Reads the key, or makes one when the file does not exist.
///
/// # Errors
/// As for [`load`], or the file cannot be made.
pub fn load_or_create(path: &Path, rng: &mut dyn Rng) -> Result<DigestKey, StateError> {
    let contents = private_file::load_or_create(path, rng, |rng| {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Zeroizing::new(format!("{}\n", hex(bytes.as_ref())).into_bytes())
    })?;
    key(path, &contents)
}

fn key(path: &Path, bytes: &[u8]) -> Result<DigestKey, StateError> {
    const WRONG: &str = "it does not hold 64 hex digits; restore it, or remove it (all secrets then show as changed once)";
    parse(bytes)
        .map(DigestKey::new)
        .ok_or_else(|| unfit(path, WRONG))
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
