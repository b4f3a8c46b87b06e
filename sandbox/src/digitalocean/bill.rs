//! What bills in a world at this moment: the ground truth of costs.

use serde_json::{Value, json};

use crate::call::{Scene, text};

use super::{all, catalog, cluster, database, load_balancer, replica};

/// Everything that bills, with its price a month in US dollars (`null` where the catalogue has none),
/// and the sum of what is known.
pub(crate) fn now(scene: &Scene<'_, '_>) -> Value {
    let tables = scene.txn.tables();
    let mut items: Vec<Value> = Vec::new();
    let mut add = |kind: &str, doc: &Value, monthly: Option<f64>| {
        items.push(json!({"kind": kind, "id": doc["id"], "name": doc["name"],
            "region": doc["region"], "monthly": monthly}));
    };
    for doc in all(tables, cluster::TABLE) {
        if doc["ha"] == true {
            add("kubernetes_ha", doc, Some(catalog::HIGHLY_AVAILABLE));
        }
        for pool in doc["node_pools"].as_array().into_iter().flatten() {
            let size = catalog::SIZES.iter().find(|s| s.slug == text(pool, "size"));
            let price = size.map(|s| f64::from(s.price_monthly));
            for node in pool["nodes"].as_array().into_iter().flatten() {
                let shown = json!({"id": node["id"], "name": node["name"],
                    "region": doc["region"]});
                add("node", &shown, price);
            }
        }
    }
    for doc in all(tables, database::TABLE) {
        let nodes = doc["num_nodes"].as_u64().unwrap_or(1);
        let price = catalog::database_price(text(doc, "size"));
        #[allow(clippy::cast_precision_loss)] // There are three nodes at most.
        add("database_cluster", doc, price.map(|p| p * nodes as f64));
    }
    for doc in all(tables, replica::TABLE) {
        add(
            "database_replica",
            doc,
            catalog::database_price(text(doc, "size")),
        );
    }
    for doc in all(tables, load_balancer::BALANCERS) {
        add("load_balancer", doc, Some(catalog::LOAD_BALANCER));
    }
    if tables.list("s3/buckets").next().is_some() {
        let shown = json!({"id": "spaces", "name": "spaces", "region": null});
        add("spaces", &shown, Some(catalog::SPACES));
    }
    let total: f64 = items
        .iter()
        .filter_map(|item| item["monthly"].as_f64())
        .sum();
    let total = (total * 100.0).round() / 100.0;
    json!({"items": items, "monthly": total, "currency": "USD"})
}
