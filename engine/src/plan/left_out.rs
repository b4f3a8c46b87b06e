//! What a selection leaves out, as far as the spec and the records tell: nobody is asked.

use serde::Serialize;

use super::build::{object_values, recorded_inputs};
use super::rolls::Rolls;
use crate::address::{Address, ZoneName};
use crate::config::Resource;
use crate::expr::{Lookup, Reference, Scope};
use crate::observe::{Inputs, Observations, live_value, recorded_live};
use crate::snapshot::{RecordStatus, State};
use crate::value::Value;

/// A shard that a selection leaves out although there is something in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The shard.
    pub zone: ZoneName,
    /// How many of its resources are recorded differently from what the spec says, or not at all, or are in
    /// the records only. What hangs on a secret or on what only the vendor knows is not among them.
    pub pending: usize,
}

/// The shards that the options of these inputs leave out, with what is recorded in `state` now.
pub fn left_out(inputs: &Inputs, state: &State) -> Vec<LeftOut> {
    let declared = inputs.config.resources.values();
    let declared = declared.filter(|r| !r.meta.observe).map(|r| &r.address);
    let recorded = state.records().map(|r| &r.address);
    let mut all: Vec<&Address> = declared.chain(recorded).collect();
    all.retain(|a| !inputs.options.selects(&a.zone));
    all.sort();
    all.dedup();
    let rolls = Rolls::of(inputs, &object_values(inputs, &Observations::default()));
    let mut out: Vec<LeftOut> = Vec::new();
    for address in all {
        let pending = usize::from(is_pending(inputs, state, &rolls, address));
        match out.iter_mut().find(|l| l.zone == address.zone) {
            Some(shard) => shard.pending += pending,
            None => out.push(LeftOut {
                zone: address.zone.clone(),
                pending,
            }),
        }
    }
    out
}

fn is_pending(inputs: &Inputs, state: &State, rolls: &Rolls, address: &Address) -> bool {
    let wanted = inputs.config.resources.get(address);
    let (Some(resource), Some(record)) = (wanted, state.record(address)) else {
        return true;
    };
    if record.status != RecordStatus::Ok {
        return true;
    }
    let scope = AsRecorded { inputs, state };
    let desired = rolls.value(inputs, &scope, resource, Some(record));
    desired.is_known()
        && recorded_inputs(&inputs.registry, address, &desired, inputs.ignored(address))
            != record.inputs
}

/// References as the spec says, else as recorded.
struct AsRecorded<'a> {
    inputs: &'a Inputs,
    state: &'a State,
}

impl AsRecorded<'_> {
    fn value(&self, resource: &Resource) -> Value {
        resource.body.eval(self)
    }
}

impl Scope for AsRecorded<'_> {
    fn lookup(&self, reference: &Reference) -> Lookup {
        let Reference::Resource { address, path } = reference else {
            return Lookup::Later { secret: true };
        };
        let said = self.inputs.config.resources.get(address);
        let said = said.filter(|_| !path.is_empty());
        let said = said.and_then(|r| self.value(r).at(path).cloned());
        let recorded = || {
            let record = self.state.record(address)?;
            live_value(&recorded_live(record), path)
        };
        match said.filter(|v| *v != Value::Null).or_else(recorded) {
            Some(value) if value.is_known() => Lookup::Known(value),
            _ => Lookup::Later { secret: false },
        }
    }
}
