//! `verify` and `smoke`: all green after an apply, and one broken thing makes one line red.

use std::time::{SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use serde_json::{Value, json};
use zonewright_sandbox::control::Switches;
use zonewright_sandbox::control::database::{Behaviour, Certificate};
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::Env;

use super::example;

const LABEL: &str = "zonewright.dev/probe";

/// The example, applied, with a namespace that nobody needs. Nothing else has to be done to it.
pub(super) fn ready() -> Env {
    let env = with_spare();
    env.expect(0, &["apply", "--auto-approve"]);
    env
}

/// The same, with a heartbeat that only the test writes.
fn ready_without_writer() -> Env {
    let env = with_spare();
    let writer = "file = \"manifests/heartbeat.yaml\"\nzonewright = { enabled = ";
    let (from, to) = (
        format!("{writer}\"${{zone.exposed}}\""),
        format!("{writer}false"),
    );
    env.edit("zones/pz.toml", &from, &to);
    env.expect(0, &["apply", "--auto-approve"]);
    beat(&env, 0);
    env
}

fn with_spare() -> Env {
    let env = example();
    let spare = "\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: spare\n";
    let path = env.path().join("manifests/namespaces.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{}{spare}", text.trim_end())).unwrap();
    env
}

pub(super) fn token(env: &Env) -> String {
    let pairs = env.ready().env();
    let found = pairs.into_iter().find(|(n, _)| *n == "DIGITALOCEAN_TOKEN");
    found.unwrap().1
}

/// Writes the heartbeat at the writer, as it was `ago` seconds ago.
fn beat(env: &Env, ago: u64) {
    let (_, all) = env.meddle("GET", "/v2/databases", &token(env), None);
    let connection = all["databases"][0]["connection"].clone();
    let text = |key: &str| connection[key].as_str().unwrap().to_owned();
    let at = env.ready().endpoints().mysql;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let then = jiff_text(now - ago);
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
            .prefer_socket(false)
            .ssl_opts(tls);
        let mut conn = Conn::new(options).await.unwrap();
        for statement in [
            "CREATE DATABASE IF NOT EXISTS heartbeat".to_owned(),
            "CREATE TABLE IF NOT EXISTS heartbeat.heartbeat (ts varchar(26) NOT NULL, \
             server_id int unsigned PRIMARY KEY)"
                .to_owned(),
            format!("REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES ('{then}', 1)"),
        ] {
            conn.query_drop(statement).await.unwrap();
        }
        conn.disconnect().await.unwrap();
    });
}

fn jiff_text(seconds: u64) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
    at.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string()
}

/// The cluster of a zone: its id and a token for it.
pub(super) fn cluster(env: &Env, zone: &str) -> (String, String) {
    let all = env.table("digitalocean", "kubernetes_clusters");
    let found = all.iter().find(|c| {
        let name = c["name"].as_str().unwrap_or_default();
        name.split('-').nth(1) == Some(zone)
    });
    let id = found.unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/kubernetes/clusters/{id}/credentials");
    let (_, access) = env.meddle("GET", &path, &token(env), None);
    (id, access["token"].as_str().unwrap().to_owned())
}

/// Somebody else's request to a zone's cluster.
pub(super) fn meddle(env: &Env, zone: &str, method: &str, path: &str, body: Option<&Value>) {
    let (id, token) = cluster(env, zone);
    let path = format!("/clusters/{id}{path}");
    let (status, answer) = env.meddle(method, &path, &token, body);
    assert!(
        (200..300).contains(&status),
        "{method} {path}: {status} {answer}"
    );
}

/// A line that is not green.
struct Red {
    id: String,
    verdict: String,
    evidence: String,
}

fn not_green(env: &Env) -> Vec<Red> {
    let output = env.run(&["verify", "--zone", "bz", "--format", "json"]);
    let json = output.json();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let lines = json["checks"].as_array().unwrap().iter().map(|c| Red {
        id: text(&c["id"]),
        verdict: text(&c["verdict"]),
        evidence: text(&c["evidence"]),
    });
    let failed: Vec<Red> = lines
        .filter(|l| l.verdict != "pass" && l.verdict != "not_applicable")
        .collect();
    assert_eq!(output.code == 0, failed.is_empty(), "{}", output.text());
    assert!([0, 6].contains(&output.code), "{}", output.text());
    failed
}

/// The lines that are not green.
pub(super) fn red(env: &Env) -> Vec<String> {
    not_green(env).into_iter().map(|l| l.id).collect()
}

/// A line as it has to become: its id, its verdict, and a word of its evidence.
pub(super) type Expected<'a> = (&'a str, &'a str, &'a str);

/// Breaks something, sees which lines become how, and puts it right.
pub(super) fn broken(
    env: &Env,
    lines: &[Expected<'_>],
    breaking: impl FnOnce(),
    mending: impl FnOnce(),
) {
    breaking();
    let found = not_green(env);
    let shown: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|l| (l.id.as_str(), l.verdict.as_str(), l.evidence.as_str()))
        .collect();
    let fits = |(found, wanted): (&Expected<'_>, &Expected<'_>)| {
        found.0 == wanted.0 && found.1 == wanted.1 && found.2.contains(wanted.2)
    };
    let same = shown.len() == lines.len() && shown.iter().zip(lines).all(fits);
    assert!(same, "{lines:?} became {shown:?}");
    mending();
    assert_eq!(red(env), Vec::<String>::new(), "after {lines:?}");
}

/// Nothing that a probe made is in the world.
fn assert_nothing_left(env: &Env) {
    let dump = env.dump().to_string();
    for mark in [LABEL, "zonewright-probe"] {
        if let Some(at) = dump.find(mark) {
            let around = dump.get(at.saturating_sub(300)..(at + 300).min(dump.len()));
            panic!("something is left: {around:?}");
        }
    }
}

fn status(code: u16) -> Kind {
    Kind::Status {
        code,
        body: None,
        headers: Default::default(),
    }
}

pub(super) fn fault(env: &Env, method: &str, path: &str, count: u64, kind: Kind) {
    let fault = Fault {
        service: None,
        method: Some(method.to_owned()),
        path: Some(path.to_owned()),
        nth: 1,
        count,
        kind,
    };
    env.wait(env.client().add_fault(&fault)).unwrap();
}

/// BZ-01, BZ-05, BZ-07 to BZ-17, BZ-21 to BZ-26: every line is green, and nothing is left behind.
#[test]
fn after_an_apply_every_line_is_green() {
    let env = ready();
    let output = env.expect(0, &["verify", "--zone", "bz"]);
    for id in [
        "namespaces",
        "cert-manager",
        "issuers",
        "monitoring",
        "targets",
        "workloads",
        "database-tls",
        "database-mode",
        "replication-lag",
        "wiring",
        "exposure-cluster",
        "exposure-cloud",
        "networks",
        "dns-zone",
        "dns-active",
        "secrets",
        "certificate",
        "media",
        "smoke",
    ] {
        assert!(
            output.stdout.contains(&format!("pass    {id}")),
            "{id}: {}",
            output.text()
        );
    }
    assert!(
        output
            .stdout
            .contains("22 passed, 0 failed, 0 skipped, 1 not applicable."),
        "{}",
        output.text()
    );
    let data = "n/a     backup            its data come by replication";
    assert!(output.stdout.contains(data), "{}", output.text());
    assert_nothing_left(&env);
    // The zone that serves has the checks that apply to it.
    let output = env.expect(0, &["verify", "--zone", "pz", "--format", "markdown"]);
    assert!(
        output.stdout.contains("| smoke | BZ-24: "),
        "{}",
        output.text()
    );
    let serves = "| n/a | the zone serves: it may be reached |";
    assert!(output.stdout.contains(serves), "{}", output.text());
    // Reading alone sends nothing that changes anything.
    env.clear_requests();
    let output = env.expect(0, &["verify", "--zone", "bz", "--read-only"]);
    assert!(output.stdout.contains("3 skipped"), "{}", output.text());
    assert_eq!(env.mutations(), Vec::<Value>::new());
    let output = env.expect(1, &["verify", "--zone", "bz", "--only", "nonsense"]);
    assert!(
        output.stderr.contains("replication-lag"),
        "{}",
        output.text()
    );
    env.assert_settled();
}

/// A broken variant of every line of the cluster makes that line red and no other.
#[test]
#[expect(clippy::too_many_lines, reason = "one broken thing after the other")]
fn what_is_broken_in_the_cluster_makes_its_line_red() {
    let env = ready();
    assert_eq!(red(&env), Vec::<String>::new());
    let namespaces = "/api/v1/namespaces";
    broken(
        &env,
        &[("namespaces", "fail", "spare: does not exist")],
        || meddle(&env, "bz", "DELETE", &format!("{namespaces}/spare"), None),
        || drop(env.expect(0, &["apply", "--auto-approve"])),
    );
    let replicas = |path: &str, n: u64| {
        let path = format!("/apis/apps/v1/namespaces/{path}");
        let body = json!({"spec": {"replicas": n}});
        meddle(&env, "bz", "PATCH", &path, Some(&body));
    };
    let injector = "platform/deployments/cert-manager-cainjector";
    broken(
        &env,
        &[("cert-manager", "fail", "0 replicas instead of 1")],
        || replicas(injector, 0),
        || replicas(injector, 1),
    );
    let issuer = "/apis/cert-manager.io/v1/clusterissuers/le-prod-cloudflare";
    broken(
        &env,
        &[("issuers", "fail", "le-prod-cloudflare: does not exist")],
        || meddle(&env, "bz", "DELETE", issuer, None),
        || drop(env.expect(0, &["apply", "--auto-approve"])),
    );
    let grafana = "platform/deployments/monitoring-grafana";
    broken(
        &env,
        &[("monitoring", "fail", "2 replicas instead of 1")],
        || replicas(grafana, 2),
        || replicas(grafana, 1),
    );
    let wp = "app/deployments/wp";
    broken(
        &env,
        &[("workloads", "fail", "1 replicas instead of 0")],
        || replicas(wp, 1),
        || replicas(wp, 0),
    );
    let prometheus = "/api/v1/namespaces/platform/services/monitoring-kube-prometheus-prometheus";
    let scrape = |value: Value| {
        let body = json!({"metadata": {"annotations": {"sandbox.zonewright.dev/scrape": value}}});
        meddle(&env, "bz", "PATCH", prometheus, Some(&body));
    };
    broken(
        &env,
        &[("targets", "fail", "prometheus")],
        || scrape(json!("down")),
        || scrape(Value::Null),
    );
    let service = |name: &str, kind: &str| {
        let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": kind, "selector": {"app": "wp"}, "ports": [{"port": 80}]}});
        let path = "/api/v1/namespaces/app/services";
        let (id, token) = cluster(&env, "bz");
        let (status, answer) = env.meddle(
            "POST",
            &format!("/clusters/{id}{path}"),
            &token,
            Some(&body),
        );
        assert_eq!(status, 201, "{answer}");
    };
    let gone = |name: &str| {
        let path = format!("/api/v1/namespaces/app/services/{name}");
        meddle(&env, "bz", "DELETE", &path, None);
    };
    broken(
        &env,
        &[("exposure-cluster", "fail", "stray")],
        || service("stray", "NodePort"),
        || gone("stray"),
    );
    // The trap: a Service of this type has its address without a single pod.
    broken(
        &env,
        &[
            ("exposure-cluster", "fail", "trap"),
            ("exposure-cloud", "fail", "load balancer"),
        ],
        || service("trap", "LoadBalancer"),
        || gone("trap"),
    );
    // A route of a kind that only an ingress controller's definitions know.
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let routes = "/apis/traefik.io/v1alpha1/namespaces/app/ingressroutes";
    meddle(&env, "bz", "POST", definitions, Some(&route_definition()));
    let route = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
        "metadata": {"name": "stray"}, "spec": {}});
    broken(
        &env,
        &[("exposure-cluster", "fail", "IngressRoute app/stray")],
        || meddle(&env, "bz", "POST", routes, Some(&route)),
        || meddle(&env, "bz", "DELETE", &format!("{routes}/stray"), None),
    );
    let salt = "/api/v1/namespaces/app/secrets/wp-salt";
    let other = json!({"stringData": {"WORDPRESS_AUTH_SALT": "another-salt"}});
    broken(
        &env,
        &[("secrets", "fail", "WORDPRESS_AUTH_SALT of app/wp-salt")],
        || meddle(&env, "bz", "PATCH", salt, Some(&other)),
        || drop(env.expect(0, &["apply", "--auto-approve"])),
    );
    let knob = |path: &str, name: &str, value: Value| {
        let body = json!({"metadata": {"annotations": {name: value}}});
        meddle(&env, "bz", "PATCH", path, Some(&body));
    };
    let staging = "/apis/cert-manager.io/v1/clusterissuers/le-staging-cloudflare";
    let issue = "sandbox.zonewright.dev/issue";
    broken(
        &env,
        &[("certificate", "fail", "the authority has refused the order")],
        || knob(staging, issue, json!("fail")),
        || knob(staging, issue, Value::Null),
    );
    let app = "/api/v1/namespaces/app";
    let jobs = "sandbox.zonewright.dev/jobs";
    broken(
        &env,
        &[("smoke", "fail", "the program has failed")],
        || knob(app, jobs, json!("fail")),
        || knob(app, jobs, Value::Null),
    );
    // What cannot be made has shown nothing.
    for (line, path) in [("certificate", "*/certificates/*"), ("smoke", "*/jobs/*")] {
        broken(
            &env,
            &[(line, "unknown", "500")],
            || fault(&env, "PATCH", path, 50, status(500)),
            || env.clear_faults(),
        );
    }
    assert_nothing_left(&env);
}

fn route_definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object",
        "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "ingressroutes.traefik.io"},
        "spec": {"group": "traefik.io", "scope": "Namespaced",
            "names": {"plural": "ingressroutes", "singular": "ingressroute", "kind": "IngressRoute"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": schema}]}})
}

/// The same for databases, names, networks, the bucket and the cloud's lists.
#[test]
#[expect(clippy::too_many_lines, reason = "one broken thing after the other")]
fn what_is_broken_outside_the_cluster_makes_its_line_red() {
    let env = ready_without_writer();
    let replica = |behaviour: Behaviour| {
        let client = env.client();
        env.wait(client.set_database("wp-bz-mysql", &behaviour))
            .unwrap();
    };
    let read_only = |on| {
        replica(Behaviour {
            read_only: Some(on),
            ..Behaviour::default()
        });
    };
    broken(
        &env,
        &[("database-mode", "fail", "read_only is OFF")],
        || read_only(false),
        || read_only(true),
    );
    // A database that cannot be trusted is told nothing, and what was refused about it is known.
    let certificate = |which| {
        replica(Behaviour {
            certificate: Some(which),
            ..Behaviour::default()
        });
    };
    for (wrong, why) in [
        (
            Certificate::OtherAuthority,
            "is refused: it is not by the authority in app/wp-db-ca",
        ),
        (
            Certificate::OtherName,
            "is refused: it is for another-do-user-1-0.db.ondigitalocean.com, not for this name",
        ),
    ] {
        broken(
            &env,
            &[
                ("database-tls", "fail", why),
                ("database-mode", "fail", why),
                ("replication-lag", "fail", why),
            ],
            || certificate(wrong),
            || certificate(Certificate::Right),
        );
    }
    // One that does not answer has shown nothing.
    broken(
        &env,
        &[
            ("database-tls", "unknown", ""),
            ("database-mode", "unknown", ""),
            ("replication-lag", "unknown", ""),
        ],
        || fault(&env, "CONNECT", "*", 50, Kind::DropBefore),
        || env.clear_faults(),
    );
    // The server itself goes on saying 0 here: what counts is the heartbeat.
    broken(
        &env,
        &[("replication-lag", "fail", "s behind by heartbeat")],
        || beat(&env, 300),
        || beat(&env, 0),
    );
    // A heartbeat that never arrived is unknown, which is a failure and not a zero.
    let lag = |seconds| {
        replica(Behaviour {
            lag_seconds: Some(seconds),
            ..Behaviour::default()
        });
    };
    broken(
        &env,
        &[("replication-lag", "unknown", "heartbeat")],
        || lag(100_000),
        || lag(0),
    );
    let record = |name: &str, content: &str| {
        let pairs = env.ready().env();
        let token = pairs.iter().find(|(n, _)| *n == "CLOUDFLARE_API_TOKEN");
        let found = super::record_documents(&env)
            .into_iter()
            .find(|d| d["name"] == name)
            .unwrap();
        let path = format!(
            "/client/v4/zones/{}/dns_records/{}",
            found["zone_id"].as_str().unwrap(),
            found["id"].as_str().unwrap()
        );
        let body = json!({ "content": content });
        let (status, answer) = env.meddle("PATCH", &path, &token.unwrap().1, Some(&body));
        assert_eq!(status, 200, "{answer}");
    };
    broken(
        &env,
        &[("dns-zone", "fail", "203.0.113.7 at")],
        || record("wp-bz.guajiro.xyz", "203.0.113.7"),
        || record("wp-bz.guajiro.xyz", "192.0.2.1"),
    );
    broken(
        &env,
        &[("dns-active", "fail", "instead of wp-pz.guajiro.xyz")],
        || record("wp-active.guajiro.xyz", "wp-bz.guajiro.xyz"),
        || record("wp-active.guajiro.xyz", "wp-pz.guajiro.xyz"),
    );
    broken(
        &env,
        &[("networks", "fail", "10.20.0.0/16 instead of 10.21.0.0/16")],
        || env.edit("zones/bz.toml", "10.20.0.0/16", "10.21.0.0/16"),
        || env.edit("zones/bz.toml", "10.21.0.0/16", "10.20.0.0/16"),
    );
    let unreadable = |buckets: &[&str]| {
        let mut switches = Switches::default();
        switches.unreadable_buckets = buckets.iter().map(|b| (*b).to_owned()).collect();
        env.wait(env.client().set_switches(&switches)).unwrap();
    };
    broken(
        &env,
        &[("media", "fail", "")],
        || unreadable(&["wp-prod-media"]),
        || unreadable(&[]),
    );
    // A list that cannot be read shows nothing.
    broken(
        &env,
        &[("exposure-cloud", "unknown", "403")],
        || fault(&env, "GET", "/v2/load_balancers*", 50, status(403)),
        || env.clear_faults(),
    );
    assert_nothing_left(&env);
}

/// BZ-24: warm through the service proxy, cold by a Job that is gone again.
#[test]
fn smoke_proves_a_warm_zone_and_a_cold_one() {
    let env = ready();
    let output = env.expect(0, &["smoke", "--zone", "bz"]);
    assert!(
        output.stdout.contains("a Job in app succeeded"),
        "{}",
        output.text()
    );
    assert_nothing_left(&env);
    let output = env.expect(0, &["smoke", "--zone", "pz"]);
    assert!(output.stdout.contains("HTTP 200"), "{}", output.text());
}

/// What a killed run left is removed by the next; an interrupted one removes it itself.
#[test]
fn a_run_that_was_cut_off_leaves_nothing_for_long() {
    let env = ready();
    for kill in [true, false] {
        fault(&env, "PATCH", "*/jobs/*", 1, Kind::HoldAfter);
        let mut child = env.spawn(&["smoke", "--zone", "bz"]);
        assert!(env.wait_held(&mut child));
        if kill {
            child.kill().unwrap();
        } else {
            let pid = child.id().to_string();
            let sent = std::process::Command::new("kill")
                .args(["-INT", &pid])
                .status();
            assert!(sent.unwrap().success());
        }
        let output = zonewright_tests::finish(Ok(child));
        env.clear_faults();
        if kill {
            assert!(env.dump().to_string().contains(LABEL), "{}", output.text());
            env.expect(0, &["smoke", "--zone", "bz"]);
        } else {
            assert_eq!(output.code, 130, "{}", output.text());
        }
        assert_nothing_left(&env);
    }
}

/// Credentials that are refused are named by where they come from, whatever the lines say.
#[test]
fn a_wrong_token_is_said_to_be_one() {
    let mut env = example();
    env.expect(0, &["apply", "--auto-approve"]);
    env.set("DIGITALOCEAN_TOKEN", "a-token-of-nobody");
    for command in ["verify", "smoke", "readiness"] {
        let refused = env.expect(9, &[command, "--zone", "bz"]);
        assert!(refused.stdout.contains("unknown"), "{}", refused.text());
        let text = refused.text();
        assert!(text.contains("DIGITALOCEAN_TOKEN"), "{text}");
        assert!(!text.contains("a-token-of-nobody"), "{text}");
    }
}

/// `--wait` asks again what is red, and only that; what stays red to the end is an answer as well.
#[test]
fn what_is_red_is_asked_again_until_the_wait_is_over() {
    let env = ready();
    let verify = |wait: &[&str]| {
        let only = ["--only", "exposure-cloud", "--only", "networks"];
        let args = [&["verify", "--zone", "bz"], &only[..], wait].concat();
        env.clear_requests();
        let output = env.run(&args);
        let asked = |path: &str| {
            let all = env.requests();
            let to = |r: &&Value| r["method"] == "GET" && r["path"] == path;
            all.iter().filter(to).count()
        };
        (output, asked("/v2/load_balancers"), asked("/v2/vpcs"))
    };
    let refuse = |count| fault(&env, "GET", "/v2/load_balancers*", count, status(403));
    // Red at first, green a moment later; what was green is not asked twice.
    refuse(2);
    let (output, lists, networks) = verify(&["--wait", "10m"]);
    assert_eq!(output.code, 0, "{}", output.text());
    for line in ["pass    exposure-cloud", "pass    networks"] {
        assert!(output.stdout.contains(line), "{}", output.text());
    }
    assert_eq!((lists, networks), (3, 1));
    env.clear_faults();
    // Red to the end.
    refuse(1000);
    let (output, lists, networks) = verify(&["--wait", "1s"]);
    assert_eq!(output.code, 6, "{}", output.text());
    assert!(lists > 1, "{lists}: {}", output.text());
    assert_eq!(networks, 1);
    // Without a wait there is one answer.
    let (output, lists, _) = verify(&[]);
    assert_eq!((output.code, lists), (6, 1), "{}", output.text());
    env.clear_faults();
    env.assert_settled();
}
