//! The writing side of a shard in a store: whoever makes the next numbered object has the shard.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;
use zonewright_engine::failpoint;
use zonewright_engine::journal::{Entry, Holder};
use zonewright_engine::snapshot::Snapshot;

use super::alive::Sign;
use super::hint::Hint;
use super::layout;
use super::lease::{self, Lease};
use super::mirror::{Copies, Mirrors};
use super::reader::{Found, Reader};
use super::rescue::Rescue;
use crate::error::StateError;
use crate::format::{self, Stored};
use crate::frame;
use crate::meta::Meta;
use crate::reactor::runtime;
use crate::record::{self, Batch};
use crate::seal::{Expected, Kind, Seal};
use crate::seen::Mark;
use crate::shard::log::LONG_RECORDS;
use crate::shard::undo;
use crate::store::{Put, Store};

/// A shard that this process may write.
pub(crate) struct RemoteLog {
    ctx: Arc<Ctx>,
    /// One write at a time.
    turn: tokio::sync::Mutex<()>,
    beats: Mutex<Option<JoinHandle<()>>>,
    sign: Mutex<Option<Arc<Sign>>>,
}

struct Ctx {
    store: Arc<dyn Store>,
    meta: Meta,
    shard: ZoneName,
    nonce: String,
    epoch: u64,
    holder: Holder,
    rescue: Option<Rescue>,
    seal: Seal,
    now: Mutex<Now>,
    lease: Lease,
    copies: Mutex<Option<Copies>>,
}

/// Where the log is.
struct Now {
    snapshot: Snapshot,
    seq: u64,
    head: Digest,
    base_serial: u64,
    base_seq: u64,
    beat: u64,
    poisoned: bool,
    /// Who has the shard now, when it was lost to somebody.
    lost: Option<Lost>,
}

/// How a shard was lost.
#[derive(Clone)]
enum Lost {
    Taken { holder: Option<Box<Holder>> },
    Broken { who: String, reason: String },
}

impl Lost {
    fn error(self, shard: &ZoneName) -> StateError {
        let shard = shard.clone();
        match self {
            Lost::Taken { holder } => StateError::Fenced { shard, holder },
            Lost::Broken { who, reason } => StateError::Broken { shard, who, reason },
        }
    }
}

/// How to begin writing.
pub(crate) struct Begin<'a> {
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) meta: &'a Meta,
    pub(crate) shard: &'a ZoneName,
    pub(crate) nonce: &'a str,
    pub(crate) holder: &'a Holder,
    pub(crate) found: Found,
    /// What goes into the first batch besides the new writer's number.
    pub(crate) more: Vec<Entry>,
    /// Where outcomes are kept when the store does not answer.
    pub(crate) rescue: Option<PathBuf>,
    pub(crate) ttl: Duration,
    pub(crate) sign: Option<Arc<Sign>>,
    pub(crate) mirrors: &'a Mirrors,
    pub(crate) seal: &'a Seal,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteLog {
    /// Writes the new writer's number; `None` when somebody else was faster.
    pub(crate) async fn begin(begin: Begin<'_>) -> Result<Option<RemoteLog>, StateError> {
        let Begin {
            store,
            meta,
            shard,
            found,
            ..
        } = begin;
        let epoch = found.epoch + 1;
        let ctx = Arc::new(Ctx {
            store: Arc::clone(store),
            meta: meta.clone(),
            shard: shard.clone(),
            nonce: begin.nonce.to_owned(),
            epoch,
            holder: begin.seal.outside(begin.holder),
            rescue: begin
                .rescue
                .map(|dir| Rescue::new(&dir, &meta.lineage, shard, epoch, begin.seal)),
            seal: begin.seal.clone(),
            now: Mutex::new(Now {
                snapshot: found.snapshot,
                seq: found.seq,
                head: found.head,
                base_serial: found.base_serial,
                base_seq: found.base_seq,
                beat: 0,
                poisoned: false,
                lost: None,
            }),
            lease: Lease::new(begin.ttl),
            copies: Mutex::new(None),
        });
        let mut entries = vec![Entry::Acquire {
            epoch,
            holder: begin.holder.clone(),
        }];
        entries.extend(begin.more);
        if let Err(error) = ctx.append(entries).await {
            return match error {
                StateError::Fenced { .. } | StateError::Broken { .. } => Ok(None),
                other => Err(other),
            };
        }
        // What is lacking there includes the batch that was just made.
        *locked(&ctx.copies) = Some(begin.mirrors.begin(store, shard));
        let beats = runtime().spawn(beat(Arc::clone(&ctx), begin.ttl / 3));
        Ok(Some(RemoteLog {
            ctx,
            turn: tokio::sync::Mutex::new(()),
            beats: Mutex::new(Some(beats)),
            sign: Mutex::new(begin.sign),
        }))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        locked(&self.ctx.now).snapshot.clone()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.ctx.epoch
    }

    pub(crate) fn mark(&self) -> Mark {
        let now = locked(&self.ctx.now);
        Mark {
            serial: now.snapshot.serial,
            seq: now.seq,
            head: now.head,
        }
    }

    /// Appends one batch. When this returns `Ok` the batch is durable and folded. A batch that is
    /// not taken ends writing for good; what came of requests is kept on this host.
    pub(crate) async fn append(&self, entries: Vec<Entry>) -> Result<(), StateError> {
        let _turn = self.turn.lock().await;
        self.ctx.append(entries).await
    }

    /// Whether the shard is ours. After a silence in which others may have taken it over only the next
    /// number of the log can tell.
    pub(crate) async fn still_held(&self) -> Result<(), StateError> {
        let Some(silent) = self.ctx.lease.lapsed() else {
            return Ok(());
        };
        let text = format!(
            "writer {} wrote nothing for {} s and goes on",
            self.ctx.epoch,
            silent.as_secs()
        );
        self.append(vec![Entry::Note { text }]).await
    }

    /// Writes the snapshot.
    pub(crate) async fn checkpoint(&self) -> Result<(), StateError> {
        let _turn = self.turn.lock().await;
        self.ctx.checkpoint().await
    }

    /// Says in the log that the shard is free, and makes a checkpoint when there is something in it.
    pub(crate) async fn release(&self) -> Result<(), StateError> {
        let epoch = self.ctx.epoch;
        self.append(vec![Entry::Release { epoch }]).await?;
        if let Some(sign) = locked(&self.sign).take().and_then(Arc::into_inner) {
            sign.end();
        }
        let (changed, long) = {
            let now = locked(&self.ctx.now);
            (
                now.snapshot.serial != now.base_serial,
                now.seq - now.base_seq > LONG_RECORDS,
            )
        };
        if changed || long {
            self.checkpoint().await?;
        }
        self.ctx.hint().await;
        let copies = locked(&self.ctx.copies).take();
        if let Some(copies) = copies {
            copies.finish(&self.ctx.shard).await;
        }
        Ok(())
    }

    /// Nothing can be written afterwards, and others see no sign of life any more.
    pub(crate) fn unlock(&self) {
        locked(&self.ctx.now).poisoned = true;
        if let Some(beats) = locked(&self.beats).take() {
            beats.abort();
        }
        locked(&self.sign).take();
    }
}

impl Drop for RemoteLog {
    fn drop(&mut self) {
        self.unlock();
    }
}

/// Shows that the writer lives for as long as it does.
async fn beat(ctx: Arc<Ctx>, every: Duration) {
    loop {
        ctx.hint().await;
        tokio::time::sleep(every).await;
    }
}

impl Ctx {
    fn reader(&self) -> Reader<'_> {
        Reader {
            store: self.store.as_ref(),
            meta: &self.meta,
            shard: &self.shard,
            seal: &self.seal,
        }
    }

    /// A hint that cannot be written is none; the log does not depend on it.
    async fn hint(&self) {
        let hint = {
            let mut now = locked(&self.now);
            if now.poisoned {
                return;
            }
            now.beat += 1;
            Hint {
                epoch: self.epoch,
                nonce: self.nonce.clone(),
                holder: self.holder.clone(),
                seq: now.seq,
                beat: now.beat,
            }
        };
        let key = layout::hint(&self.shard);
        if let Err(error) = self.store.put_hint(&key, &hint.encode()).await {
            tracing::debug!(shard = %self.shard, %error, "no sign of life could be written");
        }
    }

    fn copy(&self, key: &str, bytes: &[u8]) {
        if let Some(copies) = locked(&self.copies).as_ref() {
            copies.copy(key, bytes);
        }
    }

    fn batch(&self, entries: Vec<Entry>) -> Batch {
        let now = locked(&self.now);
        Batch {
            v: record::version_of(&entries),
            lineage: self.meta.lineage.clone(),
            shard: self.shard.clone(),
            seq: now.seq + 1,
            epoch: self.epoch,
            writer: self.nonce.clone(),
            prev: now.head,
            entries,
        }
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StateError> {
        if entries.is_empty() {
            return Ok(());
        }
        if locked(&self.now).poisoned {
            self.rescue(entries)?;
            return Err(self.ended());
        }
        let undo = undo::fold_all(&mut locked(&self.now).snapshot, &entries)?;
        let batch = self.batch(entries);
        let (payload, digest) = record::encode(&batch, Kind::Batch, &self.seal);
        let bytes = frame::encode(&payload);
        let key = layout::log(&self.shard, batch.seq);
        let since = lease::now();
        failpoint::pass("store.put");
        let put = self.store.put_new(&key, &bytes).await;
        failpoint::pass("store.answer");
        let won = matches!(put, Ok(Put::Created));
        if won || failpoint::without("number-won") {
            self.lease.prove(since);
            self.copy(&key, &bytes);
            let mut now = locked(&self.now);
            now.seq = batch.seq;
            now.head = digest;
            return Ok(());
        }
        {
            let mut now = locked(&self.now);
            undo.apply(&mut now.snapshot);
            now.poisoned = true;
        }
        self.rescue(batch.entries)?;
        Err(match put {
            Err(source) => StateError::store(self.store.as_ref(), source),
            Ok(_) => self.fenced(&key, batch.seq).await,
        })
    }

    /// Why nothing more is written.
    fn ended(&self) -> StateError {
        match locked(&self.now).lost.clone() {
            Some(lost) => lost.error(&self.shard),
            None => StateError::Poisoned {
                shard: self.shard.clone(),
            },
        }
    }

    /// Who has the number that should have been ours.
    async fn fenced(&self, key: &str, seq: u64) -> StateError {
        let bytes = self.store.get(key).await.ok().flatten();
        let batch = bytes.and_then(|b| self.reader().batch(key, &b, seq).ok());
        let entries = batch.into_iter().flat_map(|read| read.record.entries);
        let mut lost = Lost::Taken { holder: None };
        for entry in entries {
            match entry {
                Entry::Break { who, reason, .. } => lost = Lost::Broken { who, reason },
                Entry::Acquire { holder, .. } => {
                    lost = Lost::Taken {
                        holder: Some(Box::new(holder)),
                    };
                }
                _ => {}
            }
        }
        locked(&self.now).lost = Some(lost.clone());
        lost.error(&self.shard)
    }

    fn rescue(&self, entries: Vec<Entry>) -> Result<(), StateError> {
        let outcome = |entry: &Entry| matches!(entry, Entry::Outcome { .. });
        let outcomes: Vec<Entry> = entries.into_iter().filter(outcome).collect();
        match &self.rescue {
            Some(rescue) if !outcomes.is_empty() => rescue.keep(&self.batch(outcomes)),
            _ => Ok(()),
        }
    }

    async fn checkpoint(&self) -> Result<(), StateError> {
        let stored = {
            let now = locked(&self.now);
            if now.poisoned {
                return Err(StateError::Poisoned {
                    shard: self.shard.clone(),
                });
            }
            Stored {
                snapshot: now.snapshot.clone(),
                base_seq: now.seq,
                head: now.head,
                epoch: self.epoch,
            }
        };
        let (key, bytes) = write_snapshot(self.store.as_ref(), &stored, &self.seal).await?;
        self.copy(&key, &bytes);
        let mut now = locked(&self.now);
        now.base_serial = stored.snapshot.serial;
        now.base_seq = stored.base_seq;
        Ok(())
    }
}

/// Writes a snapshot that reads back as it is; gives its key and its bytes.
pub(crate) async fn write_snapshot(
    store: &dyn Store,
    stored: &Stored,
    seal: &Seal,
) -> Result<(String, Vec<u8>), StateError> {
    let bytes = format::seal(stored, seal);
    let key = layout::snap(&stored.snapshot.shard, stored.base_seq, &bytes);
    let file = PathBuf::from(format!("{}/{key}", store.place()));
    if format::open(&bytes, &file, &[], &Expected::default(), seal)?.0 != *stored {
        // Better no snapshot than one that says something else than the log.
        let why = "the snapshot does not read back as it was";
        let why = std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        return Err(StateError::io(file, "write", why));
    }
    // One that exists has the same contents: its name says so.
    let put = store.put_new(&key, &bytes).await;
    put.map_err(|e| StateError::store(store, e))?;
    Ok((key, bytes))
}
