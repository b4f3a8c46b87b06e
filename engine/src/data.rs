//! Where a zone's data is, as the spec is now, and how old a backup of it may be.

use crate::address::{Address, ZoneName};
use crate::config::{Config, Resource, Strategy};
use crate::observe::Inputs;
use crate::plan::roles::{is_promoted, is_replica, is_writer};
use crate::schema::Registry;

/// Seconds after the vendor's interval in which the next backup may still come: it is taken within a
/// window, not at a moment.
const WINDOW: u64 = 2 * 3600;

/// How a zone gets its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseMode {
    /// It has a writer; a replica that was promoted is one.
    Writer,
    /// It has a read-replica.
    Replica,
    /// It has nothing until a backup is restored.
    Restore,
    /// It has no data.
    None,
}

impl DatabaseMode {
    /// The name in labels.
    pub fn name(self) -> &'static str {
        match self {
            DatabaseMode::Writer => "writer",
            DatabaseMode::Replica => "replica",
            DatabaseMode::Restore => "restore",
            DatabaseMode::None => "none",
        }
    }

    /// How a zone gets its data as the spec is now.
    pub fn of(config: &Config, registry: &Registry, zone: &ZoneName) -> DatabaseMode {
        let own = || of_zone(config, zone);
        let follows = |r: &Resource| is_replica(registry, &r.address) && !is_promoted(r);
        let decided = config.zone(zone).and_then(|z| z.database.as_ref());
        if own().any(|r| takes_writes(registry, r)) {
            DatabaseMode::Writer
        } else if own().any(follows) {
            DatabaseMode::Replica
        } else if decided.is_some_and(|d| d.strategy == Strategy::Restore) {
            DatabaseMode::Restore
        } else {
            DatabaseMode::None
        }
    }
}

fn of_zone<'a>(config: &'a Config, zone: &'a ZoneName) -> impl Iterator<Item = &'a Resource> + 'a {
    let all = config.resources.values();
    all.filter(move |r| r.address.zone == *zone)
}

fn takes_writes(registry: &Registry, resource: &Resource) -> bool {
    let address = &resource.address;
    is_writer(registry, address) || is_replica(registry, address) && is_promoted(resource)
}

/// The databases of a zone that take writes, by address: those that the vendor backs up.
pub fn writers<'a>(
    config: &'a Config,
    registry: &'a Registry,
    zone: &'a ZoneName,
) -> impl Iterator<Item = &'a Address> + 'a {
    let own = of_zone(config, zone).filter(move |r| takes_writes(registry, r));
    own.map(|r| &r.address)
}

/// The name of a database in labels and reports: `database_cluster.main`.
pub fn label(database: &Address) -> String {
    format!("{}.{}", database.kind.name(), database.name)
}

/// Seconds from which on the newest backup of a database is too old: what a zone that is restored from it
/// says (the strictest of them), else the vendor's interval and the window after it. `None` when the
/// vendor takes none.
pub fn backup_limit(inputs: &Inputs, database: &Address) -> Option<u64> {
    let zones = inputs.config.zones.values();
    let restores = zones.filter_map(|z| z.database.as_ref()?.restore.as_ref());
    let said = restores.filter(|r| r.source == *database);
    said.filter_map(|r| r.max_age_s)
        .min()
        .or_else(|| vendor_limit(&inputs.registry, database))
}

/// Seconds that the newest backup of a database is old at most while the vendor keeps its word.
pub(crate) fn vendor_limit(registry: &Registry, database: &Address) -> Option<u64> {
    let provider = registry.provider(database.kind.provider())?;
    Some(provider.facts.backup_every?.as_secs() + WINDOW)
}
