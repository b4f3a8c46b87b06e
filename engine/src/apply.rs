//! Applying a plan: a state machine without IO.
//!
//! [`Apply`] is told what happened ([`Input`]) and answers with what to do ([`Command`]). It never
//! decides *what* to change, that is in the plan; it decides when, and what a reply means.
//!
//! Invariants:
//! - No request that changes something leaves before its intent is durable.
//! - The id that a vendor gives is durable before anything waits for it.
//! - A create whose fate is unknown is looked for, never repeated blindly.
//! - A step starts only when everything it waits for is done; a failed step stops only what waits
//!   for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petgraph::Direction;
use petgraph::graphmap::DiGraphMap;

use crate::address::{Address, InstanceId, ZoneName};
use crate::canon::Digest;
use crate::journal::{Entry, fold};
use crate::observe::{Inputs, Observations};
use crate::plan::{Change, Plan, edges, estimate};
use crate::provider::{ErrorClass, Live, Observed, Op, Outcome, ProviderError, ReadTarget, Trial};
use crate::retry::Policy;
use crate::snapshot::{Identity, State};
use crate::value::Value;

pub mod driver;
mod event;
mod known;
mod task;

pub use event::{Event, Observer, RunReport, Verdict};
use task::Task;

/// What the shell has to do for a step. Each is answered with one [`Input`], except `Emit`.
#[derive(Debug)]
pub enum Command {
    /// Open a provider instance.
    Open {
        /// The step that waits.
        step: usize,
        /// The instance.
        instance: InstanceId,
        /// Its configuration, wholly known.
        config: Value,
        /// What it lives in.
        container: Option<(Address, String)>,
    },
    /// Look at one resource.
    Look {
        /// The step that waits.
        step: usize,
        /// Through this instance.
        instance: InstanceId,
        /// The resource.
        target: Box<ReadTarget>,
    },
    /// Make entries durable.
    Journal {
        /// The step that waits.
        step: usize,
        /// The shard.
        shard: ZoneName,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// Carry out an operation.
    Send {
        /// The step that waits.
        step: usize,
        /// Through this instance.
        instance: InstanceId,
        /// The operation.
        op: Box<Op>,
    },
    /// Have an operation tried that changes nothing.
    Try {
        /// The step that waits.
        step: usize,
        /// Through this instance.
        instance: InstanceId,
        /// The operation.
        op: Box<Op>,
    },
    /// Let time pass.
    Wait {
        /// The step that waits.
        step: usize,
        /// How long.
        delay: Duration,
    },
    /// Tell whoever watches.
    Emit(Event),
}

/// What happened to a command.
#[derive(Debug)]
pub enum Input {
    /// The instance is open, and leads into this cluster if it leads into one; or it is not.
    Opened(Result<Option<Identity>, ProviderError>),
    /// What was seen.
    Looked(Result<Observed, ProviderError>),
    /// The entries are durable.
    Journaled,
    /// What came of the operation.
    Replied(Result<Outcome, ProviderError>),
    /// What the other side says of the trial; nothing when nobody can try it.
    Tried(Option<Trial>),
    /// The time has passed.
    Woke,
}

/// How a run behaves.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// Requests under way at once.
    pub parallelism: usize,
    /// When to try again.
    pub policy: Policy,
    /// How long to let a create settle whose reply was lost, before it is believed not to exist.
    pub settle: Duration,
    /// The first pause between polls; doubled up to what the provider asks for.
    pub first_poll: Duration,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions {
            parallelism: 10,
            policy: Policy::default(),
            settle: Duration::from_secs(5),
            first_poll: Duration::from_millis(50),
        }
    }
}

/// How far a step is.
#[derive(Debug)]
enum Node {
    Waiting,
    Running(Box<Task>),
    Over(Verdict),
}

/// A run.
#[derive(Debug)]
pub struct Apply<'a> {
    plan: &'a Plan,
    inputs: &'a Inputs,
    seen: &'a Observations,
    options: RunOptions,
    digest: Digest,
    state: State,
    /// What this run saw last of what it changed; holds the secret outputs that no state has.
    lives: BTreeMap<Address, Live>,
    values: BTreeMap<Address, Value>,
    /// What waits for what, by positions of steps.
    graph: DiGraphMap<usize, ()>,
    nodes: Vec<Node>,
    missing: Vec<usize>,
    rank: Vec<u64>,
    ready: BTreeSet<(Reverse<u64>, usize)>,
    busy: usize,
    stopping: bool,
}

impl<'a> Apply<'a> {
    /// A run of a plan. `inputs` and `seen` are what the plan was made from.
    ///
    /// # Errors
    /// The plan's edges contradict each other (a damaged file).
    pub fn new(
        plan: &'a Plan,
        inputs: &'a Inputs,
        seen: &'a Observations,
        options: RunOptions,
    ) -> Result<Apply<'a>, ProviderError> {
        let steps = plan.steps.len();
        let sound = plan.edges.iter().all(|e| e.from < steps && e.to < steps);
        let graph = edges::graph(steps, if sound { &plan.edges } else { &[] });
        let order = petgraph::algo::toposort(&graph, None);
        let (true, Ok(order)) = (sound, order) else {
            return Err(ProviderError::new(
                ErrorClass::Bug,
                "the steps of the plan contradict each other",
            ));
        };
        let missing: Vec<usize> = (0..steps)
            .map(|n| graph.neighbors_directed(n, Direction::Incoming).count())
            .collect();
        let rank = estimate::remaining(&graph, &order, &plan.steps);
        let ready = (0..steps)
            .filter(|&n| missing[n] == 0)
            .map(|n| (Reverse(rank[n]), n))
            .collect();
        Ok(Apply {
            plan,
            inputs,
            seen,
            options,
            digest: plan.digest(),
            state: inputs.state.clone(),
            lives: BTreeMap::new(),
            values: BTreeMap::new(),
            graph,
            nodes: (0..steps).map(|_| Node::Waiting).collect(),
            missing,
            rank,
            ready,
            busy: 0,
            stopping: false,
        })
    }

    /// Starts what can be started. Call it once at the beginning.
    pub fn start(&mut self, now: Duration) -> Vec<Command> {
        let mut out = Vec::new();
        self.fill(now, &mut out);
        out
    }

    /// Something happened.
    pub fn on(&mut self, step: usize, input: Input, now: Duration) -> Vec<Command> {
        let mut out = Vec::new();
        let Some(Node::Running(_)) = self.nodes.get(step) else {
            return out;
        };
        let Node::Running(mut task) = std::mem::replace(&mut self.nodes[step], Node::Waiting)
        else {
            return out;
        };
        if task.is_busy() {
            self.busy -= 1;
        }
        let turn = task.on(self, input, now);
        self.settle_turn(step, task, turn, now, &mut out);
        self.fill(now, &mut out);
        out
    }

    /// No new step starts; what waits between requests is left as it is, to be resumed.
    pub fn stop(&mut self, now: Duration) -> Vec<Command> {
        if self.stopping {
            return Vec::new();
        }
        self.stopping = true;
        let mut out = vec![Command::Emit(Event::Stopping)];
        for step in 0..self.nodes.len() {
            if matches!(&self.nodes[step], Node::Running(task) if !task.is_busy())
                && let Node::Running(task) = std::mem::replace(&mut self.nodes[step], Node::Waiting)
            {
                self.finish(step, &task, Verdict::Interrupted, now, &mut out);
            }
        }
        out
    }

    /// Whether nothing is under way and nothing more will start.
    pub fn is_over(&self) -> bool {
        let running = self.nodes.iter().any(|n| matches!(n, Node::Running(_)));
        !running && (self.ready.is_empty() || self.stopping)
    }

    /// What came of it.
    pub fn report(self) -> RunReport {
        let verdicts = self.nodes.into_iter().map(|node| match node {
            Node::Over(verdict) => verdict,
            Node::Waiting => Verdict::NotStarted,
            Node::Running(_) => Verdict::Interrupted,
        });
        RunReport {
            verdicts: verdicts.collect(),
            interrupted: self.stopping,
            state: self.state,
        }
    }

    fn change(&self, address: &Address) -> Option<&'a Change> {
        self.plan.change(address)
    }

    fn fill(&mut self, now: Duration, out: &mut Vec<Command>) {
        while !self.stopping && self.busy < self.options.parallelism.max(1) {
            let Some((_, step)) = self.ready.pop_first() else {
                return;
            };
            out.push(Command::Emit(Event::Started { step }));
            let mut task = Box::new(Task::new(step, self.plan.steps[step].node.clone(), now));
            let turn = task.begin(self, now);
            self.settle_turn(step, task, turn, now, out);
        }
    }

    fn settle_turn(
        &mut self,
        step: usize,
        task: Box<Task>,
        turn: task::Turn,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        match turn {
            task::Turn::Do(command) => {
                let pausing = matches!(command, Command::Wait { .. });
                if pausing && self.stopping {
                    return self.finish(step, &task, Verdict::Interrupted, now, out);
                }
                if let Some(detail) = task.detail() {
                    out.push(Command::Emit(Event::Progress {
                        step,
                        detail: detail.to_owned(),
                        elapsed: now.saturating_sub(task.started),
                    }));
                }
                if !pausing {
                    self.busy += 1;
                }
                self.nodes[step] = Node::Running(task);
                out.push(command);
            }
            task::Turn::Over(verdict) => self.finish(step, &task, verdict, now, out),
        }
    }

    fn finish(
        &mut self,
        step: usize,
        task: &Task,
        verdict: Verdict,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        let elapsed = now.saturating_sub(task.started);
        out.push(Command::Emit(match &verdict {
            Verdict::Done => Event::Finished { step, elapsed },
            Verdict::Failed(error) | Verdict::InDoubt(error) => Event::Failed {
                step,
                error: error.clone(),
                elapsed,
            },
            Verdict::Interrupted | Verdict::Blocked { .. } | Verdict::NotStarted => {
                Event::Interrupted { step, elapsed }
            }
        }));
        self.over(step, verdict, now, out);
    }

    fn over(&mut self, step: usize, verdict: Verdict, _now: Duration, out: &mut Vec<Command>) {
        let done = matches!(verdict, Verdict::Done);
        let blocks = matches!(verdict, Verdict::Failed(_) | Verdict::InDoubt(_));
        self.nodes[step] = Node::Over(verdict);
        if done {
            for next in self.dependents(step) {
                self.missing[next] -= 1;
                if self.missing[next] == 0 && matches!(self.nodes[next], Node::Waiting) {
                    self.ready.insert((Reverse(self.rank[next]), next));
                }
            }
        } else if blocks {
            self.block(step, out);
        }
    }

    fn dependents(&self, step: usize) -> Vec<usize> {
        let mut next: Vec<usize> = self
            .graph
            .neighbors_directed(step, Direction::Outgoing)
            .collect();
        next.sort_unstable();
        next
    }

    /// Everything behind a failed step is blocked by it.
    fn block(&mut self, by: usize, out: &mut Vec<Command>) {
        let mut stack = self.dependents(by);
        while let Some(step) = stack.pop() {
            if matches!(self.nodes[step], Node::Waiting) {
                self.nodes[step] = Node::Over(Verdict::Blocked { by });
                out.push(Command::Emit(Event::Blocked { step, by }));
                stack.extend(self.dependents(step));
            }
        }
    }

    /// Folds entries that are durable by now.
    fn record(&mut self, shard: &ZoneName, entries: &[Entry]) -> Result<(), ProviderError> {
        let snapshot = self.state.shards.get_mut(shard).ok_or_else(|| {
            ProviderError::new(ErrorClass::Bug, format!("shard {shard} was not acquired"))
        })?;
        for entry in entries {
            fold(snapshot, entry)
                .map_err(|e| ProviderError::new(ErrorClass::Bug, e.to_string()))?;
        }
        Ok(())
    }

    /// The instance of an opening step, with its configuration and container worked out.
    fn open_command(&self, step: usize, instance: &InstanceId) -> Result<Command, ProviderError> {
        let planned = self.plan.instances.get(instance).ok_or_else(|| {
            ProviderError::new(ErrorClass::Bug, format!("{instance} is not in the plan"))
        })?;
        let config = planned.config.eval(&|r: &_| self.lookup(r));
        let container = match &planned.container {
            None => None,
            Some(address) => Some((address.clone(), self.container_id(address)?)),
        };
        Ok(Command::Open {
            step,
            instance: instance.clone(),
            config,
            container,
        })
    }

    fn container_id(&self, address: &Address) -> Result<String, ProviderError> {
        let live = self.lives.get(address).or_else(|| self.seen.live(address));
        let recorded = self.state.record(address).map(|r| r.id.clone());
        live.map(|l| l.id.clone())
            .or(recorded)
            .filter(|id| !id.is_empty())
            .ok_or_else(|| {
                ProviderError::new(ErrorClass::Failed, format!("{address} does not exist"))
            })
    }
}

#[cfg(test)]
mod tests;
