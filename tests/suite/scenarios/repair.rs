//! A state that is damaged is looked at before it is mended, and what was damaged is kept.

use zonewright_sandbox::fault::Kind;

use super::bucket::APPLY;
use super::{assert_complete_once, example};

#[test]
fn a_damaged_log_is_shown_and_gone_on_from() {
    let env = example();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldBefore);
    let mut child = env.spawn(APPLY);
    assert!(env.wait_held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    let whole = env.expect(0, &["state", "repair"]);
    assert!(
        whole.stderr.contains("Everything is whole"),
        "{}",
        whole.text()
    );
    let state = env.path().join(".zonewright/sandbox/state");
    let journal = state.join("pz.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let second = bytes
        .windows(10)
        .position(|w| w == b"\"entries\":")
        .unwrap();
    bytes[second + 12] ^= 0x20;
    std::fs::write(&journal, &bytes).unwrap();
    env.expect(7, &["plan"]);
    let shown = env.expect(7, &["state", "repair", "--dry-run"]);
    for part in [
        "cannot be read",
        "the header",
        "records ",
        "about pz/",
        "bz: whole",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.text());
    }
    env.expect(6, &["state", "repair"]);
    assert_eq!(std::fs::read(&journal).unwrap(), bytes, "nobody approved");
    let done = env.expect(0, &["state", "repair", "--auto-approve"]);
    assert!(
        done.stderr.contains("what was replaced is in"),
        "{}",
        done.text()
    );
    // What the lost records told is found by its mark.
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}
