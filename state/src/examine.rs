//! What an examination of a state finds, and that of a state in files.

use zonewright_engine::address::ZoneName;

use crate::dir::StateDir;
use crate::error::{Class, StateError};
use crate::history;

/// What was found of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The shard.
    pub shard: ZoneName,
    /// Its last batch.
    pub seq: u64,
    /// Its serial.
    pub serial: u64,
    /// How many batches were read.
    pub batches: usize,
    /// How many snapshots were read.
    pub snapshots: usize,
    /// What is wrong, each with the object.
    pub problems: Vec<String>,
}

impl Examined {
    pub(crate) fn of(shard: &ZoneName) -> Examined {
        Examined {
            shard: shard.clone(),
            seq: 0,
            serial: 0,
            batches: 0,
            snapshots: 0,
            problems: Vec::new(),
        }
    }

    /// Notes what is wrong with the state; anything else ends the examination.
    pub(crate) fn note<T>(&mut self, done: Result<T, StateError>) -> Result<Option<T>, StateError> {
        let error = match done {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        match error.class() {
            Class::Damaged | Class::Lost | Class::RolledBack | Class::Sealed => {
                let text = error.to_string();
                if !self.problems.contains(&text) {
                    self.problems.push(text);
                }
                Ok(None)
            }
            _ => Err(error),
        }
    }
}

impl StateDir {
    /// Reads every file of every shard, the earlier snapshots included.
    ///
    /// # Errors
    /// The state is of another world or cannot be read at all. What is wrong with single files is in
    /// the result.
    pub fn examine(&self) -> Result<Vec<Examined>, StateError> {
        let seal = self.options.seal.lenient();
        let mut out = Vec::new();
        for shard in self.shards()? {
            let mut found = Examined::of(&shard);
            let loaded = self.read(std::slice::from_ref(&shard));
            if let Some(loaded) = found.note(loaded)? {
                found.serial = loaded.state.shards[&shard].serial;
                found.snapshots += 1;
            }
            let vfs = self.vfs_or_create()?;
            for item in history::list(vfs.as_ref(), &shard)? {
                let read = history::read(vfs.as_ref(), &shard, item.serial, &seal);
                found.snapshots += usize::from(found.note(read)?.flatten().is_some());
            }
            out.push(found);
        }
        Ok(out)
    }
}
