//! A scripted vendor for tests: expected requests and canned replies as text.
//!
//! ```text
//! POST /v2/vpcs {"name":"bz"}
//! 201 {"vpc":{"id":"v1"}}
//! GET /v2/vpcs/v1
//! lost
//! ```
//!
//! A request line is a method, a path and an optional JSON body (a subset of the one sent). Replies
//! are a status with optional `header: value;` parts before the body, or how the request fails:
//! `refused`, `lost`, `timeout`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use serde_json::Value as Json;
use zonewright_engine::address::Address;
use zonewright_engine::config::Sharing;
use zonewright_engine::provider::{
    Marker, Observed, Op, Outcome, Provider, ProviderError, ReadTarget, Session, Verb,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use crate::clock::Clock;
use crate::transport::{Transport, TransportError, TransportErrorKind};

/// The token of every test; must never be seen.
pub(crate) const TOKEN: &str = "dop_v1_canary_token";

/// Time that passes only while somebody sleeps.
#[derive(Debug, Default)]
pub(crate) struct TestClock(Mutex<Duration>);

impl Clock for TestClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += duration;
        Box::pin(async {})
    }
}

pub(crate) struct Script {
    exchanges: Mutex<VecDeque<(String, String)>>,
    bodies: Mutex<Vec<(String, String, Json)>>,
    pub(crate) clock: Arc<TestClock>,
}

impl Script {
    pub(crate) fn new(text: &str) -> Arc<Script> {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        assert!(lines.len().is_multiple_of(2), "a request without a reply");
        let pairs = lines.chunks(2).map(|p| (p[0].to_owned(), p[1].to_owned()));
        Arc::new(Script {
            exchanges: Mutex::new(pairs.collect()),
            bodies: Mutex::default(),
            clock: Arc::default(),
        })
    }

    /// Method, path and body of every request with a body.
    pub(crate) fn bodies(&self) -> Vec<(String, String, Json)> {
        self.bodies.lock().unwrap().clone()
    }

    /// All that was scripted has happened.
    pub(crate) fn done(&self) {
        let left = self.exchanges.lock().unwrap();
        assert!(left.is_empty(), "not asked for: {left:?}");
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().host(), Some("127.0.0.1"));
        assert_eq!(
            request.headers()["authorization"],
            format!("Bearer {TOKEN}")
        );
        let path = request.uri().path_and_query().unwrap().as_str();
        let got = format!("{} {path}", request.method());
        let mut exchanges = self.exchanges.lock().unwrap();
        // Requests that run at the same time may come in any order.
        let place = exchanges
            .iter()
            .position(|(want, _)| matches(want, &got, request.body()))
            .unwrap_or_else(|| {
                let body = String::from_utf8_lossy(request.body()).into_owned();
                panic!(
                    "unexpected {got} {body}; scripted: {:#?}",
                    exchanges.front()
                )
            });
        let (_, reply) = exchanges.remove(place).unwrap();
        if let Ok(body) = serde_json::from_slice(request.body()) {
            let entry = (request.method().to_string(), path.to_owned(), body);
            self.bodies.lock().unwrap().push(entry);
        }
        canned(&reply)
    }
}

fn matches(want: &str, got: &str, body: &[u8]) -> bool {
    let mut parts = want.splitn(3, ' ');
    let head = format!("{} {}", parts.next().unwrap(), parts.next().unwrap());
    let wanted = parts
        .next()
        .map(|b| serde_json::from_str::<Json>(b).expect("a scripted body"));
    head == got
        && wanted.is_none_or(|w| serde_json::from_slice(body).is_ok_and(|b| contains(&b, &w)))
}

/// Whether every part of `small` is in `big`; lists must be equal in length.
fn contains(big: &Json, small: &Json) -> bool {
    match (big, small) {
        (Json::Object(big), Json::Object(small)) => small
            .iter()
            .all(|(k, v)| big.get(k).is_some_and(|b| contains(b, v))),
        (Json::Array(big), Json::Array(small)) => {
            big.len() == small.len() && big.iter().zip(small).all(|(b, s)| contains(b, s))
        }
        _ => big == small,
    }
}

fn canned(reply: &str) -> Result<Response<Bytes>, TransportError> {
    let failed = |kind, message| Err(TransportError::new(kind, message));
    match reply {
        "refused" => return failed(TransportErrorKind::NotSent, "no connection"),
        "lost" => return failed(TransportErrorKind::Lost, "the connection broke"),
        "timeout" => return failed(TransportErrorKind::Timeout, "no reply in time"),
        _ => {}
    }
    let (status, mut rest) = reply.split_once(' ').unwrap_or((reply, ""));
    let mut response = Response::builder()
        .status(status.parse::<u16>().expect("a status"))
        .header("x-request-id", "req-1");
    while let Some((name, after)) = rest.split_once(": ")
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    {
        let (value, body) = after.split_once(';').expect("a header ends with `;`");
        response = response.header(name, value);
        rest = body.trim_start();
    }
    Ok(response.body(Bytes::from(rest.to_owned())).unwrap())
}

impl Transport for Script {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move { self.answer(&request) })
    }
}

/// A session of a provider with the test token.
pub(crate) async fn open(provider: &dyn Provider) -> Arc<dyn Session> {
    let token = Secret::new("secret.token", TOKEN, None);
    let config = Value::Map([("token".to_owned(), Value::Secret(token))].into());
    provider.open(&config, None).await.unwrap()
}

/// The mark of the first generation of an address.
pub(crate) fn marker(address: &str) -> Marker {
    Marker {
        lineage: "0123456789abcdef0123456789abcdef".to_owned(),
        address: address.parse::<Address>().unwrap(),
        generation: 1,
    }
}

pub(crate) fn value(json: &Json) -> Value {
    Value::from_plain_json(json.clone())
}

/// A target without an id.
pub(crate) fn target(address: &str, desired: &Json) -> ReadTarget {
    let address: Address = address.parse().unwrap();
    ReadTarget {
        kind: address.kind.clone(),
        id: None,
        desired: Some(value(desired)),
        marker: marker(&address.to_string()),
        address,
        observe: false,
    }
}

/// The same with an id.
pub(crate) fn known(address: &str, id: &str, desired: &Json) -> ReadTarget {
    ReadTarget {
        id: Some(id.to_owned()),
        ..target(address, desired)
    }
}

pub(crate) fn op(address: &str, verb: Verb) -> Op {
    let marker = marker(address);
    Op {
        kind: marker.address.kind.clone(),
        address: marker.address.clone(),
        marker,
        former: None,
        sharing: Sharing::default(),
        verb,
    }
}

/// An observation in one line: what, id, status, attributes.
pub(crate) fn show(observed: &Observed) -> String {
    match observed {
        Observed::Present(live) => format!(
            "present {} {:?} {}",
            live.id,
            live.status,
            live.attrs.to_json()
        ),
        Observed::Foreign(live) => format!("foreign {}", live.id),
        Observed::Gone => "gone".to_owned(),
        Observed::Unreadable(e) => format!("unreadable {:?}", e.class),
    }
}

/// An outcome in one line.
pub(crate) fn tell(outcome: &Result<Outcome, ProviderError>) -> String {
    match outcome {
        Ok(Outcome::Ready(live)) => format!("ready {} {}", live.id, live.attrs.to_json()),
        Ok(Outcome::Submitted { id, .. }) => format!("submitted {id}"),
        Ok(Outcome::Stuck { detail, .. }) => format!("stuck: {detail}"),
        Ok(Outcome::Pending { detail, .. }) => format!("pending {detail}"),
        Ok(Outcome::Gone) => "gone".to_owned(),
        Ok(Outcome::Found(all)) => {
            let all: Vec<&str> = all.iter().map(|l| l.id.as_str()).collect();
            format!("found {}", all.join(" "))
        }
        Err(e) => format!("{:?}: {}", e.class, e.message),
    }
}
