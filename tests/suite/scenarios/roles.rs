//! Roles, postures, exposure and the database decision of zones (rows BZ-03, BZ-14, BZ-21, BZ-28).

use serde_json::Value;
use zonewright_sandbox::fault::Kind;

use super::{applied, example, names, record_documents, records};

const LOAD_BALANCER: &str = "\n[kubernetes.manifest.stray]\nobject = { apiVersion = \"v1\", kind = \"Service\", metadata = { name = \"stray\", namespace = \"app\" }, spec = { type = \"LoadBalancer\", selector = { app = \"wp\" }, ports = [{ port = 80 }] } }\n";

fn append(env: &zonewright_tests::Env, file: &str, text: &str) {
    let old = std::fs::read_to_string(env.path().join(file)).unwrap();
    env.write(file, &format!("{old}{text}"));
}

fn replicas(env: &zonewright_tests::Env, cluster: &str) -> Vec<u64> {
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let found = clusters.iter().find(|c| c["name"] == cluster).unwrap();
    let id = found["id"].as_str().unwrap();
    let dump = env.dump();
    let tables = dump["kubernetes"].as_object().unwrap();
    tables
        .iter()
        .filter(|(name, _)| name.contains(id) && name.ends_with("/deployments"))
        .flat_map(|(_, rows)| rows.as_object().unwrap().values())
        .filter(|d| d["metadata"]["name"] == "wp")
        .filter_map(|d| d["spec"]["replicas"].as_u64())
        .collect()
}

/// What bills in the backup zone's region, by the ground truth of `sandbox cost`, in US dollars a month.
fn monthly(env: &zonewright_tests::Env) -> f64 {
    let cost = env.expect(0, &["sandbox", "cost"]).json();
    let items = cost["items"].as_array().unwrap().iter();
    let here = items.filter(|item| {
        let region = &item["region"];
        region == "sfo3" || region["slug"] == "sfo3"
    });
    here.map(|item| item["monthly"].as_f64().unwrap()).sum()
}

/// BZ-28, BZ-21: off -> warm -> cold -> off, each followed by an empty plan and paid for as it should be.
#[test]
fn postures_go_round_and_off_bills_nothing() {
    let env = example();
    env.edit("zones/bz.toml", "posture = \"cold\"", "posture = \"off\"");
    env.expect(0, &["apply", "--auto-approve"]);
    let cluster = "wp-bz-doks-sfo3";
    let off = || {
        assert_eq!(names(&env, "kubernetes_clusters"), ["wp-pz-doks-nyc3"]);
        assert_eq!(names(&env, "vpcs"), ["vpc-wp-pz"]);
        assert_eq!(names(&env, "database_replicas"), [""; 0]);
        assert_eq!(records(&env).len(), 3, "the reservation stays");
        assert_eq!(monthly(&env), 0.0);
        for command in ["verify", "smoke"] {
            let said = env.expect(6, &[command, "--zone", "bz"]);
            assert!(said.stderr.contains("zone bz is off"), "{}", said.text());
        }
        env.assert_settled();
    };
    off();
    // A node at 24.00 and a replica at 15.15; nothing that runs in the node bills by itself.
    for (posture, count) in [("warm", 1), ("cold", 0)] {
        env.expect(0, &["posture", "--zone", "bz", posture, "--auto-approve"]);
        assert_eq!(replicas(&env, cluster), [count]);
        assert_eq!(monthly(&env), 39.15, "{posture}");
        env.assert_settled();
    }
    env.expect(0, &["posture", "--zone", "bz", "off", "--auto-approve"]);
    off();
}

/// Who asks for JSON reads JSON, also of what is edited and of what is refused.
#[test]
fn a_posture_talks_json_to_programs() {
    let env = applied();
    let check = |code: i32, args: &[&str]| {
        let args = [&["posture", "--format", "json"], args].concat();
        let output = env.expect(code, &args);
        let lines: Vec<Value> = [&output.stderr, &output.stdout]
            .iter()
            .flat_map(|text| text.lines())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        lines
    };
    let warm = check(0, &["--zone", "bz", "warm", "--auto-approve"]);
    let edit = |l: &Value| l["message"].as_str().is_some_and(|m| m.contains("posture"));
    assert!(warm.iter().any(edit), "{warm:#?}");
    for refused in [&["--zone", "pz", "warm"][..], &["--zone", "bz", "cold"]] {
        let lines = check(6, refused);
        assert!(lines.iter().any(|l| l["error"]["exit"] == 6), "{lines:#?}");
    }
    env.assert_settled();
}

/// BZ-28, BZ-21: cold -> warm -> off -> cold, each followed by an empty plan.
#[test]
fn a_posture_is_an_edit_a_plan_and_an_apply() {
    let env = applied();
    assert_eq!(replicas(&env, "wp-bz-doks-sfo3"), [0]);
    let warm = ["posture", "--zone", "bz", "warm", "--auto-approve"];
    let said = env.expect(0, &warm);
    assert!(said.text().contains("bz: standby, warm"), "{}", said.text());
    assert_eq!(replicas(&env, "wp-bz-doks-sfo3"), [1]);
    env.assert_settled();
    env.expect(0, &["posture", "--zone", "bz", "off", "--auto-approve"]);
    assert_eq!(names(&env, "kubernetes_clusters"), ["wp-pz-doks-nyc3"]);
    assert_eq!(names(&env, "vpcs"), ["vpc-wp-pz"]);
    for table in ["load_balancers", "volumes"] {
        let left = env.table("digitalocean", table);
        let of_bz = left.iter().filter(|d| d["region"]["slug"] == "sfo3");
        assert_eq!(of_bz.count(), 0, "{table}: {left:?}");
    }
    let bills = env.table("digitalocean", "database_replicas");
    assert!(bills.is_empty(), "{bills:?}");
    assert_eq!(records(&env).len(), 3, "the reservation stays");
    env.assert_settled();
    env.expect(0, &["posture", "--zone", "bz", "cold", "--auto-approve"]);
    assert_eq!(replicas(&env, "wp-bz-doks-sfo3"), [0]);
    env.assert_settled();
}

/// A run that ends before anything is sent leaves the spec alone; one that was cut off is gone on with by
/// a plain apply.
#[test]
fn the_edit_of_a_posture_is_written_once_its_plan_is_approved() {
    let mut env = applied();
    let file = env.path().join("zones/bz.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let warm = ["posture", "--zone", "bz", "warm", "--auto-approve"];
    env.set("DIGITALOCEAN_TOKEN", "a-token-of-nobody");
    env.expect(9, &warm);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    env.set("DIGITALOCEAN_TOKEN", "");
    let refuse = Kind::Status {
        code: 400,
        body: None,
        headers: Default::default(),
    };
    env.fault("PATCH", "/clusters/*", 1, refuse);
    env.expect(3, &warm);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    env.clear_faults();
    env.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(replicas(&env, "wp-bz-doks-sfo3"), [1]);
    env.assert_settled();
}

#[test]
fn the_zone_that_serves_has_no_posture_and_a_refusal_leaves_the_file_alone() {
    let env = example();
    let refused = env.expect(6, &["posture", "--zone", "pz", "off", "--auto-approve"]);
    assert!(refused.stderr.contains("serves"), "{}", refused.text());
    env.expect(
        1,
        &["posture", "--zone", "bz", "lukewarm", "--auto-approve"],
    );
    let file = env.path().join("zones/bz.toml");
    append(&env, "zones/bz.toml", LOAD_BALANCER);
    let before = std::fs::read_to_string(&file).unwrap();
    env.expect(6, &["posture", "--zone", "bz", "warm", "--auto-approve"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

/// BZ-14: what would expose the standby is refused with its place, and nothing is sent.
#[test]
fn a_standby_that_would_be_exposed_is_refused() {
    let env = example();
    append(&env, "zones/bz.toml", LOAD_BALANCER);
    env.client();
    env.clear_requests();
    let refused = env.expect(6, &["plan"]);
    for part in [
        "stray",
        "a Service of type",
        "zones/bz.toml:",
        "zone.exposed",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.text());
    }
    assert!(env.mutations().is_empty());
    // The zone that serves may have one.
    let env = example();
    append(
        &env,
        "zones/pz.toml",
        &LOAD_BALANCER.replace(
            "\nobject",
            "\nzonewright = { enabled = \"${zone.exposed}\" }\nobject",
        ),
    );
    env.expect(0, &["plan"]);
}

/// A standby may be exposed by decision; then that is said when the spec is read and in each plan.
#[test]
fn a_standby_that_is_exposed_by_decision_is_a_danger() {
    let env = example();
    let says = |expected: bool| {
        let valid = env.expect(0, &["validate"]).text();
        assert_eq!(valid.contains("ZW1408"), expected, "{valid}");
        let plan = env.expect(0, &["plan"]).stdout;
        let danger = plan.contains("zone bz stands by and is reachable from outside");
        assert_eq!(danger, expected, "{plan}");
    };
    says(false);
    let standby = |exposed: &str| format!("[role.standby.zone]\nexposed = {exposed}");
    env.edit("zones/pz.toml", &standby("false"), &standby("true"));
    says(true);
    env.edit("zones/bz.toml", "posture = \"cold\"", "posture = \"off\"");
    says(false);
}

/// BZ-14, the trap: an ingress controller of a chart, whose Service decides and not its pods.
#[test]
fn a_chart_that_brings_a_load_balancer_into_the_standby_is_refused() {
    let env = example();
    append(
        &env,
        "zones/bz.toml",
        "\n[kubernetes.chart.traefik]\nzonewright = { enabled = true }\n",
    );
    let refused = env.expect(6, &["plan", "--zone", "bz", "--zone", "pz"]);
    assert!(
        refused.stderr.contains("core/Service/platform/traefik"),
        "{}",
        refused.text()
    );
}

/// BZ-03: no default, and shown in every plan.
#[test]
fn the_database_decision_is_shown_and_has_no_default() {
    let env = example();
    let plan = env.expect(0, &["plan"]);
    assert!(plan.stdout.contains("bz: standby, cold"), "{}", plan.text());
    assert!(plan.stdout.contains("data by replica"), "{}", plan.text());
    let json = env.expect(0, &["plan", "--format", "json"]).json();
    assert_eq!(json["zones"]["bz"]["posture"], "cold");
    assert_eq!(json["zones"]["bz"]["database"]["date"], "2026-11-20");
    env.edit("zones/bz.toml", "strategy = \"replica\"\n", "");
    let missing = env.expect(1, &["validate"]);
    assert!(
        missing.text().contains("`strategy` is missing"),
        "{}",
        missing.text()
    );
}

/// X6: neither replica nor restore.
#[test]
fn an_empty_database_in_the_standby_is_refused() {
    let env = example();
    env.edit(
        "zones/bz.toml",
        "[digitalocean.database_cluster.main]\nzonewright = { enabled = false }",
        "[digitalocean.database_cluster.main]\nzonewright = { enabled = true }",
    );
    let refused = env.expect(6, &["plan"]);
    assert!(
        refused.stderr.contains("neither a replica nor restored"),
        "{}",
        refused.text()
    );
}

/// Swapping `active` promotes nothing and moves traffic only to what is ready.
#[test]
fn a_swap_of_roles_says_what_it_does_not_do() {
    let env = applied();
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    let edge = env.expect(6, &["plan", "--zone", "edge"]);
    assert!(edge.stderr.contains("would point at"), "{}", edge.text());
    let plan = env.expect(0, &["plan"]);
    assert!(plan.stdout.contains("ZW3030"), "{}", plan.text());
    // Nobody leads users to a database that takes no writes by mistake.
    env.clear_requests();
    let apply = env.expect(6, &["apply", "--auto-approve"]);
    assert!(apply.stderr.contains("--accept ZW3030"), "{}", apply.text());
    assert_eq!(env.mutations(), Vec::<serde_json::Value>::new());
    env.edit(
        "zones/bz.toml",
        "strategy = \"replica\"",
        "strategy = \"restore\"",
    );
    let restore = env.expect(6, &["plan"]);
    assert!(
        restore.stderr.contains("there is none yet"),
        "{}",
        restore.text()
    );
}

/// The public name moves when the zone that takes over has its way in, and the way into the other zone
/// goes after that.
#[test]
fn traffic_moves_between_the_coming_and_the_going_of_the_ways_in() {
    let env = applied();
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    env.clear_requests();
    env.expect(0, &["apply", "--auto-approve", "--accept", "ZW3030"]);
    let flipped = record_documents(&env)
        .into_iter()
        .find(|d| d["name"] == "wp-active.guajiro.xyz")
        .unwrap();
    assert_eq!(flipped["content"], "wp-bz.guajiro.xyz");
    let id = flipped["id"].as_str().unwrap();
    let mutations = env.mutations();
    let places = |method: &str, part: &str| -> Vec<usize> {
        let hit = |r: &serde_json::Value| {
            r["method"] == method && r["path"].as_str().unwrap().contains(part)
        };
        (0..mutations.len())
            .filter(|i| hit(&mutations[*i]))
            .collect()
    };
    let flip = places("PATCH", id);
    assert_eq!(flip.len(), 1, "{mutations:#?}");
    let comes = places("PATCH", "/services/traefik");
    let goes = places("DELETE", "/services/traefik");
    assert!(!comes.is_empty() && !goes.is_empty(), "{mutations:#?}");
    assert!(comes.iter().all(|i| *i < flip[0]), "{mutations:#?}");
    assert!(goes.iter().all(|i| *i > flip[0]), "{mutations:#?}");
    env.assert_settled();
    // What serves has to take writes, and nobody promoted it.
    let mode = ["verify", "--zone", "bz", "--only", "database-mode"];
    let mode = env.expect(6, &mode);
    assert!(mode.stdout.contains("read_only is ON"), "{}", mode.text());
}

/// The replica of bz is promoted by hand.
fn promoted() -> zonewright_tests::Env {
    let env = applied();
    let databases = env.table("digitalocean", "database_replicas");
    let source = env.table("digitalocean", "databases");
    let source = source.iter().find(|d| d["name"] == "wp-pz-mysql").unwrap();
    assert_eq!(databases.len(), 1, "{databases:?}");
    let path = format!(
        "/v2/databases/{}/replicas/wp-bz-mysql/promote",
        source["id"].as_str().unwrap()
    );
    let (status, answer) = env.meddle("PUT", &path, &super::verify::token(&env), None);
    assert_eq!(status, 204, "{answer}");
    env
}

/// What was promoted holds the only data: it does not go like a replica, however it is tried.
#[test]
fn a_promoted_replica_is_no_replica_any_more() {
    let env = promoted();
    let refused = |args: &[&str]| {
        let output = env.expect(6, args);
        let said: String = output.stderr.split_whitespace().collect();
        assert!(said.contains("ZW3125"), "{}", output.text());
        assert!(
            said.contains("bz/digitalocean.database_replica.main"),
            "{}",
            output.text()
        );
    };
    env.clear_requests();
    refused(&["destroy", "--zone", "bz", "--auto-approve"]);
    refused(&["posture", "--zone", "bz", "off", "--auto-approve"]);
    let on = "zonewright = { enabled = \"${zone.database.replica}\", protect = false }";
    let off = "zonewright = { enabled = false, protect = false }";
    let text = std::fs::read_to_string(env.path().join("zones/bz.toml")).unwrap();
    let without = text
        .replace(on, off)
        .replace("enabled = \"${zone.database.replica}\"", "enabled = false");
    env.write("zones/bz.toml", &without);
    refused(&["apply", "--auto-approve"]);
    // Nor is it replaced.
    env.write(
        "zones/bz.toml",
        &text.replace("name = \"wp-${zone.name}-mysql\"", "name = \"wp-other\""),
    );
    refused(&["plan"]);
    assert_eq!(env.mutations(), Vec::<serde_json::Value>::new());
    // Said to be the writer it is, it goes like any database: unprotected.
    env.write(
        "zones/bz.toml",
        &text.replace(on, &format!("role = \"primary\"\n{on}")),
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    let left = env.table("digitalocean", "databases");
    assert!(left.iter().all(|d| d["name"] != "wp-bz-mysql"), "{left:?}");
}

/// A zone whose data another one follows is not destroyed; what is in the way, and what to do about it, is
/// said, and nothing that would lose data is advised.
#[test]
fn what_keeps_a_zone_from_being_destroyed_is_named() {
    let env = applied();
    let squash = |text: &str| -> String {
        let frame = |c: &char| !c.is_whitespace() && *c != '│';
        text.chars().filter(frame).collect()
    };
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    env.expect(0, &["apply", "--auto-approve", "--accept", "ZW3030"]);
    env.clear_requests();
    let destroy = ["destroy", "--zone", "pz", "--auto-approve"];
    let output = env.expect(6, &destroy);
    for words in [
        "bz/digitalocean.database_replica.main is a read-replica of it (zones/bz.toml:",
        "promote bz/digitalocean.database_replica.main first (`zonewright --sandbox runbook --to bz`",
        "bz/kubernetes.secret.db refers to it (zones/bz.toml:",
        "let bz/kubernetes.secret.db refer to something that stays",
    ] {
        assert!(
            squash(&output.stderr).contains(&squash(words)),
            "{words}: {}",
            output.text()
        );
    }
    assert!(
        !squash(&output.stderr).contains("protect=false"),
        "{}",
        output.text()
    );
    // Promoted, it needs its former source no more.
    let on = "zonewright = { enabled = \"${zone.database.replica}\", protect = false }";
    env.edit("zones/bz.toml", on, &format!("role = \"primary\"\n{on}"));
    env.expect(0, &["apply", "--auto-approve"]);
    let output = env.expect(6, &destroy);
    let source = env.table("digitalocean", "databases");
    let source = source.iter().find(|d| d["name"] == "wp-pz-mysql").unwrap();
    let id = source["id"].as_str().unwrap();
    let words = format!("write its id, `{id}`, where the reference stands");
    assert!(
        squash(&output.stderr).contains(&squash(&words)),
        "{}",
        output.text()
    );
    env.edit(
        "zones/bz.toml",
        "source = \"${pz/digitalocean.database_cluster.main.id}\"",
        &format!("source = \"{id}\""),
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    let output = env.expect(6, &destroy);
    assert!(
        !squash(&output.stderr).contains("database_replica.main"),
        "{}",
        output.text()
    );
    env.assert_settled();
}
