//! A store in a Kubernetes cluster: an object is an immutable Secret, and a name exists once.
//!
//! `create`, `get` and `list` are all the rights it takes, and `patch` for the hint. The cluster must
//! not be one that the state is about: whoever opens the store sees to that.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use serde_json::{Value as Json, json};
use zonewright_engine::canon::Digest;
use zonewright_engine::secret::{Purpose, Secret};

use super::again::{CONNECT_TIMEOUT, TIMEOUT, TRIES, again, pause};
use super::{Put, Store, StoreError, StoreResult, check_key, s3};
use crate::reactor::wait;
use crate::rng::{OsRng, Rng};

/// A Secret holds at most 1 MiB; larger objects are several.
const PART: usize = 512 * 1024;
/// How many names one page of a list has.
const PAGE: usize = 500;
const KEY: &str = "zonewright.dev/state-key";
const MARK: &str = "zonewright.dev/state-writer";
const PARTS: &str = "zonewright.dev/state-parts";
const LABEL: &str = "zonewright.dev/state";
const DATA: &str = "object";

/// Secrets of a namespace.
pub struct KubernetesStore {
    client: Client,
    host: String,
    namespace: String,
    rng: Mutex<Box<dyn Rng>>,
}

/// What a refused or failed request says about its effect.
enum Doubt {
    Refused,
    Exists,
    Absent,
    Open,
}

/// An object as it is stored.
struct Stored {
    bytes: Vec<u8>,
    mark: String,
}

impl KubernetesStore {
    /// Names a namespace of a cluster; sends no request.
    ///
    /// # Errors
    /// The kubeconfig cannot be used.
    pub fn open(
        kubeconfig: &Secret,
        context: Option<&str>,
        namespace: &str,
    ) -> Result<KubernetesStore, StoreError> {
        // The client keeps to the runtime that it was made on.
        wait(KubernetesStore::new(kubeconfig, context, namespace))
    }

    async fn new(
        kubeconfig: &Secret,
        context: Option<&str>,
        namespace: &str,
    ) -> Result<KubernetesStore, StoreError> {
        s3::install_crypto();
        // What is wrong with it is not said: the words may hold a part of it.
        let unusable = |why: &str| StoreError::Io {
            key: kubeconfig.label.to_string(),
            doing: "use the kubeconfig in",
            source: io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()),
        };
        let text = kubeconfig.expose(Purpose::Request);
        let text = text.ok_or_else(|| unusable("it is not at hand"))?;
        let parsed = Kubeconfig::from_yaml(text).map_err(|_| unusable("it is none"))?;
        let choice = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(parsed, &choice).await;
        let mut config = config.map_err(|_| unusable("it has no such context, or is not whole"))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(TIMEOUT);
        config.write_timeout = Some(TIMEOUT);
        // Repeating is decided here, in the open.
        config.default_retry = false;
        let host = config.cluster_url.host().unwrap_or("").to_owned();
        let client =
            Client::try_from(config).map_err(|_| unusable("its credentials are no use"))?;
        Ok(KubernetesStore {
            client,
            host,
            namespace: namespace.to_owned(),
            rng: Mutex::new(Box::new(OsRng)),
        })
    }

    fn mark(&self) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.hex128()
    }

    fn secrets(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, Error> {
        let kind = match method {
            Method::PATCH => "application/apply-patch+yaml",
            _ => "application/json",
        };
        let accept = match method {
            Method::GET if path.contains('?') => {
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            }
            _ => "application/json",
        };
        let body = body.map_or_else(Vec::new, |b| b.to_string().into_bytes());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .header(http::header::ACCEPT, accept)
            .body(body)
            .map_err(Error::HttpError)?;
        self.client.request(request).await
    }

    fn secret(&self, key: &str, bytes: &[u8], more: BTreeMap<&str, String>, hint: bool) -> Json {
        let mut annotations = json!({ KEY: key });
        for (name, value) in more {
            annotations[name] = json!(value);
        }
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "zonewright.dev/state",
            "metadata": { "name": name(key), "namespace": self.namespace,
                "labels": { LABEL: if key.contains('#') { "part" } else { "object" } },
                "annotations": annotations },
            "data": { DATA: STANDARD.encode(bytes) },
        });
        if !hint {
            secret["immutable"] = json!(true);
        }
        secret
    }

    /// Makes what one object is stored in: its later parts first, so that it is whole when it exists.
    async fn create(&self, key: &str, bytes: &[u8], mark: &str) -> Result<(), Error> {
        let mut parts = bytes.chunks(PART);
        let first = parts.next().unwrap_or_default();
        let rest: Vec<&[u8]> = parts.collect();
        for (i, part) in rest.iter().enumerate() {
            let own = part_key(key, mark, i);
            let secret = self.secret(&own, part, BTreeMap::new(), false);
            match self
                .send(Method::POST, &self.secrets(), Some(&secret))
                .await
            {
                // Nobody else has this name: it is ours, of an earlier try.
                Err(e) if matches!(doubt(&e), Doubt::Exists) => {}
                other => drop(other?),
            }
        }
        let more = BTreeMap::from([(MARK, mark.to_owned()), (PARTS, rest.len().to_string())]);
        let secret = self.secret(key, first, more, false);
        let made = self
            .send(Method::POST, &self.secrets(), Some(&secret))
            .await;
        made.map(drop)
    }

    async fn secret_of(&self, key: &str) -> Result<Option<Json>, Error> {
        let path = format!("{}/{}", self.secrets(), name(key));
        match self.send(Method::GET, &path, None).await {
            Err(e) if matches!(doubt(&e), Doubt::Absent) => Ok(None),
            other => other.map(Some),
        }
    }

    async fn stored(&self, key: &str) -> Result<Option<Stored>, Error> {
        let Some(secret) = self.secret_of(key).await? else {
            return Ok(None);
        };
        let annotation = |name: &str| secret["metadata"]["annotations"][name].as_str();
        let mark = annotation(MARK).unwrap_or_default().to_owned();
        let parts: usize = annotation(PARTS).and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut bytes = body(&secret);
        for i in 0..parts {
            if let Some(part) = self.secret_of(&part_key(key, &mark, i)).await? {
                bytes.extend(body(&part));
            }
        }
        Ok(Some(Stored { bytes, mark }))
    }

    async fn put_new_now(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        check_key(key)?;
        // Another one for each write: of two that write the same bytes only one is told that it did.
        let mark = self.mark();
        for attempt in 1.. {
            let Err(error) = self.create(key, bytes, &mark).await else {
                return Ok(Put::Created);
            };
            if matches!(doubt(&error), Doubt::Refused | Doubt::Absent) {
                return Err(self.failed(key, "create", &error));
            }
            if let Ok(Some(there)) = self.stored(key).await {
                let ours = there.mark == mark && there.bytes == bytes;
                if !ours {
                    self.remove_parts(key, &mark, bytes.len()).await;
                }
                return Ok(if ours { Put::Created } else { Put::Exists });
            }
            if attempt == TRIES {
                return Err(self.failed(key, "create", &error));
            }
            pause(attempt).await;
        }
        unreachable!("invariant: the loop returns");
    }

    /// Parts of a write that lost. What stays of them is in nobody's way.
    async fn remove_parts(&self, key: &str, mark: &str, len: usize) {
        for i in 0..len.saturating_sub(1) / PART {
            let path = format!("{}/{}", self.secrets(), name(&part_key(key, mark, i)));
            if let Err(error) = self.send(Method::DELETE, &path, None).await {
                tracing::debug!(%error, "a part of a lost write stays");
            }
        }
    }

    /// Reads, and again what may work in a moment.
    async fn again<T, F>(
        &self,
        key: &str,
        doing: &'static str,
        read: impl Fn() -> F + Send + Sync,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let open = |e: &Error| matches!(doubt(e), Doubt::Open);
        let found = again(open, read).await;
        found.map_err(|e| self.failed(key, doing, &e))
    }

    async fn keys(&self) -> Result<Vec<String>, Error> {
        let (mut keys, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!(
                "{}?labelSelector={LABEL}%3Dobject&limit={PAGE}{token}",
                self.secrets()
            );
            let page = self.send(Method::GET, &path, None).await?;
            for item in page["items"].as_array().into_iter().flatten() {
                let key = item["metadata"]["annotations"][KEY].as_str();
                keys.extend(key.map(str::to_owned));
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => token = format!("&continue={}", escaped(next)),
                _ => return Ok(keys),
            }
        }
    }

    async fn list_now(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        let mut keys = self.again(prefix, "list", || self.keys()).await?;
        keys.retain(|key| key.starts_with(prefix) && check_key(key).is_ok());
        keys.retain(|key| after.is_none_or(|after| key.as_str() > after));
        keys.sort();
        Ok(keys)
    }

    async fn put_hint_now(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        let secret = self.secret(key, bytes, BTreeMap::new(), true);
        let path = format!(
            "{}/{}?fieldManager=zonewright-state&force=true",
            self.secrets(),
            name(key)
        );
        let done = self.send(Method::PATCH, &path, Some(&secret)).await;
        done.map(drop).map_err(|e| self.failed(key, "write", &e))
    }

    async fn gc_now(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let stored = self.again(key, "read", || self.stored(key)).await?;
        let path = format!("{}/{}", self.secrets(), name(key));
        match self.send(Method::DELETE, &path, None).await {
            Err(e) if !matches!(doubt(&e), Doubt::Absent) => {
                return Err(self.failed(key, "remove", &e));
            }
            _ => {}
        }
        if let Some(Stored { bytes, mark }) = stored {
            self.remove_parts(key, &mark, bytes.len()).await;
        }
        Ok(())
    }

    fn failed(&self, key: &str, doing: &'static str, error: &Error) -> StoreError {
        let (kind, why) = match error {
            Error::Api(status) if [401, 403].contains(&status.code) => {
                (io::ErrorKind::PermissionDenied, status.message.clone())
            }
            Error::Api(status) if status.code == 404 => (
                io::ErrorKind::NotFound,
                format!(
                    "the namespace {} does not exist; make it first",
                    self.namespace
                ),
            ),
            Error::Api(status) => (io::ErrorKind::Other, status.message.clone()),
            other => (io::ErrorKind::NotConnected, other.to_string()),
        };
        StoreError::Io {
            key: key.to_owned(),
            doing,
            source: io::Error::new(kind, why),
        }
    }
}

fn body(secret: &Json) -> Vec<u8> {
    let text = secret["data"][DATA].as_str().unwrap_or_default();
    STANDARD.decode(text).unwrap_or_default()
}

fn part_key(key: &str, mark: &str, i: usize) -> String {
    format!("{key}#{mark}#{i}")
}

/// The name of an object: what its key says, as far as names allow, and a digest that tells it apart.
fn name(key: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    };
    let slug: String = key.chars().take(180).map(plain).collect();
    let digest = Digest::of(key.as_bytes()).to_string();
    let digits = digest.rsplit(':').next().unwrap_or_default();
    format!("zonewright-{}-{}", slug.trim_matches('-'), &digits[..16])
}

fn escaped(token: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    token.bytes().fold(String::new(), |mut out, b| {
        match plain(b) {
            true => out.push(char::from(b)),
            false => out.push_str(&format!("%{b:02X}")),
        }
        out
    })
}

fn doubt(error: &Error) -> Doubt {
    let Error::Api(status) = error else {
        return Doubt::Open;
    };
    match status.code {
        404 => Doubt::Absent,
        409 => Doubt::Exists,
        429 | 500.. => Doubt::Open,
        _ => Doubt::Refused,
    }
}

impl Store for KubernetesStore {
    fn place(&self) -> String {
        format!("kubernetes://{}/{}", self.host, self.namespace)
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        self.put_new_now(key, bytes).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        async move {
            check_key(key)?;
            let stored = self.again(key, "read", || self.stored(key)).await?;
            Ok(stored.map(|s| s.bytes))
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        self.list_now(prefix, after).boxed()
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        self.put_hint_now(key, bytes).boxed()
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        self.gc_now(key).boxed()
    }
}
