//! A restore, worked out: what the recorded decision asks for, and the one backup that it comes down
//! to. Pure; the list of backups and the time come from the caller.

use serde::Serialize;

use crate::address::{Address, ZoneName};
use crate::config::{PostRestore, Strategy};
use crate::data::vendor_limit;
use crate::expr::Node;
use crate::observe::Inputs;

pub mod finish;

/// One backup that the vendor lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backup {
    /// When it was made, as the vendor writes it: it is what identifies the backup.
    pub created_at: String,
    /// The same in seconds since 1970.
    #[serde(skip)]
    pub at: u64,
    /// Its size, if the vendor says.
    pub size_gigabytes: Option<f64>,
    /// Whether it holds only what changed since the one before it.
    pub incremental: bool,
}

/// A database cluster that the vendor lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: String,
    /// Its region.
    pub region: String,
}

/// What the spec and the state say of a restore.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The zone that gets the data.
    pub zone: ZoneName,
    /// The cluster whose backups are used.
    pub source: Address,
    /// How the vendor knows it.
    pub known: Known,
    /// What the spec says of the new cluster.
    pub wanted: Target,
    /// What is done afterwards, in order.
    pub steps: Vec<PostRestore>,
    /// When the vendor takes backups, as documented.
    pub window: Option<String>,
    /// Seconds from which on the newest backup is too old.
    pub max_age_s: Option<u64>,
    /// The RPO that is asked for, in seconds.
    pub rpo_s: Option<u64>,
    /// Whether a missed objective refuses.
    pub strict: bool,
    /// `latest` or a timestamp, as the spec has it.
    pub backup: String,
}

/// How a source is found at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// By its recorded id.
    Id(String),
    /// By its name: it is somebody else's, only observed, and so not recorded.
    Name(String),
}

impl Known {
    /// The cluster among those that the vendor lists.
    pub fn find<'a>(&self, clusters: &'a [Cluster]) -> Option<&'a Cluster> {
        clusters.iter().find(|c| match self {
            Known::Id(id) => c.id == *id,
            Known::Name(name) => c.name == *name,
        })
    }
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Known::Id(id) => write!(f, "with the id {id}"),
            Known::Name(name) => write!(f, "called {name}"),
        }
    }
}

/// The cluster that a restore makes; what is not said is the source's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Its name.
    pub name: Option<String>,
    /// Its size.
    pub size: Option<String>,
    /// Its region.
    pub region: Option<String>,
}

/// Which backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The newest.
    Latest,
    /// The one that was made then, in seconds since 1970.
    At(u64),
}

/// A restore that can be carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolved {
    /// The zone that gets the data.
    pub zone: ZoneName,
    /// The cluster whose backup is used.
    pub source: Address,
    /// The cluster as the vendor has it.
    pub source_cluster: Cluster,
    /// The backup.
    pub backup: Backup,
    /// Whether it is the newest.
    pub newest: bool,
    /// Seconds since it was made.
    pub age_seconds: u64,
    /// How many there are to choose from.
    pub backups: usize,
    /// The cluster that is made.
    pub target: Made,
    /// What is done afterwards, in order.
    pub post_restore: Vec<PostRestore>,
    /// When the vendor takes backups, as documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// From which age on the newest backup is too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// The RPO that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<u64>,
    /// Whether the backup is younger than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meets_rpo: Option<bool>,
    /// Whether the backup is younger than `max_age`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<bool>,
}

/// The cluster that a restore makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: String,
    /// Its region.
    pub region: String,
}

/// Why a restore cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The zone does not get its data by a restore.
    #[error("nothing is restored into zone {zone}: its recorded decision is {decision}")]
    Decision {
        /// The zone.
        zone: ZoneName,
        /// What was decided.
        decision: String,
    },
    /// The decision has no source.
    #[error("the decision of zone {zone} does not say what is restored")]
    NoSource {
        /// The zone.
        zone: ZoneName,
    },
    /// The source was never made.
    #[error("{source_cluster} is not recorded")]
    Unrecorded {
        /// The source.
        source_cluster: Address,
    },
    /// The vendor has the source no more.
    #[error(
        "{source_cluster} is gone: the vendor has no database {known}, and its backups went with it"
    )]
    Gone {
        /// The source.
        source_cluster: Address,
        /// How it was looked for.
        known: Known,
    },
    /// There is no backup.
    #[error("{source_cluster} has no backup yet")]
    NoBackup {
        /// The source.
        source_cluster: Address,
    },
    /// There is no backup of the time that is asked for.
    #[error("{source_cluster} has no backup of {wanted}; it has {}", .have.join(", "))]
    NotThatOne {
        /// The source.
        source_cluster: Address,
        /// What was asked for.
        wanted: String,
        /// What there is, newest first.
        have: Vec<String>,
    },
    /// Something else has the name.
    #[error("the restored cluster would be called {name}, and database {id} has that name")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        id: String,
    },
    /// The vendor restores into the same size or a larger one.
    #[error("{size} is smaller than {source_size} of the source")]
    TooSmall {
        /// What the spec says.
        size: String,
        /// What the source has.
        source_size: String,
    },
    /// A strict objective is missed.
    #[error("the backup is {} s old, and the RPO of {} s is strict", .age, .rpo)]
    Rpo {
        /// The backup's age in seconds.
        age: u64,
        /// The objective in seconds.
        rpo: u64,
    },
}

impl Blocked {
    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Blocked::Decision { .. } => {
                "`[database] strategy = \"restore\"` is for zones that get a backup".to_owned()
            }
            Blocked::NoSource { .. } => {
                "write `[database.restore]` with `source = \"${pz/digitalocean.database_cluster.main}\"`"
                    .to_owned()
            }
            Blocked::Unrecorded { source_cluster } => {
                format!("apply zone {} first", source_cluster.zone)
            }
            Blocked::Gone { .. } => {
                "look for a dump elsewhere; a managed database takes its backups along".to_owned()
            }
            Blocked::NoBackup { .. } => {
                "the vendor makes the first one some minutes after the database is ready".to_owned()
            }
            Blocked::NotThatOne { .. } => "choose one of them, or `--backup latest`".to_owned(),
            Blocked::NameTaken { .. } => {
                "remove that database if it is left over, or set `[database.restore] name`"
                    .to_owned()
            }
            Blocked::TooSmall { source_size, .. } => {
                format!("set `[database.restore] size` to {source_size} or a larger one")
            }
            Blocked::Rpo { .. } => {
                "allow more in `[objectives] rpo`, or keep a replica".to_owned()
            }
        }
    }

    /// Whether the spec or the command line is at fault, and not what is there.
    pub fn is_of_the_spec(&self) -> bool {
        matches!(
            self,
            Blocked::Decision { .. } | Blocked::NoSource { .. } | Blocked::Unrecorded { .. }
        )
    }
}

/// The zones whose decision is a restore.
pub fn zones(inputs: &Inputs) -> Vec<ZoneName> {
    let zones = inputs.config.zones.values();
    let restored = zones.filter(|z| {
        let decision = z.database.as_ref();
        decision.is_some_and(|d| d.strategy == Strategy::Restore)
    });
    restored.map(|z| z.name.clone()).collect()
}

/// What the spec and the state say of a zone's restore.
///
/// # Errors
/// The zone is not restored, or nothing says from what, or that was never made.
pub fn order(inputs: &Inputs, zone: &ZoneName) -> Result<Order, Blocked> {
    let found = inputs.config.zone(zone);
    let decision = found.and_then(|z| z.database.as_ref());
    let Some(decision) = decision.filter(|d| d.strategy == Strategy::Restore) else {
        let zone = zone.clone();
        let decision = decision.map_or("absent", |d| d.strategy.name()).to_owned();
        return Err(Blocked::Decision { zone, decision });
    };
    let restore = decision
        .restore
        .as_ref()
        .ok_or_else(|| Blocked::NoSource { zone: zone.clone() })?;
    let source = &restore.source;
    let known = known(inputs, source).ok_or_else(|| Blocked::Unrecorded {
        source_cluster: source.clone(),
    })?;
    let region = found.and_then(|z| z.settings.get("region")?.as_str().map(str::to_owned));
    Ok(Order {
        zone: zone.clone(),
        source: source.clone(),
        known,
        wanted: Target {
            name: restore.name.clone(),
            size: restore.size.clone(),
            region: restore.region.clone().or(region),
        },
        steps: decision.post_restore.clone(),
        window: restore.window.clone(),
        max_age_s: max_age(inputs, zone),
        rpo_s: inputs.config.objectives.rpo.map(|d| d.as_secs()),
        strict: inputs.config.objectives.strict,
        backup: restore.backup.clone(),
    })
}

/// A source that is managed is recorded; one that is only observed has a name in the spec.
fn known(inputs: &Inputs, source: &Address) -> Option<Known> {
    if let Some(record) = inputs.state.record(source) {
        return Some(Known::Id(record.id.clone()));
    }
    let resource = inputs.config.resources.get(source)?;
    let observed = resource.meta.observe.then_some(&resource.body)?;
    match &observed.get("name")?.node {
        Node::Literal(name) => Some(Known::Name(name.as_str()?.to_owned())),
        _ => None,
    }
}

/// Seconds from which on the newest backup of a zone's source is too old: what the spec says, else the
/// vendor's interval and the window in which the next one may come.
pub fn max_age(inputs: &Inputs, zone: &ZoneName) -> Option<u64> {
    let decision = inputs.config.zone(zone)?.database.as_ref()?;
    let restore = decision.restore.as_ref()?;
    let vendor = || vendor_limit(&inputs.registry, &restore.source);
    restore.max_age_s.or_else(vendor)
}

/// The newest backup.
pub fn newest(backups: &[Backup]) -> Option<&Backup> {
    backups
        .iter()
        .max_by(|a, b| (a.at, &a.created_at).cmp(&(b.at, &b.created_at)))
}

/// The one restore that an order comes down to.
///
/// # Errors
/// What is there does not allow it.
pub fn resolve(
    order: &Order,
    choice: &Choice,
    (clusters, backups): (&[Cluster], &[Backup]),
    now: u64,
) -> Result<Resolved, Blocked> {
    let source_cluster = || order.source.clone();
    let cluster = order.known.find(clusters);
    let cluster = cluster.ok_or_else(|| Blocked::Gone {
        source_cluster: source_cluster(),
        known: order.known.clone(),
    })?;
    let newest = newest(backups).ok_or_else(|| Blocked::NoBackup {
        source_cluster: source_cluster(),
    })?;
    let backup = match choice {
        Choice::Latest => newest,
        Choice::At(at) => backups.iter().find(|b| b.at == *at).ok_or_else(|| {
            let mut have: Vec<&Backup> = backups.iter().collect();
            have.sort_by_key(|b| std::cmp::Reverse(b.at));
            Blocked::NotThatOne {
                source_cluster: source_cluster(),
                wanted: order.backup.clone(),
                have: have.into_iter().map(|b| b.created_at.clone()).collect(),
            }
        })?,
    };
    let target = made(order, cluster);
    if let Some(taken) = clusters.iter().find(|c| c.name == target.name) {
        let (name, id) = (target.name, taken.id.clone());
        return Err(Blocked::NameTaken { name, id });
    }
    if let (Some(gets), Some(has)) = (memory(&target.size), memory(&cluster.size))
        && gets < has
    {
        let (size, source_size) = (target.size, cluster.size.clone());
        return Err(Blocked::TooSmall { size, source_size });
    }
    let age = now.saturating_sub(backup.at);
    let meets_rpo = order.rpo_s.map(|rpo| age <= rpo);
    if let (true, Some(false), Some(rpo)) = (order.strict, meets_rpo, order.rpo_s) {
        return Err(Blocked::Rpo { age, rpo });
    }
    Ok(Resolved {
        zone: order.zone.clone(),
        source: order.source.clone(),
        source_cluster: cluster.clone(),
        newest: backup == newest,
        backup: backup.clone(),
        age_seconds: age,
        backups: backups.len(),
        target,
        post_restore: order.steps.clone(),
        window: order.window.clone(),
        max_age_seconds: order.max_age_s,
        rpo_seconds: order.rpo_s,
        meets_rpo,
        fresh: order.max_age_s.map(|max| age <= max),
    })
}

fn made(order: &Order, source: &Cluster) -> Made {
    let Target { name, size, region } = order.wanted.clone();
    Made {
        name: name.unwrap_or_else(|| default_name(&source.name, &order.zone)),
        size: size.unwrap_or_else(|| source.size.clone()),
        region: region.unwrap_or_else(|| source.region.clone()),
    }
}

/// The name of a restored cluster when the spec gives none: the source still has its own.
pub fn default_name(source: &str, zone: &ZoneName) -> String {
    format!("{source}-{zone}")
}

/// The memory in a size's name (`db-s-1vcpu-2gb`); nothing can be said of other names.
fn memory(size: &str) -> Option<u64> {
    size.rsplit('-').next()?.strip_suffix("gb")?.parse().ok()
}

#[cfg(test)]
mod tests;
