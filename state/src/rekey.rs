//! Seals a shard anew: for other recipients, for the first time, or not any more.
//!
//! A new snapshot is made, so that all that is read from then on is sealed as it should be. The earlier
//! snapshots of files are replaced by the same ones sealed anew. Objects of a store are never replaced: what
//! is older there stays as it is until it is swept.

use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Entry, Holder};

use crate::dir::StateDir;
use crate::error::StateError;
use crate::format;
use crate::history;
use crate::home::StateHome;
use crate::seal::sealed_for;
use crate::vfs;

impl StateHome {
    /// Makes a new snapshot of a shard, sealed as the keys say, and says so in its log. Blocks up to `timeout`.
    ///
    /// # Errors
    /// The shard is not whole or cannot be opened, another writer holds it, or it cannot be written.
    pub fn rekey(
        &self,
        shard: &ZoneName,
        holder: &Holder,
        timeout: Duration,
    ) -> Result<(), StateError> {
        let writer = self.acquire(std::slice::from_ref(shard), holder, timeout)?;
        let text = match self.seal().recipients().as_slice() {
            [] => "state rekey: in the clear from here on".to_owned(),
            recipients => format!("state rekey: sealed for {}", recipients.join(", ")),
        };
        // The history of files begins with the snapshot: what is said after it is told.
        let done = writer
            .checkpoint()
            .and_then(|()| writer.append_now(shard, vec![Entry::Note { text }]))
            .and_then(|()| match self {
                StateHome::Dir(dir) => dir.reseal_history(shard),
                StateHome::Remote(_) => Ok(()),
            });
        let released = writer.release();
        done.and(released)
    }
}

impl StateDir {
    /// The earlier snapshots, sealed anew where they are sealed otherwise. The lock is held.
    fn reseal_history(&self, shard: &ZoneName) -> Result<(), StateError> {
        let vfs = self.vfs_or_create()?;
        let (seal, nonce) = (&self.options.seal, self.nonce());
        let wanted = seal.recipients();
        for item in history::list(vfs.as_ref(), shard)? {
            let path = history::key(shard, item.serial);
            let io = |doing| {
                let file = item.file.clone();
                move |e| StateError::io(&file, doing, e)
            };
            let bytes = vfs::read(vfs.as_ref(), &path).map_err(io("read"))?;
            if bytes.is_none_or(|b| sealed_for(&b).unwrap_or_default() == wanted) {
                continue;
            }
            let read = history::read(vfs.as_ref(), shard, item.serial, &seal.lenient())?;
            let Some((stored, _)) = read else { continue };
            let tmp = format!(".{shard}.state.tmp.{nonce}");
            vfs::replace(vfs.as_ref(), &tmp, &path, &format::seal(&stored, seal))
                .map_err(io("seal"))?;
        }
        Ok(())
    }
}
