//! Breaking a lock: what is asked, what came of it, and what it means for a state in files.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Holder;

use crate::dir::StateDir;
use crate::error::StateError;
use crate::lock;

/// Which lock shall be broken, and why.
#[derive(Debug)]
pub struct Unlock<'a> {
    /// The shard.
    pub shard: &'a ZoneName,
    /// The number of the writer that is taken for dead, as the error shows it.
    pub epoch: u64,
    /// Who says so.
    pub by: &'a Holder,
    /// Why.
    pub reason: &'a str,
}

/// A lock that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The shard.
    pub shard: ZoneName,
    /// The writer's number.
    pub epoch: u64,
    /// Who it was.
    pub holder: Option<Box<Holder>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlocked {
    /// Of this shard, and of the others that the same writer held.
    Broken(Vec<Broken>),
    /// Nobody holds the shard.
    Free,
    /// Another writer than the one that was named holds it.
    Other {
        /// Its number.
        epoch: u64,
        /// Who it is.
        holder: Option<Box<Holder>>,
    },
    /// A process of this host holds it in files: the kernel frees it when that process ends.
    Process {
        /// Who it is, when the lock file says so.
        holder: Option<Box<Holder>>,
    },
}

impl StateDir {
    /// Looks who holds a shard. The lock of files belongs to a process and goes when it ends, so there is
    /// nothing that could be broken, and nothing is written.
    ///
    /// # Errors
    /// The lock file cannot be used.
    pub fn unlock(&self, unlock: &Unlock<'_>) -> Result<Unlocked, StateError> {
        let held = match self.vfs()? {
            Some(vfs) => lock::holder(vfs.as_ref(), unlock.shard)?,
            None => None,
        };
        Ok(match held {
            Some(held) => Unlocked::Process {
                holder: held.holder,
            },
            None => Unlocked::Free,
        })
    }
}
