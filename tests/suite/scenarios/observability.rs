//! OB-01 to OB-10: what watches the zones from outside, checked by the tools that will read it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use zonewright_tests::{Env, skip};

use super::example;
use super::restore::by_restore;

/// A tool of the Debian packages, or a skipped test.
pub(super) fn tool(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(name);
    if !path.is_file() {
        skip(&format!("{name} is not installed"));
        return None;
    }
    Some(path)
}

/// Runs a tool that has to say that all is well.
pub(super) fn check(tool: &Path, dir: &Path, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

/// The example with its files in `mon`.
pub(super) fn generated() -> Env {
    let env = example();
    env.expect(0, &["observability", "--out", "mon"]);
    env
}

pub(super) fn read(env: &Env, file: &str) -> String {
    std::fs::read_to_string(env.path().join(file)).unwrap()
}

#[test]
fn the_files_follow_from_the_spec_alone() {
    let env = generated();
    let list = env.expect(0, &["observability", "--format", "json"]).json();
    for file in list["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        assert_eq!(file["text"], read(&env, &format!("mon/{path}")), "{path}");
        let printed = env.expect(0, &["observability", path]);
        assert_eq!(file["text"], printed.stdout, "{path}");
    }
    let current = ["observability", "--out", "mon", "--check"];
    let checked = env.expect(0, &current);
    assert_eq!(checked.stdout.matches("unchanged").count(), 7);
    // What the example applies is what is generated.
    for (generated, applied) in [
        ("heartbeat.yaml", "heartbeat.yaml"),
        ("ingress.yaml", "ingress-rules.yaml"),
    ] {
        assert_eq!(
            read(&env, &format!("mon/{generated}")),
            read(&env, &format!("manifests/{applied}"))
        );
    }
    // A zone that is not exposed has nothing that could be asked but its name.
    let jobs = read(&env, "mon/prometheus.yml");
    assert!(jobs.contains("https://wp-active.guajiro.xyz/") && jobs.contains("https://wp-pz."));
    assert!(!jobs.contains("https://wp-bz."), "{jobs}");
    assert!(jobs.contains("zonewright_dns_wp-bz"), "{jobs}");
    env.edit(
        "zonewright.toml",
        "owner = \"platform-team\"",
        "owner = \"ops\"",
    );
    let stale = env.expect(2, &current);
    assert!(
        stale.stdout.contains("would change mon/rules.yml"),
        "{}",
        stale.text()
    );
    env.edit(
        "zonewright.toml",
        "owner = \"ops\"",
        "owner = \"platform-team\"",
    );
    env.expect(0, &current);
    env.edit("zonewright.toml", "[observability]", "[parity2]");
    env.expect(1, &["observability"]);
    env.edit(
        "zonewright.toml",
        "[parity2]\nowner = \"platform-team\"\nrunbooks = \"https://wiki.guajiro.xyz/runbooks/\"\nzone_header = \"X-Zone\" # sent by manifests/zone-header.yaml",
        "",
    );
    let undeclared = env.expect(1, &["observability"]);
    assert!(
        undeclared.stderr.contains("[observability]"),
        "{}",
        undeclared.text()
    );
    let unknown = generated().expect(1, &["observability", "nothing.yml"]);
    assert!(unknown.stderr.contains("rules.yml"), "{}", unknown.text());
}

/// OB-10, and the forms that the tools want.
#[test]
fn the_tools_accept_the_files_and_every_alert_says_who_acts_and_how() {
    let Some(promtool) = tool("promtool") else {
        return;
    };
    let Some(blackbox) = tool("prometheus-blackbox-exporter") else {
        return;
    };
    for (strategy, env) in [("replica", example()), ("restore", by_restore())] {
        env.expect(0, &["observability", "--out", "mon"]);
        let said = check(
            &promtool,
            env.path(),
            &["check", "config", "mon/prometheus.yml"],
        );
        assert!(said.contains("rules found"), "{said}");
        check(&promtool, env.path(), &["check", "rules", "mon/rules.yml"]);
        let config = ["--config.check", "--config.file", "mon/blackbox.yml"];
        check(&blackbox, env.path(), &config);
        let rules = read(&env, "mon/rules.yml");
        let mut alerts = rules.split("- alert: ");
        alerts.next();
        let mut names = BTreeSet::new();
        for alert in alerts {
            let name = alert.lines().next().unwrap();
            names.insert(name.to_owned());
            assert!(alert.contains("owner: platform-team"), "{alert}");
            assert!(alert.contains("severity: "), "{alert}");
            let page = format!("runbook_url: \"https://wiki.guajiro.xyz/runbooks/{name}\"");
            assert!(alert.contains(&page), "{alert}");
            let docs = read_docs();
            assert!(
                docs.contains(&format!("| `{name}` |")),
                "{name} is in no table of docs"
            );
        }
        assert!(names.len() >= 16, "{names:?}");
        let replica = strategy == "replica";
        assert_eq!(names.contains("ReplicationLagUnknown"), replica);
        assert_eq!(names.contains("BackupRpoAtRisk"), !replica);
        assert_eq!(names.contains("RestoreVerificationStale"), !replica);
    }
}

fn read_docs() -> String {
    std::fs::read_to_string(zonewright_tests::root().join("docs/observability.md")).unwrap()
}

/// One series for `promtool test rules`.
fn series(name: &str, values: &str) -> Value {
    json!({"series": name, "values": values})
}

/// Whether an alert fires at a time.
fn fires(name: &str, at: &str, firing: &[Value]) -> Value {
    let expected: Vec<Value> = firing
        .iter()
        .map(|labels| {
            let mut all = labels["labels"].clone();
            for (key, value) in [
                ("owner", "platform-team"),
                ("project", "wp"),
                ("env", "prod"),
            ] {
                all[key] = json!(value);
            }
            json!({"exp_labels": all, "exp_annotations": labels["annotations"]})
        })
        .collect();
    json!({"alertname": name, "eval_time": at, "exp_alerts": expected})
}

fn firing(name: &str, severity: &str, labels: Value, summary: &str) -> Value {
    let mut labels = labels;
    labels["severity"] = json!(severity);
    json!({"labels": labels, "annotations": {"summary": summary,
        "runbook_url": format!("https://wiki.guajiro.xyz/runbooks/{name}")}})
}

/// OB-01, OB-02: scenarios in virtual time.
#[test]
#[expect(clippy::too_many_lines, reason = "one scenario after the other")]
fn alerts_fire_when_they_should_and_not_before() {
    let Some(promtool) = tool("promtool") else {
        return;
    };
    let env = generated();
    let high = |value: &str| {
        let summary = format!("The replica in bz is {value} behind by heartbeat.");
        firing(
            "ReplicationLagHigh",
            "critical",
            json!({"zone": "bz"}),
            &summary,
        )
    };
    let unknown = firing(
        "ReplicationLagUnknown",
        "critical",
        json!({"zone": "bz", "mode": "replica"}),
        "Nobody knows how far the replica in bz is behind.",
    );
    let writers = |labels: Value| {
        let summary = "More than one database takes writes: data diverges every second.";
        firing("TwoWriters", "critical", labels, summary)
    };
    let exposed = firing(
        "StandbyZoneExposed",
        "critical",
        json!({"zone": "bz", "role": "standby"}),
        "bz stands by and can be reached from outside.",
    );
    let silent = |labels: Value| {
        let summary = "zonewright collects no metrics: nothing is known of the zones.";
        firing("MetricsStale", "critical", labels, summary)
    };
    let replica = series(
        "zonewright_zone_db_mode{zone=\"bz\",mode=\"replica\"}",
        "1x30",
    );
    let now = |name: &str| series(name, "0+60x30");
    let tests = json!([
        {   // The server says 0 and then nothing; the heartbeat stands still after a minute.
            "name": "lag grows", "interval": "1m",
            "input_series": [
                replica,
                now("mysql_heartbeat_now_timestamp_seconds{zone=\"bz\",server_id=\"2\"}"),
                now("mysql_heartbeat_now_timestamp_seconds{zone=\"bz\",server_id=\"1\"}"),
                series("mysql_heartbeat_stored_timestamp_seconds{zone=\"bz\",server_id=\"2\"}", "0 60x29"),
                // What a former writer left behind is older and counts for nothing.
                series("mysql_heartbeat_stored_timestamp_seconds{zone=\"bz\",server_id=\"1\"}", "0x30"),
                series("mysql_global_variables_read_only{zone=\"bz\"}", "1x30"),
                series("mysql_slave_status_seconds_behind_master{zone=\"bz\"}", "0x5 _x25"),
            ],
            "alert_rule_test": [
                fires("ReplicationLagHigh", "6m", &[]),
                fires("ReplicationLagHigh", "8m", &[high("7m 0s")]),
                fires("ReplicationLagUnknown", "8m", &[]),
            ],
        },
        {   // Nothing tells how far it is behind.
            "name": "no heartbeat", "interval": "30s",
            "input_series": [replica],
            "alert_rule_test": [
                fires("ReplicationLagUnknown", "1m", &[]),
                fires("ReplicationLagUnknown", "3m", std::slice::from_ref(&unknown)),
            ],
        },
        {   // A file that nobody writes any more goes on saying that all is well.
            "name": "old file", "interval": "1m",
            "input_series": [
                replica,
                series("zonewright_replication_lag_seconds{zone=\"bz\"}", "1x30"),
                series("zonewright_collected_timestamp_seconds", "0+60x3 180x27"),
            ],
            "alert_rule_test": [
                fires("ReplicationLagUnknown", "7m", &[]),
                fires("ReplicationLagUnknown", "11m", &[unknown]),
                fires("MetricsStale", "18m", &[]),
                fires("MetricsStale", "25m", &[silent(json!({}))]),
            ],
        },
        {   // What cannot be collected is said at once.
            "name": "not collected", "interval": "1m",
            "input_series": [
                series("zonewright_collect_success", "0x30"),
                now("zonewright_collected_timestamp_seconds"),
            ],
            "alert_rule_test": [
                fires("MetricsStale", "4m", &[]),
                fires("MetricsStale", "6m", &[silent(json!({}))]),
            ],
        },
        {
            "name": "second writer by the exporters", "interval": "15s",
            "input_series": [
                series("mysql_global_variables_read_only{zone=\"pz\"}", "0x40"),
                series("mysql_global_variables_read_only{zone=\"bz\"}", "1x4 0x36"),
            ],
            "alert_rule_test": [
                fires("TwoWriters", "1m", &[]),
                fires("TwoWriters", "2m", &[writers(json!({}))]),
            ],
        },
        {
            "name": "second writer by zonewright", "interval": "15s",
            "input_series": [series("zonewright_writers", "1x4 2x36")],
            "alert_rule_test": [
                fires("TwoWriters", "1m", &[]),
                fires("TwoWriters", "2m", &[writers(json!({}))]),
            ],
        },
        {   // During a run a zone may be in between; a run that nobody tells of excuses nothing.
            "name": "standby exposed", "interval": "1m",
            "input_series": [
                series("zonewright_zone_exposed{zone=\"bz\",role=\"standby\"}", "1x30"),
                series("zonewright_zone_exposed{zone=\"pz\",role=\"active\"}", "1x30"),
                series("zonewright_run_active", "1x10 0x5 _x15"),
            ],
            "alert_rule_test": [
                fires("StandbyZoneExposed", "9m", &[]),
                fires("StandbyZoneExposed", "14m", std::slice::from_ref(&exposed)),
                fires("StandbyZoneExposed", "29m", &[exposed]),
            ],
        },
        {   // OB-04: three of five, and a probe that is gone.
            "name": "public name", "interval": "1m",
            "input_series": [
                series("probe_success{job=\"zonewright-http\",target=\"public\",name=\"wp-active\"}", "1x5 0x5 _x20"),
                series("probe_success{job=\"zonewright-http\",target=\"zone\",name=\"wp-pz\"}", "1x30"),
            ],
            "alert_rule_test": [
                fires("ActiveProbeFailing", "7m", &[]),
                fires("ActiveProbeFailing", "10m", &[firing("ActiveProbeFailing", "critical",
                    json!({"job": "zonewright-http", "target": "public", "name": "wp-active"}),
                    "Users do not reach wp-active.")]),
                fires("ActiveProbeMissing", "10m", &[]),
                fires("ActiveProbeMissing", "20m", &[firing("ActiveProbeMissing", "critical",
                    json!({"job": "zonewright-http", "target": "public"}), "Nobody probes the public name.")]),
                fires("ZoneProbeFailing", "20m", &[]),
            ],
        },
    ]);
    let stale = firing(
        "BackupStale",
        "critical",
        json!({"zone": "pz", "source": "database_cluster.main"}),
        "The newest backup of database_cluster.main in pz is older than it may be, or not known.",
    );
    let backup = |source: &str| {
        let labels = format!("{{zone=\"pz\",source=\"{source}\"}}");
        let name = format!("zonewright_backup_last_success_timestamp_seconds{labels}");
        series(&name, "0x320")
    };
    let slow = json!([
        {   // The vendor takes one a day, within a window of two hours.
            "name": "backups", "interval": "5m",
            "input_series": [backup("database_cluster.main")],
            "alert_rule_test": [
                fires("BackupStale", "25h", &[]),
                fires("BackupStale", "26h20m", std::slice::from_ref(&stale)),
            ],
        },
        {
            "name": "no backup at all", "interval": "5m",
            "input_series": [],
            "alert_rule_test": [fires("BackupStale", "20m", std::slice::from_ref(&stale))],
        },
        {   // One that is missing beside another is missed.
            "name": "another one's backup", "interval": "5m",
            "input_series": [backup("database_cluster.other")],
            "alert_rule_test": [fires("BackupStale", "20m", &[stale])],
        },
        {   // So is a zone that nobody looks at beside one that is.
            "name": "one zone unseen", "interval": "5m",
            "input_series": [
                series("zonewright_zone_info{zone=\"pz\",role=\"active\",posture=\"none\"}", "1x320"),
                series("zonewright_zone_info{zone=\"bz\",role=\"standby\",posture=\"cold\"}", "1x320"),
                series("zonewright_zone_info{zone=\"cz\",role=\"standby\",posture=\"off\"}", "1x320"),
                series("zonewright_zone_exposed{zone=\"pz\",role=\"active\"}", "1x320"),
                series("zonewright_drift_last_success_timestamp_seconds{zone=\"pz\"}", "0+300x320"),
            ],
            "alert_rule_test": [
                fires("ExposureUnknown", "10m", &[]),
                fires("ExposureUnknown", "20m", &[firing("ExposureUnknown", "warning",
                    json!({"zone": "bz", "role": "standby", "posture": "cold"}),
                    "Nobody knows whether bz can be reached from outside.")]),
                fires("DriftCheckStale", "20m", &[firing("DriftCheckStale", "warning",
                    json!({"zone": "bz", "role": "standby", "posture": "cold"}),
                    "Nobody compared bz with its state for two hours.")]),
            ],
        },
    ]);
    // JSON is YAML. Without an order promtool evaluates groups in a random one, a step apart.
    let order = ["zonewright-records", "zonewright-alerts"];
    for (file, pace, tests) in [("tests.yml", "15s", &tests), ("slow.yml", "5m", &slow)] {
        let whole = json!({"rule_files": ["rules.yml"], "evaluation_interval": pace, "group_eval_order": order, "tests": tests});
        env.write(&format!("mon/{file}"), &whole.to_string());
        check(
            &promtool,
            env.path(),
            &["test", "rules", &format!("mon/{file}")],
        );
    }
    // The tests can fail: with another limit they do.
    env.write(
        "mon/rules.yml",
        &read(&env, "mon/rules.yml").replace("> 60\"", "> 600\""),
    );
    let wrong = Command::new(&promtool)
        .args(["test", "rules", "mon/tests.yml"])
        .current_dir(env.path())
        .output();
    assert!(!wrong.unwrap().status.success());
}

/// The writer's script writes a row a second and ends with its client, so that the container starts again.
#[test]
fn the_heartbeat_ends_with_its_connection() {
    let env = generated();
    let manifest = read(&env, "mon/heartbeat.yaml");
    let (_, block) = manifest.split_once("            - |\n").unwrap();
    let script: String = block
        .lines()
        .take_while(|l| l.starts_with("              "))
        .map(|l| format!("{}\n", &l[14..]))
        .collect();
    let client = "#!/bin/sh\necho \"$MYSQL_PWD|$*\" > args\nfor n in 1 2 3 4 5 6; do read -r line; echo \"$(date +%s%N) $line\" >> lines; done\n";
    env.write("bin/mysql", client);
    env.write("run.sh", &script);
    let run = "chmod +x bin/mysql; PATH=\"$PWD/bin:$PATH\" exec timeout 20 sh run.sh";
    let ended = Command::new("/bin/sh")
        .args(["-c", run])
        .current_dir(env.path())
        .env("DB_HOST", "db.example.org:25060")
        .env("DB_USER", "wp")
        .env("DB_PASSWORD", "a-long-password")
        .status()
        .unwrap();
    assert_ne!(ended.code(), Some(124), "it goes on without a client");
    assert_eq!(
        read(&env, "args").trim(),
        "a-long-password|--host=db.example.org --port=25060 --user=wp --ssl-mode=VERIFY_IDENTITY \
         --ssl-ca=/etc/db-ca/ca.crt --connect-timeout=5 --batch"
    );
    let lines = read(&env, "lines");
    let beats: Vec<u128> = lines
        .lines()
        .filter(|l| l.contains("REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES (DATE_FORMAT(UTC_TIMESTAMP(6)"))
        .map(|l| l.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(beats.len(), 3, "{lines}");
    assert!(beats[2] - beats[1] >= 900_000_000, "{lines}");
}
