//! Load balancers and volumes: made by a cluster's controllers, read and deleted here.

use http::Method;
use serde_json::{Value, json};

use crate::call::{Call, Scene, pending, rfc3339, text, without_times};
use crate::reply;

use super::error::ApiError;
use super::{Answer, all, catalog, page, vpc, wrong_method};

pub(super) const BALANCERS: &str = "digitalocean/load_balancers";
const VOLUMES: &str = "digitalocean/volumes";

pub(super) fn answer(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    let now = scene.now;
    let tables = scene.txn.tables();
    match (&call.method, rest) {
        (&Method::GET, []) => page::list(
            call,
            "load_balancers",
            all(tables, BALANCERS).map(|doc| show(doc, now)).collect(),
        ),
        (&Method::GET, [id]) => {
            let found = tables.get(BALANCERS, id).ok_or_else(ApiError::not_found)?;
            Ok(reply::json(
                200,
                &json!({"load_balancer": show(found, now)}),
            ))
        }
        (&Method::DELETE, [id]) => {
            delete(scene, id)?;
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

pub(super) fn volumes(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    let tables = scene.txn.tables();
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let wanted = |doc: &&Value| {
                ["name", "region"].iter().all(|field| {
                    call.query(field)
                        .is_none_or(|v| region_or_text(doc, field) == v)
                })
            };
            let volumes = all(tables, VOLUMES).filter(wanted).map(without_times);
            page::list(call, "volumes", volumes.collect())
        }
        (&Method::GET, [id]) => {
            let found = tables.get(VOLUMES, id).ok_or_else(ApiError::not_found)?;
            Ok(reply::json(200, &json!({"volume": without_times(found)})))
        }
        (&Method::DELETE, [id]) => {
            scene
                .txn
                .delete(VOLUMES, id)
                .ok_or_else(ApiError::not_found)?;
            Ok(reply::empty(204))
        }
        _ => Err(wrong_method()),
    }
}

/// The load balancers or volumes that a cluster has made.
pub(super) fn of_cluster(scene: &Scene<'_, '_>, kind: &str, cluster_id: &str) -> Vec<Value> {
    all(scene.txn.tables(), &format!("digitalocean/{kind}"))
        .filter(|doc| text(doc, "cluster_id") == cluster_id)
        .map(|doc| json!({"id": doc["id"], "name": doc["name"]}))
        .collect()
}

/// Deletes a load balancer or volume, if it is there.
pub(super) fn delete_associated(scene: &mut Scene<'_, '_>, kind: &str, id: &str) {
    if kind == "load_balancers" {
        // Gone already is as good.
        let _ = delete(scene, id);
    } else {
        let table = format!("digitalocean/{kind}");
        if scene.txn.tables().get(&table, id).is_some() {
            scene.txn.delete(&table, id);
        }
    }
}

fn delete(scene: &mut Scene<'_, '_>, id: &str) -> Result<(), ApiError> {
    let found = scene.txn.tables().get(BALANCERS, id);
    let doc = found.cloned().ok_or_else(ApiError::not_found)?;
    scene.txn.delete(BALANCERS, id);
    vpc::leave(scene, "loadbalancer", &doc, text(&doc, "vpc_uuid"));
    Ok(())
}

/// A load balancer as the API shows it. One that says when it becomes active has no address before.
pub(super) fn show(doc: &Value, now: u64) -> Value {
    let forwarding = [80, 443].map(|port| {
        json!({"entry_protocol": "tcp", "entry_port": port, "target_protocol": "tcp",
            "target_port": port, "certificate_id": "", "tls_passthrough": false})
    });
    let mut shown = json!({
        "algorithm": "round_robin", "type": "REGIONAL_NETWORK", "size_unit": 1,
        "network": "EXTERNAL", "droplet_ids": [], "tag": "",
        "forwarding_rules": forwarding,
        "health_check": {
            "protocol": "tcp", "port": 80, "check_interval_seconds": 3,
            "response_timeout_seconds": 5, "healthy_threshold": 5, "unhealthy_threshold": 3,
        },
        "sticky_sessions": {"type": "none"}, "redirect_http_to_https": false,
        "enable_proxy_protocol": false, "enable_backend_keepalive": false,
        "disable_lets_encrypt_dns_records": false,
        "created_at": rfc3339(doc["created_ms"].as_u64().unwrap_or(0)),
    });
    if let (Some(shown), Some(stored)) = (shown.as_object_mut(), without_times(doc).as_object()) {
        shown.extend(stored.clone());
        shown.remove("cluster_id");
        if pending(doc, "active_ms", now) {
            shown.insert("status".to_owned(), json!("new"));
            shown.insert("ip".to_owned(), json!(""));
        } else if doc.get("active_ms").is_some() {
            shown.insert("status".to_owned(), json!("active"));
        }
        let slug = region_or_text(doc, "region");
        let region = catalog::REGIONS.iter().find(|(known, ..)| *known == slug);
        if let Some((slug, name, _)) = region {
            let region = json!({"slug": slug, "name": name, "available": true, "features": [],
                "sizes": []});
            shown.insert("region".to_owned(), region);
        }
    }
    shown
}

fn region_or_text<'v>(doc: &'v Value, field: &str) -> &'v str {
    match doc.get(field) {
        Some(Value::Object(region)) => region.get("slug").and_then(Value::as_str).unwrap_or(""),
        _ => text(doc, field),
    }
}
