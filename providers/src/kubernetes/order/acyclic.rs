//! Leaves out the edges that would close a circle.
//!
//! Objects that no circle goes through are peeled off first, so that the search is done only where
//! there are circles; without any, this is linear.

use super::Edge;

/// The edges without those that close a circle with earlier ones.
pub(crate) fn keep(nodes: usize, edges: &[Edge]) -> Vec<Edge> {
    let core = core(nodes, edges);
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut kept = Vec::with_capacity(edges.len());
    for edge in edges {
        if core[edge.before] && core[edge.after] {
            if reaches(&next, edge.after, edge.before) {
                tracing::debug!(why = edge.why, "an implied order would close a circle");
                continue;
            }
            next[edge.before].push(edge.after);
        }
        kept.push(*edge);
    }
    kept
}

/// Which objects remain when those without predecessors, and those without successors, are taken
/// away again and again.
fn core(nodes: usize, edges: &[Edge]) -> Vec<bool> {
    let mut alive = vec![true; nodes];
    let forward: Vec<_> = edges.iter().map(|e| (e.before, e.after)).collect();
    let backward: Vec<_> = edges.iter().map(|e| (e.after, e.before)).collect();
    peel(&mut alive, &forward);
    peel(&mut alive, &backward);
    alive
}

fn peel(alive: &mut [bool], edges: &[(usize, usize)]) {
    let mut degree = vec![0usize; alive.len()];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); alive.len()];
    for &(from, to) in edges {
        if alive[from] && alive[to] {
            degree[to] += 1;
            next[from].push(to);
        }
    }
    let mut free: Vec<usize> = (0..alive.len())
        .filter(|i| alive[*i] && degree[*i] == 0)
        .collect();
    while let Some(node) = free.pop() {
        alive[node] = false;
        for &to in &next[node] {
            degree[to] -= 1;
            if degree[to] == 0 {
                free.push(to);
            }
        }
    }
}

fn reaches(next: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; next.len()];
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if !std::mem::replace(&mut seen[node], true) {
            open.extend(&next[node]);
        }
    }
    false
}
