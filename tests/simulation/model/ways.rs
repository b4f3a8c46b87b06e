//! Refusals, and the ways out that they name: each has to be justified by what was done before.

use zonewright_engine::address::Address;
use zonewright_engine::plan::build::PlanError;
use zonewright_state::StateError;
use zonewright_tests::simulation::Refusal;

use super::spec::{Guard, LABELS, SORTS, Spec};
use super::things::Things;
use super::walk::{Told, Walk};

/// What a refusal asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Way {
    /// An entry of `[[moved]]`.
    Move { slot: usize, from: usize },
    /// The old name, and no entry.
    NameBack { slot: usize, label: usize },
    /// It is declared, and neither protected nor kept.
    PutIn { slot: usize, label: usize },
    /// Somebody removes what is in the way.
    Remove(String),
    /// `--accept-rollback`.
    Accept,
}

/// The slot and the label of an address.
fn slot_of(address: &Address) -> Option<(usize, usize)> {
    let declared = address.declaration().to_string();
    let all = (0..SORTS.len()).flat_map(|s| (0..LABELS.len()).map(move |l| (s, l)));
    all.into_iter()
        .find(|(s, l)| SORTS[*s].address(*l) == declared)
}

impl Walk<'_> {
    /// Whether a refusal is right, and what it asks for.
    pub(super) fn justify(&self, why: &Refusal, now: &Things) -> Result<Vec<Way>, String> {
        match why {
            Refusal::NoPlan(errors) => errors.iter().map(|e| self.justify_one(e, now)).collect(),
            Refusal::State(StateError::RolledBack { .. }) if self.rolled_back => {
                Ok(vec![Way::Accept])
            }
            why => Err(format!("it refuses without reason: {why}")),
        }
    }

    fn justify_one(&self, error: &PlanError, now: &Things) -> Result<Way, String> {
        let without = || format!("it refuses without reason: {error}");
        match error {
            PlanError::Renamed { from, to } => {
                let ((slot, from), (other, to)) =
                    slot_of(from).zip(slot_of(to)).ok_or_else(without)?;
                let wanted = self.spec.slots[slot].label == Some(to);
                let before = self.certain.as_ref().map(|c| c.slots[slot].label);
                let known = before.is_none_or(|b| b == Some(from));
                match slot == other && wanted && known {
                    true => Ok(Way::Move { slot, from }),
                    false => Err(without()),
                }
            }
            PlanError::MoveBlocked { step, .. } => {
                let (slot, label) = slot_of(&step.from).ok_or_else(without)?;
                match self.certain.is_none() {
                    true => Ok(Way::NameBack { slot, label }),
                    false => Err(without()),
                }
            }
            PlanError::MarkTaken { taken, .. } => {
                let (slot, label) = slot_of(taken).ok_or_else(without)?;
                match self.certain.is_none() {
                    true => Ok(Way::NameBack { slot, label }),
                    false => Err(without()),
                }
            }
            PlanError::Protected { address } | PlanError::Kept { address } => {
                let (slot, label) = slot_of(address).ok_or_else(without)?;
                match self.is_guarded(slot, false) {
                    true => Ok(Way::PutIn { slot, label }),
                    false => Err(without()),
                }
            }
            PlanError::Foreign { address, id, .. } => {
                self.in_the_way(address, id, now).ok_or_else(without)
            }
            _ => Err(without()),
        }
    }

    fn in_the_way(&self, address: &Address, id: &str, now: &Things) -> Option<Way> {
        let known = |id: &str| {
            self.foreign.contains_key(id)
                || self.left.contains_key(id)
                || self.stripped.contains(id)
        };
        if known(id) {
            return Some(Way::Remove(id.to_owned()));
        }
        let (slot, _) = slot_of(address)?;
        // What has no place for a mark is ours by record only, and has no id of its own.
        let sort = SORTS[slot];
        let (id, _) = now.iter().find(|(_, t)| t.name == sort.name())?;
        let unmarked = !sort.marked() && self.unknown.contains(id);
        // It carries the mark of the name that it had, which this state has never heard of.
        let renamed = self.unknown.contains(id) && self.was_renamed(slot);
        // What was left alone in a run that did not come to its end.
        let left = self.is_guarded(slot, true);
        (known(id) || unmarked || renamed || left).then(|| Way::Remove(id.clone()))
    }

    /// Whether a slot had other names since something was certain.
    fn was_renamed(&self, slot: usize) -> bool {
        let label = |spec: &Spec| spec.slots[slot].label;
        let moved = !self.spec.slots[slot].moved.is_empty();
        moved || self.tried.iter().any(|s| label(s) != label(&self.spec))
    }

    /// Does what a refusal asks for.
    pub(super) async fn take(&mut self, way: Way) -> Told {
        self.told.push(format!("{way:?}"));
        match way {
            Way::Move { slot, from } => {
                let slot = &mut self.spec.slots[slot];
                let to = slot.label.unwrap_or_default();
                slot.moved.retain(|(f, _)| *f != from);
                // Nothing moves to one place from two.
                slot.moved.retain(|(_, t)| *t != to);
                slot.moved.push((from, to));
            }
            Way::NameBack { slot, label } => {
                let slot = &mut self.spec.slots[slot];
                slot.put_in(label);
                slot.guard = Guard::Plain;
            }
            Way::PutIn { slot, label } => {
                let slot = &mut self.spec.slots[slot];
                slot.guard = Guard::Plain;
                if slot.label.is_none() {
                    slot.put_in(label);
                }
            }
            Way::Remove(id) => self.remove(&id).await?,
            Way::Accept => {
                self.simulation.store.accept_rollback.set(true);
                self.rolled_back = false;
            }
        }
        self.simulation.project = self.spec.project();
        Ok(())
    }
}
