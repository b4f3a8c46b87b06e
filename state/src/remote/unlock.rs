//! Declares a writer dead because somebody says so. Nothing is removed: the log gets one more batch, and
//! with its number the old writer has lost the shard.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Entry, Holder};

use super::RemoteState;
use super::layout;
use super::reader::{Found, Open};
use crate::error::StateError;
use crate::frame;
use crate::meta::Meta;
use crate::reactor::wait;
use crate::record::{self, Batch};
use crate::seal::Kind;
use crate::store::Put;
use crate::unlock::{Broken, Unlock, Unlocked};

/// How often a number is tried for that the old writer makes in front of us.
const ATTEMPTS: usize = 16;

impl RemoteState {
    /// Breaks the lock of a shard, and those of the other shards that the same writer holds.
    ///
    /// # Errors
    /// There is no state, it is not whole, or the store does not answer.
    pub fn unlock(&self, unlock: &Unlock<'_>) -> Result<Unlocked, StateError> {
        let seen = self.seen()?;
        let nonce = self.nonce();
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let found = self.reader(&meta, unlock.shard).run().await?;
            let Some(open) = found.open else {
                return Ok(Unlocked::Free);
            };
            if open.epoch != unlock.epoch {
                return Ok(Unlocked::Other {
                    epoch: open.epoch,
                    holder: open.holder,
                });
            }
            let mut broken = Vec::new();
            for shard in self.listed_shards().await? {
                let was = Broken {
                    shard: shard.clone(),
                    epoch: 0,
                    holder: open.holder.clone(),
                };
                if let Some(epoch) = self.break_one(&meta, &shard, &open, &nonce, unlock).await? {
                    broken.push(Broken { epoch, ..was });
                }
            }
            Ok(Unlocked::Broken(broken))
        })
    }

    /// Appends the break where this writer holds the shard; gives the number that it lost.
    async fn break_one(
        &self,
        meta: &Meta,
        shard: &ZoneName,
        open: &Open,
        nonce: &str,
        unlock: &Unlock<'_>,
    ) -> Result<Option<u64>, StateError> {
        for _ in 0..ATTEMPTS {
            let found = self.reader(meta, shard).run().await?;
            let held = found.open.as_ref().filter(|o| o.nonce == open.nonce);
            let Some(epoch) = held.map(|o| o.epoch) else {
                return Ok(None);
            };
            let batch = broken(
                &found,
                meta,
                shard,
                nonce,
                (epoch, unlock.by, unlock.reason),
            );
            let (payload, _) = record::encode(&batch, Kind::Batch, self.seal());
            let key = layout::log(shard, batch.seq);
            let put = self.store.put_new(&key, &frame::encode(&payload)).await;
            if put.map_err(|e| self.failed(e))? == Put::Created {
                return Ok(Some(epoch));
            }
        }
        Err(StateError::Locked {
            shard: shard.clone(),
            holder: open.holder.clone(),
            epoch: Some(open.epoch),
        })
    }
}

/// The batch that says it: the last one of the writer's number, so that what its host kept still fits.
fn broken(
    found: &Found,
    meta: &Meta,
    shard: &ZoneName,
    nonce: &str,
    (epoch, by, reason): (u64, &Holder, &str),
) -> Batch {
    let entries = vec![Entry::Break {
        epoch,
        who: format!("{}@{}", by.user, by.host),
        reason: reason.to_owned(),
        at: by.since.clone(),
    }];
    Batch {
        v: record::version_of(&entries),
        lineage: meta.lineage.clone(),
        shard: shard.clone(),
        seq: found.seq + 1,
        epoch: found.epoch,
        writer: nonce.to_owned(),
        prev: found.head,
        entries,
    }
}
