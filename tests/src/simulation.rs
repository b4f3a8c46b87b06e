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
use zonewright_engine::unread::{blind, unread};
use zonewright_sandbox::Sandbox;
use zonewright_sandbox::clock::VirtualClock;
use zonewright_sandbox::identity::Identity;
use zonewright_sandbox::profile::Profile;
use zonewright_state::StateError;

pub mod fuse;
pub mod network;
pub mod project;
pub mod store;
pub mod timeline;
pub mod weather;

use fuse::{Death, Fuse, Passed};
use network::Network;
use project::Project;
use store::{Inline, OpenStore, Store};
use timeline::Timeline;
use weather::{Dice, Weather};

use crate::truth::{Census, census};

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
    /// What is recorded of it.
    pub store: Store,
    network: Arc<Network>,
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

/// What a process meets with.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Chance, and in how many requests something goes wrong once.
    pub weather: Option<(Dice, u64)>,
    /// Where it dies.
    pub death: Option<Death>,
}

impl Trial {
    /// Fair weather, in which half of what a process has under way arrives although it died. Until it dies it
    /// passes the same points every time.
    pub fn mortal(death: Option<Death>) -> Trial {
        Trial {
            weather: Some((Dice::of(0), u64::MAX)),
            death,
        }
    }
}

/// How a process ended.
pub enum Ended {
    /// It ran to its end.
    Ran(Box<Applied>),
    /// It refused to begin, with why; nothing was sent.
    Refused(String),
    /// It died.
    Died,
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
    pub async fn plan(&mut self, zones: &[&str]) -> Planned {
        let config = self.project.load(&self.registry);
        let store = self.process(Trial::default()).1;
        let state = store.read(&config).expect("the state is read");
        let planned = self.plan_from(config, state, options(zones)).await;
        planned.unwrap_or_else(|why| panic!("there is no plan: {why}"))
    }

    /// Plans these zones, or everything, and applies the plan.
    ///
    /// # Panics
    /// As for [`Simulation::plan`], or the state cannot be written. Steps that fail are in the report.
    pub async fn apply(&mut self, zones: &[&str]) -> Applied {
        match self.attempt(options(zones), Trial::default()).await.0 {
            Ended::Ran(applied) => *applied,
            Ended::Refused(why) => panic!("it is not applied: {why}"),
            Ended::Died => panic!("nobody kills it"),
        }
    }

    /// Plans and applies in a process that may fare badly; says how it ended, and what points it passed.
    pub async fn attempt(&mut self, options: Options, trial: Trial) -> (Ended, Passed) {
        let dice = trial.weather.as_ref().map_or(Dice::of(0), |w| w.0.clone());
        let (fuse, store) = self.process(trial);
        let ended = {
            let run = self.run(&store, options);
            tokio::select! {
                biased;
                () = fuse.blown() => Ended::Died,
                ended = run => ended.map_or_else(Ended::Refused, |a| Ended::Ran(Box::new(a))),
            }
        };
        drop(store);
        let ended = match fuse.is_blown() {
            true => Ended::Died,
            false => ended,
        };
        let passed = fuse.passed();
        if let Ended::Died = ended {
            self.store.crash(dice, passed);
        }
        (ended, passed)
    }

    /// A process begins.
    fn process(&mut self, trial: Trial) -> (Arc<Fuse>, OpenStore) {
        let fuse = Fuse::new(trial.death);
        let weather = trial
            .weather
            .map(|(dice, rarity)| Weather::new(dice, rarity));
        self.network.set(weather, Arc::clone(&fuse));
        let store = self.store.open(Arc::clone(&fuse));
        (fuse, store)
    }

    async fn plan_from(
        &self,
        config: Config,
        state: State,
        options: Options,
    ) -> Result<Planned, String> {
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
        let seen = observe(&inputs, &sessions).await;
        let seen = seen.map_err(|e| format!("{e:?}"))?;
        let plan = plan(&inputs, &seen).map_err(|e| format!("{e:?}"))?;
        Ok(Planned {
            inputs,
            seen,
            plan,
            waited_for: told.try_iter().collect(),
            sessions,
        })
    }

    async fn run(&self, store: &OpenStore, options: Options) -> Result<Applied, String> {
        let say = |e: StateError| format!("{e:?}");
        let config = self.project.load(&self.registry);
        let writer = store.acquire(&config, &options).map_err(say)?;
        let state = store.whole(&config, &writer).map_err(say)?;
        let mut planned = self.plan_from(config, state, options).await?;
        let unread = unread(&planned.plan, &planned.inputs, &planned.seen);
        if let Some(blind) = blind(&planned.plan, &unread) {
            return Err(format!("{blind:?}"));
        }
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
        .map_err(|e| format!("{e:?}"))?;
        let took = begun.elapsed();
        writer.release().map_err(say)?;
        Ok(Applied {
            plan: planned.plan,
            report,
            took,
            timeline,
        })
    }

    /// Asks the control API of the sandbox: `GET requests`, `GET dump`, `POST faults`.
    ///
    /// # Panics
    /// It refuses.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        self.network.control(method, path, body).await
    }

    /// What there is.
    pub async fn census(&self) -> Census {
        census(&self.control("GET", "dump", &Value::Null).await)
    }

    /// Lets time pass.
    pub async fn elapse(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// What a plan of these zones, or of everything, is made with.
///
/// # Panics
/// One is not the name of a zone.
pub fn options(zones: &[&str]) -> Options {
    Options {
        zones: zones
            .iter()
            .map(|z| z.parse().expect("a zone's name"))
            .collect(),
        ..Options::default()
    }
}
