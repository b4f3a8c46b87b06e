//! The whole product: the real binary against a real sandbox server.

use zonewright_tests::Env;

mod absorb;
mod adopt;
mod bad_input;
mod beside;
mod bucket;
mod change;
mod charts;
mod clusters;
mod contradictions;
mod copies;
mod cost;
mod crash;
mod dashboard;
mod declared;
mod doctor;
mod exposure;
mod fallen_behind;
mod finish;
mod identity;
mod ignored;
mod ingress;
mod init;
mod inside;
mod left_out;
mod lifecycle;
mod lines;
mod marks;
mod media;
mod metrics;
mod mirror;
mod observability;
mod options;
mod parity;
mod paused;
mod peers;
mod primary;
mod programs;
mod read_only;
mod readiness;
mod records;
mod recover;
mod refuse;
mod renames;
mod repair;
mod restore;
mod roles;
mod runbook;
mod sealed;
mod secrets;
mod shown;
mod stop;
mod token;
mod told;
mod transfer;
mod unread;
mod verify;
mod wiring;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");

fn example() -> Env {
    Env::example("wordpress-dr", BINARY)
}

/// The example, applied.
fn applied() -> Env {
    let env = example();
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

/// A token that the sandbox gives its clients, by the name of its variable.
fn token(env: &Env, name: &str) -> String {
    let vars = env.ready().env();
    vars.into_iter().find(|(n, _)| *n == name).unwrap().1
}

/// Where the API server of pz's cluster is, and a token for it.
fn pz_cluster(env: &Env) -> (String, String) {
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let ours = clusters.iter().find(|c| c["name"] == "wp-pz-doks-nyc3");
    let id = ours.unwrap()["id"].as_str().unwrap();
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let access = env
        .meddle("GET", &path, &token(env, "DIGITALOCEAN_TOKEN"), None)
        .1;
    let token = access["token"].as_str().unwrap().to_owned();
    (format!("/clusters/{id}"), token)
}

/// The names of the ground truth's objects of one table.
fn names(env: &Env, table: &str) -> Vec<String> {
    let mut names: Vec<String> = env
        .table("digitalocean", table)
        .iter()
        .filter_map(|d| d["name"].as_str().map(str::to_owned))
        .filter(|n| !n.starts_with("default-"))
        .collect();
    names.sort();
    names
}

/// The records at Cloudflare.
pub(super) fn record_documents(env: &Env) -> Vec<serde_json::Value> {
    let dump = env.dump();
    let tables = dump["cloudflare"].as_object().into_iter().flatten();
    tables
        .filter(|(name, _)| name.starts_with("dns_records"))
        .flat_map(|(name, rows)| {
            let zone = name.rsplit('/').next().unwrap_or_default();
            let rows = rows.as_object().into_iter().flatten();
            rows.map(move |(_, document)| {
                let mut document = document.clone();
                document["zone_id"] = zone.into();
                document
            })
        })
        .collect()
}

/// Our records at Cloudflare: name and content.
fn records(env: &Env) -> Vec<(String, String)> {
    let mut records: Vec<(String, String)> = record_documents(env)
        .iter()
        .map(|d| {
            let text = |key: &str| d[key].as_str().unwrap_or("").to_owned();
            (text("name"), text("content"))
        })
        .collect();
    records.sort();
    records
}

/// Everything of the example exists exactly once.
fn assert_complete_once(env: &Env) {
    assert_eq!(names(env, "vpcs"), ["vpc-wp-bz", "vpc-wp-pz"]);
    assert_eq!(
        names(env, "kubernetes_clusters"),
        ["wp-bz-doks-sfo3", "wp-pz-doks-nyc3"]
    );
    assert_eq!(records(env).len(), 3, "{:?}", records(env));
    let mut names: Vec<String> = records(env).into_iter().map(|(n, _)| n).collect();
    names.dedup();
    assert_eq!(names.len(), 3);
}
