//! How long a plan should take: the longest path through its steps.

use std::time::Duration;

use petgraph::Direction;
use petgraph::graphmap::DiGraphMap;

use super::roles::{PROMOTED, is_promoted, is_replica};
use super::{Action, Change, Estimate, Reason, Step};
use crate::expr::{Expr, Lookup, Reference};
use crate::observe::Inputs;
use crate::value::Value;

/// Seconds that an action typically takes. `changes` are those of the whole plan.
pub(super) fn seconds(inputs: &Inputs, changes: &[Change], change: &Change, action: Action) -> u64 {
    typical(inputs, change, action) + source_wait(inputs, changes, change, action)
}

/// Seconds from the start of each step to the end of the longest path behind it. `order` is a
/// topological order.
pub(crate) fn remaining(
    graph: &DiGraphMap<usize, ()>,
    order: &[usize],
    steps: &[Step],
) -> Vec<u64> {
    let mut left = vec![0; steps.len()];
    for &node in order.iter().rev() {
        let behind = graph
            .neighbors_directed(node, Direction::Outgoing)
            .map(|next| left[next])
            .max()
            .unwrap_or(0);
        left[node] = behind + steps[node].seconds;
    }
    left
}

/// The longest path; among equals the one with the smallest positions.
pub(super) fn estimate(graph: &DiGraphMap<usize, ()>, order: &[usize], steps: &[Step]) -> Estimate {
    let left = remaining(graph, order, steps);
    let longest = |candidates: &mut dyn Iterator<Item = usize>| {
        candidates.max_by_key(|&n| (left[n], std::cmp::Reverse(n)))
    };
    let mut roots = (0..steps.len()).filter(|&n| {
        graph
            .neighbors_directed(n, Direction::Incoming)
            .next()
            .is_none()
    });
    let mut here = longest(&mut roots);
    let seconds = here.map_or(0, |n| left[n]);
    let mut critical_path = Vec::new();
    while let Some(node) = here {
        critical_path.push(node);
        here = longest(&mut graph.neighbors_directed(node, Direction::Outgoing));
    }
    Estimate {
        seconds,
        critical_path,
    }
}

/// How long what it is made from must have been ready, when that is made by the same plan.
fn source_wait(inputs: &Inputs, changes: &[Change], change: &Change, action: Action) -> u64 {
    let schema = inputs.registry.kind(&change.address.kind);
    let source = schema.and_then(|s| s.typical.source);
    let (Action::Create, Some((attr, wait)), Some(desired)) = (action, source, &change.desired)
    else {
        return 0;
    };
    let references = desired.get(attr).map(Expr::references).unwrap_or_default();
    let fresh = references.iter().any(|(reference, _)| {
        let address = reference.address();
        let made = address.and_then(|a| changes.iter().find(|c| c.address == *a));
        made.is_some_and(|c| c.actions.contains(&Action::Create))
    });
    if fresh { wait.as_secs() } else { 0 }
}

/// Whether a replica becomes a database of its own.
fn promotes(inputs: &Inputs, change: &Change) -> bool {
    let address = &change.address;
    let wanted = inputs
        .config
        .resources
        .get(address)
        .is_some_and(is_promoted);
    let (attr, primary) = PROMOTED;
    let record = inputs.state.record(address);
    let was = record
        .and_then(|r| r.inputs.get(attr))
        .and_then(Value::as_str);
    is_replica(&inputs.registry, address) && wanted && was != Some(primary)
}

fn typical(inputs: &Inputs, change: &Change, action: Action) -> u64 {
    let Some(schema) = inputs.registry.kind(&change.address.kind) else {
        return 0;
    };
    let rules = inputs.object_rules(&change.address);
    let duration = match action {
        Action::Create | Action::Update | Action::Adopt if rules.is_some() => {
            let object = change
                .desired
                .as_ref()
                .map(|e| e.eval(&|_: &Reference| Lookup::Later { secret: false }));
            rules
                .zip(object)
                .map(|(r, o)| (r.typical)(&o))
                .unwrap_or_default()
        }
        Action::Create | Action::Adopt => schema.typical.create,
        Action::Update if change.reason == Reason::RecordOnly => Duration::ZERO,
        Action::Update if promotes(inputs, change) => {
            schema.typical.promote.unwrap_or(schema.typical.update)
        }
        Action::Update => schema.typical.update,
        Action::Delete => schema.typical.delete,
        Action::NoOp | Action::Read | Action::Forget => Duration::ZERO,
    };
    duration.as_secs()
}
