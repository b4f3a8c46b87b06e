//! Whether the application of a zone is wired to the zone's own database, and writes only where it may. Pure.

use super::Verdict;
use super::judge::all;
use super::probe::WiringProbe;

/// The header by which every answer of an application says that it stops writes. It is the application
/// that sends it, such as a must-use plugin of WordPress; any value counts.
pub const READ_ONLY_HEADER: &str = "x-read-only";

pub(super) fn judge(probe: &WiringProbe, leads: bool, stops_writes: Option<bool>) -> Verdict {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let WiringProbe { server, host, .. } = probe;
    if !leads {
        return Verdict::Fail(format!("{host} does not lead to {server}"));
    }
    good.push(format!("{host} leads to {server}"));
    match (probe.read_only, stops_writes) {
        (_, None) => good.push("the application does not run".to_owned()),
        (true, Some(true)) => good.push("the application stops writes".to_owned()),
        (false, Some(false)) => good.push("the application takes writes".to_owned()),
        (true, Some(false)) => bad.push(
            "the application does not say that it stops writes (X-Read-Only), and its database takes none"
                .to_owned(),
        ),
        (false, Some(true)) => bad.push(
            "the application stops writes (X-Read-Only), and its database is that of the zone that serves"
                .to_owned(),
        ),
    }
    all(&good, &bad, "nothing was asked")
}
