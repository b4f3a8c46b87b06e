//! Object storage: put, read, compare, remove, with the zone's own credentials.

use std::time::Duration;

use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use zonewright_engine::check::{Answer, PROBES};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::{Purpose, Secret};

use super::{CONNECT, READ, failed};

/// How long a signed address counts.
const SIGNED: Duration = Duration::from_secs(60);

mod copies;

/// A reply that went well.
struct Reply {
    body: String,
    /// The store's time, as it says it.
    date: Option<String>,
}

/// A bucket.
pub(super) struct Store {
    client: reqwest::Client,
    bucket: Bucket,
    credentials: Credentials,
    /// What all objects of a zone's probes begin with.
    prefix: String,
}

impl Store {
    pub(super) fn open(
        endpoint: &str,
        bucket: &str,
        zone: &str,
        (key, secret): (&Secret, &Secret),
    ) -> Result<Store, ProviderError> {
        let url = endpoint
            .parse()
            .map_err(|_| failed(format!("{endpoint} is no URL")))?;
        // The region is the first part of the vendor's name: `nyc3.digitaloceanspaces.com`.
        let host = endpoint.split("://").nth(1).unwrap_or(endpoint);
        let region = host.split('.').next().unwrap_or("us-east-1").to_owned();
        let region = if host.contains("digitaloceanspaces") {
            region
        } else {
            "us-east-1".to_owned()
        };
        let bucket = Bucket::new(url, UrlStyle::Path, bucket.to_owned(), region)
            .map_err(|e| failed(e.to_string()))?;
        let value = |secret: &Secret| {
            let value = secret.expose(Purpose::Request).map(str::to_owned);
            value.ok_or_else(|| failed(format!("{} has no value", secret.label)))
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(READ)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| failed("the HTTP client cannot be set up"))?;
        Ok(Store {
            client,
            bucket,
            credentials: Credentials::new(value(key)?, value(secret)?),
            prefix: format!("{PROBES}{zone}/"),
        })
    }

    /// Whether the bucket works, and holds what the one has that it is a copy of.
    pub(super) async fn prove(&self, source: Option<&Store>) -> Result<Answer, ProviderError> {
        let trip = self.round_trip().await?;
        let copies = match source {
            Some(source) if trip.is_ok() => Some(copies::compare(source, self).await?),
            _ => None,
        };
        Ok(Answer::Media { trip, copies })
    }

    async fn round_trip(&self) -> Result<Result<String, String>, ProviderError> {
        let mut nonce = [0u8; 16];
        getrandom::fill(&mut nonce).map_err(|e| failed(e.to_string()))?;
        let body: String = nonce.iter().map(|b| format!("{b:02x}")).collect();
        let name = format!("{}{body}", self.prefix);
        let credentials = Some(&self.credentials);
        let steps = async {
            let put = self.bucket.put_object(credentials, &name).sign(SIGNED);
            self.send(self.client.put(put).body(body.clone()), "put")
                .await?;
            if self.read(&name).await? == body {
                Ok(())
            } else {
                Err("what was read is not what was put".to_owned())
            }
        };
        let done = steps.await;
        let removed = self.remove(&name).await;
        let bucket = self.bucket.name();
        Ok(match (done, removed) {
            (Ok(()), Ok(())) => Ok(format!("put, read, compared and removed in {bucket}")),
            (Err(why), _) | (Ok(()), Err(why)) => Err(format!("{bucket}: {why}")),
        })
    }

    async fn read(&self, name: &str) -> Result<String, String> {
        let url = self.bucket.get_object(Some(&self.credentials), name);
        self.send(self.client.get(url.sign(SIGNED)), "read").await
    }

    async fn remove(&self, name: &str) -> Result<(), String> {
        let url = self
            .bucket
            .delete_object(Some(&self.credentials), name)
            .sign(SIGNED);
        self.send(self.client.delete(url), "remove")
            .await
            .map(|_| ())
    }

    /// Removes what earlier probes left.
    pub(super) async fn sweep(&self) -> Result<usize, ProviderError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(self.prefix.clone());
        let listed = self
            .send(self.client.get(action.sign(SIGNED)), "list")
            .await;
        let listed = listed.map_err(|why| ProviderError::new(ErrorClass::Failed, why))?;
        let found = ListObjectsV2::parse_response(&listed).map_err(|e| failed(e.to_string()))?;
        for object in &found.contents {
            self.remove(&object.key).await.map_err(failed)?;
        }
        Ok(found.contents.len())
    }

    /// Sends one request.
    async fn send(&self, request: reqwest::RequestBuilder, doing: &str) -> Result<String, String> {
        self.dated(request, doing).await.map(|reply| reply.body)
    }

    /// The same, with the store's time. An address holds a signature: no error names it.
    async fn dated(&self, request: reqwest::RequestBuilder, doing: &str) -> Result<Reply, String> {
        let answer = request.send().await;
        let answer = answer.map_err(|e| format!("cannot {doing}: {}", e.without_url()))?;
        let status = answer.status().as_u16();
        let date = answer.headers().get("date");
        let date = date.and_then(|d| d.to_str().ok()).map(str::to_owned);
        let body = answer.text().await;
        let body = body.map_err(|e| format!("cannot {doing}: {}", e.without_url()))?;
        if (200..300).contains(&status) {
            return Ok(Reply { body, date });
        }
        let code = body
            .split("<Code>")
            .nth(1)
            .and_then(|c| c.split("</Code>").next());
        Err(match code {
            Some(code) => format!("cannot {doing}: {status} {code}"),
            None => format!("cannot {doing}: {status}"),
        })
    }
}
