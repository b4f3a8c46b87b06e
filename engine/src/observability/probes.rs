//! Probes of the public names by the blackbox exporter: its modules, scrape jobs for a Prometheus, and the
//! same as objects for the Prometheus operator. A zone that is not exposed is asked by DNS only.

use serde_json::{Value as Json, json};

use super::names::PublicName;
use super::{Facts, yaml};
use crate::config::Role;

const HEADER: &str = "# Written by `zonewright observability`.\n";
/// Where `zonewright metrics --listen` is expected: beside Prometheus.
const METRICS_AT: &str = "127.0.0.1:9469";
const HTTP: &str = "zonewright_http";

/// Targets of one module with their labels.
struct Probe {
    job: &'static str,
    module: String,
    targets: Vec<String>,
    labels: Json,
    interval: &'static str,
}

fn dns_module(name: &PublicName) -> String {
    format!("zonewright_dns_{}", name.short())
}

/// Where responses tell the zone, each name has a module of its own.
fn http_module(facts: &Facts<'_>, name: &PublicName) -> String {
    match expected_zone(facts, name) {
        Some(_) => format!("{HTTP}_{}", name.short()),
        None => HTTP.to_owned(),
    }
}

/// The zone that has to answer under a name: its own, or the one that serves.
fn expected_zone<'f>(facts: &'f Facts<'_>, name: &PublicName) -> Option<(&'f str, &'f str)> {
    let header = facts.told.zone_header.as_deref()?;
    let own = |z: &&super::ZoneFacts<'_>| match &name.zone {
        Some(zone) => z.name == zone,
        None => z.role == Role::Active,
    };
    Some((header, facts.zones.iter().find(own)?.name.as_str()))
}

fn labels(facts: &Facts<'_>, name: &PublicName) -> Json {
    let mut out = json!({"name": name.name, "project": facts.project,
        "target": if name.zone.is_none() { "public" } else { "zone" }});
    let zone = facts
        .zones
        .iter()
        .find(|z| name.zone.as_ref() == Some(z.name));
    if let Some(zone) = zone {
        out["zone"] = json!(zone.name.as_str());
        out["role"] = json!(if zone.role == Role::Active {
            "active"
        } else {
            "idle"
        });
    }
    out
}

fn probes(facts: &Facts<'_>) -> Vec<Probe> {
    let mut out = Vec::new();
    for name in &facts.names {
        let zone = facts
            .zones
            .iter()
            .find(|z| name.zone.as_ref() == Some(z.name));
        if zone.is_none_or(|z| z.exposed) {
            out.push(Probe {
                job: "zonewright-http",
                module: http_module(facts, name),
                targets: vec![format!("https://{}/", name.name)],
                labels: labels(facts, name),
                interval: "30s",
            });
        }
        out.push(Probe {
            job: "zonewright-dns",
            module: dns_module(name),
            targets: facts.told.resolvers.clone(),
            labels: labels(facts, name),
            interval: "60s",
        });
    }
    out
}

/// The exporter's configuration.
pub(super) fn modules(facts: &Facts<'_>) -> String {
    let http = json!({"prober": "http", "timeout": "10s", "http": {
        "method": "GET", "fail_if_not_ssl": true, "follow_redirects": true,
        "valid_status_codes": [200], "preferred_ip_protocol": "ip4"}});
    let mut modules = json!({HTTP: http});
    for name in &facts.names {
        if let Some((header, zone)) = expected_zone(facts, name) {
            // A page of another zone, or of a cache, is no answer of this one.
            let mut own = http.clone();
            own["http"]["fail_if_header_not_matches"] =
                json!([{"header": header, "regexp": format!("^{zone}$")}]);
            modules[http_module(facts, name)] = own;
        }
        let mut dns = json!({"query_name": name.name, "query_type": name.record,
            "valid_rcodes": ["NOERROR"], "preferred_ip_protocol": "ip4"});
        // Without any answer the name leads nowhere; an address that only the cloud knows is not checked.
        let wanted = match &name.answer {
            Some(answer) => format!("\\t{}\\.?$", literal(answer)),
            None => format!("\\t{}\\t", name.record),
        };
        dns["validate_answer_rrs"] = json!({"fail_if_none_matches_regexp": [wanted]});
        modules[dns_module(name)] = json!({"prober": "dns", "timeout": "5s", "dns": dns});
    }
    format!("{HEADER}{}", yaml::document(&json!({"modules": modules})))
}

/// A name as a regular expression that matches only itself.
fn literal(text: &str) -> String {
    text.trim_end_matches('.').replace('.', "\\.")
}

/// The configuration of the Prometheus that watches: its scrape jobs and the rules.
pub(super) fn prometheus(facts: &Facts<'_>) -> String {
    let all = probes(facts);
    let mut jobs = vec![json!({"job_name": "zonewright", "scrape_interval": "30s",
        "static_configs": [{"targets": [METRICS_AT]}]})];
    let mut modules: Vec<(&str, &str, &str)> = Vec::new();
    for probe in &all {
        let key = (probe.job, probe.module.as_str(), probe.interval);
        if !modules.contains(&key) {
            modules.push(key);
        }
    }
    for (job, module, interval) in modules {
        let own = all.iter().filter(|p| p.job == job && p.module == module);
        let configs: Vec<Json> = own
            .map(|p| json!({"targets": p.targets, "labels": p.labels}))
            .collect();
        // Prometheus wants names of jobs to differ; alerts know the job by its label.
        jobs.push(
            json!({"job_name": module.replace('_', "-"), "metrics_path": "/probe",
            "scrape_interval": interval, "params": {"module": [module]},
            "static_configs": configs, "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "job", "replacement": job},
                {"target_label": "__address__", "replacement": facts.told.blackbox},
            ]}),
        );
    }
    let whole = json!({"global": {"scrape_interval": "30s", "evaluation_interval": "15s"},
        "rule_files": ["rules.yml"], "scrape_configs": jobs});
    format!("{HEADER}{}", yaml::document(&whole))
}

/// Objects of the Prometheus operator.
pub(super) fn objects(facts: &Facts<'_>) -> String {
    let objects: Vec<Json> = probes(facts)
        .into_iter()
        .map(|probe| {
            let short = probe.labels["name"].as_str().unwrap_or_default();
            let short = short.split('.').next().unwrap_or_default();
            let kind = probe.job.trim_start_matches("zonewright-");
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "Probe",
                "metadata": {"name": format!("{short}-{kind}")},
                "spec": {"jobName": probe.job, "module": probe.module, "interval": probe.interval,
                    "prober": {"url": facts.told.blackbox},
                    "targets": {"staticConfig": {"static": probe.targets, "labels": probe.labels}}}})
        })
        .collect();
    format!("{HEADER}{}", yaml::documents(&objects))
}
