//! Options of plans, observed resources, and the commands that only show.

use std::process::Stdio;

use serde_json::json;
use zonewright_tests::{Env, finish};

use super::{BINARY, applied, names, record_documents};

#[test]
fn less_refresh_looks_at_less_and_says_so() {
    let env = applied();
    env.clear_requests();
    env.expect(0, &["plan", "--refresh", "none", "--detailed-exitcode"]);
    assert_eq!(env.requests(), Vec::<serde_json::Value>::new());
    env.edit("zonewright.toml", "ttl = 300", "ttl = 120");
    let full = {
        env.clear_requests();
        env.expect(2, &["plan", "--detailed-exitcode"]);
        env.requests().len()
    };
    env.clear_requests();
    let plan = env.expect(2, &["plan", "--refresh", "changed", "--detailed-exitcode"]);
    assert!(plan.stdout.contains("300 -> 120"), "{}", plan.text());
    let few = env.requests().len();
    assert!(few < full && few <= 4, "{few} of {full} requests");
    assert!(
        full <= 60,
        "an unchanged plan of the example costs {full} requests"
    );
}

#[test]
fn what_is_asked_to_be_replaced_is_replaced() {
    let env = applied();
    let id = |env: &Env| {
        let rows = record_documents(env);
        let row = rows
            .iter()
            .find(|r| r["name"] == "wp-bz.guajiro.xyz")
            .unwrap();
        row["id"].as_str().unwrap().to_owned()
    };
    let before = id(&env);
    env.expect(
        0,
        &[
            "plan",
            "--replace",
            "bz/cloudflare.dns_record.zone",
            "-o",
            "p",
        ],
    );
    env.expect(0, &["apply", "p"]);
    assert_ne!(id(&env), before);
    env.assert_settled();
}

/// A report that nobody has is no success; a reader that went away has what it wanted.
#[test]
fn output_that_cannot_be_written_is_an_error_unless_nobody_listens() {
    let env = applied();
    let commands: [&[&str]; 12] = [
        &["plan"],
        &["plan", "--detailed-exitcode", "--format", "json"],
        &["drift"],
        &["cost"],
        &["verify", "--zone", "bz"],
        &["readiness", "--format", "metrics"],
        &["metrics"],
        &["runbook", "--to", "bz"],
        &["graph"],
        &["schema"],
        &["explain", "ZW4005"],
        &["--help"],
    ];
    for args in commands {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let run = |stdout: Stdio| {
            let mut command = env.command(args);
            finish(command.stdout(stdout).stderr(Stdio::piped()).spawn())
        };
        let failed = run(full.unwrap().into());
        assert_eq!(failed.code, 1, "{args:?}: {}", failed.text());
        assert!(
            failed.stderr.contains("could not be written whole"),
            "{args:?}: {}",
            failed.text()
        );
        if !["cost", "schema", "--help"].contains(&args[0]) {
            continue;
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let quiet = run(writer.into());
        assert!(
            !quiet.stderr.contains("written"),
            "{args:?}: {}",
            quiet.text()
        );
    }
    env.assert_settled();
}

/// A network that somebody else made is referred to and never changed.
#[test]
fn what_is_observed_is_used_and_never_changed() {
    let env = Env::empty(BINARY);
    env.write(
        "zonewright.toml",
        "[project]\nname = \"o\"\nzones = [\"a\"]\nactive = \"a\"\n\n[secret]\nt = { env = \"DIGITALOCEAN_TOKEN\" }\n\n\
         [providers.digitalocean]\ntoken = \"${secret.t}\"\n",
    );
    env.write(
        "zones/a.toml",
        "[zone]\nregion = \"nyc3\"\ncidr = \"10.30.0.0/16\"\n\n[digitalocean.vpc.main]\nobserve = true\nname = \"theirs\"\n\
         region = \"nyc3\"\nip_range = \"10.30.0.0/16\"\n\n[digitalocean.kubernetes_cluster.main]\nname = \"ours\"\nregion = \"nyc3\"\n\
         version = \"1.34\"\nvpc = \"${digitalocean.vpc.main.id}\"\nnode_pool = { size = \"s-2vcpu-4gb\", count = 1 }\n",
    );
    let missing = env.run(&["plan"]);
    assert_eq!(missing.code, 1, "{}", missing.text());
    assert!(
        missing.stderr.contains("a/digitalocean.vpc.main"),
        "{}",
        missing.text()
    );
    let token = env
        .ready()
        .env()
        .into_iter()
        .find(|(n, _)| *n == "DIGITALOCEAN_TOKEN")
        .unwrap()
        .1;
    let body = json!({ "name": "theirs", "region": "nyc3", "ip_range": "10.30.0.0/16", "description": "by hand" });
    let (status, made) = env.meddle("POST", "/v2/vpcs", &token, Some(&body));
    assert_eq!(status, 201, "{made}");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_eq!(names(&env, "kubernetes_clusters"), ["ours"]);
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    assert_eq!(clusters[0]["vpc_uuid"], made["vpc"]["id"]);
    let touched = env
        .mutations()
        .into_iter()
        .any(|r| r["path"].as_str().unwrap().starts_with("/v2/vpcs"));
    assert!(!touched, "an observed network was changed");
    assert!(!env.expect(0, &["state", "list"]).stdout.contains("vpc"));
}

#[test]
fn option_b_has_no_database_until_activation() {
    let env = super::example();
    env.edit(
        "zones/bz.toml",
        "strategy = \"replica\"",
        "strategy = \"restore\"",
    );
    env.expect(0, &["apply", "--auto-approve"]);
    assert!(env.table("digitalocean", "database_replicas").is_empty());
    assert_eq!(env.table("digitalocean", "databases").len(), 1);
    env.assert_settled();
}

#[test]
fn the_commands_that_show_show() {
    let env = applied();
    let listed = env.expect(0, &["state", "list"]).stdout;
    assert_eq!(listed.lines().count(), 190, "{listed}");
    let output = env
        .expect(0, &["output", "pz/digitalocean.vpc.main.id"])
        .stdout;
    assert_eq!(output.trim().len(), 36, "{output}");
    let all = env.expect(0, &["output", "--format", "json"]).json();
    assert!(all.is_object());
    assert!(env.expect(0, &["graph"]).stdout.starts_with("digraph"));
    assert!(
        env.expect(0, &["graph", "--format", "mermaid"])
            .stdout
            .contains("flowchart")
    );
    let graph = env.expect(0, &["graph", "--format", "json"]).json();
    assert!(graph["nodes"].as_array().unwrap().len() > 30);
    env.expect(0, &["state", "history"]);
    env.expect(0, &["show"]);
    env.expect(0, &["explain", "ZW3002"]);
    assert!(
        env.expect(0, &["completions", "bash"])
            .stdout
            .contains("zonewright")
    );
    env.expect(0, &["kubeconfig", "--zone", "pz", "-o", "kc"]);
    let meta = std::fs::metadata(env.path().join("kc")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&meta) & 0o777, 0o600);
    assert!(
        std::fs::read_to_string(env.path().join("kc"))
            .unwrap()
            .contains("clusters")
    );
    let events = env.run(&["apply", "--auto-approve", "--format", "json"]);
    for line in events.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["type"].is_string(), "{line}");
    }
}

/// A foreign object with the same name stands in the way, and the error names the way out.
#[test]
fn what_somebody_else_made_is_refused_until_it_is_imported() {
    let env = super::example();
    let ready = env.ready();
    let token = |name: &str| ready.env().into_iter().find(|(n, _)| *n == name).unwrap().1;
    let body = json!({ "name": "vpc-wp-bz", "region": "sfo3", "ip_range": "10.20.0.0/16", "description": "by hand" });
    let (status, made) = env.meddle(
        "POST",
        "/v2/vpcs",
        &token("DIGITALOCEAN_TOKEN"),
        Some(&body),
    );
    assert_eq!(status, 201, "{made}");
    let id = made["vpc"]["id"].as_str().unwrap();
    let refused = env.run(&["plan"]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    let told: String = refused.stderr.split_whitespace().collect();
    assert!(
        told.contains("zonewright--sandboximportbz/digitalocean.vpc.main"),
        "{}",
        refused.text()
    );
    assert_eq!(
        env.run(&["import", "bz/digitalocean.vpc.main", "not-its-id"])
            .code,
        1
    );
    env.clear_requests();
    env.expect(0, &["import", "bz/digitalocean.vpc.main", id]);
    assert!(env.mutations().is_empty());
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_eq!(names(&env, "vpcs"), ["vpc-wp-bz", "vpc-wp-pz"]);
}

#[test]
fn serving_a_world_that_is_served_names_the_one_that_runs() {
    let env = super::example();
    let origin = env.origin();
    let second = env.expect(1, &["sandbox", "serve"]);
    assert!(
        second
            .stdout
            .contains(&format!("DIGITALOCEAN_API_URL={origin}")),
        "{}",
        second.text()
    );
    assert!(
        second.stdout.contains("ZONEWRIGHT_SANDBOX_CONTROL="),
        "{}",
        second.text()
    );
    assert!(second.stderr.contains("already"), "{}", second.text());
    assert!(second.stderr.contains("ZW4010"), "{}", second.text());
}

#[test]
fn a_bad_network_is_reported_once_where_it_is_written() {
    let env = super::example();
    env.edit("zones/bz.toml", "10.20.0.0/16", "10.20.0.5/16");
    let invalid = env.expect(1, &["validate"]);
    assert_eq!(
        invalid.stderr.matches("has host bits set").count(),
        1,
        "{}",
        invalid.text()
    );
    assert!(
        invalid.stderr.contains("zones/bz.toml:6"),
        "{}",
        invalid.text()
    );
}
