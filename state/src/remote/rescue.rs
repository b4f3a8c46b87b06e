//! What came of requests when the store no longer answers: kept in a file of this host until the next
//! writer here puts it into the log.
//!
//! Frames as in a journal. Only outcomes are kept: an intent that did not reach the log sent nothing.

use std::path::{Path, PathBuf};

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Entry;
use zonewright_engine::snapshot::Snapshot;

use crate::error::StateError;
use crate::frame::{self, Next};
use crate::record::{self, Batch, DecodeError};
use crate::seal::{Expected, Kind, Seal};
use crate::vfs::real::RealVfs;
use crate::vfs::{self, Open, Vfs};

const ENDING: &str = ".rescue";

/// The file of one writer of one shard.
#[derive(Debug, Clone)]
pub(crate) struct Rescue {
    dir: PathBuf,
    lineage: String,
    shard: ZoneName,
    seal: Seal,
    /// The writer's number.
    pub(crate) epoch: u64,
}

impl Rescue {
    pub(crate) fn new(
        dir: &Path,
        lineage: &str,
        shard: &ZoneName,
        epoch: u64,
        seal: &Seal,
    ) -> Rescue {
        Rescue {
            dir: dir.to_owned(),
            lineage: lineage.to_owned(),
            shard: shard.clone(),
            seal: seal.clone(),
            epoch,
        }
    }

    fn name(&self) -> String {
        format!("{}.{}.{}{ENDING}", self.lineage, self.shard, self.epoch)
    }

    /// The file, for messages.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join(self.name())
    }

    fn io(&self, doing: &'static str) -> impl Fn(std::io::Error) -> StateError {
        let file = self.file();
        move |e| StateError::io(&file, doing, e)
    }

    /// Keeps a batch that the store did not take; durable when it returns.
    pub(crate) fn keep(&self, batch: &Batch) -> Result<(), StateError> {
        let io = self.io("write");
        let vfs = RealVfs::create(&self.dir, false).map_err(&io)?;
        let mut file = vfs.open(&self.name(), Open::Any).map_err(&io)?;
        let end = whole(&file.read_all().map_err(&io)?);
        file.set_len(end).map_err(&io)?;
        let (payload, _) = record::encode(batch, Kind::Rescue, &self.seal);
        file.write_at(end, &frame::encode(&payload)).map_err(&io)?;
        file.sync_all().map_err(&io)?;
        vfs.sync_dir("").map_err(&io)
    }

    /// Those of a shard that wait here.
    pub(crate) fn waiting(
        dir: Option<&PathBuf>,
        lineage: &str,
        shard: &ZoneName,
        seal: &Seal,
    ) -> Result<Vec<Rescue>, StateError> {
        let Some(dir) = dir else {
            return Ok(Vec::new());
        };
        let io = |e| StateError::io(dir, "look into", e);
        let Some(vfs) = RealVfs::open(dir, false).map_err(io)? else {
            return Ok(Vec::new());
        };
        let prefix = format!("{lineage}.{shard}.");
        let epoch = |name: &str| -> Option<u64> {
            let rest = name.strip_prefix(&prefix)?;
            rest.strip_suffix(ENDING)?.parse().ok()
        };
        let items = vfs.list("").map_err(io)?;
        let found = items.iter().filter_map(|item| epoch(&item.name));
        Ok(found
            .map(|epoch| Rescue::new(dir, lineage, shard, epoch, seal))
            .collect())
    }

    /// The outcomes in it that the log does not have: their operations are open in the snapshot.
    pub(crate) fn missing_in(&self, snapshot: &Snapshot) -> Result<Vec<Entry>, StateError> {
        let io = self.io("read");
        let vfs = RealVfs::create(&self.dir, false).map_err(&io)?;
        let bytes = vfs::read(&vfs, &self.name()).map_err(&io)?;
        let bytes = bytes.unwrap_or_default();
        let (mut at, mut out) = (0, Vec::new());
        let mut after = snapshot.clone();
        let expected = Expected {
            lineage: Some(&self.lineage),
            shard: Some(&self.shard),
            ..Expected::default()
        };
        while let Next::Frame { payload, end } = frame::next(&bytes, at) {
            at = end;
            let batch = match record::open::<Batch>(payload, Kind::Rescue, &expected, &self.seal) {
                Ok(read) => read.record,
                // It goes into the log or it stays: what only a key is missing for is not dropped.
                Err(DecodeError::Sealed(why)) => {
                    return Err(StateError::sealed(self.file(), 0, &[], why));
                }
                Err(_) => continue,
            };
            for entry in batch.entries {
                // One that the log has already, or that another run settled, cannot be folded.
                if zonewright_engine::journal::fold(&mut after, &entry).is_ok() {
                    out.push(entry);
                }
            }
        }
        Ok(out)
    }

    /// It is in the log now.
    pub(crate) fn done(&self) -> Result<(), StateError> {
        let io = self.io("remove");
        let vfs = RealVfs::create(&self.dir, false).map_err(&io)?;
        vfs.unlink(&self.name()).map_err(&io)?;
        vfs.sync_dir("").map_err(&io)
    }

    /// It does not fit any more; it is kept for people to read.
    pub(crate) fn put_aside(&self) -> Result<PathBuf, StateError> {
        let io = self.io("rename");
        let vfs = RealVfs::create(&self.dir, false).map_err(&io)?;
        let aside = format!("{}.unfit", self.name());
        vfs.rename(&self.name(), &aside).map_err(&io)?;
        vfs.sync_dir("").map_err(&io)?;
        Ok(vfs.locate(&aside))
    }
}

/// Where the last whole frame ends.
fn whole(bytes: &[u8]) -> u64 {
    let mut at = 0;
    while let Next::Frame { end, .. } = frame::next(bytes, at) {
        at = end;
    }
    at as u64
}
