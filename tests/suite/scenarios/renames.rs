//! Resources that get another address, and those that leave the spec and stay.

use zonewright_tests::Env;

use super::{applied, assert_complete_once, names, records};

fn append(env: &Env, file: &str, text: &str) {
    let path = env.path().join(file);
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{old}\n{text}")).unwrap();
}

/// Renames the network of both zones, a manifest with several objects, and the shared record.
fn rename(env: &Env) {
    for file in ["zones/pz.toml", "zones/bz.toml"] {
        let path = env.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace("digitalocean.vpc.main", "digitalocean.vpc.net")
            .replace(
                "digitalocean.database_firewall.main",
                "digitalocean.database_firewall.sources",
            )
            .replace(
                "kubernetes.manifest.namespaces",
                "kubernetes.manifest.spaces",
            )
            .replace(
                "digitalocean.kubernetes_cluster.main",
                "digitalocean.kubernetes_cluster.doks",
            )
            .replace(
                "digitalocean.database_cluster.main",
                "digitalocean.database_cluster.writer",
            );
        std::fs::write(path, text).unwrap();
    }
    env.edit(
        "zonewright.toml",
        "[shared.cloudflare.dns_record.active]",
        "[shared.cloudflare.dns_record.flip]",
    );
    env.edit(
        "zonewright.toml",
        "digitalocean.database*.main*",
        "digitalocean.database*.*",
    );
}

const MOVED: &[(&str, &str)] = &[
    ("pz/digitalocean.vpc.main", "pz/digitalocean.vpc.net"),
    ("bz/digitalocean.vpc.main", "bz/digitalocean.vpc.net"),
    (
        "pz/digitalocean.database_firewall.main",
        "pz/digitalocean.database_firewall.sources",
    ),
    (
        "bz/digitalocean.database_firewall.main",
        "bz/digitalocean.database_firewall.sources",
    ),
    (
        "pz/kubernetes.manifest.namespaces",
        "pz/kubernetes.manifest.spaces",
    ),
    (
        "bz/kubernetes.manifest.namespaces",
        "bz/kubernetes.manifest.spaces",
    ),
    (
        "pz/digitalocean.kubernetes_cluster.main",
        "pz/digitalocean.kubernetes_cluster.doks",
    ),
    (
        "bz/digitalocean.kubernetes_cluster.main",
        "bz/digitalocean.kubernetes_cluster.doks",
    ),
    (
        "pz/digitalocean.database_cluster.main",
        "pz/digitalocean.database_cluster.writer",
    ),
    (
        "edge/cloudflare.dns_record.active",
        "edge/cloudflare.dns_record.flip",
    ),
];

fn moved() -> String {
    let entry =
        |(from, to): &(&str, &str)| format!("[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
    MOVED.iter().map(entry).collect()
}

#[test]
fn a_rename_is_proposed_and_moves_without_touching_anything() {
    let env = applied();
    let before = env.dump();
    rename(&env);

    // Nothing is deleted in silence: every renamed resource is named, with what to write.
    env.clear_requests();
    let refused = env.run(&["plan"]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    // What lives in something that was renamed is told once that is settled.
    let outer = MOVED
        .iter()
        .filter(|(from, _)| !from.contains("manifest") && !from.contains("firewall"));
    for (from, to) in outer {
        let entry = refused.stderr.contains(&format!("from = \"{from}\""));
        let entry = entry && refused.stderr.contains(&format!("to = \"{to}\""));
        assert!(entry, "{from}: {}", refused.text());
    }
    assert!(refused.stderr.contains("ZW3129"), "{}", refused.text());
    assert!(env.mutations().is_empty());

    append(&env, "zonewright.toml", &moved());
    let plan = env.expect(0, &["plan"]).stdout;
    assert!(
        !plan.contains("to create") && !plan.contains("to delete"),
        "{plan}"
    );
    assert!(
        plan.contains("pz/digitalocean.vpc.main to pz/digitalocean.vpc.net"),
        "{plan}"
    );
    env.expect(0, &["plan", "-o", "moved.plan"]);
    env.expect(0, &["apply", "moved.plan"]);
    env.assert_settled();
    assert_complete_once(&env);
    let ids = |dump: &serde_json::Value, table: &str| -> Vec<String> {
        let rows = dump["digitalocean"][table].as_object().unwrap();
        rows.keys().cloned().collect()
    };
    let after = env.dump();
    for table in ["vpcs", "kubernetes_clusters", "databases"] {
        assert_eq!(ids(&before, table), ids(&after, table), "{table}");
    }

    // The marks are those of the new addresses: the old ones are free for something else, and the
    // entries can go.
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    env.write("zonewright.toml", text.split("[[moved]]").next().unwrap());
    env.assert_settled();
    append(
        &env,
        "zones/bz.toml",
        "[digitalocean.vpc.main]\nname = \"second\"\nregion = \"sfo3\"\nip_range = \"10.77.0.0/24\"\n",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_eq!(names(&env, "vpcs"), ["second", "vpc-wp-bz", "vpc-wp-pz"]);
}

#[test]
fn a_move_is_held_against_the_spec() {
    let env = applied();
    append(
        &env,
        "zonewright.toml",
        concat!(
            "[[moved]]\nfrom = \"pz/digitalocean.vpc.main\"\nto = \"pz/digitalocean.vpc.net\"\n",
            "[[moved]]\nfrom = \"pz/digitalocean.vpc.old\"\nto = \"pz/digitalocean.vpc.mian\"\n",
            "[[moved]]\nfrom = \"pz/digitalocean.vpc.old\"\nto = \"bz/digitalocean.vpc.main\"\n",
            "[[moved]]\nfrom = \"nowhere\"\n",
            "[[forget]]\naddress = \"bz/digitalocean.vpc.main\"\nreason = \"r\"\n",
            "[[forget]]\naddress = \"qz/digitalocean.vpc.main\"\nreason = \"r\"\nwhen = 1\n",
        ),
    );
    let refused = env.expect(1, &["validate"]).stderr;
    for needle in [
        "moved, and is still declared",
        "did you mean `pz/digitalocean.vpc.main`",
        "a resource keeps its zone and its kind",
        "`to` is missing",
        "is to be forgotten, and is still declared",
        "there is no zone `qz`",
        "[[forget]] has no `when`",
    ] {
        assert!(refused.contains(needle), "no {needle:?} in {refused}");
    }
}

#[test]
fn what_is_kept_or_forgotten_leaves_the_state_and_stays_in_the_world() {
    let env = applied();
    let all = records(&env);
    // Kept: says so while it is declared, and leaves without an entry.
    env.edit(
        "zonewright.toml",
        "ttl = 300",
        "ttl = 300\nzonewright = { keep = true }",
    );
    let plan = env.expect(0, &["plan"]).stdout;
    assert!(plan.contains("only what is recorded changes"), "{plan}");
    env.expect(0, &["apply", "--auto-approve"]);
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    env.write("zonewright.toml", text.split("[shared.").next().unwrap());
    let plan = env.expect(0, &["plan"]).stdout;
    assert!(plan.contains("left alone: `keep` says so"), "{plan}");
    assert!(plan.contains("Plan: 1 to forget."), "{plan}");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve"]);
    assert!(env.mutations().is_empty(), "{:?}", env.mutations());
    env.assert_settled();

    // Forgotten: by an entry, with why.
    env.edit(
        "zones/pz.toml",
        "[kubernetes.manifest.heartbeat]",
        "[kubernetes.manifest.beat]",
    );
    let text = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    let (before, rest) = text.split_once("[kubernetes.manifest.beat]").unwrap();
    let (_, after) = rest.split_once("# ---- exposure").unwrap();
    env.write("zones/pz.toml", &format!("{before}# ---- exposure{after}"));
    append(
        &env,
        "zonewright.toml",
        "[[forget]]\naddress = \"pz/kubernetes.manifest.heartbeat\"\nreason = \"the DBA's now\"\n",
    );
    let plan = env.expect(0, &["plan"]).stdout;
    assert!(plan.contains("left alone: `[[forget]]` says so"), "{plan}");
    assert!(!plan.contains("to delete"), "{plan}");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve"]);
    assert!(env.mutations().is_empty(), "{:?}", env.mutations());
    env.assert_settled();
    assert_eq!(records(&env), all);
}

#[test]
fn what_is_kept_is_not_replaced_and_does_not_go_with_its_cluster() {
    let env = applied();
    env.edit(
        "zones/pz.toml",
        "tags = [\"env:prod\", \"zone:${zone.name}\", \"app:wp\"]",
        "tags = [\"env:prod\", \"zone:${zone.name}\", \"app:wp\"]\nzonewright = { keep = true }",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    let replaced = env.expect(
        6,
        &[
            "plan",
            "--replace",
            "bz/digitalocean.kubernetes_cluster.main",
        ],
    );
    assert!(
        replaced.stderr.contains("is kept (`keep = true`)"),
        "{}",
        replaced.text()
    );

    // The zone goes, its cluster stays with all that is in it, and so must what it stands on.
    let refused = env.expect(6, &["plan", "--destroy", "--zone", "bz"]).stderr;
    assert!(
        refused.contains("is left alone and stands on it"),
        "{refused}"
    );
    env.edit(
        "zones/pz.toml",
        "ip_range = \"${zone.cidr}\"",
        "ip_range = \"${zone.cidr}\"\nzonewright = { keep = true }",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    let plan = env.expect(0, &["plan", "--destroy", "--zone", "bz"]).stdout;
    assert!(
        plan.contains("left alone with bz/digitalocean.kubernetes_cluster.main"),
        "{plan}"
    );
    let before = env.dump()["kubernetes"].clone();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    assert_eq!(
        names(&env, "kubernetes_clusters"),
        ["wp-bz-doks-sfo3", "wp-pz-doks-nyc3"]
    );
    assert_eq!(env.dump()["kubernetes"], before);
}
