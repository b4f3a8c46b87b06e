//! BZ-14: what somebody else exposed in a standby is found by `drift`, in the cluster and at the cloud.

use serde_json::{Value, json};
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::Env;

use super::applied;

/// A zone's cluster: the path of its objects, and a token for it.
fn cluster(env: &Env, zone: &str) -> (String, String) {
    let all = env.table("digitalocean", "kubernetes_clusters");
    let own = format!("wp-{zone}-");
    let mut all = all.iter();
    let found = all.find(|c| c["name"].as_str().unwrap().starts_with(&own));
    let id = found.unwrap()["id"].as_str().unwrap();
    let pairs = env.ready().env();
    let token = pairs.into_iter().find(|(n, _)| *n == "DIGITALOCEAN_TOKEN");
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let (_, access) = env.meddle("GET", &path, &token.unwrap().1, None);
    let token = access["token"].as_str().unwrap().to_owned();
    (format!("/clusters/{id}"), token)
}

fn send(env: &Env, zone: &str, method: &str, path: &str, body: Option<&Value>) {
    let (root, token) = cluster(env, zone);
    let (status, said) = env.meddle(method, &format!("{root}{path}"), &token, body);
    assert!((200..300).contains(&status), "{status} {said}");
}

/// The trap: an ingress controller without a single pod, whose Service has a public address all the same.
#[test]
fn bz_14_drift_finds_a_foreign_way_into_the_standby() {
    let env = applied();
    let services = "/api/v1/namespaces/app/services";
    let trap = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "trap"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "nobody"}, "ports": [{"port": 80}]}});
    // Where traffic is served it is nobody's business but its owner's.
    send(&env, "pz", "POST", services, Some(&trap));
    env.expect(0, &["drift"]);
    send(&env, "bz", "POST", services, Some(&trap));
    let found = env.expect(2, &["drift"]).stdout;
    assert!(
        found.contains("! exposed: bz (exposure-cluster): "),
        "{found}"
    );
    assert!(
        found.contains("! exposed: bz (exposure-cloud): "),
        "{found}"
    );
    assert!(found.contains("app/trap"), "{found}");
    let report = env.expect(2, &["drift", "--zone", "bz", "--format", "json"]);
    let report = report.json();
    assert_eq!(report["summary"]["exposed"], 2);
    assert_eq!(report["drift"], json!([]));
    assert_eq!(report["exposure"][0]["zone"], "bz");
    env.expect(0, &["drift", "--zone", "pz"]);
    send(&env, "bz", "DELETE", &format!("{services}/trap"), None);
    env.assert_settled();
}

/// What could not be looked at is not taken for closed.
#[test]
fn a_cloud_that_does_not_tell_its_load_balancers_leaves_exposure_unknown() {
    let env = applied();
    let refuse = Kind::Status {
        code: 403,
        body: None,
        headers: std::collections::BTreeMap::new(),
    };
    let fault = Fault {
        service: None,
        method: Some("GET".to_owned()),
        path: Some("/v2/load_balancers*".to_owned()),
        nth: 1,
        count: 10,
        kind: refuse,
    };
    let client = env.client();
    env.wait(client.add_fault(&fault)).unwrap();
    let said = env.expect(1, &["drift"]).stdout;
    assert!(
        said.contains("? exposure not known: bz (exposure-cloud)"),
        "{said}"
    );
    env.clear_faults();
    env.assert_settled();
}
