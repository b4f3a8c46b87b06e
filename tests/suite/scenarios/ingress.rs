//! OB-03, OB-05: what is watched at the way in, checked by the tool that will read it.

use serde_json::{Value, json};
use zonewright_tests::Env;

use super::example;
use super::observability::{check, tool};
use super::verify::cluster;

/// The rules of the generated object, as a rule file of its own.
fn rules(env: &Env) -> String {
    env.expect(0, &["observability", "--out", "mon"]);
    let object = std::fs::read_to_string(env.path().join("mon/ingress.yaml")).unwrap();
    let (_, spec) = object.split_once("\nspec:\n").unwrap();
    let lines = spec.lines().map(|l| l.strip_prefix("  ").unwrap_or(l));
    let text: String = lines.map(|l| format!("{l}\n")).collect();
    env.write("ingress.rules.yml", &text);
    text
}

fn promtool(env: &Env, args: &[&str]) -> Option<String> {
    Some(check(&tool("promtool")?, env.path(), args))
}

fn class(env: &Env, class: &str) {
    let to = format!("ingress_class = \"{class}\"");
    env.edit("zones/pz.toml", "ingress_class = \"traefik\"", &to);
}

/// The example with an ingress-nginx in place of Traefik.
fn nginx() -> Env {
    let env = example();
    class(&env, "nginx");
    env
}

/// The class of an Ingress says whose metrics count; every alert says who acts and how.
#[test]
fn errors_and_latency_at_the_way_in_have_rules() {
    for (env, metric) in [
        (example(), "traefik_entrypoint_requests_total"),
        (nginx(), "nginx_ingress_controller_requests"),
    ] {
        let text = rules(&env);
        assert!(text.contains(metric), "{text}");
        let docs = std::fs::read_to_string(zonewright_tests::root().join("docs/observability.md"));
        let docs = docs.unwrap();
        let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
        assert_eq!(alerts.len(), 6, "{text}");
        for alert in alerts {
            let name = alert.lines().next().unwrap();
            assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs");
            assert!(alert.contains("owner: platform-team"), "{alert}");
            assert!(alert.contains(&format!("/runbooks/{name}\"")), "{alert}");
        }
        let Some(said) = promtool(&env, &["check", "rules", "ingress.rules.yml"]) else {
            return;
        };
        assert!(said.contains("13 rules found"), "{said}");
    }
    let env = example();
    class(&env, "other");
    let none = env.expect(0, &["observability", "--out", "mon"]).stdout;
    assert!(!none.contains("ingress.yaml"), "{none}");
}

/// One alert and whether it fires, with nothing said of its annotations.
fn fires(name: &str, at: &str, severity: Option<(&str, &str)>) -> Value {
    let firing = severity.map(|(severity, summary)| {
        json!({"exp_labels": {"owner": "platform-team", "project": "wp", "env": "prod", "severity": severity},
            "exp_annotations": {"summary": summary,
                "runbook_url": format!("https://wiki.guajiro.xyz/runbooks/{name}")}})
    });
    json!({"alertname": name, "eval_time": at, "exp_alerts": firing.into_iter().collect::<Vec<Value>>()})
}

/// In virtual time: a share of errors below a limit fires nothing, above it what the limit says; silence is
/// told apart from health.
#[test]
fn the_error_budget_alerts_fire_when_they_should() {
    let series = |traefik: bool, code: &str, values: &str| {
        let name = match traefik {
            true => format!(
                "traefik_entrypoint_requests_total{{entrypoint=\"websecure\",code=\"{code}\"}}"
            ),
            false => format!(
                "nginx_ingress_controller_requests{{host=\"wp-active.guajiro.xyz\",status=\"{code}\"}}"
            ),
        };
        json!({"series": name, "values": values})
    };
    for (env, traefik) in [(example(), true), (nginx(), false)] {
        rules(&env);
        let bucket = |le: &str, values: &str| {
            let name = match traefik {
                true => {
                    "traefik_entrypoint_request_duration_seconds_bucket{entrypoint=\"websecure\""
                }
                false => {
                    "nginx_ingress_controller_request_duration_seconds_bucket{host=\"wp-active.guajiro.xyz\""
                }
            };
            json!({"series": format!("{name},le=\"{le}\"}}"), "values": values})
        };
        let high = |share: &str| format!("{share} of all requests fail.");
        let missing =
            "Nobody knows how requests are answered: the controller's metrics are missing.";
        let fast = "Errors use up the budget of 30 days within two.";
        let tests = json!([
            {   // Two of a hundred: a warning, and not a page.
                "name": "two percent", "interval": "1m",
                "input_series": [series(traefik, "200", "0+98x60"), series(traefik, "502", "0+2x60")],
                "alert_rule_test": [
                    fires("IngressErrors", "4m", None),
                    fires("IngressErrors", "20m", Some(("warning", &high("2%")))),
                    fires("IngressErrorsHigh", "20m", None),
                    fires("ErrorBudgetBurnsFast", "20m", None),
                ],
            },
            {   // One of ten: everybody is called.
                "name": "ten percent", "interval": "1m",
                "input_series": [series(traefik, "200", "0+90x60"), series(traefik, "502", "0+10x60")],
                "alert_rule_test": [
                    fires("IngressErrorsHigh", "20m", Some(("critical", &high("10%")))),
                    fires("ErrorBudgetBurnsFast", "20m", Some(("critical", fast))),
                ],
            },
            {   // No errors, no series of them; what nobody asks has no share.
                "name": "healthy, then silent", "interval": "1m",
                "input_series": [series(traefik, "200", "0+100x20 2000x40"),
                    bucket("1.2", "0+100x60"), bucket("5", "0+100x60"), bucket("+Inf", "0+100x60")],
                "alert_rule_test": [
                    fires("IngressErrors", "20m", None),
                    fires("IngressErrors", "50m", None),
                    fires("IngressSlow", "20m", None),
                    fires("IngressMetricsMissing", "50m", None),
                ],
            },
            {   // Slow for two of a hundred.
                "name": "slow", "interval": "1m",
                "input_series": [bucket("1.2", "0+98x60"), bucket("5", "0+98x60"), bucket("10", "0+100x60"),
                    bucket("+Inf", "0+100x60")],
                "alert_rule_test": [
                    fires("IngressSlow", "4m", None),
                    fires("IngressSlow", "20m", Some(("critical",
                        "One request of a hundred takes 7.5s or longer."))),
                    fires("IngressMetricsMissing", "9m", None),
                    fires("IngressMetricsMissing", "12m", Some(("warning", missing))),
                ],
            },
        ]);
        let file = json!({"rule_files": ["ingress.rules.yml"], "evaluation_interval": "1m", "tests": tests});
        env.write("ingress.tests.yml", &file.to_string());
        if promtool(&env, &["test", "rules", "ingress.tests.yml"]).is_none() {
            return;
        }
    }
}

/// What the Middleware of a zone's cluster adds to responses, and what an Ingress is led through.
pub(super) fn front(env: &Env, zone: &str, (namespace, ingress): (&str, &str)) -> (Value, Value) {
    let (id, token) = cluster(env, zone);
    let get = |path: String| {
        let path = format!("/clusters/{id}/apis/{path}");
        let (status, object) = env.meddle("GET", &path, &token, None);
        assert_eq!(status, 200, "{path}: {object}");
        object
    };
    let middleware = get(format!(
        "traefik.io/v1alpha1/namespaces/{namespace}/middlewares/zone"
    ));
    let ingress = get(format!(
        "networking.k8s.io/v1/namespaces/{namespace}/ingresses/{ingress}"
    ));
    let led = "traefik.ingress.kubernetes.io/router.middlewares";
    (
        middleware["spec"]["headers"]["customResponseHeaders"].clone(),
        ingress["metadata"]["annotations"][led].clone(),
    )
}

/// A page of another zone is no answer of this one.
#[test]
fn probes_tell_which_zone_answered() {
    let env = example();
    env.expect(0, &["observability", "--out", "mon"]);
    let modules = std::fs::read_to_string(env.path().join("mon/blackbox.yml")).unwrap();
    for (module, zone) in [("wp-active", "pz"), ("wp-pz", "pz"), ("wp-bz", "bz")] {
        let (_, own) = modules
            .split_once(&format!("zonewright_http_{module}:"))
            .unwrap();
        let own = own.split("zonewright_").next().unwrap();
        assert!(own.contains(&format!("regexp: \"^{zone}$\"")), "{own}");
        assert!(own.contains("header: X-Zone"), "{own}");
    }
    let jobs = std::fs::read_to_string(env.path().join("mon/prometheus.yml")).unwrap();
    assert!(jobs.contains("zonewright_http_wp-active"), "{jobs}");
    if let Some(exporter) = tool("prometheus-blackbox-exporter") {
        let config = ["--config.check", "--config.file", "mon/blackbox.yml"];
        check(&exporter, env.path(), &config);
    }
    // What the probes look for is what the front sends, in each zone that lets users in.
    for active in ["pz", "bz"] {
        env.edit(
            "zonewright.toml",
            "active = \"pz\"",
            &format!("active = \"{active}\""),
        );
        env.expect(0, &["apply", "--auto-approve", "--accept", "ZW3030"]);
        let (sent, led) = front(&env, active, ("app", "wp"));
        assert_eq!(sent, json!({"X-Zone": active}));
        assert_eq!(led, "app-zone@kubernetescrd");
        env.assert_settled();
    }
    env.edit("zonewright.toml", "\"X-Zone\"", "\"X Zone\"");
    let refused = env.run(&["validate"]);
    assert!(refused.text().contains("ZW1301"), "{}", refused.text());
    let header = "zone_header = \"X Zone\"";
    env.edit("zonewright.toml", header, "");
    let plain = env.expect(0, &["observability", "blackbox.yml"]).stdout;
    assert!(!plain.contains("fail_if_header_not_matches"), "{plain}");
}
