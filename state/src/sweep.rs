//! Removes what a later snapshot has made superfluous: earlier snapshots, and the batches before them.
//!
//! Nothing is removed before the whole shard was read, and each snapshot was found to be what the log comes
//! to. What is kept begins with a snapshot, so that it can be read and verified like the whole.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Entry, Holder};

use crate::dir::StateDir;
use crate::error::StateError;
use crate::history;
use crate::home::StateHome;
use crate::reactor::wait;
use crate::writer::Writer;

/// What is kept in any case.
pub struct Keep<'a> {
    /// So many of the newest snapshots; at least one.
    pub count: usize,
    /// Whether a snapshot is too young to go. It is given when it was made, as its run says (RFC 3339), or
    /// as the disk does (seconds since 1970). Of what says neither only the number counts.
    pub is_young: &'a (dyn Fn(Option<&str>, Option<i64>) -> bool + Sync),
}

/// What was removed of a shard, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The shard.
    pub shard: ZoneName,
    /// The serial of the oldest snapshot that is kept; none when there is no snapshot yet.
    pub from: Option<u64>,
    /// The objects or files, oldest first.
    pub removed: Vec<String>,
}

impl Keep<'_> {
    /// How many of these are kept, newest first.
    pub(crate) fn kept<'s>(
        &self,
        newest_first: impl Iterator<Item = (Option<&'s str>, Option<i64>)>,
    ) -> usize {
        let count = self.count.max(1);
        newest_first
            .enumerate()
            .take_while(|(i, (at, modified))| *i < count || (self.is_young)(*at, *modified))
            .count()
    }
}

impl StateHome {
    /// Removes what is superfluous of a shard; without `write` it only finds out what that is.
    ///
    /// # Errors
    /// The shard is not whole, somebody is at work on it, or it cannot be reached.
    pub fn sweep(
        &self,
        shard: &ZoneName,
        keep: &Keep<'_>,
        holder: &Holder,
        write: bool,
    ) -> Result<Swept, StateError> {
        let found = match self {
            StateHome::Dir(dir) => dir.superfluous(shard, keep)?,
            StateHome::Remote(remote) => remote.superfluous(shard, keep)?,
        };
        if !write || found.removed.is_empty() {
            return Ok(found);
        }
        let shards = std::slice::from_ref(shard);
        let writer = self.acquire(shards, holder, std::time::Duration::ZERO)?;
        let done = self.remove(&writer, &found);
        let released = writer.release();
        done?;
        released?;
        Ok(found)
    }

    /// The log says it first. A removal that is cut off leaves a part of what is superfluous.
    fn remove(&self, writer: &Writer, found: &Swept) -> Result<(), StateError> {
        let text = format!(
            "state gc: {} removed, from {} to {}",
            found.removed.len(),
            found.removed.first().map_or("", String::as_str),
            found.removed.last().map_or("", String::as_str),
        );
        writer.append_now(&found.shard, vec![Entry::Note { text }])?;
        for key in &found.removed {
            match self {
                StateHome::Dir(dir) => {
                    let vfs = dir.vfs_or_create()?;
                    vfs.unlink(key)
                        .map_err(|e| StateError::io(vfs.locate(key), "remove", e))?;
                }
                StateHome::Remote(remote) => {
                    let store = remote.store();
                    wait(store.gc(key)).map_err(|e| StateError::store(store, e))?;
                }
            }
        }
        Ok(())
    }
}

/// A shard that is not whole is left alone.
pub(crate) fn refused(place: String, problem: &str) -> StateError {
    StateError::Unsupported {
        place,
        what: format!("swept: {problem}"),
    }
}

impl StateDir {
    fn superfluous(&self, shard: &ZoneName, keep: &Keep<'_>) -> Result<Swept, StateError> {
        let examined = self.examine()?;
        let of_it = examined.iter().filter(|e| e.shard == *shard);
        if let Some(problem) = of_it.flat_map(|e| &e.problems).next() {
            return Err(refused(self.path().display().to_string(), problem));
        }
        let vfs = self.vfs_or_create()?;
        let items = history::told(vfs.as_ref(), shard, &self.options.seal.lenient())?;
        let made = |i: &history::Item| i.modified;
        let kept = keep.kept(items.iter().map(|i| (None, made(i))));
        let mut removed: Vec<String> = items[kept..]
            .iter()
            .map(|item| history::key(shard, item.serial))
            .collect();
        removed.reverse();
        Ok(Swept {
            shard: shard.clone(),
            from: items[..kept].last().map(|item| item.serial),
            removed,
        })
    }
}
