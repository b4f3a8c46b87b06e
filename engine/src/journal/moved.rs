//! A resource gets another address: its record, and every reference to it in the shard.
//!
//! What the vendor has stays as it is, its mark included: the record keeps the address that the mark
//! was made from ([`crate::snapshot::Record::marked`]), so that a moved resource is still found by it.

use super::IllegalEntry;
use crate::address::Address;
use crate::snapshot::{Contained, Record, Snapshot};

/// The address that a resource has after a move; `None` when the move is not about it. A declaration
/// takes the objects that it brings along.
pub fn renamed(address: &Address, from: &Address, to: &Address) -> Option<Address> {
    if address == from {
        return Some(to.clone());
    }
    let of_it = from.key.is_none() && address.declaration() == *from;
    of_it.then(|| to.with_key(address.key.clone()))
}

/// Moves what is recorded under an address. In a shard that is not the resource's own only references
/// change.
///
/// # Errors
/// Nothing is recorded there, something is recorded at the new address, the two differ in zone, kind
/// or in whether they have a key, or an operation on one of them has no known outcome. The snapshot is
/// unchanged.
pub(super) fn fold(
    snapshot: &mut Snapshot,
    from: &Address,
    to: &Address,
) -> Result<bool, IllegalEntry> {
    let illegal = |what: String| Err(IllegalEntry(what));
    if from.zone != to.zone {
        return illegal(format!(
            "{from} cannot move to {to}: each zone has a state of its own"
        ));
    }
    if from.kind != to.kind || from.key.is_some() != to.key.is_some() {
        return illegal(format!(
            "{from} cannot move to {to}: they are different things"
        ));
    }
    if from == to {
        return illegal(format!("{from} is there already"));
    }
    if from.zone == snapshot.shard {
        check_own(snapshot, from, to)?;
    }
    Ok(rename(snapshot, from, to))
}

/// In the resource's own shard it has to be there, and the new place has to be free.
fn check_own(snapshot: &Snapshot, from: &Address, to: &Address) -> Result<(), IllegalEntry> {
    let illegal = |what: String| Err(IllegalEntry(what));
    let about = |address: &Address, of: &Address| renamed(address, of, of).is_some();
    if !snapshot.records.keys().any(|a| about(a, from)) {
        return illegal(format!("{from} is not recorded"));
    }
    if let Some(open) = snapshot
        .open
        .keys()
        .find(|a| about(a, from) || about(a, to))
    {
        return illegal(format!(
            "{open} has an operation whose outcome is not known; apply settles it"
        ));
    }
    match snapshot.records.keys().find(|a| about(a, to)) {
        Some(taken) => illegal(format!("{taken} is recorded already")),
        None => Ok(()),
    }
}

/// Whether anything changed.
fn rename(snapshot: &mut Snapshot, from: &Address, to: &Address) -> bool {
    let mut changed = false;
    let own = from.zone == snapshot.shard;
    let records = std::mem::take(&mut snapshot.records);
    for (address, mut record) in records {
        changed |= references(&mut record, from, to);
        let address = match renamed(&address, from, to).filter(|_| own) {
            Some(new) => {
                changed = true;
                let mark = record.marked.take().unwrap_or(Box::new(address));
                record.marked = Some(mark).filter(|mark| **mark != new);
                record.address = new.clone();
                new
            }
            None => address,
        };
        snapshot.records.insert(address, record);
    }
    for open in snapshot.open.values_mut() {
        changed |= references(&mut open.record, from, to);
    }
    for identity in snapshot.identities.values_mut() {
        changed |= contained(identity.container.as_mut(), from, to);
    }
    changed
}

fn references(record: &mut Record, from: &Address, to: &Address) -> bool {
    let mut changed = contained(record.contained_in.as_deref_mut(), from, to);
    for dependency in &mut record.depends_on {
        if let Some(new) = renamed(dependency, from, to) {
            *dependency = new;
            changed = true;
        }
    }
    if changed {
        record.depends_on.sort();
    }
    changed
}

fn contained(container: Option<&mut Contained>, from: &Address, to: &Address) -> bool {
    let Some(container) = container else {
        return false;
    };
    match renamed(&container.address, from, to) {
        Some(new) => {
            container.address = new;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
