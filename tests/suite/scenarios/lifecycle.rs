//! From nothing to two zones, and back.

use super::{applied, assert_complete_once, example, names, records};

#[test]
fn from_nothing_in_one_apply_and_then_nothing_to_do() {
    let env = example();
    env.expect(0, &["validate"]);
    env.client();
    env.clear_requests();
    let plan = env
        .expect(2, &["plan", "--detailed-exitcode", "--format", "json"])
        .json();
    assert_eq!(
        env.mutations(),
        Vec::<serde_json::Value>::new(),
        "planning changed something"
    );
    assert!(
        plan["summary"]["create"].as_u64() > Some(50),
        "{}",
        plan["summary"]
    );
    let objects = plan["resource_changes"].as_array().unwrap().len();
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    for _ in 0..2 {
        env.assert_settled();
    }
    let again = env.expect(0, &["plan", "--format", "json"]).json();
    assert_eq!(again["summary"]["no_op"].as_u64(), Some(objects as u64));
    let active = records(&env);
    assert!(
        active.contains(&("wp-active.guajiro.xyz".into(), "wp-pz.guajiro.xyz".into())),
        "{active:?}"
    );
    assert!(
        active.contains(&("wp-bz.guajiro.xyz".into(), "192.0.2.1".into())),
        "{active:?}"
    );
}

#[test]
fn the_backup_zone_comes_from_nothing_ready_and_not_exposed() {
    let env = example();
    env.expect(0, &["apply", "--zone", "pz", "--auto-approve"]);
    assert_eq!(names(&env, "kubernetes_clusters"), ["wp-pz-doks-nyc3"]);
    env.expect(0, &["apply", "--zone", "edge", "--auto-approve"]);
    let before = env
        .expect(0, &["state", "show", "pz/digitalocean.vpc.main"])
        .stdout;
    env.expect(0, &["apply", "--zone", "bz", "--auto-approve"]);
    assert_complete_once(&env);
    assert_eq!(
        env.expect(0, &["state", "show", "pz/digitalocean.vpc.main"])
            .stdout,
        before
    );
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let bz = clusters
        .iter()
        .find(|c| c["name"] == "wp-bz-doks-sfo3")
        .unwrap()["id"]
        .as_str()
        .unwrap();
    let dump = env.dump();
    let kubernetes = dump["kubernetes"].as_object().unwrap();
    let of_bz = |suffix: &str| -> Vec<serde_json::Value> {
        let tables = kubernetes
            .iter()
            .filter(|(name, _)| name.contains(bz) && name.ends_with(suffix));
        tables
            .flat_map(|(_, rows)| rows.as_object().unwrap().values().cloned())
            .collect()
    };
    assert!(of_bz("/services").len() > 3, "the zone is empty");
    assert!(
        of_bz("/services")
            .iter()
            .all(|s| s["spec"]["type"] != "LoadBalancer")
    );
    assert!(of_bz("/ingresses").is_empty());
    let wordpress = of_bz("/deployments")
        .into_iter()
        .find(|d| d["metadata"]["name"] == "wp")
        .unwrap();
    assert_eq!(wordpress["spec"]["replicas"], 0);
    env.assert_settled();
}

#[test]
fn destroying_the_backup_zone_leaves_nothing_of_it_and_all_of_the_other() {
    let env = applied();
    let refused = env.expect(6, &["destroy", "--zone", "pz", "--auto-approve"]);
    assert!(refused.stderr.contains("serves"), "{}", refused.text());
    env.clear_requests();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    assert_eq!(names(&env, "vpcs"), ["vpc-wp-pz"]);
    assert_eq!(names(&env, "kubernetes_clusters"), ["wp-pz-doks-nyc3"]);
    assert_eq!(records(&env).len(), 2);
    for request in env.mutations() {
        assert_eq!(request["method"], "DELETE", "{request}");
    }
    let deletes = env.mutations().len();
    assert!(
        deletes <= 12,
        "{deletes} deletes: contents go with their container"
    );
    let drift = env.expect(0, &["drift", "--zone", "pz"]);
    assert!(!drift.stdout.contains("changed"), "{}", drift.text());
    // The spec still has bz: it comes back whole.
    env.expect(0, &["apply", "--auto-approve"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn plans_are_the_same_bytes_over_runs_and_parallelism() {
    let env = example();
    let mut plans = Vec::new();
    for i in 0..3 {
        let file = format!("p{i}");
        env.expect(0, &["plan", "-o", &file]);
        plans.push(std::fs::read(env.path().join(file)).unwrap());
    }
    assert!(plans.windows(2).all(|w| w[0] == w[1]));
    let mut states = Vec::new();
    for parallelism in ["1", "8", "32"] {
        let env = example();
        env.expect(
            0,
            &["apply", "--auto-approve", "--parallelism", parallelism],
        );
        env.assert_settled();
        let listed = env.expect(0, &["state", "list"]).stdout;
        states.push(listed);
    }
    assert!(states.windows(2).all(|w| w[0] == w[1]));
}
