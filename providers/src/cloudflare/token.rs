//! What Cloudflare says of a token: whether it is good, until when, and which domains it sees. What it may
//! do there is not told.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value as Json;
use zonewright_engine::check::TokenAnswer;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use crate::clock::Clock;
use crate::cloud::CloudProvider;
use crate::http::{Api, segment};
use crate::live::text;
use crate::transport::Transport;

/// Domains of a page of the list.
const PAGE: usize = 50;

/// Asks about tokens.
pub struct Tokens(CloudProvider);

impl Tokens {
    /// At Cloudflare, or at another address (with `/client/v4`).
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        endpoint: Option<String>,
    ) -> Tokens {
        Tokens(super::cloud(transport, clock, endpoint))
    }

    /// What the vendor says of a token.
    ///
    /// # Errors
    /// The vendor does not answer, or not in the form that it documents.
    pub(crate) async fn ask(&self, token: &Secret) -> Result<TokenAnswer, ProviderError> {
        let table = [("token".to_owned(), Value::Secret(token.clone()))];
        let api = self.0.api(&Value::Map(table.into_iter().collect()))?;
        let own = verified(&api, "/user/tokens/verify").await?;
        let zones = match refused(
            api.pages("/zones", ("result", "/result_info/total_count"), PAGE)
                .await
                .map_err(|e| e.error),
        )? {
            Some(zones) => zones,
            // It is known and may not list: it sees nothing.
            None if own.is_some() => Vec::new(),
            None => return Ok(TokenAnswer::default()),
        };
        let found = match (own, account(&zones)) {
            (Some(found), _) => Some(found),
            // The token of an account is known there only.
            (None, Some(account)) => {
                verified(
                    &api,
                    &format!("/accounts/{}/tokens/verify", segment(account)),
                )
                .await?
            }
            (None, None) => None,
        };
        let Some(found) = found else {
            return Ok(TokenAnswer::default());
        };
        let mut domains: Vec<String> = zones
            .iter()
            .filter_map(|z| Some(text(z, "/name")?.to_lowercase()))
            .collect();
        domains.sort();
        Ok(TokenAnswer {
            status: text(&found, "/result/status").map(str::to_owned),
            not_before: time(&found, "/result/not_before")?,
            expires: time(&found, "/result/expires_on")?,
            domains,
        })
    }
}

/// The domains that a token sees, by one page of their list. Their ids are kept for the session, so that none
/// of them is looked up again.
pub(super) fn reach(api: &Api) -> BoxFuture<'_, Option<Vec<String>>> {
    Box::pin(async move {
        let page = format!("/zones?per_page={PAGE}");
        // A token may do without Zone Read; then it is known by what it is used for alone.
        let reply = api.get(&page).await.ok()?;
        let zones = reply["result"].as_array()?;
        let mut domains = Vec::new();
        for zone in zones {
            let name = text(zone, "/name")?.to_ascii_lowercase();
            api.note(format!("zone:{name}"), text(zone, "/id")?.to_owned());
            domains.push(name);
        }
        domains.sort();
        Some(domains)
    })
}

fn account(zones: &[Json]) -> Option<&str> {
    zones.iter().find_map(|z| text(z, "/account/id"))
}

/// What the vendor says of the token itself; nothing when it does not take it.
async fn verified(api: &Api, path: &str) -> Result<Option<Json>, ProviderError> {
    refused(api.get(path).await.map_err(|e| e.error))
}

/// That a token is not taken, or may not, is an answer here.
fn refused<T>(reply: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if matches!(error.class, ErrorClass::Unauthorized | ErrorClass::Denied) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A time in seconds since 1970.
fn time(reply: &Json, pointer: &str) -> Result<Option<u64>, ProviderError> {
    let Some(told) = text(reply, pointer) else {
        return Ok(None);
    };
    let parsed: Result<jiff::Timestamp, _> = told.parse();
    let seconds = parsed.ok().and_then(|t| u64::try_from(t.as_second()).ok());
    let wrong = || {
        let message = format!("Cloudflare tells `{told}` where a time should be");
        ProviderError::new(ErrorClass::Failed, message)
    };
    seconds.map(Some).ok_or_else(wrong)
}
