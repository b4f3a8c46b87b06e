//! The port to the network: one request in, one reply out.
//!
//! A transport never repeats a request, follows no redirect and knows no credential. Its error says
//! whether the request may have reached the other side; everything about retrying hangs on that.

use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use zonewright_engine::failpoint;

/// Time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for everything else: vendors take longer over writes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// No reply of these APIs comes near this; more is a fault of the other side.
const BODY_LIMIT: usize = 64 << 20;

/// Sends requests.
pub trait Transport: Send + Sync {
    /// Sends one request, once.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

/// How long a request may take, from the first byte sent to the last byte received.
pub fn patience(method: &Method) -> Duration {
    match *method {
        Method::GET | Method::HEAD => READ_TIMEOUT,
        _ => WRITE_TIMEOUT,
    }
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No byte of it left this machine.
    NotSent,
    /// It may have arrived; the reply did not.
    Lost,
    /// It may have arrived; no whole reply came in time.
    Timeout,
    /// The reply was larger than is accepted.
    TooLarge,
}

/// A request without a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// How far the request got.
    pub kind: TransportErrorKind,
    /// What happened; holds neither headers nor bodies nor the query of the address.
    pub message: String,
}

impl TransportError {
    /// An error with a kind and a message.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> TransportError {
        TransportError {
            kind,
            message: message.into(),
        }
    }
}

/// What the production transport may be told.
#[derive(Debug, Clone, Default)]
pub struct HttpOptions {
    /// A proxy for all requests: `http://host:port`. None is taken from the environment.
    pub proxy: Option<String>,
    /// More certificates to trust, each in PEM.
    pub extra_ca: Vec<Vec<u8>>,
}

/// Why the production transport cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The proxy or a certificate is not what it should be.
    #[error("the {what} cannot be used")]
    Option {
        /// Which option.
        what: &'static str,
        /// What is wrong with it.
        source: reqwest::Error,
    },
    /// The client could not be put together.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The production transport. It trusts the roots that are compiled in, so that it works on hosts
/// without a certificate store.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
}

/// Makes `ring` the cryptography of this process; harmless when done before.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed a provider first, which then is in force.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

impl HttpTransport {
    /// Sets the client up; opens no connection.
    ///
    /// # Errors
    /// An option cannot be used.
    pub fn new(options: &HttpOptions) -> Result<HttpTransport, HttpSetupError> {
        install_crypto();
        let option = |what| move |source| HttpSetupError::Option { what, source };
        let mut roots = Vec::new();
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            roots.push(reqwest::Certificate::from_der(der).map_err(option("built-in root"))?);
        }
        for pem in &options.extra_ca {
            let bundle = reqwest::Certificate::from_pem_bundle(pem);
            roots.extend(bundle.map_err(option("extra certificate"))?);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("zonewright/", env!("CARGO_PKG_VERSION")))
            .tls_certs_only(roots)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .gzip(true)
            .retry(reqwest::retry::never())
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(option("proxy"))?);
        }
        Ok(HttpTransport {
            client: builder.build()?,
        })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        failpoint::pass("http.send");
        let timeout = patience(request.method());
        let mut request = reqwest::Request::try_from(request).map_err(|e| describe(&e))?;
        *request.timeout_mut() = Some(timeout);
        let mut reply = self
            .client
            .execute(request)
            .await
            .map_err(|e| describe(&e))?;
        failpoint::pass("http.head");
        let mut body = BytesMut::new();
        while let Some(chunk) = reply.chunk().await.map_err(|e| describe(&e))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                let message = format!("the reply is larger than {} MiB", BODY_LIMIT >> 20);
                return Err(TransportError::new(TransportErrorKind::TooLarge, message));
            }
            body.extend_from_slice(&chunk);
        }
        failpoint::pass("http.reply");
        let mut response = Response::new(body.freeze());
        *response.status_mut() = reply.status();
        *response.headers_mut() = std::mem::take(reply.headers_mut());
        Ok(response)
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.exchange(request))
    }
}

/// Addresses in reqwest's messages may hold a query; only the causes are shown.
fn describe(error: &reqwest::Error) -> TransportError {
    let kind = if error.is_connect() || error.is_builder() {
        TransportErrorKind::NotSent
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Lost
    };
    let what = match kind {
        TransportErrorKind::NotSent if error.is_timeout() => "no connection within 10 s",
        TransportErrorKind::NotSent => "no connection",
        TransportErrorKind::Timeout => "no reply in time",
        TransportErrorKind::Lost | TransportErrorKind::TooLarge => "the connection broke",
    };
    let mut message = what.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        cause = source.source();
        // The innermost cause says it best; those around it repeat it.
        if cause.is_none() {
            message = format!("{what}: {source}");
        }
    }
    TransportError::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn answer(reply: &'static [u8]) -> Result<Response<Bytes>, TransportError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/x", listener.local_addr().unwrap());
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer).await.unwrap();
            socket.write_all(reply).await.unwrap();
        };
        let transport = HttpTransport::new(&HttpOptions::default()).unwrap();
        let request = Request::post(url).body(Bytes::from_static(b"{}")).unwrap();
        tokio::join!(transport.send(request), server).0
    }

    #[tokio::test]
    async fn a_reply_comes_back_whole() {
        let reply = answer(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nok",
        )
        .await
        .unwrap();
        assert_eq!(reply.status(), 302);
        assert_eq!(reply.body().as_ref(), b"ok");
    }

    #[tokio::test]
    async fn a_closed_connection_is_a_lost_reply() {
        assert_eq!(
            answer(b"").await.unwrap_err().kind,
            TransportErrorKind::Lost
        );
        let torn = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
        assert_eq!(torn.unwrap_err().kind, TransportErrorKind::Lost);
    }

    #[tokio::test]
    async fn a_refused_connection_sent_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?q=hidden", listener.local_addr().unwrap());
        drop(listener);
        let transport = HttpTransport::new(&HttpOptions::default()).unwrap();
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::NotSent);
        assert!(!error.message.contains("hidden"), "{}", error.message);
    }
}
