//! Namespaces: a default ServiceAccount and root certificates while they live, their contents when
//! they go.

use serde_json::{Value, json};

use super::super::delete;
use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid};
use super::{Looked, condition, waits_until};

/// Seconds that the deletion of a namespace takes.
const DELETING: u64 = 6;

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, it: Looked) -> Option<u64> {
    if it.is_terminating() {
        return empty(ctx, it);
    }
    let namespace = it.name().to_owned();
    let now = ctx.now();
    let metadata = |name: &str| json!({"name": name, "namespace": namespace, "uid": new_uid(), "creationTimestamp": now});
    let accounts = table(ctx.cluster, "", "serviceaccounts");
    let at = key(Some(&namespace), "default");
    if ctx.tables().get(&accounts, &at).is_none() {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
        ctx.store(&accounts, &at, account);
    }
    let maps = table(ctx.cluster, "", "configmaps");
    let at = key(Some(&namespace), "kube-root-ca.crt");
    if ctx.tables().get(&maps, &at).is_none() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kube-root-ca.crt"),
                         "data": {"ca.crt": "sandbox"}});
        ctx.store(&maps, &at, map);
    }
    None
}

fn empty(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let since = it.since(ctx, "terminating");
    if let Some(due) = waits_until(ctx, since, DELETING) {
        return Some(due);
    }
    let prefix = format!("{}/", it.name());
    let root = format!("kubernetes/{}/", ctx.cluster);
    let clock = super::clock_table(ctx.cluster);
    let names: Vec<String> = ctx
        .tables()
        .names(&root)
        .filter(|n| **n != clock)
        .cloned()
        .collect();
    let mut left: Vec<String> = Vec::new();
    for name in names {
        let found: Vec<(String, Value)> = ctx
            .tables()
            .range(&name, &prefix, "")
            .map(|(k, o)| (k.clone(), o.clone()))
            .collect();
        for (key, object) in found {
            let (object, gone) = delete::remove(ctx, &name, &key, object);
            if !gone {
                let finalizers = object["metadata"]["finalizers"]
                    .as_array()
                    .into_iter()
                    .flatten();
                left.extend(finalizers.filter_map(|f| f.as_str().map(str::to_owned)));
            }
        }
    }
    if left.is_empty() {
        ctx.txn.delete(&it.table, &it.key);
        return None;
    }
    left.sort();
    left.dedup();
    let now = ctx.now();
    it.update(ctx, |o| {
        let status = &mut o["status"];
        let content = "Some resources are remaining: objects that finalizers hold";
        condition(
            status,
            &now,
            (
                "NamespaceContentRemaining",
                true,
                "SomeResourcesRemain",
                content,
            ),
        );
        let text = format!(
            "Some content in the namespace has finalizers remaining: {}",
            left.join(", ")
        );
        condition(
            status,
            &now,
            (
                "NamespaceFinalizersRemaining",
                true,
                "SomeFinalizersRemain",
                &text,
            ),
        );
    });
    Some(ctx.world.now_ms() + 100)
}
