//! The snapshot file: sorted, indented JSON that people can read and review.
//!
//! `sha256` is the digest of the canonical form of everything else in the file, so re-indenting is
//! no damage and any other change is. A newer version is refused, an unknown field at our version
//! is an error: what is not understood must not be lost by writing the file back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
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
    let mut records = snapshot.records.values().chain(open);
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileV1 {
    format: String,
    version: u64,
    lineage: String,
    shard: ZoneName,
    world: String,
    serial: u64,
    base_seq: u64,
    head: Digest,
    epoch: u64,
    records: BTreeMap<Address, Record>,
    open: BTreeMap<Address, OpenIntent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRun>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    identities: BTreeMap<InstanceId, Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
}

/// The text of a snapshot file.
pub fn encode(stored: &Stored) -> String {
    let Stored { snapshot, .. } = stored;
    let mut file = FileV1 {
        format: FORMAT.to_owned(),
        version: version_of(snapshot),
        lineage: snapshot.lineage.clone(),
        shard: snapshot.shard.clone(),
        world: snapshot.world.clone(),
        serial: snapshot.serial,
        base_seq: stored.base_seq,
        head: stored.head,
        epoch: stored.epoch,
        records: snapshot.records.clone(),
        open: snapshot.open.clone(),
        last_run: snapshot.last_run.clone(),
        identities: snapshot.identities.clone(),
        sha256: None,
    };
    file.sha256 = Some(canon::digest(&file));
    canon::pretty(&file)
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
    let mut json = unique::parse(bytes).map_err(|e| {
        let offset = offset_of(bytes, e.line(), e.column());
        let what = match e.is_data() {
            true => "a key is there twice",
            false => "it is not JSON",
        };
        damaged(offset, format!("{what} (line {})", e.line()))
    })?;
    if json.get("format").and_then(Json::as_str) != Some(FORMAT) {
        return Err(damaged(0, format!("its format is not `{FORMAT}`")));
    }
    let version = json.get("version").and_then(Json::as_u64);
    match version {
        Some(1..=VERSION) => {}
        Some(found) if found > VERSION => {
            return Err(StateError::Newer {
                file: file.to_owned(),
                found,
                supported: VERSION,
            });
        }
        _ => return Err(damaged(0, "it has no version that exists".to_owned())),
    }
    let recorded = json.as_object_mut().and_then(|map| map.remove("sha256"));
    let actual = canon::digest(&json);
    if recorded.as_ref().and_then(Json::as_str) != Some(&actual.to_string()) {
        return Err(damaged(
            0,
            "its contents do not match its `sha256`".to_owned(),
        ));
    }
    let form = |what: String| damaged(0, what);
    let v1: FileV1 = serde_json::from_value(json)
        // The message names a field or a type of our format, not a value of the user's.
        .map_err(|_| form("a field is unknown, missing or of the wrong type".to_owned()))?;
    stored(v1).map_err(form)
}

fn stored(v1: FileV1) -> Result<Stored, String> {
    let recorded = v1.records.iter();
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
            lineage: v1.lineage,
            shard: v1.shard,
            world: v1.world,
            serial: v1.serial,
            records: v1.records,
            open: v1.open,
            last_run: v1.last_run,
            identities: v1.identities,
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
