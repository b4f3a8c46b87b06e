//! The values of references while planning: what will be known, and what will come later.

use std::collections::BTreeMap;

use super::decide::Decided;
use crate::address::{Address, AttrPath};
use crate::expr::{Lookup, Reference, Scope};
use crate::observe::{Inputs, Observations, live_value, lookup_seen};
use crate::value::Value;

/// References resolved against what was decided so far.
pub(super) struct PlanScope<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) seen: &'a Observations,
    pub(super) decided: &'a BTreeMap<Address, Decided>,
}

impl Scope for PlanScope<'_> {
    fn lookup(&self, reference: &Reference) -> Lookup {
        let Reference::Resource { address, path } = reference else {
            return lookup_seen(self.inputs, self.seen, reference);
        };
        let found = match self.decided.get(address) {
            Some(decided) => self.decided_value(decided, path),
            None => match lookup_seen(self.inputs, self.seen, reference) {
                Lookup::Known(value) => Some(value),
                Lookup::Later { .. } => None,
            },
        };
        match found {
            Some(value) if value.is_known() => Lookup::Known(value),
            _ => Lookup::Later {
                secret: self.is_secret(address, path),
            },
        }
    }
}

impl PlanScope<'_> {
    /// What the spec says of an attribute holds before and after; what the vendor gives holds only
    /// as long as the object stays.
    fn decided_value(&self, decided: &Decided, path: &AttrPath) -> Option<Value> {
        if !path.is_empty()
            && let Some(value) = decided.value.as_ref().and_then(|v| v.at(path))
            && *value != Value::Null
        {
            return Some(value.clone());
        }
        decided.lasting().and_then(|live| live_value(live, path))
    }

    fn is_secret(&self, address: &Address, path: &AttrPath) -> bool {
        path.first_key()
            .and_then(|key| self.inputs.registry.kind(&address.kind)?.output(key))
            .is_some_and(|output| output.secret)
    }
}
