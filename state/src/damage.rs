//! What is left of a damaged shard: which bytes of its files can be read, before and after the damage.

use std::collections::BTreeSet;
use std::path::PathBuf;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::canon::Digest;
use zonewright_engine::journal::{Entry, OpResult};

use crate::dir::StateDir;
use crate::error::StateError;
use crate::format;
use crate::frame::{self, Next};
use crate::record::{self, Batch, Header};
use crate::seal::{Expected, Kind, Seal};
use crate::shard::{journal_path, state_path};
use crate::vfs;

/// What is left of one shard in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The shard.
    pub shard: ZoneName,
    /// What stops it from being read; `None` when it is whole.
    pub why: Option<String>,
    /// Its snapshot, then its journal.
    pub files: Vec<Left>,
}

/// What is left of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The file.
    pub file: PathBuf,
    /// How many bytes it has; `None` when it is missing.
    pub bytes: Option<u64>,
    /// What can be read of it, in order. What lies between is damaged.
    pub readable: Vec<Readable>,
}

/// A part of a file that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    /// Where it begins.
    pub offset: u64,
    /// Where it ends.
    pub end: u64,
    /// What it holds: the serial of a snapshot, or the numbers of the first and last record.
    pub holds: Holds,
}

/// What a readable part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A whole snapshot.
    Snapshot {
        /// Its serial.
        serial: u64,
    },
    /// The header of a journal.
    Header,
    /// Records that follow each other.
    Records {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// What they are about.
        about: BTreeSet<Address>,
    },
}

impl StateDir {
    /// Looks at the files of a shard, byte by byte where it must.
    ///
    /// # Errors
    /// The files cannot be read, or belong to another world.
    pub fn damage(&self, shard: &ZoneName) -> Result<Damage, StateError> {
        let why = match self.read(std::slice::from_ref(shard)) {
            Ok(_) => None,
            Err(error) if error.is_about_contents() => Some(error.to_string()),
            Err(other) => return Err(other),
        };
        let seal = &self.options.seal;
        let mut files = Vec::new();
        for (path, snapshot) in [(state_path(shard), true), (journal_path(shard), false)] {
            let vfs = self.vfs_or_create()?;
            let file = vfs.locate(&path);
            let bytes = vfs::read(vfs.as_ref(), &path);
            let bytes = bytes.map_err(|e| StateError::io(&file, "read", e))?;
            let readable = match &bytes {
                None => Vec::new(),
                Some(bytes) if snapshot => of_snapshot(bytes, &file, seal),
                Some(bytes) => of_journal(bytes, seal),
            };
            files.push(Left {
                bytes: bytes.map(|b| b.len() as u64),
                file,
                readable,
            });
        }
        Ok(Damage {
            shard: shard.clone(),
            why,
            files,
        })
    }
}

fn of_snapshot(bytes: &[u8], file: &std::path::Path, seal: &Seal) -> Vec<Readable> {
    let whole = |stored: format::Stored| Readable {
        offset: 0,
        end: bytes.len() as u64,
        holds: Holds::Snapshot {
            serial: stored.snapshot.serial,
        },
    };
    let opened = format::open(bytes, file, &[], &Expected::default(), seal).ok();
    opened
        .map(|(stored, _)| whole(stored))
        .into_iter()
        .collect()
}

/// Every frame whose checksum is right, wherever it stands; records that follow each other are one part.
fn of_journal(bytes: &[u8], seal: &Seal) -> Vec<Readable> {
    let mut out: Vec<Readable> = Vec::new();
    let mut head: Option<Digest> = None;
    let any = Expected::default();
    let mut at = 0;
    while let Some(begin) = frame::resume(bytes, at) {
        let Next::Frame { payload, end } = frame::next(bytes, begin) else {
            break;
        };
        at = end;
        let part = |holds| Readable {
            offset: begin as u64,
            end: end as u64,
            holds,
        };
        let Ok(read) = record::open::<Batch>(payload, Kind::Batch, &any, seal) else {
            head = None;
            if record::open::<Header>(payload, Kind::Journal, &any, seal).is_ok() {
                out.push(part(Holds::Header));
            }
            continue;
        };
        let batch = read.record;
        let follows = head == Some(batch.prev);
        head = Some(read.digest);
        let seq = batch.seq;
        let of_batch: BTreeSet<Address> = batch.entries.iter().filter_map(about).collect();
        match out.last_mut() {
            Some(Readable {
                end: before,
                holds: Holds::Records { last, about, .. },
                ..
            }) if follows && *before == begin as u64 => {
                *before = end as u64;
                *last = seq;
                about.extend(of_batch);
            }
            _ => out.push(part(Holds::Records {
                first: seq,
                last: seq,
                about: of_batch,
            })),
        }
    }
    out
}

/// The resource that an entry changes.
fn about(entry: &Entry) -> Option<Address> {
    match entry {
        Entry::Intent { record, .. } | Entry::Import { record } => Some(record.address.clone()),
        Entry::Outcome {
            result: OpResult::Created { record } | OpResult::Done { record },
            ..
        } => Some(record.address.clone()),
        Entry::Outcome { address, .. } | Entry::Forget { address, .. } => Some(address.clone()),
        Entry::Move { to, .. } => Some(to.clone()),
        Entry::Acquire { .. }
        | Entry::Release { .. }
        | Entry::Run(_)
        | Entry::Break { .. }
        | Entry::Identity { .. }
        | Entry::Note { .. } => None,
    }
}
