//! Puts together what checks ask with: the clusters of the zones, the cloud's lists, the addresses.
//!
//! What cannot be opened is kept as the reason: a primary that is dead leaves the checks that need it
//! unknown, and all others as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use zonewright_engine::address::{InstanceId, ZoneName};
use zonewright_engine::expr::Reference;
use zonewright_engine::observe::{Inputs, Observations, ObserveError, lookup_seen, with_observed};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::snapshot::Record;
use zonewright_engine::value::Value;
use zonewright_providers::probe::{Cluster, Probes};

use crate::report::Failure;
use crate::stage::Stage;

/// Time to get the credentials of one cluster.
const OPENING: Duration = Duration::from_secs(20);

/// What checks of a zone start from: what is recorded, and what is only observed as if it were.
pub(crate) async fn inputs(stage: &Stage, zone: &ZoneName) -> Result<Inputs, Failure> {
    if stage.config.zone(zone).is_none() {
        return Err(Failure::no_zone(zone, stage.config.zones.keys()));
    }
    let state = stage.read()?;
    let zones = [zone, &stage.config.active];
    let owners = state.records().filter(|r| zones.contains(&&r.address.zone));
    let mut ids: Vec<InstanceId> = owners
        .filter(|r| r.kind().provider() == "digitalocean")
        .map(|r| r.instance.clone())
        .collect();
    let observed = stage.config.resources.values().filter(|r| r.meta.observe);
    ids.extend(observed.map(|r| r.instance.clone()));
    ids.sort();
    ids.dedup();
    let inputs = stage.inputs_of(state, &ids)?;
    let looked = with_observed(inputs, &zones, &stage.sessions).await;
    looked.map_err(|e| stage.unusable(e))
}

/// Opens what the checks of a zone need.
pub(crate) async fn open(stage: &Stage, inputs: &Inputs, zone: &ZoneName) -> Probes {
    let mut clusters = BTreeMap::new();
    for each in [zone, &inputs.config.active] {
        if !clusters.contains_key(each) {
            clusters.insert(each.clone(), open_cluster(stage, inputs, each).await);
        }
    }
    // A zone without a cluster has the account of the zone that serves.
    let owner = recorded(inputs, zone).or_else(|| recorded(inputs, &inputs.config.active));
    let owner = owner.and_then(|r| config(inputs, &r.instance));
    let lists = owner.ok_or_else(|| missing(zone)).and_then(|config| {
        let lists = stage.world.lists(&config);
        lists.map_err(|e| ProviderError::new(ErrorClass::Invalid, e.to_string()))
    });
    Probes {
        clusters,
        lists,
        overrides: stage.world.overrides(),
        key: inputs.digest_key.clone(),
    }
}

/// Opens the cluster of a zone.
pub(crate) async fn open_cluster(
    stage: &Stage,
    inputs: &Inputs,
    zone: &ZoneName,
) -> Result<Cluster, ProviderError> {
    let opening = tokio::time::timeout(OPENING, cluster(stage, inputs, zone)).await;
    opening.unwrap_or_else(|_| {
        let message = format!("the credentials of {zone}'s cluster did not come in time");
        Err(ProviderError::new(ErrorClass::Unreachable, message))
    })
}

/// Credentials that were refused are a mistake of their own, whatever else the checks found.
pub(crate) fn refused(stage: &Stage, inputs: &Inputs, probes: &Probes) -> Option<Failure> {
    let (zone, source) = probes.clusters.iter().find_map(|(zone, opened)| {
        let error = opened.as_ref().err()?;
        (error.class == ErrorClass::Unauthorized).then(|| (zone, error.clone()))
    })?;
    let instance = recorded(inputs, zone)?.instance.clone();
    Some(stage.unusable(ObserveError { instance, source }))
}

fn missing(zone: &ZoneName) -> ProviderError {
    let message = format!("no cluster of {zone} is recorded: apply the zone first");
    ProviderError::new(ErrorClass::NotFound, message)
}

/// Whether a cluster of the zone is recorded.
pub(crate) fn has_cluster(inputs: &Inputs, zone: &ZoneName) -> bool {
    recorded(inputs, zone).is_some()
}

/// The cluster of a zone, as recorded.
fn recorded<'a>(inputs: &'a Inputs, zone: &ZoneName) -> Option<&'a Record> {
    let instances = inputs.config.instances.values();
    let mut own = instances.filter(|i| i.id.zone == *zone && i.id.provider == "kubernetes");
    inputs.state.record(own.find_map(|i| i.container.as_ref())?)
}

fn config(inputs: &Inputs, id: &InstanceId) -> Option<Value> {
    let nothing = Observations::default();
    let scope = |r: &Reference| lookup_seen(inputs, &nothing, r);
    Some(inputs.instance(id)?.config.eval(&scope))
}

async fn cluster(
    stage: &Stage,
    inputs: &Inputs,
    zone: &ZoneName,
) -> Result<Cluster, ProviderError> {
    let record = recorded(inputs, zone).ok_or_else(|| missing(zone))?;
    let config = config(inputs, &record.instance).ok_or_else(|| missing(zone))?;
    let session = stage.sessions.open(&record.instance, &config, None).await?;
    let output = "credentials";
    let credentials = session.ephemeral(record.kind(), &record.id, output).await?;
    Cluster::open(&credentials)
}
