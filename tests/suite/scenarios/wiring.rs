//! BZ-22: WordPress of a zone that stands by reads the zone's replica, and writes nothing.

use serde_json::json;
use zonewright_tests::Env;

use super::example;
use super::verify::{broken, cluster, meddle};

const PLUGINS: &str = "/api/v1/namespaces/app/configmaps/wp-mu-plugins";
const WORDPRESS: &str = "/apis/apps/v1/namespaces/app/deployments/wp";

/// The example with a backup zone in which WordPress runs.
fn warm() -> Env {
    let env = example();
    env.edit("zones/bz.toml", "posture = \"cold\"", "posture = \"warm\"");
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

/// What WordPress answers to somebody who logs in, asked inside the cluster.
fn log_in(env: &Env, zone: &str) -> u16 {
    let (id, token) = cluster(env, zone);
    let path = "/api/v1/namespaces/app/services/http:wp:http/proxy/wp-login.php";
    let (status, _) = env.meddle("POST", &format!("/clusters/{id}{path}"), &token, None);
    status
}

fn wiring(env: &Env, code: i32, zone: &str, says: &str) {
    let output = env.expect(code, &["verify", "--zone", zone, "--only", "wiring"]);
    assert!(output.stdout.contains(says), "{}", output.text());
}

#[test]
fn bz_22_wordpress_of_a_standby_reads_the_replica_and_stops_writes() {
    let env = warm();
    let replica = "leads to bz/digitalocean.database_replica.main, the application stops writes";
    wiring(&env, 0, "bz", replica);
    let writer = "leads to pz/digitalocean.database_cluster.main, the application takes writes";
    wiring(&env, 0, "pz", writer);
    assert_eq!(log_in(&env, "bz"), 503);
    // It is led on, out of the proxy.
    assert_ne!(log_in(&env, "pz"), 503);
    let apply = || drop(env.expect(0, &["apply", "--auto-approve"]));
    let silent = "does not say that it stops writes";
    broken(
        &env,
        &[("wiring", "fail", silent)],
        || meddle(&env, "bz", "DELETE", PLUGINS, None),
        apply,
    );
    let told = |mode: &str| {
        let path = "spec.template.spec.containers[0].env";
        let (id, token) = cluster(&env, "bz");
        let (_, live) = env.meddle("GET", &format!("/clusters/{id}{WORDPRESS}"), &token, None);
        let mut spec = live["spec"].clone();
        let env_of = &mut spec["template"]["spec"]["containers"][0]["env"];
        let variables = env_of.as_array_mut().expect(path).iter_mut();
        for variable in variables.filter(|v| v["name"] == "WP_MODE") {
            variable["value"] = json!(mode);
        }
        meddle(&env, "bz", "PATCH", WORDPRESS, Some(&json!({"spec": spec})));
    };
    broken(
        &env,
        &[("wiring", "fail", silent)],
        || told("read-write"),
        apply,
    );
    let secret = "/api/v1/namespaces/app/secrets/wp-db";
    let elsewhere = json!({"stringData": {"WORDPRESS_DB_HOST": "db.example.org:25060"}});
    broken(
        &env,
        &[
            ("wiring", "fail", "does not lead to bz/"),
            ("smoke", "fail", "500"),
        ],
        || meddle(&env, "bz", "PATCH", secret, Some(&elsewhere)),
        apply,
    );
    env.assert_settled();
}

/// The role says it, so a swap of roles turns it round, and WordPress restarts with it.
#[test]
fn bz_22_a_swap_of_roles_gives_the_writes_to_the_other_zone() {
    let env = warm();
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    let plan = env.expect(0, &["plan", "--format", "json"]).json();
    let steps = plan["resource_changes"].as_array().unwrap();
    for (zone, from, to) in [
        ("bz", "read-only", "read-write"),
        ("pz", "read-write", "read-only"),
    ] {
        let step = steps.iter().find(|s| {
            let address = s["address"].as_str().unwrap_or_default();
            address.starts_with(zone) && address.contains("apps/Deployment/app/wp")
        });
        let step = step.unwrap_or_else(|| panic!("{zone}: {plan}")).to_string();
        let (from, to) = (format!("\"{from}\""), format!("\"{to}\""));
        assert!(step.contains(&from) && step.contains(&to), "{step}");
    }
    // A zone that serves must not stop writes.
    let env = example();
    env.edit("zones/pz.toml", "\"read-write\"", "\"read-only\"");
    env.expect(0, &["apply", "--auto-approve"]);
    wiring(&env, 6, "pz", "the application stops writes (X-Read-Only)");
    env.assert_settled();
}
