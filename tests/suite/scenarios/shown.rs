//! The main job, from an empty account to a backup zone that is proven: both strategies of its data.

use serde_json::{Value, json};
use zonewright_tests::Env;

use super::restore::by_restore;
use super::{example, names};

/// PZ, then BZ, in an account without anything; then the proofs, the comparison, and nothing left to do. Every
/// line is green but those that are not about such a zone.
fn shown(env: &Env, lines: &[&str], not_applicable: &[&str]) {
    let apply = |zones: &[&str]| {
        env.expect(0, &[&["apply", "--auto-approve"], zones].concat());
    };
    // The first command decides how fast the vendors are.
    env.expect(0, &["--profile", "instant", "sandbox", "requests"]);
    assert_eq!(names(env, "vpcs"), [""; 0], "the account is not empty");
    apply(&["--zone", "pz", "--zone", "edge"]);
    assert_eq!(names(env, "kubernetes_clusters"), ["wp-pz-doks-nyc3"]);
    apply(&["--zone", "bz"]);
    let verified = env.expect(0, &["verify", "--zone", "bz", "--format", "json"]);
    let checks = verified.json()["checks"].as_array().unwrap().clone();
    let other = checks.iter().filter(|c| c["verdict"] != "pass");
    let other: Vec<(&Value, &Value)> = other.map(|c| (&c["id"], &c["verdict"])).collect();
    let expected: Vec<(Value, Value)> = not_applicable
        .iter()
        .map(|id| (json!(id), json!("not_applicable")))
        .collect();
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(i, v)| (i, v)).collect();
    assert_eq!(other, expected);
    let passed = |id: &str| {
        checks
            .iter()
            .any(|c| c["id"] == id && c["verdict"] == "pass")
    };
    for line in lines {
        assert!(passed(line), "no green line {line}");
    }
    let compared = env.expect(0, &["parity", "pz", "bz", "--format", "json"]);
    assert_eq!(compared.json()["differences"], json!([]));
    env.assert_settled();
}

/// BZ-01, strategy replica.
#[test]
fn from_an_empty_account_to_a_proven_zone_with_a_replica() {
    let env = example();
    let lines = ["database-tls", "database-mode", "replication-lag", "wiring"];
    shown(&env, &lines, &["backup"]);
    assert_eq!(names(&env, "database_replicas"), ["wp-bz-mysql"]);
}

/// BZ-01, strategy restore: no database until it is restored.
#[test]
fn from_an_empty_account_to_a_proven_zone_with_a_backup() {
    let env = by_restore();
    let later = [
        "database-tls",
        "database-mode",
        "replication-lag",
        "wiring",
        "smoke",
    ];
    shown(&env, &["backup"], &later);
    assert_eq!(names(&env, "databases"), ["wp-pz-mysql"]);
    assert_eq!(names(&env, "database_replicas"), [""; 0]);
}
