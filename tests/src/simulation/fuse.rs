//! Where a process dies: at a request or at an effect on its disk.
//!
//! What a dead process had under way on the network may still arrive; its disk keeps what was synced,
//! and of the rest what chance left of it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Request;
use tokio::sync::watch;
use zonewright_state::vfs::{DirItem, Open, Vfs, VfsFile};

/// A point at which a process dies; all are counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// Before this request leaves.
    BeforeRequest(usize),
    /// When this request was carried out, before its reply is here.
    AfterRequest(usize),
    /// In place of this effect on the disk.
    AtEffect(usize),
}

/// How many points a process has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Requests.
    pub requests: usize,
    /// Those of them that can change something.
    pub changing: usize,
    /// Effects on the disk.
    pub effects: usize,
}

/// Counts the points that a process passes, and ends it at one of them.
#[derive(Debug)]
pub(super) struct Fuse {
    at: Option<Death>,
    passed: Mutex<Passed>,
    blown: watch::Sender<bool>,
}

impl Fuse {
    pub(super) fn new(at: Option<Death>) -> Arc<Fuse> {
        Arc::new(Fuse {
            at,
            passed: Mutex::default(),
            blown: watch::Sender::new(false),
        })
    }

    /// Resolves once the process is dead.
    pub(super) async fn blown(&self) {
        let mut blown = self.blown.subscribe();
        // The sender lives as long as `self`.
        let _ = blown.wait_for(|blown| *blown).await;
    }

    pub(super) fn is_blown(&self) -> bool {
        *self.blown.borrow()
    }

    pub(super) fn passed(&self) -> Passed {
        *self.lock()
    }

    /// A request is about to leave; gives its number.
    pub(super) fn request(&self, request: &Request<Bytes>) -> usize {
        let only_tries = request.uri().query().is_some_and(|q| q.contains("dryRun="));
        let changing = !request.method().is_safe() && !only_tries;
        let number = {
            let mut passed = self.lock();
            passed.requests += 1;
            passed.changing += usize::from(changing);
            passed.requests
        };
        self.end_at(Death::BeforeRequest(number));
        number
    }

    /// A request was carried out.
    pub(super) fn carried_out(&self, number: usize) {
        self.end_at(Death::AfterRequest(number));
    }

    fn effect(&self) -> io::Result<()> {
        let number = {
            let mut passed = self.lock();
            passed.effects += 1;
            passed.effects
        };
        self.end_at(Death::AtEffect(number));
        match self.is_blown() {
            true => Err(io::Error::other("the process is dead")),
            false => Ok(()),
        }
    }

    fn end_at(&self, point: Death) {
        if self.at == Some(point) {
            self.blown.send_replace(true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk as a mortal process sees it.
#[derive(Debug)]
pub(super) struct MortalDisk<V> {
    disk: V,
    fuse: Arc<Fuse>,
}

impl<V: Vfs> MortalDisk<V> {
    pub(super) fn new(disk: V, fuse: Arc<Fuse>) -> MortalDisk<V> {
        MortalDisk { disk, fuse }
    }
}

impl<V: Vfs> Vfs for MortalDisk<V> {
    fn open(&self, path: &str, how: Open) -> io::Result<Box<dyn VfsFile>> {
        if how == Open::New {
            self.fuse.effect()?;
        }
        let file = self.disk.open(path, how)?;
        let fuse = Arc::clone(&self.fuse);
        Ok(Box::new(MortalFile { file, fuse }))
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.fuse.effect()?;
        self.disk.make_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.fuse.effect()?;
        self.disk.rename(from, to)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.fuse.effect()?;
        self.disk.link(from, to)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.fuse.effect()?;
        self.disk.unlink(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.fuse.effect()?;
        self.disk.sync_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirItem>> {
        self.disk.list(path)
    }

    fn locate(&self, path: &str) -> PathBuf {
        self.disk.locate(path)
    }
}

struct MortalFile {
    file: Box<dyn VfsFile>,
    fuse: Arc<Fuse>,
}

impl VfsFile for MortalFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.file.read_all()
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.fuse.effect()?;
        self.file.write_at(offset, bytes)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.fuse.effect()?;
        self.file.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.fuse.effect()?;
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.fuse.effect()?;
        self.file.sync_all()
    }

    fn reserve(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.file.reserve(offset, len)
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn is_locked(&mut self) -> io::Result<bool> {
        self.file.is_locked()
    }
}
