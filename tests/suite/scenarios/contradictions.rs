//! What holds contradictions apart by construction: there is one meaning, and nothing to set.

use zonewright_sandbox::fault::Kind;
use zonewright_tests::Env;

use super::verify::cluster;
use super::{applied, example};

fn generated(file: &str) -> String {
    let env = example();
    env.expect(0, &["observability", file]).stdout
}

/// X7: a redirect is followed, and only 200 is success.
#[test]
fn x7_only_200_counts_as_served() {
    let modules = generated("blackbox.yml");
    let lists = modules.split("valid_status_codes:").skip(1);
    let codes = lists.map(|after| {
        let words = after.split("prober").next().unwrap_or(after);
        let words = words.split(|c: char| !c.is_ascii_digit());
        words.filter(|word| word.len() == 3).collect::<Vec<&str>>()
    });
    let codes: Vec<Vec<&str>> = codes.collect();
    // One for each name, whose zone is told apart, and one without.
    assert_eq!(codes, vec![vec!["200"]; 4], "{modules}");
}

/// X7, X8: the figures come with what they count, and with where the RPO follows from.
#[test]
fn x7_x8_plans_say_what_the_objectives_count() {
    let env = example();
    let plan = env.expect(0, &["plan", "-v"]).stdout;
    for text in [
        "RTO: from the declaration of a disaster until the shared name answers 200 from this zone",
        "RPO: the age of the newest data that survives",
        "by replication",
    ] {
        assert!(plan.contains(text), "{text}: {plan}");
    }
    // There is nothing to define them otherwise.
    env.edit(
        "zonewright.toml",
        "rto = \"30m\"",
        "rto = \"30m\"\nrto_ends = \"301\"",
    );
    let refused = env.expect(1, &["validate"]);
    assert!(refused.text().contains("`rto_ends`"), "{}", refused.text());
}

/// X10: the lag that calls somebody is the lag that `verify` refuses, and no threshold can be set.
#[test]
fn x10_thresholds_are_no_settings() {
    let rules = generated("rules.yml");
    let limit = zonewright_engine::check::LAG_LIMIT.as_secs();
    assert!(
        rules.contains(&format!("dr:replication_lag_seconds > {limit}")),
        "{rules}"
    );
    for key in ["alert_error_ratio = 0.05", "abort_error_ratio = 0.02"] {
        let env = example();
        let owner = "owner = \"platform-team\"";
        env.edit("zonewright.toml", owner, &format!("{owner}\n{key}"));
        let refused = env.expect(1, &["validate"]);
        let name = key.split(' ').next().unwrap();
        assert!(refused.text().contains(name), "{}", refused.text());
    }
}

/// The replicas of WordPress in the backup zone: asked for, and ready.
fn wordpress(env: &Env) -> (u64, u64) {
    let (id, token) = cluster(env, "bz");
    let path = format!("/clusters/{id}/apis/apps/v1/namespaces/app/deployments/wp");
    let (_, live) = env.meddle("GET", &path, &token, None);
    let number = |at: &str| live.pointer(at).and_then(serde_json::Value::as_u64);
    (
        number("/spec/replicas").unwrap(),
        number("/status/readyReplicas").unwrap_or(0),
    )
}

/// X11: the second and the third replica are asked for once the first one is ready, also by the apply that follows
/// one that was cut off.
#[test]
fn x11_one_replica_proves_itself_before_the_others_start() {
    let env = applied();
    env.edit(
        "zones/pz.toml",
        "[posture.warm.zone]\nreplicas = 1",
        "[posture.warm.zone]\nreplicas = 3",
    );
    env.edit("zones/bz.toml", "posture = \"cold\"", "posture = \"warm\"");
    let apply = ["apply", "--auto-approve", "--zone", "bz"];
    assert_eq!(wordpress(&env), (0, 0));
    // The first request asks for one; the next one comes when that is ready, and is held.
    env.fault("PATCH", "*/deployments/wp*", 2, Kind::HoldBefore);
    let mut child = env.spawn(&apply);
    assert!(env.wait_held(&mut child), "there is a second stage");
    assert_eq!(wordpress(&env), (1, 1));
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    env.clear_requests();
    env.expect(0, &apply);
    assert_eq!(wordpress(&env), (3, 3));
    env.assert_settled();
    // What runs already is changed at once.
    env.clear_requests();
    env.edit(
        "manifests/wordpress.yaml",
        "wordpress:6.9",
        "wordpress:6.10",
    );
    env.expect(0, &apply);
    let all = env.mutations();
    let asked = all
        .iter()
        .filter(|r| r["path"].to_string().contains("/deployments/wp"));
    assert_eq!(asked.count(), 1, "{all:?}");
    assert_eq!(wordpress(&env), (3, 3));
}
