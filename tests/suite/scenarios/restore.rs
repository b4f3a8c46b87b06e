//! Strategy B: `restore plan` and the line `backup` (rows BZ-18, BZ-19, BZ-20, BK-16).

use serde_json::Value;
use zonewright_sandbox::fault::Kind;
use zonewright_tests::Env;

use super::primary::made_elsewhere;
use super::verify::{broken, red, token};
use super::{example, names};

const DECISION: &str = r#"date = "2026-11-20"

[database.restore]
source = "${pz/digitalocean.database_cluster.main}"
window = "02:00-04:00 UTC"

[[database.post_restore]]
name = "home address"
sql = "UPDATE wp_options SET option_value = 'https://wp-active.guajiro.xyz' WHERE option_name = 'home'"
check = "SELECT COUNT(*) FROM wp_options WHERE option_name = 'home' AND option_value <> 'https://wp-active.guajiro.xyz'"

[[database.post_restore]]
name = "drop transients"
sql = "DELETE FROM wp_options WHERE option_name LIKE '_transient_%'"
check = "SELECT COUNT(*) FROM wp_options WHERE option_name LIKE '_transient_%'"
"#;

/// The example with the other strategy.
pub(super) fn by_restore() -> Env {
    let env = example();
    decide(&env);
    env
}

fn decide(env: &Env) {
    env.edit(
        "zones/bz.toml",
        "strategy = \"replica\"",
        "strategy = \"restore\"",
    );
    env.edit("zones/bz.toml", "date = \"2026-11-20\"\n", DECISION);
}

fn applied() -> Env {
    let env = by_restore();
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

fn backups(env: &Env, args: &[&str]) {
    let mut words = vec!["sandbox", "database", "wp-pz-mysql"];
    words.extend(args);
    env.expect(0, &words);
}

fn plan(env: &Env) -> Value {
    env.expect(0, &["restore", "plan", "--format", "json"])
        .json()
}

fn refused(env: &Env, exit: i32, code: &str, args: &[&str]) -> String {
    let mut words = vec!["restore", "plan"];
    words.extend(args);
    let output = env.expect(exit, &words);
    assert!(output.stderr.contains(code), "{}", output.text());
    output.stderr
}

/// BZ-19: one backup with its age, and what would be made of it; nothing is sent that changes anything.
#[test]
fn a_restore_comes_down_to_one_backup() {
    let env = applied();
    backups(&env, &["--backup-age", "5m"]);
    let found = plan(&env);
    assert_eq!(found["zone"], "bz");
    assert_eq!(found["source_cluster"]["name"], "wp-pz-mysql");
    assert_eq!(found["newest"], true);
    let age = found["age_seconds"].as_u64().unwrap();
    assert!((300..420).contains(&age), "{age}");
    assert_eq!(
        (&found["meets_rpo"], &found["fresh"]),
        (&true.into(), &true.into())
    );
    assert_eq!(found["target"]["name"], "wp-pz-mysql-bz");
    assert_eq!(found["target"]["region"], "sfo3");
    assert_eq!(found["target"]["size"], "db-s-1vcpu-1gb");
    // BZ-20: in the order of the spec, each with its check.
    let steps = found["post_restore"].as_array().unwrap();
    let named: Vec<&str> = steps.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["home address", "drop transients"]);
    assert!(
        steps
            .iter()
            .all(|s| s["check"].as_str().unwrap().starts_with("SELECT"))
    );
    let text = env.expect(0, &["restore", "plan", "--zone", "bz"]).stdout;
    for said in [
        "the newest of 7",
        "within the RPO of 15m",
        "within the max_age of 1d 2h",
        "02:00-04:00 UTC",
        "2. drop transients (SQL)",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // One is chosen by its time, and is then the one that the vendor restores.
    let path = format!(
        "/v2/databases/{}/backups",
        found["source_cluster"]["id"].as_str().unwrap()
    );
    let (_, listed) = env.meddle("GET", &path, &token(&env), None);
    let mut times: Vec<&str> = listed["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["created_at"].as_str().unwrap())
        .collect();
    times.sort_unstable();
    let oldest = times[0];
    let chosen = env
        .expect(
            0,
            &["restore", "plan", "--backup", oldest, "--format", "json"],
        )
        .json();
    assert_eq!(
        (&chosen["backup"]["created_at"], &chosen["newest"]),
        (&oldest.into(), &false.into())
    );
    env.clear_requests();
    env.expect(0, &["restore", "plan"]);
    assert_eq!(env.mutations(), Vec::<Value>::new());
    assert_eq!(names(&env, "databases"), ["wp-pz-mysql"]);
    env.assert_settled();
}

/// Each thing that stands in the way has its own code, and the exit code says whose fault it is.
#[test]
fn what_stands_in_the_way_of_a_restore_is_named() {
    let mut env = by_restore();
    refused(&env, 1, "ZW4020", &[]);
    env.expect(0, &["apply", "--auto-approve"]);
    let said = refused(&env, 1, "ZW4020", &["--zone", "pz"]);
    assert!(said.contains("absent"), "{said}");
    let said = refused(&env, 1, "there is no zone qz", &["--zone", "qz"]);
    assert!(said.contains("bz, edge, pz"), "{said}");
    refused(&env, 1, "a timestamp like", &["--backup", "yesterday"]);
    backups(&env, &["--backups", "none"]);
    refused(&env, 6, "ZW4021", &[]);
    backups(&env, &["--backup-age", "30h"]);
    let said = refused(&env, 6, "ZW4021", &["--backup", "2001-01-01T00:00:00Z"]);
    assert!(said.contains("it has 2"), "{said}");
    // Too old is said, and refused only by a strict objective.
    let found = plan(&env);
    assert_eq!(
        (&found["meets_rpo"], &found["fresh"]),
        (&false.into(), &false.into())
    );
    env.edit(
        "zonewright.toml",
        "rpo = \"15m\"",
        "rpo = \"15m\"\nstrict = true",
    );
    refused(&env, 6, "ZW4023", &[]);
    env.edit("zonewright.toml", "\nstrict = true", "");
    let window = "window = \"02:00-04:00 UTC\"";
    env.edit(
        "zones/bz.toml",
        window,
        "window = \"02:00-04:00 UTC\"\nname = \"wp-pz-mysql\"",
    );
    let said = refused(&env, 6, "ZW4023", &[]);
    assert!(said.contains("has that name"), "{said}");
    env.edit("zones/bz.toml", "\nname = \"wp-pz-mysql\"", "");
    let strange = Kind::Status {
        code: 400,
        body: None,
        headers: Default::default(),
    };
    env.fault("GET", "/v2/databases/*/backups", 1, strange);
    refused(&env, 1, "ZW6008", &[]);
    env.clear_faults();
    env.set("DIGITALOCEAN_TOKEN", "a-token-of-nobody");
    refused(&env, 9, "ZW6009", &[]);
    env.set("DIGITALOCEAN_TOKEN", "");
    let id = plan(&env)["source_cluster"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, answer) = env.meddle("DELETE", &format!("/v2/databases/{id}"), &token(&env), None);
    assert_eq!(status, 204, "{answer}");
    refused(&env, 6, "ZW4022", &[]);
    assert!(red(&env).contains(&"backup".to_owned()));
}

/// BZ-18: green after an apply; no backup, an old one and a list that does not come make this line red
/// and no other.
#[test]
fn a_backup_that_is_old_or_missing_makes_its_line_red() {
    let env = applied();
    // What backups cannot keep is a gate of its own.
    env.edit("zonewright.toml", "rpo = \"15m\"", "rpo = \"27h\"");
    backups(&env, &["--backup-age", "10m"]);
    assert_eq!(red(&env), Vec::<String>::new());
    let verified = env.expect(0, &["verify", "--zone", "bz", "--only", "backup"]);
    assert!(
        verified.stdout.contains("the newest of 7 is 10m"),
        "{}",
        verified.text()
    );
    let young = || backups(&env, &["--backup-age", "10m"]);
    broken(
        &env,
        &[("backup", "fail", "there is no backup")],
        || backups(&env, &["--backups", "none"]),
        young,
    );
    broken(
        &env,
        &[("backup", "fail", "1d 3h old")],
        || backups(&env, &["--backup-age", "27h"]),
        young,
    );
    // Within the vendor's interval and window, and then beyond what the spec allows.
    backups(&env, &["--backup-age", "25h"]);
    assert_eq!(red(&env), Vec::<String>::new());
    let window = "window = \"02:00-04:00 UTC\"";
    broken(
        &env,
        &[("backup", "fail", "at most 1d")],
        || {
            env.edit(
                "zones/bz.toml",
                window,
                &format!("{window}\nmax_age = \"24h\""),
            )
        },
        || env.edit("zones/bz.toml", "max_age = \"24h\"", "max_age = \"26h\""),
    );
    let readiness = env
        .expect(0, &["readiness", "--zone", "bz", "--format", "json"])
        .json();
    let gates = readiness["zones"][0]["gates"].clone();
    let found = gates
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["check"] == "backup")
        .cloned();
    let found = found.unwrap();
    assert_eq!(found["standing"], "proven", "{found}");
    backups(&env, &["--backups", "none"]);
    env.expect(6, &["readiness", "--zone", "bz"]);
    env.assert_settled();
}

/// The primary is somebody else's and not recorded: its name in the spec finds it. Its runbook does not
/// pretend to change what is only observed.
#[test]
fn a_primary_that_is_only_observed_can_be_restored_from() {
    let env = made_elsewhere();
    decide(&env);
    env.edit("zones/pz.toml", "[zone]\n", "[zone]\nobserve = true\n");
    env.edit("zones/bz.toml", "[zone]\n", "[zone]\nobserve = false\n");
    let ttl = "ttl = 300\n";
    env.edit("zonewright.toml", ttl, "ttl = 300\nobserve = true\n");
    // A name that the spec makes of settings is a name all the same.
    backups(&env, &["--backup-age", "5m"]);
    let found = plan(&env);
    assert_eq!(found["source_cluster"]["name"], "wp-pz-mysql");
    assert_eq!(found["newest"], true);
    env.expect(0, &["apply", "--zone", "bz", "--auto-approve"]);
    env.expect(0, &["verify", "--zone", "bz", "--only", "backup"]);
    backups(&env, &["--backups", "none"]);
    env.expect(6, &["verify", "--zone", "bz", "--only", "backup"]);
    let text = env.expect(0, &["runbook", "--to", "bz"]).stdout;
    for said in [
        "zonewright only observes pz: whoever manages it closes its ways in",
        r"zonewright only observes `edge/cloudflare.dns_record.active`",
        "Start them again, with the replicas that they had.",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    for wrong in ["--zone edge", "zonewright plan --zone pz"] {
        assert!(!text.contains(wrong), "{wrong}: {text}");
    }
}
