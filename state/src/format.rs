//! The snapshot file: sorted, indented JSON that people can read and review.
//!
//! `sha256` is the digest of the canonical form of everything else in the file, so re-indenting and
//! another order of keys are no damage, and any change of what it says is. A newer version is refused,
//! an unknown field at our version is an error: what is not understood must not be lost by writing the
//! file back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;
use zonewright_engine::address::{Address, InstanceId, ZoneName};
use zonewright_engine::canon::{self, Digest};
use zonewright_engine::snapshot::{Identity, LastRun, OpenIntent, Record, Snapshot};

use crate::error::StateError;
use crate::seal::{Binding, Expected, Kind, Seal};
use crate::unique;

/// The name of the format.
pub const FORMAT: &str = "zonewright.state";

/// The latest version that is read. A snapshot says the lowest that has all that is in it; the third is that of
/// envelopes ([`crate::seal`]).
pub const VERSION: u64 = crate::seal::VERSION;

/// The version of a snapshot: some facts of records came with the second.
fn version_of(snapshot: &Snapshot) -> u64 {
    let open = snapshot.open.values().map(|open| &open.record);
    let mut records = snapshot.records().chain(open);
    match records.any(Record::is_of_second_form) {
        true => 2,
        false => 1,
    }
}

/// A snapshot and its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The state.
    pub snapshot: Snapshot,
    /// The last batch that is in it.
    pub base_seq: u64,
    /// The digest of that batch.
    pub head: Digest,
    /// The last writer's number.
    pub epoch: u64,
}

type Records = BTreeMap<Address, Box<Record>>;

/// Reads records that share their addresses with the keys that they are under.
fn records<'a, 'de, D: Deserializer<'de>>(d: D) -> Result<Cow<'a, Records>, D::Error> {
    d.deserialize_map(Shared).map(Cow::Owned)
}

struct Shared;

impl<'de> Visitor<'de> for Shared {
    type Value = Records;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records by address")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Records, A::Error> {
        let mut out = Records::new();
        while let Some((address, mut record)) = entries.next_entry::<Address, Box<Record>>()? {
            if record.address == address {
                record.address = address.clone();
            }
            out.insert(address, record);
        }
        Ok(out)
    }
}

/// What tells whether the rest can be read.
#[derive(Default, Deserialize)]
struct Header {
    format: String,
    #[serde(default)]
    version: Json,
}

// In the order of their names, as they are written: what is large is not moved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileV1<'a> {
    base_seq: u64,
    epoch: u64,
    format: Cow<'a, str>,
    head: Digest,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    identities: Cow<'a, BTreeMap<InstanceId, Identity>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRun>,
    lineage: Cow<'a, str>,
    open: Cow<'a, BTreeMap<Address, OpenIntent>>,
    #[serde(deserialize_with = "records")]
    records: Cow<'a, Records>,
    serial: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    shard: ZoneName,
    version: u64,
    world: Cow<'a, str>,
}

/// The text of a snapshot file.
pub fn encode(stored: &Stored) -> String {
    let Stored { snapshot, .. } = stored;
    let file = FileV1 {
        base_seq: stored.base_seq,
        epoch: stored.epoch,
        format: Cow::Borrowed(FORMAT),
        head: stored.head,
        identities: Cow::Borrowed(&snapshot.identities),
        last_run: snapshot.last_run.clone(),
        lineage: Cow::Borrowed(&snapshot.lineage),
        open: Cow::Borrowed(&snapshot.open),
        records: Cow::Borrowed(&snapshot.records),
        serial: snapshot.serial,
        sha256: None,
        shard: snapshot.shard.clone(),
        version: version_of(snapshot),
        world: Cow::Borrowed(&snapshot.world),
    };
    let mut text = canon::pretty(&file);
    let digest = canon::digest_of_text(text.as_bytes(), "sha256");
    let next = text.rfind("\n  \"shard\": ");
    let next =
        next.expect("invariant: what is written names its shard, and texts have no line ends");
    text.insert_str(next + 1, &format!("  \"sha256\": \"{digest}\",\n"));
    text
}

/// The bytes of a snapshot file, sealed if that is what the keys are for.
pub fn seal(stored: &Stored, seal: &Seal) -> Vec<u8> {
    seal.seal(&binding(stored), encode(stored).as_bytes())
}

fn binding(stored: &Stored) -> Binding {
    Binding {
        kind: Kind::Snapshot,
        lineage: stored.snapshot.lineage.clone(),
        shard: Some(stored.snapshot.shard.clone()),
        seq: stored.base_seq,
        serial: stored.snapshot.serial,
    }
}

/// Reads a snapshot file, sealed or not, and tells which; `file` and `history` are for messages.
///
/// # Errors
/// It cannot be opened, it is damaged or newer, or it says that it is something else.
pub fn open(
    bytes: &[u8],
    file: &Path,
    history: &[PathBuf],
    expected: &Expected<'_>,
    seal: &Seal,
) -> Result<(Stored, bool), StateError> {
    let failed = |e| StateError::sealed(file, 0, history, e);
    let opened = seal.open(Kind::Snapshot, expected, bytes).map_err(failed)?;
    let stored = decode(&opened.body, file, history)?;
    opened.is(&binding(&stored)).map_err(failed)?;
    Ok((stored, opened.is_sealed()))
}

/// Reads a snapshot in the clear; `file` and `history` are for messages.
///
/// # Errors
/// It is damaged or newer.
pub fn decode(bytes: &[u8], file: &Path, history: &[PathBuf]) -> Result<Stored, StateError> {
    let damaged = |offset: usize, what: String| StateError::Damaged {
        file: file.to_owned(),
        offset: offset as u64,
        what,
        history: history.to_vec(),
    };
    if unique::check(bytes).is_err() {
        return Err(illegible(bytes, file, damaged));
    }
    let Ok(mut v1) = serde_json::from_slice::<FileV1<'_>>(bytes) else {
        return Err(illegible(bytes, file, damaged));
    };
    if v1.format != FORMAT || !(1..=VERSION).contains(&v1.version) {
        return Err(illegible(bytes, file, damaged));
    }
    let recorded = v1.sha256.take();
    if recorded != Some(canon::digest_of_text(bytes, "sha256")) && recorded != rearranged(bytes) {
        let what = "its contents do not match its `sha256`";
        return Err(damaged(0, what.to_owned()));
    }
    stored(v1).map_err(|what| damaged(0, what))
}

/// The digest of a file whose keys somebody's tool brought into another order.
fn rearranged(bytes: &[u8]) -> Option<Digest> {
    let mut json: Json = serde_json::from_slice(bytes).ok()?;
    json.as_object_mut()?.remove("sha256");
    Some(canon::digest(&json))
}

/// Why a file is no snapshot of a version that is known.
fn illegible(
    bytes: &[u8],
    file: &Path,
    damaged: impl Fn(usize, String) -> StateError,
) -> StateError {
    if let Err(e) = unique::check(bytes) {
        let offset = offset_of(bytes, e.line(), e.column());
        let what = match e.is_data() {
            true => "a key is there twice",
            false => "it is not JSON",
        };
        return damaged(offset, format!("{what} (line {})", e.line()));
    }
    let header: Header = serde_json::from_slice(bytes).unwrap_or_default();
    match (header.format == FORMAT, header.version.as_u64()) {
        (false, _) => damaged(0, format!("its format is not `{FORMAT}`")),
        (true, Some(found)) if found > VERSION => StateError::Newer {
            file: file.to_owned(),
            found,
            supported: VERSION,
        },
        (true, Some(1..=VERSION)) => damaged(
            0,
            // The message of the parser may name a value of the user's.
            "a field is unknown, missing or of the wrong type".to_owned(),
        ),
        (true, _) => damaged(0, "it has no version that exists".to_owned()),
    }
}

fn stored(v1: FileV1<'_>) -> Result<Stored, String> {
    let recorded = v1
        .records
        .iter()
        .map(|(key, record)| (key, record.as_ref()));
    let open = v1.open.iter().map(|(key, open)| (key, &open.record));
    for (key, record) in recorded.chain(open) {
        if *key != record.address || key.zone != v1.shard {
            return Err(format!(
                "{key} holds the record of another address or shard"
            ));
        }
    }
    if let Some(other) = v1.identities.keys().find(|i| i.zone != v1.shard) {
        return Err(format!("{other} belongs to another shard"));
    }
    Ok(Stored {
        snapshot: Snapshot {
            lineage: v1.lineage.into_owned(),
            shard: v1.shard,
            world: v1.world.into_owned(),
            serial: v1.serial,
            records: v1.records.into_owned(),
            open: v1.open.into_owned(),
            last_run: v1.last_run,
            identities: v1.identities.into_owned(),
        },
        base_seq: v1.base_seq,
        head: v1.head,
        epoch: v1.epoch,
    })
}

fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before = bytes
        .split_inclusive(|b| *b == b'\n')
        .take(line.saturating_sub(1));
    let start: usize = before.map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}
