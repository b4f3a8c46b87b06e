//! What programs read: errors as one JSON object a line on the error output, with codes that `explain`
//! knows.

use serde_json::Value;
use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, Output};

use super::{applied, example};

/// Every line of the error output is JSON; the last one is the error.
fn error(env: &Env, output: &Output) -> Value {
    let lines: Vec<Value> = output
        .stderr
        .lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
        .collect();
    let error = lines.last().expect("an error")["error"].clone();
    assert_eq!(error["exit"], output.code, "{error}");
    let message = error["message"].as_str().expect("a message");
    assert!(!message.is_empty());
    let code = error["code"].as_str().expect("a code");
    let page = env.expect(0, &["explain", code]).stdout;
    assert!(page.lines().count() > 2, "{page}");
    error
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let env = applied();
    let json = |code: i32, args: &[&str]| {
        let output = env.expect(code, &[args, &["--format", "json"]].concat());
        error(&env, &output)
    };
    assert_eq!(json(1, &["plan", "--zone", "nowhere"])["code"], "ZW4001");
    assert_eq!(json(1, &["plan", "--bogus"])["code"], "ZW4002");
    assert_eq!(json(6, &["apply"])["code"], "ZW4006");
    let serving = json(6, &["destroy", "--zone", "pz", "--auto-approve"]);
    assert_eq!(serving["code"], "ZW3106");
    assert!(serving["help"].is_string());
    let replace = json(1, &["plan", "--replace", "bz/digitalocean.vpc.mian"]);
    assert_eq!(replace["code"], "ZW3107");
    assert_eq!(
        json(1, &["state", "show", "bz/digitalocean.vpc.mian"])["code"],
        "ZW4001"
    );
    // A mistake in the spec, with its place.
    env.edit("zonewright.toml", "ttl = 300", "tttl = 300");
    let spec = json(1, &["plan"]);
    assert_eq!(spec["code"], "ZW4011");
    let first = &spec["diagnostics"][0];
    assert!(first.to_string().contains("zonewright.toml"), "{first}");
    assert!(
        first["code"].as_str().unwrap().starts_with("ZW1"),
        "{first}"
    );
    env.edit("zonewright.toml", "tttl = 300", "ttl = 300");
    // The state.
    let file = env.path().join(".zonewright/sandbox/state/pz.state.json");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"{").unwrap();
    assert_eq!(json(7, &["drift"])["code"], "ZW5002");
    std::fs::write(&file, good).unwrap();
    env.assert_settled();
}

#[test]
fn a_run_for_programs_ends_with_an_event_and_codes() {
    let mut env = example();
    let refuse = Kind::Status {
        code: 422,
        body: None,
        headers: std::collections::BTreeMap::new(),
    };
    env.fault("POST", "/v2/databases/*/users", 1, refuse);
    let failed = env.expect(3, &["apply", "--auto-approve", "--format", "json"]);
    let events: Vec<Value> = failed
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let errored = events
        .iter()
        .find(|e| e["type"] == "apply_errored")
        .unwrap();
    assert_eq!(errored["error"]["code"], "ZW6008");
    assert_eq!(events.last().unwrap()["type"], "summary");
    for line in failed.stderr.lines() {
        let talk: Value = serde_json::from_str(line).unwrap();
        assert!(talk["message"].is_string(), "{line}");
    }
    env.set("DIGITALOCEAN_TOKEN", "dop_v1_wrong-canary-4711");
    let refused = env.expect(9, &["plan", "--format", "json"]);
    assert_eq!(error(&env, &refused)["code"], "ZW6009");
    assert_eq!(refused.stdout, "");
}
