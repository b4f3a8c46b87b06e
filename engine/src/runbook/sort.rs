//! Which stage each step of the plan belongs to, and how long the stages take.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::graphmap::DiGraphMap;

use super::{Effect, Stage};
use crate::address::Address;
use crate::observe::{Inputs, Observations};
use crate::parity::Relative;
use crate::plan::build::object_values;
use crate::plan::edges::graph;
use crate::plan::exposure::exposure;
use crate::plan::roles::{is_replica, is_writer};
use crate::plan::{Action, Plan, StepNode};
use crate::value::Text;

/// The plan by stages.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What happens in each, in the order of the graph.
    pub(super) effects: BTreeMap<Stage, Vec<Effect>>,
    /// How much longer each takes than those before it.
    pub(super) seconds: BTreeMap<Stage, u64>,
    /// The stage of every step that does something, by its position in the plan.
    pub(super) stages: BTreeMap<usize, Stage>,
}

/// Sorts a plan's steps.
pub(super) fn sort(inputs: &Inputs, plan: &Plan) -> Sorted {
    let kinds = Kinds::of(inputs);
    let graph = graph(plan.steps.len(), &plan.edges);
    let mut out = Sorted::default();
    let mut ends: Vec<u64> = vec![0; plan.steps.len()];
    let mut longest: BTreeMap<Stage, u64> = BTreeMap::new();
    for step in order(plan, &graph) {
        let waits_for: Vec<usize> = graph
            .neighbors_directed(step, Direction::Incoming)
            .collect();
        let StepNode::Act { address, action } = &plan.steps[step].node else {
            continue;
        };
        let before = waits_for.iter().filter_map(|s| out.stages.get(s));
        let own = kinds.stage(address);
        let stage = before.copied().max().map_or(own, |b| b.max(own));
        let run = run_of(stage);
        let same_run = |s: &&usize| out.stages.get(s).is_some_and(|x| run_of(*x) == run);
        let start = waits_for.iter().filter(same_run).map(|s| ends[*s]).max();
        ends[step] = start.unwrap_or(0) + plan.steps[step].seconds;
        let end = longest.entry(stage).or_default();
        *end = (*end).max(ends[step]);
        out.stages.insert(step, stage);
        add(out.effects.entry(stage).or_default(), address, *action);
    }
    let mut so_far: BTreeMap<u8, u64> = BTreeMap::new();
    for (stage, end) in longest {
        let before = so_far.entry(run_of(stage)).or_default();
        out.seconds.insert(stage, end.saturating_sub(*before));
        *before = (*before).max(end);
    }
    out
}

/// The steps in an order that the graph allows and that does not depend on what zones are called.
fn order(plan: &Plan, graph: &DiGraphMap<usize, ()>) -> Vec<usize> {
    let key = |step: usize| match &plan.steps[step].node {
        StepNode::Open { instance } => (None, None, instance.provider.clone()),
        StepNode::Act { address, action } => {
            (Some(Relative::of(address)), Some(*action), Text::default())
        }
    };
    let neighbours = |step, direction| graph.neighbors_directed(step, direction);
    let mut waits: Vec<usize> = (0..plan.steps.len())
        .map(|step| neighbours(step, Direction::Incoming).count())
        .collect();
    let free = (0..waits.len()).filter(|&s| waits[s] == 0);
    let mut ready: BTreeSet<_> = free.map(|s| (key(s), s)).collect();
    let mut out = Vec::new();
    while let Some((_, step)) = ready.pop_first() {
        out.push(step);
        for next in neighbours(step, Direction::Outgoing) {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.insert((key(next), next));
            }
        }
    }
    out
}

/// Stages that one apply carries out together.
fn run_of(stage: Stage) -> u8 {
    match stage {
        Stage::Wiring | Stage::Application | Stage::Exposure => 1,
        Stage::Flip => 2,
        Stage::StandDown => 3,
        _ => 0,
    }
}

fn add(effects: &mut Vec<Effect>, address: &Address, action: Action) {
    let declaration = address.declaration();
    let known = effects
        .iter_mut()
        .find(|e| e.action == action && e.address.declaration() == declaration);
    match known {
        Some(effect) => {
            effect.count += 1;
            effect.address = declaration;
        }
        None => effects.push(Effect {
            action,
            address: address.clone(),
            count: 1,
        }),
    }
}

/// What resources are, for sorting.
struct Kinds<'a> {
    inputs: &'a Inputs,
    /// Declarations that make the zone reachable.
    ways_in: BTreeSet<Address>,
    /// What runs something.
    workloads: BTreeSet<Address>,
}

impl<'a> Kinds<'a> {
    fn of(inputs: &'a Inputs) -> Kinds<'a> {
        let values = object_values(inputs, &Observations::default());
        let exposes =
            |(a, v): &(&Address, &crate::value::Value)| exposure(&inputs.registry, a, v).is_some();
        let ways_in = values.iter().filter(exposes);
        let runs = values.iter().filter(|(_, v)| {
            let template = v.get("spec").and_then(|s| s.get("template"));
            template.is_some()
        });
        Kinds {
            inputs,
            ways_in: ways_in.map(|(a, _)| a.declaration()).collect(),
            workloads: runs.map(|(a, _)| a.clone()).collect(),
        }
    }

    fn stage(&self, address: &Address) -> Stage {
        if address.zone.is_edge() {
            return Stage::Flip;
        }
        if address.zone != self.inputs.config.active {
            return Stage::StandDown;
        }
        if is_database(self.inputs, address) {
            Stage::Database
        } else if self.ways_in.contains(&address.declaration()) {
            Stage::Exposure
        } else if !self.workloads.contains(address) && self.refers_to_database(address) {
            Stage::Wiring
        } else {
            Stage::Application
        }
    }

    fn refers_to_database(&self, address: &Address) -> bool {
        let resource = self.inputs.config.resources.get(address);
        let references = resource.map(|r| r.body.references()).unwrap_or_default();
        let mut targets = references.into_iter().filter_map(|(r, _)| r.address());
        targets.any(|t| is_database(self.inputs, t))
    }
}

/// Whether it is a database, or something inside one.
pub(super) fn is_database(inputs: &Inputs, address: &Address) -> bool {
    let is = |a: &Address| is_writer(&inputs.registry, a) || is_replica(&inputs.registry, a);
    is(address) || inputs.container_of(address).is_some_and(|c| is(&c))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::canon;
    use crate::config::{Config, Objectives};
    use crate::plan::{Base, Edge, EdgeReason, Estimate, FORMAT_VERSION, Options, Step};
    use crate::schema::{
        Containment, Form, KindSchema, Part, ProviderSchema, Registry, Typical, VendorFacts,
    };
    use crate::snapshot::State;

    /// One kind that is a replica; the others are nothing in particular.
    fn registry() -> Registry {
        let replica = KindSchema {
            kind: "x.database_replica".parse().unwrap(),
            part: Some(Part::Replica),
            doc: "",
            form: Form::Attributes,
            attrs: Vec::new(),
            outputs: Vec::new(),
            contained_in: Containment::None,
            marked: true,
            kept_when_off: false,
            protect: true,
            typical: Typical::secs(1, 1, 1),
            identity: &[],
            checks: &[],
        };
        Registry::new([ProviderSchema {
            name: "x",
            doc: "",
            config: Vec::new(),
            container: None,
            kinds: vec![replica],
            objects: None,
            facts: VendorFacts::default(),
        }])
    }

    fn inputs() -> Inputs {
        Inputs {
            config: Config {
                project: "p".to_owned(),
                zones: BTreeMap::new(),
                active: "bz".parse().unwrap(),
                objectives: Objectives::default(),
                instances: BTreeMap::new(),
                resources: BTreeMap::new(),
                disabled: BTreeMap::new(),
                moved: Vec::new(),
                forgotten: Vec::new(),
                parity: Vec::new(),
                observability: None,
                secrets: BTreeMap::new(),
                digest_key: None,
                digest: canon::digest(&0),
            },
            state: State::default(),
            lineage: String::new(),
            world: String::new(),
            registry: registry(),
            secrets: BTreeMap::new(),
            digest_key: None,
            moves: Vec::new(),
            options: Options::default(),
        }
    }

    fn plan(steps: Vec<Step>, edges: BTreeSet<(usize, usize)>) -> Plan {
        let edge = |(from, to)| Edge {
            from,
            to,
            why: EdgeReason::After,
        };
        Plan {
            format_version: FORMAT_VERSION,
            engine_version: String::new(),
            base: Base {
                project: String::new(),
                lineage: String::new(),
                world: String::new(),
                serials: BTreeMap::new(),
                config: canon::digest(&0),
            },
            options: Options::default(),
            moves: Vec::new(),
            zones: BTreeMap::new(),
            instances: BTreeMap::new(),
            changes: Vec::new(),
            steps,
            edges: edges.into_iter().map(edge).collect(),
            notes: Vec::new(),
            estimate: Estimate::default(),
            forecasts: BTreeMap::new(),
            bills: BTreeMap::new(),
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        let zones = prop::sample::select(vec!["pz", "bz", "edge"]);
        let kinds = prop::sample::select(vec!["x.database_replica", "x.vpc", "x.record"]);
        (zones, kinds, 0..9u32, 0..100u64).prop_map(|(zone, kind, n, seconds)| {
            let address = format!("{zone}/{kind}.n{n}").parse().unwrap();
            let action = Action::Update;
            let node = StepNode::Act { address, action };
            Step { node, seconds }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every step is in one stage, none in an earlier one than what it waits for, and nothing is
        /// counted twice.
        #[test]
        fn stages_hold_the_whole_plan_in_its_order(
            steps in prop::collection::vec(step(), 1..24),
            raw in prop::collection::vec((0..24usize, 0..24usize), 0..60),
        ) {
            let mut steps = steps;
            steps.sort_by(|a, b| a.node.cmp(&b.node));
            steps.dedup_by(|a, b| a.node == b.node);
            let n = steps.len();
            // Any acyclic graph: edges go up in some order of the steps.
            let rank = |i: usize| (i * 7 + 3) % 29;
            let edges: BTreeSet<(usize, usize)> = raw
                .into_iter()
                .map(|(a, b)| (a % n, b % n))
                .filter(|(a, b)| rank(*a) < rank(*b))
                .collect();
            let plan = plan(steps, edges);
            let sorted = sort(&inputs(), &plan);
            prop_assert_eq!(sorted.stages.len(), n);
            let replicas = plan.steps.iter().enumerate().filter(|(_, s)| {
                s.node.to_string().contains("bz/x.database_replica")
            });
            for (step, _) in replicas {
                prop_assert!(sorted.stages[&step] >= Stage::Database);
            }
            for edge in &plan.edges {
                prop_assert!(sorted.stages[&edge.from] <= sorted.stages[&edge.to]);
            }
            let told: usize = sorted.effects.values().flatten().map(|e| e.count).sum();
            prop_assert_eq!(told, n);
            let longest: u64 = sorted.seconds.values().sum();
            let most: u64 = plan.steps.iter().map(|s| s.seconds).sum();
            prop_assert!(longest <= most);
        }
    }
}
