//! The file system itself, through handles of directories that were checked when opened.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, linkat, mkdirat,
    openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use zonewright_engine::failpoint;

use super::{DirItem, Open, READ_LIMIT, Refusal, Vfs, VfsFile, components, parent};

const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: Mode = Mode::RWXU;

/// A directory on disk.
#[derive(Debug)]
pub struct RealVfs {
    root: OwnedFd,
    path: PathBuf,
    any_owner: bool,
}

impl RealVfs {
    /// Opens a directory; `None` when it does not exist.
    ///
    /// # Errors
    /// It is a link, no directory, writable by others, or (unless `any_owner`) somebody else's.
    pub fn open(path: &Path, any_owner: bool) -> io::Result<Option<RealVfs>> {
        match open_dir(CWD, path, path, any_owner) {
            Ok(root) => Ok(Some(RealVfs {
                root,
                path: path.to_owned(),
                any_owner,
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a directory, making it (mode 0700) and its parents when it does not exist.
    ///
    /// # Errors
    /// As for [`RealVfs::open`], or it cannot be made.
    pub fn create(path: &Path, any_owner: bool) -> io::Result<RealVfs> {
        if let Some(found) = RealVfs::open(path, any_owner)? {
            return Ok(found);
        }
        let above = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(above)?;
        match mkdirat(CWD, path, DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        // A new directory must outlive a crash, or everything that is synced in it would not.
        File::open(above)?.sync_all()?;
        RealVfs::open(path, any_owner)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the new directory vanished"))
    }

    /// The handle of the directory that holds a path, and the last component.
    fn enter<'a>(&'a self, path: &'a str) -> io::Result<(Handle<'a>, &'a str)> {
        let parts = components(path)?;
        let (last, dirs) = parts
            .split_last()
            .expect("invariant: split gives at least one part");
        let mut at = Handle::Root(self.root.as_fd());
        let mut full = self.path.clone();
        for dir in dirs {
            full.push(dir);
            at = Handle::Own(open_dir(at.as_fd(), Path::new(dir), &full, self.any_owner)?);
        }
        Ok((at, last))
    }

    fn dir(&self, path: &str) -> io::Result<OwnedFd> {
        if path.is_empty() {
            return self.root.try_clone();
        }
        let (at, last) = self.enter(path)?;
        open_dir(
            at.as_fd(),
            Path::new(last),
            &self.locate(path),
            self.any_owner,
        )
    }
}

enum Handle<'a> {
    Root(BorrowedFd<'a>),
    Own(OwnedFd),
}

impl Handle<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Handle::Root(fd) => *fd,
            Handle::Own(fd) => fd.as_fd(),
        }
    }
}

fn open_dir(at: BorrowedFd<'_>, name: &Path, full: &Path, any_owner: bool) -> io::Result<OwnedFd> {
    let fd = match openat(at, name, DIR_FLAGS, Mode::empty()) {
        Ok(fd) => fd,
        // Systems differ in which of the two a link gives.
        Err(e @ (Errno::NOTDIR | Errno::LOOP)) => {
            let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
            return Err(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => Refusal::Symlink(full.to_owned()).into(),
                FileType::Directory => e.into(),
                _ => Refusal::NotDirectory(full.to_owned()).into(),
            });
        }
        Err(e) => return Err(e.into()),
    };
    check_dir(&fstat(&fd)?, full, any_owner)?;
    Ok(fd)
}

fn check_dir(stat: &Stat, path: &Path, any_owner: bool) -> Result<(), Refusal> {
    let mode = mode_of(stat);
    if mode & 0o022 != 0 {
        return Err(Refusal::Writable {
            path: path.to_owned(),
            mode,
        });
    }
    let me = rustix::process::geteuid().as_raw();
    if !any_owner && stat.st_uid != me && stat.st_uid != 0 {
        return Err(Refusal::Owner {
            path: path.to_owned(),
            owner: stat.st_uid,
        });
    }
    Ok(())
}

/// The permission bits of a file.
pub(crate) fn mode_of(stat: &Stat) -> u32 {
    Mode::from_raw_mode(stat.st_mode).bits() & 0o7777
}

impl Vfs for RealVfs {
    fn open(&self, path: &str, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let (at, name) = self.enter(path)?;
        let access = match how {
            Open::Read => OFlags::RDONLY,
            Open::Write => OFlags::RDWR,
            Open::New => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            Open::Any => OFlags::RDWR | OFlags::CREATE,
        };
        // NONBLOCK: a pipe in place of a file must not hang us.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let full = self.locate(path);
        if how == Open::New {
            failpoint::pass("disk.new");
        }
        let fd = match openat(at.as_fd(), name, flags, FILE_MODE) {
            Ok(fd) => fd,
            Err(Errno::LOOP) => return Err(Refusal::Symlink(full).into()),
            Err(Errno::ISDIR | Errno::NXIO) => return Err(Refusal::NotRegular(full).into()),
            Err(e) => return Err(e.into()),
        };
        let stat = fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Refusal::NotRegular(full).into());
        }
        let mode = mode_of(&stat);
        if mode & 0o022 != 0 {
            return Err(Refusal::Writable { path: full, mode }.into());
        }
        Ok(Box::new(RealFile {
            file: File::from(fd),
            path: full,
        }))
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        failpoint::pass("disk.make_dir");
        let (at, name) = self.enter(path)?;
        match mkdirat(at.as_fd(), name, DIR_MODE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => self.dir(path).map(drop),
            Err(e) => Err(e.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        failpoint::pass("disk.rename");
        let ((a, from), (b, to)) = (self.enter(from)?, self.enter(to)?);
        Ok(renameat(a.as_fd(), from, b.as_fd(), to)?)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        failpoint::pass("disk.link");
        let ((a, from), (b, to)) = (self.enter(from)?, self.enter(to)?);
        Ok(linkat(a.as_fd(), from, b.as_fd(), to, AtFlags::empty())?)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        failpoint::pass("disk.unlink");
        let (at, name) = self.enter(path)?;
        Ok(unlinkat(at.as_fd(), name, AtFlags::empty())?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        failpoint::pass("disk.sync_dir");
        File::from(self.dir(path)?).sync_all()
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirItem>> {
        let fd = match self.dir(path) {
            Ok(fd) => fd,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut out = Vec::new();
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            // Names that are not UTF-8 are not ours.
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            let stat = match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e.into()),
            };
            out.push(DirItem {
                name: name.to_owned(),
                dir: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                len: u64::try_from(stat.st_size).unwrap_or(0),
                modified: Some(stat.st_mtime),
            });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    fn locate(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.path.clone()
        } else {
            self.path.join(path)
        }
    }
}

impl RealVfs {
    /// The permission bits of a file.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn mode(&self, path: &str) -> io::Result<u32> {
        let (at, name) = self.enter(path)?;
        Ok(mode_of(&statat(
            at.as_fd(),
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?))
    }
}

/// The directory part of a path, as one that can be opened.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| Refusal::Path(path.display().to_string()))?;
    let dir = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    debug_assert!(parent(name).is_empty());
    Ok((dir, name))
}

struct RealFile {
    file: File,
    path: PathBuf,
}

impl VfsFile for RealFile {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&mut self.file)
            .take(READ_LIMIT + 1)
            .read_to_end(&mut out)?;
        if out.len() as u64 > READ_LIMIT {
            let len = self.file.metadata()?.len();
            return Err(Refusal::TooLarge {
                path: self.path.clone(),
                len,
            }
            .into());
        }
        Ok(out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failpoint::pass("disk.write");
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        failpoint::pass("disk.cut");
        self.file.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        failpoint::pass("disk.sync");
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        failpoint::pass("disk.sync");
        self.file.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn reserve(&mut self, offset: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&mut self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn is_locked(&mut self) -> io::Result<bool> {
        match flock(&self.file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                flock(&self.file, FlockOperation::Unlock)?;
                Ok(false)
            }
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }
}
