//! What is superfluous of a shard in a store.

use zonewright_engine::address::ZoneName;

use super::RemoteState;
use super::layout::{self, Named};
use super::reader::Reader;
use crate::error::StateError;
use crate::reactor::wait;
use crate::sweep::{Keep, Swept, refused};

impl RemoteState {
    /// The snapshots before the oldest that is kept, then the batches that are in it.
    pub(crate) fn superfluous(
        &self,
        shard: &ZoneName,
        keep: &Keep<'_>,
    ) -> Result<Swept, StateError> {
        // Every object is read, and each snapshot is compared with what the log before it comes to.
        let examined = self.examine()?;
        let of_it = examined.iter().filter(|e| e.shard == *shard);
        if let Some(problem) = of_it.flat_map(|e| &e.problems).next() {
            return Err(refused(self.place(), problem));
        }
        let seen = self.seen()?;
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let seal = self.seal().lenient();
            let reader = Reader {
                seal: &seal,
                ..self.reader(&meta, shard)
            };
            let mut snapshots = Vec::new();
            for key in self.snapshot_keys(shard).await?.into_iter().rev() {
                let stored = reader.snapshot(&key).await?;
                let at = stored.snapshot.last_run.map(|run| run.at);
                snapshots.push((key, stored.base_seq, stored.snapshot.serial, at));
            }
            let kept = keep.kept(snapshots.iter().map(|(.., at)| (at.as_deref(), None)));
            let Some((_, oldest, serial, _)) = snapshots[..kept].last() else {
                return Ok(Swept {
                    shard: shard.clone(),
                    from: None,
                    removed: Vec::new(),
                });
            };
            let earlier = snapshots[kept..].iter().rev();
            let mut removed: Vec<String> = earlier
                .filter(|(_, seq, ..)| seq < oldest)
                .map(|(key, ..)| key.clone())
                .collect();
            let batches = self.store().list(&layout::logs(shard), None).await;
            let batches = batches.map_err(|e| StateError::store(self.store(), e))?;
            let is_in = |key: &String| matches!(layout::parse(key), Named::Log { seq, .. } if seq <= *oldest);
            // As long as every snapshot is kept, the log is kept from its first batch on; unless a removal
            // was cut off after the snapshots.
            let begun = batches.first() != Some(&layout::log(shard, 1));
            if begun || !removed.is_empty() {
                removed.extend(batches.into_iter().filter(is_in));
            }
            Ok(Swept {
                shard: shard.clone(),
                from: Some(*serial),
                removed,
            })
        })
    }
}
