//! What cannot be read: a plan says so before anything else, is none when it saw too little, and a
//! dead cluster stops nothing elsewhere.

use std::collections::BTreeMap;

use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::Env;

use super::applied;

/// Every request of a service to such a path is answered with an error that is not tried again.
fn break_reads(env: &Env, service: &str, path: &str) {
    refuse_reads(env, service, path, 400);
}

fn refuse_reads(env: &Env, service: &str, path: &str, code: u16) {
    let kind = Kind::Status {
        code,
        body: None,
        headers: BTreeMap::new(),
    };
    let client = env.client();
    env.wait(client.add_fault(&Fault {
        service: Some(service.to_owned()),
        method: Some("GET".to_owned()),
        path: Some(path.to_owned()),
        nth: 1,
        count: 1_000_000,
        kind,
    }))
    .expect("the fault is armed");
}

#[test]
fn a_vendor_that_cannot_be_read_is_no_empty_plan_and_no_drift_of_nothing() {
    let env = applied();
    break_reads(&env, "digitalocean", "/v2/*");
    env.clear_requests();
    for command in [&["plan"][..], &["plan", "--detailed-exitcode"]] {
        let plan = env.expect(1, command);
        assert!(plan.stdout.contains("INCOMPLETE: "), "{}", plan.text());
        assert!(!plan.stdout.contains("digest sha256:"), "{}", plan.text());
        assert!(plan.stderr.contains("not everything"), "{}", plan.text());
    }
    let json = env.expect(1, &["plan", "--format", "json"]).json();
    assert_eq!(json["complete"], false);
    assert_eq!(json["approvable"], false);
    env.expect(1, &["plan", "-o", "p"]);
    assert!(!env.path().join("p").exists(), "it is not saved");
    env.expect(1, &["apply", "--auto-approve"]);
    let drift = env.expect(1, &["drift"]);
    assert!(
        drift.stdout.contains("pz/digitalocean: 6 resources"),
        "{}",
        drift.text()
    );
    assert!(!drift.stdout.contains("No drift"), "{}", drift.text());
    assert!(env.mutations().is_empty());
    // The others are dead, too.
    break_reads(&env, "cloudflare", "/client/*");
    let plan = env.expect(1, &["plan"]);
    assert!(
        plan.stderr.contains("nothing could be read"),
        "{}",
        plan.text()
    );
    env.clear_faults();
    env.assert_settled();
}

#[test]
fn what_is_elsewhere_goes_on_and_what_shall_change_unseen_does_not() {
    let env = applied();
    break_reads(&env, "digitalocean", "/v2/*");
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    let plan = env.expect(2, &["plan", "--detailed-exitcode"]);
    assert!(plan.stdout.contains("INCOMPLETE: "), "{}", plan.text());
    assert!(plan.stdout.contains("digest sha256:"), "{}", plan.text());
    // A change of what cannot be seen.
    env.edit("zones/pz.toml", "10.10.0.0/16", "10.11.0.0/16");
    let plan = env.expect(1, &["plan"]);
    assert!(
        plan.stderr.contains("pz/digitalocean.vpc.main"),
        "{}",
        plan.text()
    );
    env.clear_requests();
    env.expect(1, &["apply", "--auto-approve"]);
    assert!(env.mutations().is_empty());
    env.edit("zones/pz.toml", "10.11.0.0/16", "10.10.0.0/16");
    // The edge is changed; that not everything is as the spec says stays visible.
    let applied = env.expect(3, &["apply", "--auto-approve"]);
    assert!(
        applied.stderr.contains("could not be read"),
        "{}",
        applied.text()
    );
    assert_eq!(env.mutations().len(), 1);
    env.clear_faults();
    env.assert_settled();
}

/// Three in the morning: the Kubernetes API of the zone that serves is dead.
#[test]
fn a_dead_cluster_stops_neither_the_other_zone_nor_the_edge() {
    let env = applied();
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let dead = clusters
        .iter()
        .find(|c| c["name"].as_str().is_some_and(|n| n.contains("pz")))
        .expect("the cluster of pz");
    let id = dead["id"].as_str().expect("an id");
    break_reads(&env, "kubernetes", &format!("/clusters/{id}/*"));
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    env.edit("zones/pz.toml", "replicas = 1", "replicas = 2");
    env.edit("zones/pz.toml", "replicas = 0\n", "replicas = 1\n");
    let plan = env.expect(2, &["plan", "--detailed-exitcode"]);
    assert!(
        plan.stdout.contains("pz/kubernetes: ") && plan.stdout.contains("INCOMPLETE"),
        "{}",
        plan.text()
    );
    assert!(
        plan.stdout.lines().filter(|l| l.contains("pz/kub")).count() < 20,
        "{}",
        plan.text()
    );
    assert!(
        plan.stdout.contains("`plan --zone bz --zone edge`"),
        "{}",
        plan.text()
    );
    env.expect(0, &["plan", "--zone", "bz"]);
    env.expect(0, &["plan", "--zone", "edge"]);
    env.expect(3, &["apply", "--auto-approve"]);
    env.clear_faults();
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

/// A token without any right is as wrong as one that is refused.
#[test]
fn a_token_that_may_read_nothing_is_named_as_one_that_is_refused_is() {
    let env = applied();
    let refused = [
        ("cloudflare", "/client/*", "secret.cf_token"),
        ("digitalocean", "/v2/*", "secret.do_token"),
    ];
    for (service, path, secret) in refused {
        refuse_reads(&env, service, path, 403);
        for command in [&["plan"][..], &["drift"], &["apply", "--auto-approve"]] {
            let failed = env.expect(9, command);
            assert!(failed.stderr.contains(secret), "{}", failed.text());
            assert!(failed.stderr.contains("403"), "{}", failed.text());
        }
        env.clear_faults();
    }
    env.assert_settled();
}

/// What is in the way is named, and only a way out that there is.
#[test]
fn a_selection_that_cannot_be_read_is_not_told_to_be_one() {
    let env = applied();
    break_reads(&env, "kubernetes", "/clusters/*");
    let failed = env.expect(1, &["plan", "--zone", "bz"]);
    assert!(
        failed.stderr.contains("bz/kubernetes: "),
        "{}",
        failed.text()
    );
    assert!(!failed.stderr.contains("--zone"), "{}", failed.text());
    let whole = env.expect(1, &["plan"]);
    assert!(
        whole.stderr.contains("plan --zone edge`"),
        "{}",
        whole.text()
    );
    env.clear_faults();
    env.assert_settled();
}

/// The first look works, the writes do not: nothing was changed, so nothing is partly applied.
#[test]
fn an_apply_that_changed_nothing_is_an_error_and_not_a_partial_one() {
    let env = applied();
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    let client = env.client();
    env.wait(client.add_fault(&Fault {
        service: Some("cloudflare".to_owned()),
        method: Some("GET".to_owned()),
        path: Some("/client/*/dns_records/*".to_owned()),
        nth: 1,
        count: 1_000_000,
        kind: Kind::Status {
            code: 400,
            body: None,
            headers: BTreeMap::new(),
        },
    }))
    .expect("the fault is armed");
    env.clear_requests();
    let failed = env.expect(1, &["apply", "--auto-approve"]);
    assert!(env.mutations().is_empty(), "{}", failed.text());
    assert!(
        failed.stderr.contains("Nothing was changed"),
        "{}",
        failed.text()
    );
    env.clear_faults();
    env.expect(0, &["apply", "--auto-approve"]);
}
