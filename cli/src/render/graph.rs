//! The dependencies of a spec as a picture or as data. Objects of charts and manifests are drawn as
//! their declaration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::Address;
use zonewright_engine::config::Config;

/// Resources and what they need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// By address: how many objects it stands for.
    pub nodes: BTreeMap<Address, usize>,
    /// From what is needed to who needs it, and why.
    pub edges: BTreeSet<(Address, Address, &'static str)>,
}

impl Graph {
    /// The graph of a configuration.
    pub fn of(config: &Config) -> Graph {
        let mut graph = Graph::default();
        for (address, resource) in &config.resources {
            let me = address.declaration();
            *graph.nodes.entry(me.clone()).or_default() += 1;
            let refers = resource.body.references();
            for to in refers.iter().filter_map(|(r, _)| r.address()) {
                graph.edge(to, &me, "refers");
            }
            for (to, _) in &resource.meta.after {
                graph.edge(to, &me, "after");
            }
            let instance = config.instances.get(&resource.instance);
            if let Some(container) = instance.and_then(|i| i.container.as_ref()) {
                graph.edge(container, &me, "lives in");
            }
        }
        graph
    }

    fn edge(&mut self, from: &Address, to: &Address, why: &'static str) {
        let from = from.declaration();
        if from != *to {
            self.edges.insert((from, to.clone(), why));
        }
    }

    /// For Graphviz: an arrow leads from what comes first to what waits for it.
    pub fn dot(&self) -> String {
        let mut out =
            String::from("digraph zonewright {\n  rankdir = LR;\n  node [shape = box];\n");
        for (zone, nodes) in self.by_zone() {
            let _ = writeln!(
                out,
                "  subgraph {} {{\n    label = {};",
                quoted(&format!("cluster_{zone}")),
                quoted(&zone)
            );
            for (address, n) in nodes {
                let label = quoted(&label(address, n));
                let _ = writeln!(
                    out,
                    "    {} [label = {label}];",
                    quoted(&address.to_string())
                );
            }
            out.push_str("  }\n");
        }
        for (from, to, why) in &self.edges {
            let style = if *why == "refers" {
                ""
            } else {
                ", style = dashed"
            };
            let _ = writeln!(
                out,
                "  {} -> {} [label = {}{style}];",
                quoted(&from.to_string()),
                quoted(&to.to_string()),
                quoted(why)
            );
        }
        out.push_str("}\n");
        out
    }

    /// For Markdown.
    pub fn mermaid(&self) -> String {
        let ids: BTreeMap<&Address, usize> = self.nodes.keys().zip(0..).collect();
        let mut out = String::from("flowchart LR\n");
        for (zone, nodes) in self.by_zone() {
            let _ = writeln!(out, "  subgraph {zone}");
            for (address, n) in nodes {
                let text = label(address, n).replace('"', "#quot;");
                let _ = writeln!(out, "    n{}[\"{text}\"]", ids[address]);
            }
            out.push_str("  end\n");
        }
        for (from, to, why) in &self.edges {
            let (Some(a), Some(b)) = (ids.get(from), ids.get(to)) else {
                continue;
            };
            let arrow = if *why == "refers" { "-->" } else { "-.->" };
            let _ = writeln!(out, "  n{a} {arrow} n{b}");
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let nodes: Vec<Json> = self
            .nodes
            .iter()
            .map(|(a, n)| json!({ "address": a, "zone": a.zone, "kind": a.kind, "objects": n }))
            .collect();
        let edges: Vec<Json> = self
            .edges
            .iter()
            .map(|(from, to, why)| json!({ "from": from, "to": to, "why": why }))
            .collect();
        json!({ "format_version": 1, "nodes": nodes, "edges": edges })
    }

    fn by_zone(&self) -> BTreeMap<String, Vec<(&Address, usize)>> {
        let mut zones: BTreeMap<String, Vec<(&Address, usize)>> = BTreeMap::new();
        for (address, n) in &self.nodes {
            zones
                .entry(address.zone.to_string())
                .or_default()
                .push((address, *n));
        }
        zones
    }
}

fn label(address: &Address, objects: usize) -> String {
    if objects > 1 {
        format!("{}.{} ({objects} objects)", address.kind, address.name)
    } else {
        format!("{}.{}", address.kind, address.name)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let vpc: Address = "bz/digitalocean.vpc.main".parse().unwrap();
        let chart: Address = "bz/kubernetes.chart.mon".parse().unwrap();
        Graph {
            nodes: BTreeMap::from([(vpc.clone(), 1), (chart.clone(), 48)]),
            edges: BTreeSet::from([(vpc, chart, "lives in")]),
        }
    }

    #[test]
    fn dot_groups_by_zone_and_counts_objects() {
        assert_eq!(
            graph().dot(),
            r#"digraph zonewright {
  rankdir = LR;
  node [shape = box];
  subgraph "cluster_bz" {
    label = "bz";
    "bz/digitalocean.vpc.main" [label = "digitalocean.vpc.main"];
    "bz/kubernetes.chart.mon" [label = "kubernetes.chart.mon (48 objects)"];
  }
  "bz/digitalocean.vpc.main" -> "bz/kubernetes.chart.mon" [label = "lives in", style = dashed];
}
"#
        );
    }

    #[test]
    fn mermaid_and_json_hold_the_same_edges() {
        assert!(graph().mermaid().contains("  n0 -.-> n1\n"));
        assert_eq!(graph().json()["edges"][0]["to"], "bz/kubernetes.chart.mon");
    }
}
