//! `restore finish` (row BZ-20): steps after a restore, done once, and what becomes of those that fail.

use std::process::Child;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use serde_json::{Value, json};
use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish};

use super::example;
use super::restore::by_restore;
use super::verify::{meddle, token};

const NAME: &str = "wp-pz-mysql-bz";

/// The vendor's cluster that the restore makes, once it is ready.
fn cluster(env: &Env) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, all) = env.meddle("GET", "/v2/databases", &token(env), None);
        let all = all["databases"].as_array().unwrap();
        let found = all.iter().find(|d| d["name"] == NAME).unwrap();
        if found["status"] == "online" {
            return found.clone();
        }
        assert!(Instant::now() < until, "{found}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What somebody types into the restored database.
fn sql(env: &Env, statements: &[&str]) -> Option<String> {
    let connection = cluster(env)["connection"].clone();
    let text = |key: &str| connection[key].as_str().unwrap().to_owned();
    let at = env.ready().endpoints().mysql;
    env.wait(async {
        zonewright_providers::install_crypto();
        let tls = SslOpts::default()
            .with_danger_accept_invalid_certs(true)
            .with_danger_tls_hostname_override(Some(text("host")));
        let options = OptsBuilder::default()
            .ip_or_hostname(at.ip().to_string())
            .tcp_port(at.port())
            .user(Some(text("user")))
            .pass(Some(text("password")))
            .db_name(Some("wp_prod"))
            .prefer_socket(false)
            .ssl_opts(tls);
        let mut conn = Conn::new(options).await.unwrap();
        let mut last = None;
        for statement in statements {
            last = conn.query_first(*statement).await.unwrap();
        }
        conn.disconnect().await.unwrap();
        last
    })
}

/// A restored cluster with a small table.
fn restored() -> Env {
    let env = by_restore();
    env.expect(0, &["apply", "--auto-approve"]);
    let backup = ["sandbox", "database", "wp-pz-mysql", "--backup-age", "5m"];
    env.expect(0, &backup);
    let plan = env
        .expect(0, &["restore", "plan", "--format", "json"])
        .json();
    let body = json!({
        "name": plan["target"]["name"], "size": plan["target"]["size"],
        "region": plan["target"]["region"], "engine": "mysql", "version": "8", "num_nodes": 1,
        "backup_restore": {"database_name": "wp-pz-mysql",
            "backup_created_at": plan["backup"]["created_at"]},
    });
    let (status, made) = env.meddle("POST", "/v2/databases", &token(&env), Some(&body));
    assert_eq!(status, 201, "{made}");
    fill(&env);
    env
}

/// What came with the backup.
pub(super) fn fill(env: &Env) {
    sql(
        env,
        &[
            "CREATE TABLE wp_options (option_name varchar(191) PRIMARY KEY, option_value longtext)",
            "INSERT INTO wp_options VALUES ('home', 'https://pz'), ('_transient_a', '1')",
        ],
    );
}

fn run(env: &Env, exit: i32, args: &[&str]) -> Value {
    let mut words = vec!["restore", "finish", "--format", "json"];
    words.extend(args);
    env.expect(exit, &words).json()
}

fn standings(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|s| s["standing"].as_str().unwrap())
        .collect()
}

fn add_step(env: &Env, name: &str, run: &str, check: &str) {
    let path = env.path().join("zones/bz.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let step = format!("[[database.post_restore]]\nname = {name:?}\n{run}\ncheck = {check:?}\n\n");
    let (decision, rest) = text.split_once("# No writer, database").unwrap();
    std::fs::write(
        &path,
        format!("{decision}{step}# No writer, database{rest}"),
    )
    .unwrap();
}

/// BZ-20: looking changes nothing, nobody's approval is no approval, and the second run does nothing.
#[test]
fn steps_after_a_restore_are_done_once() {
    let env = restored();
    let home = "SELECT option_value FROM wp_options WHERE option_name = 'home'";
    let looked = run(&env, 0, &["--dry-run"]);
    assert_eq!(standings(&looked), ["needed", "needed"], "{looked}");
    let metrics = env.expect(0, &["metrics", "--recorded"]).stdout;
    assert!(!metrics.contains("restore_verified"), "{metrics}");
    assert_eq!(
        (&looked["zone"], &looked["database"], &looked["dry_run"]),
        (&json!("bz"), &json!("wp_prod"), &json!(true))
    );
    let unasked = env.expect(6, &["restore", "finish"]).stderr;
    assert!(unasked.contains("--auto-approve"), "{unasked}");
    assert_eq!(sql(&env, &[home]).as_deref(), Some("https://pz"));
    let text = env
        .expect(0, &["restore", "finish", "--auto-approve"])
        .stdout;
    for said in [
        "steps after the restore of zone bz",
        "1. done        home address (SQL)",
        "2 done, 0 not needed.",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(
        sql(&env, &[home]).as_deref(),
        Some("https://wp-active.guajiro.xyz")
    );
    let again = run(&env, 0, &[]);
    assert_eq!(standings(&again), ["not_needed", "not_needed"], "{again}");
    let proven = "zonewright_restore_verified_timestamp_seconds{zone=\"bz\"} ";
    let metrics = env.expect(0, &["metrics", "--recorded"]).stdout;
    assert!(metrics.contains(proven), "{metrics}");
    // Nothing of it is a change that a plan would see.
    env.assert_settled();
}

/// The block of TOML after a heading of a document.
fn documented(file: &str, heading: &str) -> String {
    let text = std::fs::read_to_string(zonewright_tests::root().join(file)).unwrap();
    let (_, rest) = text.split_once(heading).unwrap();
    let (_, block) = rest.split_once("```toml\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// The example of `docs/zones.md` can be followed to its end in the sandbox, with the first steps of
/// `docs/restore.md` for what the sandbox's WordPress does not make.
#[test]
fn the_documented_steps_can_be_rehearsed() {
    let env = restored();
    sql(&env, &["DROP TABLE wp_options"]);
    let first = documented("docs/restore.md", "## Rehearsed in the sandbox");
    let decision = documented("docs/zones.md", "**The database decision**");
    let (_, example) = decision.split_once("[[database.post_restore]]").unwrap();
    let path = env.path().join("zones/bz.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("[[database.post_restore]]").unwrap();
    let (_, rest) = rest.split_once("# No writer, database").unwrap();
    let steps = format!("{first}\n[[database.post_restore]]{example}");
    let text = format!("{before}{steps}\n# No writer, database{rest}");
    env.write("zones/bz.toml", &text);
    let done = run(&env, 0, &["--auto-approve"]);
    assert_eq!(standings(&done), ["done"; 3], "{done}");
    let home = "SELECT option_value FROM wp_options WHERE option_name = 'home'";
    let home = sql(&env, &[home]);
    assert_eq!(home.as_deref(), Some("https://wp-active.example.org"));
    let again = run(&env, 0, &["--auto-approve"]);
    assert_eq!(standings(&again), ["not_needed"; 3], "{again}");
    env.assert_settled();
}

/// BZ-20: what fails stops the rest, and the exit code says whether anything may have been changed.
#[test]
fn a_step_that_fails_stops_the_rest() {
    let env = restored();
    add_step(
        &env,
        "broken",
        "sql = \"UPDATE nothing SET a = 1\"",
        "SELECT 1",
    );
    add_step(
        &env,
        "after",
        "sql = \"DELETE FROM wp_options\"",
        "SELECT 1",
    );
    let output = env.expect(
        3,
        &["restore", "finish", "--auto-approve", "--format", "json"],
    );
    let stands = ["done", "done", "failed", "not_run"];
    assert_eq!(standings(&output.json()), stands);
    assert!(output.stderr.contains("ZW4026"), "{}", output.text());
    let password = cluster(&env)["connection"]["password"].clone();
    assert!(!output.text().contains(password.as_str().unwrap()));
    let left = sql(&env, &["SELECT COUNT(*) FROM wp_options"]);
    assert_eq!(left.as_deref(), Some("1"));
    // A check that cannot be asked, before anything was done.
    sql(&env, &["DROP TABLE wp_options"]);
    let looked = run(&env, 1, &["--dry-run"]);
    assert_eq!(standings(&looked), ["failed", "failed", "needed", "needed"]);
    let output = run(&env, 1, &["--auto-approve"]);
    assert_eq!(
        standings(&output),
        ["failed", "not_run", "not_run", "not_run"]
    );
}

/// BZ-20: steps are for a server that was restored and takes writes.
#[test]
fn steps_are_refused_where_nothing_was_restored() {
    let env = example();
    env.expect(0, &["apply", "--auto-approve"]);
    let said = env.expect(1, &["restore", "finish", "--zone", "bz"]).stderr;
    assert!(
        said.contains("ZW4020") && said.contains("replica"),
        "{said}"
    );
    let env = by_restore();
    env.expect(0, &["apply", "--auto-approve"]);
    let said = env.expect(1, &["restore", "finish"]).stderr;
    assert!(said.contains("ZW4024") && said.contains(NAME), "{said}");
    let env = restored();
    env.expect(0, &["sandbox", "database", NAME, "--read-only", "true"]);
    let said = env
        .expect(6, &["restore", "finish", "--auto-approve"])
        .stderr;
    assert!(
        said.contains("ZW4025") && said.contains("read-only"),
        "{said}"
    );
    env.expect(0, &["sandbox", "database", NAME, "--read-only", "false"]);
    let said = env.expect(1, &["restore", "finish", "--database", "wp_none"]);
    assert!(said.stderr.contains("wp_none"), "{}", said.text());
}

/// A restored cluster and a step that is a Job.
fn with_job() -> Env {
    let env = restored();
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: rebuild, namespace: app }\nspec:\n  \
               template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - { name: a, image: a }\n";
    env.write("jobs/rebuild.yaml", job);
    let check = "SELECT COUNT(*) = 0 FROM wp_options WHERE option_name = 'rebuilt'";
    add_step(&env, "rebuild", "job = \"jobs/rebuild.yaml\"", check);
    env
}

/// A run whose Job is made and whose answer is held. What the Job would do is done by the test: the
/// sandbox runs no programs.
fn job_is_made(env: &Env) -> Child {
    env.fault("PATCH", "*/jobs/rebuild*", 1, Kind::HoldAfter);
    let mut child: Child = env.spawn(&["restore", "finish", "--auto-approve", "--format", "json"]);
    assert!(env.wait_held(&mut child), "the Job is made");
    child
}

/// BZ-20: a step may be a Job in the zone's cluster; it is gone afterwards.
#[test]
fn a_step_may_be_a_job() {
    let env = with_job();
    let child = job_is_made(&env);
    sql(&env, &["INSERT INTO wp_options VALUES ('rebuilt', '1')"]);
    env.clear_faults();
    let output = finish(Ok(child));
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(standings(&output.json()), ["done", "done", "done"]);
    let left = || env.dump().to_string().contains("zonewright.dev/probe");
    assert!(!left());
    // One that does not do what its check asks for.
    sql(&env, &["DELETE FROM wp_options"]);
    let report = run(&env, 3, &["--auto-approve"]);
    assert_eq!(standings(&report), ["not_needed", "not_needed", "failed"]);
    assert!(!left());
}

/// BZ-20: what probes remove is their own; a Job that changes data is not.
#[test]
fn a_verification_leaves_the_job_of_a_step_alone() {
    let env = with_job();
    let child = job_is_made(&env);
    env.expect(0, &["verify", "--zone", "bz", "--only", "certificate"]);
    sql(&env, &["INSERT INTO wp_options VALUES ('rebuilt', '1')"]);
    env.clear_faults();
    let output = finish(Ok(child));
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(standings(&output.json()), ["done", "done", "done"]);
    env.assert_settled();
}

/// BZ-20: of two runs at once the second is refused, and the Job of the first is its own.
#[test]
fn of_two_runs_at_once_the_second_is_refused() {
    let env = with_job();
    let child = job_is_made(&env);
    let second = env.expect(5, &["restore", "finish", "--auto-approve"]);
    assert!(
        second.stderr.contains("restore finish"),
        "{}",
        second.text()
    );
    // Looking takes nothing away from anybody.
    let look = run(&env, 0, &["--dry-run"]);
    assert_eq!(standings(&look), ["not_needed", "not_needed", "needed"]);
    let made = env.mutations();
    let jobs = |r: &&Value| r["path"].as_str().unwrap().contains("/jobs/");
    assert_eq!(made.iter().filter(jobs).count(), 1, "{made:?}");
    sql(&env, &["INSERT INTO wp_options VALUES ('rebuilt', '1')"]);
    env.clear_faults();
    let output = finish(Ok(child));
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(standings(&output.json()), ["done", "done", "done"]);
    // Once it is over, the next one finds nothing to do.
    let next = run(&env, 0, &["--auto-approve"]);
    assert_eq!(standings(&next), ["not_needed"; 3]);
    env.assert_settled();
}

/// BZ-20: a Job that somebody took away may have changed anything.
#[test]
fn a_job_that_was_taken_away_is_in_doubt() {
    let env = with_job();
    let child = job_is_made(&env);
    let job = "/apis/batch/v1/namespaces/app/jobs/rebuild";
    meddle(&env, "bz", "DELETE", job, None);
    env.clear_faults();
    let output = finish(Ok(child));
    assert_eq!(output.code, 8, "{}", output.text());
    let report = output.json();
    assert_eq!(standings(&report), ["done", "done", "in_doubt"]);
    let why = report["steps"][2]["why"].as_str().unwrap();
    assert!(why.contains("somebody removed it"), "{why}");
    env.assert_settled();
}
