//! A file system in memory that knows which effects would survive a loss of power.
//!
//! Every effect is logged. After any prefix of the log, [`ModelVfs::crashes`] gives every image that
//! a disk could hold: what was synced, and any subset of what was not, with the last write torn.
//! Syncing a file does not make its name durable; syncing a directory does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirItem, Open, Vfs, VfsFile, components, parent};

type Inode = usize;

/// More un-synced effects than this at one point are a mistake of the protocol.
const MOST_PENDING: usize = 12;

/// What a disk holds: contents by name, and directories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Image {
    /// Contents of files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories.
    pub dirs: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Effect {
    Name {
        path: String,
        inode: Inode,
    },
    Dir {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    Write {
        inode: Inode,
        at: usize,
        bytes: Vec<u8>,
    },
    Cut {
        inode: Inode,
        len: usize,
    },
    SyncFile {
        inode: Inode,
    },
    SyncDir {
        path: String,
    },
}

#[derive(Debug, Clone, Default)]
struct Disk {
    names: BTreeMap<String, Inode>,
    dirs: BTreeSet<String>,
    data: BTreeMap<Inode, Vec<u8>>,
}

impl Disk {
    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Name { path, inode } => {
                if self.has_dir(parent(path)) {
                    self.names.insert(path.clone(), *inode);
                }
            }
            Effect::Dir { path } => {
                self.dirs.insert(path.clone());
            }
            Effect::Rename { from, to } => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            Effect::Unlink { path } => {
                self.names.remove(path);
            }
            Effect::Write { inode, at, bytes } => {
                let data = self.data.entry(*inode).or_default();
                let end = at + bytes.len();
                if data.len() < end {
                    data.resize(end, 0);
                }
                data[*at..end].copy_from_slice(bytes);
            }
            Effect::Cut { inode, len } => self.data.entry(*inode).or_default().resize(*len, 0),
            Effect::SyncFile { .. } | Effect::SyncDir { .. } => {}
        }
    }

    fn has_dir(&self, path: &str) -> bool {
        path.is_empty() || self.dirs.contains(path)
    }

    fn image(&self) -> Image {
        let file = |(path, inode): (&String, &Inode)| {
            let data = self.data.get(inode).cloned().unwrap_or_default();
            (path.clone(), data)
        };
        Image {
            files: self.names.iter().map(file).collect(),
            dirs: self.dirs.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    start: Disk,
    live: Disk,
    log: Vec<Effect>,
    next: Inode,
    locks: BTreeSet<Inode>,
    calls: usize,
    fail: Option<usize>,
}

/// The file system; clones share it.
#[derive(Debug, Clone, Default)]
pub struct ModelVfs(Arc<Mutex<Inner>>);

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl ModelVfs {
    /// Starts from what a disk holds.
    pub fn from_image(image: &Image) -> ModelVfs {
        let mut disk = Disk {
            dirs: image.dirs.clone(),
            ..Disk::default()
        };
        for (inode, (path, bytes)) in image.files.iter().enumerate() {
            disk.names.insert(path.clone(), inode);
            disk.data.insert(inode, bytes.clone());
        }
        ModelVfs(Arc::new(Mutex::new(Inner {
            start: disk.clone(),
            live: disk,
            next: image.files.len(),
            ..Inner::default()
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a program sees now.
    pub fn image(&self) -> Image {
        self.inner().live.image()
    }

    /// How many effects there were.
    pub fn effects(&self) -> usize {
        self.inner().log.len()
    }

    /// How many calls with an effect there were.
    pub fn calls(&self) -> usize {
        self.inner().calls
    }

    /// Makes the call with this number fail; of a write, half is written.
    pub fn fail_call(&self, number: usize) {
        self.inner().fail = Some(number);
    }

    /// One image that a crash now can leave; `choose(n)` gives a number below `n`.
    pub fn crash(&self, mut choose: impl FnMut(usize) -> usize) -> Image {
        let inner = self.inner();
        let log = &inner.log;
        let stays = (0..log.len()).filter(|i| is_sync(&log[*i]) || is_durable(log, *i));
        let stays: BTreeSet<usize> = stays.collect();
        let chosen = (0..log.len()).filter(|i| stays.contains(i) || choose(2) == 1);
        let chosen: Vec<usize> = chosen.collect();
        let is_pending_write =
            |i: &&usize| !stays.contains(*i) && matches!(log[**i], Effect::Write { .. });
        let torn = chosen.iter().rev().find(is_pending_write).copied();
        let mut disk = inner.start.clone();
        for i in chosen {
            let mut forms = match torn == Some(i) {
                true => variants(&log[i]),
                false => vec![None],
            };
            let form = forms.swap_remove(choose(forms.len()));
            disk.apply(form.as_ref().unwrap_or(&log[i]));
        }
        disk.image()
    }

    /// Every image that a crash after the first `effects` effects can leave.
    ///
    /// # Panics
    /// There are more un-synced effects than can be tried.
    pub fn crashes(&self, effects: usize) -> BTreeSet<Image> {
        let inner = self.inner();
        let done = &inner.log[..effects];
        let unsynced: Vec<bool> = (0..done.len()).map(|i| !is_durable(done, i)).collect();
        let pending: Vec<usize> = (0..done.len())
            .filter(|i| unsynced[*i] && !is_sync(&done[*i]))
            .collect();
        assert!(pending.len() <= MOST_PENDING, "too many un-synced effects");
        let mut out = BTreeSet::new();
        for subset in 0..1_usize << pending.len() {
            let kept = |i: &usize| {
                let place = pending.iter().position(|p| p == i);
                place.is_none_or(|place| subset >> place & 1 == 1)
            };
            let chosen: Vec<usize> = (0..done.len()).filter(kept).collect();
            let torn = pending
                .iter()
                .rev()
                .find(|i| kept(i) && matches!(done[**i], Effect::Write { .. }));
            for variant in torn.map_or(vec![None], |i| variants(&done[*i])) {
                let mut disk = inner.start.clone();
                for i in &chosen {
                    match &variant {
                        Some(effect) if Some(i) == torn => disk.apply(effect),
                        _ => disk.apply(&done[*i]),
                    }
                }
                out.insert(disk.image());
            }
        }
        out
    }
}

fn is_sync(effect: &Effect) -> bool {
    matches!(effect, Effect::SyncFile { .. } | Effect::SyncDir { .. })
}

/// Whether a later sync covers an effect.
fn is_durable(log: &[Effect], at: usize) -> bool {
    let later = &log[at + 1..];
    let dir_synced = |dir: &str| {
        let same = |e: &Effect| matches!(e, Effect::SyncDir { path } if path == dir);
        later.iter().any(same)
    };
    match &log[at] {
        Effect::Name { path, .. } | Effect::Dir { path } | Effect::Unlink { path } => {
            dir_synced(parent(path))
        }
        Effect::Rename { to, .. } => dir_synced(parent(to)),
        Effect::Write { inode, .. } | Effect::Cut { inode, .. } => later
            .iter()
            .any(|e| matches!(e, Effect::SyncFile { inode: synced } if synced == inode)),
        Effect::SyncFile { .. } | Effect::SyncDir { .. } => true,
    }
}

/// The whole write and its torn forms: 0, 1, half, all but one byte; cut short or with zeros in
/// place of what is missing, and with a hole at its beginning.
fn variants(write: &Effect) -> Vec<Option<Effect>> {
    let Effect::Write { inode, at, bytes } = write else {
        return vec![None];
    };
    let len = bytes.len();
    let mut out = vec![None];
    let mut push = |bytes: Vec<u8>| {
        out.push(Some(Effect::Write {
            inode: *inode,
            at: *at,
            bytes,
        }));
    };
    for keep in [0, 1, len / 2, len.saturating_sub(1)] {
        let keep = keep.min(len);
        push(bytes[..keep].to_vec());
        let mut zeros = bytes[..keep].to_vec();
        zeros.resize(len, 0);
        push(zeros);
    }
    let mut hole = bytes.clone();
    hole[..len / 2].fill(0);
    push(hole);
    out
}

impl ModelVfs {
    /// Decides on an effect and performs it in one step, or fails when it is this call's turn.
    fn effect(&self, decide: impl FnOnce(&Disk) -> io::Result<Effect>) -> io::Result<()> {
        let mut inner = self.inner();
        let effect = decide(&inner.live)?;
        inner.calls += 1;
        if inner.fail == Some(inner.calls) {
            if let Effect::Write { inode, at, bytes } = effect {
                let bytes = bytes[..bytes.len() / 2].to_vec();
                inner.perform(Effect::Write { inode, at, bytes });
            }
            return Err(io::Error::other("injected failure"));
        }
        inner.perform(effect);
        Ok(())
    }

    /// A number that no file has.
    fn new_inode(&self) -> Inode {
        let mut inner = self.inner();
        inner.next += 1;
        inner.next - 1
    }
}

impl Inner {
    fn perform(&mut self, effect: Effect) {
        self.live.apply(&effect);
        self.log.push(effect);
    }
}

impl Vfs for ModelVfs {
    fn open(&self, path: &str, how: Open) -> io::Result<Box<dyn VfsFile>> {
        components(path)?;
        let new = self.new_inode();
        let mut known = None;
        let made = self.effect(|disk| match (disk.names.get(path), how) {
            (Some(_), Open::New) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => {
                known = Some(*inode);
                Err(io::ErrorKind::AlreadyExists.into())
            }
            (None, Open::Read | Open::Write) => Err(missing()),
            (None, _) if !disk.has_dir(parent(path)) => Err(missing()),
            (None, Open::New | Open::Any) => Ok(Effect::Name {
                path: path.to_owned(),
                inode: new,
            }),
        });
        if known.is_none() {
            made?;
        }
        Ok(Box::new(ModelFile {
            vfs: self.clone(),
            inode: known.unwrap_or(new),
            locked: false,
        }))
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        if self.inner().live.has_dir(path) {
            return Ok(());
        }
        self.effect(|_| {
            Ok(Effect::Dir {
                path: path.to_owned(),
            })
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.effect(|disk| {
            disk.names.get(from).ok_or_else(missing)?;
            Ok(Effect::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            })
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.effect(|disk| {
            if disk.names.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if !disk.has_dir(parent(to)) {
                return Err(missing());
            }
            Ok(Effect::Name {
                path: to.to_owned(),
                inode: *disk.names.get(from).ok_or_else(missing)?,
            })
        })
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.effect(|disk| {
            disk.names.get(path).ok_or_else(missing)?;
            Ok(Effect::Unlink {
                path: path.to_owned(),
            })
        })
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.effect(|_| {
            Ok(Effect::SyncDir {
                path: path.to_owned(),
            })
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirItem>> {
        let inner = self.inner();
        let prefix = match path {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let item = |full: &str, dir: bool, len: usize| {
            let name = full.strip_prefix(&prefix)?;
            (!name.contains('/')).then(|| DirItem {
                name: name.to_owned(),
                dir,
                len: len as u64,
                modified: None,
            })
        };
        let len = |inode| inner.live.data.get(inode).map_or(0, Vec::len);
        let files = inner.live.names.iter();
        let mut out: Vec<DirItem> = files
            .filter_map(|(p, inode)| item(p, false, len(inode)))
            .collect();
        out.extend(inner.live.dirs.iter().filter_map(|p| item(p, true, 0)));
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    fn locate(&self, path: &str) -> PathBuf {
        PathBuf::from("model").join(path)
    }
}

struct ModelFile {
    vfs: ModelVfs,
    inode: Inode,
    locked: bool,
}

impl VfsFile for ModelFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let inner = self.vfs.inner();
        Ok(inner
            .live
            .data
            .get(&self.inode)
            .cloned()
            .unwrap_or_default())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.vfs.effect(|_| {
            Ok(Effect::Write {
                inode: self.inode,
                at,
                bytes: bytes.to_vec(),
            })
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.vfs.effect(|_| {
            Ok(Effect::Cut {
                inode: self.inode,
                len,
            })
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.vfs
            .effect(|_| Ok(Effect::SyncFile { inode: self.inode }))
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn reserve(&mut self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        let mut inner = self.vfs.inner();
        self.locked = inner.locks.insert(self.inode) || self.locked;
        Ok(self.locked)
    }

    fn is_locked(&mut self) -> io::Result<bool> {
        Ok(!self.locked && self.vfs.inner().locks.contains(&self.inode))
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        if self.locked {
            self.vfs.inner().locks.remove(&self.inode);
        }
    }
}
