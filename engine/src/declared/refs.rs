//! How objects of a cluster, Services and entries of Secrets are named.

/// An object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The replicas that the spec declares, for workloads.
    pub replicas: Option<u64>,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The port's name or number.
    pub port: String,
}

/// An entry of a Secret in the zone: what the application itself will use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The Secret's namespace.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The entry.
    pub key: String,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of Secret {}/{}",
            self.key, self.namespace, self.secret
        )
    }
}
