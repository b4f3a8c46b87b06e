//! A seed decides everything: what failed once can be looked at again.

use std::collections::BTreeMap;

use serde_json::Value;
use zonewright_tests::simulation::project::Project;
use zonewright_tests::simulation::timeline::Span;
use zonewright_tests::simulation::{Settings, simulate};

/// When each step of a first apply of the primary zone ran, and every request with its answer.
fn run(seed: u64) -> (BTreeMap<usize, Span>, Vec<String>) {
    let settings = Settings {
        seed,
        ..Settings::realistic(Project::example("wordpress-dr"))
    };
    simulate(settings, async |simulation| {
        let applied = simulation.apply(&["pz"]).await;
        assert!(applied.report.is_complete());
        let all = simulation.control("GET", "requests", &Value::Null).await;
        let line = |r: &Value| format!("{} {} {}", r["method"], r["path"], r["status"]);
        let requests = all.as_array().unwrap().iter().map(line).collect();
        (applied.timeline.spans(), requests)
    })
}

#[test]
fn the_same_seed_is_the_same_run() {
    let (spans, requests) = run(1);
    assert!(requests.len() > 200, "{}", requests.len());
    assert_eq!(run(1), (spans, requests.clone()));
    let (_, others) = run(2);
    assert_ne!(requests, others, "ids come from the seed");
}
