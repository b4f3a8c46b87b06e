//! A simulated cloud, and a loop that runs the state machine against it.

use std::collections::BTreeMap;

use super::super::*;
use crate::address::Kind;
use crate::canon::Digest;
use crate::config::{Config, Instance, Meta, Resource, Role, Zone};
use crate::expr::{Expr, Node, Reference};
use crate::observe::next_wave;
use crate::plan::Options;
use crate::plan::build::{PlanError, plan};
use crate::provider::{Mark, Status, Verb, Wait};
use crate::schema::{Attr, Containment, Form, KindSchema, ProviderSchema, Registry, Type, Typical};
use crate::snapshot::{Contained, Identity, Snapshot};
use crate::value::{Map, Sorted};

/// splitmix64.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % n as u64).unwrap()
    }
}

/// What goes wrong in a run.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// The process dies after this many commands; whether the last one had its effect is random.
    Crash {
        after: usize,
    },
    /// One of three replies to creates never arrives, after the effect or before it.
    LoseReplies,
    /// Every operation of this step is refused.
    Fail {
        step: usize,
    },
    /// The run is asked to stop.
    Stop {
        after: usize,
    },
}

#[derive(Debug, Clone)]
/// A random project: size, name variant and references of each resource.
pub(super) struct Project(Vec<(i64, u8, Vec<usize>)>);

impl Project {
    pub(super) fn new(resources: Vec<(i64, u8, Vec<usize>)>) -> Project {
        Project(resources)
    }

    fn references(&self, index: usize) -> Vec<usize> {
        let mut deps: Vec<usize> = self.0[index]
            .2
            .iter()
            .copied()
            .filter(|d| *d < index)
            .collect();
        deps.sort_unstable();
        deps.dedup();
        deps
    }

    fn name(&self, index: usize) -> String {
        format!("r{index}-{}", self.0[index].1)
    }

    /// What shall exist: by name, the size and the ids that it refers to.
    pub(super) fn expected(&self, sim: &Sim) -> BTreeMap<String, (i64, Vec<String>)> {
        let id = |name: &str| {
            let found = sim.objects.iter().find(|(_, o)| o.name == name);
            found.map_or("?".to_owned(), |(id, _)| id.clone())
        };
        (0..self.0.len())
            .map(|i| {
                let deps = self.references(i).into_iter().map(|d| id(&self.name(d)));
                (self.name(i), (self.0[i].0, deps.collect()))
            })
            .collect()
    }

    fn config(&self) -> Config {
        let zone: ZoneName = "z".parse().unwrap();
        let instance = InstanceId {
            zone: ZoneName::edge(),
            provider: "sim".into(),
        };
        let resources = (0..self.0.len()).map(|i| {
            let body = self.body(i);
            let resource = Resource {
                address: address(i),
                instance: instance.clone(),
                body,
                meta: Meta::default(),
                at: None,
            };
            (resource.address.clone(), resource)
        });
        let mut config = Config {
            project: "sim".to_owned(),
            zones: BTreeMap::new(),
            active: "other".parse().unwrap(),
            objectives: crate::config::Objectives::default(),
            instances: BTreeMap::new(),
            resources: resources.collect(),
            disabled: BTreeMap::new(),
            moved: Vec::new(),
            forgotten: Vec::new(),
            parity: Vec::new(),
            observability: None,
            secrets: BTreeMap::new(),
            digest_key: None,
            digest: Digest::of(b""),
        };
        config.zones.insert(
            zone.clone(),
            Zone {
                name: zone,
                role: Role::Standby,
                posture: None,
                database: None,
                media: None,
                settings: Map::new(),
                at: None,
            },
        );
        config.instances.insert(
            instance.clone(),
            Instance {
                id: instance,
                config: Expr::from(Node::Map(Sorted::new())),
                container: None,
            },
        );
        config.digest = config.compute_digest();
        config
    }

    fn body(&self, index: usize) -> Expr {
        let deps = self.references(index).into_iter().map(|d| {
            Expr::from(Node::Ref(Reference::Resource {
                address: address(d),
                path: crate::address::AttrPath::root(),
            }))
        });
        let entries = [
            ("name", Expr::literal(Value::text(self.name(index)))),
            ("size", Expr::literal(Value::from(self.0[index].0))),
            ("deps", Expr::from(Node::List(deps.collect()))),
        ];
        Expr::from(Node::Map(
            entries
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
        ))
    }
}

fn address(index: usize) -> Address {
    format!("z/sim.thing.r{index}").parse().unwrap()
}

fn kind() -> Kind {
    "sim.thing".parse().unwrap()
}

fn registry() -> Registry {
    Registry::new([ProviderSchema {
        name: "sim",
        doc: "A simulated cloud.",
        config: Vec::new(),
        container: None,
        objects: None,
        facts: crate::schema::VendorFacts::default(),
        kinds: vec![KindSchema {
            kind: kind(),
            part: None,
            doc: "A thing.",
            form: Form::Attributes,
            attrs: vec![
                Attr::required("name", Type::String, "Its name.").replaces(),
                Attr::required("size", Type::Int, "Its size."),
                Attr::required("deps", Type::List(Box::new(Type::String)), "Its parts."),
            ],
            outputs: Vec::new(),
            contained_in: Containment::None,
            marked: true,
            kept_when_off: false,
            protect: false,
            typical: Typical::secs(1, 1, 1),
            identity: &["name"],
            checks: &[],
        }],
    }])
}

/// A live thing.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) attrs: (i64, Vec<String>),
    marker: String,
    /// Polls until it is ready.
    work: u32,
}

/// The cloud and the durable log.
pub(super) struct Sim {
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) ever_doubled: bool,
    pub(super) parallelism: usize,
    next: u64,
    state: State,
}

impl Default for Sim {
    fn default() -> Sim {
        let zone: ZoneName = "z".parse().unwrap();
        let snapshot = Snapshot::empty(&"ab".repeat(16), zone.clone(), "live");
        Sim {
            objects: BTreeMap::new(),
            ever_doubled: false,
            parallelism: 4,
            next: 0,
            state: State {
                shards: [(zone, snapshot)].into(),
            },
        }
    }
}

impl Sim {
    pub(super) fn insert_foreign(&mut self, name: &str) {
        self.create(name, (0, Vec::new()), String::new());
    }

    fn create(&mut self, name: &str, attrs: (i64, Vec<String>), marker: String) -> String {
        self.ever_doubled |= self
            .objects
            .values()
            .any(|o| !marker.is_empty() && o.marker == marker);
        self.next += 1;
        let object = Object {
            name: name.to_owned(),
            attrs,
            marker,
            work: 2,
        };
        self.objects.insert(self.next.to_string(), object);
        self.next.to_string()
    }

    fn inputs(&self, project: &Project, options: Options) -> Inputs {
        Inputs {
            config: project.config(),
            state: self.state.clone(),
            lineage: "ab".repeat(16),
            world: "live".to_owned(),
            registry: registry(),
            secrets: BTreeMap::new(),
            digest_key: None,
            moves: Vec::new(),
            options,
        }
    }

    fn observe(&self, inputs: &Inputs) -> Observations {
        let mut seen = Observations::default();
        let mut opened = BTreeSet::new();
        loop {
            let wave = next_wave(inputs, &seen, &opened);
            if wave.is_empty() {
                return seen;
            }
            opened.extend(wave.open.into_keys());
            for target in wave.reads.into_values().flatten() {
                let found = self.look(&target);
                seen.seen.insert(target.address, found);
            }
        }
    }

    pub(super) fn try_plan(
        &self,
        project: &Project,
        options: Options,
    ) -> Result<Plan, Vec<PlanError>> {
        let inputs = self.inputs(project, options);
        plan(&inputs, &self.observe(&inputs))
    }

    pub(super) fn plan(&self, project: &Project, options: Options) -> Plan {
        self.try_plan(project, options).unwrap()
    }

    fn live(id: &str, object: &Object) -> Live {
        let deps = object.attrs.1.iter().map(|d| Value::text(d.clone()));
        let attrs: Map = [
            ("name".to_owned(), Value::text(object.name.clone())),
            ("size".to_owned(), Value::from(object.attrs.0)),
            ("deps".to_owned(), Value::List(deps.collect())),
        ]
        .into();
        Live {
            id: id.to_owned(),
            attrs: Value::Map(attrs),
            mark: Mark::Carried(object.marker.clone()),
            status: match object.work {
                0 => Status::Ready,
                _ => Status::Pending("working".to_owned()),
            },
        }
    }

    fn look(&self, target: &ReadTarget) -> Observed {
        let by_id = target
            .id
            .as_ref()
            .and_then(|id| self.objects.get_key_value(id));
        let stem = target.marker.stem();
        let by_marker = || {
            self.objects
                .iter()
                .find(|(_, o)| o.marker.starts_with(&stem))
        };
        let found = match &target.id {
            Some(_) => by_id,
            None => by_marker(),
        };
        if let Some((id, object)) = found {
            return Observed::Present(Box::new(Self::live(id, object)));
        }
        let name = target
            .desired
            .as_ref()
            .and_then(|d| d.get("name")?.as_str());
        match self
            .objects
            .iter()
            .find(|(_, o)| Some(o.name.as_str()) == name)
        {
            Some((id, object)) if target.id.is_none() => {
                Observed::Foreign(Box::new(Self::live(id, object)))
            }
            _ => Observed::Gone,
        }
    }

    fn carry_out(&mut self, op: &Op) -> Outcome {
        let pending = || Outcome::Pending {
            detail: "working".to_owned(),
            poll_after: Duration::from_secs(1),
        };
        match &op.verb {
            Verb::Create { desired } => {
                let name = desired.get("name").and_then(Value::as_str).unwrap();
                let id = self.create(name, wanted(desired), op.marker.to_string());
                Outcome::Submitted {
                    attrs: Self::live(&id, &self.objects[&id]).attrs,
                    id,
                    poll_after: Duration::from_secs(1),
                }
            }
            Verb::Update { id, desired, .. } => {
                let object = self.objects.get_mut(id).expect("updates what exists");
                object.attrs = wanted(desired);
                object.work = 1;
                pending()
            }
            Verb::Delete { id, .. } => {
                self.objects.remove(id);
                Outcome::Submitted {
                    id: id.clone(),
                    attrs: Value::Null,
                    poll_after: Duration::ZERO,
                }
            }
            Verb::Poll { id, wait, .. } => match (wait, self.objects.get_mut(id)) {
                (_, None) => Outcome::Gone,
                (Wait::Ready, Some(object)) if object.work == 0 => {
                    Outcome::Ready(Box::new(Self::live(id, object)))
                }
                (_, Some(object)) => {
                    object.work = object.work.saturating_sub(1);
                    pending()
                }
            },
            Verb::Find { .. } => {
                let marker = op.marker.to_string();
                let found = self.objects.iter().filter(|(_, o)| o.marker == marker);
                Outcome::Found(found.map(|(id, o)| Self::live(id, o)).collect())
            }
        }
    }

    /// Runs a plan; gives back what an observer saw.
    pub(super) fn run(
        &mut self,
        project: &Project,
        plan: &Plan,
        rng: &mut Rng,
        fault: Fault,
    ) -> Vec<Event> {
        let inputs = self.inputs(project, plan.options.clone());
        let seen = self.observe(&inputs);
        let options = RunOptions {
            parallelism: self.parallelism,
            ..RunOptions::default()
        };
        let mut apply = Apply::new(plan, &inputs, &seen, options).unwrap();
        let mut events = Vec::new();
        let mut now = Duration::ZERO;
        let mut pending = apply.start(now);
        for count in 0..20_000 {
            pending.retain(|c| match c {
                Command::Emit(event) => {
                    events.push(event.clone());
                    false
                }
                _ => true,
            });
            if pending.is_empty() {
                assert!(
                    apply.is_over(),
                    "nothing is pending and the run is not over"
                );
                return events;
            }
            if fault == (Fault::Stop { after: count }) {
                pending.extend(apply.stop(now));
                continue;
            }
            let command = pending.swap_remove(rng.below(pending.len()));
            now += Duration::from_millis(10);
            let crash = matches!(fault, Fault::Crash { after } if count >= after);
            if crash && rng.below(2) == 0 {
                return events;
            }
            let (step, input) = self.serve(command, rng, fault, plan);
            if crash {
                return events;
            }
            pending.extend(apply.on(step, input, now));
        }
        panic!("the run does not end");
    }

    fn serve(
        &mut self,
        command: Command,
        rng: &mut Rng,
        fault: Fault,
        plan: &Plan,
    ) -> (usize, Input) {
        match command {
            Command::Open {
                step, container, ..
            } => match fault {
                Fault::Fail { step: victim } if victim == step => {
                    let refused = ProviderError::new(ErrorClass::Denied, "refused");
                    (step, Input::Opened(Err(refused)))
                }
                _ => {
                    let identity = container.map(|(address, id)| Identity {
                        uid: format!("uid of {id}"),
                        container: Some(Contained { address, id }),
                    });
                    (step, Input::Opened(Ok(identity)))
                }
            },
            Command::Look { step, target, .. } => (step, Input::Looked(Ok(self.look(&target)))),
            Command::Try { step, .. } => (step, Input::Tried(None)),
            Command::Wait { step, .. } => (step, Input::Woke),
            Command::Journal {
                step,
                shard,
                entries,
            } => {
                let snapshot = self.state.shards.get_mut(&shard).unwrap();
                for entry in &entries {
                    fold(snapshot, entry).unwrap();
                }
                (step, Input::Journaled)
            }
            Command::Send { step, op, .. } => {
                (step, Input::Replied(self.reply(step, &op, rng, fault)))
            }
            Command::Emit(_) => unreachable!("events are taken out before: {}", plan.steps.len()),
        }
    }

    fn reply(
        &mut self,
        step: usize,
        op: &Op,
        rng: &mut Rng,
        fault: Fault,
    ) -> Result<Outcome, ProviderError> {
        if fault == (Fault::Fail { step }) {
            return Err(ProviderError::new(ErrorClass::Invalid, "refused"));
        }
        let creates = matches!(op.verb, Verb::Create { .. });
        if fault == Fault::LoseReplies && creates && rng.below(3) == 0 {
            if rng.below(2) == 0 {
                self.carry_out(op);
            }
            return Err(ProviderError::new(ErrorClass::Ambiguous, "lost"));
        }
        Ok(self.carry_out(op))
    }
}

fn wanted(desired: &Value) -> (i64, Vec<String>) {
    let deps = desired.get("deps").and_then(Value::as_list).unwrap();
    (
        desired.get("size").and_then(Value::as_i64).unwrap(),
        deps.iter()
            .map(|d| d.as_str().unwrap().to_owned())
            .collect(),
    )
}
