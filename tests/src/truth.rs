//! The ground truth: what there is in the accounts, without what chance decides.

use std::collections::BTreeMap;

use serde_json::Value;

/// How often there is an object, by service, table and name.
pub type Census = BTreeMap<String, usize>;

/// What the vendors and the clusters make by themselves, under names of chance, and marks without an object.
const NOT_OURS: &[&str] = &[
    "digitalocean/tags",
    "kubernetes/apps/replicasets",
    "kubernetes/core/endpoints",
    "kubernetes/core/pods",
    "kubernetes/discovery.k8s.io/endpointslices",
    "kubernetes/~since",
    // The state, when it is in a bucket.
    "s3/objects",
    // What is written in databases.
    "mysql/",
];

/// Counts what a dump of the sandbox shows.
pub fn census(dump: &Value) -> Census {
    let mut census = Census::new();
    for (service, tables) in dump.as_object().into_iter().flatten() {
        for (table, rows) in tables.as_object().into_iter().flatten() {
            let kind = kind(service, table);
            if NOT_OURS.iter().any(|n| kind.starts_with(n)) {
                continue;
            }
            for (key, row) in rows.as_object().into_iter().flatten() {
                let name = name(service, table, key, row);
                *census.entry(format!("{kind} {name}")).or_default() += 1;
            }
        }
    }
    census
}

/// What differs of two.
///
/// # Errors
/// Something does.
pub fn same(found: &Census, expected: &Census) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let differs = |a: &Census, b: &Census| -> Census {
        let other = a.iter().filter(|(k, v)| b.get(*k) != Some(v));
        other.map(|(k, v)| (k.clone(), *v)).collect()
    };
    Err(format!(
        "found {:#?}\nexpected {:#?}",
        differs(found, expected),
        differs(expected, found)
    ))
}

/// A table without the id of what it belongs to.
fn kind(service: &str, table: &str) -> String {
    let kind = match service {
        "kubernetes" => table.split_once('/').map_or(table, |(_, kind)| kind),
        _ => table.split('/').next().unwrap_or(table),
    };
    format!("{service}/{kind}")
}

fn name(service: &str, table: &str, key: &str, row: &Value) -> String {
    match (service, table) {
        ("kubernetes", _) => key.to_owned(),
        // Named by the cluster, after the uid of a Service.
        ("digitalocean", "load_balancers") => String::new(),
        _ => row["name"].as_str().unwrap_or_default().to_owned(),
    }
}
