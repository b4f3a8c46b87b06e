//! VPCs and who is in them.
//!
//! A member stays listed for a while after its own reads answer 404, and a VPC with members is not
//! deleted: that is what makes the order of a teardown matter.

use http::Method;
use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use crate::call::{Call, Scene, due, rfc3339, text, without_times};
use crate::reply;

use super::error::ApiError;
use super::{Answer, all, catalog, created, page, wrong_method};

const TABLE: &str = "digitalocean/vpcs";
const DEPARTING: &str = "digitalocean/departing_members";
/// How long a member stays listed after it is gone, in the vendor's seconds.
const LINGER: u64 = 30;

/// One default VPC per region, so that every other VPC can be deleted.
pub(super) fn seed(scene: &mut Scene<'_, '_>) {
    for (region, _, third) in catalog::REGIONS {
        let id = scene.uuid();
        let doc = json!({
            "id": id, "urn": format!("do:vpc:{id}"), "name": format!("default-{region}"),
            "description": "", "region": region, "ip_range": format!("10.{third}.0.0/16"),
            "default": true, "created_at": rfc3339(scene.now),
        });
        scene.txn.put(TABLE, &id, doc);
    }
}

/// Strikes members off that have been gone for long enough.
pub(super) fn settle(scene: &mut Scene<'_, '_>) {
    let rows = scene.txn.tables().list(DEPARTING);
    let gone: Vec<String> = rows
        .filter(|(_, doc)| due(doc, "until_ms", scene.now))
        .map(|(urn, _)| urn.clone())
        .collect();
    for urn in gone {
        scene.txn.delete(DEPARTING, &urn);
    }
}

/// Notes that an object has left its VPC.
pub(super) fn leave(scene: &mut Scene<'_, '_>, kind: &str, doc: &Value, vpc: &str) {
    if vpc.is_empty() {
        return;
    }
    let urn = format!("do:{kind}:{}", text(doc, "id"));
    let note = json!({
        "urn": urn, "name": doc["name"], "created_at": doc["created_at"], "vpc_uuid": vpc,
        "until_ms": scene.after(LINGER),
    });
    scene.txn.put(DEPARTING, &urn, note);
}

/// The VPC that an object in `region` is put into: the one asked for, or the region's default.
pub(super) fn place(
    scene: &Scene<'_, '_>,
    wanted: Option<&str>,
    region: &str,
) -> Result<String, ApiError> {
    let tables = scene.txn.tables();
    let Some(id) = wanted.filter(|id| !id.is_empty()) else {
        let default =
            all(tables, TABLE).find(|vpc| vpc["default"] == true && text(vpc, "region") == region);
        return Ok(default.map_or_else(String::new, |vpc| text(vpc, "id").to_owned()));
    };
    match tables.get(TABLE, id) {
        Some(vpc) if text(vpc, "region") == region => Ok(id.to_owned()),
        Some(_) => Err(ApiError::unprocessable(
            "the VPC is not in the same region as the resource",
        )),
        None => Err(ApiError::unprocessable("VPC not found")),
    }
}

/// The address range of a VPC.
pub(super) fn range(scene: &Scene<'_, '_>, id: &str) -> Option<Ipv4Net> {
    let vpc = scene.txn.tables().get(TABLE, id)?;
    text(vpc, "ip_range").parse().ok()
}

pub(super) fn answer(scene: &mut Scene<'_, '_>, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let vpcs = all(scene.txn.tables(), TABLE).map(without_times).collect();
            page::list(call, "vpcs", vpcs)
        }
        (&Method::POST, []) => create(scene, call),
        (&Method::GET, [id]) => Ok(reply::json(200, &json!({"vpc": find(scene, id)?}))),
        (&Method::PUT | &Method::PATCH, [id]) => update(scene, call, id),
        (&Method::DELETE, [id]) => delete(scene, id),
        (&Method::GET, [id, "members"]) => {
            find(scene, id)?;
            let kind = call.query("resource_type").unwrap_or("");
            let members = members(scene, id).into_iter().filter(|member| {
                kind.is_empty() || text(member, "urn").starts_with(&format!("do:{kind}:"))
            });
            page::list(call, "members", members.collect())
        }
        _ => Err(wrong_method()),
    }
}

fn find(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let vpc = scene.txn.tables().get(TABLE, id);
    vpc.cloned().ok_or_else(ApiError::not_found)
}

fn create(scene: &mut Scene<'_, '_>, call: &Call) -> Answer {
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let name = field("name");
    check_name(scene, name, "")?;
    check_description(&body)?;
    let region = field("region");
    if !catalog::is_region(region) {
        return Err(ApiError::unprocessable("region is invalid"));
    }
    let range = match field("ip_range") {
        "" => free_range(scene)?,
        asked => check_range(scene, asked)?,
    };
    let id = scene.uuid();
    let regional = all(scene.txn.tables(), TABLE).any(|vpc| text(vpc, "region") == region);
    let vpc = json!({
        "id": id, "urn": format!("do:vpc:{id}"), "name": name, "region": region,
        "description": field("description"), "ip_range": range.to_string(),
        "default": !regional, "created_at": rfc3339(scene.now),
    });
    scene.txn.put(TABLE, &id, vpc.clone());
    Ok(created(&id, &json!({ "vpc": vpc })))
}

fn update(scene: &mut Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    let mut vpc = find(scene, id)?;
    let body = call.object().ok_or_else(ApiError::malformed)?;
    let name = body.get("name").and_then(Value::as_str);
    if let Some(name) = name {
        check_name(scene, name, id)?;
        vpc["name"] = json!(name);
    } else if call.method == Method::PUT {
        return Err(ApiError::unprocessable("name is required"));
    }
    check_description(&body)?;
    if let Some(Value::String(description)) = body.get("description") {
        vpc["description"] = json!(description);
    }
    match body.get("default") {
        Some(Value::Bool(true)) => {
            make_default(scene, &vpc);
            vpc["default"] = json!(true);
        }
        Some(Value::Bool(false)) if vpc["default"] == true => {
            return Err(ApiError::unprocessable("default can only be set to true"));
        }
        _ => {}
    }
    scene.txn.put(TABLE, id, vpc.clone());
    Ok(reply::json(200, &json!({ "vpc": vpc })))
}

fn make_default(scene: &mut Scene<'_, '_>, vpc: &Value) {
    let others: Vec<Value> = all(scene.txn.tables(), TABLE)
        .filter(|other| other["region"] == vpc["region"] && other["default"] == true)
        .cloned()
        .collect();
    for mut other in others {
        other["default"] = json!(false);
        let id = text(&other, "id").to_owned();
        scene.txn.put(TABLE, &id, other);
    }
}

fn delete(scene: &mut Scene<'_, '_>, id: &str) -> Answer {
    let vpc = find(scene, id)?;
    if vpc["default"] == true {
        return Err(ApiError::forbidden("Can not delete default VPCs"));
    }
    if !members(scene, id).is_empty() {
        return Err(ApiError::conflict("Can not delete VPC with members"));
    }
    scene.txn.delete(TABLE, id);
    Ok(reply::empty(204))
}

/// Everything in a VPC, what has just left included, in the order of URNs.
fn members(scene: &Scene<'_, '_>, id: &str) -> Vec<Value> {
    let tables = scene.txn.tables();
    let kinds = [
        ("kubernetes", "digitalocean/kubernetes_clusters", "vpc_uuid"),
        ("dbaas", "digitalocean/databases", "private_network_uuid"),
        (
            "dbaas",
            "digitalocean/database_replicas",
            "private_network_uuid",
        ),
        ("loadbalancer", "digitalocean/load_balancers", "vpc_uuid"),
    ];
    let mut members: Vec<Value> = kinds
        .iter()
        .flat_map(|(kind, table, field)| {
            all(tables, table)
                .filter(move |doc| text(doc, field) == id)
                .map(move |doc| {
                    let created_at = match doc.get("created_at") {
                        Some(Value::String(at)) => at.clone(),
                        _ => rfc3339(doc["created_ms"].as_u64().unwrap_or(0)),
                    };
                    json!({"urn": format!("do:{kind}:{}", text(doc, "id")),
                        "name": doc["name"], "created_at": created_at})
                })
        })
        .collect();
    let gone = all(tables, DEPARTING).filter(|doc| text(doc, "vpc_uuid") == id);
    members.extend(gone.map(
        |doc| json!({"urn": doc["urn"], "name": doc["name"], "created_at": doc["created_at"]}),
    ));
    members.sort_by(|a, b| text(a, "urn").cmp(text(b, "urn")));
    members
}

fn check_name(scene: &Scene<'_, '_>, name: &str, own_id: &str) -> Result<(), ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(fits) {
        let message = "name: only letters, numbers, dashes and periods are allowed";
        return Err(ApiError::unprocessable(message));
    }
    let taken = all(scene.txn.tables(), TABLE)
        .any(|vpc| text(vpc, "name") == name && text(vpc, "id") != own_id);
    if taken {
        return Err(ApiError::unprocessable(
            "a VPC with this name already exists",
        ));
    }
    Ok(())
}

fn check_description(body: &Map<String, Value>) -> Result<(), ApiError> {
    let description = body.get("description").and_then(Value::as_str);
    if description.is_some_and(|d| d.chars().count() > 255) {
        let message = "description is too long (maximum is 255 characters)";
        return Err(ApiError::unprocessable(message));
    }
    Ok(())
}

fn check_range(scene: &Scene<'_, '_>, text: &str) -> Result<Ipv4Net, ApiError> {
    let bad = |message: &str| ApiError::unprocessable(format!("ip_range {message}"));
    let range: Ipv4Net = text.parse().map_err(|_| bad("is not a valid CIDR"))?;
    if range.network() != range.addr() {
        return Err(bad("must be a network address"));
    }
    if !(16..=28).contains(&range.prefix_len()) {
        return Err(bad("size must be between /16 and /28"));
    }
    if !range.network().is_private() || !range.broadcast().is_private() {
        return Err(bad("must be within the private address ranges of RFC1918"));
    }
    if overlapping(scene, range) {
        return Err(bad("overlaps with another VPC network in your account"));
    }
    Ok(range)
}

fn free_range(scene: &Scene<'_, '_>) -> Result<Ipv4Net, ApiError> {
    (150..=223u8)
        .flat_map(|second| (0..=240u8).step_by(16).map(move |third| (second, third)))
        .filter_map(|(second, third)| Ipv4Net::new([10, second, third, 0].into(), 20).ok())
        .find(|range| !overlapping(scene, *range))
        .ok_or_else(|| ApiError::unprocessable("no free ip_range is left"))
}

fn overlapping(scene: &Scene<'_, '_>, range: Ipv4Net) -> bool {
    all(scene.txn.tables(), TABLE)
        .filter_map(|vpc| text(vpc, "ip_range").parse::<Ipv4Net>().ok())
        .any(|other| overlap(range, other))
}

/// Whether two networks have an address in common.
pub(super) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}
