//! The lock of a shard: `flock` on a file beside the data, freed by the kernel when its holder ends.
//!
//! The data files are replaced by renames, so they are never locked themselves. What is written in
//! the lock file is only for the message that others get.

use std::time::{Duration, Instant};

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon;
use zonewright_engine::failpoint;
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
        if file.try_lock().map_err(io)? || failpoint::without("lock-taken") {
            let text = canon::pretty(holder);
            file.set_len(0).map_err(io)?;
            file.write_at(0, text.as_bytes()).map_err(io)?;
            return Ok(Lock { file });
        }
        let now = Instant::now();
        if now >= deadline {
            let holder = file.read_all().ok();
            return Err(StateError::Locked {
                epoch: None,
                shard: shard.clone(),
                holder: holder.and_then(|b| serde_json::from_slice(&b).ok()),
            });
        }
        std::thread::sleep(POLL.min(deadline - now));
    }
}

/// Who holds a shard's lock just now; `None` when it is free. Known from the lock itself: what is
/// written in the file only says who.
///
/// # Errors
/// The file cannot be used.
pub fn holder(vfs: &dyn Vfs, shard: &ZoneName) -> Result<Option<Held>, StateError> {
    let path = path(shard);
    let io = |e| StateError::io(vfs.locate(&path), "look at", e);
    let mut file = match vfs.open(&path, Open::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    if !file.is_locked().map_err(io)? {
        return Ok(None);
    }
    let text = file.read_all().map_err(io)?;
    Ok(Some(Held {
        holder: serde_json::from_slice(&text).ok(),
    }))
}

/// A lock that somebody else holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who, when the lock file says so already.
    pub holder: Option<Box<Holder>>,
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
