//! API tokens: the account's own, which sees everything and does not end, and those that were made with
//! less through the control API.

use http::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, ApiError, account};
use crate::call::{Call, Scene};
use crate::reply::{self, Body};
use crate::world::{Tables, World};

/// Not part of the ground truth: tokens are secrets.
const TOKENS: &str = "sandbox/cloudflare_tokens";

/// What a token is good for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Minted {
    /// The domains that it sees; all when absent.
    pub zones: Option<Vec<String>>,
    /// `disabled`, or absent for one that is in use.
    pub status: Option<String>,
    /// From when on it is good, RFC 3339.
    pub not_before: Option<Timestamp>,
    /// Until when it is good, RFC 3339.
    pub expires_on: Option<Timestamp>,
    /// Whether it belongs to the account and not to a user.
    pub account_owned: bool,
}

impl Minted {
    pub(super) fn sees(&self, zone: &str) -> bool {
        let listed = self.zones.as_ref();
        listed.is_none_or(|zones| zones.iter().any(|z| z.eq_ignore_ascii_case(zone)))
    }

    fn status(&self, now_ms: u64) -> &str {
        let now = i128::from(now_ms);
        let past = |t: &Timestamp| i128::from(t.as_millisecond()) <= now;
        match &self.status {
            Some(status) => status,
            None if self.expires_on.as_ref().is_some_and(past) => "expired",
            None => "active",
        }
    }

    pub(super) fn is_good(&self, now_ms: u64) -> bool {
        let now = i128::from(now_ms);
        let early = self
            .not_before
            .is_some_and(|t| i128::from(t.as_millisecond()) > now);
        self.status(now_ms) == "active" && !early
    }

    /// A token is known where it belongs.
    pub(super) fn verified(&self, scene: &Scene<'_, '_>, place: Option<&str>) -> Answer {
        let right = match place {
            None => !self.account_owned,
            Some(id) => self.account_owned && id == account(scene.identity),
        };
        if !right {
            return Err(unknown());
        }
        let id = &crate::identity::hex(&scene.identity.digest("cloudflare token id"))[..32];
        let mut result = json!({"id": id, "status": self.status(scene.now)});
        for (name, time) in [
            ("not_before", &self.not_before),
            ("expires_on", &self.expires_on),
        ] {
            if let Some(time) = time {
                result[name] = json!(time.to_string());
            }
        }
        Ok(answer(&result))
    }
}

fn answer(result: &Value) -> Response<Body> {
    let message = "This API Token is valid and active";
    reply::json(
        200,
        &json!({
            "success": true, "errors": [],
            "messages": [{"code": 10000, "message": message, "type": null}],
            "result": result,
        }),
    )
}

fn unknown() -> ApiError {
    ApiError::new(401, 1000, "Invalid API Token")
}

pub(super) fn refused() -> ApiError {
    ApiError::new(403, 9109, "Invalid access token")
}

pub(super) fn unauthorized() -> ApiError {
    ApiError::new(403, 9109, "Unauthorized to access requested resource")
}

/// The token of a call.
pub(super) fn of(scene: &Scene<'_, '_>, call: &Call) -> Result<Minted, ApiError> {
    let Some(token) = call.bearer.as_deref() else {
        return Err(ApiError::new(400, 9106, "Missing Authorization header"));
    };
    let asked = call.path();
    let found = match token == scene.identity.cloudflare_token() {
        true => Some(Minted::default()),
        false => minted(scene.txn.tables(), token),
    };
    found.ok_or_else(|| match asked.as_slice() {
        [.., "tokens", "verify"] => unknown(),
        _ => refused(),
    })
}

fn minted(tables: &Tables, token: &str) -> Option<Minted> {
    serde_json::from_value(tables.get(TOKENS, token)?.clone()).ok()
}

/// Makes a token, and gives it back.
pub(crate) fn mint(scene: &mut Scene<'_, '_>, minted: &Minted) -> String {
    let number = scene.txn.tables().list(TOKENS).count();
    let token = scene
        .identity
        .derive(&format!("cloudflare token {number}"), 40);
    scene.txn.put(TOKENS, &token, json!(minted));
    token
}

/// Whether the DNS provider takes a token for a domain's records.
pub(crate) fn takes(world: &World, tables: &Tables, token: &str) -> bool {
    let other = minted(tables, token).is_some_and(|t| t.is_good(world.now_ms()));
    other || world.takes_cloudflare_token(token)
}
