//! The way from the providers to the sandbox, without sockets: a request is a function call that takes
//! as long as a request would.

use std::collections::BTreeMap;
use std::sync::Arc;
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

/// What the vendors call themselves; nobody listens there.
pub(super) const ORIGIN: &str = "http://127.0.0.1:4000";

/// The transport of a simulation.
pub struct Network {
    sandbox: Arc<Sandbox>,
    latency: Duration,
}

impl Network {
    pub(super) fn new(sandbox: Arc<Sandbox>, latency: Duration) -> Network {
        Network { sandbox, latency }
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

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        tokio::time::sleep(self.latency).await;
        let lost = |what: &str| TransportError::new(TransportErrorKind::Lost, what);
        let reply = self.sandbox.handle(request).await;
        if reply.extensions().get::<Dropped>().is_some() {
            return Err(lost("the connection broke"));
        }
        let (parts, body) = reply.into_parts();
        let whole = body.collect().await;
        let whole = whole.map_err(|_| lost("the connection broke within the reply"))?;
        Ok(Response::from_parts(parts, whole.to_bytes()))
    }
}

impl Transport for Network {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let patience = patience(request.method());
        async move {
            match tokio::time::timeout(patience, self.exchange(request)).await {
                Ok(exchanged) => exchanged,
                Err(_) => Err(TransportError::new(
                    TransportErrorKind::Timeout,
                    "no reply in time",
                )),
            }
        }
        .boxed()
    }
}
