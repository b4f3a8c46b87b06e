//! What the metrics tell, and the alerts that a real Prometheus makes of them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonewright_engine::observability::METRICS;
use zonewright_sandbox::control::database::Behaviour;
use zonewright_sandbox::fault::Kind;
use zonewright_tests::Env;

use super::observability::{check, read, tool};
use super::verify::{cluster, meddle};
use super::{applied, example};

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
