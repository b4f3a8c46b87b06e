//! What a trial at the server makes of a decision.

use super::{Decided, Decider, Wanted};
use crate::address::AttrPath;
use crate::plan::build::PlanError;
use crate::plan::tier;
use crate::plan::{Action, Reason};
use crate::provider::{Live, Trial};
use crate::value::Value;

impl Decider<'_> {
    /// The decision as the server would carry it out: what it would not change is no difference, and what
    /// it would refuse is said now.
    pub(super) fn tried(&mut self, want: &Wanted<'_>, decided: Decided) -> Option<Decided> {
        let address = &want.resource.address;
        let Some(said) = self.seen.trials.get(address) else {
            return Some(decided);
        };
        match said {
            Trial::Accepted(after) => Some(self.accepted(want, decided, after, None)),
            Trial::Succeeds(after, held) => {
                Some(self.accepted(want, decided, after, Some(&held.attrs)))
            }
            Trial::Refused(error) => {
                self.errors.push(PlanError::Refused {
                    address: address.clone(),
                    message: error.message.clone(),
                    declared: want.resource.at.as_ref().map(ToString::to_string),
                });
                None
            }
            Trial::Immutable(paths) => self.unchangeable(want, paths, decided),
            Trial::Disputed(claims) => {
                self.errors.push(PlanError::Disputed {
                    address: address.clone(),
                    claims: claims.clone(),
                });
                None
            }
            Trial::Untried(_) => Some(decided),
        }
    }

    /// The decision with what the server would change. `held` is what others had whose place is taken.
    fn accepted(
        &self,
        want: &Wanted<'_>,
        decided: Decided,
        after: &Live,
        held: Option<&Value>,
    ) -> Decided {
        let (Some(rules), Some(live), Some(value)) = (want.rules, &decided.live, &decided.value)
        else {
            return decided;
        };
        let recorded = held.or(want.record.map(|r| &r.inputs));
        let differences =
            tier::differences(want.schema, rules, value, &live.attrs, recorded, after);
        if differences.is_empty()
            && decided.reason == Reason::Drifted
            && let Some(record) = want.record
        {
            // The object stays as it is; what else there is to do for it is not forgotten: its
            // mark, what is recorded of it, a wait that is not over.
            let live = live.clone();
            let base = Decided {
                actions: vec![Action::NoOp],
                reason: Reason::Unchanged,
                differences,
                ..decided
            };
            return self.update_or_not(want, record, &live, base);
        }
        let key = self.inputs.digest_key.as_ref();
        Decided {
            effect: Some(tier::effect(&differences, key)),
            differences,
            ..decided
        }
    }

    /// The server would not change these fields: what the tables know of is said without it.
    fn unchangeable(
        &mut self,
        want: &Wanted<'_>,
        paths: &[AttrPath],
        decided: Decided,
    ) -> Option<Decided> {
        let mut base = decided;
        for difference in &mut base.differences {
            let at = difference.path.to_string();
            difference.replaces = paths.iter().any(|p| at.starts_with(&p.to_string()));
        }
        let paths = paths.to_vec();
        match want.record {
            Some(record) => self.replacement(want, record, Reason::CannotUpdate { paths }, base),
            // What is only found is not replaced.
            None => {
                self.push_immutable(want, &paths);
                None
            }
        }
    }

    /// Whether an object may be replaced because fields of it cannot change. Clouds say in their schemas
    /// what is replaced, and the plan shows it.
    pub(super) fn may_replace(&mut self, want: &Wanted<'_>, paths: &[AttrPath]) -> bool {
        let address = &want.resource.address;
        let Some(rules) = want
            .rules
            .filter(|_| !self.inputs.options.replace.contains(address))
        else {
            return true;
        };
        let never = (rules.never_replaced)(&want.value).is_some();
        let asked = want.resource.meta.replaceable || (rules.replaced_freely)(&want.value);
        if asked && !never {
            return true;
        }
        self.push_immutable(want, paths);
        false
    }

    fn push_immutable(&mut self, want: &Wanted<'_>, paths: &[AttrPath]) {
        let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
        self.errors.push(PlanError::Immutable {
            address: want.resource.address.clone(),
            paths: names.join(", "),
            loss: want.rules.and_then(|r| (r.never_replaced)(&want.value)),
        });
    }
}
