//! The world: every object of every emulated service, as JSON documents in named tables.
//!
//! A write is appended to `world.log` as one line before its reply leaves (not fsynced: the world
//! survives the death of the process, not of the machine). Opening a world replays the log and
//! compacts it. Asynchronous states are computed from stored times when they are asked for, so a
//! world that was closed for a while has moved on when it is opened again.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::clock::{Clock, MachineClock};
use crate::kubernetes::Memory;
use crate::profile::Profile;

/// How many changes of Kubernetes tables are remembered for watches.
const HISTORY: usize = 32_768;

/// One write to a Kubernetes table, as watches and controllers see it.
#[derive(Debug)]
pub struct Change {
    /// The revision of the write.
    pub revision: u64,
    /// The table.
    pub table: String,
    /// The key in the table.
    pub key: String,
    /// Whether the document was not there before.
    pub created: bool,
    /// What was there, when the write was a delete.
    pub gone: Option<Value>,
}

/// One table: documents by key, in key order.
pub type Table = BTreeMap<String, Value>;

/// All tables by name, e.g. `digitalocean/vpcs` or `kubernetes/<cluster id>/apps/deployments`.
#[derive(Debug, Default)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
    revision: u64,
    history: VecDeque<Change>,
    forgotten: u64,
}

impl Tables {
    /// One document.
    pub fn get(&self, table: &str, key: &str) -> Option<&Value> {
        self.tables.get(table)?.get(key)
    }

    /// The documents of a table in key order.
    pub fn list(&self, table: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.tables.get(table).into_iter().flatten()
    }

    /// The documents of a table whose key starts with `prefix` and is above `after`, in key order.
    pub fn range<'a>(
        &'a self,
        table: &str,
        prefix: &'a str,
        after: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let from = std::ops::Bound::Included(prefix.max(after).to_owned());
        let after = after.to_owned();
        self.tables
            .get(table)
            .into_iter()
            .flat_map(move |rows| rows.range((from.clone(), std::ops::Bound::Unbounded)))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter(move |(key, _)| key.as_str() > after.as_str())
    }

    /// The changes of Kubernetes tables above `revision`, oldest first; `None` when they are
    /// forgotten.
    pub fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        if revision < self.forgotten {
            return None;
        }
        let from = self.history.partition_point(|c| c.revision <= revision);
        Some(self.history.range(from..))
    }

    fn remember(&mut self, table: &str, key: &str, created: bool, gone: Option<Value>) {
        if !table.starts_with("kubernetes/") {
            return;
        }
        self.history.push_back(Change {
            revision: self.revision,
            table: table.to_owned(),
            key: key.to_owned(),
            created,
            gone,
        });
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.revision;
        }
    }

    /// Forgets the history up to now.
    fn forget(&mut self) {
        self.history.clear();
        self.forgotten = self.revision;
    }

    /// The names of the tables that start with `prefix`, in order.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.tables
            .range(prefix.to_owned()..)
            .map(|(name, _)| name)
            .take_while(move |name| name.starts_with(prefix))
    }

    /// The number of the last write; rises by one with each `put` or `delete`.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn put(&mut self, table: &str, key: &str, value: Value) {
        self.revision += 1;
        let rows = self.tables.entry(table.to_owned()).or_default();
        let created = rows.insert(key.to_owned(), value).is_none();
        self.remember(table, key, created, None);
    }

    fn delete(&mut self, table: &str, key: &str) -> Option<Value> {
        self.revision += 1;
        let rows = self.tables.get_mut(table)?;
        let gone = rows.remove(key);
        if rows.is_empty() {
            self.tables.remove(table);
        }
        if gone.is_some() {
            self.remember(table, key, false, gone.clone());
        }
        gone
    }
}

/// A set of writes that becomes one line of the log.
pub struct Txn<'a> {
    tables: &'a mut Tables,
    ops: Vec<Value>,
}

impl Txn<'_> {
    /// Reads what has been written so far, this transaction included.
    pub fn tables(&self) -> &Tables {
        self.tables
    }

    /// The revision that the next `put` or `delete` gets.
    pub fn next_revision(&self) -> u64 {
        self.tables.revision + 1
    }

    /// Creates or replaces a document.
    pub fn put(&mut self, table: &str, key: &str, value: Value) {
        self.ops.push(serde_json::json!(["put", table, key, value]));
        self.tables.put(table, key, value);
    }

    /// Removes a document; gives back what was there.
    pub fn delete(&mut self, table: &str, key: &str) -> Option<Value> {
        self.ops.push(serde_json::json!(["del", table, key]));
        self.tables.delete(table, key)
    }
}

/// The open world. Shared between the emulators behind an `Arc`.
pub struct World {
    dir: PathBuf,
    profile: Profile,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    kubernetes: Memory,
    cloudflare_token: OnceLock<String>,
}

struct Inner {
    tables: Tables,
    log: File,
}

impl World {
    /// Opens the world of a directory, which is created when missing; time is the machine's.
    ///
    /// # Errors
    /// The directory cannot be created or the log cannot be read or written.
    pub fn open(dir: &Path, profile: Profile) -> io::Result<World> {
        World::open_at(dir, profile, Arc::new(MachineClock))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// The directory cannot be created or the log cannot be read or written.
    pub fn open_at(dir: &Path, profile: Profile, clock: Arc<dyn Clock>) -> io::Result<World> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("world.log");
        let mut tables = replay(&path)?;
        retime(dir, profile, clock.now_ms(), &mut tables)?;
        tables.forget();
        compact(dir, &path, &tables)?;
        let log = OpenOptions::new().append(true).open(&path)?;
        let (changed, _) = watch::channel(tables.revision);
        Ok(World {
            dir: dir.to_owned(),
            profile,
            clock,
            inner: Mutex::new(Inner { tables, log }),
            changed,
            kubernetes: Memory::default(),
            cloudflare_token: OnceLock::new(),
        })
    }

    /// Tells which token its DNS provider takes.
    pub(crate) fn trust_cloudflare_token(&self, token: String) {
        // It never changes.
        let _ = self.cloudflare_token.set(token);
    }

    /// Whether its DNS provider takes a token; every token, as long as nobody has told.
    pub(crate) fn takes_cloudflare_token(&self, token: &str) -> bool {
        self.cloudflare_token
            .get()
            .is_none_or(|known| known == token)
    }

    /// What the Kubernetes emulator derives from the tables and keeps at hand.
    pub(crate) fn kubernetes(&self) -> &Memory {
        &self.kubernetes
    }

    /// The directory of this world.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The latency profile of this world.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Milliseconds since the epoch: the clock that stored times use.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Reads under the lock.
    pub fn read<R>(&self, f: impl FnOnce(&Tables) -> R) -> R {
        f(&self.lock().tables)
    }

    /// Writes under the lock; the writes are in the log before this returns.
    ///
    /// # Errors
    /// The log cannot be written; the writes are then still visible in memory.
    pub fn write<R>(&self, f: impl FnOnce(&mut Txn<'_>) -> R) -> io::Result<R> {
        let mut inner = self.lock();
        let mut txn = Txn {
            tables: &mut inner.tables,
            ops: Vec::new(),
        };
        let result = f(&mut txn);
        let ops = txn.ops;
        if !ops.is_empty() {
            let mut line = serde_json::to_vec(&ops)?;
            line.push(b'\n');
            inner.log.write_all(&line)?;
            self.changed.send_replace(inner.tables.revision);
        }
        Ok(result)
    }

    /// Tells of every later write, by revision.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was under way when the world was closed takes as long as the profile says that it is opened
/// with now, not as long as the last one did.
fn retime(dir: &Path, profile: Profile, now: u64, tables: &mut Tables) -> io::Result<()> {
    let path = dir.join("profile");
    let last = match std::fs::read_to_string(&path) {
        Ok(name) => Profile::parse(name.trim()).unwrap_or(profile),
        Err(e) if e.kind() == io::ErrorKind::NotFound => profile,
        Err(e) => return Err(e),
    };
    if last != profile {
        for row in tables.tables.values_mut().flat_map(BTreeMap::values_mut) {
            retime_value(row, now, &|left| profile.convert(last, left));
        }
    }
    std::fs::write(&path, profile.name())
}

/// Every stored time (`…_ms`) that is yet to come.
fn retime_value(value: &mut Value, now: u64, convert: &impl Fn(u64) -> u64) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| retime_value(item, now, convert)),
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_u64().filter(|at| *at > now) {
                    Some(at) if name.ends_with("_ms") => {
                        *value = Value::from(now.saturating_add(convert(at - now)));
                    }
                    _ => retime_value(value, now, convert),
                }
            }
        }
        _ => {}
    }
}

fn replay(path: &Path) -> io::Result<Tables> {
    let mut tables = Tables::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(tables),
        Err(e) => return Err(e),
    };
    for line in BufReader::new(file).lines() {
        // A torn last line is a write whose reply never left.
        let Ok(Value::Array(ops)) = serde_json::from_str(&line?) else {
            break;
        };
        for op in ops {
            replay_op(&mut tables, op);
        }
    }
    Ok(tables)
}

fn replay_op(tables: &mut Tables, op: Value) {
    let Value::Array(parts) = op else { return };
    let mut parts = parts.into_iter();
    let text = |v: Option<Value>| v.and_then(|v| v.as_str().map(str::to_owned));
    match (parts.next().as_ref().and_then(Value::as_str), parts.next()) {
        (Some("rev"), Some(n)) => tables.revision = n.as_u64().unwrap_or(0),
        (Some("put"), table) => {
            if let (Some(t), Some(k), Some(v)) = (text(table), text(parts.next()), parts.next()) {
                tables.put(&t, &k, v);
            }
        }
        (Some("del"), table) => {
            if let (Some(t), Some(k)) = (text(table), text(parts.next())) {
                tables.delete(&t, &k);
            }
        }
        _ => {}
    }
}

fn compact(dir: &Path, path: &Path, tables: &Tables) -> io::Result<()> {
    let tmp = dir.join("world.log.tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        // The world holds passwords.
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut out = io::BufWriter::new(options.open(&tmp)?);
    for (name, rows) in &tables.tables {
        for (key, value) in rows {
            let line = serde_json::json!([["put", name, key, value]]);
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
    }
    serde_json::to_writer(&mut out, &serde_json::json!([["rev", tables.revision]]))?;
    out.write_all(b"\n")?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    std::fs::rename(tmp, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_world_survives_reopening_and_a_torn_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::open(dir.path(), Profile::Instant).unwrap();
        world
            .write(|t| {
                t.put("a", "1", json!({"x": 1}));
                t.put("a", "2", json!({"x": 2}));
                t.delete("a", "1");
            })
            .unwrap();
        let revision = world.read(Tables::revision);
        drop(world);
        let mut log = OpenOptions::new()
            .append(true)
            .open(dir.path().join("world.log"))
            .unwrap();
        log.write_all(b"[[\"put\",\"a\",\"3\",{").unwrap();
        let world = World::open(dir.path(), Profile::Instant).unwrap();
        world.read(|t| {
            assert_eq!(t.list("a").count(), 1);
            assert_eq!(t.get("a", "2"), Some(&json!({"x": 2})));
            assert_eq!(t.revision(), revision);
        });
    }
}
