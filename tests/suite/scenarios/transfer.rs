//! Snapshots out of the state and into it, and what differs between them.

use std::os::unix::fs::PermissionsExt;

use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish};

use super::bucket::{APPLY, ready};
use super::{applied, assert_complete_once};

/// Two checkpoints of pz: the serials before and after a change.
fn changed(env: &Env) -> (u64, u64) {
    let serial = || -> u64 {
        let pull = ["state", "pull", "--zone", "pz", "--decrypt"];
        let text = env.expect(0, &pull).stdout;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["serial"].as_u64().unwrap()
    };
    let before = serial();
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    env.expect(0, APPLY);
    (before, serial())
}

fn differ(env: &Env) {
    let (before, after) = changed(env);
    assert!(before < after);
    let (before, after) = (before.to_string(), after.to_string());
    let text = env.expect(2, &["state", "diff", &before, "current", "--zone", "pz"]);
    assert!(
        text.stdout.contains("~ pz/kubernetes.manifest.wordpress"),
        "{}",
        text.text()
    );
    assert!(text.stdout.contains("1 -> 2"), "{}", text.text());
    let json = env.expect(
        2,
        &[
            "state", "diff", &before, &after, "--zone", "pz", "--format", "json",
        ],
    );
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["equal"], false);
    assert_eq!(json["differences"][0]["change"], "changed");
    let same = env.expect(0, &["state", "diff", &after, "current", "--zone", "pz"]);
    assert_eq!(same.stdout, "No difference.\n");
    env.expect(0, &["state", "diff", "current", "current"]);
    let none = env.expect(1, &["state", "diff", "99999", "current", "--zone", "pz"]);
    assert!(none.stderr.contains("state history"), "{}", none.text());
}

#[test]
fn states_are_compared_record_by_record() {
    let env = applied();
    differ(&env);
    env.assert_settled();
}

#[test]
fn an_earlier_state_of_a_bucket_is_restored_in_new_entries() {
    restored(&ready());
}

/// Of a store that holds nothing yet: applied, changed, and led back.
pub(super) fn restored(env: &Env) {
    env.expect(0, APPLY);
    differ(env);
    let pull = ["state", "pull", "--zone", "pz", "--decrypt"];
    let pulled = env.expect(0, &pull).stdout;
    let now: serde_json::Value = serde_json::from_str(&pulled).unwrap();
    let history = env
        .expect(0, &["state", "history", "--format", "json"])
        .json();
    let items = history["history"].as_array().unwrap();
    let earlier = items
        .iter()
        .filter(|i| i["shard"] == "pz")
        .filter_map(|i| i["serial"].as_u64())
        .find(|s| *s < now["serial"].as_u64().unwrap())
        .unwrap()
        .to_string();
    let back = ["state", "restore", "--zone", "pz", "--serial", &earlier];
    env.expect(6, &back);
    env.clear_requests();
    let restored = env.expect(0, &[&back[..], &["--auto-approve"]].concat());
    assert!(restored.stdout.contains("2 -> 1"), "{}", restored.text());
    env.expect(0, &["state", "diff", &earlier, "current", "--zone", "pz"]);
    env.expect(0, &["state", "doctor"]);
    // The world is as it was: the next plan says what differs from it, and apply settles that.
    env.expect(0, APPLY);
    env.assert_settled();
    assert_complete_once(env);
}

#[test]
fn a_snapshot_is_pulled_and_pushed() {
    let env = applied();
    let (before, _) = changed(&env);
    let which = env.expect(1, &["state", "pull"]);
    assert!(which.stderr.contains("bz, edge, pz"), "{}", which.text());
    let file = env.path().join("pz.json");
    env.expect(0, &["state", "pull", "--zone", "pz", "-o", "pz.json"]);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let same = env.expect(0, &["state", "push", "pz.json"]);
    assert!(same.stderr.contains("No difference"), "{}", same.text());
    // The state goes on without the file: pushing it would undo that.
    let vpc = "pz/digitalocean.vpc.main";
    env.expect(
        0,
        &[
            "state",
            "mv",
            vpc,
            "pz/digitalocean.vpc.net",
            "--auto-approve",
        ],
    );
    let refused = env.expect(6, &["state", "push", "pz.json", "--auto-approve"]);
    assert!(
        refused.stderr.contains("is not newer"),
        "{}",
        refused.text()
    );
    let why = ["state", "push", "pz.json", "--older", "moved by mistake"];
    let dry = env.expect(0, &[&why[..], &["--dry-run"]].concat());
    let line = "> pz/digitalocean.vpc.net -> pz/digitalocean.vpc.main";
    assert!(dry.stdout.contains(line), "{}", dry.text());
    env.expect(0, &[&why[..], &["--auto-approve"]].concat());
    env.assert_settled();
    // Files of others, and files that are none.
    let text = std::fs::read_to_string(&file).unwrap();
    env.write("bad.json", &text.replace("nyc3", "nyc1"));
    let bad = env.expect(7, &["state", "push", "bad.json", "--auto-approve"]);
    assert!(bad.stderr.contains("sha256"), "{}", bad.text());
    let other = applied();
    std::fs::copy(&file, other.path().join("pz.json")).unwrap();
    let world = other.expect(4, &["state", "push", "pz.json", "--auto-approve"]);
    assert!(world.stderr.contains("world"), "{}", world.text());
    other.expect(4, &["state", "diff", "pz.json", "current"]);
    // Nobody pushes while an apply is at work.
    std::fs::remove_file(&file).unwrap();
    env.expect(0, &["state", "pull", "--zone", "pz", "-o", "pz.json"]);
    env.fault("PATCH", "/clusters/*/deployments/*", 1, Kind::HoldBefore);
    env.edit("zones/pz.toml", "replicas = 2", "replicas = 3");
    let mut child = env.spawn(APPLY);
    assert!(env.wait_held(&mut child));
    let earlier = before.to_string();
    let live = env.run(&[
        "state",
        "restore",
        "--zone",
        "pz",
        "--serial",
        &earlier,
        "--auto-approve",
    ]);
    assert_eq!(live.code, 5, "{}", live.text());
    let live = env.expect(
        5,
        &["state", "push", "pz.json", "--older", "x", "--auto-approve"],
    );
    assert!(live.stderr.contains("is locked"), "{}", live.text());
    env.clear_faults();
    assert_eq!(finish(Ok(child)).code, 0);
    env.assert_settled();
    assert_complete_once(&env);
}
