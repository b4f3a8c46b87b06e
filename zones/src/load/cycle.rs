//! Circles of resources that wait for each other: each is shown once, as the shortest there is.

use std::collections::{BTreeMap, VecDeque};

use zonewright_engine::address::{Address, InstanceId};
use zonewright_engine::config::{Instance, Resource};
use zonewright_engine::expr::Origin;

use super::Ctx;
use crate::diag::{Code, Draft};

/// Where and why one resource waits for another.
#[derive(Clone)]
struct Wait<'c> {
    to: usize,
    at: Option<&'c Origin>,
    why: &'static str,
}

pub(super) fn check(
    ctx: &Ctx<'_>,
    instances: &BTreeMap<InstanceId, Instance>,
    resources: &BTreeMap<Address, Resource>,
) {
    let index: BTreeMap<&Address, usize> = resources.keys().zip(0..).collect();
    let names: Vec<&Address> = resources.keys().collect();
    let graph: Vec<Vec<Wait<'_>>> = resources
        .values()
        .map(|r| waits(r, instances.get(&r.instance), &index))
        .collect();
    for component in components(&graph) {
        if let Some(circle) = shortest(&graph, &component) {
            report(ctx, &names, &circle);
        }
    }
}

fn waits<'c>(
    resource: &'c Resource,
    instance: Option<&'c Instance>,
    index: &BTreeMap<&Address, usize>,
) -> Vec<Wait<'c>> {
    let body = resource.body.references().into_iter();
    let body = body.filter_map(|(r, at)| Some((r.address()?, at, "refers to")));
    let after = resource.meta.after.iter();
    let after = after.map(|(a, at)| (a, at.as_ref(), "comes after"));
    let config = instance.map(|i| i.config.references()).unwrap_or_default();
    let config = config.into_iter();
    let config = config.filter_map(|(r, at)| Some((r.address()?, at, "lives in")));
    body.chain(after)
        .chain(config)
        .filter_map(|(address, at, why)| {
            let to = *index.get(address)?;
            Some(Wait { to, at, why })
        })
        .collect()
}

/// Tarjan's strongly connected components that hold a circle, without recursion.
fn components(graph: &[Vec<Wait<'_>>]) -> Vec<Vec<usize>> {
    let mut search = Search {
        order: vec![0; graph.len()],
        low: vec![0; graph.len()],
        on_stack: vec![false; graph.len()],
        stack: Vec::new(),
        next: 1,
        out: Vec::new(),
    };
    for node in 0..graph.len() {
        if search.order[node] == 0 {
            search.run(graph, node);
        }
    }
    let mut out = search.out;
    out.retain(|c| c.len() > 1 || graph[c[0]].iter().any(|w| w.to == c[0]));
    out.iter_mut().for_each(|c| c.sort_unstable());
    out.sort();
    out
}

struct Search {
    order: Vec<usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next: usize,
    out: Vec<Vec<usize>>,
}

impl Search {
    fn enter(&mut self, node: usize) {
        self.order[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn run(&mut self, graph: &[Vec<Wait<'_>>], root: usize) {
        self.enter(root);
        let mut path = vec![(root, 0)];
        while let Some((node, at)) = path.pop() {
            if let Some(wait) = graph[node].get(at) {
                path.push((node, at + 1));
                if self.order[wait.to] == 0 {
                    self.enter(wait.to);
                    path.push((wait.to, 0));
                } else if self.on_stack[wait.to] {
                    self.low[node] = self.low[node].min(self.order[wait.to]);
                }
                continue;
            }
            if let Some((parent, _)) = path.last() {
                self.low[*parent] = self.low[*parent].min(self.low[node]);
            }
            if self.low[node] == self.order[node] {
                self.leave(node);
            }
        }
    }

    fn leave(&mut self, root: usize) {
        let mut component = Vec::new();
        while let Some(node) = self.stack.pop() {
            self.on_stack[node] = false;
            component.push(node);
            if node == root {
                break;
            }
        }
        self.out.push(component);
    }
}

/// Searching from this many members finds a short circle; more would cost squared time.
const STARTS: usize = 64;

/// The shortest circle through the first members of a component: each node with its wait.
fn shortest<'g, 'c>(
    graph: &'g [Vec<Wait<'c>>],
    component: &[usize],
) -> Option<Vec<(usize, &'g Wait<'c>)>> {
    let starts = component.iter().take(STARTS);
    starts
        .filter_map(|start| circle(graph, *start))
        .min_by_key(Vec::len)
}

fn circle<'g, 'c>(graph: &'g [Vec<Wait<'c>>], start: usize) -> Option<Vec<(usize, &'g Wait<'c>)>> {
    let mut from: BTreeMap<usize, (usize, &Wait<'c>)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for wait in &graph[node] {
            if wait.to == start {
                let mut out = vec![(node, wait)];
                let mut here = node;
                while here != start {
                    let (before, wait) = from[&here];
                    out.push((before, wait));
                    here = before;
                }
                out.reverse();
                return Some(out);
            }
            if !from.contains_key(&wait.to) {
                from.insert(wait.to, (node, wait));
                queue.push_back(wait.to);
            }
        }
    }
    None
}

fn report(ctx: &Ctx<'_>, names: &[&Address], circle: &[(usize, &Wait<'_>)]) {
    let mut shown: Vec<String> = circle.iter().map(|(n, _)| names[*n].to_string()).collect();
    shown.extend(shown.first().cloned());
    let message = format!("resources wait for each other: {}", shown.join(" -> "));
    let zones: std::collections::BTreeSet<_> =
        circle.iter().map(|(n, _)| &names[*n].zone).collect();
    let mut draft = Draft::new(Code::Cycle, message);
    for (node, wait) in circle {
        if let Some(at) = wait.at {
            let text = format!("{} {} {}", names[*node], wait.why, names[wait.to]);
            draft = draft.label(ctx.loc(at), text);
        }
    }
    let help = if zones.len() > 1 {
        "take one of the references out; the one that crosses zones is the first to doubt"
    } else {
        "take one of the references out"
    };
    ctx.report(draft.help(help));
}
