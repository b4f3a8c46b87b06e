//! Changes: behind our back, and in the spec.

use serde_json::json;
use zonewright_tests::Env;

use super::{applied, names, records};

fn actions(env: &Env) -> Vec<(String, String)> {
    let plan = env.run(&["plan", "--format", "json"]).json();
    plan["resource_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let actions = c["change"]["actions"].as_array().unwrap();
            let actions: Vec<&str> = actions.iter().filter_map(|a| a.as_str()).collect();
            (c["address"].as_str().unwrap().to_owned(), actions.join("+"))
        })
        .filter(|(_, a)| a != "no_op" && a != "read")
        .collect()
}

fn apply_and_settle(env: &Env) {
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}

fn assert_drift(env: &Env, needles: &[&str]) {
    let before = env.state_bytes();
    let drift = env.expect(2, &["drift"]);
    for needle in needles {
        assert!(
            drift.stdout.contains(needle),
            "no {needle:?} in {}",
            drift.text()
        );
    }
    assert!(before == env.state_bytes(), "drift wrote to the state");
}

#[test]
fn a_change_behind_our_back_is_found_named_and_repaired_at_each_vendor() {
    let env = applied();
    let ready = env.ready();
    let token = |name: &str| {
        let vars = ready.env();
        vars.into_iter().find(|(n, _)| *n == name).unwrap().1
    };
    let (digitalocean, cloudflare) = (token("DIGITALOCEAN_TOKEN"), token("CLOUDFLARE_API_TOKEN"));

    let vpcs = env.table("digitalocean", "vpcs");
    let vpc = vpcs.iter().find(|v| v["name"] == "vpc-wp-pz").unwrap()["id"]
        .as_str()
        .unwrap();
    let body = json!({ "name": "renamed" });
    let (status, _) = env.meddle(
        "PATCH",
        &format!("/v2/vpcs/{vpc}"),
        &digitalocean,
        Some(&body),
    );
    assert_eq!(status, 200);
    assert_drift(
        &env,
        &["pz/digitalocean.vpc.main", "name", "vpc-wp-pz", "renamed"],
    );
    apply_and_settle(&env);

    let rows = super::record_documents(&env);
    let record = rows
        .iter()
        .find(|r| r["name"] == "wp-bz.guajiro.xyz")
        .unwrap();
    let (zone, id) = (
        record["zone_id"].as_str().unwrap(),
        record["id"].as_str().unwrap(),
    );
    let path = format!("/client/v4/zones/{zone}/dns_records/{id}");
    let (status, _) = env.meddle(
        "PATCH",
        &path,
        &cloudflare,
        Some(&json!({ "content": "192.0.2.99" })),
    );
    assert_eq!(status, 200);
    assert_drift(
        &env,
        &[
            "bz/cloudflare.dns_record.zone",
            "content",
            "192.0.2.1",
            "192.0.2.99",
        ],
    );
    apply_and_settle(&env);

    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let cluster = clusters
        .iter()
        .find(|c| c["name"] == "wp-pz-doks-nyc3")
        .unwrap()["id"]
        .as_str()
        .unwrap();
    let (_, access) = env.meddle(
        "GET",
        &format!("/v2/kubernetes/clusters/{cluster}/credentials"),
        &digitalocean,
        None,
    );
    let path = format!("/clusters/{cluster}/apis/apps/v1/namespaces/app/deployments/wp");
    let body = json!({ "spec": { "replicas": 7 } });
    let (status, _) = env.meddle(
        "PATCH",
        &path,
        access["token"].as_str().unwrap(),
        Some(&body),
    );
    assert_eq!(status, 200);
    assert_drift(&env, &["spec.replicas", "1", "7"]);
    apply_and_settle(&env);

    // What was deleted outside comes back.
    let (status, _) = env.meddle("DELETE", &path, access["token"].as_str().unwrap(), None);
    assert_eq!(status, 200);
    assert_drift(&env, &["apps/Deployment/app/wp"]);
    apply_and_settle(&env);
}

#[test]
fn changes_in_place_change_only_what_they_name() {
    let env = applied();
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    assert_eq!(
        actions(&env),
        [(
            "edge/cloudflare.dns_record.active".to_owned(),
            "update".to_owned()
        )]
    );
    apply_and_settle(&env);
    env.edit("zones/pz.toml", "max = 3", "max = 4");
    let changed = actions(&env);
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(
        changed
            .iter()
            .all(|(a, how)| a.ends_with("kubernetes_cluster.main") && how == "update")
    );
    apply_and_settle(&env);
    env.edit("zones/pz.toml", "replicas = 0\n", "replicas = 1\n");
    assert_eq!(
        actions(&env),
        [(
            r#"bz/kubernetes.manifest.wordpress["apps/Deployment/app/wp"]"#.to_owned(),
            "update".to_owned()
        )]
    );
    apply_and_settle(&env);
    env.edit(
        "manifests/wordpress.yaml",
        "define('WP_HOME'",
        "define('WP_DEBUG', true);\n    define('WP_HOME'",
    );
    let plan = env.expect(0, &["plan"]);
    assert!(plan.stdout.contains("WP_DEBUG"), "{}", plan.text());
    // The pods read it once, so they are rolled.
    assert!(
        plan.stdout.contains("checksum-wp-config"),
        "{}",
        plan.text()
    );
    assert_eq!(actions(&env).len(), 4);
    apply_and_settle(&env);
}

#[test]
fn a_new_region_replaces_the_network_the_cluster_and_its_contents_in_order() {
    let env = applied();
    env.edit("zones/bz.toml", "region = \"sfo3\"", "region = \"fra1\"");
    let changed = actions(&env);
    let of = |suffix: &str| {
        let found = changed
            .iter()
            .find(|(a, _)| a.starts_with("bz/") && a.contains(suffix));
        found.map_or("", |(_, how)| how.as_str())
    };
    assert_eq!(of("digitalocean.vpc.main"), "delete+create");
    assert_eq!(of("digitalocean.kubernetes_cluster.main"), "delete+create");
    assert_eq!(of("Namespace/-/app"), "forget+create");
    env.clear_requests();
    apply_and_settle(&env);
    assert_eq!(
        names(&env, "kubernetes_clusters"),
        ["wp-bz-doks-fra1", "wp-pz-doks-nyc3"]
    );
    let kubernetes_deletes: Vec<_> = env
        .mutations()
        .into_iter()
        .filter(|r| r["service"] == "kubernetes" && r["method"] == "DELETE")
        .collect();
    assert!(kubernetes_deletes.is_empty(), "{kubernetes_deletes:?}");
}

#[test]
fn what_leaves_the_spec_goes_in_reverse_order() {
    let env = applied();
    let spec = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    let start = spec.find("[kubernetes.manifest.ingress]").unwrap();
    let end = spec.find("[cloudflare.dns_record.zone]").unwrap();
    env.write(
        "zones/pz.toml",
        &format!("{}{}", &spec[..start], &spec[end..]),
    );
    assert_eq!(
        actions(&env),
        [(
            r#"pz/kubernetes.manifest.ingress["networking.k8s.io/Ingress/app/wp"]"#.to_owned(),
            "delete".to_owned()
        )]
    );
    apply_and_settle(&env);
    // A protected database is not deleted by leaving the spec.
    let spec = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    env.write(
        "zones/pz.toml",
        &spec.replace(
            "[digitalocean.database.wp]\n",
            "[digitalocean.database.wp]\nzonewright = { enabled = false }\n",
        ),
    );
    let refused = env.run(&["plan"]);
    assert_ne!(refused.code, 0, "{}", refused.text());
}

#[test]
fn a_setting_reaches_what_uses_it_and_an_object_can_leave_its_file() {
    let env = applied();
    env.edit("zones/pz.toml", "wp-prod-media", "wp-prod-media-2");
    let changed = actions(&env);
    assert_eq!(changed.len(), 4, "{changed:?}");
    let follows =
        |a: &str| a.contains("ConfigMap/app/wp-config") || a.contains("Deployment/app/wp");
    assert!(changed.iter().all(|(a, _)| follows(a)), "{changed:?}");
    apply_and_settle(&env);
    env.edit(
        "manifests/issuers.yaml",
        "---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: le-prod-cloudflare",
        "---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: le-other",
    );
    let changed = actions(&env);
    let how: Vec<&str> = changed.iter().map(|(_, how)| how.as_str()).collect();
    assert_eq!(how, ["create", "delete", "create", "delete"], "{changed:?}");
    apply_and_settle(&env);
    assert_eq!(records(&env).len(), 3);
}
