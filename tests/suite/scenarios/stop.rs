//! Runs that end early: interrupted once, twice, before anything was sent; with a log that cannot be
//! written. Each is gone on with by the next apply.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish};

use super::{assert_complete_once, example, names};

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for something that the ground truth shows.
fn wait_until(env: &Env, what: &str, holds: impl Fn(&Env) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(env) {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A cluster takes minutes at the vendor. The first signal does not wait for that, and says so.
#[test]
fn the_first_signal_does_not_wait_for_the_vendor_and_says_so() {
    let env = example();
    env.run(&["--profile", "realistic", "sandbox", "requests"]);
    let child = env.spawn(&["apply", "--auto-approve"]);
    wait_until(&env, "two clusters begun", |env| {
        names(env, "kubernetes_clusters").len() == 2
    });
    // Their ids are recorded, which takes a moment after the reply.
    wait_until(&env, "recorded", |env| {
        let listed = env.run(&["state", "list"]).stdout;
        ["bz", "pz"]
            .iter()
            .all(|zone| listed.contains(&format!("{zone}/digitalocean.kubernetes_cluster.main")))
    });
    signal(&child, "INT");
    let output = finish(Ok(child));
    assert_eq!(output.code, 130, "{}", output.text());
    for words in [
        "requests under way are finished and recorded",
        "not waited for: creating pz/digitalocean.kubernetes_cluster.main",
        "begun",
        "the next run goes on with it",
        "Interrupted: ",
        "To go on: zonewright --sandbox apply",
    ] {
        assert!(output.stderr.contains(words), "{words}: {}", output.text());
    }
    // The leftovers are ready as soon as the profile of the next server says.
    env.expect(0, &["sandbox", "stop"]);
    env.expect(0, &["--profile", "instant", "apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn the_second_signal_stops_at_once_and_nothing_is_lost() {
    let env = example();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldAfter);
    let mut child = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    // Two different ones: two of a kind may arrive as one.
    signal(&child, "INT");
    signal(&child, "TERM");
    let output = finish(Ok(child));
    assert_eq!(output.code, 130, "{}", output.text());
    // The reply was never let go: with one signal it would still be waited for.
    assert!(output.stderr.contains("begun"), "{}", output.text());
    env.clear_faults();
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_signal_while_planning_lets_the_state_go() {
    let env = example();
    env.fault("GET", "/v2/vpcs*", 1, Kind::HoldBefore);
    let mut child = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    signal(&child, "TERM");
    let output = finish(Ok(child));
    assert_eq!(output.code, 130, "{}", output.text());
    assert!(
        output.stderr.contains("interrupted; nothing was sent"),
        "{}",
        output.text()
    );
    env.clear_faults();
    assert!(env.mutations().is_empty());
    let listed = env.expect(0, &["state", "list"]);
    assert_eq!(listed.stderr, "", "the state was released");
}

/// The file system takes no more than so many bytes of a file: the log fails in the middle of a run.
#[test]
fn a_log_that_cannot_be_written_stops_the_run_and_is_gone_on_with() {
    let env = example();
    env.client();
    let limited = |kilobytes: u32| {
        let command = env.command(&["apply", "--auto-approve"]);
        let mut shell = std::process::Command::new("/bin/bash");
        shell
            .env_clear()
            .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .current_dir(env.path())
            .arg("-c")
            .arg(format!(
                "trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\""
            ))
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(shell.spawn())
    };
    let failed = limited(24);
    assert_eq!(failed.code, 3, "{}", failed.text());
    for words in [
        "cannot be written",
        "saved up to the write that failed",
        "is looked up, never repeated blindly",
    ] {
        let told: Vec<&str> = failed.stderr.split_whitespace().collect();
        assert!(told.join(" ").contains(words), "{words}: {}", failed.text());
    }
    assert!(!env.mutations().is_empty());
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}
