//! A project's state wherever it is kept: in files of this host, or in a store elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Holder;

use crate::dir::{Loaded, StateDir};
use crate::error::StateError;
use crate::events::Event;
use crate::examine::Examined;
use crate::history;
use crate::remote::RemoteState;
use crate::remote::migrate::Moved;
use crate::restore::{Restored, Source};
use crate::seal::Seal;
use crate::seen::Mark;
use crate::unlock::{Unlock, Unlocked};
use crate::writer::Writer;

/// A project's state.
#[derive(Debug)]
pub enum StateHome {
    /// In a directory.
    Dir(StateDir),
    /// In a store elsewhere.
    Remote(RemoteState),
}

impl StateHome {
    /// Where it is, for messages.
    pub fn place(&self) -> String {
        match self {
            StateHome::Dir(dir) => dir.path().display().to_string(),
            StateHome::Remote(remote) => remote.place(),
        }
    }

    /// The keys that it is sealed for and opened with.
    pub fn seal(&self) -> &Seal {
        match self {
            StateHome::Dir(dir) => &dir.options.seal,
            StateHome::Remote(remote) => remote.seal(),
        }
    }

    /// Reads shards without a lock, also while a writer is active.
    ///
    /// # Errors
    /// The state is damaged, lost, rolled back, newer, or of another world; it cannot be reached.
    pub fn read(&self, shards: &[ZoneName]) -> Result<Loaded, StateError> {
        match self {
            StateHome::Dir(dir) => dir.read(shards),
            StateHome::Remote(remote) => remote.read(shards),
        }
    }

    /// Takes shards for writing, in the order of their names; all or none. Blocks up to `timeout`.
    ///
    /// # Errors
    /// As for [`StateHome::read`]; another writer holds a shard.
    pub fn acquire(
        &self,
        shards: &[ZoneName],
        holder: &Holder,
        timeout: Duration,
    ) -> Result<Writer, StateError> {
        match self {
            StateHome::Dir(dir) => dir.acquire(shards, holder, timeout),
            StateHome::Remote(remote) => remote.acquire(shards, holder, timeout),
        }
    }

    /// The earlier snapshots of a shard, newest first.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn history(&self, shard: &ZoneName) -> Result<Vec<history::Item>, StateError> {
        match self {
            StateHome::Dir(dir) => dir.history(shard),
            StateHome::Remote(remote) => remote.history(shard),
        }
    }

    /// What people did to a shard by hand, oldest first.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn events(&self, shard: &ZoneName) -> Result<Vec<Event>, StateError> {
        match self {
            StateHome::Dir(dir) => dir.events(shard),
            StateHome::Remote(remote) => remote.events(shard),
        }
    }

    /// Breaks a lock, where the log is the lock.
    ///
    /// # Errors
    /// There is no state, it is not whole, or it cannot be reached.
    pub fn unlock(&self, unlock: &Unlock<'_>) -> Result<Unlocked, StateError> {
        match self {
            StateHome::Dir(dir) => dir.unlock(unlock),
            StateHome::Remote(remote) => remote.unlock(unlock),
        }
    }

    /// The high-water marks of this host, by shard.
    ///
    /// # Errors
    /// Their file is damaged.
    pub fn high_water(&self) -> Result<BTreeMap<ZoneName, Mark>, StateError> {
        match self {
            StateHome::Dir(dir) => dir.high_water(),
            StateHome::Remote(remote) => remote.high_water(),
        }
    }

    /// The shards that something is recorded of.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn shards(&self) -> Result<BTreeSet<ZoneName>, StateError> {
        match self {
            StateHome::Dir(dir) => dir.shards(),
            StateHome::Remote(remote) => remote.shards(),
        }
    }

    /// Reads everything that is recorded.
    ///
    /// # Errors
    /// The state is of another world or cannot be read at all. What is wrong with single objects is in
    /// the result.
    pub fn examine(&self) -> Result<Vec<Examined>, StateError> {
        match self {
            StateHome::Dir(dir) => dir.examine(),
            StateHome::Remote(remote) => remote.examine(),
        }
    }

    /// Moves the state to another place, a store that was found fit; what is here stays. Without `write` it
    /// only counts.
    ///
    /// # Errors
    /// The state is not whole, or somebody is at work on it; there is another state at the new place;
    /// one of the two cannot be reached.
    pub fn migrate(
        &self,
        to: &StateHome,
        holder: &Holder,
        write: bool,
    ) -> Result<Moved, StateError> {
        match (self, to) {
            (StateHome::Dir(dir), to) => {
                // Held until everything is copied.
                let (copied, _held) = dir.copied(holder)?;
                match to {
                    StateHome::Remote(to) => to.take_over_files(&copied, write),
                    StateHome::Dir(to) => to.take_over(&copied, holder, write),
                }
            }
            (StateHome::Remote(remote), StateHome::Remote(to)) => to.take_over(remote, write),
            (StateHome::Remote(remote), StateHome::Dir(to)) => {
                let copied = remote.copied()?;
                let moved = to.take_over(&copied, holder, write)?;
                match remote.is_as(&copied)? {
                    true => Ok(moved),
                    false => Err(StateError::Unsupported {
                        place: remote.place(),
                        what: "moved: somebody wrote meanwhile; remove what was copied and run the command again"
                            .to_owned(),
                    }),
                }
            }
        }
    }

    /// Makes a shard usable again. Objects of a store are never replaced, so that a store elsewhere is
    /// repaired there: by putting back what is missing.
    ///
    /// # Errors
    /// There is nothing whole to go on from, another writer holds the shard, or it cannot be written.
    pub fn restore(
        &self,
        shard: &ZoneName,
        source: Source,
        holder: &Holder,
    ) -> Result<Restored, StateError> {
        match self {
            StateHome::Dir(dir) => dir.restore(shard, source, holder),
            StateHome::Remote(remote) => Err(StateError::Unsupported {
                place: remote.place(),
                what: "restored: its objects are never replaced; put back those that are missing, or move the state to another place with `zonewright state migrate`"
                    .to_owned(),
            }),
        }
    }
}
