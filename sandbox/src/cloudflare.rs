//! The Cloudflare emulator: token check, zones, DNS records.
//!
//! Every answer has the vendor's envelope; errors are codes first, statuses second.

mod batch;
mod dns;
mod filter;
mod record;
mod token;

pub(crate) use token::{Minted, mint, takes};

use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use crate::call::{Call, Scene, rfc3339_micros, text};
use crate::identity::Identity;
use crate::reply::{self, Body};
use crate::world::Tables;

type Answer = Result<Response<Body>, ApiError>;

const ZONES: &str = "cloudflare/zones";
const FIRST_ZONES: [&str; 1] = ["guajiro.xyz"];

/// An error reply.
#[derive(Debug)]
struct ApiError {
    status: u16,
    code: u32,
    message: String,
    chain: Option<(u32, String)>,
}

impl ApiError {
    fn new(status: u16, code: u32, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code,
            message: message.into(),
            chain: None,
        }
    }

    fn no_route() -> ApiError {
        ApiError::new(
            404,
            7003,
            "Could not route to the requested path, perhaps your object identifier is invalid?",
        )
    }

    fn malformed() -> ApiError {
        ApiError::new(400, 9207, "Request body is invalid.")
    }

    fn wrong_method() -> ApiError {
        ApiError::new(
            405,
            10405,
            "Method not allowed for this authentication scheme",
        )
    }

    fn reply(&self) -> Response<Body> {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some((code, message)) = &self.chain {
            error["error_chain"] = json!([{"code": code, "message": message}]);
        }
        reply::json(self.status, &failure(&error))
    }
}

fn failure(error: &Value) -> Value {
    json!({"success": false, "errors": [error], "messages": [], "result": null})
}

/// The body of an error that a fault brings about.
pub(crate) fn error_body(code: u16) -> Value {
    let (number, message) = match code {
        401 | 403 => (10000, "Authentication error"),
        429 => (
            971,
            "Please wait and consider throttling your request speed",
        ),
        _ => (
            10001,
            "Unable to process the request, please try again later",
        ),
    };
    failure(&json!({"code": number, "message": message}))
}

fn success(result: &Value) -> Response<Body> {
    reply::json(
        200,
        &json!({"success": true, "errors": [], "messages": [], "result": result}),
    )
}

/// One page of a list.
fn list(call: &Call, per_page: usize, items: Vec<Value>) -> Response<Body> {
    let total = items.len();
    let page = call.number("page", 1).max(1);
    let skip = (page - 1).saturating_mul(per_page);
    let items: Vec<Value> = items.into_iter().skip(skip).take(per_page).collect();
    reply::json(
        200,
        &json!({
            "success": true, "errors": [], "messages": [], "result": items,
            "result_info": {
                "page": page, "per_page": per_page, "count": items.len(),
                "total_count": total, "total_pages": total.div_ceil(per_page),
            },
        }),
    )
}

/// The zones that are there from the beginning.
pub(crate) fn seed(scene: &mut Scene<'_, '_>) {
    for name in FIRST_ZONES {
        add_zone(scene, name);
    }
}

/// The id of the account.
fn account(identity: &Identity) -> String {
    identity.derive("cloudflare account", 32).to_lowercase()
}

/// Adds a zone, or finds it.
pub(crate) fn add_zone(scene: &mut Scene<'_, '_>, name: &str) -> Value {
    let name = name.trim_end_matches('.').to_lowercase();
    let known = scene.txn.tables().list(ZONES);
    if let Some((_, zone)) = known.into_iter().find(|(_, z)| text(z, "name") == name) {
        return zone.clone();
    }
    let id = scene.hex_id();
    let now = rfc3339_micros(scene.now);
    let account = account(scene.identity);
    let zone = json!({
        "id": id, "name": name, "status": "active", "paused": false, "type": "full",
        "development_mode": 0, "activated_on": now, "created_on": now, "modified_on": now,
        "name_servers": ["ada.ns.cloudflare.com", "hugo.ns.cloudflare.com"],
        "original_name_servers": null, "original_registrar": null, "original_dnshost": null,
        "account": {"id": account, "name": "Sandbox"},
        "owner": {"type": "user"},
        "meta": {"cdn_only": false, "custom_certificate_quota": 0, "dns_only": false,
            "foundation_dns": false, "page_rule_quota": 3, "phishing_detected": false,
            "step": 2},
        "permissions": ["#zone:read", "#dns_records:read", "#dns_records:edit"],
        "plan": {"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0,
            "currency": "USD", "is_subscribed": false, "can_subscribe": false,
            "legacy_id": "free", "legacy_discount": false, "externally_managed": false},
    });
    scene.txn.put(ZONES, &id, zone.clone());
    zone
}

/// The zones of a world.
pub(crate) fn zones_of(tables: &Tables) -> impl Iterator<Item = &Value> {
    tables.list(ZONES).map(|(_, zone)| zone)
}

/// The records of a zone.
pub(crate) fn records_of<'t>(
    tables: &'t Tables,
    zone: &Value,
) -> impl Iterator<Item = &'t Value> + use<'t> {
    let table = dns::table(zone);
    let all: Vec<&Value> = tables.list(&table).map(|(_, record)| record).collect();
    all.into_iter()
}

/// Answers a call under `/client/v4`.
pub(crate) fn answer(scene: &mut Scene<'_, '_>, call: &Call) -> Response<Body> {
    let mut response = route(scene, call).unwrap_or_else(|error| error.reply());
    let headers = response.headers_mut();
    headers.insert(
        "ratelimit",
        HeaderValue::from_static("\"default\";r=1199;t=300"),
    );
    headers.insert(
        "ratelimit-policy",
        HeaderValue::from_static("\"default\";q=1200;w=300"),
    );
    response
}

fn route(scene: &mut Scene<'_, '_>, call: &Call) -> Answer {
    let path = call.path();
    let token = token::of(scene, call)?;
    match (&call.method, path.as_slice()) {
        (&Method::GET, ["user", "tokens", "verify"]) => token.verified(scene, None),
        (&Method::GET, ["accounts", id, "tokens", "verify"]) => token.verified(scene, Some(id)),
        _ if !token.is_good(scene.now) => Err(token::refused()),
        (&Method::GET, ["zones"]) => Ok(zones(scene, call, &token)),
        (&Method::GET, ["zones", id]) => Ok(success(&zone(scene, id, &token)?)),
        (_, ["zones", id, "dns_records", rest @ ..]) => {
            let zone = zone(scene, id, &token)?;
            dns::answer(scene, call, &zone, rest)
        }
        (_, ["zones", ..]) => Err(ApiError::wrong_method()),
        _ => Err(ApiError::no_route()),
    }
}

fn zone(scene: &Scene<'_, '_>, id: &str, token: &Minted) -> Result<Value, ApiError> {
    let found = scene.txn.tables().get(ZONES, id);
    let found = found.cloned().ok_or_else(ApiError::no_route)?;
    match token.sees(text(&found, "name")) {
        true => Ok(found),
        false => Err(token::unauthorized()),
    }
}

fn zones(scene: &Scene<'_, '_>, call: &Call, token: &Minted) -> Response<Body> {
    let wanted = call.query("name").map(str::to_lowercase);
    let mut zones: Vec<Value> = scene
        .txn
        .tables()
        .list(ZONES)
        .map(|(_, zone)| zone)
        .filter(|zone| token.sees(text(zone, "name")))
        .filter(|zone| {
            wanted
                .as_ref()
                .is_none_or(|name| text(zone, "name") == name)
        })
        .filter(|zone| {
            call.query("status")
                .is_none_or(|s| text(zone, "status") == s)
        })
        .cloned()
        .collect();
    zones.sort_by(|a, b| text(a, "name").cmp(text(b, "name")));
    list(call, call.number("per_page", 20).clamp(5, 50), zones)
}
