//! A store is tried again once a day before it is written to: what was fit when the state was made may have
//! become another product since.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use zonewright_state::StateHome;

use crate::project::write_private;
use crate::report::Failure;

/// The file of this host: when each store was found fit.
const FILE: &str = "proven.json";

/// How long a proof is good for.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

type Proofs = BTreeMap<String, Timestamp>;

/// Probes the store of a state, unless that was done within the last day.
///
/// # Errors
/// It is unfit or does not answer.
pub(crate) fn check(home: &StateHome, private: &Path) -> Result<(), Failure> {
    let StateHome::Remote(remote) = home else {
        return Ok(());
    };
    let now = Timestamp::now();
    let place = remote.place();
    // A file that cannot be read proves nothing.
    let proofs: Proofs = fs::read(private.join(FILE))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let good = proofs.get(&place).is_some_and(|at| {
        let age = now.duration_since(*at);
        !age.is_negative() && age < GOOD_FOR
    });
    if good {
        return Ok(());
    }
    remote.probe()?;
    note(&place, private, proofs)
}

/// Notes that a store was found fit just now.
pub(crate) fn proven(place: &str, private: &Path) -> Result<(), Failure> {
    let proofs = fs::read(private.join(FILE)).ok();
    let proofs = proofs.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    note(place, private, proofs.unwrap_or_default())
}

fn note(place: &str, private: &Path, mut proofs: Proofs) -> Result<(), Failure> {
    proofs.insert(place.to_owned(), Timestamp::now());
    let text = serde_json::to_string_pretty(&proofs);
    let text = text.map_err(|e| Failure::error(format!("{FILE} cannot be made")).because(e))?;
    write_private(&private.join(FILE), text.as_bytes())
}
