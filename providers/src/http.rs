//! The JSON client of the cloud providers: credentials, retries, limits, errors, pages.
//!
//! - Every address is the configured base plus a path, never one that a reply names: the token goes
//!   nowhere else.
//! - What may have been carried out is repeated only when that is harmless.
//! - Messages are scrubbed of the token; bodies and headers are never logged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value as Json;
use zonewright_engine::failpoint;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::retry::Policy;
use zonewright_engine::secret::{LEAST_MASKED, Purpose, Secret};

use crate::clock::Clock;
use crate::limit::Limiter;
use crate::transport::{Transport, TransportError, TransportErrorKind};

/// A list with more pages than this does not end.
const MOST_PAGES: u32 = 2000;
/// The most of a reply that is no JSON that goes into a message.
const EXCERPT: usize = 200;

/// How one vendor speaks.
pub(crate) struct Dialect {
    /// The vendor's name in messages.
    pub(crate) vendor: &'static str,
    /// Where the API is.
    pub(crate) base: &'static str,
    /// The header that holds the vendor's id of a request.
    pub(crate) request_id: &'static str,
    /// What an error body says; also called with good replies, which some vendors use for errors.
    pub(crate) complaint: fn(StatusCode, &Json) -> Option<Complaint>,
    /// How many requests are left.
    pub(crate) remaining: fn(&HeaderMap) -> Option<u32>,
}

/// What a vendor says is wrong.
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) code: Option<i64>,
    /// Set when the body tells more than the status does.
    pub(crate) class: Option<ErrorClass>,
}

/// A failed call: the error for the engine, and what callers decide upon.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) error: ProviderError,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<i64>,
}

impl ApiError {
    pub(crate) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }

    /// The same as another class of error.
    pub(crate) fn into_class(self, class: ErrorClass) -> ProviderError {
        ProviderError {
            class,
            ..self.error
        }
    }
}

impl From<ApiError> for ProviderError {
    fn from(error: ApiError) -> ProviderError {
        error.error
    }
}

/// Whether a result is there, or the vendor says that it is not.
pub(crate) fn found<T>(result: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is(404) => Ok(None),
        Err(e) => Err(e),
    }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Json>,
    idempotent: bool,
}

/// One account of one vendor.
pub(crate) struct Api {
    dialect: &'static Dialect,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    base: String,
    token: Secret,
    limiter: Arc<Limiter>,
    notes: Mutex<BTreeMap<String, String>>,
    absent: Mutex<BTreeMap<String, Duration>>,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Api {
    pub(crate) fn new(
        dialect: &'static Dialect,
        (transport, clock): (Arc<dyn Transport>, Arc<dyn Clock>),
        base: &str,
        token: Secret,
        limiter: Arc<Limiter>,
    ) -> Api {
        Api {
            dialect,
            transport,
            clock,
            base: base.trim_end_matches('/').to_owned(),
            token,
            limiter,
            notes: Mutex::default(),
            absent: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Json, ApiError> {
        self.call(Method::GET, path, None, true).await
    }

    /// Replaces.
    pub(crate) async fn put(&self, path: &str, body: &Json) -> Result<Json, ApiError> {
        self.call(Method::PUT, path, Some(body), true).await
    }

    /// Sets some fields; setting them twice is harmless.
    pub(crate) async fn patch(&self, path: &str, body: &Json) -> Result<Json, ApiError> {
        self.call(Method::PATCH, path, Some(body), true).await
    }

    /// Removes; `false` when there was nothing.
    pub(crate) async fn delete(&self, path: &str, body: Option<&Json>) -> Result<bool, ApiError> {
        let reply = self.call(Method::DELETE, path, body, true).await;
        Ok(found(reply)?.is_some())
    }

    /// Makes something; repeated only if surely nothing was made.
    pub(crate) async fn post(&self, path: &str, body: &Json) -> Result<Json, ApiError> {
        let repeated = failpoint::without("post-not-repeated");
        self.call(Method::POST, path, Some(body), repeated).await
    }

    /// A POST that may be repeated.
    pub(crate) async fn post_again(&self, path: &str, body: &Json) -> Result<Json, ApiError> {
        self.call(Method::POST, path, Some(body), true).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        idempotent: bool,
    ) -> Result<Json, ApiError> {
        let call = Call {
            method,
            path,
            body,
            idempotent,
        };
        let policy = Policy {
            seed: path
                .bytes()
                .fold(0, |seed, b| (seed * 31 + u64::from(b)) & 0xffff_ffff),
            ..Policy::default()
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.limiter.admit(&*self.clock).await;
            let mut failed = match self.once(&call).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            let class = &failed.error.class;
            if let ErrorClass::RateLimited { after: Some(after) } = class {
                self.limiter.pause_until(self.clock.now() + *after);
            }
            let Some(pause) = policy.next(class, attempt, idempotent) else {
                if *class == ErrorClass::NotSent && call.method == Method::GET {
                    failed.error.class = ErrorClass::Unreachable;
                }
                return Err(failed);
            };
            tracing::debug!(%call.method, path, attempt, ?pause, "trying again");
            self.clock.sleep(pause).await;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Json, ApiError> {
        let request = self.request(call).map_err(|error| ApiError {
            error,
            status: None,
            code: None,
        })?;
        let sent = self.transport.send(request).await;
        let response = sent.map_err(|e| self.unanswered(call, &e))?;
        self.limiter.heard(self.clock.now());
        let request_id = response
            .headers()
            .get(self.dialect.request_id)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        tracing::debug!(
            method = %call.method,
            path = call.path,
            status = response.status().as_u16(),
            request_id = request_id.as_deref().unwrap_or("-"),
            "reply"
        );
        if let Some(left) = (self.dialect.remaining)(response.headers()) {
            self.limiter.remaining(left);
        }
        self.read(call, &response).map_err(|mut failed| {
            failed.error.request_id = request_id;
            failed
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Bytes>, ProviderError> {
        let bug = |what: &str| ProviderError::new(ErrorClass::Bug, what.to_owned());
        let token = self.token.expose(Purpose::Request);
        let token = token.ok_or_else(|| bug("the token's value is not at hand"))?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            let what = format!(
                "the {} token holds characters that no token has",
                self.dialect.vendor
            );
            ProviderError::new(ErrorClass::Unauthorized, what)
        })?;
        bearer.set_sensitive(true);
        let body = match call.body {
            Some(body) => Bytes::from(body.to_string()),
            None => Bytes::new(),
        };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.base, call.path))
            .header(AUTHORIZATION, bearer);
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(body)
            .map_err(|_| bug("the request's address is malformed"))
    }

    fn unanswered(&self, call: &Call<'_>, error: &TransportError) -> ApiError {
        let class = match error.kind {
            TransportErrorKind::NotSent => ErrorClass::NotSent,
            _ if !call.idempotent => ErrorClass::Ambiguous,
            TransportErrorKind::TooLarge => ErrorClass::Failed,
            TransportErrorKind::Lost | TransportErrorKind::Timeout => {
                ErrorClass::Transient { after: None }
            }
        };
        let message = format!("no answer from {}: {}", self.dialect.vendor, error.message);
        ApiError {
            error: ProviderError::new(class, self.scrub(&message)),
            status: None,
            code: None,
        }
    }

    fn read(&self, call: &Call<'_>, response: &Response<Bytes>) -> Result<Json, ApiError> {
        let (status, body) = (response.status(), response.body());
        let json = match body.is_empty() {
            true => Some(Json::Null),
            false => serde_json::from_slice(body).ok(),
        };
        let complaint = json
            .as_ref()
            .and_then(|j| (self.dialect.complaint)(status, j));
        if status.is_success() && complaint.is_none() {
            // Some endpoints answer in YAML; what is no JSON is passed on as text.
            let text = || String::from_utf8(body.to_vec()).ok().map(Json::String);
            let plain = response
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|v| !v.to_str().unwrap_or_default().contains("json"));
            if let Some(json) = json.or_else(|| plain.then(text).flatten()) {
                return Ok(json);
            }
        }
        Err(self.refused(call, response, complaint))
    }

    fn refused(
        &self,
        call: &Call<'_>,
        response: &Response<Bytes>,
        complaint: Option<Complaint>,
    ) -> ApiError {
        let status = response.status();
        let vendor = self.dialect.vendor;
        let after = seconds(response.headers().get("retry-after"));
        let mut class = classify(status, after, call.idempotent);
        let (mut said, mut code) = (None, None);
        if let Some(complaint) = complaint {
            class = complaint.class.unwrap_or(class);
            code = complaint.code;
            said = Some(complaint.message).filter(|m| !m.is_empty());
        }
        let said = said.unwrap_or_else(|| {
            let excerpt = String::from_utf8_lossy(response.body());
            // A good status with a body that cannot be read may hold anything, secrets included.
            match status.is_success() || excerpt.trim().is_empty() {
                true => "no readable answer".to_owned(),
                false => excerpt.trim().chars().take(EXCERPT).collect(),
            }
        });
        let message = match class {
            ErrorClass::Unauthorized => format!(
                "{vendor} refused the token; check that it is the right one and has not expired or been revoked"
            ),
            _ => format!(
                "{vendor} answered {} to {}: {said}",
                status.as_u16(),
                call.method
            ),
        };
        ApiError {
            error: ProviderError::new(class, self.scrub(&message)),
            status: Some(status.as_u16()),
            code,
        }
    }

    fn scrub(&self, message: &str) -> String {
        scrub(message, [&self.token])
    }

    /// Every item of a list whose pages are counted, under `key`. The end is known by the total that
    /// `total` points to, and by an empty page should the total be wrong. A page that is the one before once
    /// more is no list: its items would be counted twice, and it might never end.
    pub(crate) async fn pages(
        &self,
        path: &str,
        (key, total): (&str, &str),
        per_page: usize,
    ) -> Result<Vec<Json>, ApiError> {
        let mut items: Vec<Json> = Vec::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        for page in 1u32.. {
            let path = format!("{path}{joint}page={page}&per_page={per_page}");
            let mut reply = self.get(&path).await?;
            let total = reply.pointer(total).and_then(Json::as_u64);
            let batch = take_list(&mut reply, key);
            let count = batch.len();
            if page > MOST_PAGES || (count > 0 && items.ends_with(&batch)) {
                return Err(self.endless(&path));
            }
            items.extend(batch);
            let complete = match total {
                Some(total) => u64::try_from(items.len()).unwrap_or(u64::MAX) >= total,
                None => count < per_page,
            };
            if count == 0 || complete {
                break;
            }
        }
        Ok(items)
    }

    fn endless(&self, path: &str) -> ApiError {
        let vendor = self.dialect.vendor;
        let message =
            format!("{vendor} answers GET {path} as it answered before: the list does not end");
        ApiError {
            error: ProviderError::new(ErrorClass::Failed, message),
            status: None,
            code: None,
        }
    }

    /// How long the vendor has been silent.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.limiter.silent_for(self.clock.now())
    }

    /// Something that was looked up once in this session.
    pub(crate) fn recall(&self, key: &str) -> Option<String> {
        lock(&self.notes).get(key).cloned()
    }

    /// Keeps what was looked up.
    pub(crate) fn note(&self, key: String, value: String) {
        lock(&self.notes).insert(key, value);
    }

    /// An object that was just made answered 404: whether that may still be the vendor's lag. Counts
    /// from the first time it is asked.
    pub(crate) fn may_lag(&self, id: &str, grace: Duration) -> bool {
        let now = self.clock.now();
        let first = *lock(&self.absent).entry(id.to_owned()).or_insert(now);
        now.saturating_sub(first) < grace
    }

    /// The object was seen.
    pub(crate) fn seen(&self, id: &str) {
        lock(&self.absent).remove(id);
    }

    /// One change at a time to what `key` names: vendors refuse parallel ones.
    pub(crate) async fn turn(&self, key: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = lock(&self.turns).entry(key.to_owned()).or_default().clone();
        turn.lock_owned().await
    }
}

/// Removes the values of secrets from a message. A message is withheld as a whole when one of them is
/// too short to be taken out, whether it occurs or not: which of the two would say something about it.
pub(crate) fn scrub<'a>(message: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut message = message.to_owned();
    for secret in secrets {
        match secret.expose(Purpose::Request).map(|v| (v, v.len())) {
            None | Some((_, 0)) => {}
            Some((_, len)) if len < LEAST_MASKED => {
                return "the vendor's words are withheld: a secret is too short to be taken out of them"
                    .to_owned();
            }
            Some((value, _)) => message = message.replace(value, "(secret)"),
        }
    }
    message
}

/// The list under a key; null and absent are empty.
pub(crate) fn take_list(reply: &mut Json, key: &str) -> Vec<Json> {
    match reply.get_mut(key).map(Json::take) {
        Some(Json::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A path segment with everything escaped that is not unreserved.
pub(crate) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            use std::fmt::Write as _;
            // Writing to a String does not fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds(header: Option<&HeaderValue>) -> Option<Duration> {
    let text = header?.to_str().ok()?;
    Some(Duration::from_secs(text.trim().parse().ok()?))
}

fn classify(status: StatusCode, after: Option<Duration>, idempotent: bool) -> ErrorClass {
    match status.as_u16() {
        401 => ErrorClass::Unauthorized,
        403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 | 412 => ErrorClass::Conflict,
        429 => ErrorClass::RateLimited { after },
        // A server that names a time to come back has turned the request away.
        503 if after.is_some() => ErrorClass::RateLimited { after },
        408 | 500.. | 200..300 if idempotent => ErrorClass::Transient { after },
        408 | 500.. | 200..300 => ErrorClass::Ambiguous,
        400..500 => ErrorClass::Invalid,
        _ => ErrorClass::Failed,
    }
}

#[cfg(test)]
mod tests;
