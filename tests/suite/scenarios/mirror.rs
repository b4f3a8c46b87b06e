//! Roles are symmetric: nothing looks at a zone's name, and swapping `active` gives the mirrored plan.

use std::collections::BTreeSet;

use serde_json::Value;
use zonewright_tests::Env;

use super::{BINARY, example};

/// What is swapped for the mirror image. The longest first.
const PAIRS: &[(&str, &str)] = &[("nyc3", "sfo3"), ("10.10.", "10.20."), ("pz", "bz")];

fn mirrored(text: &str) -> String {
    let swap = |text: String, (a, b): &(&str, &str)| {
        text.replace(a, "\u{1}").replace(b, a).replace('\u{1}', b)
    };
    PAIRS.iter().fold(text.to_owned(), swap)
}

/// Takes out the checksums of what pods read: a mirror image has other texts, and each project its own key.
fn without_checksums(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(without_checksums),
        Value::Object(map) => {
            map.retain(|key, _| !key.starts_with("zonewright.dev/checksum-"));
            map.values_mut().for_each(without_checksums);
        }
        _ => {}
    }
}

/// What a plan does: each change and each edge of the graph as text, without the files that say so.
fn plan(env: &Env) -> BTreeSet<String> {
    let plan = env.expect(0, &["plan", "--format", "json"]).json();
    let mut out = BTreeSet::new();
    for change in plan["resource_changes"].as_array().unwrap() {
        let mut change = change.clone();
        change["declared"] = Value::Null;
        without_checksums(&mut change);
        out.insert(change.to_string());
    }
    assert!(out.len() > 3, "{plan:#}");
    for (zone, facts) in plan["zones"].as_object().unwrap() {
        out.insert(format!("{zone} {facts}"));
    }
    for (zone, bill) in plan["cost"]["zones"].as_object().unwrap() {
        out.insert(format!("{zone} costs {}", bill["then"]));
    }
    for edge in env.expect(0, &["graph", "--format", "json"]).json()["edges"]
        .as_array()
        .unwrap()
    {
        out.insert(edge.to_string());
    }
    out
}

fn mirror_of(plan: &BTreeSet<String>) -> BTreeSet<String> {
    plan.iter()
        .map(|line| {
            // Keys of objects are sorted, and so their order may differ.
            let line = mirrored(line);
            match serde_json::from_str::<Value>(&line) {
                Ok(json) => json.to_string(),
                Err(_) => line,
            }
        })
        .collect()
}

/// The example with every occurrence of one zone's name written as the other's.
#[test]
fn a_plan_knows_no_zone_by_its_name() {
    let env = example();
    let named = env.expect(0, &["plan", "--format", "json"]).json();
    assert_eq!(named["zones"]["pz"]["role"], "active");
    let straight = plan(&env);
    let renamed = example();
    let read = |file: &str| std::fs::read_to_string(renamed.path().join(file)).unwrap();
    let (pz, bz) = (read("zones/pz.toml"), read("zones/bz.toml"));
    renamed.write("zones/bz.toml", &mirrored(&pz));
    renamed.write("zones/pz.toml", &mirrored(&bz));
    renamed.write("zonewright.toml", &mirrored(&read("zonewright.toml")));
    assert_eq!(plan(&renamed), mirror_of(&straight));
}

const ROOT: &str = r#"
[project]
name = "two"
env = "prod"
zones = ["pz", "bz"]
active = "pz"

[secret]
do_token = { env = "DIGITALOCEAN_TOKEN" }
cf_token = { env = "CLOUDFLARE_API_TOKEN" }

[providers.digitalocean]
token = "${secret.do_token}"

[providers.cloudflare]
token = "${secret.cf_token}"

[shared.cloudflare.dns_record.active]
zone = "guajiro.xyz"
name = "wp-active"
type = "CNAME"
content = "${active/cloudflare.dns_record.zone.hostname}"
ttl = 300
"#;

const ZONE: &str = r#"
[zone]
region = "nyc3"
cidr = "10.10.0.0/16"
pool = 3

[digitalocean.vpc.main]
name = "two-${zone.name}"
region = "${zone.region}"
ip_range = "${zone.cidr}"

[digitalocean.kubernetes_cluster.main]
name = "two-${zone.name}-${zone.region}"
region = "${zone.region}"
version = "1.34"
vpc = "${digitalocean.vpc.main.id}"
node_pool = { size = "s-2vcpu-4gb", count = "${zone.pool}" }

[providers.kubernetes]
cluster = "${digitalocean.kubernetes_cluster.main}"

[kubernetes.manifest.door]
object = { apiVersion = "v1", kind = "Service", metadata = { name = "door", namespace = "default" }, spec = { type = "LoadBalancer", ports = [{ port = 80 }] } }
zonewright = { enabled = "${zone.exposed}" }

[cloudflare.dns_record.zone]
zone = "guajiro.xyz"
name = "two-${zone.name}"
type = "A"
ttl = 60
content = "${kubernetes.manifest.door.status.loadBalancer.ingress[0].ip}"

[role.standby.cloudflare.dns_record.zone]
content = "192.0.2.1"

[role.standby.zone]
pool = 1
"#;

/// Two zones with the same patterns: whoever is named `active` gets what the other one had.
#[test]
fn swapping_active_plans_the_mirror_image() {
    let env = Env::empty(BINARY);
    env.write("zonewright.toml", ROOT);
    env.write("zones/pz.toml", ZONE);
    env.write("zones/bz.toml", &mirrored(ZONE));
    let before = plan(&env);
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    assert_eq!(plan(&env), mirror_of(&before));
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
}
