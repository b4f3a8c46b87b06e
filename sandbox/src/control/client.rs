//! A client of the control API, for the command line and for tests.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::Switches;
use super::database::Behaviour;
use crate::fault::Fault;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The control URL is not `http://HOST:PORT/_sandbox`.
    #[error("not a control URL of a sandbox: {0}")]
    Url(String),
    /// Nobody listens there.
    #[error("no sandbox answers at {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the sandbox broke")]
    Http(#[from] hyper::Error),
    /// No answer in time.
    #[error("the sandbox does not answer")]
    Timeout,
    /// The sandbox refused.
    #[error("the sandbox answers {status}: {message}")]
    Refused {
        /// The status code.
        status: u16,
        /// The sandbox's own words.
        message: String,
    },
    /// The answer is not JSON.
    #[error("the sandbox's answer is not JSON")]
    Json(#[from] serde_json::Error),
}

/// A client of the control API of one sandbox.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    prefix: String,
}

impl Client {
    /// A client for a control URL such as `http://127.0.0.1:4000/_sandbox`.
    ///
    /// # Errors
    /// The URL has another form.
    pub fn new(url: &str) -> Result<Client, ClientError> {
        let bad = || ClientError::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(bad)?;
        let (address, path) = rest.split_once('/').ok_or_else(bad)?;
        if !address.contains(':') {
            return Err(bad());
        }
        Ok(Client {
            address: address.to_owned(),
            prefix: format!("/{}", path.trim_end_matches('/')),
        })
    }

    /// Who serves which world: `id`, `dir`, `pid`, `profile`.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn health(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/health", None).await
    }

    /// The whole world: service, table, document.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn dump(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/dump", None).await
    }

    /// The log of requests, an array.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn requests(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/requests", None).await
    }

    /// Empties the log of requests.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn clear_requests(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/requests", None).await.map(drop)
    }

    /// Arms a fault; gives its number.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses the fault.
    pub async fn add_fault(&self, fault: &Fault) -> Result<u64, ClientError> {
        let added = self
            .call(Method::POST, "/faults", Some(json!(fault)))
            .await?;
        Ok(added["id"].as_u64().unwrap_or(0))
    }

    /// The armed faults with their counters, an array.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn faults(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/faults", None).await
    }

    /// Disarms every fault.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn clear_faults(&self) -> Result<(), ClientError> {
        self.call(Method::DELETE, "/faults", None).await.map(drop)
    }

    /// The requests that are held now, an array.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn held(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/held", None).await
    }

    /// Lets go what is held.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn release(&self) -> Result<(), ClientError> {
        self.call(Method::POST, "/release", None).await.map(drop)
    }

    /// Sets how the emulators behave where the vendors differ.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn set_switches(&self, switches: &Switches) -> Result<(), ClientError> {
        let body = Some(json!(switches));
        self.call(Method::POST, "/switches", body).await.map(drop)
    }

    /// The databases with their behaviour, an array.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn databases(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/databases", None).await
    }

    /// Changes how a database behaves, which is named by id or name; gives its behaviour.
    ///
    /// # Errors
    /// The sandbox cannot be asked, or there is no such database, or it is no replica.
    pub async fn set_database(
        &self,
        named: &str,
        behaviour: &Behaviour,
    ) -> Result<Value, ClientError> {
        let path = format!("/databases/{named}");
        self.call(Method::POST, &path, Some(json!(behaviour))).await
    }

    /// What bills now: `items` (kind, id, name, region, monthly) and `monthly`, their sum, in dollars.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn cost(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, "/cost", None).await
    }

    /// Makes a bucket, if it is not there.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses the name.
    pub async fn add_bucket(&self, name: &str) -> Result<(), ClientError> {
        self.bucket(name, &super::Bucket::default()).await
    }

    /// Makes a bucket, if it is not there, and changes what is asked.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses the name, or the other bucket is not there.
    pub async fn bucket(&self, name: &str, asked: &super::Bucket) -> Result<(), ClientError> {
        let path = format!("/buckets/{name}");
        self.call(Method::POST, &path, Some(json!(asked)))
            .await
            .map(drop)
    }

    /// Adds a Cloudflare zone.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses the name.
    pub async fn add_zone(&self, name: &str) -> Result<Value, ClientError> {
        let body = Some(json!({ "name": name }));
        self.call(Method::POST, "/zones", body).await
    }

    /// Makes a Cloudflare token that is good for less than the account's own: `zones`, `status`,
    /// `not_before`, `expires_on`, `account_owned`.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses what is asked for.
    pub async fn add_token(&self, what: &Value) -> Result<String, ClientError> {
        let made = self
            .call(Method::POST, "/tokens", Some(what.clone()))
            .await?;
        Ok(made["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Empties the world.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn reset(&self) -> Result<(), ClientError> {
        self.call(Method::POST, "/reset", None).await.map(drop)
    }

    /// Stops the server.
    ///
    /// # Errors
    /// The sandbox cannot be asked.
    pub async fn stop(&self) -> Result<(), ClientError> {
        self.call(Method::POST, "/stop", None).await.map(drop)
    }

    /// Any control request; an empty answer is `null`.
    ///
    /// # Errors
    /// The sandbox cannot be asked or refuses.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        tokio::time::timeout(TIMEOUT, self.exchange(method, path, body))
            .await
            .map_err(|_| ClientError::Timeout)?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        let stream =
            TcpStream::connect(&self.address)
                .await
                .map_err(|source| ClientError::Connect {
                    address: self.address.clone(),
                    source,
                })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let bytes = body.map_or_else(Bytes::new, |v| Bytes::from(v.to_string()));
        let mut request = Request::new(Full::new(bytes));
        *request.method_mut() = method;
        let target = format!("{}{path}", self.prefix);
        *request.uri_mut() = target
            .parse()
            .map_err(|_| ClientError::Url(target.clone()))?;
        let host = http::HeaderValue::try_from(self.address.as_str())
            .map_err(|_| ClientError::Url(self.address.clone()))?;
        request.headers_mut().insert(header::HOST, host);
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let bytes = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, bytes))
        };
        // The connection is driven only as long as its one exchange takes.
        let (status, bytes) = tokio::select! {
            done = exchange => done?,
            Err(broken) = connection => return Err(broken.into()),
        };
        if !status.is_success() {
            let message = serde_json::from_slice::<Value>(&bytes)
                .ok()
                .and_then(|v| v["error"].as_str().map(str::to_owned))
                .unwrap_or_default();
            return Err(ClientError::Refused {
                status: status.as_u16(),
                message,
            });
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}
