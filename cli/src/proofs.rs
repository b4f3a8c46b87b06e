//! The proofs that checks leave behind: one JSON line each, on this host, without secrets.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use zonewright_engine::check::Proof;

use crate::report::Failure;
use crate::stage::Stage;

fn path(stage: &Stage) -> Result<PathBuf, Failure> {
    Ok(stage.private()?.join("proofs.jsonl"))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// Adds proofs; each line is written by one call, so that two runs at once do not mix.
pub(crate) fn append(stage: &Stage, proofs: &[Proof]) -> Result<(), Failure> {
    let path = path(stage)?;
    let failed = |e| Failure::file("write", &path, e);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    for proof in proofs {
        let line = serde_json::to_string(proof)
            .map_err(|e| Failure::error("a proof cannot be written").because(e))?;
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

/// All proofs in the order in which they were made. A line that a crash cut short proves nothing.
pub(crate) fn read(stage: &Stage) -> Result<Vec<Proof>, Failure> {
    let path = path(stage)?;
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::file("read", &path, error)),
    }
}
