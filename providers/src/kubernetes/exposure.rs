//! What makes a cluster reachable from outside. A pure judgement of one object, desired or live.
//!
//! The Service decides, not its pods: an ingress controller at zero replicas whose Service is of type
//! LoadBalancer still gets a public address.

use zonewright_engine::schema::Exposure;
use zonewright_engine::value::Value;

/// Kinds that can let somebody in from outside, by group and kind: Services by their type, all others,
/// which route, by being there.
pub(crate) const DOORS: &[(&str, &str)] = &[
    SERVICE,
    ("extensions", "Ingress"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "TCPRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("networking.k8s.io", "Ingress"),
    ("traefik.containo.us", "IngressRoute"),
    ("traefik.io", "IngressRoute"),
    ("traefik.io", "IngressRouteTCP"),
    ("traefik.io", "IngressRouteUDP"),
];

const SERVICE: (&str, &str) = ("", "Service");

/// The annotations that make ExternalDNS write records.
const EXTERNAL_DNS: &[&str] = &[
    "external-dns.alpha.kubernetes.io/hostname",
    "external-dns.alpha.kubernetes.io/target",
];

const ROUTE_HELP: &str =
    "enable it only where the zone is exposed: `zonewright = { enabled = \"${zone.exposed}\" }`";
const SERVICE_HELP: &str = "use `type: ClusterIP` in a zone that stands by, or enable it only where \
     the zone is exposed: `zonewright = { enabled = \"${zone.exposed}\" }`; in a chart its values \
     choose the type";
const DNS_HELP: &str = "leave the annotation out in a zone that stands by";

/// How the object makes something reachable from outside, if it does.
pub(crate) fn exposes(object: &Value) -> Option<Exposure> {
    let text = |keys: &[&str]| at(object, keys).and_then(Value::as_str);
    let kind = text(&["kind"])?;
    let group = text(&["apiVersion"])?
        .split_once('/')
        .map_or("", |(group, _)| group);
    let found = |what: String, path, help| Some(Exposure { what, path, help });
    let is_service = (group, kind) == SERVICE;
    if is_service {
        if let Some(ty @ ("LoadBalancer" | "NodePort")) = text(&["spec", "type"]) {
            return found(format!("a Service of type {ty}"), "spec.type", SERVICE_HELP);
        }
        let external = at(object, &["spec", "externalIPs"]);
        if matches!(external, Some(Value::List(ips)) if !ips.is_empty()) {
            let what = "a Service with external addresses".to_owned();
            return found(what, "spec.externalIPs", SERVICE_HELP);
        }
    }
    if !is_service && DOORS.contains(&(group, kind)) {
        let article = if kind.starts_with('I') { "an" } else { "a" };
        return found(format!("{article} {kind}"), "kind", ROUTE_HELP);
    }
    let annotations = at(object, &["metadata", "annotations"])?;
    let named = EXTERNAL_DNS
        .iter()
        .find(|a| annotations.get(a).is_some_and(|v| *v != Value::Null))?;
    found(
        format!("an annotation for ExternalDNS (`{named}`)"),
        "metadata.annotations",
        DNS_HELP,
    )
}

fn at<'v>(object: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().try_fold(object, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn what(object: serde_json::Value) -> Option<String> {
        exposes(&Value::from_json(object).unwrap()).map(|e| e.what)
    }

    #[test]
    fn services_expose_by_their_type() {
        let service =
            |ty: &str| json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": ty}});
        assert_eq!(
            what(service("LoadBalancer")).as_deref(),
            Some("a Service of type LoadBalancer")
        );
        assert!(what(service("NodePort")).is_some());
        assert_eq!(what(service("ClusterIP")), None);
        let external = json!({"apiVersion": "v1", "kind": "Service", "spec": {"externalIPs": ["198.51.100.1"]}});
        assert!(what(external).is_some());
        let other = json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"type": "LoadBalancer"}});
        assert_eq!(what(other), None);
    }

    #[test]
    fn routes_expose_by_their_kind() {
        for (group, kind) in DOORS.iter().filter(|d| **d != SERVICE) {
            let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind});
            assert!(what(object).is_some(), "{group}/{kind}");
        }
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"});
        assert_eq!(what(class), None);
    }

    #[test]
    fn annotations_for_external_dns_expose_and_others_do_not() {
        let annotated = |name: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": {name: "wp.example.org"}}, "spec": {"type": "ClusterIP"}});
        assert!(what(annotated(EXTERNAL_DNS[0])).is_some());
        assert_eq!(what(annotated("example.org/hostname")), None);
    }
}
