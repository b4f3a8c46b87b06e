//! Going on after damage, loss or rollback: the newest state that is whole is taken for the truth, what
//! it replaces is kept aside, and the log says so.
//!
//! A state that lags behind the world is no danger: what it does not know carries our marker and is
//! adopted by the next plan, what it knows and is gone is planned anew. Inventing records would be one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Holder;
use zonewright_engine::snapshot::Snapshot;

use crate::dir::{OneNonce, StateDir};
use crate::error::{Class, StateError};
use crate::format::{self, Stored};
use crate::history;
use crate::journal::{self, Owner};
use crate::lock;
use crate::meta::{self, Meta};
use crate::record;
use crate::seal::{Expected, Seal};
use crate::shard::{self, journal_path, log, state_path};
use crate::store::file::FileStore;
use crate::vfs::{self, Vfs};

/// What to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The newest that is whole: the state as it is, its log up to the damage, or an earlier snapshot.
    Newest,
    /// The earlier snapshot with this serial.
    Serial(u64),
    /// Nothing: everything that exists is to be found by its marker.
    Empty,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The state as it is was whole.
    Current,
    /// The snapshot, and its log up to where it is damaged.
    Cut {
        /// Where the damage begins.
        offset: u64,
    },
    /// The snapshot without its log.
    SnapshotOnly,
    /// An earlier snapshot.
    Earlier {
        /// The file.
        file: PathBuf,
    },
    /// Nothing.
    Empty,
}

/// What was done to a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The shard.
    pub shard: ZoneName,
    /// From what.
    pub taken: Taken,
    /// The serial that it goes on from.
    pub serial: u64,
    /// Where the files are kept that were replaced, if any were.
    pub aside: Option<PathBuf>,
}

impl StateDir {
    /// Makes a shard usable again. The lock is taken; the log notes what was given up.
    ///
    /// # Errors
    /// There is nothing whole to go on from, another writer holds the shard, or the disk failed.
    pub fn restore(
        &self,
        shard: &ZoneName,
        source: Source,
        holder: &Holder,
    ) -> Result<Restored, StateError> {
        let vfs = self.vfs_or_create()?;
        let deadline = Instant::now() + self.options.grace;
        let held = lock::take(vfs.as_ref(), shard, holder, deadline)?;
        let meta = self.meta_or_rebuilt(&vfs)?;
        let nonce = self.nonce();
        let seen = self.seen()?.and_then(|s| s.shards.get(shard).copied());
        let newest = history::list(vfs.as_ref(), shard)?
            .first()
            .map(|i| i.serial);
        let highest = seen.map_or(0, |m| m.serial).max(newest.unwrap_or(0));
        let mut work = Work {
            vfs: vfs.as_ref(),
            meta: &meta,
            shard,
            nonce: &nonce,
            seal: &self.options.seal,
            highest,
            aside: None,
        };
        let (taken, serial) = work.run(source)?;
        let aside = work.aside.take();
        drop(held);
        // Taking it as a writer notes it in the log and lowers the mark.
        let accepting = self.accepting_rollback();
        let writer = accepting.acquire(std::slice::from_ref(shard), holder, Duration::ZERO)?;
        writer.release()?;
        Ok(Restored {
            shard: shard.clone(),
            taken,
            serial,
            aside: aside.map(|dir| vfs.locate(&dir)),
        })
    }

    /// The lineage as it is recorded, or as any other file of the project remembers it.
    fn meta_or_rebuilt(&self, vfs: &Arc<dyn Vfs>) -> Result<Meta, StateError> {
        let file = vfs.locate(meta::KEY);
        let io = |doing| {
            let file = file.clone();
            move |e| StateError::io(&file, doing, e)
        };
        let bytes = vfs::read(vfs.as_ref(), meta::KEY).map_err(io("read"))?;
        if let Some(meta) = bytes.and_then(|b| Meta::decode(&b, &file).ok()) {
            meta.check_world(&file, &self.options.world)?;
            return Ok(meta);
        }
        let lineage = match self.seen()? {
            Some(seen) => Some(seen.lineage),
            None => self.remembered(vfs.as_ref())?,
        };
        let lineage = lineage.ok_or_else(|| StateError::Lost {
            file: file.clone(),
            what: "is missing, and no other file tells the lineage".to_owned(),
            history: Vec::new(),
        })?;
        let made = self.meta_of(lineage);
        match vfs.unlink(meta::KEY) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("replace")(e)),
            _ => {}
        }
        let store = FileStore::new(Arc::clone(vfs), Box::new(OneNonce(self.nonce())));
        store
            .put_new_now(meta::KEY, made.encode().as_bytes())
            .map_err(|e| io("create")(std::io::Error::other(e)))?;
        Ok(made)
    }

    /// The lineage that a whole snapshot names.
    fn remembered(&self, vfs: &dyn Vfs) -> Result<Option<String>, StateError> {
        for shard in self.shards()? {
            let mut files = vec![state_path(&shard)];
            let history = history::list(vfs, &shard)?;
            files.extend(history.iter().map(|i| history::key(&shard, i.serial)));
            for file in files {
                let Ok(Some(bytes)) = vfs::read(vfs, &file) else {
                    continue;
                };
                let opened = format::open(
                    &bytes,
                    &vfs.locate(&file),
                    &[],
                    &Expected::default(),
                    &self.options.seal,
                );
                match opened {
                    Ok((stored, _)) => return Ok(Some(stored.snapshot.lineage)),
                    Err(closed) if closed.class() == Class::Sealed => return Err(closed),
                    Err(_) => {}
                }
            }
        }
        Ok(None)
    }
}

struct Work<'a> {
    vfs: &'a dyn Vfs,
    meta: &'a Meta,
    shard: &'a ZoneName,
    nonce: &'a str,
    seal: &'a Seal,
    /// The highest serial that is remembered.
    highest: u64,
    aside: Option<String>,
}

impl Work<'_> {
    fn run(&mut self, source: Source) -> Result<(Taken, u64), StateError> {
        match source {
            Source::Newest => self.newest(),
            Source::Serial(serial) => {
                let stored = self.decode(&history::key(self.shard, serial))?;
                self.earlier(&stored)
            }
            Source::Empty => {
                let Meta { lineage, world, .. } = self.meta;
                // Above whatever was: this is no project in which nothing was ever made.
                let serial = self.highest + 1;
                let mut snapshot = Snapshot::empty(lineage, self.shard.clone(), world);
                snapshot.serial = serial;
                self.replace(&Stored {
                    snapshot,
                    base_seq: 0,
                    head: record::genesis(lineage, self.shard),
                    epoch: 0,
                })?;
                Ok((Taken::Empty, serial))
            }
        }
    }

    fn newest(&mut self) -> Result<(Taken, u64), StateError> {
        let why = match shard::read(self.vfs, self.meta, self.shard, self.seal) {
            // A shard that was never written has nothing to restore.
            Ok(whole) => return Ok((Taken::Current, whole.snapshot.serial)),
            // What only a key is missing for is no damage: nothing older takes its place.
            Err(closed) if closed.class() == Class::Sealed => return Err(closed),
            Err(why) => why,
        };
        if let Ok(stored) = self.decode(&state_path(self.shard)) {
            if let Some(offset) = self.cut_journal()? {
                let cut = shard::read(self.vfs, self.meta, self.shard, self.seal);
                if let Ok(whole) = cut {
                    return Ok((Taken::Cut { offset }, whole.snapshot.serial));
                }
            }
            self.replace(&stored)?;
            return Ok((Taken::SnapshotOnly, stored.snapshot.serial));
        }
        for item in history::list(self.vfs, self.shard)? {
            match self.decode(&history::key(self.shard, item.serial)) {
                Ok(stored) => return self.earlier(&stored),
                Err(closed) if closed.class() == Class::Sealed => return Err(closed),
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn earlier(&mut self, stored: &Stored) -> Result<(Taken, u64), StateError> {
        let serial = stored.snapshot.serial;
        self.replace(stored)?;
        let file = self.vfs.locate(&history::key(self.shard, serial));
        Ok((Taken::Earlier { file }, serial))
    }

    /// A snapshot of this shard, lineage and world.
    fn decode(&self, path: &str) -> Result<Stored, StateError> {
        let file = self.vfs.locate(path);
        let bytes = vfs::read(self.vfs, path).map_err(|e| StateError::io(&file, "read", e))?;
        let bytes = bytes.ok_or_else(|| StateError::Lost {
            file: file.clone(),
            what: "is missing".to_owned(),
            history: self.earlier_files(),
        })?;
        let stored = format::open(
            &bytes,
            &file,
            &self.earlier_files(),
            &self.owner().expected(None),
            self.seal,
        )?
        .0;
        let Snapshot { lineage, world, .. } = &stored.snapshot;
        journal::check_owner(lineage, world, &file, &self.owner())?;
        if stored.snapshot.shard != *self.shard {
            return Err(StateError::Damaged {
                file,
                offset: 0,
                what: "it is the snapshot of another shard".to_owned(),
                history: self.earlier_files(),
            });
        }
        Ok(stored)
    }

    fn earlier_files(&self) -> Vec<PathBuf> {
        let items = history::list(self.vfs, self.shard).unwrap_or_default();
        items.into_iter().map(|item| item.file).collect()
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            lineage: &self.meta.lineage,
            world: &self.meta.world,
            shard: self.shard,
            seal: self.seal,
        }
    }

    /// Cuts the log off where it is damaged; `None` when there is nothing whole before that. The
    /// records before it are chained to each other, so they are what was written.
    fn cut_journal(&mut self) -> Result<Option<u64>, StateError> {
        let path = journal_path(self.shard);
        let file = self.vfs.locate(&path);
        let io = |e| StateError::io(&file, "read", e);
        let Some(bytes) = vfs::read(self.vfs, &path).map_err(io)? else {
            return Ok(None);
        };
        let offset = match journal::scan(&bytes, &file, &[], &self.owner()) {
            Err(StateError::Damaged { offset, .. }) if offset > 0 => offset,
            _ => return Ok(None),
        };
        let whole = usize::try_from(offset).unwrap_or(usize::MAX);
        let whole = &bytes[..whole.min(bytes.len())];
        if journal::scan(whole, &file, &[], &self.owner()).is_err() {
            return Ok(None);
        }
        self.keep(&path)?;
        let tmp = format!(".{}.journal.tmp.{}", self.shard, self.nonce);
        vfs::replace(self.vfs, &tmp, &path, whole).map_err(|e| StateError::io(&file, "cut", e))?;
        Ok(Some(offset))
    }

    /// Makes a snapshot the state, with a log that begins at it. What is newer goes aside, so that it
    /// is never taken for the history of what follows.
    fn replace(&mut self, stored: &Stored) -> Result<(), StateError> {
        let (state, journal) = (state_path(self.shard), journal_path(self.shard));
        self.keep(&state)?;
        self.keep(&journal)?;
        let io = |path: &str| {
            let file = self.vfs.locate(path);
            move |e| StateError::io(&file, "restore", e)
        };
        let bytes = journal::start(&self.owner(), stored.base_seq, stored.head);
        let tmp = format!(".{}.journal.tmp.{}", self.shard, self.nonce);
        self.vfs
            .make_dir(&history::dir(self.shard))
            .and_then(|()| vfs::replace(self.vfs, &tmp, &journal, &bytes))
            .map_err(io(&journal))?;
        match self.vfs.unlink(&state) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&state)(e)),
            _ => {}
        }
        log::write_snapshot(self.vfs, stored, self.nonce, None, self.seal)?;
        for item in history::list(self.vfs, self.shard)? {
            if item.serial > stored.snapshot.serial {
                let key = history::key(self.shard, item.serial);
                self.keep(&key)?;
                self.vfs.unlink(&key).map_err(io(&key))?;
            }
        }
        Ok(())
    }

    /// Gives a file another name in the directory of what was replaced.
    fn keep(&mut self, path: &str) -> Result<(), StateError> {
        let io = |e| StateError::io(self.vfs.locate(path), "keep", e);
        if vfs::read(self.vfs, path).map_err(io)?.is_none() {
            return Ok(());
        }
        let short: String = self.nonce.chars().take(8).collect();
        let dir = format!("{}.aside-{short}", self.shard);
        let name = path.rsplit('/').next().unwrap_or(path);
        self.vfs
            .make_dir(&dir)
            .and_then(|()| match self.vfs.link(path, &format!("{dir}/{name}")) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            })
            .and_then(|()| self.vfs.sync_dir(&dir))
            .map_err(io)?;
        self.aside = Some(dir);
        Ok(())
    }
}
