//! What is to be destroyed and is still needed: by whom, what for, and what has to happen first. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::build::PlanError;
use super::decide::Decided;
use super::roles::{is_promoted, is_replica, is_writer};
use super::{Action, Reason};
use crate::address::Address;
use crate::config::Resource;
use crate::observe::Inputs;

/// What something is needed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeededAs {
    /// A replica follows it: the replica is only a copy as long as this is there.
    Source {
        /// Where the reference is written.
        at: Option<String>,
    },
    /// What once was its replica still names it.
    FormerSource {
        /// Where the reference is written.
        at: Option<String>,
        /// Its id, which can stand there instead.
        id: String,
    },
    /// A reference takes a value of it.
    Value {
        /// Where the reference is written.
        at: Option<String>,
    },
    /// It was made with it, and is left alone.
    Kept,
}

impl fmt::Display for NeededAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, at) = match self {
            NeededAs::Source { at } => ("is a read-replica of it", at),
            NeededAs::FormerSource { at, .. } => ("was its replica and still names it", at),
            NeededAs::Value { at } => ("refers to it", at),
            NeededAs::Kept => ("is left alone and stands on it", &None),
        };
        f.write_str(what)?;
        match at {
            Some(at) => write!(f, " ({at})"),
            None => Ok(()),
        }
    }
}

impl NeededAs {
    /// What has to happen first.
    pub(super) fn help(&self, address: &Address, by: &Address) -> String {
        match self {
            NeededAs::Source { .. } => format!(
                "its data would have no writer any more: promote {by} first (`zonewright runbook --to {}` has the steps)",
                by.zone
            ),
            NeededAs::FormerSource { id, .. } => format!(
                "write its id, `{id}`, where the reference stands, and apply that: only what is recorded changes"
            ),
            NeededAs::Kept => format!(
                "keep {address}, too (`zonewright = {{ keep = true }}`, applied first), or let {by} go with it"
            ),
            NeededAs::Value { .. } => format!(
                "let {by} refer to something that stays, apply that, and then destroy zone {}",
                address.zone
            ),
        }
    }
}

/// Why `target` cannot go while `by` stays; nothing when it is not what `by` refers to.
pub(super) fn needed(inputs: &Inputs, target: &Address, by: &Resource) -> Option<PlanError> {
    let references = by.body.references();
    let (_, at) = references
        .into_iter()
        .find(|(r, _)| r.address() == Some(target))?;
    let at = at.map(ToString::to_string);
    let copies = is_replica(&inputs.registry, &by.address) && is_writer(&inputs.registry, target);
    let need = match copies {
        true if is_promoted(by) => NeededAs::FormerSource {
            at,
            id: inputs.state.record(target)?.id.clone(),
        },
        true => NeededAs::Source { at },
        false => NeededAs::Value { at },
    };
    Some(PlanError::StillNeeded {
        address: target.clone(),
        by: by.address.clone(),
        need: Box::new(need),
    })
}

/// What would be deleted although something that is left alone was made with it.
pub(super) fn by_what_is_kept(
    inputs: &Inputs,
    decided: &BTreeMap<Address, Decided>,
) -> Vec<PlanError> {
    let stays = |d: &Decided| matches!(d.reason, Reason::Kept | Reason::Forgotten);
    let kept = decided.iter().filter(|(_, d)| stays(d));
    let records = kept.filter_map(|(address, _)| inputs.state.record(address));
    let needs = records.flat_map(|r| r.depends_on.iter().map(move |d| (d, &r.address)));
    let goes = |target: &Address| decided.get(target).is_some_and(|d| d.has(Action::Delete));
    needs
        .filter(|(target, _)| goes(target))
        .map(|(target, by)| PlanError::StillNeeded {
            address: target.clone(),
            by: by.clone(),
            need: Box::new(NeededAs::Kept),
        })
        .collect()
}

/// Leaves out that something is protected as long as something needs it: who follows that advice first
/// loses what is needed.
pub(super) fn before_protection(errors: &mut Vec<PlanError>) {
    let needed: Vec<Address> = errors
        .iter()
        .filter_map(|e| match e {
            PlanError::StillNeeded { address, .. } => Some(address.clone()),
            _ => None,
        })
        .collect();
    // All of the zone: its parts go together.
    let waits = |address: &Address| needed.iter().any(|n| n.zone == address.zone);
    errors.retain(|e| !matches!(e, PlanError::Protected { address } if waits(address)));
}
