//! An outside change that is taken into the spec instead of being undone.

use serde_json::json;

use zonewright_tests::Env;

use super::{applied, pz_cluster, token};

/// Changes the TTL of a record behind our back.
fn change(env: &Env, name: &str, ttl: u64) {
    let all = super::record_documents(env);
    let found = all.into_iter().find(|r| r["name"] == name).unwrap();
    let zone = found["zone_id"].as_str().unwrap();
    let path = format!(
        "/client/v4/zones/{zone}/dns_records/{}",
        found["id"].as_str().unwrap()
    );
    let body = json!({ "ttl": ttl });
    let cloudflare = token(env, "CLOUDFLARE_API_TOKEN");
    assert_eq!(env.meddle("PATCH", &path, &cloudflare, Some(&body)).0, 200);
}

fn read(env: &Env, file: &str) -> String {
    std::fs::read_to_string(env.path().join(file)).unwrap()
}

#[test]
fn an_outside_change_is_written_into_the_spec_and_there_is_nothing_left_to_plan() {
    let env = applied();
    // In its own file, and inherited from another zone's.
    change(&env, "wp-active.guajiro.xyz", 900);
    change(&env, "wp-bz.guajiro.xyz", 600);
    let (flip, zone) = (
        "edge/cloudflare.dns_record.active",
        "bz/cloudflare.dns_record.zone",
    );
    env.clear_requests();
    let unasked = env.expect(6, &["drift", "--absorb", flip]);
    for needle in ["- ttl = 300", "+ ttl = 900"] {
        assert!(unasked.stdout.contains(needle), "{}", unasked.text());
    }
    let before = read(&env, "zonewright.toml");
    env.expect(
        0,
        &[
            "drift",
            "--absorb",
            flip,
            "--absorb",
            zone,
            "--auto-approve",
        ],
    );
    assert_eq!(
        read(&env, "zonewright.toml"),
        before.replace("ttl = 300", "ttl = 900")
    );
    let own = read(&env, "zones/bz.toml");
    assert!(
        own.ends_with("[cloudflare.dns_record.zone]\nttl = 600\n"),
        "{own}"
    );
    assert!(env.mutations().is_empty());
    env.assert_settled();
}

#[test]
fn what_has_no_place_in_the_spec_says_where_it_is_written() {
    let env = applied();
    let (cluster, access) = pz_cluster(&env);
    let path = format!("{cluster}/apis/apps/v1/namespaces/app/deployments/wp");
    env.meddle(
        "PATCH",
        &path,
        &access,
        Some(&json!({ "spec": { "replicas": 3 } })),
    );
    let workload = "pz/kubernetes.manifest.wordpress[\"apps/Deployment/app/wp\"]";
    let refused = env.expect(1, &["drift", "--absorb", workload, "--auto-approve"]);
    assert!(
        refused.stderr.contains("cannot be written into the spec"),
        "{}",
        refused.text()
    );
    let none = "pz/digitalocean.vpc.none";
    let unknown = env.expect(1, &["drift", "--absorb", none, "--auto-approve"]);
    assert!(
        unknown.stderr.contains("is not in the spec"),
        "{}",
        unknown.text()
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

#[test]
fn what_else_an_edit_changes_is_said_and_an_edit_that_waits_is_not_overwritten() {
    let env = applied();
    // bz takes the value from pz's file.
    change(&env, "wp-pz.guajiro.xyz", 600);
    let unasked = env.expect(6, &["drift", "--absorb", "pz/cloudflare.dns_record.zone"]);
    let along = "bz/cloudflare.dns_record.zone changes along with it";
    assert!(unasked.stdout.contains(along), "{}", unasked.text());
    // The spec was changed where somebody changed the world, too.
    change(&env, "wp-active.guajiro.xyz", 900);
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    let flip = "edge/cloudflare.dns_record.active";
    let refused = env.expect(1, &["drift", "--absorb", flip, "--auto-approve"]);
    assert!(
        refused.stderr.contains("not applied yet"),
        "{}",
        refused.text()
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}
