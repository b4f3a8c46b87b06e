//! A project's state in a store of objects: lock-free reading, and taking shards for writing.
//!
//! The log is the lock. A writer is whoever made the object with the next number; one that was taken
//! over loses the next number and writes nothing more. Nothing is replaced and nothing is deleted.
//!
//! Whether a writer that has not said that it is done still lives is decided without comparing the
//! clocks of two hosts: a process of this host by its lock ([`alive`]), any other by whether it moves
//! while it is watched for longer than a living writer is ever silent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Entry, Holder};
use zonewright_engine::snapshot::State;

use crate::dir::{Loaded, StateOptions, running};
use crate::error::{Notice, StateError};
use crate::history;
use crate::meta::{self, Meta};
use crate::reactor::wait;
use crate::record::Batch;
use crate::rng::{OsRng, Rng};
use crate::seal::Seal;
use crate::seen::{Mark, Seen, SeenFile, check_mark};
use crate::store::probe::{self, Fit};
use crate::store::{Put, Store};
use crate::writer::{Log, Writer};
use alive::Sign;
use layout::Named;
use log::RemoteLog;
use mirror::Mirrors;
use reader::{Found, Open, Reader};
use rescue::Rescue;

mod alive;
mod doctor;
mod hint;
mod layout;
mod lease;
pub(crate) mod log;
pub mod migrate;
pub mod mirror;
mod reader;
pub mod repair;
mod rescue;
mod sweep;
mod unlock;

/// How many objects are asked for at once.
const WINDOW: usize = 8;

/// How long a writer may be silent.
pub const TTL: Duration = Duration::from_secs(60);

/// How a state in a store is used.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// What is the same for every kind of store.
    pub common: StateOptions,
    /// How long a writer may be silent before it is taken for dead. The same for all writers.
    pub ttl: Duration,
    /// A directory of this host: who writes from here, and what a store did not take.
    pub private: Option<PathBuf>,
}

/// A project's state in a store.
pub struct RemoteState {
    store: Arc<dyn Store>,
    options: RemoteOptions,
    rng: Mutex<Box<dyn Rng>>,
    mirrors: Mirrors,
}

/// A writer that is being watched.
struct Watch {
    seq: u64,
    hint: Vec<u8>,
    since: Instant,
}

/// What taking a shard needs to know.
struct Taking<'a> {
    meta: &'a Meta,
    seen: Option<&'a Seen>,
    holder: &'a Holder,
    nonce: &'a str,
    deadline: Instant,
    sign: Option<Arc<Sign>>,
}

impl RemoteState {
    /// Names a state; nothing is asked.
    pub fn new(store: Arc<dyn Store>, options: RemoteOptions) -> RemoteState {
        RemoteState {
            store,
            options,
            rng: Mutex::new(Box::new(OsRng)),
            mirrors: Mirrors::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Where it is, for messages.
    pub fn place(&self) -> String {
        self.store.place()
    }

    fn nonce(&self) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.hex128()
    }

    fn seen_file(&self) -> Option<SeenFile> {
        self.options.common.seen.as_ref().map(SeenFile::new)
    }

    pub(crate) fn seen(&self) -> Result<Option<Seen>, StateError> {
        match self.seen_file() {
            Some(file) => file.read(),
            None => Ok(None),
        }
    }

    fn private(&self, name: &str) -> Option<PathBuf> {
        self.options.private.as_ref().map(|dir| dir.join(name))
    }

    fn file(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.store.place()))
    }

    fn failed(&self, source: crate::store::StoreError) -> StateError {
        StateError::store(self.store.as_ref(), source)
    }

    /// Makes what the store needs before its first object.
    ///
    /// # Errors
    /// The store does not answer, or lets us not.
    pub fn prepare(&self) -> Result<(), StateError> {
        wait(self.store.prepare()).map_err(|e| self.failed(e))
    }

    /// Finds out whether the store is fit to keep a state.
    ///
    /// # Errors
    /// It is not, or it does not answer.
    pub fn probe(&self) -> Result<Fit, StateError> {
        wait(probe::probe(self.store.as_ref(), &mut OsRng)).map_err(|e| self.failed(e))
    }

    /// Makes the lineage, once the store was found fit; gives whether there was none before.
    ///
    /// # Errors
    /// The store is unfit or does not answer, or it holds the state of another world.
    pub fn init(&self) -> Result<(Fit, bool), StateError> {
        self.prepare()?;
        let fit = self.probe()?;
        let seen = self.seen()?;
        let new = wait(async {
            if self.stored_meta(seen.as_ref()).await?.is_some() {
                return Ok(false);
            }
            self.check_not_lost(seen.as_ref()).await?;
            let made = Meta {
                format: meta::FORMAT.to_owned(),
                version: meta::VERSION,
                lineage: self.nonce(),
                world: self.options.common.world.clone(),
                created_by: self.options.common.created_by.clone(),
            };
            self.put_meta(&made).await
        })?;
        Ok((fit, new))
    }

    async fn put_meta(&self, meta: &Meta) -> Result<bool, StateError> {
        let text = meta.encode();
        let put = self.store.put_new(meta::KEY, text.as_bytes()).await;
        Ok(put.map_err(|e| self.failed(e))? == Put::Created)
    }

    /// The lineage as it is recorded.
    async fn stored_meta(&self, seen: Option<&Seen>) -> Result<Option<Meta>, StateError> {
        let bytes = self.store.get(meta::KEY).await;
        let Some(bytes) = bytes.map_err(|e| self.failed(e))? else {
            return Ok(None);
        };
        let file = self.file(meta::KEY);
        let meta = Meta::decode(&bytes, &file)?;
        meta.of(file, &self.options.common.world, seen).map(Some)
    }

    /// Without a lineage there must be nothing else either.
    async fn check_not_lost(&self, seen: Option<&Seen>) -> Result<(), StateError> {
        let shards = self.listed_shards().await?;
        let marks = self.seen_file();
        let words = ("objects", "put the objects back");
        let Some(what) = meta::lost(shards.first(), seen, marks.as_ref(), words) else {
            return Ok(());
        };
        Err(StateError::Lost {
            file: self.file(meta::KEY),
            what,
            history: Vec::new(),
        })
    }

    pub(crate) async fn meta(&self, seen: Option<&Seen>) -> Result<Meta, StateError> {
        if let Some(meta) = self.stored_meta(seen).await? {
            return Ok(meta);
        }
        self.check_not_lost(seen).await?;
        Err(StateError::Uninitialised {
            place: self.place(),
        })
    }

    async fn listed_shards(&self) -> Result<BTreeSet<ZoneName>, StateError> {
        let keys = self.store.list("", None).await;
        let shard = |key: &String| match layout::parse(key) {
            Named::Log { shard, .. } | Named::Snap { shard, .. } => Some(shard),
            _ => None,
        };
        let keys = keys.map_err(|e| self.failed(e))?;
        Ok(keys.iter().filter_map(shard).collect())
    }

    /// The shards that have objects here.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn shards(&self) -> Result<BTreeSet<ZoneName>, StateError> {
        wait(self.listed_shards())
    }

    pub(crate) fn reader<'a>(&'a self, meta: &'a Meta, shard: &'a ZoneName) -> Reader<'a> {
        Reader {
            store: self.store.as_ref(),
            meta,
            shard,
            seal: self.seal(),
        }
    }

    /// The keys that it is sealed for and opened with.
    pub(crate) fn seal(&self) -> &Seal {
        &self.options.common.seal
    }

    /// Reads shards without a lock, also while a writer is active.
    ///
    /// # Errors
    /// There is no state, it is damaged, lost, rolled back, newer, or of another world; the store
    /// does not answer.
    pub fn read(&self, shards: &[ZoneName]) -> Result<Loaded, StateError> {
        // The marks first: a writer raises them after the state, never before.
        let seen = self.seen()?;
        let (meta, found) = wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let reads = shards.iter().map(|shard| {
                let reader = self.reader(&meta, shard);
                async move { reader.run().await }
            });
            let found: Result<Vec<Found>, StateError> = join_all(reads).await.into_iter().collect();
            Ok::<_, StateError>((meta, found?))
        })?;
        let mut out = Loaded {
            state: State::default(),
            notices: Vec::new(),
            epochs: BTreeMap::new(),
        };
        for (shard, found) in shards.iter().zip(found) {
            out.notices
                .extend(self.checked(shard, &found, seen.as_ref())?);
            match &found.open {
                Some(open) if !self.is_dead(open)? => {
                    running(&mut out.notices, shard, open.holder.clone());
                }
                Some(open) => out.notices.push(Notice::Unreleased {
                    shard: shard.clone(),
                    epoch: open.epoch,
                    holder: open.holder.clone(),
                }),
                None => {}
            }
            for rescue in self.rescues(&meta, shard)? {
                out.notices.push(Notice::RescueWaits {
                    shard: shard.clone(),
                    file: rescue.file(),
                });
            }
            if found.epoch > 0 {
                out.epochs.insert(shard.clone(), found.epoch);
            }
            out.state.shards.insert(shard.clone(), found.snapshot);
        }
        Ok(out)
    }

    fn rescues(&self, meta: &Meta, shard: &ZoneName) -> Result<Vec<Rescue>, StateError> {
        let dir = self.private("rescue");
        Rescue::waiting(dir.as_ref(), &meta.lineage, shard, self.seal())
    }

    fn is_dead(&self, open: &Open) -> Result<bool, StateError> {
        alive::is_dead(self.private("writers").as_ref(), &open.nonce)
    }

    /// Compares a shard with its high-water mark.
    pub(crate) fn checked(
        &self,
        shard: &ZoneName,
        found: &Found,
        seen: Option<&Seen>,
    ) -> Result<Option<Notice>, StateError> {
        let Some(mark) = seen.and_then(|seen| seen.shards.get(shard)) else {
            return Ok(None);
        };
        let file = self.file(&format!("{shard}/log"));
        if found.seq == 0 && !self.options.common.accept_rollback {
            let Mark { serial, seq, .. } = *mark;
            return Err(StateError::Lost {
                file,
                what: format!("is missing, but this host has seen serial {serial} (log {seq})"),
                history: Vec::new(),
            });
        }
        let now = Mark {
            serial: found.snapshot.serial,
            seq: found.seq,
            head: found.head,
        };
        check_mark(
            shard,
            &file,
            *mark,
            now,
            self.options.common.accept_rollback,
        )
    }

    /// Takes shards for writing, in the order of their names; all or none. Blocks up to `timeout`,
    /// and no longer than that: a writer elsewhere is taken for dead only when the time suffices to
    /// watch it.
    ///
    /// # Errors
    /// As for [`RemoteState::read`]; another writer holds a shard.
    pub fn acquire(
        &self,
        shards: &[ZoneName],
        holder: &Holder,
        timeout: Duration,
    ) -> Result<Writer, StateError> {
        let seen = self.seen()?;
        let nonce = self.nonce();
        let sign = match self.private("writers") {
            Some(dir) => Some(Arc::new(alive::show(&dir, &nonce)?)),
            None => None,
        };
        let mut logs: BTreeMap<ZoneName, Log> = BTreeMap::new();
        let mut notices = Vec::new();
        let mut let_go = true;
        let taken = wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let taking = Taking {
                meta: &meta,
                seen: seen.as_ref(),
                holder,
                nonce: &nonce,
                deadline: Instant::now() + timeout,
                sign: sign.clone(),
            };
            for shard in shards.iter().collect::<BTreeSet<_>>() {
                match self.take(&taking, shard, &mut notices).await {
                    Ok(log) => {
                        logs.insert(shard.clone(), Log::Remote(Arc::new(log)));
                    }
                    Err(error) => {
                        // The first error is the one to report; others find the shard released or its
                        // writer dead.
                        for log in std::mem::take(&mut logs).into_values() {
                            let_go &= log.release().await.is_ok();
                        }
                        return Err(error);
                    }
                }
            }
            Ok(meta)
        });
        if let Some(sign) = sign
            .filter(|_| taken.is_err() && let_go)
            .and_then(Arc::into_inner)
        {
            sign.end();
        }
        let writer = Writer {
            lineage: taken?.lineage,
            nonce,
            seen: self.seen_file(),
            notices,
            logs,
        };
        writer.raise_marks()?;
        Ok(writer)
    }

    async fn take(
        &self,
        taking: &Taking<'_>,
        shard: &ZoneName,
        notices: &mut Vec<Notice>,
    ) -> Result<RemoteLog, StateError> {
        let mut watch: Option<Watch> = None;
        loop {
            let found = self.reader(taking.meta, shard).run().await?;
            let rollback = self.checked(shard, &found, taking.seen)?;
            let mut told: Vec<Notice> = Vec::new();
            if let Some(open) = &found.open {
                match self.judged(shard, open, &found, &mut watch)? {
                    Some(over) => told.push(over),
                    None => {
                        self.wait_for(shard, open, taking.deadline).await?;
                        continue;
                    }
                }
            }
            let note = rollback.as_ref().map(|n| Entry::Note {
                text: n.to_string(),
            });
            told.extend(rollback);
            let (rescued, outcomes) = self.rescued(taking.meta, shard, &found, &mut told)?;
            let begun = RemoteLog::begin(log::Begin {
                store: &self.store,
                meta: taking.meta,
                shard,
                nonce: taking.nonce,
                holder: taking.holder,
                found,
                more: note.into_iter().chain(outcomes).collect(),
                rescue: self.private("rescue"),
                ttl: self.options.ttl,
                sign: taking.sign.clone(),
                mirrors: &self.mirrors,
                seal: self.seal(),
            });
            let Some(log) = begun.await? else {
                // Somebody was faster, and is at work now.
                continue;
            };
            for rescue in rescued {
                rescue.done()?;
            }
            notices.extend(told);
            return Ok(log);
        }
    }

    /// Whether an open writer is dead; says so if it is.
    fn judged(
        &self,
        shard: &ZoneName,
        open: &Open,
        found: &Found,
        watch: &mut Option<Watch>,
    ) -> Result<Option<Notice>, StateError> {
        let over = |silent_s| Notice::TakenOver {
            shard: shard.clone(),
            epoch: open.epoch,
            silent_s,
            holder: open.holder.clone(),
        };
        if self.is_dead(open)? {
            return Ok(Some(over(None)));
        }
        let still = |w: &&Watch| w.seq == found.seq && w.hint == found.hint;
        match watch.as_ref().filter(still) {
            Some(w) if w.since.elapsed() > self.patience() => {
                Ok(Some(over(Some(w.since.elapsed().as_secs()))))
            }
            Some(_) => Ok(None),
            None => {
                *watch = Some(Watch {
                    seq: found.seq,
                    hint: found.hint.clone(),
                    since: Instant::now(),
                });
                Ok(None)
            }
        }
    }

    /// For how long a writer is watched: longer than a living one is ever silent.
    fn patience(&self) -> Duration {
        self.options.ttl + self.options.ttl / 6
    }

    async fn wait_for(
        &self,
        shard: &ZoneName,
        open: &Open,
        deadline: Instant,
    ) -> Result<(), StateError> {
        let now = Instant::now();
        if now >= deadline {
            return Err(StateError::Locked {
                shard: shard.clone(),
                holder: open.holder.clone(),
                epoch: Some(open.epoch),
            });
        }
        let pause = (self.options.ttl / 30).max(Duration::from_millis(10));
        tokio::time::sleep(pause.min(deadline - now)).await;
        Ok(())
    }

    /// What this host kept for a shard and the log lacks. It fits as long as nobody else wrote.
    fn rescued(
        &self,
        meta: &Meta,
        shard: &ZoneName,
        found: &Found,
        told: &mut Vec<Notice>,
    ) -> Result<(Vec<Rescue>, Vec<Entry>), StateError> {
        let (mut files, mut entries) = (Vec::new(), Vec::new());
        for rescue in self.rescues(meta, shard)? {
            if rescue.epoch != found.epoch {
                told.push(Notice::RescueUnfit {
                    shard: shard.clone(),
                    file: rescue.put_aside()?,
                });
                continue;
            }
            let missing = rescue.missing_in(&found.snapshot)?;
            told.push(Notice::Rescued {
                shard: shard.clone(),
                outcomes: missing.len(),
            });
            entries.extend(missing);
            files.push(rescue);
        }
        Ok((files, entries))
    }

    /// The snapshots of a shard, newest first.
    ///
    /// # Errors
    /// The store does not answer, or one is damaged.
    pub fn history(&self, shard: &ZoneName) -> Result<Vec<history::Item>, StateError> {
        let seen = self.seen()?;
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let keys = self.snapshot_keys(shard).await?;
            let seal = self.seal().lenient();
            let reader = Reader {
                seal: &seal,
                ..self.reader(&meta, shard)
            };
            let newest = keys.iter().rev().take(history::KEEP);
            let mut items = Vec::new();
            for key in newest {
                let stored = reader.snapshot(key).await?;
                items.push(history::Item {
                    serial: stored.snapshot.serial,
                    file: self.file(key),
                    len: crate::format::encode(&stored).len() as u64,
                    modified: None,
                    run: stored.snapshot.last_run,
                });
            }
            Ok(items)
        })
    }

    /// The keys of a shard's snapshots, oldest first.
    pub(crate) async fn snapshot_keys(&self, shard: &ZoneName) -> Result<Vec<String>, StateError> {
        let keys = self.store.list(&layout::snaps(shard), None).await;
        let mut keys = keys.map_err(|e| self.failed(e))?;
        keys.retain(|key| matches!(layout::parse(key), Named::Snap { .. }));
        Ok(keys)
    }

    /// The last batches of a shard, oldest first.
    pub(crate) async fn last_batches(
        &self,
        seen: Option<&Seen>,
        shard: &ZoneName,
        count: usize,
    ) -> Result<Vec<Batch>, StateError> {
        let meta = self.meta(seen).await?;
        let keys = self.store.list(&layout::logs(shard), None).await;
        let keys = keys.map_err(|e| self.failed(e))?;
        let reader = self.reader(&meta, shard);
        let mut out = Vec::new();
        for window in keys[keys.len().saturating_sub(count)..].chunks(WINDOW) {
            let read = join_all(window.iter().map(|key| reader.get(key))).await;
            for (key, bytes) in window.iter().zip(read) {
                let (Named::Log { seq, .. }, Some(bytes)) = (layout::parse(key), bytes?) else {
                    continue;
                };
                out.push(reader.batch(key, &bytes, seq)?.record);
            }
        }
        Ok(out)
    }

    /// The high-water marks of this host, by shard.
    ///
    /// # Errors
    /// Their file is damaged.
    pub fn high_water(&self) -> Result<BTreeMap<ZoneName, Mark>, StateError> {
        Ok(self.seen()?.map(|seen| seen.shards).unwrap_or_default())
    }
}

impl std::fmt::Debug for RemoteState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place: &Path = &self.file("");
        f.debug_struct("RemoteState")
            .field("place", &place)
            .finish_non_exhaustive()
    }
}
