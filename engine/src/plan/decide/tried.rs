//! What a trial at the server makes of a decision.

use super::{Decided, Decider, Wanted};
use crate::plan::build::PlanError;
use crate::plan::tier;
use crate::plan::{Action, Reason};
use crate::provider::Trial;

impl Decider<'_> {
    /// The decision as the server would carry it out: what it would not change is no difference, and what
    /// it would refuse is said now.
    pub(super) fn tried(&mut self, want: &Wanted<'_>, decided: Decided) -> Option<Decided> {
        let address = &want.resource.address;
        let Some(said) = self.seen.trials.get(address) else {
            return Some(decided);
        };
        match said {
            Trial::Accepted(after) => {
                let (Some(rules), Some(live), Some(value)) =
                    (want.rules, &decided.live, &decided.value)
                else {
                    return Some(decided);
                };
                let recorded = want.record.map(|r| &r.inputs);
                let differences =
                    tier::differences(want.schema, rules, value, &live.attrs, recorded, after);
                if differences.is_empty() && decided.reason == Reason::Drifted {
                    return Some(Decided {
                        actions: vec![Action::NoOp],
                        reason: Reason::Unchanged,
                        differences,
                        ..decided
                    });
                }
                let key = self.inputs.digest_key.as_ref();
                Some(Decided {
                    effect: Some(tier::effect(&differences, key)),
                    differences,
                    ..decided
                })
            }
            Trial::Refused(error) => {
                self.errors.push(PlanError::Refused {
                    address: address.clone(),
                    message: error.message.clone(),
                    declared: want.resource.at.as_ref().map(ToString::to_string),
                });
                None
            }
            Trial::Untried(_) => Some(decided),
        }
    }
}
