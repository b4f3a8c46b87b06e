//! Somebody else's hands: what is done to the accounts without us, with the vendors' own requests.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;

use super::Simulation;
use super::network::ORIGIN;

impl Simulation {
    /// Sends one request to a vendor: `/v2/…`, `/client/v4/…`, `/clusters/ID/…`.
    ///
    /// # Errors
    /// The vendor refuses, with its words.
    ///
    /// # Panics
    /// It is no request.
    pub async fn by_hand(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let bytes = match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let media = match method {
            "PATCH" if path.starts_with("/clusters/") => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{ORIGIN}{path}"))
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.token(path)),
            )
            .header(header::CONTENT_TYPE, media)
            .body(bytes)
            .expect("a request");
        let (parts, body) = self.sandbox.handle(request).await.into_parts();
        let whole = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&whole);
        match parts.status.is_success() {
            true => Ok(serde_json::from_str(&text).unwrap_or(Value::Null)),
            false => Err(format!("{method} {path}: {} {text}", parts.status)),
        }
    }

    fn token(&self, path: &str) -> String {
        let identity = self.sandbox.identity();
        if path.starts_with("/v2/") {
            return identity.digitalocean_token();
        }
        let inner = path
            .strip_prefix("/clusters/")
            .and_then(|p| p.split('/').next());
        match inner {
            Some(cluster) => identity.cluster_token(cluster),
            None => identity.cloudflare_token(),
        }
    }
}
