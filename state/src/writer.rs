//! The writer: holds the locks of its shards and is the engine's [`Journal`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::{Entry, Journal, JournalError};
use zonewright_engine::snapshot::{Snapshot, State};

use crate::error::{Notice, StateError};
use crate::reactor::{runtime, wait};
use crate::remote::log::RemoteLog;
use crate::seen::{Mark, SeenFile};
use crate::shard::log::ShardLog;

/// The only one that writes its shards. Dropped without [`Writer::release`], the locks go free and
/// the next writer is told that this one ended early.
pub struct Writer {
    pub(crate) lineage: String,
    pub(crate) nonce: String,
    pub(crate) seen: Option<SeenFile>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) logs: BTreeMap<ZoneName, Log>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("lineage", &self.lineage)
            .field("shards", &self.logs.keys())
            .finish_non_exhaustive()
    }
}

/// The log of one shard, wherever it is.
#[derive(Clone)]
pub(crate) enum Log {
    /// In files: calls block for as long as the disk does.
    File(Arc<Mutex<ShardLog>>),
    /// In a store.
    Remote(Arc<RemoteLog>),
}

fn locked(log: &Mutex<ShardLog>) -> MutexGuard<'_, ShardLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn epoch(&self) -> u64 {
        match self {
            Log::File(log) => locked(log).epoch(),
            Log::Remote(log) => log.epoch(),
        }
    }

    fn mark(&self) -> Mark {
        match self {
            Log::File(log) => locked(log).mark(),
            Log::Remote(log) => log.mark(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        match self {
            Log::File(log) => locked(log).snapshot().clone(),
            Log::Remote(log) => log.snapshot(),
        }
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StateError> {
        match self {
            Log::File(log) => locked(log).append(entries),
            Log::Remote(log) => log.append(entries).await,
        }
    }

    async fn checkpoint(&self) -> Result<(), StateError> {
        match self {
            Log::File(log) => locked(log).checkpoint(),
            Log::Remote(log) => log.checkpoint().await,
        }
    }

    pub(crate) async fn release(&self) -> Result<(), StateError> {
        match self {
            Log::File(log) => locked(log).release(),
            Log::Remote(log) => log.release().await,
        }
    }

    fn unlock(&self) {
        match self {
            Log::File(log) => locked(log).unlock(),
            Log::Remote(log) => log.unlock(),
        }
    }
}

impl Writer {
    /// The project's lineage.
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// What was noticed while the shards were taken over.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The writer's number in each shard.
    pub fn epochs(&self) -> BTreeMap<ZoneName, u64> {
        let epoch = |(shard, log): (&ZoneName, &Log)| (shard.clone(), log.epoch());
        self.logs.iter().map(epoch).collect()
    }

    /// The state of the held shards: everything that is durable.
    pub fn state(&self) -> State {
        let snapshot = |(shard, log): (&ZoneName, &Log)| (shard.clone(), log.snapshot());
        State {
            shards: self.logs.iter().map(snapshot).collect(),
        }
    }

    /// Appends one batch to a shard; for callers that block anyway.
    ///
    /// # Errors
    /// The shard is not held, an entry is illegal (nothing is written), or the disk or the store
    /// failed.
    pub fn append_now(&self, shard: &ZoneName, entries: Vec<Entry>) -> Result<(), StateError> {
        wait(self.log(shard)?.append(entries))
    }

    fn log(&self, shard: &ZoneName) -> Result<&Log, StateError> {
        self.logs.get(shard).ok_or_else(|| StateError::NotHeld {
            shard: shard.clone(),
        })
    }

    /// Writes the snapshot of every shard, and starts the journals of files anew.
    ///
    /// # Errors
    /// The disk or the store failed; the shard takes no more writes, what was durable still is.
    pub fn checkpoint(&self) -> Result<(), StateError> {
        for log in self.logs.values() {
            wait(log.checkpoint())?;
        }
        self.raise_marks()
    }

    /// Ends writing: says so in each log, checkpoints what changed, and frees the locks (also on
    /// failure).
    ///
    /// # Errors
    /// The disk or the store failed; what was durable still is.
    pub fn release(self) -> Result<(), StateError> {
        let mut first = Ok(());
        for log in self.logs.values() {
            let released = wait(log.release());
            first = first.and(released);
        }
        first = first.and(self.raise_marks());
        for log in self.logs.values() {
            log.unlock();
        }
        first
    }

    pub(crate) fn raise_marks(&self) -> Result<(), StateError> {
        let Some(seen) = &self.seen else {
            return Ok(());
        };
        let mark = |(shard, log): (&ZoneName, &Log)| (shard.clone(), log.mark());
        let marks: Vec<_> = self.logs.iter().map(mark).collect();
        seen.set(&self.lineage, marks, &self.nonce)
    }
}

impl Journal for Writer {
    fn still_held<'a>(&'a self, shard: &'a ZoneName) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let failed = |error: StateError| JournalError {
                shard: shard.clone(),
                source: error.into_io(),
            };
            match self.log(shard).map_err(failed)? {
                // The lock of files is the process's own: nobody takes it from one that is paused.
                Log::File(_) => Ok(()),
                Log::Remote(log) => log.still_held().await.map_err(failed),
            }
        }
        .boxed()
    }

    fn append<'a>(
        &'a self,
        shard: &'a ZoneName,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let failed = |source: std::io::Error| JournalError {
                shard: shard.clone(),
                source,
            };
            let log = self.log(shard).map_err(|e| failed(e.into_io()))?.clone();
            // A future that is dropped does not stop the write, which then is the batch in flight.
            let done = runtime()
                .spawn(async move { log.append(entries).await })
                .await
                .map_err(|e| failed(std::io::Error::other(e)))?;
            done.map_err(|e| failed(e.into_io()))
        }
        .boxed()
    }
}
