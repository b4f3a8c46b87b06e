//! Cloudflare: DNS records.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::Value as Json;
use zonewright_engine::cost::PriceRules;
use zonewright_engine::provider::{ErrorClass, Provider};
use zonewright_engine::schema::{Attr, Type, VendorFacts};

use crate::clock::Clock;
use crate::cloud::CloudProvider;
use crate::http::{Complaint, Dialect};
use crate::transport::Transport;

mod dns_record;
#[cfg(test)]
mod tests;
mod token;

pub use token::Tokens;

static DIALECT: Dialect = Dialect {
    vendor: "Cloudflare",
    base: "https://api.cloudflare.com/client/v4",
    request_id: "cf-ray",
    complaint,
    remaining,
};

/// The Cloudflare provider.
pub fn cloudflare(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Arc<dyn Provider> {
    Arc::new(cloud(transport, clock, None))
}

/// The Cloudflare provider at another address (with `/client/v4`), whatever the configuration says.
pub fn cloudflare_at(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: impl Into<String>,
) -> Arc<dyn Provider> {
    Arc::new(cloud(transport, clock, Some(endpoint.into())))
}

fn cloud(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: Option<String>,
) -> CloudProvider {
    CloudProvider {
        name: "cloudflare",
        doc: "Cloudflare: DNS records.",
        dialect: &DIALECT,
        kinds: &[&dns_record::DnsRecord],
        facts: VendorFacts {
            // Records cost nothing on any plan of a zone.
            prices: Some(PriceRules {
                charges: |kind, _| (kind.name() == "dns_record").then(Vec::new),
                account: |_| Vec::new(),
                tables: &[],
            }),
            backup_every: None,
            restore_by_hand: None,
            inside: None,
            unwanted: UNWANTED,
        },
        settings,
        quotes: None,
        refused,
        reach: Some(token::reach),
        transport,
        clock,
        endpoint,
        limiters: Mutex::default(),
    }
}

/// What opens the whole account for everything, and no place for it.
const UNWANTED: &[(&str, &str)] = &[
    ("email", GLOBAL_KEY),
    ("api_key", GLOBAL_KEY),
    ("key", GLOBAL_KEY),
];

const GLOBAL_KEY: &str = "Cloudflare's Global API Key may do everything in every domain and is not accepted; make an API token with Zone Read and DNS Edit on the one zone, and set `token`";

/// Why a token is none: the Global API Key, told by its form (`cfk_…`, before that 37 hexadecimal digits;
/// developers.cloudflare.com, fundamentals/api/get-started/token-formats). It is not sent anywhere.
fn refused(token: &str) -> Option<&'static str> {
    let old = token.len() == 37 && token.bytes().all(|b| b.is_ascii_hexdigit());
    (old || token.starts_with("cfk_")).then_some(GLOBAL_KEY)
}

fn settings() -> Vec<Attr> {
    vec![Attr::optional(
        "narrow",
        Type::OneOf(&["required"]),
        "`required`: a token for DNS-01 that sees other domains than the spec's, or ends within two weeks, makes a zone not ready, and a plan with such a token of its own is refused; otherwise `verify`, `readiness` and `plan` warn of it.",
    )]
}

/// The vendor reports errors with good statuses too; the body decides.
fn complaint(status: StatusCode, body: &Json) -> Option<Complaint> {
    let success = body.get("success").and_then(Json::as_bool);
    if status.is_success() && success != Some(false) {
        return None;
    }
    let mut parts = Vec::new();
    let mut codes = Vec::new();
    collect(&body["errors"], &mut parts, &mut codes);
    let code = codes.first().copied();
    Some(Complaint {
        message: parts.join("; "),
        code,
        class: codes.iter().find_map(|c| class(*c)).or_else(|| {
            // A good status says nothing about the kind of error.
            status.is_success().then_some(ErrorClass::Failed)
        }),
    })
}

/// The real cause is often in the chain below an error.
fn collect(errors: &Json, parts: &mut Vec<String>, codes: &mut Vec<i64>) {
    for error in errors.as_array().into_iter().flatten() {
        let code = error["code"].as_i64().unwrap_or(0);
        let message = error["message"].as_str().unwrap_or("no reason given");
        codes.push(code);
        parts.push(format!("{message} (code {code})"));
        collect(&error["error_chain"], parts, codes);
    }
}

fn class(code: i64) -> Option<ErrorClass> {
    match code {
        9109 | 6003 | 6111 | 1000 => Some(ErrorClass::Unauthorized),
        10000 => Some(ErrorClass::Denied),
        81044 => Some(ErrorClass::NotFound),
        81053 | 81054 | 81057 | 81058 => Some(ErrorClass::Conflict),
        1004 | 9300..=9399 => Some(ErrorClass::Invalid),
        _ => None,
    }
}

/// `"default";r=50;t=30`
fn remaining(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get("ratelimit")?.to_str().ok()?;
    let left = text.split(';').find_map(|p| p.trim().strip_prefix("r="))?;
    left.parse().ok()
}
