//! The state in a bucket instead of files: everything holds that holds there, and a store that does
//! not answer loses nothing.

use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::{Env, finish};

use super::{assert_complete_once, example};

pub(super) const APPLY: &[&str] = &["apply", "--auto-approve"];
pub(super) const STATE: &str = r#"backend = "s3"

[state.s3]
bucket = "wp-state"
region = "fra1"
endpoint = "https://fra1.digitaloceanspaces.com"
prefix = "wp"
access_key = "${secret.spaces_access_key}"
secret_key = "${secret.spaces_secret_key}"
"#;

/// The example with its state in a bucket that holds nothing yet.
pub(super) fn fresh() -> Env {
    let env = example();
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    let line = text.lines().find(|l| l.starts_with("backend = ")).unwrap();
    env.edit("zonewright.toml", line, STATE);
    env
}

/// The same, ready for the first apply.
pub(super) fn ready() -> Env {
    let env = fresh();
    env.expect(0, &["state", "init"]);
    env
}

/// A fault of many requests to the bucket.
fn outage(env: &Env, method: &str, kind: Kind) {
    let client = env.client();
    let fault = Fault {
        service: Some("s3".to_owned()),
        method: Some(method.to_owned()),
        path: Some("/_s3/wp-state*".to_owned()),
        nth: 1,
        count: u64::MAX,
        kind,
    };
    env.wait(client.add_fault(&fault)).unwrap();
}

pub(super) fn objects(env: &Env) -> Vec<String> {
    let dump = env.dump();
    let rows = dump["s3"]["objects/wp-state"].as_object().unwrap();
    rows.keys().cloned().collect()
}

#[test]
fn an_example_in_a_bucket_is_applied_once_and_settled() {
    let env = fresh();
    let nowhere = env.expect(1, &["plan"]);
    assert!(
        nowhere.stderr.contains("bucket does not exist"),
        "{}",
        nowhere.text()
    );
    let client = env.client();
    env.wait(client.add_bucket("wp-state")).unwrap();
    for args in [&["plan"][..], APPLY, &["state", "list"]] {
        let refused = env.expect(1, args);
        assert!(refused.stderr.contains("[ZW5012]"), "{}", refused.text());
        assert!(
            refused.stderr.contains("s3://wp-state/wp"),
            "{}",
            refused.text()
        );
    }
    let made = env.expect(0, &["state", "init"]);
    assert!(made.stderr.contains("Made the state"), "{}", made.text());
    let again = env.expect(0, &["state", "init"]);
    assert!(again.stderr.contains("stays as it is"), "{}", again.text());
    env.expect(0, &["plan"]);
    assert_eq!(objects(&env), ["wp/meta.json"], "a plan writes nothing");
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
    let keys = objects(&env);
    for shard in ["bz", "edge", "pz"] {
        for part in ["log", "snap"] {
            let prefix = format!("wp/{shard}/{part}/");
            assert!(keys.iter().any(|k| k.starts_with(&prefix)), "{keys:?}");
        }
    }
    assert!(env.state_bytes().is_empty(), "nothing is in files");
    let before = objects(&env);
    let listed = env.expect(0, &["state", "list"]);
    let cluster = "pz/digitalocean.kubernetes_cluster.main";
    assert!(listed.stdout.contains(cluster), "{}", listed.text());
    env.expect(0, &["state", "history"]);
    env.expect(0, &["output"]);
    assert_eq!(objects(&env), before, "reading writes nothing");
}

#[test]
fn of_two_applies_at_once_the_second_is_told_of_the_first() {
    let env = ready();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldBefore);
    let mut first = env.spawn(APPLY);
    assert!(env.wait_held(&mut first));
    let second = env.expect(5, APPLY);
    assert!(
        second.stderr.contains("`apply`") && second.stderr.contains(&format!("pid {}", first.id())),
        "{}",
        second.text()
    );
    let plan = env.expect(0, &["plan"]);
    assert!(plan.stderr.contains("is at work in"), "{}", plan.text());
    env.clear_faults();
    let first = finish(Ok(first));
    assert_eq!(first.code, 0, "{}", first.text());
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_killed_apply_is_gone_on_with_at_once() {
    let env = ready();
    for (path, kind) in [
        ("/v2/vpcs", Kind::HoldAfter),
        ("/v2/kubernetes/clusters", Kind::HoldBefore),
        ("/v2/databases/*/users", Kind::HoldAfter),
    ] {
        env.fault("POST", path, 1, kind);
        let mut child = env.spawn(APPLY);
        assert!(env.wait_held(&mut child), "{path}");
        child.kill().unwrap();
        child.wait().unwrap();
        env.clear_faults();
    }
    let done = env.expect(0, APPLY);
    assert!(
        done.stderr.contains("its process on this host is gone"),
        "{}",
        done.text()
    );
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn replies_of_the_store_that_get_lost_change_nothing() {
    let env = ready();
    for (nth, kind) in [
        (1, Kind::DropAfter),
        (4, Kind::DropBefore),
        (7, Kind::StatusAfter { code: 500 }),
        (9, Kind::StatusAfter { code: 409 }),
        (12, Kind::DropAfter),
        (13, Kind::DropAfter),
    ] {
        env.fault("PUT", "/_s3/wp-state/*/log/*", nth, kind);
    }
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_store_that_goes_away_in_the_middle_loses_nothing() {
    let env = ready();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldAfter);
    let mut child = env.spawn(APPLY);
    assert!(env.wait_held(&mut child));
    for method in ["PUT", "GET"] {
        outage(&env, method, Kind::DropBefore);
    }
    let client = env.client();
    env.wait(client.release()).unwrap();
    let cut = finish(Ok(child));
    assert_eq!(cut.code, 3, "{}", cut.text());
    assert!(cut.stderr.contains("s3://wp-state/wp"), "{}", cut.text());
    let kept = env.path().join(".zonewright/sandbox/rescue");
    let files = || std::fs::read_dir(&kept).unwrap().count();
    assert!(files() > 0, "the cluster's id is kept here");
    env.clear_faults();
    let plan = env.expect(0, &["plan"]);
    assert!(
        plan.stderr.contains("the next apply writes them"),
        "{}",
        plan.text()
    );
    let done = env.expect(0, APPLY);
    assert!(
        done.stderr.contains("are in its log now"),
        "{}",
        done.text()
    );
    assert_eq!(files(), 0);
    assert_complete_once(&env);
    env.assert_settled();
}

/// A spec that does not say where the state is leaves nothing to look at: files that happen to be there, or none, are
/// another state. Mistakes elsewhere are no obstacle.
#[test]
fn a_state_is_not_looked_for_elsewhere() {
    let env = ready();
    env.expect(0, APPLY);
    let commands: [&[&str]; 4] = [
        &["state", "list"],
        &["state", "doctor"],
        &["state", "history"],
        &["state", "init"],
    ];
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    for (what, with) in [
        ("backend = \"s3\"", "backend = \"s4\""),
        ("bucket = \"wp-state\"", "bukket = \"wp-state\""),
        ("[state]", "[staet]"),
        ("[state.s3]", "[state.s3"),
    ] {
        env.write("zonewright.toml", &text.replace(what, with));
        for command in commands {
            let refused = env.expect(1, command);
            assert_eq!(refused.stdout, "", "{what}: {}", refused.text());
            assert!(
                refused.stderr.contains("zonewright.toml"),
                "{}",
                refused.text()
            );
        }
    }
    env.write("zonewright.toml", &text);
    env.edit("zones/bz.toml", "posture = \"cold\"", "postrue = \"cold\"");
    env.expect(1, &["validate"]);
    let listed = env.expect(0, &["state", "list"]).stdout;
    assert!(listed.contains("pz/digitalocean.vpc.main"), "{listed}");
    env.edit("zones/bz.toml", "postrue = \"cold\"", "posture = \"cold\"");
    env.assert_settled();
}
