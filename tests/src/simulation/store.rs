//! The state of a simulation: the real store on a disk that is a map.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Config;
use zonewright_engine::journal::{Entry, Holder, Journal, JournalError};
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;
use zonewright_state::vfs::model::ModelVfs;
use zonewright_state::{SeededRng, StateDir, StateOptions, Writer};

/// A state directory in memory.
pub struct Store {
    dir: StateDir,
    world: String,
}

/// Appends where it stands: on a thread of its own the order of two appends would be the machine's.
pub struct Inline<'a>(pub &'a Writer);

impl Journal for Inline<'_> {
    fn append<'a>(
        &'a self,
        shard: &'a ZoneName,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let appended = self.0.append_now(shard, entries);
            appended.map_err(|e| JournalError {
                shard: shard.clone(),
                source: std::io::Error::other(e),
            })
        }
        .boxed()
    }
}

impl Store {
    pub(super) fn new(world: &str, seed: u64) -> Store {
        let world = format!("sandbox:{world}");
        let options = StateOptions::new(&world, "simulation");
        let disk = Arc::new(ModelVfs::default());
        Store {
            dir: StateDir::with_vfs(disk, options, Box::new(SeededRng::new(seed))),
            world,
        }
    }

    pub(super) fn world(&self) -> &str {
        &self.world
    }

    /// Those of the spec, and those that have files.
    fn shards(&self, config: &Config) -> Vec<ZoneName> {
        let mut shards = self.dir.shards().expect("the state can be listed");
        shards.extend(config.zones.keys().cloned());
        shards.insert(ZoneName::edge());
        shards.into_iter().collect()
    }

    pub(super) fn read(&self, config: &Config) -> State {
        let read = self.dir.read(&self.shards(config));
        read.expect("the state is read").state
    }

    /// Takes the shards of a selection; `edge` is always among them.
    pub(super) fn acquire(&self, config: &Config, options: &Options) -> Writer {
        let mut shards = self.shards(config);
        shards.retain(|s| options.selects(s) || s.is_edge());
        let holder = Holder {
            user: "simulation".to_owned(),
            host: "nowhere".to_owned(),
            pid: 1,
            command: "apply".to_owned(),
            since: "2026-11-29T00:00:00Z".to_owned(),
        };
        self.dir
            .acquire(&shards, &holder, Duration::ZERO)
            .expect("nobody else has it")
    }

    /// The held shards as they are under the lock, the others as they are read.
    pub(super) fn whole(&self, config: &Config, writer: &Writer) -> State {
        let mut state = self.read(config);
        state.shards.extend(writer.state().shards);
        state
    }
}

/// The lineage that a plan is made with: none, as long as nothing was ever made.
pub(super) fn planning_lineage(state: &State) -> String {
    let touched = state.shards.values().any(|s| s.serial > 0);
    let mut known = state.shards.values().map(|s| &s.lineage);
    match known.find(|l| !l.is_empty()) {
        Some(lineage) if touched => lineage.clone(),
        _ => String::new(),
    }
}
