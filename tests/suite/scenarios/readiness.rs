//! `readiness`: a gate over proofs, their age and the budget.

use serde_json::Value;
use zonewright_sandbox::fault::Kind;

use super::verify::{cluster, fault, ready};

/// BZ-02, BZ-11: proofs have an age and belong to a spec; the verdict is a gate.
#[test]
fn readiness_is_a_gate_over_proofs_of_this_spec() {
    let env = ready();
    let recorded = ["readiness", "--recorded"];
    let output = env.expect(6, &recorded);
    assert!(
        output.stdout.contains("zone bz: not ready"),
        "{}",
        output.text()
    );
    env.expect(0, &["verify", "--zone", "bz"]);
    env.clear_requests();
    let output = env.expect(0, &recorded);
    assert!(
        output.stdout.contains("zone bz: ready"),
        "{}",
        output.text()
    );
    assert!(
        output.stdout.contains("ready from nothing in about"),
        "{}",
        output.text()
    );
    let foreign: Vec<Value> = env.requests();
    assert_eq!(
        foreign,
        Vec::<Value>::new(),
        "recorded proofs need no request"
    );
    // The primary's cluster is dead: only what has to compare with it is not known.
    let (id, _) = cluster(&env, "pz");
    fault(
        &env,
        "GET",
        &format!("/clusters/{id}/*"),
        1000,
        Kind::DropBefore,
    );
    let output = env.expect(6, &["readiness", "--format", "json"]);
    let json = output.json();
    let bad: Vec<&str> = json["zones"][0]["gates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|g| g["standing"] != "proven" && g["standing"] != "not_applicable")
        .map(|g| g["check"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["secrets"]);
    env.clear_faults();
    let output = env.expect(0, &["readiness", "--format", "metrics"]);
    assert!(
        output.stdout.contains("zonewright_ready{zone=\"bz\"} 1\n"),
        "{}",
        output.text()
    );
    // An edited spec is another platform: what was proven was proven for the old one.
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    let output = env.expect(6, &recorded);
    assert!(output.stdout.contains("stale"), "{}", output.text());
    let proofs = std::fs::read_to_string(env.path().join(".zonewright/sandbox/proofs.jsonl"));
    let proofs = proofs.unwrap();
    for pair in env.ready().env() {
        let secret = pair.0.contains("TOKEN") || pair.0.contains("SECRET");
        assert!(
            !secret || !proofs.contains(&pair.1),
            "{} is in the proofs",
            pair.0
        );
    }
}

/// BZ-02: what `[objectives]` allows is part of the verdict, and so is that nobody said.
#[test]
fn a_budget_that_nobody_gave_is_not_kept() {
    let env = ready();
    env.expect(0, &["verify", "--zone", "bz"]);
    let recorded = ["readiness", "--recorded", "--format", "json"];
    let stands = |code: i32| {
        let json = env.expect(code, &recorded).json();
        let zone = &json["zones"][0];
        let of = |name: &str| {
            let gates = zone["gates"].as_array().unwrap();
            let gate = gates.iter().find(|g| g["check"] == name).unwrap();
            let text = |key: &str| gate[key].as_str().unwrap().to_owned();
            (text("standing"), text("evidence"))
        };
        (
            zone["verdict"].as_str().unwrap().to_owned(),
            of("rto"),
            of("rpo"),
        )
    };
    let (verdict, rto, rpo) = stands(0);
    assert_eq!(
        (verdict.as_str(), rto.0.as_str(), rpo.0.as_str()),
        ("ready", "proven", "proven")
    );
    assert!(
        rto.1.contains("30m allowed") && rpo.1.contains("15m allowed"),
        "{rto:?} {rpo:?}"
    );
    // The digest of the spec moves with every edit: the checks are proven anew.
    let (declared, missing) = ("rto = \"30m\"\nrpo = \"15m\"\n", "rpo = \"15m\"\n");
    env.edit("zonewright.toml", declared, missing);
    env.expect(0, &["verify", "--zone", "bz"]);
    let (verdict, rto, _) = stands(6);
    assert_eq!((verdict.as_str(), rto.0.as_str()), ("degraded", "unknown"));
    assert!(rto.1.contains("declares no budget"), "{rto:?}");
    env.edit("zonewright.toml", missing, "rto = \"1m\"\nrpo = \"15m\"\n");
    env.expect(0, &["verify", "--zone", "bz"]);
    let (verdict, rto, _) = stands(6);
    assert_eq!((verdict.as_str(), rto.0.as_str()), ("degraded", "failed"));
    assert!(rto.1.contains("out of reach"), "{rto:?}");
    env.edit(
        "zonewright.toml",
        "rpo = \"15m\"\n",
        "rpo = \"15m\"\nstrict = true\n",
    );
    env.expect(0, &["verify", "--zone", "bz"]);
    assert_eq!(stands(6).0, "not_ready");
    env.edit(
        "zonewright.toml",
        "rto = \"1m\"\nrpo = \"15m\"\nstrict = true\n",
        declared,
    );
    env.assert_settled();
}
