//! Reads a shard from a store: the newest snapshot, then batch by batch until one does not exist.
//!
//! Every batch is checked against the one before it. The hint is read first and says how far the log
//! was at least: an object that is missing in between is a loss, not the end.

use std::path::PathBuf;

use futures::future::join_all;
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;
use zonewright_engine::journal::{Entry, Holder, fold};
use zonewright_engine::snapshot::Snapshot;

use super::hint::Hint;
use super::layout::{self, Named};
use crate::error::StateError;
use crate::format::{self, Stored};
use crate::frame::{self, Next};
use crate::journal::{Owner, check_owner};
use crate::meta::Meta;
use crate::record::{self, Batch, DecodeError, Recorded};
use crate::seal::{Kind, Seal};
use crate::store::Store;

/// How many batches are asked for at once.
const WINDOW: u64 = 8;

/// A writer that has not said that it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) epoch: u64,
    /// The writer's nonce.
    pub(crate) nonce: String,
    pub(crate) holder: Option<Box<Holder>>,
}

/// A shard as read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) snapshot: Snapshot,
    /// The last batch, and its digest.
    pub(crate) seq: u64,
    pub(crate) head: Digest,
    /// The last writer's number.
    pub(crate) epoch: u64,
    /// The snapshot that was begun with.
    pub(crate) base_serial: u64,
    pub(crate) base_seq: u64,
    pub(crate) open: Option<Open>,
    /// Whether something of it is sealed, so that all that follows must be.
    pub(crate) sealed: bool,
    /// The bytes of the hint, to be compared later.
    pub(crate) hint: Vec<u8>,
}

/// Reads one shard.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) meta: &'a Meta,
    pub(crate) shard: &'a ZoneName,
    pub(crate) seal: &'a Seal,
}

impl Reader<'_> {
    pub(crate) async fn run(&self) -> Result<Found, StateError> {
        let hint = self.hint().await?;
        let known = Hint::decode(&hint);
        let mut found = match self.newest().await? {
            Some(key) => self.begin(&key).await?,
            None => self.without_snapshot().await?,
        };
        found.hint = hint;
        self.replay(&mut found).await?;
        if let Some(open) = &mut found.open
            && open.holder.is_none()
            && let Some(hint) = known.as_ref().filter(|h| h.nonce == open.nonce)
        {
            open.holder = Some(Box::new(hint.holder.clone()));
        }
        match known.filter(|hint| hint.seq > found.seq) {
            Some(hint) => {
                let what = format!("is missing, but the log went to {}", hint.seq);
                Err(self.lost(&layout::log(self.shard, found.seq + 1), what))
            }
            None => Ok(found),
        }
    }

    async fn hint(&self) -> Result<Vec<u8>, StateError> {
        let hint = self.get(&layout::hint(self.shard)).await?;
        Ok(hint.unwrap_or_default())
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store.get(key).await.map_err(|e| self.store_failed(e))
    }

    fn store_failed(&self, source: crate::store::StoreError) -> StateError {
        StateError::store(self.store, source)
    }

    fn file(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.store.place()))
    }

    fn lost(&self, key: &str, what: String) -> StateError {
        StateError::Lost {
            file: self.file(key),
            what,
            history: Vec::new(),
        }
    }

    pub(crate) fn damaged(&self, key: &str, what: impl Into<String>) -> StateError {
        StateError::Damaged {
            file: self.file(key),
            offset: 0,
            what: what.into(),
            history: Vec::new(),
        }
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            lineage: &self.meta.lineage,
            world: &self.meta.world,
            shard: self.shard,
            seal: self.seal,
        }
    }

    /// The key of the newest snapshot. One that a list leaves out only makes reading longer.
    async fn newest(&self) -> Result<Option<String>, StateError> {
        let prefix = layout::snaps(self.shard);
        let keys = self.store.list(&prefix, None).await;
        let keys = keys.map_err(|e| self.store_failed(e))?;
        let is_snap = |key: &&String| matches!(layout::parse(key), Named::Snap { .. });
        Ok(keys.iter().rfind(is_snap).cloned())
    }

    /// Without a snapshot the log must be there from its first batch on.
    async fn without_snapshot(&self) -> Result<Found, StateError> {
        let keys = self.store.list(&layout::logs(self.shard), None).await;
        let keys = keys.map_err(|e| self.store_failed(e))?;
        let numbers = keys.iter().filter_map(|key| match layout::parse(key) {
            Named::Log { seq, .. } => Some(seq),
            _ => None,
        });
        match numbers.min() {
            Some(seq) if seq > 1 => {
                let what = "is missing, and no snapshot has what was in it".to_owned();
                Err(self.lost(&layout::log(self.shard, seq - 1), what))
            }
            _ => Ok(self.fresh()),
        }
    }

    pub(crate) fn fresh(&self) -> Found {
        let Meta { lineage, world, .. } = self.meta;
        Found {
            snapshot: Snapshot::empty(lineage, self.shard.clone(), world),
            seq: 0,
            head: record::genesis(lineage, self.shard),
            epoch: 0,
            base_serial: 0,
            base_seq: 0,
            open: None,
            sealed: false,
            hint: Vec::new(),
        }
    }

    /// Reads and checks one snapshot.
    pub(crate) async fn snapshot(&self, key: &str) -> Result<Stored, StateError> {
        Ok(self.snapshot_sealed(key).await?.0)
    }

    /// The same, and whether it is sealed.
    async fn snapshot_sealed(&self, key: &str) -> Result<(Stored, bool), StateError> {
        let Some(bytes) = self.get(key).await? else {
            return Err(self.lost(key, "is listed and cannot be read".to_owned()));
        };
        let again = "; remove this object, the log has all that is in it";
        let Named::Snap { seq, mark, .. } = layout::parse(key) else {
            return Err(self.damaged(key, "its name is not one of a snapshot"));
        };
        if layout::mark(&bytes) != mark {
            let what = format!("its contents are not those that its name tells{again}");
            return Err(self.damaged(key, what));
        }
        let (stored, sealed) = format::open(
            &bytes,
            &self.file(key),
            &[],
            &self.owner().expected(Some(seq)),
            self.seal,
        )?;
        let Snapshot { lineage, world, .. } = &stored.snapshot;
        check_owner(lineage, world, &self.file(key), &self.owner())?;
        if stored.snapshot.shard != *self.shard || stored.base_seq != seq {
            return Err(self.damaged(key, "it is the snapshot of another shard or batch"));
        }
        Ok((stored, sealed))
    }

    async fn begin(&self, key: &str) -> Result<Found, StateError> {
        let (stored, sealed) = self.snapshot_sealed(key).await?;
        let mut found = Found {
            base_serial: stored.snapshot.serial,
            base_seq: stored.base_seq,
            snapshot: stored.snapshot,
            seq: stored.base_seq,
            head: stored.head,
            epoch: stored.epoch,
            open: None,
            sealed,
            hint: Vec::new(),
        };
        // The last batch tells whether its writer was done. A state that was moved here begins with
        // a snapshot, and nobody was at work then.
        let key = layout::log(self.shard, found.seq);
        if let Some(bytes) = self.get(&key).await? {
            let read = self.batch(&key, &bytes, found.seq)?;
            if read.digest != found.head {
                return Err(self.damaged(&key, "it is not the one that the snapshot ends with"));
            }
            found.open = opened(None, &read.record);
        }
        Ok(found)
    }

    async fn replay(&self, found: &mut Found) -> Result<(), StateError> {
        loop {
            let keys: Vec<String> = (1..=WINDOW)
                .map(|n| layout::log(self.shard, found.seq + n))
                .collect();
            let window = join_all(keys.iter().map(|key| self.get(key))).await;
            for (key, bytes) in keys.iter().zip(window) {
                let Some(bytes) = bytes? else { return Ok(()) };
                self.apply(found, key, &bytes)?;
            }
        }
    }

    fn apply(&self, found: &mut Found, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        let Recorded {
            record: batch,
            digest,
            sealed,
        } = self.batch(key, bytes, found.seq + 1)?;
        self.seal
            .follows(found.sealed, sealed)
            .map_err(|e| StateError::sealed(self.file(key), 0, &[], e))?;
        if batch.prev != found.head {
            return Err(self.damaged(key, "it does not follow the one before it"));
        }
        if batch.epoch < found.epoch {
            let what = format!("writer {} wrote after writer {}", batch.epoch, found.epoch);
            return Err(self.damaged(key, what));
        }
        for entry in &batch.entries {
            fold(&mut found.snapshot, entry).map_err(|e| self.damaged(key, e.to_string()))?;
        }
        found.open = opened(found.open.take(), &batch);
        found.sealed |= sealed;
        found.seq = batch.seq;
        found.head = digest;
        found.epoch = batch.epoch;
        Ok(())
    }

    /// A batch from the bytes of an object.
    pub(crate) fn batch(
        &self,
        key: &str,
        bytes: &[u8],
        seq: u64,
    ) -> Result<Recorded<Batch>, StateError> {
        let payload = match frame::next(bytes, 0) {
            Next::Frame { payload, end } if end == bytes.len() => payload,
            _ => return Err(self.damaged(key, "its checksum is wrong")),
        };
        let read = record::open::<Batch>(
            payload,
            Kind::Batch,
            &self.owner().expected(Some(seq)),
            self.seal,
        );
        let read = read.map_err(|e| match e {
            DecodeError::Newer(found) => StateError::Newer {
                file: self.file(key),
                found,
                supported: record::VERSION,
            },
            DecodeError::Form(_) => self.damaged(key, "it is not of the form that is written"),
            DecodeError::Sealed(why) => StateError::sealed(self.file(key), 0, &[], why),
        })?;
        let batch = &read.record;
        if batch.lineage != self.meta.lineage {
            return Err(StateError::Lineage {
                file: self.file(key),
                expected: self.meta.lineage.clone(),
                found: batch.lineage.clone(),
            });
        }
        if batch.shard != *self.shard || batch.seq != seq {
            return Err(self.damaged(key, "it is the batch of another shard or number"));
        }
        Ok(read)
    }
}

/// Who is at work after a batch.
fn opened(before: Option<Open>, batch: &Batch) -> Option<Open> {
    let mut open = before.filter(|open| open.epoch == batch.epoch);
    let unnamed = || Open {
        epoch: batch.epoch,
        nonce: batch.writer.clone(),
        holder: None,
    };
    for entry in &batch.entries {
        match entry {
            Entry::Acquire { holder, .. } => {
                open = Some(Open {
                    holder: Some(Box::new(holder.clone())),
                    ..unnamed()
                });
            }
            Entry::Release { .. } | Entry::Break { .. } => open = None,
            _ if open.is_none() => open = Some(unnamed()),
            _ => {}
        }
    }
    open
}
