//! DigitalOcean: networks, Kubernetes clusters and managed MySQL.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::Value as Json;
use zonewright_engine::provider::{ErrorClass, Provider, ProviderError};
use zonewright_engine::restore::{Backup, Cluster, Known};
use zonewright_engine::schema::VendorFacts;
use zonewright_engine::value::Value;

use crate::clock::Clock;
use crate::cloud::CloudProvider;
use crate::http::{ApiError, Complaint, Dialect, found, segment, take_list};
use crate::probe::mysql::Server;
use crate::transport::Transport;

mod backup;
mod database;
mod database_cluster;
mod database_firewall;
mod database_replica;
mod database_user;
mod inside;
mod kubernetes_cluster;
mod names;
mod node_pool;
mod prices;
mod tags;
#[cfg(test)]
mod tests;
mod top;
mod vpc;

static DIALECT: Dialect = Dialect {
    vendor: "DigitalOcean",
    base: "https://api.digitalocean.com",
    request_id: "x-request-id",
    complaint,
    remaining,
};

/// The DigitalOcean provider.
pub fn digitalocean(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Arc<dyn Provider> {
    provider(transport, clock, None)
}

/// The DigitalOcean provider at another address (without `/v2`), whatever the configuration says.
pub fn digitalocean_at(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: impl Into<String>,
) -> Arc<dyn Provider> {
    provider(transport, clock, Some(endpoint.into()))
}

/// Whole lists of an account, for checks: what a spec does not name is what they look for.
pub struct Lists(crate::http::Api);

/// The lists of the account that a provider's configuration opens.
///
/// # Errors
/// The configuration has no token.
pub fn digitalocean_lists(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: Option<String>,
    config: &Value,
) -> Result<Lists, ProviderError> {
    Ok(Lists(cloud(transport, clock, endpoint).api(config)?))
}

impl Lists {
    /// Every item of `/v2/<path>`, whose items are under `key`.
    pub(crate) async fn all(&self, path: &str, key: &str) -> Result<Vec<Json>, ProviderError> {
        let path = format!("/v2/{path}");
        Ok(self.0.pages(&path, (key, "/meta/total"), 200).await?)
    }

    /// The database clusters of the account.
    ///
    /// # Errors
    /// The vendor does not answer, or not with a list of clusters.
    pub async fn databases(&self) -> Result<Vec<Cluster>, ProviderError> {
        let listed = self.all("databases", "databases").await?;
        listed.iter().map(backup::cluster).collect()
    }

    /// The backups of a database cluster, however it is known; nothing when the vendor does not know it.
    ///
    /// # Errors
    /// The vendor does not answer, or not with a list.
    pub async fn backups_of(&self, known: &Known) -> Result<Option<Vec<Backup>>, ProviderError> {
        match known {
            Known::Id(id) => self.backups(id).await,
            Known::Name(_) => match known.find(&self.databases().await?) {
                Some(cluster) => self.backups(&cluster.id).await,
                None => Ok(None),
            },
        }
    }

    /// How the administrator reaches a database cluster that is ready.
    ///
    /// # Errors
    /// The vendor does not answer, does not know it, or it is not ready.
    pub async fn server(&self, id: &str) -> Result<Server, ProviderError> {
        let reply = found(self.0.get(&inside::cluster_path(&segment(id))).await)?;
        let gone = || {
            let message = format!("the vendor has no database with the id {id}");
            ProviderError::new(ErrorClass::NotFound, message)
        };
        let mut item = reply.ok_or_else(gone)?["database"].take();
        inside::add_ca(&self.0, &mut item).await?;
        backup::server(&item)
    }

    /// The backups of a database cluster, in no order; nothing when the vendor does not know it.
    ///
    /// # Errors
    /// The vendor does not answer, or not with a list of backups.
    pub async fn backups(&self, id: &str) -> Result<Option<Vec<Backup>>, ProviderError> {
        let path = format!("/v2/databases/{}/backups", segment(id));
        let Some(mut reply) = found(self.0.get(&path).await)? else {
            return Ok(None);
        };
        let listed = take_list(&mut reply, "backups");
        listed
            .iter()
            .map(backup::backup)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

fn provider(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: Option<String>,
) -> Arc<dyn Provider> {
    Arc::new(cloud(transport, clock, endpoint))
}

fn cloud(
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    endpoint: Option<String>,
) -> CloudProvider {
    CloudProvider {
        name: "digitalocean",
        doc: "DigitalOcean: networks, Kubernetes clusters and managed MySQL.",
        dialect: &DIALECT,
        kinds: &[
            &vpc::Vpc,
            &kubernetes_cluster::KubernetesCluster,
            &database_cluster::DatabaseCluster,
            &database_replica::DatabaseReplica,
            &database::Database,
            &database_user::DatabaseUser,
            &database_firewall::DatabaseFirewall,
        ],
        facts: VendorFacts {
            prices: Some(prices::RULES),
            // Every cluster is backed up once a day; restoring takes one of the listed backups.
            backup_every: Some(Duration::from_secs(24 * 60 * 60)),
            restore_by_hand: Some(backup::restore_by_hand),
            inside: Some(|server, name| format!("{server}/{name}")),
            unwanted: &[],
        },
        settings: Vec::new,
        quotes: Some(prices::quotes),
        refused: |_| None,
        reach: None,
        transport,
        clock,
        endpoint,
        limiters: Mutex::default(),
    }
}

fn complaint(status: StatusCode, body: &Json) -> Option<Complaint> {
    if status.is_success() {
        return None;
    }
    let message = body.get("message")?.as_str()?.to_owned();
    Some(Complaint {
        message,
        code: None,
        class: None,
    })
}

fn remaining(headers: &HeaderMap) -> Option<u32> {
    let left = headers.get("ratelimit-remaining")?;
    left.to_str().ok()?.trim().parse().ok()
}

/// A refused create: a name or a range that is taken is a conflict, not a bad value.
fn create_error(failed: ApiError) -> ProviderError {
    let said = failed.error.message.to_ascii_lowercase();
    let taken = [
        "already exist",
        "not available",
        "taken",
        "in use",
        "unique",
        "overlap",
    ];
    if failed.is(422) && taken.iter().any(|t| said.contains(t)) {
        return failed.into_class(ErrorClass::Conflict);
    }
    failed.error
}

/// The id in the reply to a create. Without one the object may exist all the same.
fn created_id(reply: &Json, pointer: &str) -> Result<String, ProviderError> {
    let id = crate::live::text(reply, pointer).map(str::to_owned);
    id.ok_or_else(|| {
        let message = "DigitalOcean accepted the request but told no id";
        ProviderError::new(ErrorClass::Ambiguous, message)
    })
}
