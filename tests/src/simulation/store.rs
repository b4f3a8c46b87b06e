//! The state of a simulation: the real store on a disk that is a map.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Config;
use zonewright_engine::journal::{Entry, Holder, Journal, JournalError};
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;
use zonewright_state::vfs::model::{Image, ModelVfs};
use zonewright_state::{SeededRng, StateDir, StateError, StateOptions, Writer};

use super::fuse::{Fuse, MortalDisk, Passed};
use super::weather::Dice;

/// A state directory in memory.
pub struct Store {
    disk: RefCell<ModelVfs>,
    world: String,
    seed: u64,
    opened: Cell<u64>,
    /// Where the host notes the newest state that it has seen, if it does.
    pub seen: Option<PathBuf>,
    /// Whether a state is taken that is older than that (`--accept-rollback`).
    pub accept_rollback: Cell<bool>,
}

/// The state directory as one process sees it.
pub(super) struct OpenStore(StateDir);

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
        Store {
            disk: RefCell::default(),
            world: format!("sandbox:{world}"),
            seed,
            opened: Cell::new(0),
            seen: None,
            accept_rollback: Cell::new(false),
        }
    }

    pub(super) fn world(&self) -> &str {
        &self.world
    }

    /// Opens it in another process: nothing random is the same again.
    pub(super) fn open(&self, fuse: Arc<Fuse>) -> OpenStore {
        self.opened.set(self.opened.get() + 1);
        let rng = SeededRng::new(self.seed ^ self.opened.get().wrapping_mul(0x9e37_79b9));
        let disk = MortalDisk::new(self.disk.borrow().clone(), fuse);
        let options = StateOptions {
            seen: self.seen.clone(),
            accept_rollback: self.accept_rollback.get(),
            grace: Duration::ZERO,
            ..StateOptions::new(&self.world, "simulation")
        };
        OpenStore(StateDir::with_vfs(Arc::new(disk), options, Box::new(rng)))
    }

    /// The power fails: what was not synced is there, or not, or in part.
    pub(super) fn crash(&self, mut dice: Dice, passed: Passed) {
        // Another choice at every point.
        let point = (passed.requests * 1_000_000 + passed.effects) as u64;
        let mut dice = Dice::of(dice.below(u64::MAX) ^ point);
        let image = self.disk.borrow().crash(|n| dice.index(n));
        self.put_back(&image);
    }

    /// A copy of all files.
    pub fn copy(&self) -> Image {
        self.disk.borrow().image()
    }

    /// Puts a copy in the place of what is there.
    pub fn put_back(&self, copy: &Image) {
        self.disk.replace(ModelVfs::from_image(copy));
    }
}

impl OpenStore {
    /// Those of the spec, and those that have files.
    fn shards(&self, config: &Config) -> Result<Vec<ZoneName>, StateError> {
        let mut shards = self.0.shards()?;
        shards.extend(config.zones.keys().cloned());
        shards.insert(ZoneName::edge());
        Ok(shards.into_iter().collect())
    }

    pub(super) fn read(&self, config: &Config) -> Result<State, StateError> {
        Ok(self.0.read(&self.shards(config)?)?.state)
    }

    /// Takes the shards of a selection; `edge` is always among them.
    pub(super) fn acquire(&self, config: &Config, options: &Options) -> Result<Writer, StateError> {
        let mut shards = self.shards(config)?;
        shards.retain(|s| options.selects(s) || s.is_edge());
        let holder = Holder {
            user: "simulation".to_owned(),
            host: "nowhere".to_owned(),
            pid: 1,
            command: "apply".to_owned(),
            since: "2026-11-29T00:00:00Z".to_owned(),
        };
        self.0.acquire(&shards, &holder, Duration::ZERO)
    }

    /// The held shards as they are under the lock, the others as they are read.
    pub(super) fn whole(&self, config: &Config, writer: &Writer) -> Result<State, StateError> {
        let mut state = self.read(config)?;
        state.shards.extend(writer.state().shards);
        Ok(state)
    }
}
