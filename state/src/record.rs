//! The records of a log: numbered batches of entries, each naming the digest of the one before.
//!
//! The chain begins at [`genesis`], so a batch cannot be moved to another shard or lineage. The
//! same batches are what a remote store keeps as immutable numbered objects.

use serde::{Deserialize, Serialize};
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::{self, Digest};
use zonewright_engine::journal::{Entry, OpResult};

use crate::seal::{Binding, Expected, Kind, Seal, SealError};

/// The latest version of batches that is read. A batch says the lowest version that has all that is
/// in it, so that an older program reads on until it meets something it does not know. The third is that of
/// envelopes ([`crate::seal`]).
pub const VERSION: u64 = crate::seal::VERSION;

/// The version of journal headers.
pub const HEADER_VERSION: u64 = 1;

/// The name of the journal format.
pub const JOURNAL_FORMAT: &str = "zonewright.journal";

/// One batch: what is made durable together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The version of this form.
    pub v: u64,
    /// The project.
    pub lineage: String,
    /// The shard.
    pub shard: ZoneName,
    /// Its number; the first is 1.
    pub seq: u64,
    /// The writer's number.
    pub epoch: u64,
    /// The writer's nonce, 32 hex digits.
    pub writer: String,
    /// The digest of the bytes of batch `seq - 1`; of a sealed one, those inside its envelope.
    pub prev: Digest,
    /// What happened.
    pub entries: Vec<Entry>,
}

/// The first frame of a journal file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`JOURNAL_FORMAT`].
    pub format: String,
    /// The version of the file.
    pub version: u64,
    /// The project.
    pub lineage: String,
    /// The shard.
    pub shard: ZoneName,
    /// The world.
    pub world: String,
    /// The number of the batch before the first of this file.
    pub base_seq: u64,
    /// The digest of that batch.
    pub prev: Digest,
}

/// The version that a batch of these entries says: moves, broken locks and some facts of records came with
/// the second.
pub fn version_of(entries: &[Entry]) -> u64 {
    let second = |entry: &Entry| match entry {
        Entry::Move { .. } | Entry::Break { .. } => true,
        Entry::Intent { record, .. } | Entry::Import { record } => record.is_of_second_form(),
        Entry::Outcome { result, .. } => match result {
            OpResult::Created { record } | OpResult::Done { record } => record.is_of_second_form(),
            OpResult::Deleting
            | OpResult::Deleted
            | OpResult::Absent
            | OpResult::Failed { .. }
            | OpResult::InDoubt { .. } => false,
        },
        Entry::Acquire { .. }
        | Entry::Release { .. }
        | Entry::Run(_)
        | Entry::Forget { .. }
        | Entry::Identity { .. }
        | Entry::Note { .. } => false,
    };
    match entries.iter().any(second) {
        true => 2,
        false => 1,
    }
}

/// The digest that the first batch of a shard names as the one before.
pub fn genesis(lineage: &str, shard: &ZoneName) -> Digest {
    canon::digest(&("zonewright.log", lineage, shard))
}

/// Only the version of a form, whatever else is in it.
#[derive(Deserialize)]
struct Versioned {
    #[serde(alias = "version")]
    v: u64,
}

/// Why bytes are no batch or header.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A later version wrote it.
    #[error("it has version {0}")]
    Newer(u64),
    /// It is not of this form.
    #[error("it is not of the form of versions 1 to {VERSION}")]
    Form(#[source] serde_json::Error),
    /// It cannot be opened.
    #[error("it {0}")]
    Sealed(#[source] SealError),
}

/// A record as read from a log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recorded<T> {
    /// What it says.
    pub(crate) record: T,
    /// The digest that the next one names.
    pub(crate) digest: Digest,
    /// Whether it was sealed.
    pub(crate) sealed: bool,
}

/// What stands in an envelope, and where.
pub(crate) trait Bound {
    /// What the envelope must belong to.
    fn binding(&self, kind: Kind) -> Binding;
}

impl Bound for Batch {
    fn binding(&self, kind: Kind) -> Binding {
        Binding {
            kind,
            lineage: self.lineage.clone(),
            shard: Some(self.shard.clone()),
            seq: self.seq,
            serial: 0,
        }
    }
}

impl Bound for Header {
    fn binding(&self, kind: Kind) -> Binding {
        Binding {
            kind,
            lineage: self.lineage.clone(),
            shard: Some(self.shard.clone()),
            seq: self.base_seq,
            serial: 0,
        }
    }
}

/// The payload of a frame, sealed if that is what the keys are for, and the digest that the next one names.
pub(crate) fn encode<T: Bound + Serialize>(
    record: &T,
    kind: Kind,
    seal: &Seal,
) -> (Vec<u8>, Digest) {
    seal.seal_chained(&record.binding(kind), canon::bytes(record))
}

/// Reads the payload of a frame, sealed or not.
///
/// # Errors
/// It cannot be opened, it is newer or malformed, or it says that it is something else.
pub(crate) fn open<T: Bound + serde::de::DeserializeOwned>(
    payload: &[u8],
    kind: Kind,
    expected: &Expected<'_>,
    seal: &Seal,
) -> Result<Recorded<T>, DecodeError> {
    let opened = seal
        .open(kind, expected, payload)
        .map_err(DecodeError::Sealed)?;
    let record: T = decode(&opened.body)?;
    opened
        .is(&record.binding(kind))
        .map_err(DecodeError::Sealed)?;
    Ok(Recorded {
        record,
        digest: opened.digest(),
        sealed: opened.is_sealed(),
    })
}

/// Reads a batch or a header.
///
/// # Errors
/// It is newer or malformed.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Versioned { v } = serde_json::from_slice(bytes).map_err(DecodeError::Form)?;
    if v > VERSION {
        return Err(DecodeError::Newer(v));
    }
    if v == 0 {
        use serde::de::Error as _;
        let none = serde_json::Error::custom("versions begin at 1");
        return Err(DecodeError::Form(none));
    }
    serde_json::from_slice(bytes).map_err(DecodeError::Form)
}
