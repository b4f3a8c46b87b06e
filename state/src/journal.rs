//! Reads a journal file: its header, then every batch with the chain checked.

use std::path::{Path, PathBuf};

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;
use zonewright_engine::failpoint;

use crate::error::StateError;
use crate::frame::{self, Next};
use crate::record::{self, Batch, DecodeError, Header, Recorded};
use crate::seal::{Expected, Kind, Seal};

/// A batch and where it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The batch.
    pub batch: Batch,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Where its frame begins.
    pub offset: u64,
    /// Whether it was sealed.
    pub sealed: bool,
}

/// What a journal file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Its header.
    pub header: Header,
    /// Its batches in order, without a gap.
    pub batches: Vec<Placed>,
    /// Where the last whole record ends.
    pub valid: u64,
    /// How many bytes of an unfinished append follow.
    pub torn: u64,
}

impl Scan {
    /// The number of the last batch.
    pub fn last_seq(&self) -> u64 {
        self.header.base_seq + self.batches.len() as u64
    }

    /// The digest of the last batch.
    pub fn head(&self) -> Digest {
        self.batches
            .last()
            .map_or(self.header.prev, |last| last.digest)
    }
}

/// Who the file must belong to.
pub(crate) struct Owner<'a> {
    pub(crate) lineage: &'a str,
    pub(crate) world: &'a str,
    pub(crate) shard: &'a ZoneName,
    pub(crate) seal: &'a Seal,
}

impl<'a> Owner<'a> {
    /// What an object of this shard must be.
    pub(crate) fn expected(&self, seq: Option<u64>) -> Expected<'a> {
        Expected {
            lineage: Some(self.lineage),
            shard: Some(self.shard),
            seq,
            serial: None,
        }
    }
}

/// The bytes of a new journal.
pub(crate) fn start(owner: &Owner<'_>, base_seq: u64, prev: Digest) -> Vec<u8> {
    let header = Header {
        format: record::JOURNAL_FORMAT.to_owned(),
        version: record::HEADER_VERSION,
        lineage: owner.lineage.to_owned(),
        shard: owner.shard.clone(),
        world: owner.world.to_owned(),
        base_seq,
        prev,
    };
    frame::encode(&record::encode(&header, Kind::Journal, owner.seal).0)
}

/// Reads a journal.
pub(crate) fn scan(
    bytes: &[u8],
    file: &Path,
    history: &[PathBuf],
    owner: &Owner<'_>,
) -> Result<Scan, StateError> {
    let damaged = |offset: usize, what: &str| StateError::Damaged {
        file: file.to_owned(),
        offset: offset as u64,
        what: what.to_owned(),
        history: history.to_vec(),
    };
    let undecoded = |offset: usize, error: DecodeError| match error {
        DecodeError::Newer(found) => StateError::Newer {
            file: file.to_owned(),
            found,
            supported: record::VERSION,
        },
        DecodeError::Form(_) => damaged(offset, "a record is not of the form that is written"),
        DecodeError::Sealed(why) => StateError::sealed(file, offset as u64, history, why),
    };
    // The header arrives by a rename after a sync: no crash leaves half of it.
    let Next::Frame { payload, end } = frame::next(bytes, 0) else {
        return Err(damaged(0, "the header is unreadable"));
    };
    let header = record::open(payload, Kind::Journal, &owner.expected(None), owner.seal);
    let header: Header = header.map_err(|e| undecoded(0, e))?.record;
    check_header(&header, file, owner).map_err(|e| e.unwrap_or_else(|what| damaged(0, what)))?;
    let (mut seq, mut prev) = (header.base_seq, header.prev);
    let (mut at, mut batches, mut torn) = (end, Vec::new(), 0);
    loop {
        let (payload, end) = match frame::next(bytes, at) {
            Next::End => break,
            Next::Torn => {
                torn = (bytes.len() - at) as u64;
                break;
            }
            Next::Damaged(what) => return Err(damaged(at, what)),
            Next::Frame { payload, end } => (payload, end),
        };
        let Recorded {
            record: batch,
            digest,
            sealed,
        } = record::open::<Batch>(
            payload,
            Kind::Batch,
            &owner.expected(Some(seq + 1)),
            owner.seal,
        )
        .map_err(|e| undecoded(at, e))?;
        if batch.lineage != header.lineage || batch.shard != header.shard {
            return Err(damaged(at, "a record belongs to another shard or lineage"));
        }
        let follows = batch.seq == seq + 1 && batch.prev == prev;
        if !follows && !failpoint::without("chain-read") {
            return Err(damaged(at, "a record does not follow the one before it"));
        }
        seq = batch.seq;
        prev = digest;
        batches.push(Placed {
            batch,
            digest,
            offset: at as u64,
            sealed,
        });
        at = end;
    }
    Ok(Scan {
        header,
        batches,
        valid: at as u64,
        torn,
    })
}

/// Either an error of its own or words for damage at the header.
type HeaderFault = Result<StateError, &'static str>;

fn check_header(header: &Header, file: &Path, owner: &Owner<'_>) -> Result<(), HeaderFault> {
    if header.format != record::JOURNAL_FORMAT {
        return Err(Err("it is no zonewright journal"));
    }
    check_owner(&header.lineage, &header.world, file, owner).map_err(Ok)?;
    if header.shard != *owner.shard {
        return Err(Err("it is the journal of another shard"));
    }
    Ok(())
}

/// Compares the lineage and world that a file names with those of the project.
pub(crate) fn check_owner(
    lineage: &str,
    world: &str,
    file: &Path,
    owner: &Owner<'_>,
) -> Result<(), StateError> {
    if world != owner.world {
        return Err(StateError::World {
            file: file.to_owned(),
            expected: owner.world.to_owned(),
            found: world.to_owned(),
        });
    }
    if lineage != owner.lineage {
        return Err(StateError::Lineage {
            file: file.to_owned(),
            expected: owner.lineage.to_owned(),
            found: lineage.to_owned(),
        });
    }
    Ok(())
}
