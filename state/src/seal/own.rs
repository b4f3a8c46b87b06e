//! A key of this host, in a file (mode 0600): what a rehearsal is sealed with when nothing else is at hand.

use std::path::Path;

use zeroize::Zeroizing;

use super::keys::NewKey;
use crate::error::StateError;
use crate::private_file::{self, unfit};
use crate::rng::Rng;

/// Reads the identity file; `None` when it does not exist.
///
/// # Errors
/// Others can read it, or it cannot be read.
pub fn load(path: &Path) -> Result<Option<Zeroizing<String>>, StateError> {
    let contents = private_file::load(path)?;
    contents.map(|bytes| text(path, &bytes)).transpose()
}

/// Reads the identity file, or makes one with a new key.
///
/// # Errors
/// As for [`load`], or it cannot be made.
pub fn load_or_create(path: &Path, rng: &mut dyn Rng) -> Result<Zeroizing<String>, StateError> {
    let make = |_: &mut dyn Rng| {
        let identity = NewKey::generate().identity;
        Zeroizing::new(identity.as_bytes().to_vec())
    };
    text(path, &private_file::load_or_create(path, rng, make)?)
}

fn text(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, StateError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(unfit(path, "it does not hold a key")),
    }
}
