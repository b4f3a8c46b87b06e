//! What happened, in order: the entries of the log and the one function that turns them into state.
//!
//! An operation is not sent before its [`Entry::Intent`] is durable, and is not over before its
//! [`Entry::Outcome`] is. What runs live and what runs in recovery is the same [`fold`].

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::address::{Address, InstanceId, ZoneName};
use crate::snapshot::{
    Identity, IntentAction, LastRun, OpenIntent, Record, RecordStatus, Snapshot,
};

pub mod moved;

/// One entry of a shard's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A writer took the shard.
    Acquire {
        /// The writer's number; one more than the last.
        epoch: u64,
        /// Who it is.
        holder: Holder,
    },
    /// The writer let the shard go.
    Release {
        /// The writer's number.
        epoch: u64,
    },
    /// A run begins: a plan is about to be applied to the shard.
    Run(LastRun),
    /// An operation is about to be sent.
    Intent {
        /// Its id, unique in the lineage.
        op: String,
        /// What it will do.
        action: IntentAction,
        /// What the record becomes if it happens (id empty for a create).
        record: Box<Record>,
    },
    /// What came of an operation.
    Outcome {
        /// Its id.
        op: String,
        /// The resource.
        address: Address,
        /// What came of it.
        result: OpResult,
    },
    /// Something that exists was brought under management without an operation.
    Import {
        /// What it is.
        record: Box<Record>,
    },
    /// Something is no longer managed; it was not deleted by request.
    Forget {
        /// The resource.
        address: Address,
        /// Why.
        reason: String,
    },
    /// A resource, and what it contains or brings along, has another address from here on. In the log of
    /// another shard only references to it change.
    Move {
        /// The address so far.
        from: Address,
        /// The address from here on: of the same zone and kind.
        to: Address,
    },
    /// A writer is declared dead by somebody who says so; it has lost the shard.
    Break {
        /// The writer's number.
        epoch: u64,
        /// `user@host`.
        who: String,
        /// Why.
        reason: String,
        /// When, RFC 3339, informative.
        at: String,
    },
    /// Which cluster an instance leads into.
    Identity {
        /// The instance.
        instance: InstanceId,
        /// The cluster.
        identity: Identity,
    },
    /// Words for the history.
    Note {
        /// The words.
        text: String,
    },
}

/// Who holds a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The user's login name.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// The command line without values that may be secret: `apply`.
    pub command: String,
    /// When it took the shard, RFC 3339, informative.
    pub since: String,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case", deny_unknown_fields)]
pub enum OpResult {
    /// The vendor gave it an id; it is not ready yet.
    Created {
        /// What is known of it.
        record: Box<Record>,
    },
    /// It is as the plan says (created, updated or adopted) and ready.
    Done {
        /// What it is now.
        record: Box<Record>,
    },
    /// Its deletion was accepted, it is not gone yet.
    Deleting,
    /// It is gone.
    Deleted,
    /// It was looked for and does not exist: the operation did not happen.
    Absent,
    /// It failed, and what exists is as before. `tainted`: it exists but will not become ready.
    Failed {
        /// Why.
        message: String,
        /// Whether it must be replaced.
        tainted: bool,
    },
    /// It is not known whether it happened.
    InDoubt {
        /// Why.
        message: String,
    },
}

/// An entry that cannot follow what was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("illegal journal entry: {0}")]
pub struct IllegalEntry(pub String);

/// Applies one entry to a snapshot.
///
/// # Errors
/// The entry cannot follow what was there; the snapshot is unchanged.
pub fn fold(snapshot: &mut Snapshot, entry: &Entry) -> Result<(), IllegalEntry> {
    match entry {
        Entry::Acquire { .. }
        | Entry::Release { .. }
        | Entry::Break { .. }
        | Entry::Note { .. } => return Ok(()),
        Entry::Move { from, to } => {
            if !moved::fold(snapshot, from, to)? {
                return Ok(());
            }
        }
        // The serial counts changes; this is only about who makes them.
        Entry::Run(run) => {
            snapshot.last_run = Some(run.clone());
            return Ok(());
        }
        // Nor is what was only learned a change.
        Entry::Identity { instance, identity } => {
            if instance.zone != snapshot.shard {
                return Err(IllegalEntry(format!(
                    "{instance} does not belong to shard {}",
                    snapshot.shard
                )));
            }
            snapshot
                .identities
                .insert(instance.clone(), identity.clone());
            return Ok(());
        }
        Entry::Intent { op, action, record } => intent(snapshot, op, *action, record)?,
        Entry::Outcome {
            op,
            address,
            result,
        } => outcome(snapshot, op, address, result)?,
        Entry::Import { record } => {
            in_shard(snapshot, &record.address)?;
            snapshot.open.remove(&record.address);
            snapshot
                .records
                .insert(record.address.clone(), record.clone());
        }
        Entry::Forget { address, .. } => {
            snapshot.open.remove(address);
            let known = snapshot.records.remove(address).is_some();
            forget_identities(snapshot, address);
            if !known {
                return Ok(());
            }
        }
    }
    snapshot.serial += 1;
    Ok(())
}

/// A cluster that is gone is not led into any more.
fn forget_identities(snapshot: &mut Snapshot, address: &Address) {
    snapshot
        .identities
        .retain(|_, i| i.container.as_ref().is_none_or(|c| c.address != *address));
}

fn in_shard(snapshot: &Snapshot, address: &Address) -> Result<(), IllegalEntry> {
    if address.zone == snapshot.shard {
        Ok(())
    } else {
        Err(IllegalEntry(format!(
            "{address} does not belong to shard {}",
            snapshot.shard
        )))
    }
}

fn intent(
    snapshot: &mut Snapshot,
    op: &str,
    action: IntentAction,
    record: &Record,
) -> Result<(), IllegalEntry> {
    in_shard(snapshot, &record.address)?;
    let address = &record.address;
    if action != IntentAction::Create && !snapshot.records.contains_key(address) {
        return Err(IllegalEntry(format!(
            "{op} changes {address}, which is not recorded"
        )));
    }
    snapshot.open.insert(
        address.clone(),
        OpenIntent {
            op: op.to_owned(),
            action,
            record: record.clone(),
        },
    );
    Ok(())
}

fn outcome(
    snapshot: &mut Snapshot,
    op: &str,
    address: &Address,
    result: &OpResult,
) -> Result<(), IllegalEntry> {
    if snapshot.open.get(address).is_none_or(|open| open.op != op) {
        return Err(IllegalEntry(format!(
            "{op} of {address} has no open intent"
        )));
    }
    let known = snapshot.records.contains_key(address);
    match result {
        OpResult::Created { record } | OpResult::Done { record } => {
            if record.address != *address {
                return Err(IllegalEntry(format!("{op} records {}", record.address)));
            }
            snapshot.records.insert(address.clone(), record.clone());
        }
        OpResult::Deleting => match snapshot.records.get_mut(address) {
            Some(record) => record.status = RecordStatus::Deleting,
            None => {
                return Err(IllegalEntry(format!(
                    "{op} deletes {address}, which is not recorded"
                )));
            }
        },
        OpResult::Deleted => {
            snapshot.records.remove(address);
            forget_identities(snapshot, address);
        }
        OpResult::Failed { tainted: true, .. } if known => {
            if let Some(record) = snapshot.records.get_mut(address) {
                record.status = RecordStatus::Tainted;
            }
        }
        OpResult::Absent | OpResult::Failed { .. } | OpResult::InDoubt { .. } => {}
    }
    // A create that was accepted and then failed keeps its record, not its intent.
    let over = !matches!(
        result,
        OpResult::Created { .. } | OpResult::Deleting | OpResult::InDoubt { .. }
    );
    if over {
        snapshot.open.remove(address);
    }
    Ok(())
}

/// The log of a run could not be written: nothing more may be sent.
#[derive(Debug, thiserror::Error)]
#[error("the journal of shard {shard} cannot be written")]
pub struct JournalError {
    /// The shard.
    pub shard: ZoneName,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// The port to the log. An append is durable when it returns.
pub trait Journal: Send + Sync {
    /// Appends entries to a shard's log as one batch.
    fn append<'a>(
        &'a self,
        shard: &'a ZoneName,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), JournalError>>;

    /// Asked right before a request that changes something leaves: whether the shard is still ours beyond
    /// doubt. A writer that was paused for longer than others wait finds out here, not at its next append.
    fn still_held<'a>(&'a self, _shard: &'a ZoneName) -> BoxFuture<'a, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }
}
