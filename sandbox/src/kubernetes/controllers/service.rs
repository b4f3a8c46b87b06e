//! Services: endpoints from the ready pods, and load balancers at the cloud.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::kinds::{key, table};
use super::super::request::{Ctx, new_uid};
use super::super::selector::matches_pairs;
use super::{Looked, waits_until};

/// The cloud's table that load balancers are written to.
const BALANCERS: &str = "digitalocean/load_balancers";
const CLEANUP: &str = "service.kubernetes.io/load-balancer-cleanup";
const ID: &str = "kubernetes.digitalocean.com/load-balancer-id";

/// Seconds until a load balancer has an address: 1 to 3 minutes are usual, here the middle.
const PROVISIONING: u64 = 120;

pub(super) fn look(ctx: &mut Ctx<'_, '_>, it: Looked) -> Option<u64> {
    if it.object["spec"]["selector"].is_object() && !it.is_terminating() {
        endpoints(ctx, &it);
    }
    balancer(ctx, it)
}

/// A Service that is gone leaves no endpoints behind.
pub(super) fn gone(ctx: &mut Ctx<'_, '_>, key: &str) {
    let slice = format!("{key}-slice");
    let slices = table(ctx.cluster, "discovery.k8s.io", "endpointslices");
    for (table, key) in [
        (table(ctx.cluster, "", "endpoints"), key),
        (slices, slice.as_str()),
    ] {
        if ctx.tables().get(&table, key).is_some() {
            ctx.txn.delete(&table, key);
        }
    }
}

fn endpoints(ctx: &mut Ctx<'_, '_>, it: &Looked) {
    let (namespace, name) = (it.namespace().to_owned(), it.name().to_owned());
    let selector = it.object["spec"]["selector"].clone();
    let pods = table(ctx.cluster, "", "pods");
    let prefix = format!("{namespace}/");
    let matching = ctx.tables().range(&pods, &prefix, "");
    let matching = matching.filter(|(_, p)| matches_pairs(&selector, &p["metadata"]["labels"]));
    let (mut ready, mut unready) = (Vec::new(), Vec::new());
    for (_, pod) in matching {
        let address = json!({"ip": pod["status"]["podIP"], "nodeName": "node-1", "targetRef": {
            "kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace,
            "uid": pod["metadata"]["uid"]}});
        let up = super::holds(pod, "Ready");
        if up {
            ready.push(address)
        } else {
            unready.push(address)
        }
    }
    let ports: Vec<Value> = it.object["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| {
            let number = p["targetPort"].as_u64().or(p["port"].as_u64());
            let mut out = json!({"port": number, "protocol": p["protocol"]});
            if p["name"].is_string() {
                out["name"] = p["name"].clone();
            }
            out
        })
        .collect();
    slice(ctx, it, (&ready, &unready), &ports);
    let mut subset = json!({"ports": ports});
    if !ready.is_empty() {
        subset["addresses"] = json!(ready);
    }
    if !unready.is_empty() {
        subset["notReadyAddresses"] = json!(unready);
    }
    let none = ready.is_empty() && unready.is_empty();
    let subsets = if none { json!([]) } else { json!([subset]) };
    let own = table(ctx.cluster, "", "endpoints");
    let at = key(Some(&namespace), &name);
    keep(ctx, &own, &at, |known| {
        let metadata = known.map(|k| k["metadata"].clone());
        json!({"apiVersion": "v1", "kind": "Endpoints", "subsets": subsets,
               "metadata": metadata.unwrap_or_else(|| json!({"name": name, "namespace": namespace}))})
    });
}

fn slice(
    ctx: &mut Ctx<'_, '_>,
    it: &Looked,
    (ready, unready): (&[Value], &[Value]),
    ports: &[Value],
) {
    let entry = |address: &Value, ready: bool| {
        json!({"addresses": [address["ip"]], "targetRef": address["targetRef"], "nodeName": "node-1",
               "conditions": {"ready": ready, "serving": ready, "terminating": false}})
    };
    let all: Vec<Value> = ready
        .iter()
        .map(|a| entry(a, true))
        .chain(unready.iter().map(|a| entry(a, false)))
        .collect();
    let (namespace, service) = (it.namespace().to_owned(), it.name().to_owned());
    let name = format!("{service}-slice");
    let owner = json!({"apiVersion": "v1", "kind": "Service", "name": service, "uid": it.uid(),
                       "controller": true, "blockOwnerDeletion": true});
    let own = table(ctx.cluster, "discovery.k8s.io", "endpointslices");
    let at = key(Some(&namespace), &name);
    keep(ctx, &own, &at, |known| {
        let metadata = known.map(|k| k["metadata"].clone()).unwrap_or_else(|| {
            json!({"name": name, "namespace": namespace, "generation": 1, "ownerReferences": [owner],
                   "labels": {"kubernetes.io/service-name": service}})
        });
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": metadata, "endpoints": all, "ports": ports})
    });
}

/// Stores what `make` makes of the known object, if that differs.
fn keep(ctx: &mut Ctx<'_, '_>, table: &str, key: &str, make: impl FnOnce(Option<&Value>) -> Value) {
    let known = ctx.tables().get(table, key).cloned();
    let mut new = make(known.as_ref());
    if known.as_ref() == Some(&new) {
        return;
    }
    if known.is_none() {
        new["metadata"]["uid"] = json!(new_uid());
        new["metadata"]["creationTimestamp"] = json!(ctx.now());
    }
    ctx.store(table, key, new);
}

/// The id of a Service's load balancer, which follows from the uid.
fn balancer_id(uid: &str) -> String {
    let digest = Sha256::digest(uid.as_bytes());
    let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// A free address of the documentation network, tried from where the id points.
fn free_address(ctx: &Ctx<'_, '_>, id: &str) -> String {
    let start = u64::from_str_radix(id.get(..8).unwrap_or("0"), 16).unwrap_or(0);
    let used: Vec<&str> = ctx
        .tables()
        .list(BALANCERS)
        .filter_map(|(_, b)| b["ip"].as_str())
        .collect();
    let address = |n: u64| format!("203.0.113.{}", (start + n) % 254 + 1);
    (0..254)
        .map(address)
        .find(|a| !used.contains(&a.as_str()))
        .unwrap_or_else(|| address(0))
}

fn balancer(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let id = balancer_id(it.uid());
    let wanted = it.object["spec"]["type"] == "LoadBalancer" && !it.is_terminating();
    if !wanted {
        release(ctx, it, &id);
        return None;
    }
    let since = it.since(ctx, "load-balancer");
    let due = waits_until(ctx, since, PROVISIONING);
    let known = ctx.tables().get(BALANCERS, &id).cloned();
    let mut document = known.clone().unwrap_or_else(|| {
        let cluster = ctx.tables().get("digitalocean/kubernetes_clusters", ctx.cluster);
        let of = |field: &str| cluster.map(|c| c[field].clone()).unwrap_or_default();
        let name = it.object["metadata"]["annotations"]["service.beta.kubernetes.io/do-loadbalancer-name"].as_str();
        let made = format!("a{}", it.uid().replace('-', ""));
        json!({"id": id, "name": name.unwrap_or(&made), "ip": "", "region": of("region"),
               "vpc_uuid": of("vpc_uuid"), "cluster_id": ctx.cluster, "created_ms": since, "status": "new"})
    });
    if due.is_none() && document["status"] == "new" {
        document["ip"] = json!(free_address(ctx, &id));
        document["status"] = json!("active");
    }
    let address = document["ip"].clone();
    if known.as_ref() != Some(&document) {
        ctx.txn.put(BALANCERS, &id, document);
    }
    it.update(ctx, |o| {
        o["metadata"]["annotations"][ID] = json!(id);
        if !o["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|f| f.iter().any(|x| x == CLEANUP))
        {
            let mut list = o["metadata"]["finalizers"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            list.push(json!(CLEANUP));
            o["metadata"]["finalizers"] = Value::Array(list);
        }
        if due.is_none() {
            o["status"]["loadBalancer"] = json!({"ingress": [{"ip": address, "ipMode": "VIP"}]});
        }
    });
    due
}

/// Gives the load balancer back and lets the Service go.
fn release(ctx: &mut Ctx<'_, '_>, mut it: Looked, id: &str) {
    let held = it.object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|f| f.iter().any(|x| x == CLEANUP));
    if !held {
        return;
    }
    ctx.txn.delete(BALANCERS, id);
    it.update(ctx, |o| {
        if let Some(list) = o["metadata"]["finalizers"].as_array_mut() {
            list.retain(|f| f != CLEANUP);
            if list.is_empty()
                && let Some(metadata) = o["metadata"].as_object_mut()
            {
                metadata.remove("finalizers");
            }
        }
        if let Some(annotations) = o["metadata"]["annotations"].as_object_mut() {
            annotations.remove(ID);
        }
        o["status"]["loadBalancer"] = json!({});
    });
    if super::super::persist::is_finished(&it.object) {
        ctx.txn.delete(&it.table, &it.key);
    }
}
