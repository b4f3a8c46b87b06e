//! Backups and the clusters that have them, as the vendor's lists show them.

use jiff::Timestamp;
use serde_json::Value as Json;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::restore::{Backup, Cluster};

/// A database cluster.
pub(super) fn cluster(listed: &Json) -> Result<Cluster, ProviderError> {
    Ok(Cluster {
        id: text(listed, "id")?,
        name: text(listed, "name")?,
        size: text(listed, "size")?,
        region: text(listed, "region")?,
    })
}

/// A backup. Its time is its identity: one that cannot be read is not left out in silence.
pub(super) fn backup(listed: &Json) -> Result<Backup, ProviderError> {
    let created_at = text(listed, "created_at")?;
    let at: Timestamp = created_at
        .parse()
        .map_err(|_| strange("created_at of a backup"))?;
    Ok(Backup {
        at: u64::try_from(at.as_second()).map_err(|_| strange("created_at of a backup"))?,
        created_at,
        size_gigabytes: listed["size_gigabytes"].as_f64(),
        incremental: listed["incremental"] == true,
    })
}

fn text(listed: &Json, key: &str) -> Result<String, ProviderError> {
    let found = listed[key].as_str().map(str::to_owned);
    found.ok_or_else(|| strange(key))
}

fn strange(what: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Bug, format!("the reply has no usable {what}"))
}
