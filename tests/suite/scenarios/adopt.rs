//! What exists and is not managed, and what is ours and not recorded.

use serde_json::json;
use zonewright_tests::Env;

use super::{applied, assert_complete_once, token};

/// Forgets everything and takes the marks off, as if another tool had made it all.
fn as_if_made_by_others(env: &Env) {
    let digitalocean = token(env, "DIGITALOCEAN_TOKEN");
    for cluster in env.table("digitalocean", "kubernetes_clusters") {
        let id = cluster["id"].as_str().unwrap();
        let path = format!("/v2/kubernetes/clusters/{id}/credentials");
        let access = env.meddle("GET", &path, &digitalocean, None).1;
        let access = access["token"].as_str().unwrap().to_owned();
        let workload = format!("/clusters/{id}/apis/apps/v1/namespaces/app/deployments/wp");
        let bare = json!({ "metadata": {
            "labels": { "zonewright.dev/owner": null },
            "annotations": { "zonewright.dev/address": null },
        } });
        assert_eq!(env.meddle("PATCH", &workload, &access, Some(&bare)).0, 200);
        let path = format!("/v2/kubernetes/clusters/{id}");
        let body = json!({ "name": cluster["name"], "tags": ["env:prod"] });
        assert!(env.meddle("PUT", &path, &digitalocean, Some(&body)).0 < 300);
    }
    for vpc in env.table("digitalocean", "vpcs") {
        let path = format!("/v2/vpcs/{}", vpc["id"].as_str().unwrap());
        env.meddle(
            "PATCH",
            &path,
            &digitalocean,
            Some(&json!({ "description": "" })),
        );
    }
    for database in env.table("digitalocean", "databases") {
        let tags = database["tags"].as_array().unwrap().iter();
        for tag in tags
            .filter_map(|t| t.as_str())
            .filter(|t| t.starts_with("zonewright:"))
        {
            let body = json!({ "resources": [{ "resource_id": database["id"], "resource_type": "database" }] });
            env.meddle(
                "DELETE",
                &format!("/v2/tags/{tag}/resources"),
                &digitalocean,
                Some(&body),
            );
        }
    }
    for record in super::record_documents(env) {
        let (zone, id) = (
            record["zone_id"].as_str().unwrap(),
            record["id"].as_str().unwrap(),
        );
        let path = format!("/client/v4/zones/{zone}/dns_records/{id}");
        let cloudflare = token(env, "CLOUDFLARE_API_TOKEN");
        env.meddle("PATCH", &path, &cloudflare, Some(&json!({ "comment": "" })));
    }
    let sandbox = env.path().join(".zonewright/sandbox");
    std::fs::remove_dir_all(sandbox.join("state")).unwrap();
    std::fs::remove_file(sandbox.join("seen.json")).unwrap();
}

#[test]
fn what_others_made_is_taken_under_management_without_touching_it() {
    let env = applied();
    as_if_made_by_others(&env);
    let before = env.dump();
    let plan = env.run(&["plan"]);
    assert!(
        plan.code == 1 && plan.stderr.contains("exists already"),
        "{}",
        plan.text()
    );

    env.clear_requests();
    let dry = env.expect(0, &["adopt", "--dry-run"]).stdout;
    assert!(dry.contains("adopt pz/digitalocean.vpc.main"), "{dry}");
    let unasked = env.expect(6, &["adopt"]);
    assert!(
        unasked.stderr.contains("--auto-approve"),
        "{}",
        unasked.text()
    );
    // By the ids of a Terraform state: only what is in it.
    let vpcs = env.table("digitalocean", "vpcs");
    let vpc = vpcs.iter().find(|v| v["name"] == "vpc-wp-pz").unwrap()["id"].clone();
    let state = json!({ "version": 4, "resources": [
        { "mode": "managed", "type": "digitalocean_vpc", "instances": [{ "attributes": { "id": vpc } }] },
        { "mode": "data", "instances": [{ "attributes": { "id": "x" } }] },
    ] });
    env.write("tf.json", &state.to_string());
    let by_ids = env
        .expect(0, &["adopt", "--terraform", "tf.json", "--dry-run"])
        .stdout;
    assert_eq!(
        by_ids.lines().filter(|l| l.starts_with("adopt ")).count(),
        1,
        "{by_ids}"
    );
    env.write("tf.json", "{}");
    let refused = env.expect(1, &["adopt", "--terraform", "tf.json"]);
    assert!(
        refused.stderr.contains("terraform state pull"),
        "{}",
        refused.text()
    );

    // What carries another project's mark is left to it, and named, unless that is asked for.
    let adopted = env.expect(0, &["adopt", "--auto-approve"]);
    let next = "Recorded. `zonewright --sandbox apply` makes what differs";
    assert!(adopted.stderr.contains(next), "{}", adopted.text());
    let adopted = adopted.stdout;
    for address in [
        "pz/digitalocean.vpc.main",
        "bz/digitalocean.kubernetes_cluster.main",
        "pz/digitalocean.database_cluster.main",
        "pz/digitalocean.database_user.wp",
        "edge/cloudflare.dns_record.active",
        "bz/kubernetes.manifest.wordpress[\"apps/Deployment/app/wp\"]",
    ] {
        let line = format!("adopt {address} (id ");
        assert!(adopted.contains(&line), "no {line} in {adopted}");
    }
    let others = "bz/kubernetes.manifest.wordpress[\"core/Service/app/wp\"]";
    let left = format!("leave {others}: it carries the mark zonewright.dev/owner=");
    assert!(adopted.contains(&left), "no {left} in {adopted}");
    let marked = ["adopt", "--marked", "--auto-approve"];
    let rest = env.expect(0, &marked).stdout;
    assert!(rest.contains(&format!("adopt {others} (id ")), "{rest}");
    assert!(env.mutations().is_empty(), "{:?}", env.mutations());
    assert_eq!(env.dump(), before);

    // The next apply puts the marks on and makes nothing anew.
    let plan = env.expect(0, &["plan"]).stdout;
    // A list of trusted sources is somebody's by its rules: it comes to be ours with the first of them.
    let made = plan
        .lines()
        .filter(|l| l.trim_start().starts_with("+ create"));
    let made: Vec<&str> = made.filter(|l| !l.contains("database_firewall")).collect();
    assert!(made.is_empty() && !plan.contains("to replace"), "{plan}");
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_complete_once(&env);
    let again = env.expect(0, &["adopt", "--auto-approve"]);
    assert!(
        again.stderr.contains("Nothing that the spec describes"),
        "{}",
        again.text()
    );
}

#[test]
fn what_is_ours_and_not_recorded_is_named_with_its_price_and_the_way_to_remove_it() {
    let env = applied();
    let none = env.expect(0, &["orphans"]).stdout;
    assert!(
        none.contains("Nothing of the project is left over."),
        "{none}"
    );
    // A record that is forgotten: as long as the spec has it, the next plan takes it over.
    let cluster = "bz/digitalocean.kubernetes_cluster.main";
    env.expect(0, &["state", "rm", cluster, "--auto-approve"]);
    let adoptable = env.expect(0, &["orphans"]).stdout;
    assert!(
        adoptable.contains(&format!("the next plan takes it over as {cluster}")),
        "{adoptable}"
    );

    // Twins and strays: the same marks on objects that somebody doubled, and one whose zone is gone.
    let digitalocean = token(&env, "DIGITALOCEAN_TOKEN");
    let vpcs = env.table("digitalocean", "vpcs");
    let ours = vpcs.iter().find(|v| v["name"] == "vpc-wp-pz").unwrap();
    let mark = ours["description"].as_str().unwrap();
    let stray = format!("{}:0123456789:g1", mark.rsplitn(3, ':').last().unwrap());
    for (name, range, mark) in [
        ("twin", "10.90.0.0/24", mark),
        ("stray", "10.91.0.0/24", &stray),
    ] {
        let body =
            json!({ "name": name, "region": "nyc3", "ip_range": range, "description": mark });
        let (status, answer) = env.meddle("POST", "/v2/vpcs", &digitalocean, Some(&body));
        assert!(status < 300, "{answer}");
    }
    let cloudflare = token(&env, "CLOUDFLARE_API_TOKEN");
    let records = super::record_documents(&env);
    let zone = records[0]["zone_id"].as_str().unwrap();
    let body =
        json!({ "type": "A", "name": "old", "content": "192.0.2.7", "ttl": 60, "comment": stray });
    let path = format!("/client/v4/zones/{zone}/dns_records");
    assert_eq!(env.meddle("POST", &path, &cloudflare, Some(&body)).0, 200);
    env.clear_requests();
    let found = env.expect(8, &["orphans"]).stdout;
    for needle in [
        "vpc twin (id ",
        "pz/digitalocean.vpc.main is recorded with another one",
        "vpc stray (id ",
        "remove it with: doctl vpcs delete ",
        "dns_record A old.guajiro.xyz",
        "Left over: 3 objects.",
    ] {
        assert!(found.contains(needle), "no {needle:?} in {found}");
    }
    assert!(env.mutations().is_empty());
    let json = env.expect(8, &["orphans", "--format", "json"]).json();
    let cases: Vec<&str> = json["orphans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["case"].as_str().unwrap())
        .collect();
    assert_eq!(cases.iter().filter(|c| **c == "stray").count(), 2, "{json}");
    assert_eq!(cases.iter().filter(|c| **c == "twin").count(), 1, "{json}");
    assert!(
        json["orphans"]
            .as_array()
            .unwrap()
            .iter()
            .any(|o| o["cost"]["low_cents"].as_u64() > Some(0)),
        "{json}"
    );

    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}
