//! Killed at any request, with any reply lost: it converges, nothing is made twice.

use std::collections::BTreeSet;

use zonewright_sandbox::fault::Kind;
use zonewright_tests::simulation::weather::Dice;
use zonewright_tests::{Env, finish};

use super::{assert_complete_once, example};

/// Kills an apply at the nth request that changes something, before or after its effect.
fn kill_at(env: &Env, dice: &mut Dice) -> bool {
    let method = ["POST", "PATCH", "PUT", ""][dice.index(4)];
    let kind = if dice.below(2) == 0 {
        Kind::HoldBefore
    } else {
        Kind::HoldAfter
    };
    env.fault(method, "*", 1 + dice.below(12), kind);
    let mut child = env.spawn(&["--profile", "instant", "apply", "--auto-approve"]);
    let held = env.wait_held(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    held
}

/// 50 kills. Each is followed by another start of the same apply, which has to go on from what the
/// killed one left; when one gets through, nothing may be there twice and nothing left to do.
#[test]
fn killed_at_any_request_it_converges() {
    let mut dice = Dice::of(0x20_26_11_23);
    let mut kills = 0;
    for _ in 0..60 {
        let env = example();
        env.run(&["--profile", "instant", "sandbox", "requests"]);
        for _ in 0..10 {
            if !kill_at(&env, &mut dice) {
                break;
            }
            kills += 1;
        }
        env.expect(0, &["apply", "--auto-approve"]);
        assert_complete_once(&env);
        env.assert_settled();
        if kills >= 50 {
            return;
        }
    }
    panic!("only {kills} applies were killed");
}

/// Every POST of the example loses its reply once, after the effect.
#[test]
fn a_lost_reply_to_any_create_makes_nothing_twice() {
    let env = example();
    env.clear_requests();
    let mut paths = BTreeSet::new();
    for path in [
        "/v2/vpcs",
        "/v2/kubernetes/clusters",
        "/v2/databases",
        "/v2/databases/*/dbs",
        "/v2/databases/*/users",
        "/v2/databases/*/replicas",
        "/client/v4/zones/*/dns_records",
    ] {
        env.fault("POST", path, 1, Kind::DropAfter);
        env.fault("POST", path, 2, Kind::StatusAfter { code: 502 });
        paths.insert(path);
    }
    env.expect(0, &["apply", "--auto-approve"]);
    let posts: Vec<String> = env
        .mutations()
        .iter()
        .filter(|r| r["method"] == "POST")
        .map(|r| r["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(posts.len() >= paths.len(), "{posts:?}");
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_create_that_never_arrived_is_made_once() {
    let env = example();
    env.fault("POST", "/v2/vpcs", 1, Kind::DropBefore);
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::DropBefore);
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_killed_destroy_can_be_finished() {
    let env = example();
    env.expect(0, &["apply", "--auto-approve"]);
    env.fault("DELETE", "*", 2, Kind::HoldAfter);
    let mut child = env.spawn(&["destroy", "--zone", "bz", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    child.kill().unwrap();
    let _ = finish(Ok(child));
    env.clear_faults();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    assert_eq!(super::names(&env, "vpcs"), ["vpc-wp-pz"]);
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}
