//! The file effects that the state is built on, behind a trait so that crash states can be
//! enumerated ([`model`]) and every effect can be made to fail.
//!
//! A [`Vfs`] is rooted at one directory. Paths are relative, `/`-separated, without `.` and `..`;
//! no component of a path is ever followed when it is a symbolic link.

use std::fmt;
use std::io;
use std::path::PathBuf;

use zonewright_engine::failpoint;

pub mod model;
pub mod real;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Reading; it must exist.
    Read,
    /// Reading and writing; it must exist.
    Write,
    /// Reading and writing; it must not exist (mode 0600).
    New,
    /// Reading and writing; it is made when it does not exist (mode 0600).
    Any,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirItem {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub dir: bool,
    /// Its size in bytes.
    pub len: u64,
    /// Its modification time in seconds since 1970, informative.
    pub modified: Option<i64>,
}

/// Effects on names.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a regular file.
    fn open(&self, path: &str, how: Open) -> io::Result<Box<dyn VfsFile>>;
    /// Makes a directory (mode 0700); one that exists is fine.
    fn make_dir(&self, path: &str) -> io::Result<()>;
    /// Renames, replacing what is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name; fails with `AlreadyExists`.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a directory durable; the root is `""`.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// The entries of a directory by name; a directory that does not exist has none.
    fn list(&self, path: &str) -> io::Result<Vec<DirItem>>;
    /// A path for messages.
    fn locate(&self, path: &str) -> PathBuf;
}

/// Effects on an open file.
pub trait VfsFile: Send {
    /// Everything in it, up to [`READ_LIMIT`].
    fn read_all(&mut self) -> io::Result<Vec<u8>>;
    /// Writes all bytes at an offset.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or extends it.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes contents and size durable.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Makes contents and all attributes durable.
    fn sync_all(&mut self) -> io::Result<()>;
    /// Takes disk space for a range without changing the size. A file system that cannot do so
    /// gives no error.
    fn reserve(&mut self, offset: u64, len: u64) -> io::Result<()>;
    /// Tries to take the exclusive lock, which lives as long as the open file.
    fn try_lock(&mut self) -> io::Result<bool>;
    /// Whether another open file holds the lock. Asking may stand in the way of one who takes the
    /// lock at the same moment, who therefore has to try more than once.
    fn is_locked(&mut self) -> io::Result<bool>;
}

/// No file of a state directory is larger than this; a larger one is refused instead of read.
pub const READ_LIMIT: u64 = 1 << 30;

/// Why a path is refused although the operating system would open it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is a symbolic link.
    #[error("{} is a symbolic link; replace it by what it points to", .0.display())]
    Symlink(PathBuf),
    /// It is a device, a pipe, a directory or the like.
    #[error("{} is not a regular file; move it away", .0.display())]
    NotRegular(PathBuf),
    /// It is a file where a directory should be.
    #[error("{} is not a directory; move it away", .0.display())]
    NotDirectory(PathBuf),
    /// Others could replace what is in it.
    #[error("{} can be written by others (mode {mode:04o}); run `chmod go-w {}`", path.display(), path.display())]
    Writable {
        /// The directory or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others could read a key.
    #[error("{} can be read by others (mode {mode:04o}); run `chmod 600 {}`", path.display(), path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to you; run `chown` or allow another owner explicitly", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner's id.
        owner: u32,
    },
    /// It is larger than anything that we write.
    #[error("{} has {len} bytes, more than a state file can have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        len: u64,
    },
    /// A name that could leave the directory.
    #[error("`{0}` is not a name inside the state directory")]
    Path(String),
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// The directory part of a path; `""` for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The components of a path, refusing whatever could leave the root.
pub(crate) fn components(path: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').collect();
    let bad = |p: &&str| p.is_empty() || *p == "." || *p == ".." || p.contains('\0');
    if parts.iter().any(bad) {
        return Err(Refusal::Path(path.to_owned()).into());
    }
    Ok(parts)
}

/// The contents of a file; `None` when there is none.
pub(crate) fn read(vfs: &dyn Vfs, path: &str) -> io::Result<Option<Vec<u8>>> {
    match vfs.open(path, Open::Read) {
        Ok(mut file) => file.read_all().map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a file under another name and makes its contents durable; the name is not yet.
pub(crate) fn write_new(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = vfs.open(path, Open::New)?;
    file.write_at(0, bytes)?;
    match failpoint::without("snapshot-synced") {
        true => Ok(()),
        false => file.sync_all(),
    }
}

/// Replaces a file so that after a crash it is wholly old or wholly new.
pub(crate) fn replace(vfs: &dyn Vfs, tmp: &str, path: &str, bytes: &[u8]) -> io::Result<()> {
    write_new(vfs, tmp, bytes)?;
    vfs.rename(tmp, path)?;
    sync_names(vfs, parent(path))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_names(vfs: &dyn Vfs, dir: &str) -> io::Result<()> {
    match failpoint::without("names-synced") {
        true => Ok(()),
        false => vfs.sync_dir(dir),
    }
}
