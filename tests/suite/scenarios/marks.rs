//! The marks of ownership: who takes one off is found out, and it is put on again; nothing is made twice.

use serde_json::{Value as Json, json};
use zonewright_tests::Env;

use super::{applied, assert_complete_once, record_documents, token};

/// The document of a table whose `name` is this.
fn named(env: &Env, table: &str, name: &str) -> Json {
    let rows = env.table("digitalocean", table);
    rows.into_iter().find(|r| r["name"] == name).unwrap()
}

fn mark(tags: &Json) -> &str {
    let tags = tags.as_array().unwrap().iter().filter_map(Json::as_str);
    let mut marks = tags.filter(|t| t.starts_with("zonewright:"));
    let mark = marks.next().expect("a mark among the tags");
    assert_eq!(marks.next(), None, "one mark only");
    mark
}

fn digitalocean(env: &Env, method: &str, path: &str, body: &Json) {
    let token = token(env, "DIGITALOCEAN_TOKEN");
    let (status, answer) = env.meddle(method, path, &token, Some(body));
    assert!(status < 300, "{method} {path}: {status} {answer}");
}

/// Takes the marks off a network, a cluster, a database, a record and an object in a cluster.
fn take_off(env: &Env) {
    let id = |row: &Json| row["id"].as_str().unwrap().to_owned();
    let vpc = id(&named(env, "vpcs", "vpc-wp-pz"));
    let words = json!({ "description": "somebody's own words" });
    digitalocean(env, "PATCH", &format!("/v2/vpcs/{vpc}"), &words);

    let cluster = named(env, "kubernetes_clusters", "wp-pz-doks-nyc3");
    let mut tags = cluster["tags"].as_array().unwrap().clone();
    tags.retain(|t| t.as_str() != Some(mark(&cluster["tags"])));
    tags.push(json!("theirs"));
    let body = json!({ "name": "wp-pz-doks-nyc3", "tags": tags });
    let path = format!("/v2/kubernetes/clusters/{}", id(&cluster));
    digitalocean(env, "PUT", &path, &body);

    let databases = env.table("digitalocean", "databases");
    let writer = databases.iter().find(|d| d["region"] == "nyc3").unwrap();
    let body =
        json!({ "resources": [{ "resource_id": writer["id"], "resource_type": "database" }] });
    let path = format!("/v2/tags/{}/resources", mark(&writer["tags"]));
    digitalocean(env, "DELETE", &path, &body);

    let records = record_documents(env);
    let record = records
        .iter()
        .find(|r| r["name"] == "wp-bz.guajiro.xyz")
        .unwrap();
    let path = format!(
        "/client/v4/zones/{}/dns_records/{}",
        record["zone_id"].as_str().unwrap(),
        id(record)
    );
    let cloudflare = token(env, "CLOUDFLARE_API_TOKEN");
    let (status, _) = env.meddle("PATCH", &path, &cloudflare, Some(&json!({ "comment": "" })));
    assert_eq!(status, 200);

    let path = format!("/v2/kubernetes/clusters/{}/credentials", id(&cluster));
    let (_, access) = env.meddle("GET", &path, &token(env, "DIGITALOCEAN_TOKEN"), None);
    let path = format!(
        "/clusters/{}/apis/apps/v1/namespaces/app/deployments/wp",
        id(&cluster)
    );
    let body = json!({ "metadata": { "labels": { "zonewright.dev/owner": null } } });
    let (status, _) = env.meddle(
        "PATCH",
        &path,
        access["token"].as_str().unwrap(),
        Some(&body),
    );
    assert_eq!(status, 200);
}

#[test]
fn a_mark_that_is_taken_off_is_drift_and_is_put_on_again() {
    let env = applied();
    let before = env.dump();
    take_off(&env);

    let drift = env.expect(2, &["drift", "--format", "json"]).json();
    let found: Vec<(&str, &str)> = drift["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["address"].as_str().unwrap(), d["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("bz/cloudflare.dns_record.zone", "unmarked"),
            ("pz/digitalocean.database_cluster.main", "unmarked"),
            ("pz/digitalocean.kubernetes_cluster.main", "unmarked"),
            ("pz/digitalocean.vpc.main", "unmarked"),
            (
                "pz/kubernetes.manifest.wordpress[\"apps/Deployment/app/wp\"]",
                "unmarked"
            ),
        ]
    );

    let plan = env.expect(0, &["plan"]).stdout;
    assert!(plan.contains("its mark of ownership is missing"), "{plan}");
    assert!(plan.contains("Plan: 5 to update."), "{plan}");
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_complete_once(&env);

    // What others wrote beside the mark is left alone; the marks are what they were.
    let vpc = named(&env, "vpcs", "vpc-wp-pz");
    let words = vpc["description"].as_str().unwrap();
    assert!(
        words.starts_with("somebody's own words zonewright:"),
        "{words}"
    );
    let cluster = named(&env, "kubernetes_clusters", "wp-pz-doks-nyc3");
    assert!(
        cluster["tags"]
            .as_array()
            .unwrap()
            .contains(&json!("theirs"))
    );
    let rows = before["digitalocean"]["kubernetes_clusters"]
        .as_object()
        .unwrap();
    let was = rows
        .values()
        .find(|c| c["name"] == "wp-pz-doks-nyc3")
        .unwrap();
    assert_eq!(mark(&cluster["tags"]), mark(&was["tags"]));
}
