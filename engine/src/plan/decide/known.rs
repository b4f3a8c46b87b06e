//! What is known of a wanted resource beside its attributes: its mark, its former name, the values that
//! it is replaced with.

use std::collections::BTreeMap;

use super::{Decided, Decider, Wanted, identity_text};
use crate::address::Address;
use crate::canon::{self, Digest};
use crate::config::{Resource, Trigger};
use crate::expr::Expr;
use crate::observe::Inputs;
use crate::plan::Reason;
use crate::plan::build::{PlanError, recorded_inputs};
use crate::plan::scope::PlanScope;
use crate::provider::{Live, Observed};
use crate::snapshot::{Record, Snapshot};
use crate::value::Value;

impl Decider<'_> {
    /// Whether somebody took our mark off, or it is that of another address. Without it, an object whose
    /// record is lost is not found again.
    pub(super) fn is_unmarked(&self, want: &Wanted<'_>, live: &Live) -> bool {
        let address = &want.resource.address;
        let moved = self.inputs.state.mark_of(address) != address;
        want.schema.marked && (moved || live.mark.differs(&self.inputs.marker(address)))
    }

    /// Keeps the annotations that a workload is rolled by where only the digest key is another one.
    pub(super) fn settle_rolls(&self, address: &Address, value: &mut Value, expr: &mut Expr) {
        let there = match self.seen.seen.get(address) {
            Some(Observed::Present(live)) => Some(&live.attrs),
            Some(_) => None,
            None => self.inputs.state.record(address).map(|r| &r.inputs),
        };
        if let Some(there) = there {
            let stays = |a: &Address| self.decided.get(a).is_some_and(Decided::is_untouched);
            self.rolls.settle(address, there, stays, value, Some(expr));
        }
    }

    /// What would be recorded of what is wanted.
    pub(super) fn recorded(&self, want: &Wanted<'_>) -> Value {
        let Resource { address, meta, .. } = want.resource;
        recorded_inputs(&self.inputs.registry, address, &want.value, &meta.ignore)
    }

    pub(super) fn trigger_digests(&self, want: &Wanted<'_>) -> BTreeMap<String, Digest> {
        let key = self.inputs.digest_key.as_ref();
        let digest = |value: &Value| canon::digest(&value.clone().rekeyed(key));
        let all = want.triggers.iter();
        all.map(|(t, value)| (t.text.clone(), digest(value)))
            .collect()
    }

    /// The values that it is replaced with and that are others than recorded, or will be.
    pub(super) fn triggered(&self, want: &Wanted<'_>, record: &Record) -> Option<Vec<String>> {
        let now = self.trigger_digests(want);
        let moved = |text: &&String| record.triggers.get(*text).is_some_and(|d| now[*text] != *d);
        let by: Vec<String> = now.keys().filter(moved).cloned().collect();
        (!by.is_empty()).then_some(by)
    }

    /// Somebody else's, whose place the spec takes.
    pub(super) fn taken_over(&self, want: &Wanted<'_>, live: &Live) -> Decided {
        let mark = live.mark.text().map(str::to_owned);
        Decided {
            reason: Reason::TakenOver { mark },
            ..self.adopted(want, live)
        }
    }

    /// Somebody else's, which is left alone.
    pub(super) fn foreign(&mut self, want: &Wanted<'_>, live: &Live) -> Option<Decided> {
        let mark = live.mark.text();
        let tool = want.rules.and_then(|r| (r.tool)(mark?));
        self.errors.push(PlanError::Foreign {
            address: want.resource.address.clone(),
            id: live.id.clone(),
            marker: mark.map(str::to_owned),
            tool,
            names: identity_text(want.schema, &want.value),
        });
        None
    }

    /// Whether what has the name of a new resource is recorded under an address that left the spec.
    pub(super) fn was_renamed(&mut self, address: &Address, live: &Live) -> bool {
        let shard = self.inputs.state.shards.get(&address.zone);
        let mut records = shard.into_iter().flat_map(Snapshot::records);
        let gone = |r: &&Record| !self.inputs.config.resources.contains_key(&r.address);
        let same = |r: &&Record| r.id == live.id && r.address.kind == address.kind;
        let Some(record) = records.find(|r| same(r) && gone(r)) else {
            return false;
        };
        let (from, to) = match (&record.address.key, &address.key) {
            // A declaration that was renamed is renamed once, not object by object.
            (Some(a), Some(b)) if a == b => (record.address.declaration(), address.declaration()),
            _ => (record.address.clone(), address.clone()),
        };
        self.errors.push(PlanError::Renamed { from, to });
        true
    }
}

/// What a resource is replaced with when it changes: reduced for the plan, and its value.
pub(super) fn triggers(resource: &Resource, scope: &PlanScope<'_>) -> Vec<(Trigger, Value)> {
    let reduced = |t: &Trigger| Trigger {
        text: t.text.clone(),
        value: t.value.reduce(scope),
    };
    let all = resource.meta.replace_when.iter();
    all.map(|t| (reduced(t), t.value.eval(scope))).collect()
}

impl Inputs {
    /// Whether the spec has a resource take the place of what is there.
    pub fn takes_over(&self, address: &Address, live: &Live) -> bool {
        let take_from = self.sharing(address).take_from;
        let rules = self.object_rules(address).filter(|_| !take_from.is_empty());
        rules.is_some_and(|r| (r.takes)(live.mark.text(), &take_from))
    }
}
