//! Which instances can be opened and what can be read, given what was seen so far. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inputs, Observations, looks_at, lookup_seen, only_observed, target};
use crate::address::{Address, AttrPath, InstanceId};
use crate::config::{Instance, Resource};
use crate::expr::Reference;
use crate::plan::Refresh;
use crate::plan::build::object_values;
use crate::plan::rolls::Rolls;
use crate::provider::{ErrorClass, Observed, ProviderError, ReadTarget, Status};
use crate::value::Value;

/// What to do next.
#[derive(Debug, Default, PartialEq)]
pub struct Wave {
    /// Instances to open: configuration and the container's id.
    pub open: BTreeMap<InstanceId, (Value, Option<(Address, String)>)>,
    /// Instances whose container does not exist.
    pub absent: BTreeSet<InstanceId>,
    /// Instances whose container could not be read, and is not recorded either.
    pub unreadable: BTreeMap<InstanceId, ProviderError>,
    /// What to read through instances that are open by now.
    pub reads: BTreeMap<InstanceId, Vec<ReadTarget>>,
}

impl Wave {
    /// Whether there is nothing left to do.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
            && self.absent.is_empty()
            && self.unreadable.is_empty()
            && self.reads.is_empty()
    }
}

/// The next wave. `opened` are the instances that are open; call it until it is empty.
pub fn next_wave(inputs: &Inputs, seen: &Observations, opened: &BTreeSet<InstanceId>) -> Wave {
    let wanted = targets(inputs, seen);
    let mut wave = Wave::default();
    for (id, addresses) in wanted {
        if opened.contains(&id) {
            let reads = readable(inputs, seen, addresses);
            if !reads.is_empty() {
                wave.reads.insert(id, reads);
            }
        } else if !seen.absent.contains(&id) && !seen.unopened.contains_key(&id) {
            plan_open(inputs, seen, &id, &mut wave);
        }
    }
    wave
}

/// Unseen addresses that shall be looked at, by instance. Containers that instances need are among
/// them even when only their contents are asked for.
fn targets(inputs: &Inputs, seen: &Observations) -> BTreeMap<InstanceId, Vec<Address>> {
    let changed = match inputs.options.refresh {
        Refresh::Changed => changed_addresses(inputs),
        _ => BTreeSet::new(),
    };
    let mut addresses: BTreeSet<Address> = inputs
        .addresses()
        .into_iter()
        .filter(|a| looks_at(inputs, &changed, a))
        .collect();
    addresses.extend(outside_needs(inputs, &addresses));
    let containers: Vec<Address> = addresses
        .iter()
        .filter_map(|a| inputs.instance_of(a))
        .filter_map(|id| inputs.instance(&id)?.container.clone())
        .collect();
    addresses.extend(containers);
    let mut out: BTreeMap<InstanceId, Vec<Address>> = BTreeMap::new();
    for address in addresses {
        if seen.seen.contains_key(&address) {
            continue;
        }
        if let Some(id) = inputs.instance_of(&address) {
            out.entry(id).or_default().push(address);
        }
    }
    out
}

/// Resources out of the selection that have to be read, because no record has what is needed of them:
/// owners of secret outputs, which are never recorded, and what is only observed, with what that needs
/// in turn.
fn outside_needs(inputs: &Inputs, addresses: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut out = BTreeSet::new();
    let mut from: Vec<&Resource> = addresses.iter().filter_map(|a| inputs.wanted(a)).collect();
    while let Some(resource) = from.pop() {
        for (reference, _) in resource.body.references() {
            let Reference::Resource { address, path } = reference else {
                continue;
            };
            if only_observed(inputs, address) {
                if !addresses.contains(address) && out.insert(address.clone()) {
                    from.extend(inputs.config.resources.get(address));
                }
            } else if inputs.state.record(address).is_some() && is_secret(inputs, address, path) {
                out.insert(address.clone());
            }
        }
    }
    out
}

fn is_secret(inputs: &Inputs, address: &Address, path: &AttrPath) -> bool {
    let kind = inputs.registry.kind(&address.kind);
    let output = path.first_key().and_then(|key| kind?.output(key));
    output.is_some_and(|o| o.secret)
}

fn plan_open(inputs: &Inputs, seen: &Observations, id: &InstanceId, wave: &mut Wave) {
    let Some(instance) = inputs.instance(id) else {
        // What it manages may well be there: never taken for gone.
        let message =
            format!("{id} is no longer configured; put its table back until this is gone");
        let error = ProviderError::new(ErrorClass::Failed, message);
        wave.unreadable.insert(id.clone(), error);
        return;
    };
    let scope = |reference: &Reference| lookup_seen(inputs, seen, reference);
    let config = instance.config.eval(&scope);
    match container_id(inputs, seen, instance) {
        Container::None => {
            wave.open.insert(id.clone(), (config, None));
        }
        Container::Id(address, live) => {
            wave.open
                .insert(id.clone(), (config, Some((address, live))));
        }
        Container::Absent => {
            wave.absent.insert(id.clone());
        }
        Container::Unreadable(error) => {
            wave.unreadable.insert(id.clone(), error);
        }
        Container::Unseen => {}
    }
}

enum Container {
    None,
    Id(Address, String),
    Absent,
    Unreadable(ProviderError),
    Unseen,
}

fn container_id(inputs: &Inputs, seen: &Observations, instance: &Instance) -> Container {
    let Some(address) = &instance.container else {
        return Container::None;
    };
    match seen.seen.get(address) {
        Some(Observed::Present(live)) => match live.status {
            Status::Deleting => Container::Absent,
            // A cluster that is still being made, or never was, holds nothing of ours yet. One that
            // is ill still holds what it held.
            Status::Pending(_) | Status::Failed(_) if !holds_records(inputs, &instance.id) => {
                Container::Absent
            }
            _ => Container::Id(address.clone(), live.id.clone()),
        },
        Some(Observed::Gone | Observed::Foreign(_)) => Container::Absent,
        // Unreadable: the last known id is tried; what is inside may still be reachable.
        Some(Observed::Unreadable(error)) => match inputs.state.record(address) {
            Some(record) => Container::Id(address.clone(), record.id.clone()),
            None => Container::Unreadable(error.clone()),
        },
        None => Container::Unseen,
    }
}

fn holds_records(inputs: &Inputs, id: &InstanceId) -> bool {
    inputs.state.records().any(|r| r.instance == *id)
}

/// Recorded resources can be read once it is seen whether what contains them is what is recorded; a new one
/// is read once what it refers to was seen, so that the vendor can be asked for it by name.
fn readable(inputs: &Inputs, seen: &Observations, addresses: Vec<Address>) -> Vec<ReadTarget> {
    let unseen: BTreeSet<Address> = addresses.iter().cloned().collect();
    let (now, later): (Vec<_>, Vec<_>) =
        addresses
            .into_iter()
            .partition(|a| match inputs.state.record(a) {
                Some(record) => !record
                    .contained_in
                    .as_ref()
                    .is_some_and(|c| unseen.contains(&c.address)),
                None => refers_to_seen(inputs, seen, a),
            });
    let chosen = if now.is_empty() { later } else { now };
    chosen.iter().map(|a| target(inputs, seen, a)).collect()
}

fn refers_to_seen(inputs: &Inputs, seen: &Observations, address: &Address) -> bool {
    let Some(resource) = inputs.config.resources.get(address) else {
        return true;
    };
    let references = resource.body.references();
    references
        .iter()
        .filter_map(|(r, _)| r.address())
        .all(|a| seen.seen.contains_key(a) || inputs.state.record(a).is_some())
}

/// What the spec changed against the state, and what depends on that.
fn changed_addresses(inputs: &Inputs) -> BTreeSet<Address> {
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
    let rolls = Rolls::of(inputs, &object_values(inputs, &nothing));
    let mut changed: BTreeSet<Address> = inputs
        .addresses()
        .into_iter()
        .filter(
            |address| match (inputs.wanted(address), inputs.state.record(address)) {
                (Some(want), Some(record)) => {
                    let desired = rolls.value(inputs, &scope, want, Some(record));
                    crate::plan::build::recorded_inputs(
                        &inputs.registry,
                        address,
                        &desired,
                        inputs.ignored(address),
                    ) != record.inputs
                }
                _ => true,
            },
        )
        .collect();
    loop {
        let more: Vec<Address> = inputs
            .config
            .resources
            .values()
            .filter(|r| inputs.options.selects(&r.address.zone) && !changed.contains(&r.address))
            .filter(|r| {
                let references = r.body.references();
                references
                    .iter()
                    .filter_map(|(r, _)| r.address())
                    .any(|a| changed.contains(a))
            })
            .map(|r| r.address.clone())
            .collect();
        if more.is_empty() {
            return changed;
        }
        changed.extend(more);
    }
}
