//! Which objects of a cluster can be reached from outside. Pure.

use serde_json::Value as Json;

/// How an object exposes something; `None` when it does not. Objects that route (an Ingress, a route)
/// count by themselves: with them, whatever listens decides.
pub fn exposes(object: &Json) -> Option<String> {
    match object["kind"].as_str()? {
        "Service" => service(&object["spec"]),
        kind @ ("Ingress" | "Gateway" | "HTTPRoute" | "TCPRoute" | "TLSRoute" | "GRPCRoute") => {
            Some(format!("a standing {kind}"))
        }
        _ => None,
    }
    .or_else(|| external_dns(object))
}

fn service(spec: &Json) -> Option<String> {
    if let Some(kind @ ("LoadBalancer" | "NodePort")) = spec["type"].as_str() {
        return Some(format!("type {kind}"));
    }
    let addresses = spec["externalIPs"].as_array()?;
    (!addresses.is_empty()).then(|| "externalIPs".to_owned())
}

fn external_dns(object: &Json) -> Option<String> {
    let annotations = object["metadata"]["annotations"].as_object()?;
    let found = annotations
        .keys()
        .find(|k| k.starts_with("external-dns.alpha.kubernetes.io/"))?;
    Some(format!("annotation {found}"))
}
