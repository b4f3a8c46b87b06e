//! What of a Kubernetes object bills at the cloud that runs its cluster: load balancers and volumes.

use zonewright_engine::address::Kind;
use zonewright_engine::cost::{Charge, PriceRules};
use zonewright_engine::value::{Map, Value};

use super::quantity;
use super::rules::text;

/// How objects are billed, by the price list of the cluster's provider.
pub(super) const RULES: PriceRules = PriceRules {
    charges,
    account: |_: &Map| Vec::new(),
    tables: &[],
};

const VOLUME: &str = "volume_gib";
const SIZE_UNIT: &str = "service.beta.kubernetes.io/do-loadbalancer-size-unit";
const TYPE: &str = "service.beta.kubernetes.io/do-loadbalancer-type";

#[allow(clippy::unnecessary_wraps)] // The shape of the rule: every object's bill is known.
fn charges(_kind: &Kind, object: &Value) -> Option<Vec<Charge>> {
    let spec = object.get("spec");
    let at = |key: &str| spec.and_then(|s| s.get(key));
    let replicas = at("replicas").and_then(Value::as_i64).unwrap_or(1);
    let replicas = u64::try_from(replicas).unwrap_or(0);
    Some(match text(object, &["kind"]).unwrap_or_default() {
        "Service" if text(object, &["spec", "type"]) == Some("LoadBalancer") => {
            vec![load_balancer(object)]
        }
        "PersistentVolumeClaim" => spec.map(|s| volume(s, 1)).into_iter().collect(),
        "StatefulSet" => {
            let claims = at("volumeClaimTemplates").and_then(Value::as_list);
            let specs = claims.into_iter().flatten().filter_map(|c| c.get("spec"));
            specs.map(|s| volume(s, replicas)).collect()
        }
        // The operator makes a stateful set of as many claims.
        "Prometheus" | "Alertmanager" => {
            let claim = at("storage").and_then(|s| s.get("volumeClaimTemplate"));
            let spec = claim.and_then(|c| c.get("spec"));
            spec.map(|s| volume(s, replicas)).into_iter().collect()
        }
        _ => Vec::new(),
    })
}

fn load_balancer(service: &Value) -> Charge {
    let annotation = |key: &str| text(service, &["metadata", "annotations", key]);
    if let Some(kind) = annotation(TYPE).filter(|k| *k != "REGIONAL") {
        return Charge::of(format!("load_balancer/{}", kind.to_ascii_lowercase()), 1);
    }
    let nodes = annotation(SIZE_UNIT).and_then(|n| n.parse().ok());
    Charge::of("load_balancer", nodes.unwrap_or(1))
}

/// A claim's volume; of another storage class than the cloud's own nothing is known.
fn volume(spec: &Value, replicas: u64) -> Charge {
    let class = text(spec, &["storageClassName"]);
    if let Some(other) = class.filter(|c| !c.starts_with("do-block-storage")) {
        return Charge::of(format!("storage class {other}"), replicas);
    }
    match text(spec, &["resources", "requests", "storage"]).and_then(quantity::gib) {
        Some(gib) => Charge::of(VOLUME, gib.saturating_mul(replicas)),
        None => Charge::of("volume of unknown size", replicas),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn billed(object: serde_json::Value) -> Vec<(String, u64)> {
        let kind = "kubernetes.manifest".parse().unwrap();
        let charges = charges(&kind, &Value::from_plain_json(object)).unwrap();
        charges.into_iter().map(|c| (c.item, c.high)).collect()
    }

    #[test]
    fn only_what_reaches_out_of_the_cluster_bills() {
        let service = |kind: &str| json!({"kind": "Service", "spec": {"type": kind}});
        assert_eq!(billed(service("ClusterIP")), []);
        assert_eq!(
            billed(service("LoadBalancer")),
            [("load_balancer".to_owned(), 1)]
        );
        assert_eq!(
            billed(json!({"kind": "Deployment", "spec": {"replicas": 3}})),
            []
        );
    }

    #[test]
    fn volumes_bill_by_size_and_replicas() {
        let claim = json!({"resources": {"requests": {"storage": "1500Mi"}}});
        assert_eq!(
            billed(json!({"kind": "PersistentVolumeClaim", "spec": claim})),
            [("volume_gib".to_owned(), 2)]
        );
        let set = json!({"kind": "StatefulSet", "spec": {"replicas": 3,
            "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "10Gi"}}}}]}});
        assert_eq!(billed(set), [("volume_gib".to_owned(), 30)]);
        let prometheus = json!({"kind": "Prometheus", "spec": {"storage": {"volumeClaimTemplate":
            {"spec": {"storageClassName": "other", "resources": {"requests": {"storage": "10Gi"}}}}}}});
        assert_eq!(billed(prometheus), [("storage class other".to_owned(), 1)]);
    }
}
