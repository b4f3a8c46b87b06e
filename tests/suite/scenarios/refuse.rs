//! What is refused, with which code, and that nothing is sent then.

use std::process::Stdio;

use zonewright_sandbox::fault::Kind;
use zonewright_tests::finish;

use super::{applied, assert_complete_once, example};

#[test]
fn what_has_our_name_and_is_not_ours_is_left_alone() {
    let env = example();
    let token = super::token(&env, "DIGITALOCEAN_TOKEN");
    let network = serde_json::json!({
        "name": "vpc-wp-pz", "region": "nyc3", "ip_range": "10.10.0.0/16", "description": "the other team",
    });
    let (status, made) = env.meddle("POST", "/v2/vpcs", &token, Some(&network));
    assert_eq!(status, 201, "{made}");
    let id = made["vpc"]["id"].as_str().unwrap();
    env.clear_requests();
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = env.expect(1, command);
        assert!(refused.stderr.contains("ZW3101"), "{}", refused.text());
        assert!(refused.stderr.contains(id), "{}", refused.text());
    }
    assert!(env.mutations().is_empty());
    let there = env.table("digitalocean", "vpcs");
    let theirs = there.iter().find(|v| v["id"] == id).unwrap();
    assert_eq!(theirs["description"], "the other team");
    // Out of the way, everything is made.
    let (status, _) = env.meddle("DELETE", &format!("/v2/vpcs/{id}"), &token, None);
    assert_eq!(status, 204);
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

#[test]
fn a_saved_plan_applies_once_and_only_as_it_is() {
    let env = example();
    env.expect(0, &["plan", "-o", "p"]);
    let bytes = std::fs::read(env.path().join("p")).unwrap();
    // One byte of it.
    for at in [10, bytes.len() / 2, bytes.len() - 10] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(env.path().join("flipped"), flipped).unwrap();
        env.clear_requests();
        env.expect(4, &["apply", "flipped"]);
        assert!(env.mutations().is_empty());
    }
    // The spec.
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.clear_requests();
    let stale = env.expect(4, &["apply", "p"]);
    assert!(stale.stderr.contains("configuration"), "{}", stale.text());
    assert!(env.mutations().is_empty());
    env.edit("zonewright.toml", "ttl = 120", "ttl = 300");
    // It still fits.
    env.expect(0, &["apply", "p"]);
    assert_complete_once(&env);
    // The state: it was applied already.
    env.clear_requests();
    let stale = env.expect(4, &["apply", "p"]);
    let told: String = stale.stderr.split_whitespace().collect();
    assert!(told.contains("thisplanwasappliedalready"), "{told}");
    assert!(told.contains("serialsmoved:bzfrom0to"), "{told}");
    assert!(stale.stderr.lines().count() < 8, "{}", stale.text());
    assert!(env.mutations().is_empty());
    // The world.
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.expect(0, &["plan", "-o", "q"]);
    let rows = super::record_documents(&env);
    let record = rows
        .iter()
        .find(|r| r["name"] == "wp-active.guajiro.xyz")
        .unwrap();
    let (zone, id) = (
        record["zone_id"].as_str().unwrap(),
        record["id"].as_str().unwrap(),
    );
    let token = env
        .ready()
        .env()
        .into_iter()
        .find(|(n, _)| *n == "CLOUDFLARE_API_TOKEN")
        .unwrap()
        .1;
    let body = serde_json::json!({ "ttl": 600 });
    env.meddle(
        "PATCH",
        &format!("/client/v4/zones/{zone}/dns_records/{id}"),
        &token,
        Some(&body),
    );
    env.clear_requests();
    let stale = env.expect(4, &["apply", "q"]);
    assert!(
        stale.stderr.contains("cloudflare.dns_record.active"),
        "{}",
        stale.text()
    );
    assert!(env.mutations().is_empty());
}

#[test]
fn an_expected_digest_that_differs_is_refused() {
    let env = example();
    let digest = env.expect(0, &["plan", "--format", "json"]).json()["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    env.clear_requests();
    let other = format!("sha256:{}", "0".repeat(64));
    env.expect(4, &["apply", "--auto-approve", "--expect", &other]);
    assert!(env.mutations().is_empty());
    env.expect(0, &["apply", "--auto-approve", "--expect", &digest]);
}

#[test]
fn one_failure_stops_only_what_waits_for_it() {
    let env = example();
    let refuse = Kind::Status {
        code: 422,
        body: None,
        headers: std::collections::BTreeMap::new(),
    };
    env.fault("POST", "/v2/databases/*/users", 1, refuse);
    let failed = env.expect(3, &["apply", "--auto-approve"]);
    assert!(
        failed.stderr.contains("pz/digitalocean.database_user.wp"),
        "{}",
        failed.text()
    );
    // The cause stands last, after one line for all that it stopped.
    let lines: Vec<&str> = failed.stderr.lines().collect();
    let at = |word: &str| lines.iter().rposition(|l| l.starts_with(word));
    assert!(at("failed ") > at("blocked ") && at("blocked ").is_some());
    let blocked = lines.iter().filter(|l| l.contains("blocked")).count();
    assert!(blocked <= 2, "{}", failed.text());
    assert!(
        failed
            .stderr
            .contains("steps wait for pz/digitalocean.database_user.wp: "),
        "{}",
        failed.text()
    );
    let listed = env.expect(0, &["state", "list"]).stdout;
    assert!(
        listed.contains("pz/kubernetes.chart.traefik"),
        "independent branches finish: {listed}"
    );
    assert!(!listed.contains("pz/kubernetes.secret.db\n"), "{listed}");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve"]);
    let rest = env.mutations().len();
    assert!(
        (1..30).contains(&rest),
        "the second apply does only the rest: {rest}"
    );
    env.assert_settled();
}

#[test]
fn two_applies_at_once_one_wins_and_the_other_is_told_who() {
    let env = example();
    env.fault("POST", "/v2/vpcs", 1, Kind::HoldBefore);
    let mut first = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut first));
    let second = env.expect(5, &["apply", "--auto-approve"]);
    assert!(
        second.stderr.contains(&first.id().to_string()),
        "{}",
        second.text()
    );
    // Reading does not need the lock.
    env.expect(0, &["plan", "--zone", "pz"]);
    env.clear_faults();
    let first = finish(Ok(first));
    assert_eq!(first.code, 0, "{}", first.text());
    env.assert_settled();
}

#[test]
fn a_wrong_token_is_named_and_never_shown() {
    let mut env = example();
    env.client();
    env.set("DIGITALOCEAN_TOKEN", "dop_v1_wrong-canary-4711");
    for command in [
        &["plan"][..],
        &["apply", "--auto-approve"],
        &["-vvv", "plan"],
    ] {
        let refused = env.expect(9, command);
        assert!(
            refused.stderr.contains("DIGITALOCEAN_TOKEN"),
            "{}",
            refused.text()
        );
        assert!(!refused.text().contains("canary"), "{}", refused.text());
    }
}

#[test]
fn an_interrupted_apply_says_so_and_can_be_resumed() {
    let env = example();
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldAfter);
    let mut child = env.spawn(&["apply", "--auto-approve"]);
    assert!(env.wait_held(&mut child));
    let pid = i32::try_from(child.id()).unwrap();
    std::process::Command::new("kill")
        .args(["-INT", &pid.to_string()])
        .status()
        .unwrap();
    // The first interrupt lets what is in flight end.
    std::thread::sleep(std::time::Duration::from_millis(50));
    env.clear_faults();
    let output = finish(Ok(child));
    assert_eq!(output.code, 130, "{}", output.text());
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn without_a_terminal_and_approval_nothing_is_applied() {
    let env = example();
    let refused = env.expect(6, &["apply"]);
    assert!(
        refused.stderr.contains("--auto-approve"),
        "{}",
        refused.text()
    );
    assert!(env.mutations().is_empty());
}

#[test]
fn lost_state_is_said_and_never_a_plan_to_make_everything_again() {
    let env = applied();
    let dir = env.path().join(".zonewright/sandbox/state");
    let file = dir.join("pz.state.json");
    let good = std::fs::read(&file).unwrap();
    for damage in [Vec::new(), good[..good.len() / 2].to_vec()] {
        std::fs::write(&file, damage).unwrap();
        let output = env.run(&["plan"]);
        assert_eq!(output.code, 7, "{}", output.text());
        assert!(!output.stdout.contains("to create"), "{}", output.text());
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(env.run(&["plan"]).code, 7);
    std::fs::write(&file, good).unwrap();
    env.assert_settled();
}

#[test]
fn a_live_plan_is_refused_by_the_sandbox() {
    let env = applied();
    let saved = env.expect(0, &["plan", "-o", "p"]);
    let text = std::fs::read_to_string(env.path().join("p")).unwrap();
    let world = text
        .split("\"world\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(world.starts_with("sandbox:"), "{world} {}", saved.text());
    std::fs::write(env.path().join("p"), text.replace(world, "live")).unwrap();
    env.expect(4, &["apply", "p"]);
}

#[test]
fn usage_errors_are_1_and_help_is_0() {
    let env = example();
    let code = |args: &[&str]| {
        finish(
            env.bare(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn(),
        )
        .code
    };
    assert_eq!(code(&["--bogus"]), 1);
    assert_eq!(code(&["--help"]), 0);
    assert_eq!(code(&["--version"]), 0);
    assert_eq!(code(&["plan", "--zone", "nowhere"]), 1);
}

/// Clusters cannot be listed: what would live in them is unknown, not absent, and nothing hangs.
#[test]
fn what_cannot_be_read_is_left_alone_and_said() {
    let env = example();
    let busy = Kind::Status {
        code: 403,
        body: None,
        headers: std::collections::BTreeMap::new(),
    };
    env.client();
    for nth in 1..=6 {
        env.fault("GET", "/v2/kubernetes/clusters*", nth, busy.clone());
    }
    let plan = env.run(&["plan"]);
    assert!(
        plan.text().contains("could not be read") || plan.code == 9,
        "{}",
        plan.text()
    );
    assert!(
        !plan.stdout.contains("bz/kubernetes.secret"),
        "{}",
        plan.text()
    );
}

#[test]
fn the_edge_is_not_destroyed_and_a_mistyped_replacement_is_refused() {
    let env = applied();
    env.clear_requests();
    env.expect(6, &["destroy", "--zone", "edge", "--auto-approve"]);
    assert!(env.mutations().is_empty());
    let mistyped = env.expect(1, &["plan", "--replace", "bz/digitalocean.vpc.mian"]);
    assert!(mistyped.stderr.contains("mian"), "{}", mistyped.text());
}

/// What would be refused in the middle of an apply is found when the spec is read.
#[test]
fn what_an_apply_would_stop_at_is_a_mistake_of_the_spec() {
    let env = example();
    let old = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    let pool = old.lines().find(|l| l.starts_with("node_pool")).unwrap();
    env.edit(
        "zones/pz.toml",
        pool,
        "node_pool = { size = \"s-2vcpu-4gb\", min = 4, max = 3 }",
    );
    env.edit(
        "zones/pz.toml",
        "[posture.cold.zone]\nreplicas = 0",
        "[posture.cold.zone]\nreplicas = \"none\"",
    );
    let refused = env.expect(1, &["plan"]).stderr;
    for said in [
        "ZW1312",
        "`min` not above `max`",
        "ZW1313",
        "`spec.replicas` of Deployment `wp` wants a whole number, not text",
        "zones/pz.toml",
    ] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
}
