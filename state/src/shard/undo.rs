//! Folds a batch into a snapshot so that it can be taken back when the batch cannot be written.

use std::collections::BTreeMap;

use zonewright_engine::address::{Address, InstanceId};
use zonewright_engine::journal::{Entry, fold};
use zonewright_engine::snapshot::{Identity, LastRun, OpenIntent, Record, Snapshot};

use crate::error::StateError;

/// Folds all entries or none.
///
/// # Errors
/// One of them cannot follow what was there.
pub(crate) fn fold_all(snapshot: &mut Snapshot, entries: &[Entry]) -> Result<Undo, StateError> {
    let undo = Undo::of(snapshot, entries);
    for entry in entries {
        if let Err(source) = fold(snapshot, entry) {
            let shard = snapshot.shard.clone();
            undo.apply(snapshot);
            return Err(StateError::Illegal { shard, source });
        }
    }
    Ok(undo)
}

/// What a batch may change, as it was before.
pub(crate) struct Undo {
    serial: u64,
    last_run: Option<LastRun>,
    identities: BTreeMap<InstanceId, Identity>,
    records: Vec<(Address, Option<Box<Record>>, Option<OpenIntent>)>,
    /// Everything, when the batch has an entry that may change more than one record.
    whole: Option<Box<Snapshot>>,
}

impl Undo {
    pub(crate) fn of(snapshot: &Snapshot, entries: &[Entry]) -> Undo {
        let mut records = Vec::new();
        let mut keep = |address: &Address| {
            records.push((
                address.clone(),
                snapshot.records.get(address).cloned(),
                snapshot.open.get(address).cloned(),
            ));
        };
        for entry in entries {
            match entry {
                Entry::Intent { record, .. } | Entry::Import { record } => keep(&record.address),
                Entry::Outcome {
                    address, result, ..
                } => {
                    keep(address);
                    use zonewright_engine::journal::OpResult::{Created, Done};
                    if let Created { record } | Done { record } = result {
                        keep(&record.address);
                    }
                }
                Entry::Forget { address, .. } => keep(address),
                Entry::Acquire { .. }
                | Entry::Release { .. }
                | Entry::Run(_)
                | Entry::Identity { .. }
                | Entry::Move { .. }
                | Entry::Break { .. }
                | Entry::Note { .. } => {}
            }
        }
        let wide = |entry: &Entry| matches!(entry, Entry::Move { .. });
        Undo {
            whole: entries.iter().any(wide).then(|| Box::new(snapshot.clone())),
            serial: snapshot.serial,
            last_run: snapshot.last_run.clone(),
            identities: snapshot.identities.clone(),
            records,
        }
    }

    pub(crate) fn apply(self, snapshot: &mut Snapshot) {
        if let Some(whole) = self.whole {
            *snapshot = *whole;
            return;
        }
        snapshot.serial = self.serial;
        snapshot.last_run = self.last_run;
        snapshot.identities = self.identities;
        for (address, record, open) in self.records {
            match record {
                Some(record) => snapshot.records.insert(address.clone(), record),
                None => snapshot.records.remove(&address),
            };
            match open {
                Some(open) => snapshot.open.insert(address, open),
                None => snapshot.open.remove(&address),
            };
        }
    }
}
