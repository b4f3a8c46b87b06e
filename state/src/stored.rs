//! Whole snapshots of a shard: as it is, and as it was at an earlier serial.

use zonewright_engine::address::ZoneName;

use crate::dir::StateDir;
use crate::error::StateError;
use crate::format::Stored;
use crate::history;
use crate::home::StateHome;
use crate::reactor::wait;
use crate::remote::RemoteState;
use crate::shard;

impl StateHome {
    /// A shard as it is, with its place in the log.
    ///
    /// # Errors
    /// The state is not whole or cannot be reached.
    pub fn stored(&self, shard: &ZoneName) -> Result<Stored, StateError> {
        match self {
            StateHome::Dir(dir) => dir.stored(shard),
            StateHome::Remote(remote) => remote.stored(shard),
        }
    }

    /// A shard as it was at a serial, if there is a snapshot of it.
    ///
    /// # Errors
    /// The state is not whole or cannot be reached.
    pub fn earlier(&self, shard: &ZoneName, serial: u64) -> Result<Option<Stored>, StateError> {
        let now = self.stored(shard)?;
        if now.snapshot.serial == serial {
            return Ok(Some(now));
        }
        match self {
            StateHome::Dir(dir) => dir.earlier(shard, serial),
            StateHome::Remote(remote) => remote.earlier(shard, serial),
        }
    }
}

impl StateDir {
    fn stored(&self, shard: &ZoneName) -> Result<Stored, StateError> {
        // Checked against what this host has seen.
        let loaded = self.read(std::slice::from_ref(shard))?;
        let vfs = self.vfs_or_create()?;
        let Some(meta) = self.meta(vfs.as_ref(), None)? else {
            return Ok(Stored {
                snapshot: loaded.state.shards[shard].clone(),
                base_seq: 0,
                head: crate::record::genesis("", shard),
                epoch: 0,
            });
        };
        let found = shard::read(vfs.as_ref(), &meta, shard, &self.options.seal)?;
        Ok(Stored {
            snapshot: found.snapshot,
            base_seq: found.seq,
            head: found.head,
            epoch: found.epoch,
        })
    }

    fn earlier(&self, shard: &ZoneName, serial: u64) -> Result<Option<Stored>, StateError> {
        let vfs = self.vfs_or_create()?;
        let found = history::read(vfs.as_ref(), shard, serial, &self.options.seal)?;
        Ok(found.map(|(stored, _)| stored))
    }
}

impl RemoteState {
    fn stored(&self, shard: &ZoneName) -> Result<Stored, StateError> {
        let seen = self.seen()?;
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let found = self.reader(&meta, shard).run().await?;
            self.checked(shard, &found, seen.as_ref())?;
            Ok(Stored {
                snapshot: found.snapshot,
                base_seq: found.seq,
                head: found.head,
                epoch: found.epoch,
            })
        })
    }

    fn earlier(&self, shard: &ZoneName, serial: u64) -> Result<Option<Stored>, StateError> {
        let seen = self.seen()?;
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let reader = self.reader(&meta, shard);
            for key in self.snapshot_keys(shard).await?.iter().rev() {
                let stored = reader.snapshot(key).await?;
                if stored.snapshot.serial == serial {
                    return Ok(Some(stored));
                }
                if stored.snapshot.serial < serial {
                    break;
                }
            }
            Ok(None)
        })
    }
}
