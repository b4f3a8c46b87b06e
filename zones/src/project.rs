//! What the root file says besides resources; at hand even when the rest has mistakes.

use std::ops::RangeInclusive;
use std::time::Duration;

use zonewright_engine::address::ZoneName;
pub use zonewright_engine::config::Objectives;
use zonewright_engine::config::SecretSource;

/// Facts of the root file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// `[project] name`.
    pub name: Option<String>,
    /// `[project] env`.
    pub env: Option<String>,
    /// `[project] zones`.
    pub zones: Vec<ZoneName>,
    /// `[state]`.
    pub state: StateSettings,
    /// Whether mistakes of the root file leave open where the state is: then [`Facts::state`] is a guess.
    pub state_unclear: bool,
    /// `[objectives]`.
    pub objectives: Objectives,
}

/// Where and how the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The store.
    pub backend: Backend,
    /// How long a writer of a store elsewhere may be silent before it is taken for dead.
    pub ttl: Duration,
    /// Further stores that the log is copied to.
    pub mirrors: Vec<Backend>,
    /// How many of the newest snapshots are kept at least.
    pub keep: usize,
    /// For how long snapshots of a store are kept at least.
    pub keep_for: Duration,
    /// The key of secret digests.
    pub digest_key: Option<SecretSource>,
    /// Whom it is sealed for; in the clear without.
    pub encryption: Option<Encryption>,
}

/// `[state.encryption]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The public keys of those who can open it.
    pub recipients: Vec<String>,
    /// The text of an age identity file: private keys, or such a file behind a passphrase.
    pub identity: Credential,
    /// What protects the identity file.
    pub passphrase: Option<Credential>,
    /// Whether what is in the clear is refused.
    pub require: bool,
    /// Whether what is written is sealed; else it is only opened.
    pub seal: bool,
}

impl StateSettings {
    /// What `ttl` may be.
    pub const TTL_RANGE: RangeInclusive<Duration> =
        Duration::from_secs(2)..=Duration::from_secs(3600);
}

impl Default for StateSettings {
    fn default() -> Self {
        StateSettings {
            backend: Backend::File {
                dir: "state".to_owned(),
            },
            ttl: Duration::from_secs(60),
            mirrors: Vec::new(),
            keep: 50,
            keep_for: Duration::from_secs(30 * 24 * 3600),
            digest_key: None,
            encryption: None,
        }
    }
}

/// A store of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Files.
    File {
        /// The directory, relative to the project.
        dir: String,
    },
    /// Objects in a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The region.
        region: String,
        /// The address; the one of AWS in the region when absent.
        endpoint: Option<String>,
        /// What all keys begin with.
        prefix: String,
        /// The id of the access key.
        access_key: Credential,
        /// The access key.
        secret_key: Credential,
    },
    /// Rows of a PostgreSQL database.
    Postgres {
        /// `postgresql://user:password@host/database`.
        url: Credential,
        /// Where the database is, as far as the spec says.
        region: Option<String>,
        /// A file of the project with the authority that signed its certificate.
        ca_file: Option<String>,
    },
    /// Secrets of a Kubernetes cluster that the spec does not make.
    Kubernetes {
        /// The kubeconfig's text.
        kubeconfig: Credential,
        /// The context in it; its current one when absent.
        context: Option<String>,
        /// The namespace.
        namespace: String,
        /// Where the cluster is, as far as the spec says.
        region: Option<String>,
    },
}

impl Backend {
    /// Its name in the spec.
    pub fn name(&self) -> &'static str {
        match self {
            Backend::File { .. } => "file",
            Backend::S3 { .. } => "s3",
            Backend::Postgres { .. } => "postgres",
            Backend::Kubernetes { .. } => "kubernetes",
        }
    }
}

/// A credential of a store: a declared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name in `[secret]`.
    pub secret: String,
    /// Where it comes from.
    pub source: SecretSource,
}
