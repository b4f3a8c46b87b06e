//! BZ-23: uploads, in one bucket or in one for each zone.

use serde_json::Value;
use zonewright_tests::Env;

use super::example;

/// The media line of bz: its verdict and what it says.
fn media(env: &Env) -> (String, String) {
    let only = [
        "verify", "--zone", "bz", "--only", "media", "--format", "json",
    ];
    let json = env.run(&only).json();
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 1, "{json}");
    let text = |key: &str| checks[0][key].as_str().unwrap().to_owned();
    (text("verdict"), text("evidence"))
}

fn is(env: &Env, verdict: &str, part: &str) {
    let (found, evidence) = media(env);
    assert_eq!(found, verdict, "{evidence}");
    assert!(evidence.contains(part), "{evidence}");
}

/// A bucket in each zone, that of pz copied into that of bz, and something in it for two hours.
fn replicated() -> Env {
    let env = example();
    env.edit(
        "zones/pz.toml",
        "mode = \"single\" # \"replicated\": one in each zone, with `by` and `max_lag`\n",
        "mode = \"replicated\"\nby = \"rclone in the zone that serves\"\nmax_lag = \"15m\"\n",
    );
    env.edit(
        "zones/pz.toml",
        "bucket = \"wp-prod-media\"",
        "bucket = \"wp-${zone.name}-media\"",
    );
    env.expect(0, &["sandbox", "bucket", "wp-bz-media"]);
    let put = ["--put", "uploads/a.jpg", "--age", "2h"];
    let copied = [
        "sandbox",
        "bucket",
        "wp-pz-media",
        "--copy-to",
        "wp-bz-media",
    ];
    env.expect(0, &[&copied[..], &put[..]].concat());
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

/// Green while the copy holds what it must; red as soon as something has been in the source for too long.
#[test]
fn bz_23_a_bucket_in_each_zone_is_copied_in_time_or_red() {
    let env = replicated();
    is(
        &env,
        "pass",
        "1 objects of wp-pz-media, in it for 15m or longer, are in the copy",
    );
    is(&env, "pass", "1 read and equal");
    let pz = ["verify", "--zone", "pz", "--only", "media"];
    let shown = env.expect(0, &pz).stdout;
    assert!(shown.contains("removed in wp-pz-media"), "{shown}");
    // What copies has stopped: new uploads are not missed before their time, and then they are.
    env.expect(0, &["sandbox", "bucket", "wp-pz-media", "--no-copy"]);
    let put = |key: &str, age: &str| {
        let put = [
            "sandbox",
            "bucket",
            "wp-pz-media",
            "--put",
            key,
            "--age",
            age,
        ];
        env.expect(0, &put);
    };
    put("uploads/new.jpg", "10m");
    is(&env, "pass", "1 objects");
    put("uploads/b.jpg", "1h");
    is(
        &env,
        "fail",
        "1 of 2 objects that are in wp-pz-media for 15m or longer are not in the copy",
    );
    is(&env, "fail", "uploads/b.jpg since");
    // It goes on.
    let resumed = [
        "sandbox",
        "bucket",
        "wp-pz-media",
        "--copy-to",
        "wp-bz-media",
    ];
    env.expect(0, &resumed);
    is(&env, "pass", "2 objects");
    // Another content under the name is no copy of it.
    env.expect(0, &["sandbox", "bucket", "wp-pz-media", "--no-copy"]);
    env.expect(
        0,
        &["sandbox", "bucket", "wp-bz-media", "--put", "uploads/b.jpg"],
    );
    is(&env, "pass", "2 objects");
    let dump = env.dump().to_string();
    assert!(!dump.contains("zonewright-probe"), "something is left");
    env.assert_settled();
}

/// Two empty buckets have shown nothing, and a copy that takes long is no copy yet.
#[test]
fn bz_23_nothing_to_judge_by_is_not_green() {
    let env = replicated();
    let late = [
        "sandbox",
        "bucket",
        "wp-pz-media",
        "--copy-to",
        "wp-bz-media",
        "--copy-lag",
        "24h",
    ];
    env.expect(
        0,
        &[&late[..], &["--put", "uploads/late.jpg", "--age", "3h"]].concat(),
    );
    is(&env, "fail", "uploads/late.jpg");
    let env = example();
    env.edit(
        "zones/pz.toml",
        "mode = \"single\" # \"replicated\": one in each zone, with `by` and `max_lag`\nendpoint = \"https://nyc3.digitaloceanspaces.com\"\nbucket = \"wp-prod-media\"",
        "mode = \"replicated\"\nby = \"nobody\"\nmax_lag = \"15m\"\nendpoint = \"https://nyc3.digitaloceanspaces.com\"\nbucket = \"wp-${zone.name}-media\"",
    );
    for bucket in ["wp-pz-media", "wp-bz-media"] {
        env.expect(0, &["sandbox", "bucket", bucket]);
    }
    env.expect(0, &["apply", "--auto-approve"]);
    is(&env, "unknown", "whether it is copied in time is not known");
    env.assert_settled();
}

/// The spec alone: what does not fit together is refused, and a bucket is said to programs.
#[test]
fn bz_23_zones_agree_on_their_buckets() {
    let env = example();
    env.edit(
        "zones/bz.toml",
        "[database]\n",
        "[media]\nbucket = \"another\"\n\n[database]\n",
    );
    let refused = env.run(&["validate", "--format", "json"]).json();
    let codes: Vec<&Value> = refused["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["code"])
        .collect();
    assert_eq!(codes, ["ZW1407"]);
}
