//! What DigitalOcean charges: which attributes bill, a dated table, and today's prices of droplets.
//!
//! The API tells the prices of droplet sizes (`GET /v2/sizes`, `price_monthly`) and of nothing else.
//! The rest is in tables, in US cents a month, each with its source and the month in which that was read.
//! A size that is in none has no known price.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::Value as Json;
use zonewright_engine::address::Kind;
use zonewright_engine::cost::{Charge, PriceRules, PriceTable, Trust};
use zonewright_engine::provider::ProviderError;
use zonewright_engine::value::{Map, Value};

use crate::http::Api;

/// How its resources are billed.
pub(super) const RULES: PriceRules = PriceRules {
    charges,
    account,
    tables: TABLES,
};

/// What nobody confirms is marked as unchecked, item by item.
const TABLES: &[PriceTable] = &[
    PriceTable {
        source: "docs.digitalocean.com/products/kubernetes/details/pricing",
        date: "2026-11",
        trust: Trust::Published,
        // The control plane is free, its high availability is not.
        cents: &[("kubernetes_ha", 4000)],
    },
    PriceTable {
        // An example of an invoice in the API's own document.
        source: "DigitalOcean's OpenAPI document",
        date: "2026-11",
        trust: Trust::Published,
        // 250 GB and 1 TB of transfer for all buckets of the account; what goes beyond is not foreseen.
        cents: &[("spaces", 500)],
    },
    PriceTable {
        // Worker nodes cost what droplets of their size cost, says the vendor; the sizes' prices are
        // from transcripts of its list of July 2022. The API is asked first.
        source: "copies of DigitalOcean's price list of 2022-07",
        date: "2026-11",
        trust: Trust::Unchecked,
        cents: DROPLETS,
    },
    PriceTable {
        // Others tell 15, 30 and 60 dollars for the databases and 12 for a load balancer; no page of the
        // vendor's own was at hand that is as new as these prices.
        source: "memory of digitalocean.com/pricing",
        date: "2026-11",
        trust: Trust::Unchecked,
        cents: OTHERS,
    },
];

const DROPLETS: &[(&str, u64)] = &[
    ("droplet/s-1vcpu-1gb", 600),
    ("droplet/s-1vcpu-2gb", 1200),
    ("droplet/s-2vcpu-2gb", 1800),
    ("droplet/s-2vcpu-4gb", 2400),
    ("droplet/s-4vcpu-8gb", 4800),
    ("droplet/s-8vcpu-16gb", 9600),
    ("droplet/c-2", 4200),
    ("droplet/c-4", 8400),
    ("droplet/g-2vcpu-8gb", 6300),
    ("droplet/g-4vcpu-16gb", 12_600),
    ("droplet/m-2vcpu-16gb", 8400),
    ("droplet/m-4vcpu-32gb", 16_800),
];

const OTHERS: &[(&str, u64)] = &[
    // One node of managed MySQL with the storage that the plan includes; standby nodes and replicas
    // cost the same again.
    ("mysql/db-s-1vcpu-1gb", 1515),
    ("mysql/db-s-1vcpu-2gb", 3045),
    ("mysql/db-s-2vcpu-4gb", 6090),
    // One node of a regional load balancer.
    ("load_balancer", 1200),
    ("volume_gib", 10),
];

fn charges(kind: &Kind, attrs: &Value) -> Option<Vec<Charge>> {
    Some(match kind.name() {
        "kubernetes_cluster" => cluster(attrs),
        "database_cluster" => {
            let nodes = attrs.get("num_nodes").and_then(Value::as_i64).unwrap_or(1);
            vec![Charge::of(database(attrs), count(nodes))]
        }
        "database_replica" => vec![Charge::of(database(attrs), 1)],
        "vpc" | "database" | "database_user" | "database_firewall" => Vec::new(),
        _ => return None,
    })
}

fn cluster(attrs: &Value) -> Vec<Charge> {
    let mut out = Vec::new();
    let pool = attrs.get("node_pool");
    let number = |key: &str| pool.and_then(|p| p.get(key)).and_then(Value::as_i64);
    let size = pool.and_then(|p| p.get("size")).and_then(Value::as_str);
    let item = format!("droplet/{}", size.unwrap_or("(size not known yet)"));
    let low = number("min").or(number("count")).map_or(1, count);
    let high = number("max").or(number("count")).map_or(low, count);
    out.push(Charge::range(item, low, high));
    if attrs.get("ha").and_then(Value::as_bool) == Some(true) {
        out.push(Charge::of("kubernetes_ha", 1));
    }
    out
}

fn database(attrs: &Value) -> String {
    let engine = attrs.get("engine").and_then(Value::as_str);
    let size = attrs.get("size").and_then(Value::as_str);
    format!(
        "{}/{}",
        engine.unwrap_or("mysql"),
        size.unwrap_or("(size not known yet)")
    )
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Buckets are not managed here; that a zone keeps its media in one is said by `[media]`.
fn account(settings: &Map) -> Vec<Charge> {
    let media = settings.get("media");
    let endpoint = media.and_then(|m| m.get("endpoint")?.as_str());
    if endpoint.is_some_and(|e| e.contains("digitaloceanspaces.com")) {
        vec![Charge::of("spaces", 1)]
    } else {
        Vec::new()
    }
}

const PER_PAGE: usize = 200;
const MOST_PAGES: usize = 5;

/// Today's prices, by item.
pub(super) fn quotes(api: &Api) -> BoxFuture<'_, Result<BTreeMap<String, u64>, ProviderError>> {
    Box::pin(async move {
        let mut out = BTreeMap::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/v2/sizes?page={page}&per_page={PER_PAGE}");
            let reply = api.get(&path).await.map_err(|e| e.error)?;
            let sizes = reply["sizes"].as_array().map_or(&[][..], Vec::as_slice);
            out.extend(sizes.iter().filter_map(quote));
            if sizes.len() < PER_PAGE {
                break;
            }
        }
        Ok(out)
    })
}

fn quote(size: &Json) -> Option<(String, u64)> {
    let slug = size["slug"].as_str()?;
    let cents = (size["price_monthly"].as_f64()? * 100.0).round();
    // The bounds are those of any price: a cast beyond them would be a nonsense of the vendor's.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let cents = (0.0..1e12).contains(&cents).then_some(cents as u64)?;
    Some((format!("droplet/{slug}"), cents))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn billed(kind: &str, attrs: Json) -> Option<Vec<(String, u64, u64)>> {
        let kind = format!("digitalocean.{kind}").parse().unwrap();
        let charges = charges(&kind, &Value::from_plain_json(attrs))?;
        Some(
            charges
                .into_iter()
                .map(|c| (c.item, c.low, c.high))
                .collect(),
        )
    }

    fn one(item: &str, low: u64, high: u64) -> Option<Vec<(String, u64, u64)>> {
        Some(vec![(item.to_owned(), low, high)])
    }

    #[test]
    fn autoscaling_gives_a_range_and_high_availability_costs() {
        let pool = json!({"size": "s-2vcpu-4gb", "min": 1, "max": 3});
        assert_eq!(
            billed("kubernetes_cluster", json!({ "node_pool": pool })),
            one("droplet/s-2vcpu-4gb", 1, 3)
        );
        let pool = json!({"size": "c-2", "count": 2});
        let both = billed("kubernetes_cluster", json!({"node_pool": pool, "ha": true}));
        assert_eq!(both.unwrap()[1], ("kubernetes_ha".to_owned(), 1, 1));
    }

    #[test]
    fn databases_cost_by_size_and_nodes() {
        let cluster = json!({"size": "db-s-1vcpu-2gb", "num_nodes": 2, "engine": "mysql"});
        assert_eq!(
            billed("database_cluster", cluster),
            one("mysql/db-s-1vcpu-2gb", 2, 2)
        );
        assert_eq!(
            billed("database_replica", json!({"size": "db-s-1vcpu-1gb"})),
            one("mysql/db-s-1vcpu-1gb", 1, 1)
        );
    }

    #[test]
    fn what_is_free_and_what_is_not_known_differ() {
        assert_eq!(billed("vpc", json!({})), Some(Vec::new()));
        assert_eq!(billed("something_new", json!({})), None);
        let listed = |item: &str| {
            let mut items = TABLES.iter().flat_map(|t| t.cents);
            items.any(|(i, _)| *i == item)
        };
        let (item, ..) = billed("database_replica", json!({})).unwrap().remove(0);
        assert!(!listed(&item));
    }

    #[test]
    fn an_item_has_one_price() {
        let mut seen = std::collections::BTreeSet::new();
        for (item, _) in TABLES.iter().flat_map(|t| t.cents) {
            assert!(seen.insert(item), "{item}");
        }
    }

    #[test]
    fn prices_become_whole_cents() {
        let size = json!({"slug": "s-1vcpu-1gb", "price_monthly": 6.0});
        assert_eq!(quote(&size), Some(("droplet/s-1vcpu-1gb".to_owned(), 600)));
        assert_eq!(quote(&json!({"slug": "x", "price_monthly": -1.0})), None);
        assert_eq!(quote(&json!({"slug": "x"})), None);
    }
}
