//! Earlier snapshots of a shard: `<shard>.history/<serial>.json`, the last fifty.

use std::path::PathBuf;

use zonewright_engine::address::ZoneName;
use zonewright_engine::snapshot::LastRun;

use crate::error::StateError;
use crate::format::{self, Stored};
use crate::seal::{Expected, Seal};
use crate::vfs::{self, Vfs};

/// How many snapshots are kept.
pub const KEEP: usize = 50;

/// One earlier snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its serial.
    pub serial: u64,
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub len: u64,
    /// When it was written, in seconds since 1970; informative.
    pub modified: Option<i64>,
    /// The run that it came from, as far as it says so.
    pub run: Option<LastRun>,
}

/// The directory of a shard's history.
pub(crate) fn dir(shard: &ZoneName) -> String {
    format!("{shard}.history")
}

/// The key of one snapshot.
pub(crate) fn key(shard: &ZoneName, serial: u64) -> String {
    format!("{}/{serial}.json", dir(shard))
}

/// The earlier snapshots of a shard, newest first.
pub(crate) fn list(vfs: &dyn Vfs, shard: &ZoneName) -> Result<Vec<Item>, StateError> {
    let dir = dir(shard);
    let found = vfs
        .list(&dir)
        .map_err(|e| StateError::io(vfs.locate(&dir), "list", e))?;
    let mut items: Vec<Item> = found
        .into_iter()
        .filter_map(|item| {
            let serial = item.name.strip_suffix(".json")?.parse().ok()?;
            Some(Item {
                serial,
                file: vfs.locate(&format!("{dir}/{}", item.name)),
                len: item.len,
                modified: item.modified,
                run: None,
            })
        })
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.serial));
    Ok(items)
}

/// The same, with the runs that they came from. What cannot be read tells none.
pub(crate) fn told(vfs: &dyn Vfs, shard: &ZoneName, seal: &Seal) -> Result<Vec<Item>, StateError> {
    let mut items = list(vfs, shard)?;
    for item in &mut items {
        let stored = read(vfs, shard, item.serial, seal).ok().flatten();
        item.run = stored.and_then(|(stored, _)| stored.snapshot.last_run);
    }
    Ok(items)
}

/// An earlier snapshot, if there is one of that serial, and whether it is sealed.
pub(crate) fn read(
    vfs: &dyn Vfs,
    shard: &ZoneName,
    serial: u64,
    seal: &Seal,
) -> Result<Option<(Stored, bool)>, StateError> {
    let path = key(shard, serial);
    let file = vfs.locate(&path);
    let bytes = vfs::read(vfs, &path).map_err(|e| StateError::io(&file, "read", e))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let expected = Expected {
        shard: Some(shard),
        serial: Some(serial),
        ..Expected::default()
    };
    let (stored, sealed) = format::open(&bytes, &file, &[], &expected, seal)?;
    if stored.snapshot.shard != *shard || stored.snapshot.serial != serial {
        return Err(StateError::Damaged {
            file,
            offset: 0,
            what: "it is the snapshot of another shard or serial".to_owned(),
            history: Vec::new(),
        });
    }
    Ok(Some((stored, sealed)))
}

/// Removes all but the newest. That some cannot be removed is no reason to stop.
pub(crate) fn prune(vfs: &dyn Vfs, shard: &ZoneName, keep: usize) {
    let Ok(items) = list(vfs, shard) else { return };
    for item in items.iter().skip(keep) {
        if let Err(error) = vfs.unlink(&key(shard, item.serial)) {
            tracing::warn!(%shard, serial = item.serial, %error, "an old snapshot cannot be removed");
        }
    }
}
