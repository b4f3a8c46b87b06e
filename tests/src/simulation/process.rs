//! One process of the command line in a simulation: `plan`, `apply`, `apply FILE`, `drift` and `orphans`,
//! without terminal and signals.

use std::fmt;
use std::sync::{Arc, mpsc};

use tokio::time::Instant;
use zonewright_engine::address::InstanceId;
use zonewright_engine::apply::driver::{self, Run, RunError, Stop};
use zonewright_engine::apply::{RunOptions, RunReport};
use zonewright_engine::config::Config;
use zonewright_engine::drift::{DriftReport, drift};
use zonewright_engine::observe::{Inputs, Observations, ObserveError, Sessions, observe, try_all};
use zonewright_engine::orphans::{Orphan, orphans, search};
use zonewright_engine::plan::build::{PlanError, plan};
use zonewright_engine::plan::stale::differences;
use zonewright_engine::plan::{Options, Plan, moves};
use zonewright_engine::provider::ProviderError;
use zonewright_engine::snapshot::State;
use zonewright_engine::unread::{Blind, blind, unread};
use zonewright_state::{StateError, Writer};

use super::fuse::Fuse;
use super::network::Network;
use super::store::{Inline, OpenStore};
use super::timeline::Timeline;
use super::{Applied, Simulation};

/// A plan and what it was made from.
pub struct Planned {
    /// What planning started from.
    pub inputs: Inputs,
    /// What was seen.
    pub seen: Observations,
    /// The plan.
    pub plan: Plan,
    /// Who kept us waiting for an answer.
    pub waited_for: Vec<InstanceId>,
    sessions: Sessions,
}

/// What a process is to apply.
#[derive(Debug, Clone)]
pub enum Work {
    /// What a plan made with these options says, unseen.
    Spec(Options),
    /// A plan that was saved, exactly as it is.
    Saved(Box<Plan>),
}

impl Work {
    fn options(&self) -> Options {
        match self {
            Work::Spec(options) => options.clone(),
            Work::Saved(plan) => plan.options.clone(),
        }
    }
}

/// Why a process did not begin, or could not go on at all.
#[derive(Debug)]
pub enum Refusal {
    /// The state cannot be had.
    State(StateError),
    /// An instance cannot be used.
    Unusable(ObserveError),
    /// What stands in the way of a plan.
    NoPlan(Vec<PlanError>),
    /// How a saved plan does not fit any more.
    Stale(Vec<String>),
    /// Too little could be read.
    Blind(Blind),
    /// Somebody could not be asked.
    Unasked(ProviderError),
    /// The journal could not be written: the only one of these after which something may have been sent.
    Run(RunError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoPlan(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&errors.join("; "))
            }
            Refusal::Stale(what) => write!(f, "the plan does not fit: {}", what.join("; ")),
            other => write!(f, "{other:?}"),
        }
    }
}

/// One process.
pub(super) struct Process<'a> {
    of: &'a Simulation,
    network: Arc<Network>,
    store: OpenStore,
    pub(super) fuse: Arc<Fuse>,
}

impl<'a> Process<'a> {
    pub(super) fn new(
        of: &'a Simulation,
        network: Arc<Network>,
        store: OpenStore,
        fuse: Arc<Fuse>,
    ) -> Process<'a> {
        Process {
            of,
            network,
            store,
            fuse,
        }
    }

    fn config(&self) -> Config {
        self.of.project.load(&self.of.registry)
    }

    /// What is recorded.
    pub(super) fn state(&self) -> Result<State, Refusal> {
        self.store.read(&self.config()).map_err(Refusal::State)
    }

    /// Plans, and changes nothing.
    pub(super) async fn plan(&self, options: Options) -> Result<Planned, Refusal> {
        let state = self.state()?;
        self.plan_from(self.config(), state, options).await
    }

    /// Plans and applies, or applies what was planned.
    pub(super) async fn apply(&self, work: &Work) -> Result<Applied, Refusal> {
        let config = self.config();
        let options = work.options();
        let writer = self.store.acquire(&config, &options);
        let writer = writer.map_err(Refusal::State)?;
        match self.under_lock(&writer, config, options, work).await {
            Ok(applied) => {
                writer.release().map_err(Refusal::State)?;
                Ok(applied)
            }
            Err(refusal) => {
                // The first failure is the one to report; what was durable still is.
                let _ = writer.release();
                Err(refusal)
            }
        }
    }

    async fn under_lock(
        &self,
        writer: &Writer,
        config: Config,
        options: Options,
        work: &Work,
    ) -> Result<Applied, Refusal> {
        let state = self.store.whole(&config, writer).map_err(Refusal::State)?;
        let mut planned = self.plan_from(config, state, options).await?;
        if let Work::Saved(saved) = work {
            let differences = differences(saved, &planned.plan);
            if !differences.is_empty() {
                return Err(Refusal::Stale(differences));
            }
        }
        let unread = unread(&planned.plan, &planned.inputs, &planned.seen);
        if let Some(blind) = blind(&planned.plan, &unread) {
            return Err(Refusal::Blind(blind));
        }
        record(writer, &planned).map_err(Refusal::State)?;
        let held = writer.state();
        planned.inputs.state.shards.extend(held.shards);
        writer.lineage().clone_into(&mut planned.inputs.lineage);
        let timeline = Timeline::starting_now();
        let begun = Instant::now();
        let report = self.carry_out(writer, &planned, &timeline).await?;
        Ok(Applied {
            plan: planned.plan,
            report,
            took: begun.elapsed(),
            timeline,
        })
    }

    async fn carry_out(
        &self,
        writer: &Writer,
        planned: &Planned,
        timeline: &Timeline,
    ) -> Result<RunReport, Refusal> {
        let mut run_options = RunOptions::default();
        run_options.policy.seed = self.of.seed;
        let run = Run {
            plan: &planned.plan,
            inputs: &planned.inputs,
            seen: &planned.seen,
            sessions: &planned.sessions,
            journal: &Inline(writer),
            observer: timeline,
            options: run_options,
            stop: &Stop::default(),
        };
        driver::run(&run).await.map_err(Refusal::Run)
    }

    /// What was changed behind our back.
    pub(super) async fn drift(&self) -> Result<DriftReport, Refusal> {
        let inputs = self.inputs(self.config(), self.state()?, Options::default());
        let sessions = Sessions::new(self.network.providers());
        let seen = observe(&inputs, &sessions).await;
        Ok(drift(&inputs, &seen.map_err(Refusal::Unusable)?))
    }

    /// What carries our mark and is in no record.
    pub(super) async fn orphans(&self) -> Result<Vec<Orphan>, Refusal> {
        let inputs = self.inputs(self.config(), self.state()?, Options::default());
        let sessions = Sessions::new(self.network.providers());
        observe(&inputs, &sessions)
            .await
            .map_err(Refusal::Unusable)?;
        let search = search(&inputs);
        let mut found = Vec::new();
        for id in inputs.config.instances.keys() {
            if let Some(session) = sessions.get(id) {
                found.extend(session.owned(&search).await.map_err(Refusal::Unasked)?);
            }
        }
        Ok(orphans(&inputs, found))
    }

    fn inputs(&self, config: Config, state: State, options: Options) -> Inputs {
        Inputs {
            lineage: state.planning_lineage(),
            secrets: self.network.secrets(&config, &self.of.key),
            config,
            state,
            world: self.of.store.world().to_owned(),
            registry: self.of.registry.clone(),
            digest_key: Some(Arc::clone(&self.of.key)),
            moves: Vec::new(),
            options,
        }
    }

    async fn plan_from(
        &self,
        config: Config,
        state: State,
        options: Options,
    ) -> Result<Planned, Refusal> {
        let mut inputs = self.inputs(config, state, options);
        let moves = moves::settle(&mut inputs.state, &inputs.config.moved);
        let mut moves = moves.map_err(Refusal::NoPlan)?;
        moves.retain(|m| inputs.options.selects(&m.from.zone));
        inputs.moves = moves;
        let (tell, told) = mpsc::channel();
        let sessions = Sessions::new(self.network.providers()).telling(Box::new(move |id| {
            // Whoever asks for it holds the other end until it was read.
            let _ = tell.send(id.clone());
        }));
        let seen = observe(&inputs, &sessions).await;
        let mut seen = seen.map_err(Refusal::Unusable)?;
        try_all(&inputs, &mut seen, &sessions).await;
        let plan = plan(&inputs, &seen).map_err(Refusal::NoPlan)?;
        Ok(Planned {
            inputs,
            seen,
            plan,
            waited_for: told.try_iter().collect(),
            sessions,
        })
    }
}

/// Where the open sessions lead, and what has another address: recorded before anything is sent.
fn record(writer: &Writer, planned: &Planned) -> Result<(), StateError> {
    for (shard, entry) in planned.sessions.new_identities(&writer.state()) {
        writer.append_now(&shard, vec![entry])?;
    }
    for (shard, entries) in moves::entries(&writer.state(), &planned.plan.moves) {
        writer.append_now(&shard, entries)?;
    }
    Ok(())
}
