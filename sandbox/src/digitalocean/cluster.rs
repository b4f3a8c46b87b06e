//! Kubernetes clusters: create, change, upgrade, delete. Node pools live inside the document.

use http::Method;
use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, due, pending, rfc3339, text, without_times};
use crate::world::Tables;
use crate::{kubernetes, reply};

use super::error::ApiError;
use super::{
    Answer, all, catalog, created, credentials, load_balancer, node_pool, page, tag, vpc,
    wrong_method,
};

pub(super) const TABLE: &str = "digitalocean/kubernetes_clusters";

// The vendor's usual durations, in seconds: 4 to 8 minutes until it runs, here the middle.
const CREATE: u64 = 360;
const DELETE: u64 = 60;
const UPGRADE: u64 = 600;

/// Fields that an update may replace as they are.
const MUTABLE: [&str; 13] = [
    "auto_upgrade",
    "surge_upgrade",
    "control_plane_firewall",
    "cluster_autoscaler_configuration",
    "coredns_autoscaler",
    "routing_agent",
    "amd_gpu_device_plugin",
    "amd_gpu_device_metrics_exporter_plugin",
    "nvidia_gpu_device_plugin",
    "rdma_shared_dev_plugin",
    "p2p_oci_registry_plugin",
    "sso",
    "registry_enabled",
];

/// Whether a cluster exists and its API server answers.
pub(crate) fn is_running(tables: &Tables, id: &str, now: u64) -> bool {
    tables
        .get(TABLE, id)
        .is_some_and(|doc| doc.get("deleted_ms").is_none() && due(doc, "running_ms", now))
}

/// Removes clusters whose deletion is due, and what was in them.
pub(super) fn settle(scene: &mut Scene<'_, '_>) {
    let gone: Vec<Value> = all(scene.txn.tables(), TABLE)
        .filter(|doc| due(doc, "deleted_ms", scene.now))
        .cloned()
        .collect();
    for doc in gone {
        let id = text(&doc, "id");
        scene.txn.delete(TABLE, id);
        kubernetes::delete_cluster(scene.txn, id);
        vpc::leave(scene, "kubernetes", &doc, text(&doc, "vpc_uuid"));
    }
    node_pool::settle(scene);
    // What runs in a cluster makes load balancers and volumes, also when nobody asks the cluster.
    let running: Vec<String> = all(scene.txn.tables(), TABLE)
        .map(|doc| text(doc, "id").to_owned())
        .filter(|id| is_running(scene.txn.tables(), id, scene.now))
        .collect();
    for id in running {
        kubernetes::settle(scene.world, scene.txn, &id);
    }
}

pub(super) fn options(scene: &Scene<'_, '_>, call: &Call) -> Answer {
    if call.method != Method::GET {
        return Err(wrong_method());
    }
    let features = ["cluster-autoscaler", "docr-integration", "ha-control-plane"];
    let versions: Vec<Value> = catalog::offered(&scene.switches.withdrawn_versions)
        .map(|slug| {
            let upstream = slug.split('-').next();
            json!({"slug": slug, "kubernetes_version": upstream,
                "supported_features": features})
        })
        .collect();
    let regions = catalog::REGIONS.map(|(slug, name, _)| json!({"name": name, "slug": slug}));
    // The smallest machine is too small for a node.
    let sizes: Vec<Value> = catalog::SIZES
        .iter()
        .skip(1)
        .map(|size| json!({"name": size.slug, "slug": size.slug}))
        .collect();
    Ok(reply::json(
        200,
        &json!({"options": {"regions": regions, "versions": versions, "sizes": sizes}}),
    ))
}

pub(super) fn answer(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let clusters = all(scene.txn.tables(), TABLE).map(|doc| show(scene, doc));
            page::list(call, "kubernetes_clusters", clusters.collect())
        }
        (&Method::POST, []) => create(scene, call),
        (&Method::GET, [id]) => {
            let shown = show(scene, &find(scene, id)?);
            Ok(reply::json(200, &json!({"kubernetes_cluster": shown})))
        }
        (&Method::PUT, [id]) => update(scene, call, id),
        (&Method::DELETE, [id]) => {
            delete(scene, id)?;
            Ok(reply::empty(204))
        }
        (&Method::POST, [id, "upgrade"]) => upgrade(scene, call, id),
        (&Method::GET, [id, "upgrades"]) => upgrades(scene, id),
        (&Method::GET, [id, "kubeconfig"]) => credentials::kubeconfig(scene, id),
        (&Method::GET, [id, "credentials"]) => credentials::credentials(scene, call, id),
        (&Method::GET, [id, "user"]) => {
            find(scene, id)?;
            let user = json!({"username": "sandbox@zonewright.dev", "groups": ["k8saas:admins"]});
            Ok(reply::json(200, &json!({"kubernetes_cluster_user": user})))
        }
        (&Method::GET, [id, "status_messages"]) => {
            find(scene, id)?;
            Ok(reply::json(200, &json!({"messages": []})))
        }
        (_, [id, "node_pools", rest @ ..]) => node_pool::answer(scene, call, id, rest),
        (_, [id, "destroy_with_associated_resources", rest @ ..]) => {
            destroy_with(scene, call, id, rest)
        }
        _ => Err(wrong_method()),
    }
}

/// A cluster that is there, deleted ones that still show included.
pub(super) fn find(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let found = scene.txn.tables().get(TABLE, id);
    found.cloned().ok_or_else(ApiError::not_found)
}

/// A cluster that can be changed.
pub(super) fn changeable(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let doc = find(scene, id)?;
    if doc.get("deleted_ms").is_some() {
        return Err(ApiError::conflict("the cluster is being deleted"));
    }
    Ok(doc)
}

/// Stores a changed cluster.
pub(super) fn store(scene: &mut Scene<'_, '_>, mut doc: Value) {
    doc["updated_ms"] = json!(scene.now);
    let id = text(&doc, "id").to_owned();
    scene.txn.put(TABLE, &id, doc);
}

/// A cluster as the API shows it now.
pub(super) fn show(scene: &Scene<'_, '_>, doc: &Value) -> Value {
    let now = scene.now;
    let state = if doc.get("deleted_ms").is_some() {
        "deleting"
    } else if pending(doc, "running_ms", now) {
        "provisioning"
    } else if pending(doc, "upgraded_ms", now) {
        "upgrading"
    } else {
        "running"
    };
    let mut shown = without_times(doc);
    shown["status"] = json!({"state": state});
    if state == "provisioning" {
        shown["status"]["message"] = json!("provisioning");
    }
    let answers = due(doc, "running_ms", now);
    let id = text(doc, "id");
    shown["endpoint"] = match answers {
        true => json!(format!("{}/clusters/{id}", scene.clusters.origin)),
        false => json!(""),
    };
    shown["ipv4"] = json!(if answers { "127.0.0.1" } else { "" });
    shown["created_at"] = json!(rfc3339(doc["created_ms"].as_u64().unwrap_or(0)));
    shown["updated_at"] = json!(rfc3339(doc["updated_ms"].as_u64().unwrap_or(0)));
    shown["node_pools"] = node_pool::show_all(scene, doc);
    shown
}

fn create(scene: &mut Scene<'_, '_>, call: &Call) -> Answer {
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let name = check_name(field("name"))?;
    let region = field("region").unwrap_or("");
    if !catalog::is_region(region) {
        return Err(ApiError::unprocessable("invalid region"));
    }
    let wanted = field("version").unwrap_or("");
    let version = catalog::resolve_version(wanted, &scene.switches.withdrawn_versions)
        .ok_or_else(|| ApiError::unprocessable("validation error: invalid version slug"))?;
    let vpc = vpc::place(scene, field("vpc_uuid"), region)?;
    let id = scene.uuid();
    let (pods, services) = subnets(scene, &body, &vpc)?;
    let tags = tag::of(&body)?.unwrap_or_default();
    let ready = scene.after(CREATE);
    let pools = match body.get("node_pools").and_then(Value::as_array) {
        Some(pools) if !pools.is_empty() => pools.clone(),
        _ => {
            return Err(ApiError::unprocessable(
                "at least one node pool is required",
            ));
        }
    };
    let mut node_pools = Vec::new();
    for pool in &pools {
        let pool = pool.as_object().ok_or_else(ApiError::malformed)?;
        node_pools.push(node_pool::build(scene, &id, pool, &node_pools, ready)?);
    }
    let newer = catalog::version_parts(version) >= [1, 36, 0, 0];
    let mut doc = json!({
        "id": id, "name": name, "region": region, "version": version, "vpc_uuid": vpc,
        "cluster_subnet": pods, "service_subnet": services, "tags": server_tags(&id, &tags),
        "ha": body.get("ha").and_then(Value::as_bool).unwrap_or(newer),
        "auto_upgrade": false, "surge_upgrade": false, "registry_enabled": false,
        "isolated_workers": body.get("isolated_workers").is_some_and(|v| v == true),
        "maintenance_policy": maintenance(body.get("maintenance_policy")),
        "node_pools": node_pools,
        "created_ms": scene.now, "updated_ms": scene.now, "running_ms": ready,
    });
    copy_mutable(&body, &mut doc);
    tag::ensure(scene, tags.iter().map(String::as_str));
    scene.txn.put(TABLE, &id, doc.clone());
    kubernetes::create_cluster(scene.world, scene.txn, &id);
    let shown = show(scene, &doc);
    Ok(created(&id, &json!({ "kubernetes_cluster": shown })))
}

fn update(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut doc = changeable(scene, id)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    doc["name"] = json!(check_name(body.get("name").and_then(Value::as_str))?);
    match body.get("ha") {
        Some(Value::Bool(false)) if doc["ha"] == true => {
            let message = "a highly available control plane cannot be disabled";
            return Err(ApiError::unprocessable(message));
        }
        Some(Value::Bool(ha)) => doc["ha"] = json!(ha),
        _ => {}
    }
    let tags = match tag::of(&body)? {
        None if scene.switches.clear_omitted_tags => Some(Vec::new()),
        tags => tags,
    };
    if let Some(tags) = tags {
        tag::ensure(scene, tags.iter().map(String::as_str));
        doc["tags"] = server_tags(id, &tags);
    }
    if let Some(policy) = body.get("maintenance_policy").filter(|v| !v.is_null()) {
        doc["maintenance_policy"] = maintenance(Some(policy));
    }
    copy_mutable(&body, &mut doc);
    store(scene, doc);
    let shown = show(scene, &find(scene, id)?);
    Ok(reply::json(202, &json!({"kubernetes_cluster": shown})))
}

fn copy_mutable(body: &Map<String, Value>, doc: &mut Value) {
    for name in MUTABLE {
        if let Some(value) = body.get(name) {
            doc[name] = value.clone();
        }
    }
}

/// Starts the deletion; what the cluster made elsewhere stays.
fn delete(scene: &mut Scene<'_, '_>, id: &str) -> Result<(), ApiError> {
    let mut doc = find(scene, id)?;
    if doc.get("deleted_ms").is_none() {
        doc["deleted_ms"] = json!(scene.after(DELETE));
        store(scene, doc);
    }
    Ok(())
}

fn destroy_with(scene: &mut Scene<'_, '_>, call: &Call, id: &str, rest: &[&str]) -> Answer {
    find(scene, id)?;
    let kinds = ["load_balancers", "volumes", "volume_snapshots"];
    let associated = |scene: &Scene<'_, '_>| -> Map<String, Value> {
        kinds
            .iter()
            .map(|kind| {
                let found = load_balancer::of_cluster(scene, kind, id);
                ((*kind).to_owned(), Value::from(found))
            })
            .collect()
    };
    let doomed = match (&call.method, rest) {
        (&Method::GET, []) => return Ok(reply::json(200, &Value::Object(associated(scene)))),
        (&Method::DELETE, ["selective"]) => call.object().ok_or_else(ApiError::malformed)?,
        (&Method::DELETE, ["dangerous"]) => associated(scene),
        _ => return Err(wrong_method()),
    };
    let own = associated(scene);
    for kind in kinds {
        let ids = doomed.get(kind).and_then(Value::as_array);
        for item in ids.into_iter().flatten() {
            let doomed_id = item.as_str().unwrap_or_else(|| text(item, "id"));
            let mine = own[kind].as_array().into_iter().flatten();
            if !mine.into_iter().any(|own| text(own, "id") == doomed_id) {
                return Err(ApiError::not_found());
            }
        }
    }
    for kind in kinds {
        let ids = doomed.get(kind).and_then(Value::as_array);
        for item in ids.into_iter().flatten() {
            let doomed_id = item.as_str().unwrap_or_else(|| text(item, "id"));
            load_balancer::delete_associated(scene, kind, doomed_id);
        }
    }
    delete(scene, id)?;
    Ok(reply::empty(204))
}

fn newer_versions(scene: &Scene<'_, '_>, doc: &Value) -> Vec<&'static str> {
    let have = catalog::version_parts(text(doc, "version"));
    catalog::offered(&scene.switches.withdrawn_versions)
        .filter(|slug| {
            let parts = catalog::version_parts(slug);
            parts > have && parts[0] == have[0] && parts[1] <= have[1] + 1
        })
        .collect()
}

fn upgrades(scene: &Scene<'_, '_>, id: &str) -> Answer {
    let newer: Vec<Value> = newer_versions(scene, &find(scene, id)?)
        .into_iter()
        .map(|slug| json!({"slug": slug, "kubernetes_version": slug.split('-').next()}))
        .collect();
    // The vendor says null, not an empty list.
    let versions = if newer.is_empty() {
        Value::Null
    } else {
        Value::from(newer)
    };
    Ok(reply::json(
        200,
        &json!({"available_upgrade_versions": versions}),
    ))
}

fn upgrade(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut doc = changeable(scene, id)?;
    if !due(&doc, "running_ms", scene.now) || pending(&doc, "upgraded_ms", scene.now) {
        return Err(ApiError::conflict("the cluster is not running"));
    }
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let wanted = body.get("version").and_then(Value::as_str).unwrap_or("");
    let version = catalog::resolve_version(wanted, &scene.switches.withdrawn_versions)
        .filter(|slug| newer_versions(scene, &doc).contains(slug))
        .ok_or_else(|| ApiError::unprocessable("validation error: invalid version slug"))?;
    doc["version"] = json!(version);
    doc["upgraded_ms"] = json!(scene.after(UPGRADE));
    store(scene, doc);
    Ok(reply::empty(202))
}

fn check_name(name: Option<&str>) -> Result<&str, ApiError> {
    let name = name.unwrap_or("");
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(fits) {
        return Err(ApiError::unprocessable("validation error: invalid name"));
    }
    Ok(name)
}

fn server_tags(id: &str, tags: &[String]) -> Value {
    let own = ["k8s".to_owned(), format!("k8s:{id}")];
    let theirs = tags.iter().filter(|tag| !own.contains(tag));
    own.iter().chain(theirs).cloned().collect()
}

fn maintenance(asked: Option<&Value>) -> Value {
    let field = |name: &str, default: &str| {
        let given = asked.map_or("", |policy| text(policy, name));
        if given.is_empty() { default } else { given }.to_owned()
    };
    json!({"day": field("day", "any"), "start_time": field("start_time", "00:00"),
        "duration": "4h0m0s"})
}

// The two subnets of a cluster: disjoint from each other, the VPC and other clusters' subnets.
fn subnets(
    scene: &Scene<'_, '_>,
    body: &Map<String, Value>,
    vpc_id: &str,
) -> Result<(String, String), ApiError> {
    let asked = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(pods), Some(services)) = (asked("cluster_subnet"), asked("service_subnet")) else {
        // Clusters that do not ask share the same two networks.
        return Ok(("10.244.0.0/16".to_owned(), "10.245.0.0/16".to_owned()));
    };
    let parse = |name: &str, text: &str| {
        text.parse::<Ipv4Net>()
            .map_err(|_| ApiError::unprocessable(format!("{name} is not a valid CIDR")))
    };
    let mut taken: Vec<Ipv4Net> = vpc::range(scene, vpc_id).into_iter().collect();
    for other in all(scene.txn.tables(), TABLE) {
        for name in ["cluster_subnet", "service_subnet"] {
            taken.extend(text(other, name).parse::<Ipv4Net>());
        }
    }
    for (name, value) in [("cluster_subnet", pods), ("service_subnet", services)] {
        let net = parse(name, value)?;
        if taken.iter().any(|other| vpc::overlap(net, *other)) {
            let message = format!("{name} overlaps with another network");
            return Err(ApiError::unprocessable(message));
        }
        taken.push(net);
    }
    Ok((pods.to_owned(), services.to_owned()))
}
