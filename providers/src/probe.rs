//! Probes: what checks ask the world. Each has deadlines of its own, so that a zone that is dead costs
//! seconds and not a run.
//!
//! Credentials are those in the zone's own Secrets: what the application will use is what is proven.
//! What a probe makes carries the label [`LABEL`] with what it is for, goes again when the probe is done,
//! and is removed by [`Prober::sweep`] when it could not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value as Json;
use zonewright_engine::address::ZoneName;
use zonewright_engine::check::{Answer, Entry, MediaProbe, Probe, Prober, SmokeProbe};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::{DigestKey, Secret};

use crate::cloudflare::Tokens;
use crate::digitalocean::Lists;
use rehearsal::Purpose;

mod cluster;
mod dns;
mod finish;
mod inside;
mod mirror;
pub mod mysql;
mod rehearsal;
mod s3;

pub use cluster::Cluster;
pub use finish::Hands;
pub use inside::{ASK, answer};
pub use rehearsal::PING;

/// The label of everything that a probe makes; its value says what for.
pub const LABEL: &str = "zonewright.dev/probe";

/// Time to establish a connection.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Time for a probe that reads.
const READ: Duration = Duration::from_secs(20);
/// Time for a probe that waits for controllers: DNS-01 takes minutes.
const REHEARSE: Duration = Duration::from_secs(300);

/// Where names are reached, other than where they say. Empty in the live world.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Every database; TLS still verifies its name.
    pub mysql: Option<SocketAddr>,
    /// The authoritative name servers of every domain, if there are any.
    pub dns: Vec<SocketAddr>,
    /// The endpoint of the object storage.
    pub s3: Option<String>,
}

/// All probes of a project.
pub struct Probes {
    /// The clusters of zones, or why they cannot be reached.
    pub clusters: BTreeMap<ZoneName, Result<Cluster, ProviderError>>,
    /// The lists of the cloud, or why there are none.
    pub lists: Result<Lists, ProviderError>,
    /// Who is asked about tokens of the DNS provider.
    pub tokens: Tokens,
    /// Where names are reached.
    pub overrides: Overrides,
    /// The key by which Secrets of two zones are compared.
    pub key: Option<Arc<DigestKey>>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

impl Probes {
    fn cluster(&self, zone: &ZoneName) -> Result<&Cluster, ProviderError> {
        let none = || ProviderError::new(ErrorClass::NotFound, format!("{zone} has no cluster"));
        let found = self.clusters.get(zone).ok_or_else(none)?;
        found.as_ref().map_err(Clone::clone)
    }

    fn lists(&self) -> Result<&Lists, ProviderError> {
        self.lists.as_ref().map_err(Clone::clone)
    }

    /// When the newest backup of a database was made, in seconds since 1970, if there is one.
    ///
    /// # Errors
    /// The list cannot be read, or not in time.
    pub async fn newest_backup(&self, database: &str) -> Result<Option<u64>, ProviderError> {
        let asked = tokio::time::timeout(READ, self.lists()?.backups(database)).await;
        let listed =
            asked.unwrap_or_else(|_| Err(failed("the list of backups did not come in time")))?;
        Ok(listed.into_iter().flatten().map(|b| b.at).max())
    }

    async fn tokens(&self, zone: &ZoneName, entries: &[Entry]) -> Result<Answer, ProviderError> {
        let mut tokens = Vec::new();
        for entry in entries {
            let token = self.entry(zone, entry).await?;
            tokens.push((entry.clone(), self.tokens.ask(&token).await?));
        }
        Ok(Answer::Tokens { tokens, now: now() })
    }

    async fn entry(&self, zone: &ZoneName, entry: &Entry) -> Result<Secret, ProviderError> {
        self.cluster(zone)?.entry(entry, self.key.as_ref()).await
    }

    async fn answer(&self, zone: &ZoneName, probe: &Probe) -> Result<Answer, ProviderError> {
        Ok(match probe {
            Probe::Cluster { .. } => Answer::Cluster {
                uid: self.cluster(zone)?.uid().to_owned(),
            },
            Probe::Objects(objects) => self.cluster(zone)?.objects(objects).await?,
            Probe::ExposedObjects => self.cluster(zone)?.exposed().await?,
            Probe::Targets(service) => self.cluster(zone)?.targets(service).await?,
            Probe::LoadBalancers { .. } => {
                let list = self.lists()?.all("load_balancers", "load_balancers");
                Answer::LoadBalancers(list.await?)
            }
            Probe::Networks(_) => {
                let lists = self.lists()?;
                let networks = lists.all("vpcs", "vpcs").await?;
                let clusters = lists
                    .all("kubernetes/clusters", "kubernetes_clusters")
                    .await?;
                Answer::Networks { networks, clusters }
            }
            Probe::Database(database) => {
                let server = mysql::Server {
                    host: database.host.clone(),
                    port: database.port,
                    address: self.overrides.mysql,
                    user: self.entry(zone, &database.user).await?,
                    password: self.entry(zone, &database.password).await?,
                    authority: self.entry(zone, &database.ca).await?,
                    database: None,
                };
                Answer::Database(server.ask(database.ask).await?)
            }
            Probe::DatabaseInside(database) => inside::ask(self.cluster(zone)?, database).await?,
            Probe::Backups { source, .. } => Answer::Backups {
                backups: self.lists()?.backups_of(source).await?,
                now: now(),
            },
            Probe::Tokens { entries, .. } => self.tokens(zone, entries).await?,
            Probe::Dns { asks, .. } => Answer::Dns(dns::ask(asks, &self.overrides.dns).await?),
            Probe::Certificate {
                issuer,
                namespace,
                name,
            } => {
                let cluster = self.cluster(zone)?;
                rehearsal::certificate(cluster, issuer, namespace, name).await?
            }
            Probe::Media(media) => {
                let own = self.store(zone, media).await?;
                let source = match &media.source {
                    Some(of) => Some(self.bucket(zone, media, (&of.endpoint, &of.bucket)).await?),
                    None => None,
                };
                own.prove(source.as_ref()).await?
            }
            Probe::Mirror { of, pairs } => {
                mirror::compare(
                    self.cluster(zone)?,
                    self.cluster(of)?,
                    pairs,
                    self.key.as_ref(),
                )
                .await?
            }
            Probe::Wiring(wiring) => {
                let cluster = self.cluster(zone)?;
                cluster.wiring(wiring, self.key.as_ref()).await?
            }
            Probe::Smoke(SmokeProbe::Service { service, host }) => {
                self.cluster(zone)?.smoke(service, host.as_deref()).await?
            }
            Probe::Smoke(SmokeProbe::Job(container)) => {
                rehearsal::job(self.cluster(zone)?, container).await?
            }
            Probe::Missing(why) | Probe::NotApplicable(why) => {
                return Err(ProviderError::new(ErrorClass::Invalid, why.clone()));
            }
        })
    }

    async fn store(&self, zone: &ZoneName, media: &MediaProbe) -> Result<s3::Store, ProviderError> {
        let own = (media.endpoint.as_str(), media.bucket.as_str());
        self.bucket(zone, media, own).await
    }

    /// A bucket, with the credentials that the zone has for its own.
    async fn bucket(
        &self,
        zone: &ZoneName,
        media: &MediaProbe,
        (endpoint, bucket): (&str, &str),
    ) -> Result<s3::Store, ProviderError> {
        let key = self.entry(zone, &media.key).await?;
        let secret = self.entry(zone, &media.secret).await?;
        let endpoint = self.overrides.s3.as_deref().unwrap_or(endpoint);
        s3::Store::open(endpoint, bucket, zone.as_str(), (&key, &secret))
    }
}

impl Prober for Probes {
    fn ask<'a>(
        &'a self,
        zone: &'a ZoneName,
        probe: &'a Probe,
    ) -> BoxFuture<'a, Result<Answer, ProviderError>> {
        async move {
            let waits = matches!(
                probe,
                Probe::Certificate { .. } | Probe::Smoke(_) | Probe::DatabaseInside(_)
            );
            let limit = if waits { REHEARSE } else { READ };
            let answer = tokio::time::timeout(limit, self.answer(zone, probe));
            answer.await.unwrap_or_else(|_| {
                let message = format!("no answer within {} s", limit.as_secs());
                Err(ProviderError::new(ErrorClass::Unreachable, message))
            })
        }
        .boxed()
    }

    fn sweep<'a>(
        &'a self,
        zone: &'a ZoneName,
        probes: &'a [Probe],
    ) -> BoxFuture<'a, Result<usize, ProviderError>> {
        async move {
            let sweeping = async {
                let mut gone = 0;
                for probe in probes {
                    gone += match probe {
                        Probe::Certificate { .. } => {
                            rehearsal::sweep(self.cluster(zone)?, Purpose::Certificate).await?
                        }
                        Probe::Smoke(SmokeProbe::Job(_)) => {
                            rehearsal::sweep(self.cluster(zone)?, Purpose::Smoke).await?
                        }
                        Probe::DatabaseInside(_) => {
                            rehearsal::sweep(self.cluster(zone)?, Purpose::Database).await?
                        }
                        Probe::Media(media) => self.store(zone, media).await?.sweep().await?,
                        _ => 0,
                    };
                }
                Ok(gone)
            };
            tokio::time::timeout(READ, sweeping)
                .await
                .unwrap_or_else(|_| {
                    let message = "what probes left could not be removed in time";
                    Err(ProviderError::new(ErrorClass::Unreachable, message))
                })
        }
        .boxed()
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// A text in an object.
fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

fn failed(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorClass::Failed, message)
}
