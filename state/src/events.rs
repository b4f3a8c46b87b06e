//! What people did to a state besides applying plans, as its log tells it.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Entry;

use crate::dir::StateDir;
use crate::error::StateError;
use crate::reactor::wait;
use crate::record::Batch;
use crate::remote::RemoteState;
use crate::shard;

/// How many batches are looked at, from the end.
pub(crate) const BACK: usize = 256;

/// One entry worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The batch.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
}

/// The entries of a batch that are told: what runs of plans do is not.
fn told(batch: Batch) -> impl Iterator<Item = Event> {
    let seq = batch.seq;
    let by_hand = |entry: &Entry| {
        matches!(
            entry,
            Entry::Break { .. } | Entry::Move { .. } | Entry::Forget { .. } | Entry::Note { .. }
        )
    };
    let entries = batch.entries.into_iter().filter(by_hand);
    entries.map(move |entry| Event { seq, entry })
}

impl StateDir {
    /// What the journal tells; it begins anew with each snapshot.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn events(&self, shard: &ZoneName) -> Result<Vec<Event>, StateError> {
        let Some(vfs) = self.vfs()? else {
            return Ok(Vec::new());
        };
        let Some(meta) = self.meta(vfs.as_ref(), None)? else {
            return Ok(Vec::new());
        };
        let batches = shard::batches(vfs.as_ref(), &meta, shard, &self.options.seal)?;
        Ok(batches.into_iter().flat_map(told).collect())
    }
}

impl RemoteState {
    /// What the last batches of the log tell.
    ///
    /// # Errors
    /// The store does not answer, or one of them is damaged.
    pub fn events(&self, shard: &ZoneName) -> Result<Vec<Event>, StateError> {
        let seen = self.seen()?;
        wait(async {
            let batches = self.last_batches(seen.as_ref(), shard, BACK).await?;
            Ok(batches.into_iter().flat_map(told).collect())
        })
    }
}
