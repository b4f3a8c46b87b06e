//! What exists is written into the spec as it is.

use serde_json::{Value, json};
use zonewright_tests::Env;

use super::{BINARY, applied, token};

fn read(env: &Env, file: &str) -> String {
    std::fs::read_to_string(env.path().join(file)).unwrap()
}

fn make(env: &Env, secret: &str, path: &str, body: &Value) -> Value {
    let (status, made) = env.meddle("POST", path, &token(env, secret), Some(body));
    assert!(status < 300, "{made}");
    made
}

/// The next apply puts the mark on, and nothing else.
fn assert_only_marked(env: &Env) {
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve"]);
    assert!(env.mutations().len() <= 1, "{:?}", env.mutations());
    env.assert_settled();
}

#[test]
fn a_network_made_by_hand_is_written_into_the_spec_with_its_comments_kept() {
    let env = applied();
    let body = json!({ "name": "by-hand", "region": "nyc3", "ip_range": "10.77.0.0/24", "description": "made in a hurry" });
    let vpc = make(&env, "DIGITALOCEAN_TOKEN", "/v2/vpcs", &body);
    let id = vpc["vpc"]["id"].as_str().unwrap();
    let before = read(&env, "zones/bz.toml");
    let address = "bz/digitalocean.vpc.second";
    env.clear_requests();
    let unasked = env.expect(6, &["import", address, id]);
    assert!(
        unasked.stdout.contains("+ ip_range = \"10.77.0.0/24\""),
        "{}",
        unasked.text()
    );
    env.expect(0, &["import", address, id, "--dry-run"]);
    assert_eq!(read(&env, "zones/bz.toml"), before);
    env.expect(0, &["import", address, id, "--auto-approve"]);
    let block = "\n[digitalocean.vpc.second]\nname = \"by-hand\"\nregion = \"nyc3\"\nip_range = \"10.77.0.0/24\"\ndescription = \"made in a hurry\"\n";
    let after = read(&env, "zones/bz.toml");
    assert!(after.contains(block), "{after}");
    assert_eq!(after.replace(block, ""), before);
    assert!(env.mutations().is_empty());
    assert_only_marked(&env);
}

#[test]
fn what_lies_in_something_refers_to_it() {
    let env = Env::project("one-of-each", BINARY);
    env.expect(0, &["apply", "--auto-approve"]);
    let all = env.table("digitalocean", "databases");
    let cluster = all.iter().find(|d| d["region"] == "nyc3").unwrap();
    let cluster = cluster["id"].as_str().unwrap();
    let path = format!("/v2/databases/{cluster}/dbs");
    make(
        &env,
        "DIGITALOCEAN_TOKEN",
        &path,
        &json!({ "name": "shop" }),
    );
    let id = format!("{cluster}/shop");
    let address = "pz/digitalocean.database.shop";
    env.clear_requests();
    env.expect(0, &["import", address, &id, "--auto-approve"]);
    let block = "\n[digitalocean.database.shop]\ncluster = \"${digitalocean.database_cluster.main.id}\"\nname = \"shop\"\n";
    let spec = read(&env, "zones/pz.toml");
    assert!(spec.contains(block), "{spec}");
    assert!(env.mutations().is_empty());
    env.assert_settled();
}

#[test]
fn what_another_zone_inherits_is_said() {
    let env = applied();
    let (zone, record) = by_hand(&env);
    let id = format!("{zone}/{record}");
    let address = "pz/cloudflare.dns_record.spf";
    let set = "zone=guajiro.xyz";
    let imported = env.expect(0, &["import", address, &id, "--set", set, "--dry-run"]);
    let along = "bz/cloudflare.dns_record.spf comes with it";
    assert!(imported.stdout.contains(along), "{}", imported.text());
}

/// A record of somebody else: the ids of its zone and of itself.
fn by_hand(env: &Env) -> (String, String) {
    let known = super::record_documents(env);
    let zone = known[0]["zone_id"].as_str().unwrap().to_owned();
    let path = format!("/client/v4/zones/{zone}/dns_records");
    let body = json!({ "type": "TXT", "name": "by-hand.guajiro.xyz", "content": "\"v=spf1 -all\"", "ttl": 600 });
    let made = make(env, "CLOUDFLARE_API_TOKEN", &path, &body);
    (zone, made["result"]["id"].as_str().unwrap().to_owned())
}

#[test]
fn a_shared_record_goes_into_the_root_file() {
    let env = applied();
    let (zone, record) = by_hand(&env);
    let id = format!("{zone}/{record}");
    let address = "edge/cloudflare.dns_record.spf";
    env.clear_requests();
    let unknown = format!("{zone}/nothing");
    let refused = env.expect(1, &["import", address, &unknown, "--auto-approve"]);
    assert!(
        refused.stderr.contains("nothing at the vendor has the id"),
        "{}",
        refused.text()
    );
    let refused = env.expect(1, &["import", address, &id, "--auto-approve"]);
    assert!(
        refused.stderr.contains("--set zone=VALUE"),
        "{}",
        refused.text()
    );
    let set = ["--set", "zone=guajiro.xyz", "--set", "ttl=600"];
    env.expect(
        0,
        &[&["import", address, &id, "--auto-approve"], &set[..]].concat(),
    );
    let spec = read(&env, "zonewright.toml");
    assert!(spec.contains("\nttl = 600\n"), "{spec}");
    assert!(
        spec.contains("[shared.cloudflare.dns_record.spf]"),
        "{spec}"
    );
    assert!(env.mutations().is_empty());
    assert_only_marked(&env);
}

#[test]
fn what_cannot_be_written_is_refused_with_a_way_out() {
    let env = applied();
    for (args, said) in [
        (
            &[
                "import",
                "pz/kubernetes.manifest.extra[\"v1/ConfigMap/app/x\"]",
                "uid",
            ][..],
            "kubernetes.manifest",
        ),
        (
            &[
                "import",
                "pz/digitalocean.vpc.second",
                "id",
                "--set",
                "nmae=1",
            ],
            "did you mean `name`?",
        ),
        (
            &["import", "pz/digitalocean.vcp.second", "id"],
            "did you mean `digitalocean.vpc`?",
        ),
        (
            &[
                "import",
                "pz/digitalocean.vpc.main",
                "id",
                "--set",
                "name=x",
            ],
            "leave --set out",
        ),
    ] {
        let refused = env.expect(1, args);
        assert!(refused.stderr.contains(said), "{}", refused.text());
    }
    env.assert_settled();
}

#[test]
fn what_is_adopted_can_bring_its_differences_into_the_spec() {
    let env = applied();
    let address = "edge/cloudflare.dns_record.active";
    let all = super::record_documents(&env);
    let found = all.iter().find(|r| r["name"] == "wp-active.guajiro.xyz");
    let found = found.unwrap();
    env.expect(0, &["state", "rm", address, "--auto-approve"]);
    let (zone, id) = (&found["zone_id"], &found["id"]);
    let path = format!(
        "/client/v4/zones/{}/dns_records/{}",
        zone.as_str().unwrap(),
        id.as_str().unwrap()
    );
    let body = json!({ "ttl": 900, "comment": "" });
    let cloudflare = token(&env, "CLOUDFLARE_API_TOKEN");
    assert_eq!(env.meddle("PATCH", &path, &cloudflare, Some(&body)).0, 200);
    let before = read(&env, "zonewright.toml");
    env.clear_requests();
    let unasked = env.expect(6, &["adopt", address, "--absorb"]);
    assert_eq!(read(&env, "zonewright.toml"), before, "{}", unasked.text());
    env.expect(0, &["adopt", address, "--absorb", "--auto-approve"]);
    let wanted = before.replace("ttl = 300", "ttl = 900");
    assert_eq!(read(&env, "zonewright.toml"), wanted);
    assert!(env.mutations().is_empty());
    assert_only_marked(&env);
}
