//! The whole engine in one process on virtual time: the real spec loader, planner, driver, providers and
//! state, against the sandbox without a socket.
//!
//! [`simulate`] pauses the clock of its runtime: whenever everybody waits, time jumps to the next moment
//! somebody waits for. Hours of vendors' work pass in milliseconds, and what took how long is exact. The
//! steps are those of the command line's `plan` and `apply`, without terminal, lock file and signals.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use zonewright_engine::address::InstanceId;
use zonewright_engine::apply::driver::{self, Run, Stop};
use zonewright_engine::apply::{RunOptions, RunReport};
use zonewright_engine::config::Config;
use zonewright_engine::observe::{Inputs, Observations, Sessions, observe};
use zonewright_engine::plan::build::plan;
use zonewright_engine::plan::{Options, Plan};
use zonewright_engine::schema::Registry;
use zonewright_engine::secret::DigestKey;
use zonewright_engine::snapshot::State;
use zonewright_sandbox::Sandbox;
use zonewright_sandbox::clock::VirtualClock;
use zonewright_sandbox::identity::Identity;
use zonewright_sandbox::profile::Profile;

pub mod network;
pub mod project;
pub mod store;
pub mod timeline;

use network::Network;
use project::Project;
use store::{Inline, Store};
use timeline::Timeline;

/// When every simulation begins: 2026-11-29T00:00:00Z.
const EPOCH_MS: u64 = 1_795_910_400_000;

/// A simulation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is applied.
    pub project: Project,
    /// How long the vendors' work takes.
    pub profile: Profile,
    /// Decides all that is random: ids, tokens, jitter, the lineage.
    pub seed: u64,
    /// How long a request is under way, there and back.
    pub latency: Duration,
}

impl Settings {
    /// A project as on a good day: the vendors take as long as they do, a request a tenth of a second.
    pub fn realistic(project: Project) -> Settings {
        Settings {
            project,
            profile: Profile::Realistic,
            seed: 0,
            latency: Duration::from_millis(100),
        }
    }
}

/// The accounts, the state and the project of a simulation.
pub struct Simulation {
    /// The vendors: faults, requests, ground truth.
    pub sandbox: Arc<Sandbox>,
    /// What is applied; may be edited between two runs.
    pub project: Project,
    network: Arc<Network>,
    store: Store,
    registry: Registry,
    key: Arc<DigestKey>,
    seed: u64,
    // Removed with the simulation.
    _dir: tempfile::TempDir,
}

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

/// What came of a run.
pub struct Applied {
    /// What was done.
    pub plan: Plan,
    /// By step.
    pub report: RunReport,
    /// From the first step to the end of the last one.
    pub took: Duration,
    /// When each step was done.
    pub timeline: Timeline,
}

/// Runs a scenario on virtual time, which begins at the same moment every time.
///
/// # Panics
/// The world cannot be set up.
pub fn simulate<T>(settings: Settings, scenario: impl AsyncFnOnce(&mut Simulation) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut simulation = Simulation::open(settings);
        scenario(&mut simulation).await
    })
}

impl Simulation {
    fn open(settings: Settings) -> Simulation {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let identity = Identity::of_seed(settings.seed);
        identity.save(dir.path()).expect("the identity is written");
        let clock = Arc::new(VirtualClock::starting_at(EPOCH_MS));
        let sandbox = Sandbox::open_at(dir.path(), settings.profile, network::ORIGIN, clock);
        let sandbox = Arc::new(sandbox.expect("the world opens"));
        let network = Arc::new(Network::new(Arc::clone(&sandbox), settings.latency));
        Simulation {
            registry: network.registry(),
            store: Store::new(&identity.id, settings.seed),
            sandbox,
            project: settings.project,
            network,
            key: Arc::new(DigestKey::new([7; 32])),
            seed: settings.seed,
            _dir: dir,
        }
    }

    /// Plans these zones, or everything.
    ///
    /// # Panics
    /// The spec has mistakes, the world cannot be read or there is no plan.
    pub async fn plan(&self, zones: &[&str]) -> Planned {
        let config = self.project.load(&self.registry);
        let state = self.store.read(&config);
        self.plan_from(config, state, options(zones)).await
    }

    async fn plan_from(&self, config: Config, state: State, options: Options) -> Planned {
        let secrets = self.network.secrets(&config, &self.key);
        let inputs = Inputs {
            lineage: store::planning_lineage(&state),
            config,
            state,
            world: self.store.world().to_owned(),
            registry: self.registry.clone(),
            secrets,
            digest_key: Some(Arc::clone(&self.key)),
            moves: Vec::new(),
            options,
        };
        let (tell, told) = mpsc::channel();
        let sessions = Sessions::new(self.network.providers()).telling(Box::new(move |id| {
            // Whoever asks for it holds the other end until it was read.
            let _ = tell.send(id.clone());
        }));
        let seen = observe(&inputs, &sessions).await.expect("it can be read");
        let plan = plan(&inputs, &seen).expect("there is a plan");
        Planned {
            inputs,
            seen,
            plan,
            waited_for: told.try_iter().collect(),
            sessions,
        }
    }

    /// Plans these zones, or everything, and applies the plan.
    ///
    /// # Panics
    /// As for [`Simulation::plan`], or the state cannot be written. Steps that fail are in the report.
    pub async fn apply(&self, zones: &[&str]) -> Applied {
        let options = options(zones);
        let config = self.project.load(&self.registry);
        let writer = self.store.acquire(&config, &options);
        let state = self.store.whole(&config, &writer);
        let mut planned = self.plan_from(config, state, options).await;
        writer.lineage().clone_into(&mut planned.inputs.lineage);
        let timeline = Timeline::starting_now();
        let begun = Instant::now();
        let mut run_options = RunOptions::default();
        run_options.policy.seed = self.seed;
        let report = driver::run(&Run {
            plan: &planned.plan,
            inputs: &planned.inputs,
            seen: &planned.seen,
            sessions: &planned.sessions,
            journal: &Inline(&writer),
            observer: &timeline,
            options: run_options,
            stop: &Stop::default(),
        })
        .await
        .expect("the run goes to its end");
        let took = begun.elapsed();
        writer.release().expect("the state is written");
        Applied {
            plan: planned.plan,
            report,
            took,
            timeline,
        }
    }

    /// Asks the control API of the sandbox: `GET requests`, `GET dump`, `POST faults`.
    ///
    /// # Panics
    /// It refuses.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        self.network.control(method, path, body).await
    }

    /// Lets time pass.
    pub async fn elapse(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn options(zones: &[&str]) -> Options {
    Options {
        zones: zones
            .iter()
            .map(|z| z.parse().expect("a zone's name"))
            .collect(),
        ..Options::default()
    }
}
