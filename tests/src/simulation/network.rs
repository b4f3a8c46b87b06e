//! The way from the providers to the sandbox, without sockets: a request is a function call that takes
//! as long as a request would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use zonewright_engine::config::{Config, SecretSource};
use zonewright_engine::provider::Provider;
use zonewright_engine::schema::Registry;
use zonewright_engine::secret::{DigestKey, Secret};
use zonewright_providers::{
    TokioClock, Transport, TransportError, TransportErrorKind, cloudflare_at, digitalocean_at,
    kubernetes, patience,
};
use zonewright_sandbox::Sandbox;
use zonewright_sandbox::reply::Dropped;

use super::fuse::Fuse;
use super::weather::{Fate, Weather};

/// What the vendors call themselves; nobody listens there.
pub(super) const ORIGIN: &str = "http://127.0.0.1:4000";

/// The transport of one process.
pub struct Network {
    sandbox: Arc<Sandbox>,
    latency: Duration,
    weather: Mutex<Option<Weather>>,
    fuse: Arc<Fuse>,
}

impl Network {
    /// The network as a process finds it.
    pub(super) fn new(
        sandbox: Arc<Sandbox>,
        latency: Duration,
        weather: Option<Weather>,
        fuse: Arc<Fuse>,
    ) -> Network {
        Network {
            sandbox,
            latency,
            weather: Mutex::new(weather),
            fuse,
        }
    }

    /// The providers of the command line, on this transport.
    pub(super) fn providers(self: &Arc<Self>) -> Vec<Arc<dyn Provider>> {
        let transport = || Arc::clone(self) as Arc<dyn Transport>;
        let clock = || Arc::new(TokioClock::new());
        let options = kubernetes::Options {
            kubeconfig: false,
            ..kubernetes::Options::default()
        };
        vec![
            digitalocean_at(transport(), clock(), ORIGIN),
            cloudflare_at(transport(), clock(), format!("{ORIGIN}/client/v4")),
            kubernetes::provider_over(transport(), options),
        ]
    }

    pub(super) fn registry(self: &Arc<Self>) -> Registry {
        Registry::new(self.providers().iter().map(|p| p.schema()))
    }

    /// What the sandbox takes for the secrets of a spec.
    pub(super) fn secrets(
        &self,
        config: &Config,
        key: &Arc<DigestKey>,
    ) -> BTreeMap<String, Secret> {
        let identity = self.sandbox.identity();
        let value = |name: &str, source: &SecretSource| match source {
            SecretSource::Env(variable) => match variable.as_str() {
                "DIGITALOCEAN_TOKEN" => identity.digitalocean_token(),
                "CLOUDFLARE_API_TOKEN" => identity.cloudflare_token(),
                "SPACES_ACCESS_KEY_ID" => identity.spaces_key(),
                "SPACES_SECRET_ACCESS_KEY" => identity.spaces_secret(),
                _ => identity.secret(name),
            },
            SecretSource::File(_) | SecretSource::Cmd(_) => identity.secret(name),
        };
        let declared = config.secrets.iter();
        declared
            .map(|(name, source)| {
                let label = format!("secret.{name}");
                let secret = Secret::new(label, value(name, source), Some(Arc::clone(key)));
                (name.clone(), secret)
            })
            .collect()
    }

    pub(super) async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let bytes = match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{ORIGIN}/_sandbox/{path}"))
            .body(bytes)
            .expect("a request");
        let (parts, body) = self.sandbox.handle(request).await.into_parts();
        let whole = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&whole);
        assert!(parts.status.is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The way of the next request.
    fn way(&self, request: &Request<Bytes>) -> Way {
        let weather = self.weather.lock();
        let mut weather = weather.unwrap_or_else(PoisonError::into_inner);
        let (fate, outlives) = weather.as_mut().map_or((Fate::Fair, false), |weather| {
            (weather.fate(request.method()), weather.outlives())
        });
        Way {
            sandbox: Arc::clone(&self.sandbox),
            latency: self.latency,
            number: self.fuse.request(request),
            fuse: Arc::clone(&self.fuse),
            fate,
            outlives,
        }
    }
}

/// How one request gets to the vendor and its reply back.
struct Way {
    sandbox: Arc<Sandbox>,
    latency: Duration,
    number: usize,
    fuse: Arc<Fuse>,
    fate: Fate,
    /// Whether it arrives although its sender dies meanwhile.
    outlives: bool,
}

fn lost(what: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Lost, what)
}

impl Way {
    async fn go(self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        tokio::time::sleep(self.latency).await;
        match self.fate.clone() {
            Fate::Refused => {
                let refused = TransportErrorKind::NotSent;
                return Err(TransportError::new(refused, "connection refused"));
            }
            Fate::LateArrival(after) => {
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    self.sandbox.handle(request).await;
                });
                return Err(lost("the connection broke"));
            }
            Fate::Struck(kind) => {
                request.extensions_mut().insert(kind);
            }
            Fate::Doubled => {
                self.sandbox.handle(request.clone()).await;
            }
            Fate::Fair | Fate::Truncated | Fate::LateReply(_) => {}
        }
        let reply = self.sandbox.handle(request).await;
        self.fuse.carried_out(self.number);
        if reply.extensions().get::<Dropped>().is_some() {
            return Err(lost("the connection broke"));
        }
        let (parts, body) = reply.into_parts();
        let whole = body.collect().await;
        let whole = whole.map_err(|_| lost("the connection broke within the reply"))?;
        let mut bytes = whole.to_bytes();
        match self.fate {
            Fate::Truncated => bytes.truncate(bytes.len() / 2),
            Fate::LateReply(after) => tokio::time::sleep(after).await,
            _ => {}
        }
        Ok(Response::from_parts(parts, bytes))
    }
}

impl Transport for Network {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let patience = patience(request.method());
        let way = self.way(&request);
        let fuse = Arc::clone(&way.fuse);
        async move {
            if fuse.is_blown() {
                return std::future::pending().await;
            }
            let exchanged = match way.outlives {
                true => {
                    let task = tokio::spawn(way.go(request));
                    tokio::time::timeout(patience, task)
                        .await
                        .map(|done| done.expect("no request panics"))
                }
                false => tokio::time::timeout(patience, way.go(request)).await,
            };
            if fuse.is_blown() {
                return std::future::pending().await;
            }
            exchanged.unwrap_or_else(|_| {
                let timeout = TransportErrorKind::Timeout;
                Err(TransportError::new(timeout, "no reply in time"))
            })
        }
        .boxed()
    }
}
