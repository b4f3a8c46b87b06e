//! The steps after a restore, carried out: statements on the restored server, Jobs in the zone's cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use zonewright_engine::config::{PostRestore, PostRestoreRun};
use zonewright_engine::provider::ProviderError;
use zonewright_engine::restore::finish::{Act, Finish, Heard};

use super::cluster::Cluster;
use super::mysql;
use super::rehearsal::{self, Purpose};

/// What steps are carried out with.
pub struct Hands {
    /// The restored server and the database on it.
    pub server: mysql::Server,
    /// The zone's cluster, or why there is none; only Jobs need it.
    pub cluster: Result<Cluster, ProviderError>,
    /// The Jobs, by their files.
    pub jobs: BTreeMap<String, Json>,
    /// How long one step may take.
    pub patience: Duration,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

impl Hands {
    /// Does one thing after the other until it is over.
    pub async fn carry_out(&self, finish: &mut Finish) {
        while let Some(act) = finish.act() {
            let heard = match act {
                Act::Ask(step) => self.server.check(&step.check, self.patience).await,
                Act::Run(step) => self.run(step).await,
            };
            finish.hear(heard);
        }
    }

    async fn run(&self, step: &PostRestore) -> Heard {
        match &step.run {
            PostRestoreRun::Sql(sql) => self.server.execute(sql, self.patience).await,
            PostRestoreRun::Job(file) => self.job(file).await,
        }
    }

    async fn job(&self, file: &str) -> Heard {
        let Some(job) = self.jobs.get(file) else {
            return Heard::Failed(format!("{file} was not read"));
        };
        let cluster = match &self.cluster {
            Ok(cluster) => cluster,
            Err(failed) => return Heard::Failed(failed.message.clone()),
        };
        let running = rehearsal::declared_job(cluster, job);
        match tokio::time::timeout(self.patience, running).await {
            Ok(heard) => heard,
            Err(_) => {
                let why = format!("the Job did not end within {} s", self.patience.as_secs());
                match rehearsal::sweep(cluster, Purpose::Restore).await {
                    Ok(_) => Heard::Lost(format!("{why} and was removed")),
                    Err(left) => Heard::Lost(format!("{why}; {left}")),
                }
            }
        }
    }

    /// Removes the Job of a run that was cut off.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn sweep(&self) -> Result<(), ProviderError> {
        match &self.cluster {
            Ok(cluster) if !self.jobs.is_empty() => {
                let swept = rehearsal::sweep(cluster, Purpose::Restore).await;
                swept.map(drop)
            }
            _ => Ok(()),
        }
    }
}
