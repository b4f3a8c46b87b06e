//! The validation list: what a spec does not say leaves its line there, red or with a reason.

use std::collections::BTreeMap;

use serde_json::Value;
use zonewright_sandbox::control::Switches;
use zonewright_tests::Env;

use super::example;

type Gates = BTreeMap<String, (String, String)>;

/// Every line of the zone with how it stands and why, by the spec alone.
fn gates(env: &Env) -> Gates {
    let report = env.run(&["readiness", "--recorded", "--format", "json"]);
    let gates = report.json()["zones"][0]["gates"].clone();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = gates.as_array().unwrap().iter();
    all.map(|g| {
        (
            text(&g["check"]),
            (text(&g["standing"]), text(&g["evidence"])),
        )
    })
    .collect()
}

fn is(gate: &(String, String), (standing, why): (&str, &str)) {
    assert!(gate.0 == standing && gate.1.contains(why), "{gate:?}");
}

/// Edits a file, sees the same lines as ever with some standing otherwise, and takes it back.
fn edited(env: &Env, file: &str, from: &str, to: &str, lines: &[(&str, (&str, &str))]) {
    let names = || gates(env).into_keys().collect::<Vec<String>>();
    let whole = names();
    env.edit(file, from, to);
    let less = gates(env);
    assert_eq!(
        less.keys().cloned().collect::<Vec<_>>(),
        whole,
        "after {to}"
    );
    for (line, expected) in lines {
        is(&less[*line], *expected);
    }
    env.edit(file, to, from);
}

/// The example whose application does not take the settings of the bucket.
fn without_bucket() -> Env {
    let env = example();
    for setting in ["media.bucket", "media.endpoint"] {
        let from = format!("${{zone.{setting}}}");
        env.edit("manifests/wordpress.yaml", &from, "elsewhere");
    }
    env
}

/// A spec of which less is understood has the same lines, and none of them is green for it.
#[test]
fn a_line_that_cannot_be_derived_stays_and_says_why() {
    let env = without_bucket();
    let whole = gates(&env);
    // 23 lines and the two budgets.
    assert_eq!(whole.len(), 25, "{whole:?}");
    let nothing = ("not_applicable", "its data come by replication");
    is(&whole["backup"], nothing);
    let password = "${pz/digitalocean.database_user.wp.password}";
    let no_login = ("never", "the name and the password of a user of");
    let no_application = ("never", "the application is not known");
    edited(
        &env,
        "zones/bz.toml",
        password,
        "${secret.wp_salt}",
        &[
            ("database-tls", no_login),
            ("database-mode", no_login),
            ("replication-lag", no_login),
            ("wiring", no_login),
            ("smoke", no_application),
        ],
    );
    edited(
        &env,
        "zonewright.toml",
        "ttl = 300\n",
        "ttl = 1\nproxied = true\n",
        &[(
            "dns-active",
            ("not_applicable", "wp-active.guajiro.xyz: proxied"),
        )],
    );
    edited(
        &env,
        "zones/pz.toml",
        "S3_ACCESS_KEY_ID = ",
        "S3_LOGIN = ",
        &[("media", ("never", "no Secret of the zone has entries"))],
    );
}

/// BZ-05, BZ-06: a network without a declared range cannot be compared.
#[test]
fn a_network_without_a_range_is_red() {
    let env = example();
    // By another name: the network is there, and nobody says which it has to be.
    for file in ["zones/pz.toml", "zones/bz.toml"] {
        env.edit(file, "cidr = ", "range = ");
    }
    env.edit("zones/pz.toml", "${zone.cidr}", "${zone.range}");
    is(&gates(&env)["networks"], ("never", "set `cidr`"));
}

/// What a backup zone lacks and the serving one has is a defect; what neither has is none.
#[test]
fn the_zone_that_serves_says_what_the_other_needs() {
    let env = without_bucket();
    edited(
        &env,
        "zones/bz.toml",
        "[digitalocean.database_firewall.main]",
        "[kubernetes.manifest.issuers]\nzonewright = { enabled = false }\n\n[digitalocean.database_firewall.main]",
        &[
            (
                "issuers",
                (
                    "never",
                    "the spec has no ClusterIssuer in bz, and one in pz",
                ),
            ),
            (
                "certificate",
                (
                    "never",
                    "the spec has no ClusterIssuer in bz, and one in pz",
                ),
            ),
        ],
    );
    let pz = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    let (_, media) = pz.split_once("\n[media]\n").unwrap();
    let (media, _) = media.split_once("\n\n").unwrap();
    edited(
        &env,
        "zones/pz.toml",
        &format!("\n[media]\n{media}\n"),
        "\n# no media\n",
        &[("media", ("not_applicable", "neither in bz nor in pz"))],
    );
}

/// A pod that only has the name of a Secret somewhere in it.
const DECOY: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: decoy, namespace: app, labels: { app: wp-db } }
spec:
  replicas: 1
  selector: { matchLabels: { app: wp-db } }
  template:
    metadata: { labels: { app: wp-db } }
    spec: { containers: [{ name: wp-db, image: a }] }
";

/// Who takes a Secret is told by where pods take Secrets from, not by what else is called so.
#[test]
fn a_container_of_the_same_name_takes_no_secret() {
    let env = example();
    env.write("manifests/decoy.yaml", DECOY);
    env.edit(
        "zones/pz.toml",
        "[kubernetes.manifest.wordpress]",
        "[kubernetes.manifest.decoy]\nfile = \"manifests/decoy.yaml\"\n\n[kubernetes.manifest.wordpress]",
    );
    let runbook = env.expect(0, &["runbook", "--to", "bz"]).stdout;
    let stops = |name: &str| runbook.contains(&format!("scale deployment/{name} --replicas=0"));
    assert!(stops("wp") && !stops("decoy"), "{runbook}");
    env.expect(0, &["apply", "--auto-approve"]);
    let smoke = env.expect(0, &["smoke", "--zone", "bz"]);
    assert!(
        smoke.stdout.contains("a Job in app succeeded"),
        "{}",
        smoke.text()
    );
    env.assert_settled();
}

/// Entries of several users are not mixed: the name of one does not go with the password of another.
#[test]
fn the_entries_of_a_server_are_those_of_one_user() {
    let env = example();
    env.edit(
        "zones/pz.toml",
        "[digitalocean.database_firewall.main]",
        "[digitalocean.database_user.report]\ncluster = \"${digitalocean.database_cluster.main.id}\"\n\
         name = \"report\"\nzonewright = { enabled = \"${zone.exposed}\" }\n\n\
         [digitalocean.database_firewall.main]",
    );
    env.edit(
        "zones/bz.toml",
        "[kubernetes.secret.db]",
        "[kubernetes.secret.a_report]\nnamespace = \"app\"\nname = \"a-report\"\n\
         data = { REPORT_USER = \"${pz/digitalocean.database_user.report.name}\" }\n\n\
         [kubernetes.secret.db]",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.expect(
        0,
        &[
            "verify",
            "--zone",
            "bz",
            "--only",
            "database-tls",
            "--only",
            "database-mode",
        ],
    );
    env.assert_settled();
}

/// Each server has its lines, with its name where there are several.
#[test]
fn every_server_of_a_zone_has_lines() {
    let env = example();
    let second = "[digitalocean.database_replica.second]\n\
        source = \"${pz/digitalocean.database_cluster.main.id}\"\nname = \"wp-bz-second\"\n\
        region = \"${zone.region}\"\nsize = \"db-s-1vcpu-1gb\"\nvpc = \"${digitalocean.vpc.main.id}\"\n\n";
    env.edit(
        "zones/bz.toml",
        "[digitalocean.database_firewall.main]",
        &format!("{second}[digitalocean.database_firewall.main]"),
    );
    let gates = gates(&env);
    for line in ["database-tls", "database-mode", "replication-lag"] {
        assert!(!gates.contains_key(line), "{gates:?}");
        let (first, second) = (format!("{line}:main"), format!("{line}:second"));
        is(&gates[&first], ("never", "is not recorded yet"));
        // Nothing leads to the second one: no Secret has its authority.
        is(
            &gates[&second],
            ("never", "the CA of bz/digitalocean.database_replica.second"),
        );
    }
}

/// BZ-17: a database that does not let us in is not known, whatever we could tell from elsewhere.
#[test]
fn databases_answer_to_watchers_alone() {
    let env = example();
    env.edit(
        "zones/pz.toml",
        "watchers = [\"198.51.100.7\"]",
        "watchers = [\"203.0.113.9\"]",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    let lines = [
        "verify",
        "--zone",
        "bz",
        "--only",
        "database-tls",
        "--only",
        "database-mode",
    ];
    let refused = env.expect(6, &lines);
    assert!(
        refused.stdout.contains("unknown database-tls"),
        "{}",
        refused.text()
    );
    assert!(
        refused.stdout.contains("unknown database-mode"),
        "{}",
        refused.text()
    );
    // The cluster is let in all the same.
    env.expect(0, &["smoke", "--zone", "bz"]);
    let mut switches = Switches::default();
    switches.client_address = Some("203.0.113.9".parse().unwrap());
    env.wait(env.client().set_switches(&switches)).unwrap();
    env.expect(0, &lines);
    env.assert_settled();
}
