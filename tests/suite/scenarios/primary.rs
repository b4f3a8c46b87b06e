//! A primary that lives already and is somebody else's, and one that does not answer.

use std::collections::BTreeMap;

use serde_json::Value;
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::Env;

use super::{applied, example, names};

/// The platform of pz as somebody else made it: everything exists, and nothing of it is recorded or
/// carries this project's mark.
pub(super) fn made_elsewhere() -> Env {
    let env = example();
    env.edit("zonewright.toml", "name = \"wp\"", "name = \"other\"");
    let made = ["--zone", "pz", "--zone", "edge", "--auto-approve"];
    env.expect(0, &[&["apply"], &made[..]].concat());
    let private = env.path().join(".zonewright/sandbox");
    std::fs::remove_dir_all(private.join("state")).unwrap();
    std::fs::remove_file(private.join("seen.json")).unwrap();
    env.edit("zonewright.toml", "name = \"other\"", "name = \"wp\"");
    env
}

/// The ground truth of what is pz's, without what a replica adds to its source.
fn truth(env: &Env) -> BTreeMap<String, Value> {
    let dump = env.dump();
    let cluster = env
        .table("digitalocean", "kubernetes_clusters")
        .iter()
        .find(|c| c["name"] == "wp-pz-doks-nyc3")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut out = BTreeMap::new();
    for (service, tables) in dump.as_object().unwrap() {
        for (table, rows) in tables.as_object().into_iter().flatten() {
            let whole = table.contains(&cluster);
            for (key, row) in rows.as_object().into_iter().flatten() {
                let text = row.to_string();
                if whole || text.contains("wp-pz") || text.contains("wp-active") {
                    out.insert(format!("{service} {table} {key}"), row.clone());
                }
            }
        }
    }
    assert!(out.len() > 40, "{:?}", out.keys());
    out
}

/// BZ-29: with `observe = true` bz is built, verified and compared against a primary that is never
/// changed.
#[test]
fn bz_29_a_primary_of_somebody_else_is_only_looked_at() {
    let env = made_elsewhere();
    let refused = env.run(&["plan"]);
    assert_eq!(
        refused.code,
        1,
        "what is another project's is not taken: {}",
        refused.text()
    );
    env.edit("zones/pz.toml", "[zone]\n", "[zone]\nobserve = true\n");
    env.edit("zones/bz.toml", "[zone]\n", "[zone]\nobserve = false\n");
    env.edit(
        "zonewright.toml",
        "ttl = 300\n",
        "ttl = 300\nobserve = true\n",
    );
    env.edit("zones/pz.toml", "name = \"wp_prod\"", "name = \"wp_prodd\"");
    let missing = env.expect(1, &["plan", "--zone", "bz"]);
    let said = missing.stderr.replace("\n  │ ", " ");
    assert!(said.contains("wp_prodd` does not exist"), "{said}");
    env.edit("zones/pz.toml", "name = \"wp_prodd\"", "name = \"wp_prod\"");
    let before = truth(&env);
    env.clear_requests();
    // A selection of bz alone reads what it needs of pz, and what is selected does not change the rest.
    env.expect(0, &["apply", "--zone", "bz", "--auto-approve"]);
    assert_eq!(names(&env, "vpcs"), ["vpc-wp-bz", "vpc-wp-pz"]);
    env.assert_settled();
    let after = truth(&env);
    for (what, was) in &before {
        assert_eq!(after.get(what), Some(was), "{what}");
    }
    env.expect(0, &["verify", "--zone", "bz"]);
    env.expect(0, &["parity", "pz", "bz"]);
    env.assert_settled();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    assert_eq!(names(&env, "vpcs"), ["vpc-wp-pz"]);
    let left = truth(&env);
    assert!(before.keys().all(|what| left.contains_key(what)));
}

/// BZ-01, BZ-31: pz's cluster hangs. bz is made from nothing all the same; what it takes of pz is told by
/// the plan.
#[test]
fn bz_01_the_backup_zone_is_made_while_the_primary_hangs() {
    let env = applied();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let pz = clusters[0]["id"].as_str().unwrap();
    let hang = Fault {
        service: None,
        method: None,
        path: Some(format!("/clusters/{pz}/*")),
        nth: 1,
        count: 1_000_000,
        kind: Kind::HoldBefore,
    };
    let client = env.client();
    env.wait(client.add_fault(&hang)).unwrap();
    let plan = env.expect(0, &["plan", "--zone", "bz"]);
    let needs = "needs pz/digitalocean.database.wp, pz/digitalocean.database_cluster.main, \
                 pz/digitalocean.database_user.wp";
    assert!(plan.stdout.contains(needs), "{}", plan.text());
    env.clear_requests();
    env.expect(0, &["apply", "--zone", "bz", "--auto-approve"]);
    let asked = env.requests();
    let of_pz = |r: &&Value| {
        r["path"]
            .as_str()
            .unwrap()
            .starts_with(&format!("/clusters/{pz}/"))
    };
    assert_eq!(
        asked.iter().filter(of_pz).count(),
        0,
        "nothing of pz's cluster is needed"
    );
    env.clear_faults();
    env.assert_settled();
}
