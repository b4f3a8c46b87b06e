//! A store in a bucket that speaks S3: `If-None-Match: *` makes an object only if it is absent.
//!
//! An answer is believed only when it says that the object was made. Whatever else comes back (412,
//! 409, 5xx, a lost connection) is settled by reading the object: it holds the mark of the write
//! that made it, so a write whose reply was lost is not taken for somebody else's.

use std::io;
use std::sync::{Mutex, PoisonError};

use futures::{FutureExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Certificate, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, RetryConfig,
};
use zonewright_engine::failpoint;
use zonewright_engine::secret::{Purpose, Secret};

use super::again::{CONNECT_TIMEOUT, TIMEOUT, TRIES, again, pause};
use super::{Lie, Put, Store, StoreError, StoreResult, check_key};
use crate::rng::{OsRng, Rng};

/// The name of the metadata that tells which write made an object.
const MARK: &str = "zonewright-writer";

/// Where a bucket is.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The address of the service; the one of AWS in the region when absent.
    pub endpoint: Option<String>,
    /// What all keys begin with, without slashes around it; may be empty.
    pub prefix: String,
    /// The id of the access key.
    pub access_key: Secret,
    /// The access key.
    pub secret_key: Secret,
}

/// Objects in a bucket.
pub struct S3Store {
    bucket: AmazonS3,
    name: String,
    prefix: String,
    rng: Mutex<Box<dyn Rng>>,
}

/// What a failed request says about its effect.
enum Doubt {
    /// It had none and will have none.
    Refused,
    /// The object is said to exist.
    Exists,
    /// Nobody knows.
    Open,
}

impl S3Store {
    /// Names a bucket; opens no connection.
    ///
    /// # Errors
    /// The address cannot be used, or a key is not at hand.
    pub fn new(options: &S3Options) -> Result<S3Store, StoreError> {
        install_crypto();
        let unusable = |why: String| StoreError::Io {
            key: options.bucket.clone(),
            doing: "use the bucket",
            source: io::Error::new(io::ErrorKind::InvalidInput, why),
        };
        let exposed = |secret: &Secret| match secret.expose(Purpose::Request) {
            Some(text) => Ok(text.to_owned()),
            None => Err(unusable(format!("{} is not at hand", secret.label))),
        };
        let plain = options.endpoint.as_deref().is_some_and(is_plain_loopback);
        let mut client = ClientOptions::new()
            .with_no_system_certificates(true)
            .with_allow_http(plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(TIMEOUT);
        for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            let root = Certificate::from_der(der).map_err(|e| unusable(short(&e)))?;
            client = client.with_root_certificate(root);
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region)
            .with_access_key_id(exposed(&options.access_key)?)
            .with_secret_access_key(exposed(&options.secret_key)?)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_client_options(client)
            // Repeating is decided here, in the open.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        Ok(S3Store {
            bucket: builder.build().map_err(|e| unusable(short(&e)))?,
            name: options.bucket.clone(),
            prefix: options.prefix.clone(),
            rng: Mutex::new(Box::new(OsRng)),
        })
    }

    fn path(&self, key: &str) -> Result<Path, StoreError> {
        let whole = match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        Path::parse(&whole).map_err(|_| StoreError::Key(key.to_owned()))
    }

    fn mark(&self) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.hex128()
    }

    async fn put(&self, key: &str, bytes: &[u8], mode: PutMode, mark: &str) -> Result<(), Error> {
        let path = Path::parse(key)?;
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata(MARK.into()), mark.to_owned().into());
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        let payload = PutPayload::from(bytes.to_vec());
        self.bucket.put_opts(&path, payload, options).await?;
        Ok(())
    }

    /// An object and the mark of the write that made it.
    async fn stored(&self, path: &Path) -> Result<Option<(Vec<u8>, String)>, Error> {
        let found = match self.bucket.get(path).await {
            Err(e @ Error::NotFound { .. }) if !lacks_bucket(&e) => return Ok(None),
            other => other?,
        };
        let mark = found.attributes.get(&Attribute::Metadata(MARK.into()));
        let mark = mark.map(|m| m.to_string()).unwrap_or_default();
        Ok(Some((found.bytes().await?.to_vec(), mark)))
    }

    async fn put_new_now(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        check_key(key)?;
        let path = self.path(key)?;
        // Another one for each write: of two that write the same bytes only one is told that it did.
        let mark = self.mark();
        let mut unseen = 0;
        for attempt in 1.. {
            let put = self.put(path.as_ref(), bytes, PutMode::Create, &mark).await;
            let Err(error) = put else {
                return Ok(Put::Created);
            };
            let doubt = doubt(&error);
            if failpoint::without("lost-put-read-back") {
                return Ok(Put::Exists);
            }
            if matches!(doubt, Doubt::Refused) {
                return Err(failed(key, "create", &error));
            }
            match self.stored(&path).await {
                Ok(Some((there, by))) if by == mark && there == bytes => return Ok(Put::Created),
                Ok(Some(_)) => return Ok(Put::Exists),
                Ok(None) if matches!(doubt, Doubt::Exists) => unseen += 1,
                Ok(None) | Err(_) => {}
            }
            if attempt == TRIES {
                return Err(match unseen == TRIES {
                    true => self.untrusted(key, Lie::Hides),
                    false => failed(key, "create", &error),
                });
            }
            pause(attempt).await;
        }
        unreachable!("invariant: the loop returns");
    }

    async fn get_now(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let path = self.path(key)?;
        let found = again(may_pass, || self.stored(&path)).await;
        let found = found.map_err(|e| failed(key, "read", &e))?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    async fn list_once(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        let dir = prefix.rsplit_once('/').map_or("", |(dir, _)| dir);
        let root = match self.prefix.as_str() {
            "" => String::new(),
            own => format!("{own}/"),
        };
        let below = Path::parse(format!("{root}{dir}"))?;
        let below = (!below.as_ref().is_empty()).then_some(&below);
        let found = match after {
            Some(after) => {
                let offset = Path::parse(format!("{root}{after}"))?;
                self.bucket.list_with_offset(below, &offset)
            }
            None => self.bucket.list(below),
        };
        let found: Vec<_> = found.try_collect().await?;
        let mut keys: Vec<String> = found
            .iter()
            .filter_map(|meta| meta.location.as_ref().strip_prefix(&root))
            .filter(|key| key.starts_with(prefix) && check_key(key).is_ok())
            .filter(|key| after.is_none_or(|after| *key > after))
            .map(str::to_owned)
            .collect();
        keys.sort();
        Ok(keys)
    }

    async fn list_now(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        let keys = again(may_pass, || self.list_once(prefix, after)).await;
        keys.map_err(|e| failed(prefix, "list", &e))
    }

    async fn gc_now(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        let path = self.path(key)?;
        match self.bucket.delete(&path).await {
            Err(e @ Error::NotFound { .. }) if !lacks_bucket(&e) => Ok(()),
            other => other.map_err(|e| failed(key, "remove", &e)),
        }
    }

    fn untrusted(&self, key: &str, lie: Lie) -> StoreError {
        StoreError::Untrusted {
            place: self.place(),
            key: key.to_owned(),
            lie,
        }
    }
}

/// Makes `ring` the cryptography of this process; harmless when done before.
pub(super) fn install_crypto() {
    // An error means that a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Without TLS only this machine is spoken to.
fn is_plain_loopback(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or("");
    let host = authority.rsplit_once(':').map_or(authority, |(h, _)| h);
    ["127.0.0.1", "localhost", "[::1]"].contains(&host)
}

fn doubt(error: &Error) -> Doubt {
    match error {
        error if lacks_bucket(error) => Doubt::Refused,
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => {
            Doubt::Exists
        }
        Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::UnknownConfigurationKey { .. } => Doubt::Refused,
        _ => Doubt::Open,
    }
}

fn lacks_bucket(error: &Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

fn may_pass(error: &Error) -> bool {
    !matches!(doubt(error), Doubt::Refused)
}

fn failed(key: &str, doing: &'static str, error: &Error) -> StoreError {
    let kind = match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    let why = match error {
        error if lacks_bucket(error) => "the bucket does not exist; make it first".to_owned(),
        other => short(other),
    };
    StoreError::Io {
        key: key.to_owned(),
        doing,
        source: io::Error::new(kind, why),
    }
}

/// An error in one line of bounded length: it may hold a page of somebody's proxy.
fn short(error: &Error) -> String {
    const LIMIT: usize = 240;
    let text = error.to_string();
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(LIMIT) {
        line.truncate(at);
        line.push('…');
    }
    line
}

impl Store for S3Store {
    fn place(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("s3://{}", self.name),
            prefix => format!("s3://{}/{prefix}", self.name),
        }
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        self.put_new_now(key, bytes).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        self.get_now(key).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        self.list_now(prefix, after).boxed()
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        async move {
            check_key(key)?;
            let path = self.path(key)?;
            let mark = self.mark();
            let put = self
                .put(path.as_ref(), bytes, PutMode::Overwrite, &mark)
                .await;
            put.map_err(|e| failed(key, "write", &e))
        }
        .boxed()
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        self.gc_now(key).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain_loopback;

    #[test]
    fn without_tls_only_this_machine_is_spoken_to() {
        for yes in [
            "http://127.0.0.1:9/_s3",
            "http://localhost",
            "http://[::1]:80/x",
        ] {
            assert!(is_plain_loopback(yes), "{yes}");
        }
        for no in [
            "http://127.0.0.1.example.org",
            "http://example.org",
            "https://127.0.0.1",
            "http://localhost@example.org",
        ] {
            assert!(!is_plain_loopback(no), "{no}");
        }
    }
}
