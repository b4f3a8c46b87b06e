//! Rules about the way in: errors, latency and the error budget of what users ask for. They are for the
//! Prometheus in the zone that serves, which alone sees the controller's metrics; that the zone is gone is
//! told by the probes from outside.

use serde_json::{Value as Json, json};

use super::rules::{Alert, alert, record, render};
use super::{Facts, yaml};
use crate::expr::Reference;
use crate::observe::{Inputs, Observations, lookup_seen};

/// The share of requests that have to be answered, over 30 days.
const OBJECTIVE: f64 = 0.995;
/// Windows for which the share of errors is recorded.
const WINDOWS: [&str; 4] = ["5m", "30m", "1h", "6h"];

/// How a controller tells of requests.
struct Dialect {
    /// What is in the name of its class, or of what acts on the class.
    mark: &'static str,
    /// The counter of requests.
    requests: &'static str,
    /// The histogram of their durations, in seconds.
    durations: &'static str,
    /// The label with the status.
    status: &'static str,
    /// The label with the host, where there is one.
    host: Option<&'static str>,
    /// What else a series of users' requests has.
    only: &'static str,
}

/// Names as the controllers' documentation has them (doc.traefik.io, observability/metrics;
/// kubernetes.github.io/ingress-nginx, user-guide/monitoring).
const DIALECTS: [Dialect; 2] = [
    Dialect {
        mark: "traefik",
        requests: "traefik_entrypoint_requests_total",
        durations: "traefik_entrypoint_request_duration_seconds_bucket",
        status: "code",
        host: None,
        // Its own entry points are asked by Prometheus and the kubelet.
        only: "entrypoint!~\"traefik|metrics|ping\"",
    },
    Dialect {
        mark: "nginx",
        requests: "nginx_ingress_controller_requests",
        durations: "nginx_ingress_controller_request_duration_seconds_bucket",
        status: "status",
        host: Some("host"),
        only: "",
    },
];

/// The rules as an object of the Prometheus operator, if the spec says which controller lets users in.
pub(super) fn file(inputs: &Inputs, facts: &Facts<'_>) -> Option<String> {
    let objects = objects(inputs);
    let (dialect, namespace) = way_in(&objects)?;
    let rules = json!({"groups": [
        {"name": "zonewright-ingress-records", "rules": records(dialect, facts)},
        {"name": "zonewright-ingress-alerts", "rules":
            alerts(dialect, facts).iter().map(|a| render(a, facts)).collect::<Vec<Json>>()},
    ]});
    let object = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
        "metadata": {"name": "zonewright-ingress", "namespace": namespace}, "spec": rules});
    Some(format!(
        "# Written by `zonewright observability`. For the Prometheus operator in the zone that serves.\n{}",
        yaml::document(&object)
    ))
}

fn objects(inputs: &Inputs) -> Vec<Json> {
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
    let resources = inputs.config.resources.values();
    let objects = resources.filter(|r| inputs.object_rules(&r.address).is_some());
    objects.map(|r| r.body.eval(&scope).to_json()).collect()
}

/// What lets users in, and the namespace of what they are let in to.
fn way_in(objects: &[Json]) -> Option<(&'static Dialect, String)> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let acts = |kind: &str, class: &str, field: &str| {
        let of = |o: &&Json| o["kind"] == kind && o["metadata"]["name"] == class;
        let found = objects.iter().find(of).map(|o| text(&o["spec"][field]));
        format!("{class} {}", found.unwrap_or_default())
    };
    let ways = objects.iter().filter_map(|o| {
        let named = match o["kind"].as_str()? {
            "Ingress" => acts(
                "IngressClass",
                o["spec"]["ingressClassName"].as_str()?,
                "controller",
            ),
            "Gateway" => {
                let class = o["spec"]["gatewayClassName"].as_str()?;
                acts("GatewayClass", class, "controllerName")
            }
            _ => return None,
        };
        let dialect = DIALECTS.iter().find(|d| named.contains(d.mark))?;
        Some((dialect, text(&o["metadata"]["namespace"])))
    });
    ways.into_iter().next()
}

/// The series of users' requests.
fn series(dialect: &Dialect, facts: &Facts<'_>, more: &str) -> String {
    let host = dialect.host.map(|label| {
        let names = facts.names.iter().filter(|n| n.zone.is_none());
        let names: Vec<&str> = names.map(|n| n.name.as_str()).collect();
        format!("{label}=~\"{}\"", names.join("|"))
    });
    let parts = [host.as_deref().unwrap_or_default(), dialect.only, more];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    format!("{{{}}}", parts.join(","))
}

fn records(dialect: &Dialect, facts: &Facts<'_>) -> Vec<Json> {
    let all = format!("{}{}", dialect.requests, series(dialect, facts, ""));
    let status = format!("{}=~\"5..\"", dialect.status);
    let errors = format!("{}{}", dialect.requests, series(dialect, facts, &status));
    let mut out = Vec::new();
    for window in WINDOWS {
        // Without a single error there is no series of them; without requests there is no share.
        let expr = format!(
            "(sum(rate({errors}[{window}])) or vector(0)) / (sum(rate({all}[{window}])) > 0)"
        );
        out.push(record(&format!("dr:ingress_error_ratio:{window}"), &expr));
    }
    let durations = format!("{}{}", dialect.durations, series(dialect, facts, ""));
    for (name, quantile) in [("p90", "0.9"), ("p99", "0.99")] {
        let expr = format!("histogram_quantile({quantile}, sum by (le) (rate({durations}[5m])))");
        out.push(record(&format!("dr:ingress_latency_seconds:{name}"), &expr));
    }
    let budget = format!("1 - dr:ingress_error_ratio:6h / {:.3}", 1.0 - OBJECTIVE);
    out.push(record("dr:ingress_error_budget:6h", &budget));
    out
}

fn alerts(dialect: &Dialect, facts: &Facts<'_>) -> Vec<Alert> {
    let burns = |factor: f64, short: &str, long: &str| {
        let limit = format!("{:.3}", factor * (1.0 - OBJECTIVE));
        format!(
            "dr:ingress_error_ratio:{short} > {limit} and dr:ingress_error_ratio:{long} > {limit}"
        )
    };
    let all = format!("{}{}", dialect.requests, series(dialect, facts, ""));
    vec![
        alert(
            "IngressErrorsHigh",
            "dr:ingress_error_ratio:5m > 0.05",
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of all requests fail.",
        ),
        alert(
            "IngressErrors",
            "dr:ingress_error_ratio:5m > 0.01",
            "5m",
            "warning",
            "{{ $value | humanizePercentage }} of all requests fail.",
        ),
        alert(
            "IngressSlow",
            "dr:ingress_latency_seconds:p99 > 4",
            "5m",
            "critical",
            "One request of a hundred takes {{ $value | humanizeDuration }} or longer.",
        ),
        alert(
            "ErrorBudgetBurnsFast",
            burns(14.4, "5m", "1h"),
            "2m",
            "critical",
            "Errors use up the budget of 30 days within two.",
        ),
        alert(
            "ErrorBudgetBurns",
            burns(6.0, "30m", "6h"),
            "15m",
            "warning",
            "Errors use up the budget of 30 days within five.",
        ),
        alert(
            "IngressMetricsMissing",
            format!("absent({all})"),
            "10m",
            "warning",
            "Nobody knows how requests are answered: the controller's metrics are missing.",
        ),
    ]
}
