//! Moves a state to another store: objects are copied as they are and read back, files become the
//! snapshots that their logs come to.

use futures::future::join_all;
use zonewright_engine::address::ZoneName;

use super::RemoteState;
use super::layout::{self, Named};
use super::log::write_snapshot;
use crate::dir::Copied;
use crate::error::StateError;
use crate::examine::Examined;
use crate::format::{self, Stored};
use crate::meta;
use crate::reactor::wait;
use crate::store::Put;

/// How many objects are copied at once.
const WINDOW: usize = 8;

/// What was moved, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Every shard with its serial.
    pub shards: Vec<(ZoneName, u64)>,
}

impl RemoteState {
    /// Copies a state in another store to this one, which must be empty, or hold what a copy that was
    /// cut off left. Without `write` it only counts.
    ///
    /// # Errors
    /// The state there is not whole, or somebody is at work on it; there is another state here; a
    /// store does not answer.
    pub(crate) fn take_over(&self, from: &RemoteState, write: bool) -> Result<Moved, StateError> {
        let before = from.at_rest()?;
        let mut moved = Moved {
            shards: before.iter().map(|e| (e.shard.clone(), e.serial)).collect(),
            ..Moved::default()
        };
        wait(async {
            let keys = from.store.list("", None).await;
            let mut keys = keys.map_err(|e| from.failed(e))?;
            keys.retain(|key| {
                matches!(
                    layout::parse(key),
                    Named::Meta | Named::Log { .. } | Named::Snap { .. }
                )
            });
            // The lineage last: a copy that was cut off is no state yet.
            keys.sort_by_key(|key| key == meta::KEY);
            for window in keys.chunks(WINDOW) {
                let copies = window.iter().map(|key| self.copy(from, key, write));
                for copy in join_all(copies).await {
                    moved.bytes += copy?;
                    moved.objects += 1;
                }
            }
            Ok::<_, StateError>(())
        })?;
        if from.at_rest()? != before {
            return Err(StateError::Unsupported {
                place: from.place(),
                what: "moved: somebody wrote meanwhile; run the command again".to_owned(),
            });
        }
        if write {
            self.compare(&before)?;
        }
        Ok(moved)
    }

    /// Every shard as it is, all of it whole and nobody at work.
    fn at_rest(&self) -> Result<Vec<Examined>, StateError> {
        let examined = self.examine()?;
        if let Some(problem) = examined.iter().find_map(|e| e.problems.first()) {
            return Err(StateError::Unsupported {
                place: self.place(),
                what: format!("moved: {problem}"),
            });
        }
        let seen = self.seen()?;
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            for shard in examined.iter().map(|e| &e.shard) {
                let found = self.reader(&meta, shard).run().await?;
                match found.open {
                    Some(open) if !self.is_dead(&open)? => {
                        return Err(StateError::Locked {
                            shard: shard.clone(),
                            holder: open.holder,
                            epoch: Some(open.epoch),
                        });
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(examined)
    }

    /// Everything that is recorded, of a state at which nobody is at work.
    ///
    /// # Errors
    /// It is not whole, or somebody is at work on it; the store does not answer.
    pub(crate) fn copied(&self) -> Result<Copied, StateError> {
        let before = self.at_rest()?;
        let seen = self.seen()?;
        let copied = wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let mut shards = Vec::new();
            for shard in before.iter().map(|e| &e.shard) {
                let found = self.reader(&meta, shard).run().await?;
                shards.push(Stored {
                    snapshot: found.snapshot,
                    base_seq: found.seq,
                    head: found.head,
                    epoch: found.epoch,
                });
            }
            Ok::<_, StateError>(Copied { meta, shards })
        })?;
        Ok(copied)
    }

    /// Whether nothing was written since.
    pub(crate) fn is_as(&self, copied: &Copied) -> Result<bool, StateError> {
        let now = self.copied()?;
        let heads =
            |c: &Copied| -> Vec<_> { c.shards.iter().map(|s| (s.base_seq, s.head)).collect() };
        Ok(heads(&now) == heads(copied))
    }

    async fn copy(&self, from: &RemoteState, key: &str, write: bool) -> Result<usize, StateError> {
        let bytes = from.store.get(key).await.map_err(|e| from.failed(e))?;
        let bytes = bytes.unwrap_or_default();
        if write {
            self.put_same(key, &bytes).await?;
        }
        Ok(bytes.len())
    }

    /// Makes an object, or finds it there as it should be.
    async fn put_same(&self, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        let put = self.store.put_new(key, bytes).await;
        if put.map_err(|e| self.failed(e))? == Put::Created {
            return Ok(());
        }
        let there = self.store.get(key).await.map_err(|e| self.failed(e))?;
        match there.as_deref() == Some(bytes) {
            true => Ok(()),
            false => Err(StateError::Unsupported {
                place: self.place(),
                what: format!(
                    "written over: `{key}` belongs to another state; choose an empty place"
                ),
            }),
        }
    }

    /// Every object is read here, and every shard is where it was.
    fn compare(&self, there: &[Examined]) -> Result<(), StateError> {
        let here = self.examine()?;
        match here == there {
            true => Ok(()),
            false => Err(StateError::Unsupported {
                place: self.place(),
                what: "used: what was copied does not read back as it was; look at it with `zonewright state doctor`"
                    .to_owned(),
            }),
        }
    }

    /// Takes over a state that was in files: its snapshots become the beginning here.
    pub(crate) fn take_over_files(
        &self,
        copied: &Copied,
        write: bool,
    ) -> Result<Moved, StateError> {
        let mut moved = Moved::default();
        wait(async {
            for stored in &copied.shards {
                moved.objects += 1;
                moved.bytes += format::encode(stored).len();
                let shard = stored.snapshot.shard.clone();
                moved.shards.push((shard, stored.snapshot.serial));
                if write {
                    write_snapshot(self.store.as_ref(), stored, self.seal()).await?;
                }
            }
            let text = copied.meta.encode();
            moved.objects += 1;
            moved.bytes += text.len();
            match write {
                true => self.put_same(meta::KEY, text.as_bytes()).await,
                false => Ok(()),
            }
        })?;
        if write {
            let here = self.examine()?;
            let serials = here.iter().map(|e| (e.shard.clone(), e.serial));
            let whole = here.iter().all(|e| e.problems.is_empty());
            if !whole || !serials.eq(moved.shards.iter().cloned()) {
                self.compare(&[])?;
            }
        }
        Ok(moved)
    }
}
