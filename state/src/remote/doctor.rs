//! Looks at every object of a state: checksums, the chain, and whether each snapshot is what its log
//! comes to.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::fold;
use zonewright_engine::snapshot::Snapshot;

use super::RemoteState;
use super::layout::{self, Named};
use super::reader::{Found, Reader};
use crate::error::StateError;
use crate::examine::Examined;
use crate::format::Stored;
use crate::frame::{self, Next};
use crate::reactor::wait;
use crate::record::Recorded;
use crate::seal::sealed_for;

/// The objects of a shard by number.
#[derive(Default)]
struct Objects {
    logs: BTreeSet<u64>,
    snaps: BTreeMap<u64, Vec<String>>,
}

impl RemoteState {
    /// Reads every object of every shard.
    ///
    /// # Errors
    /// There is no state, it belongs to another world, or the store does not answer. What is wrong with
    /// single objects is in the result.
    pub fn examine(&self) -> Result<Vec<Examined>, StateError> {
        let seen = self.seen()?;
        // Everything is looked at, also what is no longer taken as it is.
        let seal = self.seal().lenient();
        wait(async {
            let meta = self.meta(seen.as_ref()).await?;
            let mut shards: BTreeMap<ZoneName, Objects> = BTreeMap::new();
            let keys = self.store.list("", None).await;
            for key in keys.map_err(|e| self.failed(e))? {
                match layout::parse(&key) {
                    Named::Log { shard, seq } => {
                        shards.entry(shard).or_default().logs.insert(seq);
                    }
                    Named::Snap { shard, seq, .. } => {
                        let objects = shards.entry(shard).or_default();
                        objects.snaps.entry(seq).or_default().push(key);
                    }
                    Named::Meta | Named::Hint | Named::Probe | Named::Unknown => {}
                }
            }
            let mut out = Vec::new();
            for (shard, objects) in shards {
                let strict = self.reader(&meta, &shard);
                let mut walk = Walk::new(Reader {
                    seal: &seal,
                    ..strict
                });
                walk.all(&objects).await?;
                let whole = strict.run().await;
                if let Ok(found) = &whole {
                    let checked = self.checked(&shard, found, seen.as_ref());
                    walk.out.note(checked)?;
                }
                walk.out.note(whole)?;
                out.push(walk.out);
            }
            Ok(out)
        })
    }
}

/// One shard, from its first object on.
struct Walk<'a> {
    reader: Reader<'a>,
    now: Found,
    /// Whether what was folded so far can be compared with.
    known: bool,
    out: Examined,
}

impl<'a> Walk<'a> {
    fn new(reader: Reader<'a>) -> Walk<'a> {
        Walk {
            now: reader.fresh(),
            known: true,
            out: Examined::of(reader.shard),
            reader,
        }
    }

    async fn all(&mut self, objects: &Objects) -> Result<(), StateError> {
        let last = objects.logs.last().max(objects.snaps.keys().last());
        let first = objects.logs.first().copied().unwrap_or(u64::MAX);
        // What was swept begins with a snapshot; the batches that are in it may be gone in part.
        self.known = first <= 1 || first == u64::MAX;
        for seq in 0..=last.copied().unwrap_or(0) {
            if objects.logs.contains(&seq) {
                let done = self.batch(seq).await;
                self.known &= done.is_ok();
                self.out.note(done)?;
            } else if seq > first {
                self.known = false;
                let key = layout::log(self.reader.shard, seq);
                let error = self
                    .reader
                    .damaged(&key, "it is missing and later ones exist");
                self.out.note(Err::<(), _>(error))?;
            }
            for key in objects.snaps.get(&seq).into_iter().flatten() {
                let done = self.snapshot(key, seq).await;
                self.out.note(done)?;
            }
        }
        if first > 1 && first != u64::MAX && objects.snaps.is_empty() {
            let key = layout::log(self.reader.shard, first - 1);
            let what = "it is missing, and no snapshot has what was in it";
            let error = self.reader.damaged(&key, what);
            self.out.note(Err::<(), _>(error))?;
        }
        self.out.seq = self.now.seq;
        self.out.serial = self.now.snapshot.serial;
        Ok(())
    }

    async fn batch(&mut self, seq: u64) -> Result<(), StateError> {
        let key = layout::log(self.reader.shard, seq);
        let Some(bytes) = self.reader.get(&key).await? else {
            return Err(self.reader.damaged(&key, "it is listed and cannot be read"));
        };
        self.out.batches += 1;
        if let Next::Frame { payload, .. } = frame::next(&bytes, 0) {
            self.out.count_batch(payload);
        }
        let Recorded {
            record: batch,
            digest,
            ..
        } = self.reader.batch(&key, &bytes, seq)?;
        let follows = batch.prev == self.now.head && seq == self.now.seq + 1;
        (self.now.seq, self.now.head) = (seq, digest);
        if !self.known {
            return Ok(());
        }
        if !follows {
            return Err(self
                .reader
                .damaged(&key, "it does not follow the one before it"));
        }
        for entry in &batch.entries {
            fold(&mut self.now.snapshot, entry)
                .map_err(|e| self.reader.damaged(&key, e.to_string()))?;
        }
        Ok(())
    }

    /// A snapshot is what the log before it comes to. Where that is not known, or where the state was
    /// moved here and begins with one, it is begun with.
    async fn snapshot(&mut self, key: &str, seq: u64) -> Result<(), StateError> {
        let bytes = self.reader.get(key).await?.unwrap_or_default();
        self.out.count_snapshot(&bytes);
        self.out.newest = Some(sealed_for(&bytes).unwrap_or_default());
        let stored = self.reader.snapshot(key).await?;
        self.out.snapshots += 1;
        let begins = self.now.seq == 0 && seq > 0;
        if self.known && !begins {
            let same = |a: &Snapshot, b: &Snapshot| a == b;
            let Stored { snapshot, head, .. } = &stored;
            if *head != self.now.head || !same(snapshot, &self.now.snapshot) {
                let what = "it is not what the log before it comes to";
                return Err(self.reader.damaged(key, what));
            }
            return Ok(());
        }
        self.known = true;
        self.now.seq = stored.base_seq;
        self.now.head = stored.head;
        self.now.snapshot = stored.snapshot;
        Ok(())
    }
}
