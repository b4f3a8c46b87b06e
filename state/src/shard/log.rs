//! The writing side of one shard: append, checkpoint, release.
//!
//! The order of effects is the protocol; `tests/crash.rs` tries every crash in between.
//! - Append: take disk space, write one frame, sync its data.
//! - Checkpoint: new snapshot under another name and synced; the old one linked into the history;
//!   rename; sync the directory; only then the journal is started anew in the same way.

use std::sync::Arc;

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;
use zonewright_engine::failpoint;
use zonewright_engine::journal::{Entry, Holder};
use zonewright_engine::snapshot::Snapshot;

use super::{Shard, journal_path, state_path, undo};
use crate::error::{Notice, StateError};
use crate::format::{self, Stored};
use crate::frame;
use crate::history;
use crate::journal::{self, Owner};
use crate::lock::Lock;
use crate::meta::Meta;
use crate::record::{self, Batch};
use crate::seal::{Expected, Kind, Seal};
use crate::seen::Mark;
use crate::vfs::{self, Open, Vfs, VfsFile};

/// Space that is on hand before a request is sent, so that its outcome can be written.
const AHEAD: u64 = 64 * 1024;

/// Records after which releasing the shard makes a checkpoint even though nothing changed.
pub(crate) const LONG_RECORDS: u64 = 256;

/// Bytes after which it does.
const LONG_BYTES: u64 = 1024 * 1024;

/// A shard that this process may write.
pub(crate) struct ShardLog {
    vfs: Arc<dyn Vfs>,
    shard: ZoneName,
    nonce: String,
    keep: usize,
    seal: Seal,
    snapshot: Snapshot,
    seq: u64,
    head: Digest,
    epoch: u64,
    base_serial: u64,
    base_seq: u64,
    file: Box<dyn VfsFile>,
    len: u64,
    reserved: u64,
    poisoned: bool,
    lock: Option<Lock>,
}

/// How to begin writing.
pub(crate) struct Begin<'a> {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) meta: &'a Meta,
    pub(crate) shard: &'a ZoneName,
    pub(crate) nonce: String,
    pub(crate) keep: usize,
    pub(crate) seal: &'a Seal,
}

impl ShardLog {
    /// Takes over a locked shard: finishes what a crash left, cuts a torn tail, makes the rest
    /// durable and writes the new epoch.
    pub(crate) fn begin(
        begin: Begin<'_>,
        found: Shard,
        lock: Lock,
        holder: &Holder,
        note: Option<String>,
    ) -> Result<ShardLog, StateError> {
        let Begin {
            vfs,
            meta,
            shard,
            nonce,
            keep,
            seal,
        } = begin;
        remove_leftovers(vfs.as_ref(), shard)?;
        let fresh = found.epoch == 0 && found.seq == 0;
        let mut end = found.journal;
        if fresh {
            end = Some(create(vfs.as_ref(), meta, &found, &nonce, seal)?);
        }
        let end = end.expect("invariant: a shard that was written has a journal");
        let path = journal_path(shard);
        let io = |doing| {
            let file = vfs.locate(&path);
            move |e| StateError::io(&file, doing, e)
        };
        let mut file = vfs.open(&path, Open::Write).map_err(io("open"))?;
        if end.torn > 0 && !failpoint::without("torn-tail-cut") {
            file.set_len(end.valid).map_err(io("cut"))?;
        }
        // A record that was read need not be durable: its writer may have died before its sync.
        file.sync_all().map_err(io("sync"))?;
        vfs.sync_dir("").map_err(io("sync the directory of"))?;
        let mut log = ShardLog {
            base_seq: found.seq - end.records,
            vfs,
            shard: shard.clone(),
            nonce,
            keep,
            seal: seal.clone(),
            snapshot: found.snapshot,
            seq: found.seq,
            head: found.head,
            epoch: found.epoch + 1,
            base_serial: found.base_serial,
            file,
            len: end.valid,
            reserved: 0,
            poisoned: false,
            lock: Some(lock),
        };
        let mut entries = vec![Entry::Acquire {
            epoch: log.epoch,
            holder: holder.clone(),
        }];
        entries.extend(note.map(|text| Entry::Note { text }));
        log.append(entries)?;
        Ok(log)
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            serial: self.snapshot.serial,
            seq: self.seq,
            head: self.head,
        }
    }

    /// Appends one batch. When this returns `Ok` the batch is durable and folded.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) -> Result<(), StateError> {
        self.usable()?;
        if entries.is_empty() {
            return Ok(());
        }
        let undo = undo::fold_all(&mut self.snapshot, &entries)?;
        let intent = entries.iter().any(|e| matches!(e, Entry::Intent { .. }));
        let batch = Batch {
            v: record::version_of(&entries),
            lineage: self.snapshot.lineage.clone(),
            shard: self.shard.clone(),
            seq: self.seq + 1,
            epoch: self.epoch,
            writer: self.nonce.clone(),
            prev: self.head,
            entries,
        };
        let (payload, digest) = record::encode(&batch, Kind::Batch, &self.seal);
        let bytes = frame::encode(&payload);
        if let Err(error) = self.write(&bytes, intent) {
            undo.apply(&mut self.snapshot);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        self.seq += 1;
        self.head = digest;
        Ok(())
    }

    fn usable(&self) -> Result<(), StateError> {
        if self.poisoned {
            return Err(StateError::Poisoned {
                shard: self.shard.clone(),
            });
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], intent: bool) -> Result<(), StateError> {
        let end = self.len + bytes.len() as u64;
        let needed = if intent { end + AHEAD } else { end };
        if needed > self.reserved {
            // Nothing is written yet: a full disk here stops the run, it does not poison the log.
            self.file
                .reserve(self.len, needed + AHEAD - self.len)
                .map_err(|e| self.io("take disk space for", e))?;
            self.reserved = needed + AHEAD;
        }
        let written = self.file.write_at(self.len, bytes);
        self.durable(written, "write")?;
        if failpoint::without("journal-synced") {
            return Ok(());
        }
        let synced = self.file.sync_data();
        self.durable(synced, "sync")
    }

    /// Passes a result on; a failure means that nobody knows what is on disk, for good.
    fn durable<T>(
        &mut self,
        result: std::io::Result<T>,
        doing: &'static str,
    ) -> Result<T, StateError> {
        result.map_err(|e| {
            self.poisoned = !failpoint::without("failed-sync-is-final");
            self.io(doing, e)
        })
    }

    fn io(&self, doing: &'static str, e: std::io::Error) -> StateError {
        StateError::io(self.vfs.locate(&journal_path(&self.shard)), doing, e)
    }

    /// Writes the snapshot and starts the journal anew.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StateError> {
        self.usable()?;
        let stored = Stored {
            snapshot: self.snapshot.clone(),
            base_seq: self.seq,
            head: self.head,
            epoch: self.epoch,
        };
        let old_serial = self.base_serial;
        if failpoint::without("snapshot-first") {
            self.restart_journal()?;
        }
        let vfs = self.vfs.as_ref();
        let done = write_snapshot(vfs, &stored, &self.nonce, Some(old_serial), &self.seal);
        self.poison_on(done)?;
        self.base_serial = self.snapshot.serial;
        self.restart_journal()?;
        history::prune(self.vfs.as_ref(), &self.shard, self.keep);
        Ok(())
    }

    fn restart_journal(&mut self) -> Result<(), StateError> {
        let owner = Owner {
            lineage: &self.snapshot.lineage,
            world: &self.snapshot.world,
            shard: &self.shard,
            seal: &self.seal,
        };
        let bytes = journal::start(&owner, self.seq, self.head);
        let path = journal_path(&self.shard);
        let tmp = format!(".{}.journal.tmp.{}", self.shard, self.nonce);
        let done = vfs::replace(self.vfs.as_ref(), &tmp, &path, &bytes)
            .and_then(|()| self.vfs.open(&path, Open::Write));
        self.file = self.durable(done, "start anew")?;
        self.len = bytes.len() as u64;
        self.reserved = 0;
        self.base_seq = self.seq;
        Ok(())
    }

    fn poison_on<T>(&mut self, result: Result<T, StateError>) -> Result<T, StateError> {
        self.poisoned |= result.is_err();
        result
    }

    /// Says in the log that the shard is free, and makes a checkpoint when there is something in it.
    pub(crate) fn release(&mut self) -> Result<(), StateError> {
        self.append(vec![Entry::Release { epoch: self.epoch }])?;
        let changed = self.snapshot.serial != self.base_serial;
        let long = self.seq - self.base_seq > LONG_RECORDS || self.len > LONG_BYTES;
        if changed || long {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Lets the lock go; afterwards nothing can be written.
    pub(crate) fn unlock(&mut self) {
        self.poisoned = true;
        if let Some(lock) = self.lock.take() {
            lock.release();
        }
    }
}

/// Makes the files of a shard: the journal, then the snapshot.
fn create(
    vfs: &dyn Vfs,
    meta: &Meta,
    found: &Shard,
    nonce: &str,
    seal: &Seal,
) -> Result<super::JournalEnd, StateError> {
    let shard = &found.snapshot.shard;
    let history = history::dir(shard);
    let path = journal_path(shard);
    let owner = Owner {
        lineage: &meta.lineage,
        world: &meta.world,
        shard,
        seal,
    };
    let bytes = journal::start(&owner, 0, found.head);
    let tmp = format!(".{shard}.journal.tmp.{nonce}");
    vfs.make_dir(&history)
        .and_then(|()| vfs::replace(vfs, &tmp, &path, &bytes))
        .map_err(|e| StateError::io(vfs.locate(&path), "create", e))?;
    let stored = Stored {
        snapshot: found.snapshot.clone(),
        base_seq: 0,
        head: found.head,
        epoch: 0,
    };
    write_snapshot(vfs, &stored, nonce, None, seal)?;
    Ok(super::JournalEnd {
        valid: bytes.len() as u64,
        torn: 0,
        records: 0,
    })
}

/// Replaces a shard's snapshot, keeping the old one as `old_serial` in the history.
pub(crate) fn write_snapshot(
    vfs: &dyn Vfs,
    stored: &Stored,
    nonce: &str,
    old_serial: Option<u64>,
    seal: &Seal,
) -> Result<(), StateError> {
    let shard = &stored.snapshot.shard;
    let path = state_path(shard);
    let io = |e| StateError::io(vfs.locate(&path), "write", e);
    let bytes = format::seal(stored, seal);
    let (again, _) = format::open(&bytes, &vfs.locate(&path), &[], &Expected::default(), seal)?;
    if again != *stored {
        // Better no snapshot than one that says something else than the log.
        return Err(io(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "the snapshot does not read back as it was",
        )));
    }
    let tmp = format!(".{shard}.state.tmp.{nonce}");
    vfs::write_new(vfs, &tmp, &bytes).map_err(io)?;
    if let Some(serial) = old_serial {
        let key = history::key(shard, serial);
        let linked = match vfs.link(&path, &key) {
            // The same serial again, without a change or after an accepted rollback: newest wins.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                vfs.unlink(&key).and_then(|()| vfs.link(&path, &key))
            }
            other => other,
        };
        linked
            .and_then(|()| vfs::sync_names(vfs, &history::dir(shard)))
            .map_err(io)?;
    }
    vfs.rename(&tmp, &path)
        .and_then(|()| vfs::sync_names(vfs, ""))
        .map_err(io)
}

/// Removes what a writer that died left under temporary names. The lock is held.
fn remove_leftovers(vfs: &dyn Vfs, shard: &ZoneName) -> Result<(), StateError> {
    let io = |e| StateError::io(vfs.locate(""), "clean up", e);
    let prefixes = [
        format!(".{shard}.state.tmp."),
        format!(".{shard}.journal.tmp."),
    ];
    for item in vfs.list("").map_err(io)? {
        if prefixes.iter().any(|p| item.name.starts_with(p.as_str())) {
            vfs.unlink(&item.name).map_err(io)?;
        }
    }
    Ok(())
}

/// Notices of a shard as found, once.
pub(crate) fn notices(found: &mut Shard) -> Vec<Notice> {
    std::mem::take(&mut found.notices)
}
