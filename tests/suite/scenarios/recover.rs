//! A state that is damaged, lost or rolled back: the error names a way out, and following it by hand ends
//! with an empty plan and nothing made twice.

use std::path::{Path, PathBuf};

use zonewright_tests::{Env, Output};

use super::{applied, assert_complete_once};

fn state(env: &Env) -> PathBuf {
    env.path().join(".zonewright/sandbox/state")
}

/// Runs the command that an error names, exactly as it stands there.
fn follow(env: &Env, failed: &Output, more: &[&str]) -> Output {
    assert_eq!(failed.code, 7, "{}", failed.text());
    let text: Vec<&str> = failed.stderr.split_whitespace().collect();
    let text = text.join(" ");
    let named = text.split('`').find(|p| p.contains("state restore"));
    let named = named.unwrap_or_else(|| panic!("no way out: {}", failed.text()));
    let mut words: Vec<&str> = named.split(' ').collect();
    assert_eq!(words.remove(0), "zonewright");
    assert_eq!(words.remove(0), "--sandbox");
    words.extend(more);
    env.run(&words)
}

fn converges(env: &Env) {
    env.clear_requests();
    env.expect(0, &["plan"]);
    assert!(env.mutations().is_empty());
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_complete_once(env);
}

/// The example, applied and changed twice, so that there is a history.
fn changed() -> Env {
    let env = applied();
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

#[test]
fn a_damaged_snapshot_is_replaced_by_an_earlier_one() {
    let env = changed();
    let file = state(&env).join("pz.state.json");
    let good = std::fs::read(&file).unwrap();
    let half = &good[..good.len() / 2];
    std::fs::write(&file, half).unwrap();
    let told = follow(&env, &env.run(&["plan"]), &[]);
    assert_eq!(told.code, 0, "{}", told.text());
    assert!(told.stderr.contains("earlier snapshot"), "{}", told.text());
    assert!(told.stderr.contains("edge: is whole"), "{}", told.text());
    // What was replaced is kept.
    let aside = std::fs::read_dir(state(&env))
        .unwrap()
        .flatten()
        .find(|e| e.file_name().to_string_lossy().starts_with("pz.aside-"))
        .expect("the damaged file is kept aside");
    assert_eq!(
        std::fs::read(aside.path().join("pz.state.json")).unwrap(),
        half
    );
    converges(&env);
    // A second time there is nothing to restore.
    let again = env.expect(0, &["state", "restore"]);
    assert_eq!(
        again.stderr.matches("is whole").count(),
        3,
        "{}",
        again.text()
    );
    env.assert_settled();
}

#[test]
fn a_damaged_log_costs_nothing_when_the_snapshot_is_whole() {
    let env = changed();
    std::fs::write(state(&env).join("bz.journal"), b"not a journal at all").unwrap();
    let told = follow(&env, &env.run(&["drift"]), &[]);
    assert_eq!(told.code, 0, "{}", told.text());
    assert!(
        told.stderr.contains("the snapshot is kept"),
        "{}",
        told.text()
    );
    env.assert_settled();
    assert_complete_once(&env);
}

#[test]
fn a_restored_backup_is_accepted_on_purpose_only() {
    let env = applied();
    let backup = env.path().join("backup");
    copy(&state(&env), &backup);
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    env.expect(0, &["apply", "--auto-approve"]);
    std::fs::remove_dir_all(state(&env)).unwrap();
    copy(&backup, &state(&env));
    let refused = env.run(&["apply", "--auto-approve"]);
    assert!(refused.stderr.contains("rolled back"), "{}", refused.text());
    assert_eq!(follow(&env, &refused, &[]).code, 0);
    converges(&env);
}

#[test]
fn without_any_state_everything_is_found_again_by_its_marker() {
    let env = changed();
    std::fs::remove_dir_all(state(&env)).unwrap();
    let lost = env.run(&["plan"]);
    let nothing = follow(&env, &lost, &[]);
    assert_eq!(nothing.code, 7, "{}", nothing.text());
    let unasked = follow(&env, &nothing, &["--empty"]);
    assert_eq!(unasked.code, 6, "{}", unasked.text());
    let emptied = follow(&env, &nothing, &["--empty", "--auto-approve"]);
    assert_eq!(emptied.code, 0, "{}", emptied.text());
    // What cannot carry a mark is named with the command that takes it over.
    let unmarked = env.expect(1, &["plan", "--format", "json"]);
    let error: serde_json::Value = serde_json::from_str(&unmarked.stderr).unwrap();
    let related = error["error"]["related"].as_array().unwrap();
    assert_eq!(related.len(), 2, "{error}");
    for one in related {
        let help = one["help"].as_str().unwrap();
        let words = help.split('`').nth(1).unwrap().split(' ').skip(2);
        env.expect(0, &words.collect::<Vec<_>>());
    }
    let plan = env.expect(0, &["plan", "--format", "json"]).json();
    assert_eq!(plan["summary"]["create"], 0, "{}", plan["summary"]);
    assert!(plan["summary"]["adopt"].as_u64().unwrap() > 100);
    converges(&env);
}

#[test]
fn an_earlier_snapshot_can_be_named() {
    let env = changed();
    let history = env
        .expect(0, &["state", "history", "--format", "json"])
        .json();
    let serial = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["shard"] == "pz")
        .map(|i| i["serial"].as_u64().unwrap())
        .max()
        .unwrap()
        .to_string();
    let named = ["state", "restore", "--zone", "pz", "--serial", &serial];
    env.expect(6, &named);
    env.expect(0, &[&named[..], &["--auto-approve"]].concat());
    converges(&env);
    env.expect(
        7,
        &[
            "state",
            "restore",
            "--zone",
            "pz",
            "--serial",
            "99999",
            "--auto-approve",
        ],
    );
    env.assert_settled();
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A name that nobody recorded under is a mistake, not a shard that begins.
#[test]
fn a_zone_of_which_nothing_was_recorded_is_not_restored() {
    let env = applied();
    let before = env.state_bytes();
    let refused = env.expect(1, &["state", "restore", "--zone", "bx"]);
    assert!(refused.stderr.contains("bz"), "{}", refused.text());
    assert_eq!(env.state_bytes(), before);
    env.assert_settled();
}
