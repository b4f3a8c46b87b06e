//! The configuration: what a project's spec files come down to, with nothing left to look up in them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address::{Address, AttrPath, InstanceId, Name, ZoneName};
use crate::canon::{self, Digest};
use crate::expr::{Expr, Origin, Reference};
use crate::value::Map;

/// The entry of a provider's table that says which cluster is meant.
pub const INSTANCE_IDENTITY: &str = "identity";

/// The whole project, all zones, inheritance and roles worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[project] name`.
    pub project: String,
    /// The zones by name; `edge` is not among them.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// The zone that serves.
    pub active: ZoneName,
    /// How much a disaster may cost.
    pub objectives: Objectives,
    /// Configured providers.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Every enabled resource. Objects of charts and manifests each have their own entry.
    pub resources: BTreeMap<Address, Resource>,
    /// Declarations that are switched off.
    pub disabled: BTreeMap<Address, Disabled>,
    /// Resources that have another address now, in the order in which they moved.
    pub moved: Vec<Moved>,
    /// Resources that left the spec and are not to be deleted.
    pub forgotten: Vec<Forgotten>,
    /// Differences between zones that are meant to be.
    pub parity: Vec<Allowance>,
    /// Who is told when a zone is in trouble (`[observability]`).
    pub observability: Option<Observability>,
    /// Declared secrets by name.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The key of secret digests, when `[state] digest_key` names one.
    pub digest_key: Option<SecretSource>,
    /// SHA-256 over all input files' lowered content.
    pub digest: Digest,
}

/// How much time and data a disaster may cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objectives {
    /// From the declaration of a disaster until users are served.
    pub rto: Option<Duration>,
    /// The age of the newest data that survives.
    pub rpo: Option<Duration>,
    /// Whether a plan that cannot meet them is refused.
    pub strict: bool,
}

/// A zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Its name.
    pub name: ZoneName,
    /// Whether it serves or stands by.
    pub role: Role,
    /// How ready it stands; `None` for the zone that serves.
    pub posture: Option<Posture>,
    /// How it gets its data when it takes over (`[database]`).
    pub database: Option<DatabaseDecision>,
    /// Where its uploads are (`[media]`).
    pub media: Option<Media>,
    /// Its settings after inheritance and overlays (`${zone.…}`), `name` and `role` included.
    pub settings: Map,
    /// Where its file starts.
    pub at: Option<Origin>,
}

/// What a zone is for just now.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It serves.
    Active,
    /// It stands ready.
    Standby,
}

impl Role {
    /// The name that specs use.
    pub fn name(self) -> &'static str {
        match self {
            Role::Active => "active",
            Role::Standby => "standby",
        }
    }
}

/// How ready a zone stands that does not serve.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Posture {
    /// Nothing of it exists but what costs nothing and recovery needs.
    Off,
    /// It is built; what answers requests is not running.
    Cold,
    /// What answers requests is running, and is not reachable from outside.
    Warm,
}

impl Posture {
    /// All of them.
    pub const ALL: [Posture; 3] = [Posture::Off, Posture::Cold, Posture::Warm];

    /// The name that specs use.
    pub fn name(self) -> &'static str {
        match self {
            Posture::Off => "off",
            Posture::Cold => "cold",
            Posture::Warm => "warm",
        }
    }

    /// The posture of a name.
    pub fn from_name(name: &str) -> Option<Posture> {
        Posture::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// How a standby zone gets its data: a recorded decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseDecision {
    /// What was decided.
    pub strategy: Strategy,
    /// Why.
    pub reason: String,
    /// When: `2026-11-20`.
    pub date: String,
    /// Where a restore takes its data from (`[database.restore]`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// What is done after a restore, in order (`[[database.post_restore]]`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_restore: Vec<PostRestore>,
}

/// The two ways to get data into a zone that takes over.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// A read-replica of the primary's writer, promoted in a disaster.
    Replica,
    /// No database until activation, then the restored backup.
    Restore,
}

impl Strategy {
    /// The name that specs use.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Replica => "replica",
            Strategy::Restore => "restore",
        }
    }
}

/// What a restore makes, and of what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The cluster whose backups are used.
    pub source: Address,
    /// The time of day at which the vendor takes backups, as documented (`02:00-04:00 UTC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Seconds from which on the newest backup counts as too old (`max_age`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// The size of the restored cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `latest`, or the timestamp of one backup.
    pub backup: String,
}

/// One step after a restore.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostRestore {
    /// Its name.
    pub name: String,
    /// What it does.
    pub run: PostRestoreRun,
    /// A query whose first value tells whether the step is needed: true, or any number but 0.
    pub check: String,
}

/// What a step after a restore does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostRestoreRun {
    /// Statements.
    Sql(String),
    /// The file of a Kubernetes Job.
    Job(String),
}

/// Where the uploads of a zone are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The address of the object storage: `https://nyc3.digitaloceanspaces.com`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Whose it is.
    pub mode: MediaMode,
}

/// Whether zones share a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaMode {
    /// One bucket is that of every zone.
    Single,
    /// Each zone has its own: that of the zone that serves is copied into the others.
    Replicated {
        /// Who copies, for those who read.
        by: String,
        /// Seconds within which an object has to be in the copies.
        max_lag_s: u64,
    },
}

/// A configured provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its configuration table.
    pub config: Expr,
    /// The resource that it lives in (the cluster of a Kubernetes provider).
    pub container: Option<Address>,
}

/// A resource that shall exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its address.
    pub address: Address,
    /// The provider instance that manages it.
    pub instance: InstanceId,
    /// Its attributes: a map. For Kubernetes objects the object itself.
    pub body: Expr,
    /// The `zonewright` sub-table.
    pub meta: Meta,
    /// Where it is declared.
    pub at: Option<Origin>,
}

impl Resource {
    /// What it refers to: in its attributes, and in what it is replaced with.
    pub fn references(&self) -> Vec<(&Reference, Option<&Origin>)> {
        let triggers = self.meta.replace_when.iter().map(|t| &t.value);
        let all = std::iter::once(&self.body).chain(triggers);
        all.flat_map(Expr::references).collect()
    }
}

/// What a spec says about how a resource is handled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meta {
    /// Resources that must be there first, beyond those that are referred to.
    pub after: Vec<(Address, Option<Origin>)>,
    /// Whether it may be deleted or replaced.
    pub protect: bool,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Read and refer to it, never change it.
    pub observe: bool,
    /// Leave the object alone when it leaves the spec, or the zone is destroyed.
    pub keep: bool,
    /// Attributes that somebody else looks after: set when it is made, and left alone from then on.
    pub ignore: Vec<AttrPath>,
    /// Values with which it is replaced when they change.
    pub replace_when: Vec<Trigger>,
    /// An object whose immutable fields change is deleted and made anew (`on_immutable = "replace"`).
    pub replaceable: bool,
    /// How fields of an object are shared with others that manage it.
    pub sharing: Sharing,
    /// Pods of a workload keep running when a ConfigMap or a Secret changes that they read (`roll = false`).
    pub steady: bool,
    /// The object comes from a stand-in for a chart that is not vendored (sandbox only).
    pub stand_in: bool,
}

/// How the fields of an object of a cluster are shared with others that manage it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// Fields that are given up to whoever else manages them (`yield`). They are among [`Meta::ignore`] as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yields: Vec<AttrPath>,
    /// Tools and field managers whose place is taken (`take_from`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub take_from: Vec<String>,
}

impl Sharing {
    /// Whether the spec says nothing of others.
    pub fn is_empty(&self) -> bool {
        self.yields.is_empty() && self.take_from.is_empty()
    }
}

/// A value with which a resource is replaced when it changes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// As the spec writes it: `${digitalocean.vpc.main.id}`.
    pub text: String,
    /// The value.
    pub value: Expr,
}

/// A resource that has another address now (`[[moved]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What it is recorded under. Without a key: everything that the declaration brought.
    pub from: Address,
    /// Where it is declared now.
    pub to: Address,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// A resource that left the spec and is not to be deleted (`[[forget]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The resource; without a key everything that the declaration brought.
    pub address: Address,
    /// Why.
    pub reason: String,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// A declaration that is switched off.
#[derive(Debug, Clone, PartialEq)]
pub struct Disabled {
    /// Where `enabled` says so.
    pub at: Option<Origin>,
    /// Whether a setting decides, so that the role or the strategy may.
    pub by_setting: bool,
}

/// A difference between two zones that is meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// `kind.name`, or `kind.name path`; `*` stands for any text.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Where it is declared.
    pub at: Option<Origin>,
}

impl Allowance {
    /// Whether it is about a difference: a resource's allowance is about all of it.
    pub fn covers(&self, subject: &str) -> bool {
        let resource = subject.split(' ').next().unwrap_or(subject);
        matches(&self.path, subject) || matches(&self.path, resource)
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    let starts = (0..=text.len()).filter(|i| text.is_char_boundary(*i));
    starts.into_iter().any(|i| matches(rest, &text[i..]))
}

/// Who is told when a zone is in trouble, and from where the zones are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observability {
    /// Who has to act on alerts.
    pub owner: String,
    /// The address that the runbooks' names are put behind.
    pub runbooks: String,
    /// `host:port` of the blackbox exporter.
    pub blackbox: String,
    /// Resolvers that the names are asked at.
    pub resolvers: Vec<String>,
    /// The header of responses that names the zone, if they have one.
    pub zone_header: Option<String>,
}

impl Observability {
    /// The default of [`Observability::blackbox`].
    pub const BLACKBOX: &'static str = "blackbox-exporter:9115";
    /// The default of [`Observability::resolvers`]: three public ones of different operators.
    pub const RESOLVERS: [&'static str; 3] = ["1.1.1.1", "8.8.8.8", "9.9.9.9"];
}

/// Where a secret's value is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, relative to the project; a trailing newline is dropped.
    File(String),
    /// A command's standard output; a trailing newline is dropped.
    Cmd(Vec<String>),
}

impl Config {
    /// Whether something that left the spec is to be left alone.
    pub fn is_forgotten(&self, address: &Address) -> bool {
        let mut all = self.forgotten.iter();
        all.any(|f| f.address == *address || f.address == address.declaration())
    }

    /// A zone by name.
    pub fn zone(&self, name: &ZoneName) -> Option<&Zone> {
        self.zones.get(name)
    }

    /// The role of a zone.
    pub fn role(&self, name: &ZoneName) -> Option<Role> {
        self.zones.get(name).map(|z| z.role)
    }

    /// The resources that one declaration brought.
    pub fn objects_of<'a>(
        &'a self,
        declaration: &'a Address,
    ) -> impl Iterator<Item = &'a Resource> + 'a {
        self.resources
            .range(declaration.clone()..)
            .take_while(move |(a, _)| {
                a.zone == declaration.zone
                    && a.kind == declaration.kind
                    && a.name == declaration.name
            })
            .map(|(_, r)| r)
    }

    /// The digest of resources and instances as they are now. `zones` stores it in `digest`.
    pub fn compute_digest(&self) -> Digest {
        let resources: BTreeMap<String, _> = self
            .resources
            .iter()
            .map(|(a, r)| {
                let meta = (
                    r.meta.after.iter().map(|(a, _)| a).collect::<Vec<_>>(),
                    r.meta.protect,
                    r.meta.timeout.map(|d| d.as_millis().to_string()),
                    r.meta.observe,
                    r.meta.stand_in,
                    (r.meta.keep, &r.meta.ignore, &r.meta.replace_when),
                );
                (a.to_string(), (&r.instance, &r.body, meta))
            })
            .collect();
        let instances: BTreeMap<String, _> = self
            .instances
            .iter()
            .map(|(id, i)| (id.to_string(), (&i.config, &i.container)))
            .collect();
        let zones: BTreeMap<&str, _> = self
            .zones
            .iter()
            .map(|(n, z)| (n.as_str(), (z.role, z.posture, &z.database, &z.settings)))
            .collect();
        let Objectives { rto, rpo, strict } = &self.objectives;
        let seconds = |d: &Option<Duration>| d.map(|d| d.as_secs());
        let objectives = (seconds(rto), seconds(rpo), strict);
        let moved: Vec<_> = self.moved.iter().map(|m| (&m.from, &m.to)).collect();
        let forgotten: Vec<_> = self.forgotten.iter().map(|f| &f.address).collect();
        let project = (&self.project, &self.active, objectives);
        canon::digest(&(project, zones, instances, resources, (moved, forgotten)))
    }

    /// Names of declarations in a zone, for did-you-mean.
    pub fn names(&self, zone: &ZoneName) -> impl Iterator<Item = (&Address, &Name)> {
        let zone = zone.clone();
        self.resources
            .keys()
            .filter(move |a| a.zone == zone)
            .map(|a| (a, &a.name))
    }
}
