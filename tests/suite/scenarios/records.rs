//! Records that get another address or are forgotten, and locks that are broken: by hand, in files and in a
//! bucket alike.

use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish};

use super::bucket::{APPLY, ready};
use super::{applied, assert_complete_once};

/// Gives a resource of both zones another name in the spec.
fn rename_in_spec(env: &Env, from: &str, to: &str) {
    for file in ["zones/pz.toml", "zones/bz.toml", "zonewright.toml"] {
        let text = std::fs::read_to_string(env.path().join(file)).unwrap();
        env.write(file, &text.replace(from, to));
    }
}

fn mv(env: &Env, zone: &str, from: &str, to: &str, code: i32) -> zonewright_tests::Output {
    let (from, to) = (format!("{zone}/{from}"), format!("{zone}/{to}"));
    env.expect(code, &["state", "mv", &from, &to, "--auto-approve"])
}

fn a_move_changes_names_only(env: &Env) {
    let listed = env.expect(0, &["state", "list"]).stdout;
    let dry = env.expect(
        0,
        &[
            "state",
            "mv",
            "pz/digitalocean.kubernetes_cluster.main",
            "pz/digitalocean.kubernetes_cluster.blue",
            "--dry-run",
        ],
    );
    let arrow =
        "pz/digitalocean.kubernetes_cluster.main -> pz/digitalocean.kubernetes_cluster.blue";
    assert!(dry.stdout.contains(arrow), "{}", dry.text());
    assert!(dry.stdout.contains("resources in it"), "{}", dry.text());
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    env.clear_requests();
    let names = [
        ("digitalocean.vpc.main", "digitalocean.vpc.net"),
        (
            "digitalocean.kubernetes_cluster.main",
            "digitalocean.kubernetes_cluster.blue",
        ),
        (
            "kubernetes.manifest.namespaces",
            "kubernetes.manifest.spaces",
        ),
    ];
    for (from, to) in names {
        mv(env, "pz", from, to, 0);
        mv(env, "bz", from, to, 0);
        // The spec still has the old name: nothing is made a second time under it.
        let both = env.expect(1, &["plan"]);
        assert!(both.stderr.contains("[ZW3128]"), "{}", both.text());
        rename_in_spec(env, from, to);
        renew_marks(env);
    }
    let (from, to) = (
        "digitalocean.database_firewall.main",
        "digitalocean.database_firewall.rules",
    );
    mv(env, "pz", from, to, 0);
    mv(env, "bz", from, to, 0);
    rename_in_spec(env, from, to);
    renew_marks(env);
    let mut sent = env.mutations();
    // The state itself may be kept in the emulators.
    sent.retain(|r| r["service"] != "s3");
    // Nothing is made or deleted.
    sent.retain(|r| r["method"] == "POST" || r["method"] == "DELETE");
    assert!(sent.is_empty(), "{sent:?}");
}

/// The next apply gives what was moved the marks of its new address.
fn renew_marks(env: &Env) {
    let plan = env.expect(2, &["plan", "--detailed-exitcode"]).stdout;
    assert!(
        plan.contains("its mark of ownership is missing or another's"),
        "{plan}"
    );
    assert!(
        !plan.contains("to create") && !plan.contains("to delete"),
        "{plan}"
    );
    env.expect(0, APPLY);
    env.assert_settled();
}

#[test]
fn what_was_moved_is_the_same_thing() {
    let env = applied();
    a_move_changes_names_only(&env);
    // What is found by its mark is still found: rules are changed in place, not doubled.
    env.edit("zones/pz.toml", "198.51.100.7", "198.51.100.8");
    env.edit("zones/pz.toml", "max = 3 }", "max = 4 }");
    env.expect(0, APPLY);
    env.assert_settled();
    assert_complete_once(&env);
    for (from, to, why) in [
        (
            "digitalocean.vpc.main",
            "digitalocean.vpc.x",
            "is not recorded",
        ),
        (
            "digitalocean.database.wp",
            "digitalocean.database_user.wp",
            "different things",
        ),
    ] {
        let refused = mv(&env, "pz", from, to, 1);
        assert!(refused.stderr.contains(why), "{}", refused.text());
    }
    let history = env.expect(0, &["state", "history"]).stdout;
    assert!(
        history.contains("after `state mv pz/digitalocean.vpc.main pz/digitalocean.vpc.net`"),
        "{history}"
    );
    env.assert_settled();
    // What is made anew carries the new name's mark, and the old name is free.
    env.edit("zones/pz.toml", "198.51.100.8", "198.51.100.9");
    env.expect(0, APPLY);
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_move_in_a_bucket_is_one_too() {
    let env = ready();
    env.expect(0, APPLY);
    a_move_changes_names_only(&env);
    let history = env.expect(0, &["state", "history"]).stdout;
    assert!(
        history.contains("pz/digitalocean.vpc.main became pz/digitalocean.vpc.net"),
        "{history}"
    );
    env.expect(0, &["state", "doctor"]);
    assert_complete_once(&env);
}

#[test]
fn what_is_forgotten_exists_and_is_taken_over_again() {
    let env = applied();
    let cluster = "pz/digitalocean.kubernetes_cluster.main";
    let listed = env.expect(0, &["state", "list"]).stdout;
    let unasked = env.expect(6, &["state", "rm", cluster]);
    assert!(unasked.stdout.contains(cluster), "{}", unasked.text());
    let unknown = env.expect(1, &["state", "rm", "pz/digitalocean.vpc.none", "--dry-run"]);
    assert!(
        unknown.stderr.contains("is not recorded"),
        "{}",
        unknown.text()
    );
    env.expect(0, &["state", "rm", cluster, "--dry-run"]);
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    env.clear_requests();
    let gone = env.expect(0, &["state", "rm", cluster, "--auto-approve"]);
    assert!(
        gone.stdout.contains("pz/kubernetes.chart.cert_manager"),
        "what is in it goes with it: {}",
        gone.text()
    );
    assert!(env.mutations().is_empty(), "nothing was sent");
    let left = env.expect(0, &["state", "list"]).stdout;
    assert!(!left.contains("pz/kubernetes."), "{left}");
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
}

#[test]
fn a_lock_is_broken_by_the_command_that_the_error_names() {
    let env = ready();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldBefore);
    let mut first = env.spawn(APPLY);
    assert!(env.wait_held(&mut first));
    let second = env.expect(5, APPLY);
    let text: Vec<&str> = second.stderr.split_whitespace().collect();
    let text = text.join(" ");
    let named = text
        .split('`')
        .find(|p| p.contains("state unlock"))
        .unwrap();
    let words: Vec<&str> = named.split(' ').skip(2).collect();
    let epoch = words.iter().position(|w| *w == "--epoch").unwrap();
    let mut other = words.clone();
    other[epoch + 1] = "999";
    let refused = env.expect(6, &other);
    assert!(
        refused.stderr.contains("does not hold"),
        "{}",
        refused.text()
    );
    let broken = env.expect(0, &words);
    assert_eq!(
        broken.stderr.matches("is broken").count(),
        3,
        "all that the writer held: {}",
        broken.text()
    );
    let history = env.expect(0, &["state", "history"]).stdout;
    assert!(history.contains("was broken by"), "{history}");
    let again = env.expect(0, &words);
    assert!(again.stderr.contains("Nobody holds it"), "{}", again.text());
    // It lives after all: it loses its next write and stops; what it sent is looked up.
    env.clear_faults();
    let first = finish(Ok(first));
    assert!(first.stderr.contains("was broken by"), "{}", first.text());
    assert_eq!(first.code, 3, "{}", first.text());
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_lock_of_files_goes_with_its_process() {
    let env = super::example();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldBefore);
    let mut first = env.spawn(APPLY);
    assert!(env.wait_held(&mut first));
    let unlock = [
        "state", "unlock", "--zone", "pz", "--epoch", "1", "--reason", "a test",
    ];
    let refused = env.expect(5, &unlock);
    assert!(
        refused.stderr.contains("goes when that ends"),
        "{}",
        refused.text()
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let free = env.expect(0, &unlock);
    assert!(
        free.stderr.contains("never one to break"),
        "{}",
        free.text()
    );
    env.clear_faults();
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}
