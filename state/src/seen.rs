//! The high-water mark: the newest state that this host has seen, in a file outside the state.
//!
//! It is raised only by writers, after what it names is durable, so a crash never makes it run ahead
//! of the state. It turns a restored backup, a deleted directory and a cut log into errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::{self, Digest};
use zonewright_engine::failpoint;

use crate::error::{Notice, StateError};
use crate::vfs::real::{RealVfs, split};
use crate::vfs::{self, Open, Vfs};

/// The name of the format.
pub const FORMAT: &str = "zonewright.seen";

const WAIT: Duration = Duration::from_secs(5);

/// Where a shard was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its serial.
    pub serial: u64,
    /// Its last batch.
    pub seq: u64,
    /// The digest of that batch.
    pub head: Digest,
}

/// Compares where a shard is with where it was seen.
pub(crate) fn check_mark(
    shard: &ZoneName,
    file: &Path,
    seen: Mark,
    now: Mark,
    accept_rollback: bool,
) -> Result<Option<Notice>, StateError> {
    let behind = now.seq < seen.seq || now.serial < seen.serial;
    let forked = now.seq == seen.seq && now.head != seen.head;
    if !behind && !forked || failpoint::without("rollback-seen") {
        return Ok(None);
    }
    if accept_rollback {
        return Ok(Some(Notice::RollbackAccepted {
            shard: shard.clone(),
            seen_serial: seen.serial,
            serial: now.serial,
        }));
    }
    Err(StateError::RolledBack {
        shard: shard.clone(),
        file: file.to_owned(),
        serial: now.serial,
        seq: now.seq,
        seen_serial: seen.serial,
        seen_seq: seen.seq,
    })
}

/// What this host has seen of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the file.
    pub version: u64,
    /// The project.
    pub lineage: String,
    /// By shard.
    pub shards: BTreeMap<ZoneName, Mark>,
}

/// The file of the marks.
#[derive(Debug, Clone)]
pub struct SeenFile(PathBuf);

impl SeenFile {
    /// Names the file; it need not exist.
    pub fn new(path: impl Into<PathBuf>) -> SeenFile {
        SeenFile(path.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What was seen; `None` when there is no file.
    ///
    /// # Errors
    /// The file is damaged, newer or cannot be read.
    pub fn read(&self) -> Result<Option<Seen>, StateError> {
        let io = |e| StateError::io(&self.0, "read", e);
        let (dir, name) = split(&self.0).map_err(io)?;
        match RealVfs::open(dir, true).map_err(io)? {
            Some(vfs) => self.read_in(&vfs, name),
            None => Ok(None),
        }
    }

    fn read_in(&self, vfs: &dyn Vfs, name: &str) -> Result<Option<Seen>, StateError> {
        let bytes = vfs::read(vfs, name).map_err(|e| StateError::io(&self.0, "read", e))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let damaged = || StateError::Damaged {
            file: self.0.clone(),
            offset: 0,
            what:
                "it does not hold high-water marks; compare the state with a backup, then remove it"
                    .to_owned(),
            history: Vec::new(),
        };
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        match json.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > 1 => {
                return Err(StateError::Newer {
                    file: self.0.clone(),
                    found,
                    supported: 1,
                });
            }
            _ => {}
        }
        let seen: Seen = serde_json::from_value(json).map_err(|_| damaged())?;
        if seen.format != FORMAT || seen.version != 1 {
            return Err(damaged());
        }
        Ok(Some(seen))
    }

    /// Sets the marks of shards; the caller holds their locks.
    ///
    /// # Errors
    /// The file cannot be written, or another process keeps its lock.
    pub fn set(
        &self,
        lineage: &str,
        marks: impl IntoIterator<Item = (ZoneName, Mark)>,
        nonce: &str,
    ) -> Result<(), StateError> {
        let io = |e| StateError::io(&self.0, "write", e);
        let (dir, name) = split(&self.0).map_err(io)?;
        let vfs = RealVfs::create(dir, true).map_err(io)?;
        // Writers of other shards have this file in common.
        let mut lock = vfs.open(&format!("{name}.lock"), Open::Any).map_err(io)?;
        let deadline = Instant::now() + WAIT;
        while !lock.try_lock().map_err(io)? {
            if Instant::now() >= deadline {
                return Err(io(std::io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut seen = self.read_in(&vfs, name)?.unwrap_or_else(|| Seen {
            format: FORMAT.to_owned(),
            version: 1,
            lineage: lineage.to_owned(),
            shards: BTreeMap::new(),
        });
        seen.shards.extend(marks);
        let tmp = format!(".{name}.tmp.{nonce}");
        // The name is free: nonces do not repeat, except within this writer, after a failure.
        match vfs.unlink(&tmp) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        vfs::replace(&vfs, &tmp, name, canon::pretty(&seen).as_bytes()).map_err(io)
    }
}
