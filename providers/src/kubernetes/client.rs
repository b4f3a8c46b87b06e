//! One cluster's API: requests in, JSON or a refusal out.
//!
//! Every request that goes through here is harmless to repeat: reads, server-side applies and
//! deletions with a precondition.

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;
use zonewright_engine::failpoint;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::{Purpose, Secret};
use zonewright_engine::value::Value;

use super::carrier;
use super::failure::Refusal;
use super::sharing::MANAGER;
use crate::transport::{Transport, TransportError, TransportErrorKind};

/// No answer is larger; a page of custom resource definitions has tens of megabytes.
const MOST_BYTES: usize = 64 << 20;

/// How the provider talks.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may be silent.
    pub read_timeout: Duration,
    /// Objects per page of a list.
    pub page: usize,
    /// Attempts of a read that may work in a moment.
    pub attempts: u32,
    /// The pause after the first of them; each later one is twice as long.
    pub pause: Duration,
    /// How long a create is repeated that may work in a moment: the discovery of a kind that was just
    /// defined, its handler and the webhooks about it all lag behind.
    pub settle: Duration,
    /// Whether a kubeconfig is accepted. A rehearsal against emulated clouds must not reach a real
    /// cluster.
    pub kubeconfig: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            page: 500,
            attempts: 4,
            pause: Duration::from_millis(500),
            settle: Duration::from_secs(30),
            kubeconfig: true,
        }
    }
}

/// The ephemeral output of a cluster.
#[derive(Deserialize)]
struct Credentials {
    server: String,
    #[serde(default)]
    certificate_authority_data: Option<String>,
    token: String,
}

/// Why a request has no good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered, and not well.
    Refused(Refusal),
    /// There was no answer.
    Lost(ProviderError),
}

impl Failure {
    /// The error about an object.
    pub(crate) fn error(self, what: &str, secret: bool) -> ProviderError {
        match self {
            Failure::Refused(refusal) => refusal.error(what, secret),
            Failure::Lost(error) => error,
        }
    }

    /// The refusal, if the server answered.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Failure::Refused(refusal) => Some(refusal),
            Failure::Lost(_) => None,
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Failure::Refused(refusal) => refusal.error("", true).class,
            Failure::Lost(error) => error.class.clone(),
        }
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Apply {
    /// Whether fields that others manage are taken from them.
    pub(crate) force: bool,
    /// Whether it is only tried: everything is checked, nothing is kept.
    pub(crate) dry: bool,
}

/// What a visit through a proxy brought back.
#[derive(Debug)]
pub(crate) struct Visited {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

/// An open connection to a cluster.
pub(crate) struct Api {
    client: kube::Client,
    /// How it talks.
    pub(crate) options: Options,
    /// When the server answered last.
    heard: Mutex<Option<Instant>>,
}

fn bad(message: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, message)
}

impl Api {
    /// Connects with the credentials of the container, through the transport if there is one.
    pub(crate) fn open(
        options: &Options,
        transport: Option<Arc<dyn Transport>>,
        secret: &Secret,
    ) -> Result<Api, ProviderError> {
        let text = secret
            .expose(Purpose::Request)
            .ok_or_else(|| bad("the cluster's credentials are not at hand"))?;
        let credentials: Credentials = serde_json::from_str(text)
            .map_err(|_| bad("the cluster's credentials are not of the expected form"))?;
        match transport {
            None => Api::connect(options, config(credentials)?),
            Some(transport) => Ok(Api {
                client: carrier::client(transport, &server(&credentials)?, &credentials.token)
                    .ok_or_else(|| bad("the cluster's token is not fit for a header"))?,
                options: options.clone(),
                heard: Mutex::default(),
            }),
        }
    }

    /// Connects as a kubeconfig says, which `[providers.kubernetes]` holds as a secret.
    pub(crate) async fn from_kubeconfig(
        options: &Options,
        table: &Value,
    ) -> Result<Api, ProviderError> {
        if !options.kubeconfig {
            return Err(bad(
                "a kubeconfig leads to a cluster outside the sandbox; only `cluster` can be rehearsed",
            ));
        }
        let text = match table.get("kubeconfig") {
            Some(Value::Secret(secret)) => secret.expose(Purpose::Request),
            _ => None,
        };
        let text = text.ok_or_else(|| bad("neither a cluster nor a kubeconfig is at hand"))?;
        // The parser's message may quote the file, which holds credentials.
        let wrong = |_: KubeconfigError| {
            bad("the kubeconfig cannot be read as one, or names files that are not there")
        };
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(wrong)?;
        let context = table.get("context").and_then(Value::as_str);
        let choice = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &choice)
            .await
            .map_err(wrong)?;
        Api::connect(options, config)
    }

    fn connect(options: &Options, mut config: kube::Config) -> Result<Api, ProviderError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        check_encrypted(&config)?;
        config.connect_timeout = Some(options.connect_timeout);
        config.read_timeout = Some(options.read_timeout);
        config.reset_reader_on_write = true;
        config.write_timeout = Some(options.read_timeout);
        // Repeating is decided here and in the engine, in the open.
        config.default_retry = false;
        let client = kube::Client::try_from(config)
            .map_err(|e| bad(&format!("the cluster's credentials cannot be used: {e}")))?;
        Ok(Api {
            client,
            options: options.clone(),
            heard: Mutex::default(),
        })
    }

    /// How long the server has been silent.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|at| at.elapsed())
    }

    /// Reads, and tries again what may work in a moment.
    pub(crate) async fn read(&self, path: &str, accept: &str) -> Result<Json, Failure> {
        let mut attempt = 1;
        loop {
            let request = Request::get(path).header(ACCEPT, accept);
            let failure = match self.send(request, None).await {
                Err(failure) => failure,
                done => return done,
            };
            let after = match failure.class() {
                // A missing kind is an answer to a read.
                _ if failure.refusal().is_some_and(Refusal::is_missing) => return Err(failure),
                ErrorClass::Transient { after } | ErrorClass::RateLimited { after } => after,
                _ => return Err(failure),
            };
            if attempt >= self.options.attempts {
                return Err(failure);
            }
            let own = self.options.pause * 2_u32.pow(attempt - 1);
            tokio::time::sleep(after.unwrap_or(own).min(Duration::from_secs(30))).await;
            attempt += 1;
        }
    }

    /// Reads JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Json, Failure> {
        self.read(path, "application/json").await
    }

    /// The uid of the namespace `kube-system`: no two clusters share it.
    pub(crate) async fn identity(&self) -> Result<String, ProviderError> {
        let found = self.get("/api/v1/namespaces/kube-system").await;
        let object = found
            .map_err(|f| f.error("namespace kube-system, which tells clusters apart", false))?;
        match object["metadata"]["uid"].as_str() {
            Some(uid) if !uid.is_empty() => Ok(uid.to_owned()),
            _ => Err(transient("namespace kube-system has no uid")),
        }
    }

    /// Applies an object, or only tries to.
    pub(crate) async fn patch(&self, path: &str, how: Apply, body: &Json) -> Result<Json, Failure> {
        let force = how.force;
        let dry = if how.dry { "&dryRun=All" } else { "" };
        let path =
            format!("{path}?fieldManager={MANAGER}&force={force}&fieldValidation=Strict{dry}");
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(path)
            .header(CONTENT_TYPE, "application/apply-patch+yaml")
            .header(ACCEPT, "application/json");
        self.send(request, Some(body)).await
    }

    /// Changes parts of an object by a merge patch that names its `resourceVersion`: sent twice, it is refused.
    pub(crate) async fn merge(&self, path: &str, body: &Json) -> Result<Json, Failure> {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{path}?fieldManager={MANAGER}"))
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .header(ACCEPT, "application/json");
        self.send(request, Some(body)).await
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, path: &str, body: &Json) -> Result<Json, Failure> {
        let request = Request::delete(path)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json");
        self.send(request, Some(body)).await
    }

    /// Reads what a Service answers, through the API server: the status and the beginning of the body.
    pub(crate) async fn visit(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Visited, Failure> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Body::empty())
            .map_err(|_| Failure::Lost(bad("a name is not fit for a request")))?;
        let response = self.client.send(request).await.map_err(|e| lost(&e))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|_| Failure::Lost(transient("the answer broke off")))?;
        Ok(Visited {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Option<&Json>,
    ) -> Result<Json, Failure> {
        let bytes = body.map(Json::to_string).unwrap_or_default().into_bytes();
        let request = request
            .body(Body::from(bytes))
            .map_err(|_| Failure::Lost(bad("a name is not fit for a request")))?;
        failpoint::pass("kubernetes.send");
        let response = self.client.send(request).await.map_err(|e| lost(&e))?;
        let (parts, body) = response.into_parts();
        let bytes = Limited::new(body, MOST_BYTES)
            .collect()
            .await
            .map_err(|_| Failure::Lost(transient("the answer broke off")))?
            .to_bytes();
        failpoint::pass("kubernetes.reply");
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let json = serde_json::from_slice::<Json>(&bytes).ok();
        if parts.status.is_success() {
            return json.ok_or_else(|| Failure::Lost(transient("the answer is no JSON")));
        }
        let after = parts.headers.get(RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.parse().ok());
        Err(Failure::Refused(Refusal {
            code: parts.status.as_u16(),
            status: json.filter(|j| j["kind"] == "Status").unwrap_or(Json::Null),
            text: String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned(),
            after: after.map(Duration::from_secs),
        }))
    }
}

fn server(credentials: &Credentials) -> Result<Uri, ProviderError> {
    let server = credentials.server.parse();
    server.map_err(|_| bad("the cluster's server is no URL"))
}

fn config(credentials: Credentials) -> Result<kube::Config, ProviderError> {
    let mut config = kube::Config::new(server(&credentials)?);
    let bundle = credentials.certificate_authority_data.unwrap_or_default();
    if !bundle.is_empty() {
        config.root_cert = Some(certificates(&bundle)?);
    }
    config.auth_info.token = Some(credentials.token.into());
    Ok(config)
}

/// A token is not given to somebody who has not shown who they are: TLS, and verified, but for what runs on
/// this machine.
fn check_encrypted(config: &kube::Config) -> Result<(), ProviderError> {
    if config.accept_invalid_certs {
        return Err(bad(
            "the kubeconfig says `insecure-skip-tls-verify`; certificates are always verified: give it `certificate-authority-data`",
        ));
    }
    let host = config.cluster_url.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let own = host == "localhost" || address.is_ok_and(|a| a.is_loopback());
    if config.cluster_url.scheme_str() != Some("https") && !own {
        return Err(bad(&format!(
            "the cluster's server at {host} is not reached by https; its token would be readable on the way"
        )));
    }
    Ok(())
}

/// The certificates of a base64 PEM bundle, in DER.
fn certificates(bundle: &str) -> Result<Vec<Vec<u8>>, ProviderError> {
    let wrong = || bad("the cluster's certificate authority is no base64 PEM bundle");
    let pem = STANDARD.decode(bundle.trim()).map_err(|_| wrong())?;
    let pem = String::from_utf8(pem).map_err(|_| wrong())?;
    let mut out = Vec::new();
    for block in pem.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let body = block.split("-----END CERTIFICATE-----").next();
        let body: String = body.unwrap_or_default().split_whitespace().collect();
        out.push(STANDARD.decode(body).map_err(|_| wrong())?);
    }
    if out.is_empty() {
        Err(wrong())
    } else {
        Ok(out)
    }
}

fn transient(message: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Transient { after: None }, message)
}

/// Nothing came back. The texts of these errors hold hosts and causes, never headers or bodies.
fn lost(error: &kube::Error) -> Failure {
    let mut causes = Vec::new();
    let mut refused = false;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            refused |= matches!(
                io.kind(),
                std::io::ErrorKind::ConnectionRefused
                    | std::io::ErrorKind::HostUnreachable
                    | std::io::ErrorKind::NetworkUnreachable
            );
        }
        if let Some(transport) = cause.downcast_ref::<TransportError>() {
            refused |= transport.kind == TransportErrorKind::NotSent;
        }
        causes.push(cause.to_string());
        source = cause.source();
    }
    let told = causes.join(": ");
    let unreachable = refused || told.contains("dns error") || told.contains("(Connect)");
    let class = if unreachable {
        ErrorClass::Unreachable
    } else {
        ErrorClass::Transient { after: None }
    };
    Failure::Lost(ProviderError::new(
        class,
        format!("no answer from the cluster: {told}"),
    ))
}
