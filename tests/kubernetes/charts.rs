//! Real charts in an empty cluster.

use serde_json::json;
use zonewright_tests::renderings;

use crate::lab::Lab;

const ISSUER: &str = r#"
[kubernetes.manifest.issuer]
object = { apiVersion = "cert-manager.io/v1", kind = "ClusterIssuer", metadata = { name = "self" }, spec = { selfSigned = {} } }
[kubernetes.manifest.monitor]
object = { apiVersion = "monitoring.coreos.com/v1", kind = "ServiceMonitor", metadata = { name = "lab", namespace = "platform" }, spec = { selector = {}, endpoints = [{ port = "http" }] } }
"#;

/// Three charts of 182 objects with their definitions, and custom resources of them, in one run.
pub(crate) fn real_charts_converge_in_one_run(lab: &Lab) {
    let Some(dir) = renderings() else { return };
    let mut tables = String::new();
    for (name, file) in [
        ("cert_manager", "cert-manager"),
        ("monitoring", "kube-prometheus-stack"),
        ("traefik", "traefik"),
    ] {
        let text = std::fs::read_to_string(dir.join(format!("{file}.yaml"))).unwrap();
        lab.write(&format!("charts/pz/{name}.yaml"), &text);
        tables.push_str(&format!(
            "[kubernetes.chart.{name}]\nchart = \"{file}\"\nversion = \"1.0.0\"\nnamespace = \"platform\"\n"
        ));
    }
    tables.push_str("[kubernetes.manifest.platform]\nobject = { apiVersion = \"v1\", kind = \"Namespace\", metadata = { name = \"platform\" } }\n");
    lab.declare(&format!("{tables}{ISSUER}"));
    lab.converge();
    let what = "requests of an unchanged plan of three charts";
    let requests = lab.counted(&["plan", "--detailed-exitcode"]);
    lab.note(what, &requests.to_string());
    assert!(requests <= 30, "{requests} requests");
    let deployment = "/apis/apps/v1/namespaces/platform/deployments/cert-manager";
    lab.patch(deployment, &json!({ "spec": { "replicas": 3 } }));
    let drift = lab.expect(2, &["drift"]);
    assert!(drift.stdout.contains("replicas"), "{}", drift.text());
    lab.converge();
}
