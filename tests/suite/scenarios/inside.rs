//! BZ-17: databases that let in only the zone's own cluster are asked from there, and nothing of it is left.

use serde_json::{Value, json};
use zonewright_sandbox::control::database::{Behaviour, Certificate};
use zonewright_sandbox::fault::Kind;
use zonewright_tests::Env;

use super::example;
use super::verify::meddle;

const LINES: [&str; 3] = ["database-tls", "database-mode", "replication-lag"];

/// The example whose databases trust the zones' clusters and nobody else.
fn closed() -> Env {
    let env = example();
    env.edit(
        "zones/pz.toml",
        "watchers = [\"198.51.100.7\"]",
        "watchers = []",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

fn verify(env: &Env, code: i32, more: &[&str]) -> Vec<(String, String)> {
    let only = LINES.iter().flat_map(|line| ["--only", *line]);
    let mut args = vec!["verify", "--zone", "bz", "--format", "json"];
    args.extend(only);
    args.extend(more);
    let output = env.expect(code, &args);
    let checks = output.json()["checks"].as_array().unwrap().clone();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let lines = checks
        .iter()
        .map(|c| (text(&c["verdict"]), text(&c["evidence"])));
    lines.collect()
}

fn behave(env: &Env, behaviour: &Behaviour) {
    let client = env.client();
    env.wait(client.set_database("wp-bz-mysql", behaviour))
        .unwrap();
}

/// Nothing of a Job is in the world, and no secret was ever in one.
fn assert_clean(env: &Env) {
    let dump = env.dump().to_string();
    assert!(!dump.contains("zonewright-probe"), "something is left");
    assert!(!dump.contains("zonewright.dev/probe"), "something is left");
}

#[test]
fn bz_17_a_job_in_the_zone_asks_databases_that_let_in_nobody_else() {
    let env = closed();
    // From here nothing is known.
    let outside = verify(&env, 6, &[]);
    assert!(
        outside.iter().all(|(verdict, _)| verdict == "unknown"),
        "{outside:?}"
    );
    let inside = verify(&env, 0, &["--in-cluster"]);
    assert!(
        inside.iter().all(|(verdict, _)| verdict == "pass"),
        "{inside:?}"
    );
    let says = |line: usize, words: &str| assert!(inside[line].1.contains(words), "{inside:?}");
    says(0, "another authority and another name are refused");
    says(1, "read_only is ON");
    says(2, "s behind by heartbeat");
    assert_clean(&env);
    // What a proof needs is what the lines without a Job need.
    behave(
        &env,
        &Behaviour {
            lag_seconds: Some(90),
            ..Behaviour::default()
        },
    );
    let late = verify(&env, 6, &["--in-cluster"]);
    // The heartbeat is younger than that: where the replica is, there was none yet.
    assert_eq!(
        (late[1].0.as_str(), late[2].0.as_str()),
        ("pass", "unknown"),
        "{late:?}"
    );
    assert!(
        late[2].1.contains("the server itself says 90 s"),
        "{late:?}"
    );
    behave(
        &env,
        &Behaviour {
            lag_seconds: Some(0),
            read_only: Some(false),
            ..Behaviour::default()
        },
    );
    let open = verify(&env, 6, &["--in-cluster"]);
    assert_eq!(
        (open[1].0.as_str(), open[2].0.as_str()),
        ("fail", "pass"),
        "{open:?}"
    );
    let other = Behaviour {
        read_only: Some(true),
        certificate: Some(Certificate::OtherAuthority),
        ..Behaviour::default()
    };
    behave(&env, &other);
    let untrusted = verify(&env, 6, &["--in-cluster"]);
    assert!(
        untrusted
            .iter()
            .all(|(v, e)| v == "fail" && e.contains("2026")),
        "{untrusted:?}"
    );
    behave(
        &env,
        &Behaviour {
            certificate: Some(Certificate::Right),
            ..Behaviour::default()
        },
    );
    verify(&env, 0, &["--in-cluster"]);
    assert_clean(&env);
    env.assert_settled();
}

/// A server that does not take the credentials in the zone's Secret is named, and its Job gone.
#[test]
fn bz_17_a_job_in_the_zone_says_which_credentials_are_refused() {
    let env = closed();
    let secret = "/api/v1/namespaces/app/secrets/wp-db";
    let wrong = json!({"stringData": {"WORDPRESS_DB_PASSWORD": "not-the-password"}});
    meddle(&env, "bz", "PATCH", secret, Some(&wrong));
    let denied = verify(&env, 6, &["--in-cluster"]);
    assert!(
        denied
            .iter()
            .all(|(v, e)| v == "unknown" && e.contains("1045")),
        "{denied:?}"
    );
    env.expect(0, &["apply", "--auto-approve"]);
    verify(&env, 0, &["--in-cluster"]);
    assert_clean(&env);
    env.assert_settled();
}

/// The Job has references to Secrets, and nothing of what is in them.
#[test]
fn bz_17_the_job_in_the_zone_holds_no_secret() {
    let env = closed();
    env.fault("PATCH", "*/jobs/zonewright-probe*", 1, Kind::HoldAfter);
    let line = ["--only", "database-mode", "--in-cluster"];
    let mut child = env.spawn(&[&["verify", "--zone", "bz"], &line[..]].concat());
    assert!(env.wait_held(&mut child), "there is a Job");
    let dump = env.dump();
    let kubernetes = dump["kubernetes"].as_object().unwrap();
    let jobs: Vec<&Value> = kubernetes
        .iter()
        .filter(|(name, _)| name.ends_with("/jobs") || name.ends_with("/pods"))
        .map(|(_, rows)| rows)
        .collect();
    let text = serde_json::to_string(&jobs).unwrap();
    assert!(
        text.contains("zonewright-probe") && text.contains("secretKeyRef"),
        "{text}"
    );
    for secret in kubernetes
        .iter()
        .filter(|(name, _)| name.ends_with("/secrets"))
        .flat_map(|(_, rows)| rows.as_object().unwrap().values())
        .filter(|s| s["metadata"]["name"] == "wp-db")
        .flat_map(|s| s["data"].as_object().unwrap().clone())
    {
        let (key, value) = secret;
        let value = value.as_str().unwrap();
        if key != "WORDPRESS_DB_USER" && key != "WORDPRESS_DB_NAME" {
            assert!(!text.contains(value), "{key} is in the Job");
        }
    }
    env.clear_faults();
    let done = zonewright_tests::finish(Ok(child));
    assert_eq!(done.code, 0, "{}", done.text());
    assert_clean(&env);
    // One that was killed leaves its Job, and the next run removes it.
    env.fault("PATCH", "*/jobs/zonewright-probe*", 1, Kind::HoldAfter);
    let mut child = env.spawn(&[&["verify", "--zone", "bz"], &line[..]].concat());
    assert!(env.wait_held(&mut child), "there is a Job");
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    assert!(env.dump().to_string().contains("zonewright-probe"));
    env.expect(0, &[&["verify", "--zone", "bz"], &line[..]].concat());
    assert_clean(&env);
    env.assert_settled();
}
