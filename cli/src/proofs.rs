//! The proofs that checks leave behind: one JSON line each, on this host, without secrets.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zonewright_engine::check::Proof;

use crate::project::replace_with;
use crate::report::Failure;
use crate::stage::Stage;
use crate::writable::is_read_only;

/// From this size on the file is made shorter: who asks every minute writes megabytes a day.
const LONG: u64 = 4 << 20;
/// So many proofs of a check are kept then; the newest one counts, the others are history.
const KEPT: usize = 50;

/// The name of the proof that a finished restore leaves; no check has it.
pub(crate) const RESTORED: &str = "restored";

fn path(stage: &Stage) -> Result<PathBuf, Failure> {
    Ok(stage.private()?.join("proofs.jsonl"))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// Adds proofs; each line is written by one call, so that two runs at once do not mix.
/// Where nothing can be written they are not kept, and that is said.
pub(crate) fn append(stage: &Stage, proofs: &[Proof]) -> Result<(), Failure> {
    let path = path(stage)?;
    let failed = |e| Failure::file("write", &path, e);
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path);
    let mut file = match opened {
        Err(error) if is_read_only(&error) => {
            let path = path.display();
            stage.note(&format!("what was proven is not kept: cannot write {path}"));
            return Ok(());
        }
        opened => opened.map_err(failed)?,
    };
    for proof in proofs {
        let line = serde_json::to_string(proof)
            .map_err(|e| Failure::error("a proof cannot be written").because(e))?;
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let long = file.metadata().map_err(failed)?.len() > LONG;
    match long {
        true => shorten(&path).map_err(failed),
        false => Ok(()),
    }
}

/// Leaves the newest proofs of each check. What another run adds at this very moment may be lost: then it
/// is asked again.
fn shorten(path: &Path) -> std::io::Result<()> {
    let text = fs::read_to_string(path)?;
    let kept = newest(&text, KEPT);
    replace_with(path, kept.as_bytes(), 0o600)
}

/// The newest `n` proofs of each check of each zone, in their order.
fn newest(text: &str, n: usize) -> String {
    let mut left: BTreeMap<(String, String), usize> = BTreeMap::new();
    let wanted = |line: &&str| {
        let Ok(proof) = serde_json::from_str::<Proof>(line) else {
            return false;
        };
        let key = (proof.zone.to_string(), proof.check);
        let left = left.entry(key).or_insert(n);
        *left > 0 && {
            *left -= 1;
            true
        }
    };
    let mut kept: Vec<&str> = text.lines().rev().filter(wanted).collect();
    kept.reverse();
    kept.iter().map(|line| format!("{line}\n")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_proofs_of_each_check_stay() {
        let line = |check: &str, at: u64| {
            format!(
                "{{\"at\":{at},\"zone\":\"bz\",\"check\":\"{check}\",\"verdict\":\"pass\",\
                 \"evidence\":\"\",\"millis\":0,\"spec\":\"s\"}}\n"
            )
        };
        let all = [
            line("a", 1),
            line("b", 2),
            "torn\n".to_owned(),
            line("a", 3),
            line("a", 4),
        ];
        let kept = newest(&all.concat(), 2);
        assert_eq!(kept, [line("b", 2), line("a", 3), line("a", 4)].concat());
    }
}
