//! What the tools of the field are known to do wrong, and this one must not.

use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish, truth};

use super::BINARY;

const APPLY: &[&str] = &["--profile", "instant", "apply", "--auto-approve"];

/// One of each kind, its sandbox awake.
fn project() -> Env {
    let env = Env::project("one-of-each", BINARY);
    env.run(&["--profile", "instant", "sandbox", "requests"]);
    env
}

fn named(env: &Env, table: &str, name: &str) -> usize {
    let all = env.table("digitalocean", table);
    all.iter().filter(|o| o["name"] == name).count()
}

/// A kill while the state is written leaves 0 bytes; the plan after it says "100 to add".
#[test]
fn f1_a_state_of_no_bytes_is_a_loss_and_not_a_plan() {
    let env = project();
    env.expect(0, APPLY);
    let state = env.path().join(".zonewright/sandbox/state");
    for file in ["pz.state.json", "bz.journal"] {
        let file = state.join(file);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, "").unwrap();
        env.clear_requests();
        for command in [&["plan"][..], APPLY] {
            let lost = env.expect(7, command);
            assert!(lost.stderr.contains("is empty"), "{}", lost.text());
            assert!(!lost.stdout.contains("to create"), "{}", lost.text());
        }
        assert_eq!(env.mutations().len(), 0);
        std::fs::write(&file, whole).unwrap();
    }
    env.assert_settled();
}

/// A create whose reply is lost, or is an error although it was carried out, is sent again.
#[test]
fn f2_a_create_whose_reply_is_lost_is_made_once() {
    let env = project();
    let records = "/client/v4/zones/*/dns_records";
    env.fault("POST", records, 1, Kind::DropAfter);
    env.fault("POST", records, 2, Kind::StatusAfter { code: 502 });
    env.fault("POST", "/v2/vpcs", 1, Kind::DropAfter);
    env.expect(0, APPLY);
    let there = truth::census(&env.dump());
    let ours = |name: &str| there[&format!("cloudflare/dns_records {name}.guajiro.xyz")];
    assert_eq!(
        [ours("one-pz"), ours("one-bz"), ours("one-active")],
        [1, 1, 1]
    );
    assert_eq!(named(&env, "vpcs", "vpc-one-pz"), 1);
    env.assert_settled();
}

/// One poll that fails while a cluster is being made, and the cluster is forgotten, running and billed.
#[test]
fn f3_a_failed_poll_does_not_forget_what_was_made() {
    let env = project();
    let failing = || Kind::Status {
        code: 403,
        body: None,
        headers: Default::default(),
    };
    env.fault("GET", "/v2/kubernetes/clusters/*", 1, failing());
    env.fault("GET", "/v2/databases/*", 1, failing());
    let failed = env.run(APPLY);
    assert!(matches!(failed.code, 3 | 9), "{}", failed.text());
    for (kind, table, name) in [
        ("kubernetes_cluster", "kubernetes_clusters", "one-pz"),
        ("database_cluster", "databases", "one-pz-mysql"),
    ] {
        let made = env.table("digitalocean", table);
        let made = made.iter().find(|o| o["name"] == name).unwrap();
        let address = format!("pz/digitalocean.{kind}.main");
        let kept = env.expect(0, &["state", "show", &address]);
        let id = made["id"].as_str().unwrap();
        assert!(kept.stdout.contains(id), "{}", kept.text());
    }
    env.clear_faults();
    env.expect(0, APPLY);
    assert_eq!(named(&env, "kubernetes_clusters", "one-pz"), 1);
    assert_eq!(named(&env, "databases", "one-pz-mysql"), 1);
    env.assert_settled();
}

/// A state elsewhere is written every twenty seconds at most: a kill loses what was made since then.
#[test]
fn f4_killed_with_the_state_elsewhere_nothing_that_was_made_is_forgotten() {
    let env = super::bucket::ready();
    env.fault("POST", "/v2/databases", 1, Kind::HoldAfter);
    let mut child = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    child.kill().unwrap();
    let _ = finish(Ok(child));
    env.clear_faults();
    let kept = env.expect(0, &["state", "list"]);
    assert!(
        kept.stdout.contains("pz/digitalocean.vpc.main"),
        "{}",
        kept.text()
    );
    env.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(named(&env, "vpcs", "vpc-wp-pz"), 1);
    assert_eq!(named(&env, "databases", "wp-pz-mysql"), 1);
    env.assert_settled();
}
