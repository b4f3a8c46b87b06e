//! A store in a directory: an object is a file that is linked into place once it is whole.
//!
//! The link is the create-if-absent: it fails when the name exists, and a name never shows a part
//! of an object. Calls block for as long as the disk does; on a runtime of one thread that is the
//! runtime.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;

use super::{Put, Store, StoreError, StoreResult, check_key};
use crate::rng::Rng;
use crate::vfs::{self, Open, Vfs, parent};

/// Objects in files below one directory.
pub struct FileStore {
    vfs: Arc<dyn Vfs>,
    rng: Mutex<Box<dyn Rng>>,
}

impl FileStore {
    /// Uses a directory.
    pub fn new(vfs: Arc<dyn Vfs>, rng: Box<dyn Rng>) -> FileStore {
        FileStore {
            vfs,
            rng: Mutex::new(rng),
        }
    }

    /// [`Store::put_new`] for callers that block anyway.
    ///
    /// # Errors
    /// The key is malformed or the disk failed.
    pub fn put_new_now(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        check_key(key)?;
        let io = failed(key, "create");
        self.make_dirs(key).map_err(&io)?;
        let tmp = self.tmp(key);
        vfs::write_new(self.vfs.as_ref(), &tmp, bytes).map_err(&io)?;
        let linked = self.vfs.link(&tmp, key);
        let removed = self.vfs.unlink(&tmp);
        let put = match linked {
            Ok(()) => Put::Created,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Put::Exists,
            Err(e) => return Err(io(e)),
        };
        removed.map_err(&io)?;
        // Who lost must not act on an object that a crash could still take back.
        self.vfs.sync_dir(parent(key)).map_err(&io)?;
        Ok(put)
    }

    /// [`Store::get`] for callers that block anyway.
    ///
    /// # Errors
    /// The key is malformed or the disk failed.
    pub fn get_now(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        vfs::read(self.vfs.as_ref(), key).map_err(failed(key, "read"))
    }

    fn make_dirs(&self, key: &str) -> io::Result<()> {
        let ends = key.match_indices('/').map(|(at, _)| &key[..at]);
        for dir in ends {
            self.vfs.make_dir(dir)?;
            self.vfs.sync_dir(parent(dir))?;
        }
        Ok(())
    }

    fn tmp(&self, key: &str) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!(".put.{}", rng.hex128());
        match parent(key) {
            "" => name,
            dir => format!("{dir}/{name}"),
        }
    }

    fn list_now(&self, prefix: &str, after: Option<&str>) -> io::Result<Vec<String>> {
        let mut out = Vec::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            for item in self.vfs.list(&dir)? {
                let key = match dir.as_str() {
                    "" => item.name,
                    dir => format!("{dir}/{}", item.name),
                };
                let within = key.starts_with(prefix) || prefix.starts_with(&format!("{key}/"));
                if item.dir && within {
                    dirs.push(key);
                } else if !item.dir
                    && key.starts_with(prefix)
                    && check_key(&key).is_ok()
                    && after.is_none_or(|after| key.as_str() > after)
                {
                    out.push(key);
                }
            }
        }
        out.sort();
        Ok(out)
    }

    fn put_hint_now(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        let io = failed(key, "write");
        self.make_dirs(key).map_err(&io)?;
        let tmp = self.tmp(key);
        let mut file = self.vfs.open(&tmp, Open::New).map_err(&io)?;
        file.write_at(0, bytes).map_err(&io)?;
        self.vfs.rename(&tmp, key).map_err(&io)
    }

    fn gc_now(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        match self.vfs.unlink(key) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(key, "remove")(e)),
            _ => Ok(()),
        }
    }
}

fn failed(key: &str, doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    let key = key.to_owned();
    move |source| StoreError::Io {
        key: key.clone(),
        doing,
        source,
    }
}

impl Store for FileStore {
    fn place(&self) -> String {
        self.vfs.locate("").display().to_string()
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        async move { self.put_new_now(key, bytes) }.boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        async move { self.get_now(key) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        async move { self.list_now(prefix, after).map_err(failed(prefix, "list")) }.boxed()
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        async move { self.put_hint_now(key, bytes) }.boxed()
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        async move { self.gc_now(key) }.boxed()
    }
}
