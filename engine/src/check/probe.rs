//! What is asked, and what comes back.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::media::Copies;
use crate::address::ZoneName;
use crate::declared::{Entry, ObjectRef, ServiceRef};
use crate::restore::{Backup, Known};

/// What a database is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseAsk {
    /// Whether it accepts a verified connection, and refuses what it must.
    Session,
    /// Whether it takes writes.
    ReadOnly,
    /// How old its newest heartbeat is.
    Heartbeat,
}

/// A database and the credentials in the zone's Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseProbe {
    /// The name that its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user's name.
    pub user: Entry,
    /// The password.
    pub password: Entry,
    /// The CA certificate, in PEM.
    pub ca: Entry,
    /// What to ask.
    pub ask: DatabaseAsk,
    /// Whether it has to be read-only.
    pub read_only: bool,
    /// Where programs of the zone find it: host and port.
    pub inside: Option<Entry>,
}

/// A zone's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkProbe {
    /// Its id.
    pub own: Option<String>,
    /// The id of the zone's cluster.
    pub cluster: Option<String>,
    /// The range that the spec declares.
    pub range: String,
}

/// A name and what the authoritative servers must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAsk {
    /// The domain whose servers are asked.
    pub zone: String,
    /// The name.
    pub name: String,
    /// `A`, `AAAA` or `CNAME`.
    pub record: String,
    /// All that the spec declares; nothing while some of it is not known.
    pub expected: BTreeSet<String>,
}

/// A bucket and the zone's credentials for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaProbe {
    /// `https://nyc3.digitaloceanspaces.com`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The access key.
    pub key: Entry,
    /// Its secret.
    pub secret: Entry,
    /// The bucket that this one has to be a copy of.
    pub source: Option<MediaSource>,
}

/// The bucket of the zone that serves, where the others have copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSource {
    /// Its endpoint.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Seconds within which an object has to be in the copy.
    pub max_lag_s: u64,
}

/// A Secret in two zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorPair {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Entries that have one source and so must be equal; the others only have to be there.
    pub equal: Vec<String>,
}

/// The container that smoke runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The namespace.
    pub namespace: String,
    /// The pod spec of the workload, as declared.
    pub pod: Json,
}

/// How it is shown that the application works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmokeProbe {
    /// Through the Service, with the name that users will use.
    Service {
        /// Where it is.
        service: ServiceRef,
        /// The `Host` header, which keeps WordPress from redirecting.
        host: Option<String>,
    },
    /// By a Job with its image, secrets and CA.
    Job(Container),
}

/// How the application of a zone is wired to a database server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringProbe {
    /// The address of the server.
    pub server: String,
    /// The entry that tells programs where it is.
    pub host: Entry,
    /// What that may hold: its names, with the port and without.
    pub hosts: BTreeSet<String>,
    /// The Service of the application with the `Host` header, while it runs.
    pub app: Option<(ServiceRef, Option<String>)>,
    /// Whether the application has to stop writes.
    pub read_only: bool,
}

/// What to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// Which cluster it is.
    Cluster {
        /// The uid of its namespace `kube-system` that the spec names or the state has.
        meant: Option<String>,
    },
    /// These objects.
    Objects(Vec<ObjectRef>),
    /// A Prometheus and its targets.
    Targets(ServiceRef),
    /// Everything in the cluster that could be reached from outside.
    ExposedObjects,
    /// The cloud's load balancers that belong to a network or a cluster.
    LoadBalancers {
        /// The zone's network.
        network: Option<String>,
        /// The zone's cluster.
        cluster: Option<String>,
    },
    /// All networks of the account, against the zone's.
    Networks(NetworkProbe),
    /// A database.
    Database(DatabaseProbe),
    /// The same, asked by a Job in the zone's cluster under the name that its programs use.
    DatabaseInside(DatabaseProbe),
    /// The backups of a database that a restore would use.
    Backups {
        /// Which.
        source: Known,
        /// Seconds from which on the newest is too old.
        max_age_s: u64,
    },
    /// Names.
    Dns {
        /// What has to be answered.
        asks: Vec<DnsAsk>,
        /// Names of the line that are left out: a proxy answers for them.
        proxied: Vec<String>,
    },
    /// Tokens of the DNS provider that the zone's own Secrets hold.
    Tokens {
        /// Where they are.
        entries: Vec<Entry>,
        /// The domains that they are for; none when the spec has no record.
        domains: Vec<String>,
        /// Whether it is asked how little they may do, and not whether they work.
        narrow: bool,
    },
    /// A certificate that is issued and removed.
    Certificate {
        /// The staging ClusterIssuer.
        issuer: String,
        /// The namespace for it.
        namespace: String,
        /// The name on it.
        name: String,
    },
    /// An object that is put, read, compared and removed; and what is copied from another bucket.
    Media(MediaProbe),
    /// Secrets against those of another zone.
    Mirror {
        /// The other zone.
        of: ZoneName,
        /// The Secrets.
        pairs: Vec<MirrorPair>,
    },
    /// How the application is wired.
    Wiring(WiringProbe),
    /// The application.
    Smoke(SmokeProbe),
    /// The spec lacks what would have to be asked: that is red.
    Missing(String),
    /// There is nothing of the kind that could be asked for in such a zone.
    NotApplicable(String),
}

/// An object that was looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which.
    pub object: ObjectRef,
    /// What is there.
    pub live: Option<Json>,
    /// What is wrong with it: why it is not ready, or how it exposes the cluster.
    pub trouble: Option<String>,
}

/// What a database answered.
#[derive(Debug, Clone, PartialEq)]
pub enum DatabaseAnswer {
    /// It answered, and was not trusted: nothing was told it.
    Untrusted {
        /// What was refused about it.
        why: String,
    },
    /// The connection with the declared CA, and whether those that must fail did.
    Session {
        /// The version it reports.
        version: String,
        /// Whether it was accepted with another authority.
        other_authority_accepted: bool,
        /// Whether it was accepted under another name.
        other_name_accepted: bool,
    },
    /// The variables.
    ReadOnly {
        /// `@@global.read_only`.
        read_only: bool,
    },
    /// The heartbeat.
    Heartbeat {
        /// Seconds since the newest row; absent when there is none that can be read.
        age_seconds: Option<f64>,
        /// Why there is none.
        why: Option<String>,
        /// The server's own figure: evidence only, it is 0 or absent while the link is cut.
        server_says: Option<String>,
    },
}

/// What the DNS provider says of a token; times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenAnswer {
    /// `active`, `disabled` or `expired`; absent when the vendor does not take the token.
    pub status: Option<String>,
    /// From when on it is good.
    pub not_before: Option<u64>,
    /// Until when it is good; absent when it does not end.
    pub expires: Option<u64>,
    /// The domains that it sees.
    pub domains: Vec<String>,
}

/// What one authoritative server answered for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The question.
    pub ask: DnsAsk,
    /// Who was asked.
    pub server: String,
    /// The answers, sorted, or why there is none.
    pub answers: Result<Vec<String>, String>,
}

/// One entry of a Secret in two zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRow {
    /// `namespace/name`.
    pub secret: String,
    /// The entry; absent when a whole Secret is missing.
    pub key: Option<String>,
    /// What is wrong, if anything is.
    pub trouble: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Probe::Cluster`].
    Cluster {
        /// The uid of its namespace `kube-system`.
        uid: String,
    },
    /// To [`Probe::Objects`] and [`Probe::ExposedObjects`].
    Objects(Vec<Found>),
    /// To [`Probe::Targets`]: Prometheus' active targets.
    Targets(Vec<Json>),
    /// To [`Probe::LoadBalancers`]: the cloud's list.
    LoadBalancers(Vec<Json>),
    /// To [`Probe::Networks`]: all networks and clusters of the account.
    Networks {
        /// The networks.
        networks: Vec<Json>,
        /// The clusters.
        clusters: Vec<Json>,
    },
    /// To [`Probe::Database`].
    Database(DatabaseAnswer),
    /// To [`Probe::Backups`].
    Backups {
        /// What there is; absent when the vendor does not know the database.
        backups: Option<Vec<Backup>>,
        /// When it was asked, in seconds since 1970.
        now: u64,
    },
    /// To [`Probe::Tokens`].
    Tokens {
        /// Each, with what the vendor says of it.
        tokens: Vec<(Entry, TokenAnswer)>,
        /// When it was asked, in seconds since 1970.
        now: u64,
    },
    /// To [`Probe::Dns`].
    Dns(Vec<DnsAnswer>),
    /// To what is done rather than read: how it went.
    Done(Result<String, String>),
    /// To [`Probe::Media`].
    Media {
        /// How the round trip went.
        trip: Result<String, String>,
        /// What the copy holds.
        copies: Option<Copies>,
    },
    /// To [`Probe::Mirror`].
    Mirror(Vec<MirrorRow>),
    /// To [`Probe::Wiring`].
    Wiring {
        /// Whether the entry leads to the server.
        leads: bool,
        /// Whether the application says that it stops writes; absent while it does not run, and when the
        /// entry leads elsewhere.
        stops_writes: Option<bool>,
    },
    /// To a smoke test through a Service.
    Http {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
}
