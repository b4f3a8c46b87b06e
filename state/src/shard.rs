//! One shard on disk: reads its snapshot and journal and tells a fresh shard from a lost one.
//!
//! A journal exists before the first snapshot does, and nothing is appended before both are durable.
//! So a snapshot without a journal, or records without a snapshot, is a loss and never a crash.

use std::path::PathBuf;

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;
use zonewright_engine::journal::{Entry, Holder, fold};
use zonewright_engine::snapshot::Snapshot;

use crate::error::{Notice, StateError};
use crate::format::{self, Stored};
use crate::history;
use crate::journal::{self, Owner, Scan};
use crate::meta::Meta;
use crate::record::{self, Batch};
use crate::seal::Seal;
use crate::vfs::{self, Vfs};

pub(crate) mod log;
pub(crate) mod undo;

/// The name of a shard's snapshot.
pub(crate) fn state_path(shard: &ZoneName) -> String {
    format!("{shard}.state.json")
}

/// The name of a shard's journal.
pub(crate) fn journal_path(shard: &ZoneName) -> String {
    format!("{shard}.journal")
}

/// A shard as read from disk.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    /// The state: the snapshot and all batches after it.
    pub(crate) snapshot: Snapshot,
    /// The last batch.
    pub(crate) seq: u64,
    /// Its digest.
    pub(crate) head: Digest,
    /// The last writer's number.
    pub(crate) epoch: u64,
    /// The serial of the snapshot file.
    pub(crate) base_serial: u64,
    /// What the journal file is like; `None` when the shard was never written.
    pub(crate) journal: Option<JournalEnd>,
    /// What should be told.
    pub(crate) notices: Vec<Notice>,
}

/// The end of a journal file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalEnd {
    /// Where the next record goes.
    pub(crate) valid: u64,
    /// Bytes to cut off.
    pub(crate) torn: u64,
    /// How many records it holds, those that are in the snapshot included.
    pub(crate) records: u64,
}

struct Reader<'a> {
    vfs: &'a dyn Vfs,
    meta: &'a Meta,
    shard: &'a ZoneName,
    seal: &'a Seal,
    history: Vec<PathBuf>,
}

/// Reads a shard.
pub(crate) fn read(
    vfs: &dyn Vfs,
    meta: &Meta,
    shard: &ZoneName,
    seal: &Seal,
) -> Result<Shard, StateError> {
    let history = history::list(vfs, shard)?;
    Reader {
        vfs,
        meta,
        shard,
        seal,
        history: history.into_iter().map(|item| item.file).collect(),
    }
    .run()
}

/// The batches in a shard's journal file; none when it was never written.
pub(crate) fn batches(
    vfs: &dyn Vfs,
    meta: &Meta,
    shard: &ZoneName,
    seal: &Seal,
) -> Result<Vec<Batch>, StateError> {
    let reader = Reader {
        vfs,
        meta,
        shard,
        seal,
        history: Vec::new(),
    };
    let path = journal_path(shard);
    let Some(bytes) = reader.bytes(&path)? else {
        return Ok(Vec::new());
    };
    let scan = reader.scan(&bytes, &path)?;
    Ok(scan
        .batches
        .into_iter()
        .map(|placed| placed.batch)
        .collect())
}

impl Reader<'_> {
    fn run(&self) -> Result<Shard, StateError> {
        let (state, journal) = (state_path(self.shard), journal_path(self.shard));
        let stored = self.bytes(&state)?;
        let scan = match self.bytes(&journal)? {
            Some(bytes) => Some(self.scan(&bytes, &journal)?),
            None => None,
        };
        match (stored, scan) {
            (Some(bytes), Some(scan)) => self.both(&bytes, &state, &scan, &journal),
            (None, None) if self.history.is_empty() => Ok(self.fresh(None)),
            (None, None) => Err(self.lost(&state, "is missing, but earlier snapshots exist")),
            (Some(_), None) => Err(self.lost(
                &journal,
                "is missing, but the snapshot beside it was made with one",
            )),
            (None, Some(scan)) => {
                let untouched = scan.last_seq() == 0 && self.history.is_empty();
                if untouched {
                    Ok(self.fresh(Some(&scan)))
                } else {
                    let what = format!("is missing, but the journal goes to {}", scan.last_seq());
                    Err(self.lost(&state, &what))
                }
            }
        }
    }

    /// The contents of a file that must not be empty.
    fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, StateError> {
        let bytes = vfs::read(self.vfs, path)
            .map_err(|e| StateError::io(self.vfs.locate(path), "read", e))?;
        match bytes {
            Some(b) if b.iter().all(|b| matches!(b, 0 | b' ' | b'\n' | b'\r')) => {
                Err(self.lost(path, "is empty"))
            }
            other => Ok(other),
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

    fn scan(&self, bytes: &[u8], path: &str) -> Result<Scan, StateError> {
        journal::scan(bytes, &self.vfs.locate(path), &self.history, &self.owner())
    }

    fn lost(&self, path: &str, what: &str) -> StateError {
        StateError::Lost {
            file: self.vfs.locate(path),
            what: what.to_owned(),
            history: self.history.clone(),
        }
    }

    fn damaged(&self, path: &str, offset: u64, what: impl Into<String>) -> StateError {
        StateError::Damaged {
            file: self.vfs.locate(path),
            offset,
            what: what.into(),
            history: self.history.clone(),
        }
    }

    fn fresh(&self, scan: Option<&Scan>) -> Shard {
        let Meta { lineage, world, .. } = self.meta;
        Shard {
            snapshot: Snapshot::empty(lineage, self.shard.clone(), world),
            seq: 0,
            head: record::genesis(lineage, self.shard),
            epoch: 0,
            base_serial: 0,
            journal: scan.map(end_of),
            notices: Vec::new(),
        }
    }

    fn both(
        &self,
        bytes: &[u8],
        state: &str,
        scan: &Scan,
        journal: &str,
    ) -> Result<Shard, StateError> {
        let file = self.vfs.locate(state);
        let (stored, sealed) = format::open(
            bytes,
            &file,
            &self.history,
            &self.owner().expected(None),
            self.seal,
        )?;
        let Snapshot { lineage, world, .. } = &stored.snapshot;
        journal::check_owner(lineage, world, &file, &self.owner())?;
        if stored.snapshot.shard != *self.shard {
            return Err(self.damaged(state, 0, "it is the snapshot of another shard"));
        }
        self.joined(&stored, scan, journal)?;
        self.replay(stored, sealed, scan, journal)
    }

    /// Checks that the journal goes on where the snapshot ends.
    fn joined(&self, stored: &Stored, scan: &Scan, journal: &str) -> Result<(), StateError> {
        let (base, first, last) = (stored.base_seq, scan.header.base_seq, scan.last_seq());
        if first > base {
            let what = format!("it begins after record {first}, the snapshot ends at {base}");
            return Err(self.damaged(journal, 0, what));
        }
        if last < base {
            let what = format!("it ends at record {last}, the snapshot goes to {base}");
            return Err(self.damaged(journal, scan.valid, what));
        }
        let at_base = if first == base {
            scan.header.prev
        } else {
            let index = usize::try_from(base - first - 1).unwrap_or(usize::MAX);
            scan.batches
                .get(index)
                .map_or(scan.header.prev, |placed| placed.digest)
        };
        if at_base != stored.head {
            let what = format!("its record {base} is not the one that the snapshot ends with");
            return Err(self.damaged(journal, 0, what));
        }
        Ok(())
    }

    fn replay(
        &self,
        stored: Stored,
        mut sealed: bool,
        scan: &Scan,
        journal: &str,
    ) -> Result<Shard, StateError> {
        let base_serial = stored.snapshot.serial;
        let mut shard = Shard {
            snapshot: stored.snapshot,
            seq: scan.last_seq(),
            head: scan.head(),
            epoch: stored.epoch,
            base_serial,
            journal: Some(end_of(scan)),
            notices: Vec::new(),
        };
        let mut writing: Option<(u64, Option<Box<Holder>>)> = None;
        for placed in scan
            .batches
            .iter()
            .filter(|p| p.batch.seq > stored.base_seq)
        {
            self.seal.follows(sealed, placed.sealed).map_err(|e| {
                StateError::sealed(self.vfs.locate(journal), placed.offset, &self.history, e)
            })?;
            sealed |= placed.sealed;
            let epoch = placed.batch.epoch;
            if epoch < shard.epoch {
                return Err(self.damaged(
                    journal,
                    placed.offset,
                    format!("writer {epoch} wrote after writer {}", shard.epoch),
                ));
            }
            shard.epoch = epoch;
            for entry in &placed.batch.entries {
                fold(&mut shard.snapshot, entry)
                    .map_err(|e| self.damaged(journal, placed.offset, e.to_string()))?;
                match entry {
                    Entry::Acquire { epoch, holder } => {
                        writing = Some((*epoch, Some(Box::new(holder.clone()))));
                    }
                    Entry::Release { .. } | Entry::Break { .. } => writing = None,
                    _ if writing.is_none() => writing = Some((epoch, None)),
                    _ => {}
                }
            }
        }
        if scan.torn > 0 {
            shard.notices.push(Notice::TornTail {
                file: self.vfs.locate(journal),
                offset: scan.valid,
                bytes: scan.torn,
            });
        }
        if let Some((epoch, holder)) = writing {
            shard.notices.push(Notice::Unreleased {
                shard: self.shard.clone(),
                epoch,
                holder,
            });
        }
        Ok(shard)
    }
}

fn end_of(scan: &Scan) -> JournalEnd {
    JournalEnd {
        valid: scan.valid,
        torn: scan.torn,
        records: scan.batches.len() as u64,
    }
}
