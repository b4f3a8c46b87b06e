//! A state that was in a store, or in other files, becomes files here.

use std::sync::Arc;
use std::time::Instant;

use zonewright_engine::journal::Holder;

use crate::dir::{Copied, OneNonce, StateDir};
use crate::error::StateError;
use crate::format::{self, Stored};
use crate::history;
use crate::journal::{self, Owner};
use crate::lock;
use crate::meta::{self, Meta};
use crate::remote::migrate::Moved;
use crate::shard::{self, journal_path, log, state_path};
use crate::store::file::FileStore;
use crate::vfs::{self, Vfs};

impl StateDir {
    /// Writes a state that is kept elsewhere into this directory, which must hold none. Without `write` it
    /// only counts.
    ///
    /// # Errors
    /// There is a state here already, the disk fails, or what was written does not read back.
    pub(crate) fn take_over(
        &self,
        copied: &Copied,
        holder: &Holder,
        write: bool,
    ) -> Result<Moved, StateError> {
        let mut moved = Moved {
            objects: 1 + copied.shards.len(),
            bytes: copied.meta.encode().len(),
            shards: Vec::new(),
        };
        for stored in &copied.shards {
            let shard = stored.snapshot.shard.clone();
            moved.bytes += format::encode(stored).len();
            moved.shards.push((shard, stored.snapshot.serial));
        }
        if let Some(vfs) = self.vfs()? {
            self.refuse_other(vfs.as_ref(), copied)?;
        }
        if !write {
            return Ok(moved);
        }
        let vfs = self.vfs_or_create()?;
        let mut held = Vec::new();
        let deadline = Instant::now() + self.options.grace;
        for stored in &copied.shards {
            let shard = &stored.snapshot.shard;
            held.push(lock::take(vfs.as_ref(), shard, holder, deadline)?);
        }
        self.refuse_other(vfs.as_ref(), copied)?;
        for stored in &copied.shards {
            self.begin_with(vfs.as_ref(), &copied.meta, stored)?;
        }
        // The lineage last: a copy that was cut off is no state yet.
        let store = FileStore::new(Arc::clone(&vfs), Box::new(OneNonce(self.nonce())));
        store
            .put_new_now(meta::KEY, copied.meta.encode().as_bytes())
            .map_err(|e| {
                StateError::io(vfs.locate(meta::KEY), "create", std::io::Error::other(e))
            })?;
        let seal = &self.options.seal;
        for stored in &copied.shards {
            let found = shard::read(vfs.as_ref(), &copied.meta, &stored.snapshot.shard, seal)?;
            let same = found.snapshot == stored.snapshot
                && (found.seq, found.head, found.epoch)
                    == (stored.base_seq, stored.head, stored.epoch);
            if !same {
                return Err(self.unfit("used: what was copied does not read back as it was"));
            }
        }
        Ok(moved)
    }

    fn unfit(&self, what: &str) -> StateError {
        StateError::Unsupported {
            place: self.path().display().to_string(),
            what: what.to_owned(),
        }
    }

    /// Without a lineage nobody has written here; what a copy of this very state left that was cut off is
    /// replaced. Files of another one whose lineage was lost are not.
    fn refuse_other(&self, vfs: &dyn Vfs, copied: &Copied) -> Result<(), StateError> {
        for stored in &copied.shards {
            let path = journal_path(&stored.snapshot.shard);
            let there =
                vfs::read(vfs, &path).map_err(|e| StateError::io(vfs.locate(&path), "read", e))?;
            if let Some(bytes) = there {
                let owner = Owner {
                    lineage: &copied.meta.lineage,
                    world: &copied.meta.world,
                    shard: &stored.snapshot.shard,
                    seal: &self.options.seal,
                };
                journal::scan(&bytes, &vfs.locate(&path), &[], &owner)?;
            }
        }
        let there = vfs::read(vfs, meta::KEY)
            .map_err(|e| StateError::io(vfs.locate(meta::KEY), "read", e))?;
        match there {
            None => Ok(()),
            Some(_) => Err(self.unfit(
                "written over: it holds a state already; move that directory away or choose another",
            )),
        }
    }

    /// The files of a shard that goes on from a snapshot: the journal, then the snapshot.
    fn begin_with(&self, vfs: &dyn Vfs, meta: &Meta, stored: &Stored) -> Result<(), StateError> {
        let shard = &stored.snapshot.shard;
        let path = journal_path(shard);
        let owner = Owner {
            lineage: &meta.lineage,
            world: &meta.world,
            shard,
            seal: &self.options.seal,
        };
        let nonce = self.nonce();
        let bytes = journal::start(&owner, stored.base_seq, stored.head);
        let tmp = format!(".{shard}.journal.tmp.{nonce}");
        vfs.make_dir(&history::dir(shard))
            .and_then(|()| vfs::replace(vfs, &tmp, &path, &bytes))
            .map_err(|e| StateError::io(vfs.locate(&path), "create", e))?;
        match vfs.unlink(&state_path(shard)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::io(vfs.locate(&state_path(shard)), "replace", e));
            }
            _ => {}
        }
        log::write_snapshot(vfs, stored, &nonce, None, &self.options.seal)
    }
}
