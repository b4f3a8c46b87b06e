//! The state directory of a project: lock-free reading, and taking shards for writing.
//!
//! ```text
//! meta.json            the lineage
//! pz.state.json        snapshot        pz.journal   what came after it
//! pz.lock              lock            pz.history/  earlier snapshots by serial
//! ```
//!
//! Each shard is read consistently by itself; two shards are not read at one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Holder;
use zonewright_engine::snapshot::{Snapshot, State};

use crate::error::{Notice, StateError};
use crate::format::Stored;
use crate::history;
use crate::lock::{self, Lock};
use crate::meta::{self, Meta};
use crate::rng::{OsRng, Rng};
use crate::seal::Seal;
use crate::seen::{Mark, Seen, SeenFile, check_mark};
use crate::shard::log::{self, Begin, ShardLog};
use crate::shard::{self, Shard};
use crate::store::file::FileStore;
use crate::vfs::real::RealVfs;
use crate::vfs::{self, Vfs};
use crate::writer::{Log, Writer};

/// Between two looks of a reader.
const PAUSE: Duration = Duration::from_millis(10);

/// How a state directory is used.
#[derive(Debug, Clone)]
pub struct StateOptions {
    /// `live` or `sandbox:<id>`.
    pub world: String,
    /// The program and its version, recorded when the lineage is made.
    pub created_by: String,
    /// The file of the high-water marks, outside the state directory.
    pub seen: Option<PathBuf>,
    /// How many earlier snapshots are kept.
    pub keep_history: usize,
    /// Take an older state than was seen for the truth, and say so in the log.
    pub accept_rollback: bool,
    /// Allow a directory that belongs to another user.
    pub any_owner: bool,
    /// How often a reader looks again before it believes that something is wrong: a writer may be
    /// between two of its effects.
    pub patience: u32,
    /// How long a lock is tried for at least: a reader that asks who holds it is in the way for a moment.
    pub grace: Duration,
    /// The keys that it is sealed for and opened with.
    pub seal: Seal,
}

impl StateOptions {
    /// The usual options of a world.
    pub fn new(world: &str, created_by: &str) -> StateOptions {
        StateOptions {
            world: world.to_owned(),
            created_by: created_by.to_owned(),
            seen: None,
            keep_history: history::KEEP,
            accept_rollback: false,
            any_owner: false,
            patience: 5,
            grace: Duration::from_millis(150),
            seal: Seal::default(),
        }
    }
}

#[derive(Clone)]
enum Root {
    Path(PathBuf),
    Vfs(Arc<dyn Vfs>),
}

/// A project's state directory.
pub struct StateDir {
    root: Root,
    pub(crate) options: StateOptions,
    rng: Mutex<Box<dyn Rng>>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The state. A project that was never written has the empty lineage.
    pub state: State,
    /// What should be told.
    pub notices: Vec<Notice>,
    /// The number of the last writer of each shard; one that was never written has none.
    pub epochs: BTreeMap<ZoneName, u64>,
}

/// A whole state, to be kept elsewhere.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) meta: Meta,
    pub(crate) shards: Vec<Stored>,
}

impl StateDir {
    /// Names a state directory. It need not exist; it is made when shards are first acquired.
    ///
    /// # Errors
    /// It exists and is refused: a link, no directory, writable by others, somebody else's.
    pub fn open(path: impl Into<PathBuf>, options: StateOptions) -> Result<StateDir, StateError> {
        let dir = StateDir {
            root: Root::Path(path.into()),
            options,
            rng: Mutex::new(Box::new(OsRng)),
        };
        dir.vfs()?;
        Ok(dir)
    }

    /// Uses given file effects and randomness.
    pub fn with_vfs(vfs: Arc<dyn Vfs>, options: StateOptions, rng: Box<dyn Rng>) -> StateDir {
        StateDir {
            root: Root::Vfs(vfs),
            options,
            rng: Mutex::new(rng),
        }
    }

    pub(crate) fn vfs(&self) -> Result<Option<Arc<dyn Vfs>>, StateError> {
        match &self.root {
            Root::Vfs(vfs) => Ok(Some(Arc::clone(vfs))),
            Root::Path(path) => {
                let vfs = RealVfs::open(path, self.options.any_owner)
                    .map_err(|e| StateError::io(path, "open", e))?;
                Ok(vfs.map(|vfs| Arc::new(vfs) as Arc<dyn Vfs>))
            }
        }
    }

    pub(crate) fn vfs_or_create(&self) -> Result<Arc<dyn Vfs>, StateError> {
        match &self.root {
            Root::Vfs(vfs) => Ok(Arc::clone(vfs)),
            Root::Path(path) => {
                let vfs = RealVfs::create(path, self.options.any_owner)
                    .map_err(|e| StateError::io(path, "create", e))?;
                Ok(Arc::new(vfs))
            }
        }
    }

    fn seen_file(&self) -> Option<SeenFile> {
        self.options.seen.as_ref().map(SeenFile::new)
    }

    pub(crate) fn nonce(&self) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.hex128()
    }

    /// Reads shards without a lock, also while a writer is active.
    ///
    /// # Errors
    /// The state is damaged, lost, rolled back, newer, or of another world.
    pub fn read(&self, shards: &[ZoneName]) -> Result<Loaded, StateError> {
        // The marks first: a writer raises them after the state, never before.
        let seen = self.seen()?;
        let vfs = self.vfs()?;
        let meta = match &vfs {
            Some(vfs) => self.steady(|| self.meta(vfs.as_ref(), seen.as_ref()), |_| true)?,
            None => self.no_meta(None, seen.as_ref())?,
        };
        let mut out = Loaded {
            state: State::default(),
            notices: Vec::new(),
            epochs: BTreeMap::new(),
        };
        for shard in shards {
            let snapshot = match (&vfs, &meta) {
                (Some(vfs), Some(meta)) => {
                    let look = || shard::read(vfs.as_ref(), meta, shard, &self.options.seal);
                    let mut found = self.steady(look, |s| {
                        !s.notices
                            .iter()
                            .any(|n| matches!(n, Notice::TornTail { .. }))
                    })?;
                    self.check_seen(vfs.as_ref(), shard, &found, seen.as_ref())?
                        .into_iter()
                        .for_each(|n| out.notices.push(n));
                    let told = log::notices(&mut found);
                    if found.epoch > 0 {
                        out.epochs.insert(shard.clone(), found.epoch);
                    }
                    match lock::holder(vfs.as_ref(), shard)? {
                        Some(held) => running(&mut out.notices, shard, held.holder),
                        None => out.notices.extend(told),
                    }
                    found.snapshot
                }
                _ => Snapshot::empty("", shard.clone(), &self.options.world),
            };
            out.state.shards.insert(shard.clone(), snapshot);
        }
        Ok(out)
    }

    /// Looks again while what is seen could be a writer at work.
    fn steady<T>(
        &self,
        look: impl Fn() -> Result<T, StateError>,
        settled: impl Fn(&T) -> bool,
    ) -> Result<T, StateError> {
        for _ in 0..self.options.patience {
            match look() {
                Ok(found) if settled(&found) => return Ok(found),
                Ok(_) | Err(StateError::Damaged { .. } | StateError::Lost { .. }) => {
                    std::thread::sleep(PAUSE);
                }
                Err(other) => return Err(other),
            }
        }
        look()
    }

    pub(crate) fn seen(&self) -> Result<Option<Seen>, StateError> {
        match self.seen_file() {
            Some(file) => file.read(),
            None => Ok(None),
        }
    }

    /// The project's lineage; `None` when nothing was ever written here.
    pub(crate) fn meta(
        &self,
        vfs: &dyn Vfs,
        seen: Option<&Seen>,
    ) -> Result<Option<Meta>, StateError> {
        let file = vfs.locate(meta::KEY);
        let bytes = vfs::read(vfs, meta::KEY).map_err(|e| StateError::io(&file, "read", e))?;
        let Some(bytes) = bytes else {
            return self.no_meta(Some(vfs), seen);
        };
        let meta = Meta::decode(&bytes, &file)?;
        meta.of(file, &self.options.world, seen).map(Some)
    }

    /// Without a lineage there must be nothing else either.
    fn no_meta(
        &self,
        vfs: Option<&dyn Vfs>,
        seen: Option<&Seen>,
    ) -> Result<Option<Meta>, StateError> {
        let (file, shards) = match vfs {
            Some(vfs) => (vfs.locate(meta::KEY), shards_in(vfs)?),
            None => match &self.root {
                Root::Path(path) => (path.join(meta::KEY), BTreeSet::new()),
                Root::Vfs(vfs) => (vfs.locate(meta::KEY), BTreeSet::new()),
            },
        };
        let marks = self.seen_file();
        let words = ("files", "restore a backup");
        let Some(what) = meta::lost(shards.first(), seen, marks.as_ref(), words) else {
            return Ok(None);
        };
        let mut history = Vec::new();
        if let Some(vfs) = vfs {
            for shard in &shards {
                history.extend(history::list(vfs, shard)?.into_iter().map(|i| i.file));
            }
        }
        Err(StateError::Lost {
            file,
            what,
            history,
        })
    }

    /// Compares a shard with its high-water mark.
    fn check_seen(
        &self,
        vfs: &dyn Vfs,
        shard: &ZoneName,
        found: &Shard,
        seen: Option<&Seen>,
    ) -> Result<Option<Notice>, StateError> {
        let Some(mark) = seen.and_then(|seen| seen.shards.get(shard)) else {
            return Ok(None);
        };
        let Mark { serial, seq, .. } = *mark;
        let file = vfs.locate(&shard::state_path(shard));
        if found.journal.is_none() {
            let history = history::list(vfs, shard)?;
            return Err(StateError::Lost {
                file,
                what: format!("is missing, but this host has seen serial {serial} (log {seq})"),
                history: history.into_iter().map(|item| item.file).collect(),
            });
        }
        let now = Mark {
            serial: found.snapshot.serial,
            seq: found.seq,
            head: found.head,
        };
        check_mark(shard, &file, *mark, now, self.options.accept_rollback)
    }

    /// Takes shards for writing, in the order of their names; all or none. Blocks up to `timeout`.
    ///
    /// # Errors
    /// As for [`StateDir::read`]; another writer holds a shard; the disk failed.
    pub fn acquire(
        &self,
        shards: &[ZoneName],
        holder: &Holder,
        timeout: Duration,
    ) -> Result<Writer, StateError> {
        // Reading first: a directory that is refused stays as it is.
        let known = self.seen()?;
        if let Some(vfs) = self.vfs()? {
            self.steady(|| self.meta(vfs.as_ref(), known.as_ref()), |_| true)?;
        } else {
            self.no_meta(None, known.as_ref())?;
        }
        let vfs = self.vfs_or_create()?;
        let deadline = Instant::now() + timeout.max(self.options.grace);
        let mut locks: BTreeMap<ZoneName, Lock> = BTreeMap::new();
        for shard in shards.iter().collect::<BTreeSet<_>>() {
            let outside = self.options.seal.outside(holder);
            let lock = lock::take(vfs.as_ref(), shard, &outside, deadline)?;
            locks.insert(shard.clone(), lock);
        }
        let meta = self.meta_or_create(&vfs)?;
        // Once more, under the locks: another writer may have gone on meanwhile.
        let seen = self.seen()?;
        let nonce = self.nonce();
        let mut notices = Vec::new();
        let mut found = Vec::new();
        for (shard, lock) in locks {
            let mut read = shard::read(vfs.as_ref(), &meta, &shard, &self.options.seal)?;
            let rollback = self.check_seen(vfs.as_ref(), &shard, &read, seen.as_ref())?;
            let note = rollback.as_ref().map(ToString::to_string);
            notices.extend(rollback);
            notices.extend(log::notices(&mut read));
            found.push((shard, lock, read, note));
        }
        let mut logs = BTreeMap::new();
        for (shard, lock, read, note) in found {
            let begin = Begin {
                vfs: Arc::clone(&vfs),
                meta: &meta,
                shard: &shard,
                nonce: nonce.clone(),
                keep: self.options.keep_history,
                seal: &self.options.seal,
            };
            let log = ShardLog::begin(begin, read, lock, holder, note)?;
            logs.insert(shard, Log::File(Arc::new(Mutex::new(log))));
        }
        let writer = Writer {
            lineage: meta.lineage,
            nonce,
            seen: self.seen_file(),
            notices,
            logs,
        };
        writer.raise_marks()?;
        Ok(writer)
    }

    /// Everything that is recorded, with all shards held so that it stays true.
    pub(crate) fn copied(&self, holder: &Holder) -> Result<(Copied, Writer), StateError> {
        let shards: Vec<ZoneName> = self.shards()?.into_iter().collect();
        let held = self.acquire(&shards, holder, Duration::ZERO)?;
        let vfs = self.vfs_or_create()?;
        let meta = self.meta_or_create(&vfs)?;
        let stored = |shard: &ZoneName| {
            let found = shard::read(vfs.as_ref(), &meta, shard, &self.options.seal)?;
            Ok(Stored {
                snapshot: found.snapshot,
                base_seq: found.seq,
                head: found.head,
                epoch: found.epoch,
            })
        };
        let shards: Result<Vec<Stored>, StateError> = shards.iter().map(stored).collect();
        let copied = Copied {
            shards: shards?,
            meta,
        };
        Ok((copied, held))
    }

    /// The same directory, taking an older state than was seen for the truth.
    pub(crate) fn accepting_rollback(&self) -> StateDir {
        StateDir {
            root: self.root.clone(),
            options: StateOptions {
                accept_rollback: true,
                ..self.options.clone()
            },
            rng: Mutex::new(Box::new(OneNonce(self.nonce()))),
        }
    }

    /// What all shards share, as it is made for a lineage.
    pub(crate) fn meta_of(&self, lineage: String) -> Meta {
        Meta {
            format: meta::FORMAT.to_owned(),
            version: meta::VERSION,
            lineage,
            world: self.options.world.clone(),
            created_by: self.options.created_by.clone(),
        }
    }

    fn meta_or_create(&self, vfs: &Arc<dyn Vfs>) -> Result<Meta, StateError> {
        let seen = self.seen()?;
        if let Some(meta) = self.steady(|| self.meta(vfs.as_ref(), seen.as_ref()), |_| true)? {
            return Ok(meta);
        }
        let file = vfs.locate(meta::KEY);
        let made = self.meta_of(self.nonce());
        let seed = self.nonce();
        let store = FileStore::new(Arc::clone(vfs), Box::new(OneNonce(seed)));
        store
            .put_new_now(meta::KEY, made.encode().as_bytes())
            .map_err(|e| StateError::io(&file, "create", std::io::Error::other(e)))?;
        // Whoever was first: that lineage is the project's.
        let meta = self.meta(vfs.as_ref(), None)?;
        meta.ok_or_else(|| StateError::io(&file, "create", std::io::ErrorKind::NotFound.into()))
    }

    /// The earlier snapshots of a shard, newest first.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn history(&self, shard: &ZoneName) -> Result<Vec<history::Item>, StateError> {
        match self.vfs()? {
            Some(vfs) => history::told(vfs.as_ref(), shard, &self.options.seal),
            None => Ok(Vec::new()),
        }
    }

    /// The high-water marks of this host, by shard.
    ///
    /// # Errors
    /// Their file is damaged.
    pub fn high_water(&self) -> Result<BTreeMap<ZoneName, Mark>, StateError> {
        Ok(self.seen()?.map(|seen| seen.shards).unwrap_or_default())
    }

    /// The shards that have files here.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn shards(&self) -> Result<BTreeSet<ZoneName>, StateError> {
        match self.vfs()? {
            Some(vfs) => shards_in(vfs.as_ref()),
            None => Ok(BTreeSet::new()),
        }
    }

    /// The directory, for messages.
    pub fn path(&self) -> PathBuf {
        match &self.root {
            Root::Path(path) => path.clone(),
            Root::Vfs(vfs) => vfs.locate(""),
        }
    }
}

impl std::fmt::Debug for StateDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: &Path = &self.path();
        f.debug_struct("StateDir")
            .field("path", &path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// One notice for all shards of one writer. An unfinished end of its log is what it writes just now.
pub(crate) fn running(notices: &mut Vec<Notice>, shard: &ZoneName, by: Option<Box<Holder>>) {
    let same = notices.iter_mut().find_map(|notice| match notice {
        Notice::Running { shards, holder } if *holder == by => Some(shards),
        _ => None,
    });
    match same {
        Some(shards) => shards.push(shard.clone()),
        None => notices.push(Notice::Running {
            shards: vec![shard.clone()],
            holder: by,
        }),
    }
}

/// Gives the store of the lineage the one name that it needs.
pub(crate) struct OneNonce(pub(crate) String);

impl Rng for OneNonce {
    fn fill(&mut self, out: &mut [u8]) {
        for (to, from) in out.iter_mut().zip(self.0.bytes().cycle()) {
            *to = from;
        }
    }

    fn hex128(&mut self) -> String {
        self.0.clone()
    }
}

/// The lock file of a shard does not count: it is made before the lineage is.
fn shards_in(vfs: &dyn Vfs) -> Result<BTreeSet<ZoneName>, StateError> {
    let items = vfs
        .list("")
        .map_err(|e| StateError::io(vfs.locate(""), "list", e))?;
    let shard = |name: &str| {
        [".state.json", ".journal", ".history"]
            .iter()
            .find_map(|end| name.strip_suffix(end)?.parse().ok())
    };
    Ok(items.iter().filter_map(|item| shard(&item.name)).collect())
}
