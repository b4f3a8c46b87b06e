//! OB-01 to OB-10: what watches the zones from outside, checked by the tools that will read it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonewright_engine::observability::METRICS;
use zonewright_sandbox::control::database::Behaviour;
use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, skip};

use super::restore::by_restore;
use super::verify::{cluster, meddle};
use super::{applied, example};

/// A tool of the Debian packages, or a skipped test.
fn tool(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(name);
    if !path.is_file() {
        skip(&format!("{name} is not installed"));
        return None;
    }
    Some(path)
}

/// Runs a tool that has to say that all is well.
fn check(tool: &Path, dir: &Path, args: &[&str]) -> String {
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
fn generated() -> Env {
    let env = example();
    env.expect(0, &["observability", "--out", "mon"]);
    env
}

fn read(env: &Env, file: &str) -> String {
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
    assert_eq!(
        read(&env, "mon/heartbeat.yaml"),
        read(&env, "manifests/heartbeat.yaml")
    );
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
        "[parity2]\nowner = \"platform-team\"\nrunbooks = \"https://wiki.guajiro.xyz/runbooks/\"",
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

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the metrics, collected every second; the address that it prints.
fn serve(env: &Env) -> (Running, String) {
    let args = ["metrics", "--listen", "127.0.0.1:0", "--every", "1s"];
    let mut child = env
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    let address = line.trim().trim_start_matches("http://");
    let address = address.trim_end_matches("/metrics").to_owned();
    (Running(child), address)
}

/// The generated files as they are, but faster, and about what listens here.
fn hurry(env: &Env, metrics: &str) {
    let mut rules = String::new();
    for line in read(env, "mon/rules.yml").lines() {
        let key = line.trim_start();
        let pad = &line[..line.len() - key.len()];
        let line = match key.split(':').next() {
            Some("for") => format!("{pad}for: 1s"),
            Some("- interval") => format!("{pad}- interval: 1s"),
            _ => line.to_owned(),
        };
        rules.push_str(&format!("{line}\n"));
    }
    env.write("mon/rules.yml", &rules);
    let config = read(env, "mon/prometheus.yml")
        .replace("evaluation_interval: \"15s\"", "evaluation_interval: 1s")
        .replace("scrape_interval: \"30s\"", "scrape_interval: 1s")
        .replace("127.0.0.1:9469", metrics)
        .replace("blackbox-exporter:9115", "127.0.0.1:9");
    env.write("mon/prometheus.yml", &config);
}

/// A real Prometheus on a free port of this host.
fn prometheus(binary: &Path, env: &Env) -> (Running, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let child = Command::new(binary)
        .args([
            "--config.file=mon/prometheus.yml",
            "--storage.tsdb.path=mon/data",
        ])
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=error")
        .current_dir(env.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (Running(child), address)
}

fn get(env: &Env, url: &str) -> Option<(u16, String)> {
    env.wait(async {
        zonewright_providers::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let reply = client
            .get(url)
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    })
}

/// The alerts that fire, as `name zone`.
fn alerts(env: &Env, prometheus: &str) -> BTreeSet<String> {
    let answer = get(env, &format!("http://{prometheus}/api/v1/alerts"));
    let Some((200, body)) = answer else {
        return BTreeSet::new();
    };
    let json: Value = serde_json::from_str(&body).unwrap();
    let all = json["data"]["alerts"].as_array().unwrap().clone();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    all.iter()
        .filter(|a| a["state"] == "firing")
        .map(|a| {
            let labels = &a["labels"];
            format!("{} {}", text(&labels["alertname"]), text(&labels["zone"]))
        })
        .collect()
}

/// Waits until an alert fires, or does not fire any more.
fn until(env: &Env, prometheus: &str, alert: &str, wanted: bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = BTreeSet::new();
    while Instant::now() < deadline {
        seen = alerts(env, prometheus);
        // Without the watchdog nothing was evaluated yet.
        if seen.contains("Watchdog ") && seen.contains(alert) == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{alert}: not {wanted} within a minute; firing: {seen:?}");
}

/// OB-07: a real Prometheus reads the real metrics; what is broken in the world fires and clears.
#[test]
fn a_real_prometheus_sees_the_world_break_and_mend() {
    let Some(binary) = tool("prometheus") else {
        return;
    };
    let env = applied();
    env.expect(0, &["observability", "--out", "mon"]);
    let (_metrics, address) = serve(&env);
    hurry(&env, &address);
    let (_prometheus, at) = prometheus(&binary, &env);
    until(&env, &at, "Watchdog ", true);
    // Before the first collection nothing is known, and that is an alert, too.
    until(&env, &at, "MetricsStale ", false);
    until(&env, &at, "ReplicationLagUnknown bz", false);
    until(&env, &at, "StandbyZoneExposed bz", false);
    let door = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stray"},
        "spec": {"type": "NodePort", "selector": {"app": "wp"}, "ports": [{"port": 80}]}});
    let services = "/api/v1/namespaces/app/services";
    meddle(&env, "bz", "POST", services, Some(&door));
    until(&env, &at, "StandbyZoneExposed bz", true);
    meddle(&env, "bz", "DELETE", &format!("{services}/stray"), None);
    until(&env, &at, "StandbyZoneExposed bz", false);
    let lag = |seconds| {
        let behaviour = Behaviour {
            lag_seconds: Some(seconds),
            ..Behaviour::default()
        };
        env.wait(env.client().set_database("wp-bz-mysql", &behaviour))
            .unwrap();
    };
    // The heartbeat is younger than that: it never arrived, which is unknown and not zero.
    lag(100_000);
    until(&env, &at, "ReplicationLagUnknown bz", true);
    lag(0);
    until(&env, &at, "ReplicationLagUnknown bz", false);
    let replica = |read_only| {
        let behaviour = Behaviour {
            read_only: Some(read_only),
            ..Behaviour::default()
        };
        env.wait(env.client().set_database("wp-bz-mysql", &behaviour))
            .unwrap();
    };
    replica(false);
    until(&env, &at, "TwoWriters ", true);
    replica(true);
    until(&env, &at, "TwoWriters ", false);
}

/// The names of the samples.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|l| l.split(['{', ' ']).next().unwrap().to_owned())
        .collect()
}

/// What is not known has no series.
#[test]
fn metrics_tell_what_is_known_and_nothing_else() {
    let mut env = example();
    let live = [
        "zonewright_replication_lag_seconds",
        "zonewright_writers",
        "zonewright_zone_exposed",
        "zonewright_drift_resources",
        "zonewright_drift_last_success_timestamp_seconds",
        "zonewright_backup_last_success_timestamp_seconds",
        "zonewright_zone_billable_resources",
        "zonewright_dns_view",
        "zonewright_epoch",
    ];
    let nothing = env.expect(0, &["metrics"]).stdout;
    for name in live {
        assert!(!names(&nothing).contains(name), "{name}: {nothing}");
    }
    assert!(nothing.contains("zonewright_zone_db_mode{zone=\"bz\",mode=\"replica\"} 1\n"));
    env.expect(0, &["apply", "--auto-approve"]);
    env.clear_requests();
    let whole = env.expect(0, &["metrics"]).stdout;
    assert_eq!(env.mutations(), Vec::<Value>::new());
    for name in live {
        assert!(names(&whole).contains(name), "{name}: {whole}");
    }
    for line in [
        "zonewright_zone_exposed{zone=\"bz\",role=\"standby\"} 0\n",
        "zonewright_zone_exposed{zone=\"pz\",role=\"active\"} 1\n",
        "zonewright_writers 1\n",
        "zonewright_drift_resources{zone=\"bz\"} 0\n",
        "zonewright_rpo_target_seconds{zone=\"bz\"} 900\n",
        "zonewright_run_active 0\n",
        "target=\"wp-pz.guajiro.xyz\"} 1\n",
        "zonewright_obligations{zone=\"edge\",kind=\"open\"} 0\n",
        "zonewright_obligations{zone=\"bz\",kind=\"tainted\"} 0\n",
        "zonewright_obligations{zone=\"bz\",kind=\"exposure\"} 0\n",
    ] {
        assert!(whole.contains(line), "{line}{whole}");
    }
    let declared: BTreeSet<String> = METRICS.iter().map(|m| m.name.to_owned()).collect();
    assert!(names(&whole).is_subset(&declared), "{whole}");
    if let Some(promtool) = tool("promtool") {
        env.write("metrics.prom", &whole);
        let lint = format!("{} check metrics < metrics.prom", promtool.display());
        check(Path::new("/bin/sh"), env.path(), &["-c", &lint]);
    }
    // The primary's cluster is dead: whether its database takes writes is not known, so neither is the number.
    let (id, _) = cluster(&env, "pz");
    let dead = zonewright_sandbox::fault::Fault {
        service: None,
        method: Some("GET".to_owned()),
        path: Some(format!("/clusters/{id}/*")),
        nth: 1,
        count: 10_000,
        kind: Kind::DropBefore,
    };
    env.wait(env.client().add_fault(&dead)).unwrap();
    let half = env.expect(0, &["metrics"]).stdout;
    assert!(!names(&half).contains("zonewright_writers"), "{half}");
    assert!(
        half.contains("zonewright_replication_lag_seconds{zone=\"bz\"}"),
        "{half}"
    );
    assert!(
        half.contains("zonewright_drift_resources{zone=\"bz\"} 0\n"),
        "{half}"
    );
    assert!(
        !half.contains("zonewright_drift_resources{zone=\"pz\"}"),
        "{half}"
    );
    assert!(
        !half.contains("zonewright_zone_exposed{zone=\"pz\""),
        "{half}"
    );
    env.clear_faults();
    // A zone whose credentials are refused says nothing about the other.
    let refused = zonewright_sandbox::fault::Fault {
        service: None,
        method: Some("GET".to_owned()),
        path: Some(format!("/v2/kubernetes/clusters/{id}/credentials")),
        nth: 1,
        count: 10_000,
        kind: Kind::Status {
            code: 401,
            body: None,
            headers: std::collections::BTreeMap::new(),
        },
    };
    env.wait(env.client().add_fault(&refused)).unwrap();
    let half = env.expect(0, &["metrics"]);
    let lag = "zonewright_replication_lag_seconds{zone=\"bz\"}";
    assert!(half.stdout.contains(lag), "{}", half.text());
    assert!(
        half.stderr.contains("pz is not wholly known"),
        "{}",
        half.text()
    );
    env.clear_faults();
    // Recorded sends nothing, and knows less.
    env.clear_requests();
    let recorded = env.expect(0, &["metrics", "--recorded"]).stdout;
    assert_eq!(env.requests(), Vec::<Value>::new());
    assert!(
        !names(&recorded).contains("zonewright_writers"),
        "{recorded}"
    );
    assert!(names(&recorded).contains("zonewright_drift_last_success_timestamp_seconds"));
    textfile(&mut env);
}

/// One step from the old file to the new one; a failure is told in it and by the exit code.
fn textfile(env: &mut Env) {
    let args = ["metrics", "--textfile", "out/zonewright.prom"];
    env.expect(1, &args);
    std::fs::create_dir(env.path().join("out")).unwrap();
    env.expect(0, &args);
    assert!(names(&read(env, "out/zonewright.prom")).contains("zonewright_writers"));
    env.set("DIGITALOCEAN_TOKEN", "a-token-of-nobody");
    let refused = env.expect(9, &args);
    assert!(!refused.text().contains("a-token-of-nobody"));
    let told = read(env, "out/zonewright.prom");
    assert!(told.ends_with("\nzonewright_collect_success 0\n"), "{told}");
    assert_eq!(names(&told).len(), 1, "{told}");
    let files = std::fs::read_dir(env.path().join("out")).unwrap();
    assert_eq!(files.count(), 1, "something is left beside the file");
}

/// What Grafana's model requires of the options of a kind of panel (the JSON schemas `stat`, `timeseries` and
/// `statetimeline` of grafana-foundation-sdk), with the words that it knows.
fn options(kind: &str) -> Value {
    let word = |words: &[&str]| json!({ "enum": words });
    let legend = json!({"type": "object", "required": ["displayMode", "placement", "showLegend", "calcs"],
        "additionalProperties": false, "properties": {
            "displayMode": word(&["list", "table", "hidden"]), "placement": word(&["bottom", "right"]),
            "showLegend": {"type": "boolean"}, "calcs": {"type": "array"}}});
    let tooltip = json!({"type": "object", "required": ["mode", "sort"], "additionalProperties": false,
        "properties": {"mode": word(&["single", "multi", "none"]), "sort": word(&["asc", "desc", "none"])}});
    let (required, properties) = match kind {
        "stat" => (
            json!([
                "graphMode",
                "colorMode",
                "justifyMode",
                "textMode",
                "wideLayout",
                "showPercentChange",
                "reduceOptions",
                "percentChangeColorMode",
                "orientation"
            ]),
            json!({"graphMode": word(&["none", "line", "area"]),
                "colorMode": word(&["value", "background", "background_solid", "none"]),
                "justifyMode": word(&["auto", "center"]),
                "textMode": word(&["auto", "value", "value_and_name", "name", "none"]),
                "wideLayout": {"type": "boolean"}, "showPercentChange": {"type": "boolean"},
                "reduceOptions": {"type": "object", "required": ["calcs"]},
                "percentChangeColorMode": word(&["standard", "inverted", "same_as_value"]),
                "orientation": word(&["auto", "vertical", "horizontal"])}),
        ),
        "timeseries" => (
            json!(["legend", "tooltip"]),
            json!({"legend": legend, "tooltip": tooltip}),
        ),
        _ => (
            json!(["showValue", "rowHeight", "legend", "tooltip"]),
            json!({"showValue": word(&["auto", "never", "always"]), "rowHeight": {"type": "number"},
                "mergeValues": {"type": "boolean"}, "legend": legend, "tooltip": tooltip}),
        ),
    };
    let options = json!({"type": "object", "required": required, "properties": properties,
        "additionalProperties": false});
    json!({"if": {"properties": {"type": {"const": kind}}},
        "then": {"required": ["options"], "properties": {"options": options}}})
}

/// The fields of a dashboard that matter to Grafana and to who reads it at night.
fn dashboard_schema() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let source = json!({"type": "object", "required": ["type", "uid"],
        "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}}});
    let target = json!({"type": "object", "required": ["refId", "expr", "datasource"],
        "properties": {"refId": {"pattern": "^[A-Z]$"}, "expr": text, "datasource": source}});
    let grid = |max: u64| json!({"type": "integer", "minimum": 0, "maximum": max});
    let place = json!({"type": "object", "required": ["x", "y", "w", "h"], "properties": {
        "x": grid(23), "y": grid(1000), "w": grid(24), "h": grid(40)}});
    let steps = json!({"type": "array", "minItems": 2, "items": {"type": "object",
        "required": ["color", "value"]}});
    let defaults = json!({"type": "object", "required": ["noValue"], "properties": {
        "noValue": {"const": "UNKNOWN"},
        "thresholds": {"type": "object", "required": ["mode", "steps"], "properties": {"steps": steps}}}});
    let shown = json!({"required": ["datasource", "targets", "fieldConfig"], "properties": {
        "datasource": source,
        "targets": {"type": "array", "minItems": 1, "items": target},
        "fieldConfig": {"type": "object", "required": ["defaults", "overrides"],
            "properties": {"defaults": defaults}}}});
    let kinds = ["stat", "timeseries", "state-timeline"].map(options);
    let panel = json!({"type": "object", "required": ["id", "type", "title", "gridPos"],
        "properties": {"id": {"type": "integer", "minimum": 1}, "title": text, "gridPos": place,
            "type": {"enum": ["row", "stat", "timeseries", "state-timeline"]}},
        "if": {"properties": {"type": {"const": "row"}}}, "else": shown,
        "allOf": kinds});
    json!({"type": "object", "required": ["uid", "title", "schemaVersion", "panels", "templating", "annotations"],
        "properties": {"uid": {"type": "string", "maxLength": 40, "minLength": 1}, "title": text,
            "schemaVersion": {"type": "integer", "minimum": 36},
            "panels": {"type": "array", "minItems": 10, "items": panel},
            "templating": {"type": "object", "properties": {"list": {"type": "array", "minItems": 1,
                "items": {"properties": {"type": {"const": "datasource"}}}}}}}})
}

/// What others write: the exporters of MySQL and of the probes.
const FOREIGN: &[&str] = &[
    "mysql_slave_status_seconds_behind_master",
    "mysql_slave_status_seconds_behind_source",
    "probe_duration_seconds",
    "probe_ssl_earliest_cert_expiry",
    "probe_success",
];

/// OB-06: the lag tile is red without a value, and every query is about something that exists.
#[test]
fn the_dashboard_is_one_and_shows_the_unknown_in_red() {
    let env = generated();
    let board: Value = serde_json::from_str(&read(&env, "mon/dashboard.json")).unwrap();
    let schema = dashboard_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(&board)
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut broken = board.clone();
    broken["panels"][1]["fieldConfig"]["defaults"]["noValue"] = json!("0");
    assert!(
        !validator.is_valid(&broken),
        "the schema accepts everything"
    );
    for (field, wrong) in [("graphMode", json!("pie")), ("orientation", Value::Null)] {
        let mut broken = board.clone();
        broken["panels"][1]["options"][field] = wrong;
        assert!(!validator.is_valid(&broken), "{field}");
    }
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let lag = panels
        .iter()
        .find(|p| p["title"] == "Replication lag")
        .unwrap();
    let defaults = &lag["fieldConfig"]["defaults"];
    assert_eq!(lag["targets"][0]["expr"], "dr:replication_lag_seconds");
    let null = &defaults["mappings"][0]["options"];
    assert_eq!(null["match"], "null+nan");
    assert_eq!(null["result"]["color"], "red");
    assert_eq!(
        defaults["thresholds"]["steps"][0],
        json!({"color": "red", "value": null})
    );
    assert_eq!(
        defaults["thresholds"]["steps"][3],
        json!({"color": "red", "value": 60.0})
    );
    let rules = read(&env, "mon/rules.yml");
    let mut known: BTreeSet<&str> = FOREIGN.iter().copied().collect();
    known.extend(METRICS.iter().map(|m| m.name));
    let recorded = |name: &str| rules.contains(&format!("record: \"{name}\""));
    let queries = panels
        .iter()
        .flat_map(|p| p["targets"].as_array().cloned().unwrap_or_default());
    for query in queries {
        let expr = query["expr"].as_str().unwrap();
        for name in series_in(expr) {
            assert!(
                known.contains(name) || recorded(name),
                "{name} of {expr} is nobody's"
            );
        }
    }
    for line in rules.lines().filter(|l| l.contains("expr: ")) {
        for name in series_in(line)
            .into_iter()
            .filter(|n| n.starts_with("zonewright_"))
        {
            assert!(known.contains(name), "{name} of {line} is nobody's");
        }
    }
}

/// The names of series in an expression: words with an underscore or a colon that no parenthesis follows.
fn series_in(expr: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(word) {
        let end = rest[start..]
            .find(|c| !word(c))
            .map_or(rest.len(), |n| start + n);
        let (name, after) = (&rest[start..end], &rest[end..]);
        let is_series = name.contains("zonewright_")
            || name.starts_with("mysql_")
            || name.starts_with("probe_")
            || name.starts_with("dr:");
        if is_series && !after.starts_with('(') {
            out.push(name);
        }
        rest = after;
    }
    out
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
