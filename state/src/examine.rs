//! What an examination of a state finds, and that of a state in files.

use std::collections::BTreeMap;

use zonewright_engine::address::ZoneName;

use crate::dir::StateDir;
use crate::error::{Class, StateError};
use crate::frame::{self, Next};
use crate::history;
use crate::seal::sealed_for;
use crate::shard::{journal_path, state_path};
use crate::vfs::{self, Vfs};

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
    /// How it is sealed: for each set of recipients, of which there is none in the clear.
    pub sealing: BTreeMap<Vec<String>, Sealing>,
    /// Whom the newest snapshot is sealed for; empty in the clear.
    pub newest: Option<Vec<String>>,
}

/// How much is sealed for the same recipients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealing {
    /// Snapshots.
    pub snapshots: usize,
    /// Batches of the log.
    pub batches: usize,
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
            sealing: BTreeMap::new(),
            newest: None,
        }
    }

    /// Counts a snapshot by whom it is sealed for.
    pub(crate) fn count_snapshot(&mut self, bytes: &[u8]) {
        let recipients = sealed_for(bytes).unwrap_or_default();
        self.sealing.entry(recipients).or_default().snapshots += 1;
    }

    /// Counts a batch, given in its frame.
    pub(crate) fn count_batch(&mut self, payload: &[u8]) {
        let recipients = sealed_for(payload).unwrap_or_default();
        self.sealing.entry(recipients).or_default().batches += 1;
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
            self.count_files(vfs.as_ref(), &shard, &mut found)?;
            for item in history::list(vfs.as_ref(), &shard)? {
                let read = history::read(vfs.as_ref(), &shard, item.serial, &seal);
                found.snapshots += usize::from(found.note(read)?.flatten().is_some());
            }
            out.push(found);
        }
        Ok(out)
    }

    /// How the files of a shard are sealed, as their outside says.
    fn count_files(
        &self,
        vfs: &dyn Vfs,
        shard: &ZoneName,
        found: &mut Examined,
    ) -> Result<(), StateError> {
        let read = |path: &str| {
            let bytes = vfs::read(vfs, path);
            bytes.map_err(|e| StateError::io(vfs.locate(path), "read", e))
        };
        if let Some(bytes) = read(&state_path(shard))? {
            found.newest = Some(sealed_for(&bytes).unwrap_or_default());
            found.count_snapshot(&bytes);
        }
        let journal = read(&journal_path(shard))?.unwrap_or_default();
        let mut at = 0;
        while let Next::Frame { payload, end } = frame::next(&journal, at) {
            // The header is no batch.
            if at > 0 {
                found.count_batch(payload);
            }
            at = end;
        }
        for item in history::list(vfs, shard)? {
            if let Some(bytes) = read(&history::key(shard, item.serial))? {
                found.count_snapshot(&bytes);
            }
        }
        Ok(())
    }
}
