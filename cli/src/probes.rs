//! Puts together what checks ask with: the clusters of the zones, the cloud's lists, the addresses.
//!
//! What cannot be opened is kept as the reason: a primary that is dead leaves the checks that need it
//! unknown, and all others as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use zonewright_engine::address::{InstanceId, ZoneName};
use zonewright_engine::config::Instance;
use zonewright_engine::expr::Reference;
use zonewright_engine::observe::{
    Inputs, Observations, ObserveError, check_identity, lookup_seen, with_observed,
};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::snapshot::{Contained, Identity, Record};
use zonewright_engine::value::Value;
use zonewright_providers::probe::{Cluster, Probes};

use crate::report::Failure;
use crate::stage::Stage;

type Clusters = BTreeMap<ZoneName, Result<Cluster, ProviderError>>;

/// Time to get the credentials of one cluster, and to ask it which it is.
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
    // A kubeconfig is a secret of the instance itself.
    let leading = stage.config.instances.values();
    let by_kubeconfig = leading.filter(|i| i.container.is_none());
    let near = by_kubeconfig.filter(|i| i.id.provider == "kubernetes");
    let near = near.filter(|i| zones.contains(&&i.id.zone) || i.id.zone.is_edge());
    ids.extend(near.map(|i| i.id.clone()));
    ids.sort();
    ids.dedup();
    let inputs = stage.inputs_of(state, &ids)?;
    let looked = with_observed(inputs, &zones, &stage.sessions).await;
    looked.map_err(|e| stage.unusable(e))
}

/// Opens what the checks of a zone need.
pub(crate) async fn open(
    stage: &Stage,
    inputs: &Inputs,
    zone: &ZoneName,
) -> Result<Probes, Failure> {
    let mut clusters = BTreeMap::new();
    for each in [zone, &inputs.config.active] {
        if !clusters.contains_key(each) {
            clusters.insert(each.clone(), open_cluster(stage, inputs, each).await);
        }
    }
    refuse_shared(inputs, &mut clusters);
    // A zone without a cluster has the account of the zone that serves.
    let owner = account(inputs, zone).or_else(|| account(inputs, &inputs.config.active));
    let owner = owner.and_then(|r| config(inputs, &r.instance));
    let lists = owner.ok_or_else(|| missing(zone)).and_then(|config| {
        let lists = stage.world.lists(&config);
        lists.map_err(|e| ProviderError::new(ErrorClass::Invalid, e.to_string()))
    });
    Ok(Probes {
        clusters,
        lists,
        tokens: stage.world.tokens()?,
        overrides: stage.world.overrides(),
        key: inputs.digest_key.clone(),
    })
}

/// One cluster behind two zones is used by neither.
fn refuse_shared(inputs: &Inputs, clusters: &mut Clusters) {
    let mut open = BTreeMap::new();
    for (zone, opened) in &*clusters {
        if let (Ok(cluster), Some(instance)) = (opened, inputs.cluster_instance(zone)) {
            open.insert(instance.id.clone(), identity(inputs, instance, cluster));
        }
    }
    for (zone, opened) in clusters {
        let Some(instance) = inputs.cluster_instance(zone).filter(|_| opened.is_ok()) else {
            continue;
        };
        let (id, config) = (
            &instance.id,
            config(inputs, &instance.id).unwrap_or(Value::Null),
        );
        if let Some(found) = open.get(id)
            && let Err(error) = check_identity(inputs, &open, (id, &config), found)
        {
            *opened = Err(error);
        }
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
        let message = format!("{zone}'s cluster could not be opened in time");
        Err(ProviderError::new(ErrorClass::Unreachable, message))
    })
}

/// Credentials that were refused or lead astray are a mistake of their own, whatever else the checks
/// found.
pub(crate) fn refused(stage: &Stage, inputs: &Inputs, probes: &Probes) -> Option<Failure> {
    let (zone, source) = probes.clusters.iter().find_map(|(zone, opened)| {
        let error = opened.as_ref().err()?;
        let wrong = [ErrorClass::Unauthorized, ErrorClass::WrongCluster].contains(&error.class);
        wrong.then(|| (zone, error.clone()))
    })?;
    Some(unusable(stage, inputs, zone, source))
}

/// A zone's cluster that cannot be used.
pub(crate) fn unusable(
    stage: &Stage,
    inputs: &Inputs,
    zone: &ZoneName,
    source: ProviderError,
) -> Failure {
    let own = inputs.cluster_instance(zone);
    let instance = match recorded(inputs, zone).filter(|_| source.class == ErrorClass::Unauthorized)
    {
        Some(record) => Some(record.instance.clone()),
        None => own.map(|i| i.id.clone()),
    };
    match instance {
        Some(instance) => stage.unusable(ObserveError { instance, source }),
        None => source.into(),
    }
}

fn missing(zone: &ZoneName) -> ProviderError {
    let message = format!("no cluster of {zone} is recorded: apply the zone first");
    ProviderError::new(ErrorClass::NotFound, message)
}

/// Whether a cluster of the zone is known: recorded, or behind a kubeconfig.
pub(crate) fn has_cluster(inputs: &Inputs, zone: &ZoneName) -> bool {
    let own = inputs.cluster_instance(zone);
    recorded(inputs, zone).is_some() || own.is_some_and(|i| i.container.is_none())
}

/// The cluster of a zone, as recorded.
fn recorded<'a>(inputs: &'a Inputs, zone: &ZoneName) -> Option<&'a Record> {
    let own = inputs.cluster_instance(zone)?;
    inputs.state.record(own.container.as_ref()?)
}

/// Something recorded that is in the zone's account: its cluster, or whatever else there is.
fn account<'a>(inputs: &'a Inputs, zone: &ZoneName) -> Option<&'a Record> {
    let mut others = inputs.state.records().filter(|r| r.address.zone == *zone);
    let other = || others.find(|r| r.kind().provider() == "digitalocean");
    recorded(inputs, zone).or_else(other)
}

/// Where a zone's open cluster is.
fn identity(inputs: &Inputs, instance: &Instance, cluster: &Cluster) -> Identity {
    let container = instance.container.as_ref();
    let record = container.and_then(|address| inputs.state.record(address));
    Identity {
        uid: cluster.uid().to_owned(),
        container: record.map(|r| Contained {
            address: r.address.clone(),
            id: r.id.clone(),
        }),
    }
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
    let instance = inputs.cluster_instance(zone).ok_or_else(|| missing(zone))?;
    let own = config(inputs, &instance.id).ok_or_else(|| missing(zone))?;
    let cluster = if instance.container.is_none() {
        Cluster::from_kubeconfig(&own, stage.world.is_live()).await?
    } else {
        let record = recorded(inputs, zone).ok_or_else(|| missing(zone))?;
        let table = config(inputs, &record.instance).ok_or_else(|| missing(zone))?;
        let sessions = &stage.sessions;
        let session = sessions
            .open(inputs, &record.instance, &table, None)
            .await?;
        let output = "credentials";
        let credentials = session.ephemeral(record.kind(), &record.id, output).await?;
        Cluster::open(&credentials).await?
    };
    let found = identity(inputs, instance, &cluster);
    check_identity(inputs, &BTreeMap::new(), (&instance.id, &own), &found)?;
    Ok(cluster)
}
