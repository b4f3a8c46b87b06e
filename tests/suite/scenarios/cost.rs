//! BZ-02, BZ-28 and contradiction X1: what a plan says of money, time and data at stake.

use serde_json::{Value, json};
use zonewright_sandbox::fault::Kind;

use super::{applied, example};

fn plan(env: &zonewright_tests::Env, args: &[&str]) -> Value {
    let args = [&["plan", "--format", "json"], args].concat();
    env.expect(0, &args).json()
}

fn cents(plan: &Value, zone: &str, when: &str) -> (u64, u64) {
    let cost = &plan["cost"]["zones"][zone][when];
    assert_eq!(cost["unknown"], json!([]), "{cost}");
    let at = |key: &str| cost[key].as_u64().unwrap();
    (at("low_cents"), at("high_cents"))
}

/// BZ-28: each zone's bill before and after; a range where the autoscaler decides; the account's
/// subscription once.
#[test]
fn bz_28_every_plan_says_what_a_month_costs() {
    let env = example();
    let first = plan(&env, &[]);
    assert_eq!(cents(&first, "pz", "now"), (0, 0));
    // One to three nodes at 24.00, a database at 15.15, a load balancer at 12.00.
    assert_eq!(cents(&first, "pz", "then"), (5115, 9915));
    assert_eq!(cents(&first, "bz", "now"), (0, 0));
    assert_eq!(cents(&first, "bz", "then"), (3915, 8715));
    assert_eq!(cents(&first, "edge", "then"), (500, 500));
    assert_eq!(first["cost"]["total"]["change"]["high_cents"], 9915 + 8715);
    assert_eq!(first["cost"]["sources"][0], "digitalocean's API");
    let shown = env.expect(0, &["plan"]).stdout;
    let line = "bz (standby)  nothing -> $39.15 to $87.15 (+$39.15 to +$87.15)";
    assert!(shown.contains(line), "{shown}");
    env.expect(0, &["apply", "--auto-approve"]);
    let settled = plan(&env, &[]);
    assert_eq!(cents(&settled, "bz", "now"), (3915, 8715));
    assert_eq!(cents(&settled, "bz", "then"), (3915, 8715));
    let gone = plan(&env, &["--destroy", "--zone", "bz"]);
    assert_eq!(cents(&gone, "bz", "then"), (0, 0));
    assert_eq!(cents(&gone, "pz", "then"), (5115, 9915));
}

#[test]
fn a_price_that_is_not_known_is_never_nothing() {
    let env = applied();
    env.edit(
        "zones/bz.toml",
        "size = \"db-s-1vcpu-1gb\"",
        "size = \"db-s-8vcpu-32gb\"",
    );
    let plan = plan(&env, &[]);
    let then = &plan["cost"]["zones"]["bz"]["then"];
    assert_eq!(then["unknown"], json!(["mysql/db-s-8vcpu-32gb"]));
    let shown = env.expect(0, &["plan"]).stdout;
    assert!(shown.contains("unknown (mysql/db-s-8vcpu-32gb)"), "{shown}");
}

/// A vendor that tells no prices, or others, makes no plan stale: prices are no part of it.
#[test]
fn prices_are_no_part_of_what_is_approved() {
    let env = example();
    let before = env.expect(0, &["plan", "-o", "p"]);
    assert!(
        before.stdout.contains("digitalocean's API"),
        "{}",
        before.text()
    );
    let silent = Kind::Status {
        code: 403,
        body: None,
        headers: std::collections::BTreeMap::new(),
    };
    env.fault("GET", "/v2/sizes", 1, silent);
    let after = env.expect(0, &["apply", "p"]);
    assert!(
        !after.stdout.contains("digitalocean's API"),
        "{}",
        after.text()
    );
    assert!(
        after.stdout.contains("unchecked for droplet/s-2vcpu-4gb: "),
        "{}",
        after.text()
    );
    env.assert_settled();
}

/// X1: daily backups against an RPO of 15 minutes are said, with the number, or refused.
#[test]
fn x1_daily_backups_do_not_meet_an_rpo_of_minutes() {
    let env = example();
    let fine = plan(&env, &[]);
    let forecast = &fine["forecasts"]["bz"];
    assert_eq!(forecast["data"], "replication");
    assert_eq!(forecast["rpo_seconds"], 60);
    let codes = |plan: &Value| -> Vec<String> {
        let notes = plan["notes"].as_array().unwrap().iter();
        notes
            .filter_map(|n| n["code"].as_str().map(str::to_owned))
            .filter(|c| c.starts_with("ZW302"))
            .collect()
    };
    assert_eq!(codes(&fine), [""; 0]);
    env.edit(
        "zones/bz.toml",
        "strategy = \"replica\"",
        "strategy = \"restore\"",
    );
    let plan = plan(&env, &[]);
    assert_eq!(plan["forecasts"]["bz"]["rpo_seconds"], 93_600);
    assert_eq!(codes(&plan), ["ZW3020"]);
    let shown = env.expect(0, &["plan"]).stdout;
    assert!(
        shown.contains("RPO up to 26h from backups (OUT OF REACH: the objective is 15m)"),
        "{shown}"
    );
    assert!(env.expect(0, &["explain", "ZW3020"]).stdout.contains("RPO"));
    env.edit(
        "zonewright.toml",
        "rpo = \"15m\"",
        "rpo = \"15m\"\nstrict = true",
    );
    let refused = env.expect(6, &["plan"]);
    assert!(refused.stderr.contains("ZW3020"), "{}", refused.text());
    env.edit("zonewright.toml", "rpo = \"15m\"", "rpo = \"27h\"");
    env.expect(0, &["plan"]);
}

/// BZ-02: from nothing to ready takes what the plan that makes the zone says, and the RTO is compared.
#[test]
fn bz_02_the_time_to_ready_is_that_of_the_plan_that_makes_the_zone() {
    let env = example();
    env.expect(
        0,
        &["apply", "--zone", "pz", "--zone", "edge", "--auto-approve"],
    );
    let made = plan(&env, &["--zone", "bz"]);
    let forecast = &made["forecasts"]["bz"];
    assert_eq!(forecast["ready"]["seconds"], made["estimate"]["seconds"]);
    let path = forecast["ready"]["path"].as_array().unwrap();
    assert_eq!(path[0], "bz/digitalocean.vpc.main");
    let rto = forecast["rto_seconds"].as_u64().unwrap();
    assert!((300..1800).contains(&rto), "{rto}");
    env.edit("zonewright.toml", "rto = \"30m\"", "rto = \"2m\"");
    let tight = env.expect(0, &["plan"]).stdout;
    assert!(tight.contains("ZW3021"), "{tight}");
    env.edit("zonewright.toml", "rto = \"2m\"", "rto = \"soon\"");
    let wrong = env.run(&["validate"]);
    assert_ne!(wrong.code, 0);
    assert!(wrong.text().contains("ZW1305"), "{}", wrong.text());
}

/// What really bills in a region, in cents a month: the emulator's own bill.
fn bill(env: &zonewright_tests::Env, region: &str) -> u64 {
    let bill = env.expect(0, &["sandbox", "cost"]).json();
    let here = |item: &&Value| item["region"] == region || item["region"]["slug"] == region;
    let items = bill["items"].as_array().unwrap().iter().filter(here);
    let cents = items.map(|item| item["monthly"].as_f64().unwrap() * 100.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let cents = cents.sum::<f64>().round() as u64;
    cents
}

fn append(env: &zonewright_tests::Env, text: &str) {
    let file = std::fs::read_to_string(env.path().join("zones/bz.toml")).unwrap();
    env.write("zones/bz.toml", &format!("{file}\n{text}"));
}

fn low(plan: &Value, mode: &str) -> u64 {
    let row = &plan["cost"]["by_mode"]["bz"][mode];
    assert_eq!(row["unknown"], json!([]), "{row}");
    row["low_cents"].as_u64().unwrap()
}

/// BZ-28: the plan says what each posture costs, whichever the zone is in; each number is what bills once
/// the zone is in that posture. An autoscaler begins at the low end.
#[test]
fn bz_28_what_each_posture_costs_is_what_bills_in_it() {
    let env = applied();
    let said = plan(&env, &[]);
    assert_eq!(said["cost"]["by_mode"]["bz"]["cold"]["current"], true);
    assert_eq!(low(&said, "cold"), bill(&env, "sfo3"));
    let text = env.expect(0, &["plan", "--zone", "bz"]).stdout;
    assert!(text.contains("    off     nothing\n"), "{text}");
    assert!(text.contains("(now)\n    warm    $"), "{text}");
    for posture in ["warm", "off", "cold"] {
        let change = ["posture", "--zone", "bz", posture, "--auto-approve"];
        let shown = env.expect(0, &change).stdout;
        assert!(shown.contains("  bz by posture\n"), "{shown}");
        assert_eq!(low(&said, posture), bill(&env, "sfo3"), "{posture}");
        assert_eq!(
            plan(&env, &[])["cost"]["by_mode"]["bz"][posture]["current"],
            true
        );
    }
    assert_eq!(low(&said, "off"), 0);
    env.assert_settled();
    env.edit("zonewright.toml", "active = \"pz\"", "active = \"bz\"");
    env.expect(0, &["apply", "--auto-approve", "--accept", "ZW3030"]);
    assert_eq!(low(&said, "active"), bill(&env, "sfo3"));
    env.assert_settled();
}

/// What another posture would cost is nothing that a plan is approved with, and nobody is asked for it.
#[test]
fn bz_28_other_postures_are_no_part_of_a_plan() {
    let env = applied();
    env.expect(0, &["plan", "-o", "p"]);
    env.clear_requests();
    plan(&env, &[]);
    let asked = env.requests().len();
    append(
        &env,
        "[posture.warm.digitalocean.database_replica.main]\nsize = \"db-s-2vcpu-4gb\"\n",
    );
    env.clear_requests();
    let said = plan(&env, &[]);
    assert_eq!(env.requests().len(), asked);
    assert_eq!(low(&said, "warm"), low(&said, "cold") - 1515 + 6090);
    env.expect(0, &["apply", "p"]);
    env.assert_settled();
}

/// A posture that the spec cannot be read with has no price, and says why.
#[test]
fn bz_28_a_posture_with_a_mistake_costs_nobody_knows_what() {
    let env = example();
    append(
        &env,
        "[posture.warm.digitalocean.database_replica.main]\nsizes = 1\n",
    );
    let json = env.expect(0, &["cost", "--format", "json"]).json();
    assert!(
        json["by_mode"]["bz"]["warm"]["error"]
            .as_str()
            .unwrap()
            .contains("ZW")
    );
}

/// From the spec alone: nobody is asked, and a database that a restore makes counts for the zone that
/// serves.
#[test]
fn bz_28_the_cost_of_a_zone_without_anybody_to_ask() {
    let env = example();
    env.client();
    env.clear_requests();
    let json = env.expect(0, &["cost", "--format", "json"]).json();
    assert_eq!(env.requests(), Vec::<Value>::new());
    assert_eq!(json["by_mode"]["pz"]["active"]["low_cents"], 5115);
    assert_eq!(json["by_mode"]["bz"]["active"]["low_cents"], 5115);
    assert_eq!(json["account"]["low_cents"], 500);
    let table = env
        .expect(0, &["cost", "--zone", "bz", "--format", "markdown"])
        .stdout;
    assert!(table.contains("| bz | off | nothing |"), "{table}");
    assert!(!table.contains("| pz |"), "{table}");
    env.expect(1, &["cost", "--zone", "xx"]);
    let decision = "strategy = \"replica\"";
    let restore = "\n[database.restore]\nsource = \"${pz/digitalocean.database_cluster.main}\"\nbackup = \"latest\"\nsize = \"db-s-1vcpu-2gb\"\n";
    env.edit("zones/bz.toml", decision, "strategy = \"restore\"");
    env.edit(
        "zones/bz.toml",
        "date = \"2026-11-20\"\n",
        &format!("date = \"2026-11-20\"\n{restore}"),
    );
    let json = env.expect(0, &["cost", "--format", "json"]).json();
    assert_eq!(json["by_mode"]["bz"]["cold"]["low_cents"], 2400);
    assert_eq!(
        json["by_mode"]["bz"]["active"]["low_cents"],
        2400 + 3045 + 1200
    );
}
