//! What a resource depends on, and the edges between steps that follow.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graphmap::DiGraphMap;

use super::build::PlanError;
use super::{Action, Change, Edge, EdgeReason, Reason, Step, StepNode};
use crate::address::{Address, InstanceId};
use crate::observe::Inputs;
use crate::snapshot::Record;
use crate::value::Value;

/// Direct dependencies of every configured resource, each with its reason.
#[derive(Debug, Default)]
pub(crate) struct Dependencies {
    by_address: BTreeMap<Address, BTreeMap<Address, EdgeReason>>,
}

impl Dependencies {
    /// What an address directly depends on.
    pub(crate) fn of(&self, address: &Address) -> impl Iterator<Item = (&Address, &EdgeReason)> {
        self.by_address.get(address).into_iter().flatten()
    }

    /// The same without the reasons, in order.
    pub(crate) fn addresses(&self, address: &Address) -> Vec<Address> {
        self.of(address).map(|(a, _)| a.clone()).collect()
    }
}

impl Inputs {
    /// All direct dependencies of the configuration. `values` are the objects as far as known.
    pub(crate) fn dependencies(&self, values: &BTreeMap<Address, Value>) -> Dependencies {
        let mut out = Dependencies::default();
        for resource in self.config.resources.values() {
            let mut mine = BTreeMap::new();
            for (reference, _) in resource.references() {
                if let Some(address) = reference.address() {
                    let reference = reference.clone();
                    mine.entry(address.clone())
                        .or_insert(EdgeReason::Refers { reference });
                }
            }
            for (address, _) in &resource.meta.after {
                mine.entry(address.clone()).or_insert(EdgeReason::After);
            }
            if let Some(container) = self.container_of(&resource.address) {
                mine.insert(container, EdgeReason::Contained);
            }
            mine.remove(&resource.address);
            out.by_address.insert(resource.address.clone(), mine);
        }
        self.imply(values, &mut out);
        out
    }

    /// Orders that follow from the objects themselves; explicit reasons win.
    fn imply(&self, values: &BTreeMap<Address, Value>, out: &mut Dependencies) {
        for provider in self.registry.providers() {
            let Some(rules) = &provider.objects else {
                continue;
            };
            let objects: Vec<(&Address, &Value)> = values
                .iter()
                .filter(|(a, _)| a.kind.provider() == provider.name)
                .collect();
            let mut by_zone: BTreeMap<_, Vec<(&Address, &Value)>> = BTreeMap::new();
            for (address, value) in objects {
                by_zone
                    .entry(&address.zone)
                    .or_default()
                    .push((address, value));
            }
            for objects in by_zone.values() {
                for implied in (rules.implied)(objects) {
                    let mine = out.by_address.entry(implied.after).or_default();
                    mine.entry(implied.before).or_insert(EdgeReason::Implied {
                        what: implied.why.to_owned(),
                    });
                }
            }
        }
    }
}

/// Resources in an order in which everything comes after what it depends on; among equals by
/// address.
pub(crate) fn ordered<'a>(
    wanted: &BTreeSet<&'a Address>,
    dependencies: &Dependencies,
) -> Result<Vec<&'a Address>, PlanError> {
    let mut missing: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&Address, Vec<&'a Address>> = BTreeMap::new();
    for address in wanted {
        let mut count = 0;
        for (before, _) in dependencies.of(address).filter(|(d, _)| wanted.contains(d)) {
            count += 1;
            dependents.entry(before).or_default().push(address);
        }
        missing.insert(address, count);
    }
    let mut ready: BTreeSet<&'a Address> = wanted
        .iter()
        .filter(|a| missing.get(**a) == Some(&0))
        .copied()
        .collect();
    let mut out = Vec::new();
    while let Some(next) = ready.pop_first() {
        out.push(next);
        for dependent in dependents.get(next).into_iter().flatten() {
            if let Some(count) = missing.get_mut(*dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(dependent);
                }
            }
        }
    }
    if out.len() == wanted.len() {
        return Ok(out);
    }
    let done: BTreeSet<&Address> = out.into_iter().collect();
    let stuck = wanted.difference(&done);
    let stuck: Vec<String> = stuck.map(|a| a.to_string()).collect();
    Err(PlanError::Cycle { nodes: stuck })
}

/// The positions of steps by what they work on.
pub(super) struct StepIndex<'a> {
    positions: BTreeMap<&'a StepNode, usize>,
}

impl<'a> StepIndex<'a> {
    pub(super) fn new(steps: &'a [Step]) -> Self {
        StepIndex {
            positions: steps
                .iter()
                .enumerate()
                .map(|(i, s)| (&s.node, i))
                .collect(),
        }
    }

    pub(super) fn act(&self, address: &Address, actions: &[Action]) -> Option<usize> {
        actions.iter().find_map(|action| {
            let node = StepNode::Act {
                address: address.clone(),
                action: *action,
            };
            self.positions.get(&node).copied()
        })
    }

    /// The step after which the resource is there as it shall be.
    pub(super) fn up(&self, address: &Address) -> Option<usize> {
        self.act(address, &[Action::Create, Action::Update, Action::Adopt])
    }

    /// The step after which the old resource is gone.
    pub(super) fn down(&self, address: &Address) -> Option<usize> {
        self.act(address, &[Action::Delete, Action::Forget])
    }

    /// The step that removes the resource by request, if it is one.
    fn down_by_request(&self, address: &Address) -> Option<usize> {
        self.act(address, &[Action::Delete])
    }

    fn open(&self, instance: &InstanceId) -> Option<usize> {
        let instance = instance.clone();
        self.positions.get(&StepNode::Open { instance }).copied()
    }
}

/// All edges between the steps of a plan, sorted.
pub(super) fn edges(
    inputs: &Inputs,
    dependencies: &Dependencies,
    changes: &[Change],
    steps: &[Step],
) -> Vec<Edge> {
    let index = StepIndex::new(steps);
    let mut out = BTreeSet::new();
    let mut add = |from: Option<usize>, to: Option<usize>, why: EdgeReason| {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            out.insert(Edge { from, to, why });
        }
    };
    for step in steps {
        if let StepNode::Open { instance } = &step.node {
            let container = inputs.instance(instance).and_then(|i| i.container.as_ref());
            if let Some(container) = container {
                add(
                    index.up(container),
                    index.open(instance),
                    EdgeReason::Contained,
                );
            }
        }
    }
    for change in changes {
        let address = &change.address;
        let (up, down) = (index.up(address), index.down(address));
        if up.is_some() {
            add(index.open(&change.instance), up, EdgeReason::Provider);
            for (before, why) in dependencies.of(address) {
                add(index.up(before), up, why.clone());
            }
        }
        if up.is_some()
            && let Some(record) = inputs.state.record(address)
        {
            // What no longer depends on something lets go of it before it is deleted.
            for before in &record.depends_on {
                if index.up(before).is_none() && left_spec(changes, before) {
                    add(up, index.down_by_request(before), EdgeReason::Reverse);
                }
            }
        }
        if change.actions.contains(&Action::Delete) && !container_made(inputs, changes, change) {
            add(index.open(&change.instance), down, EdgeReason::Provider);
        }
        if change.actions.first() == Some(&Action::Forget) {
            // Nothing is sent: it only has to stay recorded until its container is really gone.
            let container = change.container.as_ref().and_then(|c| index.down(c));
            add(container, down, EdgeReason::Contained);
        } else if down.is_some() {
            let record = inputs.state.record(address);
            for before in record.into_iter().flat_map(down_dependencies) {
                add(down, index.down_by_request(before), EdgeReason::Reverse);
            }
        }
        add(down, up, EdgeReason::Replaced);
    }
    out.into_iter().collect()
}

fn left_spec(changes: &[Change], address: &Address) -> bool {
    let found = changes.binary_search_by(|c| c.address.cmp(address));
    found.is_ok_and(|i| changes[i].reason == Reason::LeftSpec)
}

/// Whether the container that a change's instance lives in is made by this plan: then the instance
/// opens in the new one, and what is deleted is deleted in the old one.
fn container_made(inputs: &Inputs, changes: &[Change], change: &Change) -> bool {
    let container = inputs
        .instance(&change.instance)
        .and_then(|i| i.container.as_ref());
    container
        .and_then(|address| {
            let found = changes.binary_search_by(|c| c.address.cmp(address));
            found.ok().map(|i| &changes[i])
        })
        .is_some_and(|c| c.actions.contains(&Action::Create))
}

fn down_dependencies(record: &Record) -> impl Iterator<Item = &Address> {
    let container = record.contained_in.as_ref().map(|c| &c.address);
    record.depends_on.iter().chain(container)
}

/// The instances that steps of these changes need.
pub(super) fn needed_instances(changes: &[Change]) -> BTreeSet<InstanceId> {
    changes
        .iter()
        .filter(|c| c.reason != Reason::RecordOnly)
        .filter(|c| {
            c.actions.iter().any(|a| {
                matches!(
                    a,
                    Action::Create | Action::Update | Action::Delete | Action::Adopt
                )
            })
        })
        .map(|c| c.instance.clone())
        .collect()
}

/// The steps as a graph of positions.
pub(crate) fn graph(steps: usize, edges: &[Edge]) -> DiGraphMap<usize, ()> {
    let mut graph = DiGraphMap::with_capacity(steps, edges.len());
    for position in 0..steps {
        graph.add_node(position);
    }
    for edge in edges {
        graph.add_edge(edge.from, edge.to, ());
    }
    graph
}

/// The steps of one cycle, if there is any.
pub(super) fn cycle(graph: &DiGraphMap<usize, ()>) -> Option<Vec<usize>> {
    petgraph::algo::tarjan_scc(graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .min_by_key(Vec::len)
}
