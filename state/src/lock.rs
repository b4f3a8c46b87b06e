//! The lock of a shard: `flock` on a file beside the data, freed by the kernel when its holder ends.
//!
//! The data files are replaced by renames, so they are never locked themselves. What is written in
//! the lock file is only for the message that others get.

use std::time::{Duration, Instant};

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon;
use zonewright_engine::journal::Holder;

use crate::error::StateError;
use crate::vfs::{Open, Vfs, VfsFile};

const POLL: Duration = Duration::from_millis(50);

/// A held lock; dropping it lets go.
pub struct Lock {
    file: Box<dyn VfsFile>,
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(lock)")
    }
}

/// The name of a shard's lock file.
pub fn path(shard: &ZoneName) -> String {
    format!("{shard}.lock")
}

/// Takes a shard's lock, trying until the deadline.
///
/// # Errors
/// Another holder has it at the deadline, or the file cannot be used.
pub fn take(
    vfs: &dyn Vfs,
    shard: &ZoneName,
    holder: &Holder,
    deadline: Instant,
) -> Result<Lock, StateError> {
    let path = path(shard);
    let io = |e| StateError::io(vfs.locate(&path), "lock", e);
    loop {
        let mut file = vfs.open(&path, Open::Any).map_err(io)?;
        if file.try_lock().map_err(io)? {
            let text = canon::pretty(holder);
            file.set_len(0).map_err(io)?;
            file.write_at(0, text.as_bytes()).map_err(io)?;
            return Ok(Lock { file });
        }
        let now = Instant::now();
        if now >= deadline {
            let holder = file.read_all().ok();
            return Err(StateError::Locked {
                shard: shard.clone(),
                holder: holder.and_then(|b| serde_json::from_slice(&b).ok()),
            });
        }
        std::thread::sleep(POLL.min(deadline - now));
    }
}

impl Lock {
    /// Empties the file and lets go.
    pub fn release(mut self) {
        // Only words for others: an old holder's name in a free lock harms nobody.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock file keeps the last holder's name");
        }
    }
}
