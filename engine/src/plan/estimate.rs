//! How long a plan should take: the longest path through its steps.

use petgraph::Direction;
use petgraph::graphmap::DiGraphMap;

use super::{Estimate, Step};

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
