//! What a plan could not see, and whether it is a plan all the same.
//!
//! A zone whose cluster is dead must not stop what is to be done elsewhere: its contents are left
//! alone and named. But a plan that saw nothing at all, that has nothing to do because nobody could
//! look, or that leaves out what the spec wants changed, is not one to approve.

use crate::address::Address;
use crate::observe::{Inputs, Observations};
use crate::plan::build::recorded_inputs;
use crate::plan::rolls;
use crate::plan::{Certainty, Change, Plan, Reason};
use crate::value::Value;

/// A selected resource that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The resource.
    pub address: Address,
    /// What the other side said.
    pub error: String,
    /// Whether it lives in something that cannot be reached, like the objects of a dead cluster.
    pub inside: bool,
    /// Whether the spec wants it made, changed or removed.
    pub wanted_otherwise: bool,
}

/// Why a plan is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blind {
    /// Nothing that was looked for could be read.
    Nothing,
    /// There is nothing to do, as far as could be seen: nobody knows.
    NothingPlanned,
    /// These shall be made, changed or removed and could not be read. What lives in a dead cluster is
    /// not among them: it waits for its cluster.
    Wanted(Vec<Address>),
}

/// Every selected resource that could not be read, by address.
pub fn unread(plan: &Plan, inputs: &Inputs, seen: &Observations) -> Vec<Unread> {
    plan.changes
        .iter()
        .filter(|c| c.is_no_op())
        .filter_map(|change| {
            let Reason::Unreadable { error } = &change.reason else {
                return None;
            };
            let instance = inputs.instance(&change.instance);
            Some(Unread {
                address: change.address.clone(),
                error: error.clone(),
                inside: instance.is_some_and(|i| i.container.is_some()),
                wanted_otherwise: wanted_otherwise(inputs, seen, change),
            })
        })
        .collect()
}

/// Whether a plan that left these out can be approved.
pub fn blind(plan: &Plan, unread: &[Unread]) -> Option<Blind> {
    if unread.is_empty() {
        return None;
    }
    if !plan.changes.iter().any(|c| c.certainty == Certainty::Seen) {
        return Some(Blind::Nothing);
    }
    let wanted: Vec<Address> = unread
        .iter()
        .filter(|u| u.wanted_otherwise && !u.inside)
        .map(|u| u.address.clone())
        .collect();
    if !wanted.is_empty() {
        return Some(Blind::Wanted(wanted));
    }
    plan.is_empty().then_some(Blind::NothingPlanned)
}

/// Compared with what is recorded, as nothing else can be seen. What is not known is no difference.
fn wanted_otherwise(inputs: &Inputs, seen: &Observations, change: &Change) -> bool {
    let Some(resource) = inputs.wanted(&change.address) else {
        return true;
    };
    if resource.meta.observe {
        return false;
    }
    let Some(record) = inputs.state.record(&change.address) else {
        return true;
    };
    let desired: Value = rolls::value(inputs, seen, resource);
    desired.is_known()
        && recorded_inputs(&inputs.registry, &change.address, &desired, &change.ignore)
            != record.inputs
}
