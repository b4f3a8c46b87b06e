//! A snapshot in a store that is not what its name or the log says: the log has everything that is in it,
//! so that it can go. Batches are never touched.

use std::path::PathBuf;

use zonewright_engine::address::ZoneName;

use super::RemoteState;
use super::layout::{self, Named};
use crate::error::StateError;
use crate::reactor::wait;
use crate::store::Store;
use crate::vfs::real::RealVfs;
use crate::vfs::{self, Vfs};

/// A snapshot that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
    /// Where a copy of it is kept, once it was removed.
    pub kept: Option<PathBuf>,
}

impl RemoteState {
    /// Finds the damaged snapshots of a shard that can be done without, and removes them when `write`.
    ///
    /// # Errors
    /// The store does not answer, or the credentials may not remove objects.
    pub fn repair(&self, shard: &ZoneName, write: bool) -> Result<Vec<Bad>, StateError> {
        let seen = self.seen()?;
        let mut bad = wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let reader = self.reader(&meta, shard);
            let (mut bad, mut whole) = (Vec::new(), Vec::new());
            for key in self.snapshot_keys(shard).await? {
                match reader.snapshot(&key).await {
                    Ok(stored) => whole.push(stored.base_seq),
                    Err(why @ StateError::Damaged { .. }) => bad.push((key, why.to_string())),
                    Err(other) => return Err(other),
                }
            }
            let keys = self.store.list(&layout::logs(shard), None).await;
            let keys = keys.map_err(|e| self.failed(e))?;
            let batches: Vec<u64> = keys
                .iter()
                .filter_map(|key| match layout::parse(key) {
                    Named::Log { seq, .. } => Some(seq),
                    _ => None,
                })
                .collect();
            // The log from its first batch on, or from another snapshot that it follows, without a gap.
            let first = batches.first().copied().unwrap_or(u64::MAX);
            let begins = first == 1 || whole.iter().any(|seq| seq.saturating_add(1) >= first);
            let unbroken = batches
                .windows(2)
                .all(|w| w[0].checked_add(1) == Some(w[1]));
            bad.retain(|_| begins && unbroken);
            let found = bad.into_iter().map(|(key, why)| Bad {
                key,
                why,
                kept: None,
            });
            Ok::<Vec<Bad>, StateError>(found.collect())
        })?;
        if write {
            for one in &mut bad {
                one.kept = self.set_aside(&one.key)?;
            }
        }
        Ok(bad)
    }

    /// Keeps a copy on this host, and removes the object.
    fn set_aside(&self, key: &str) -> Result<Option<PathBuf>, StateError> {
        let bytes = wait(self.store.get(key)).map_err(|e| self.failed(e))?;
        let mut kept = None;
        if let (Some(dir), Some(bytes)) = (self.private("evidence"), bytes) {
            let io = |e| StateError::io(&dir, "write in", e);
            let vfs = RealVfs::create(&dir, false).map_err(io)?;
            let name = key.replace('/', ".");
            match vfs::write_new(&vfs, &name, &bytes) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.map_err(io)?,
            }
            vfs.sync_dir("").map_err(io)?;
            kept = Some(vfs.locate(&name));
        }
        let store: &dyn Store = self.store.as_ref();
        wait(store.gc(key)).map_err(|e| self.failed(e))?;
        Ok(kept)
    }
}
