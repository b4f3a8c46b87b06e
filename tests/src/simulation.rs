//! The whole engine in one process on virtual time: the real spec loader, planner, driver, providers and
//! state, against the sandbox without a socket.
//!
//! [`simulate`] pauses the clock of its runtime: whenever everybody waits, time jumps to the next moment
//! somebody waits for. Hours of vendors' work pass in milliseconds, and what took how long is exact. The
//! steps are those of the command line's `plan` and `apply`, without terminal, lock file and signals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use zonewright_engine::apply::RunReport;
use zonewright_engine::drift::DriftReport;
use zonewright_engine::orphans::Orphan;
use zonewright_engine::plan::{Options, Plan};
use zonewright_engine::schema::Registry;
use zonewright_engine::secret::DigestKey;
use zonewright_engine::snapshot::State;
use zonewright_sandbox::Sandbox;
use zonewright_sandbox::clock::VirtualClock;
use zonewright_sandbox::identity::Identity;
use zonewright_sandbox::profile::Profile;

pub mod fuse;
pub mod hands;
pub mod network;
pub mod process;
pub mod project;
pub mod store;
pub mod timeline;
pub mod weather;

use fuse::{Death, Fuse, Passed};
use network::Network;
use process::Process;
pub use process::{Planned, Refusal, Work};
use project::Project;
use store::Store;
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
    /// The way of the requests that are nobody's process.
    network: Arc<Network>,
    registry: Registry,
    key: Arc<DigestKey>,
    seed: u64,
    latency: Duration,
    // Removed with the simulation.
    dir: tempfile::TempDir,
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
    Refused(Box<Refusal>),
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
        let network = Network::new(
            Arc::clone(&sandbox),
            settings.latency,
            None,
            Fuse::new(None),
        );
        let network = Arc::new(network);
        Simulation {
            registry: network.registry(),
            store: Store::new(&identity.id, settings.seed),
            sandbox,
            project: settings.project,
            network,
            key: Arc::new(DigestKey::new([7; 32])),
            seed: settings.seed,
            latency: settings.latency,
            dir,
        }
    }

    /// Plans these zones, or everything.
    ///
    /// # Panics
    /// The spec has mistakes, the world cannot be read or there is no plan.
    pub async fn plan(&self, zones: &[&str]) -> Planned {
        let planned = self.planned(options(zones)).await.0;
        planned.unwrap_or_else(|why| panic!("there is no plan: {why}"))
    }

    /// Plans in a process of its own; says what points it passed.
    ///
    /// # Errors
    /// There is no plan.
    pub async fn planned(&self, options: Options) -> (Result<Planned, Refusal>, Passed) {
        let process = self.process(Trial::default());
        let planned = process.plan(options).await;
        (planned, process.fuse.passed())
    }

    /// The addresses that the spec declares.
    ///
    /// # Panics
    /// The spec has mistakes.
    pub fn declared(&self) -> BTreeSet<String> {
        let config = self.project.load(&self.registry);
        config.resources.keys().map(ToString::to_string).collect()
    }

    /// From now on the host notes the newest state that it has seen.
    pub fn remember(&mut self) {
        self.store.seen = Some(self.dir.path().join("seen.json"));
    }

    /// What is recorded.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state(&self) -> Result<State, Refusal> {
        self.process(Trial::default()).state()
    }

    /// What was changed behind our back.
    ///
    /// # Errors
    /// The state or the world cannot be read.
    pub async fn drift(&self) -> Result<DriftReport, Refusal> {
        self.process(Trial::default()).drift().await
    }

    /// What carries our mark and is in no record.
    ///
    /// # Errors
    /// The state or the world cannot be read.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, Refusal> {
        self.process(Trial::default()).orphans().await
    }

    /// Plans these zones, or everything, and applies the plan.
    ///
    /// # Panics
    /// As for [`Simulation::plan`], or the state cannot be written. Steps that fail are in the report.
    pub async fn apply(&self, zones: &[&str]) -> Applied {
        match self.attempt(options(zones), Trial::default()).await.0 {
            Ended::Ran(applied) => *applied,
            Ended::Refused(why) => panic!("it is not applied: {why}"),
            Ended::Died => panic!("nobody kills it"),
        }
    }

    /// Plans and applies in a process that may fare badly; says how it ended, and what points it passed. When
    /// it dies, so does the machine.
    pub async fn attempt(&self, options: Options, trial: Trial) -> (Ended, Passed) {
        self.try_work(&Work::Spec(options), trial).await
    }

    /// The same for a plan that was saved, too.
    pub async fn try_work(&self, work: &Work, trial: Trial) -> (Ended, Passed) {
        let dice = trial.weather.as_ref().map_or(Dice::of(0), |w| w.0.clone());
        let (ended, passed) = self.work(work, trial).await;
        if let Ended::Died = ended {
            self.store.crash(dice, passed);
        }
        (ended, passed)
    }

    /// The same, and when it dies the machine goes on: what was written is there, synced or not.
    pub async fn work(&self, work: &Work, trial: Trial) -> (Ended, Passed) {
        let process = self.process(trial);
        let ended = tokio::select! {
            biased;
            () = process.fuse.blown() => Ended::Died,
            ended = process.apply(work) => match ended {
                Ok(applied) => Ended::Ran(Box::new(applied)),
                Err(refusal) => Ended::Refused(Box::new(refusal)),
            },
        };
        let ended = match process.fuse.is_blown() {
            true => Ended::Died,
            false => ended,
        };
        (ended, process.fuse.passed())
    }

    /// A process begins.
    fn process(&self, trial: Trial) -> Process<'_> {
        let fuse = Fuse::new(trial.death);
        let weather = trial
            .weather
            .map(|(dice, rarity)| Weather::new(dice, rarity));
        let network = Network::new(
            Arc::clone(&self.sandbox),
            self.latency,
            weather,
            Arc::clone(&fuse),
        );
        let store = self.store.open(Arc::clone(&fuse));
        Process::new(self, Arc::new(network), store, fuse)
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
