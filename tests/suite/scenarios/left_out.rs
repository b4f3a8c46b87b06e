//! An apply of a selection says what it leaves out, and which command applies that.

use serde_json::json;

use super::example;

#[test]
fn an_apply_of_one_zone_says_what_it_leaves_out() {
    let env = example();
    let first = env.expect(0, &["apply", "--zone", "pz", "--auto-approve"]);
    for said in [
        "bz was left out, with ",
        "edge was left out, with 1 change to apply: zonewright --sandbox apply --zone edge\n",
    ] {
        assert!(first.stderr.contains(said), "{}", first.text());
    }
    assert!(!first.stderr.contains("pz was"), "{}", first.text());
    let bz = env.expect(
        0,
        &["apply", "--zone", "bz", "--zone", "edge", "--auto-approve"],
    );
    let looked = "pz was not looked at; its records are as the spec says. To apply it, too: zonewright --sandbox apply --zone pz\n";
    assert!(bz.stderr.contains(looked), "{}", bz.text());
    let all = env.expect(0, &["apply", "--auto-approve"]);
    for said in ["left out", "not looked at"] {
        assert!(!all.stderr.contains(said), "{}", all.text());
    }

    // Nothing to do in pz, and no request for what is said of the others.
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.clear_requests();
    let pz = env.expect(0, &["apply", "--zone", "pz", "--auto-approve"]);
    let edge =
        "edge was left out, with 1 change to apply: zonewright --sandbox apply --zone edge\n";
    assert!(pz.stderr.contains(edge), "{}", pz.text());
    let bz = "bz was not looked at; its records are as the spec says.";
    assert!(pz.stderr.contains(bz), "{}", pz.text());
    let asked = env.requests();
    let asked = asked.iter().map(|r| r["path"].as_str().unwrap());
    let records: Vec<&str> = asked.filter(|p| p.contains("dns_records")).collect();
    let pz_only = env.expect(0, &["plan", "--zone", "pz"]);
    assert_eq!(pz_only.code, 0);
    let again = env.requests();
    let again = again.iter().map(|r| r["path"].as_str().unwrap());
    let twice = again.filter(|p| p.contains("dns_records")).count();
    assert_eq!(twice, records.len() * 2, "{records:?}");

    // For programs: with something to do in pz.
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    let events = env.expect(
        0,
        &[
            "apply",
            "--zone",
            "pz",
            "--auto-approve",
            "--format",
            "json",
        ],
    );
    let last = events.stdout.lines().last().unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    let expected = json!([{"zone": "edge", "pending": 1}, {"zone": "bz", "pending": 0}]);
    let mut found = last["left_out"].as_array().unwrap().clone();
    found.sort_by_key(|l| l["pending"] == 0);
    assert_eq!(json!(found), expected, "{last}");
    env.expect(0, &["apply", "--zone", "edge", "--auto-approve"]);
    env.assert_settled();
}
