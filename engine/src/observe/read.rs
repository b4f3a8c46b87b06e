//! The loop that reads the world wave by wave. The only asynchronous part of looking.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::patience::Patience;
use super::sessions::{ContainerRef, Link, Sessions};
use super::{Inputs, Observations, next_wave, received};
use crate::address::{Address, InstanceId, ZoneName};
use crate::config::Resource;
use crate::provider::{ErrorClass, Live, Observed, ProviderError, ReadTarget};
use crate::snapshot::{Record, Snapshot};
use crate::value::Value;

/// The world could not be read at all: the credentials of a provider are wrong, or lead astray.
#[derive(Debug, thiserror::Error)]
#[error("{instance} cannot be used")]
pub struct ObserveError {
    /// The instance.
    pub instance: InstanceId,
    /// What the other side said.
    #[source]
    pub source: ProviderError,
}

/// Reads the world, wave by wave, as the options ask for. An instance that is silent for too long is
/// given up as a whole: nothing of it was read, and nothing more is asked of it.
///
/// # Errors
/// A provider refuses its credentials. Everything else is an observation: what cannot be read is
/// [`Observed::Unreadable`].
pub async fn observe(inputs: &Inputs, sessions: &Sessions) -> Result<Observations, ObserveError> {
    let mut seen = Observations::default();
    let patience = &Patience::default();
    loop {
        let wave = next_wave(inputs, &seen, &sessions.opened());
        if wave.is_empty() {
            return Ok(seen);
        }
        seen.absent.extend(wave.absent.iter().cloned());
        for address in contents(inputs, &seen, &wave.absent) {
            seen.seen.insert(address, Observed::Gone);
        }
        for (id, error) in wave.unreadable {
            unreadable(inputs, &mut seen, &id, error)?;
        }
        let opening = wave
            .open
            .into_iter()
            .map(|(id, (config, container))| async move {
                let inside = container.as_ref().map(|(a, id)| (a, id.as_str()));
                let inside = ContainerRef::of(inputs, inside);
                let result = connect(sessions, patience, &id, &config, inside).await;
                (id, config, result)
            });
        for (id, config, result) in join_all(opening).await {
            // One after the other: which of two zones in one cluster is told of follows from their names.
            let result = result.and_then(|link| sessions.admit(inputs, &id, &config, link));
            if let Err(error) = result {
                unreadable(inputs, &mut seen, &id, error)?;
            }
        }
        let asked: BTreeSet<InstanceId> = seen.reach.keys().cloned().collect();
        let reading = wave.reads.into_iter().map(|(id, targets)| {
            let ask = !asked.contains(&id);
            async move {
                let read = read_one(sessions, &id, &targets, ask);
                let result = patience.bound(sessions, &id, read).await;
                (id, targets, result)
            }
        });
        for (id, targets, result) in join_all(reading).await {
            let result = result.map(|(found, reach)| {
                seen.reach.extend(reach.map(|reach| (id.clone(), reach)));
                found
            });
            record(inputs, &mut seen, id, targets, result)?;
        }
    }
}

/// Reads what these zones only observe of the clouds, and puts it among the records of `inputs`: for
/// those who ask about a zone and do not plan. What cannot be read stays unrecorded.
///
/// # Errors
/// A provider refuses its credentials.
pub async fn with_observed(
    mut inputs: Inputs,
    zones: &[&ZoneName],
    sessions: &Sessions,
) -> Result<Inputs, ObserveError> {
    let wanted = |r: &Resource| {
        let instance = inputs.config.instances.get(&r.instance);
        let in_cloud = instance.is_some_and(|i| i.container.is_none());
        r.meta.observe && in_cloud && (zones.contains(&&r.address.zone) || r.address.zone.is_edge())
    };
    let chosen: BTreeMap<Address, Resource> = inputs
        .config
        .resources
        .iter()
        .filter(|(_, r)| wanted(r))
        .map(|(a, r)| (a.clone(), r.clone()))
        .collect();
    if chosen.is_empty() {
        return Ok(inputs);
    }
    let whole = std::mem::replace(&mut inputs.config.resources, chosen);
    let state = std::mem::take(&mut inputs.state);
    let seen = observe(&inputs, sessions).await;
    let chosen = std::mem::replace(&mut inputs.config.resources, whole);
    inputs.state = state;
    for (address, observed) in seen?.seen {
        let (Observed::Present(live), Some(resource)) = (observed, chosen.get(&address)) else {
            continue;
        };
        let lineage = inputs.lineage.clone();
        let empty = Snapshot::empty(&lineage, address.zone.clone(), &inputs.world);
        let shard = inputs.state.shards.entry(address.zone.clone());
        let records = &mut shard.or_insert(empty).records;
        records.insert(address.clone(), Box::new(as_record(resource, *live)));
    }
    Ok(inputs)
}

/// What was observed as a record would tell it.
fn as_record(resource: &Resource, live: Live) -> Record {
    Record {
        inputs: live.attrs,
        protect: resource.meta.protect,
        keep: resource.meta.keep,
        ..Record::new(resource.address.clone(), resource.instance.clone(), live.id)
    }
}

/// Connects, unless what manages the container was given up: without it there is no way in.
async fn connect(
    sessions: &Sessions,
    patience: &Patience,
    id: &InstanceId,
    config: &Value,
    inside: Option<ContainerRef<'_>>,
) -> Result<Link, ProviderError> {
    if let Some(owner) = inside.and_then(|i| i.instance) {
        patience.left_for(owner)?;
    }
    let connecting = sessions.connect(id, config, inside);
    patience.bound(sessions, id, connecting).await
}

async fn read_one(
    sessions: &Sessions,
    id: &InstanceId,
    targets: &[ReadTarget],
    ask: bool,
) -> Result<(Vec<Observed>, Option<Vec<String>>), ProviderError> {
    let session = sessions
        .get(id)
        .ok_or_else(|| ProviderError::new(ErrorClass::Bug, format!("{id} is not open")))?;
    // Before the reads: what it learns need not be looked up for them.
    let reach = if ask { session.reach().await } else { None };
    let found = session.refresh(targets).await?;
    if found.len() == targets.len() {
        Ok((found, reach))
    } else {
        Err(ProviderError::new(
            ErrorClass::Bug,
            format!("{id} answered {} of {} reads", found.len(), targets.len()),
        ))
    }
}

fn record(
    inputs: &Inputs,
    seen: &mut Observations,
    id: InstanceId,
    targets: Vec<ReadTarget>,
    result: Result<Vec<Observed>, ProviderError>,
) -> Result<(), ObserveError> {
    match result {
        Ok(found) => {
            for (target, observed) in targets.into_iter().zip(found) {
                if let Observed::Unreadable(source) = &observed
                    && source.class == ErrorClass::Unauthorized
                {
                    let source = source.clone();
                    return Err(ObserveError {
                        instance: id,
                        source,
                    });
                }
                let observed = received(inputs, seen, &target.address, observed);
                seen.seen.insert(target.address, observed);
            }
            Ok(())
        }
        Err(source) if is_fatal(&source) => Err(ObserveError {
            instance: id,
            source,
        }),
        Err(error) => {
            for target in targets {
                seen.seen
                    .insert(target.address, Observed::Unreadable(error.clone()));
            }
            Ok(())
        }
    }
}

/// Wrong credentials and wrong clusters end the run; anything else leaves the other zones to be worked on.
fn is_fatal(error: &ProviderError) -> bool {
    matches!(
        error.class,
        ErrorClass::Unauthorized | ErrorClass::Denied | ErrorClass::WrongCluster | ErrorClass::Bug
    )
}

fn unreadable(
    inputs: &Inputs,
    seen: &mut Observations,
    id: &InstanceId,
    error: ProviderError,
) -> Result<(), ObserveError> {
    if is_fatal(&error) {
        return Err(ObserveError {
            instance: id.clone(),
            source: error,
        });
    }
    for address in contents(inputs, seen, &[id.clone()].into()) {
        seen.seen
            .insert(address, Observed::Unreadable(error.clone()));
    }
    seen.unopened.insert(id.clone(), error);
    Ok(())
}

/// The unseen addresses that these instances manage.
fn contents(inputs: &Inputs, seen: &Observations, ids: &BTreeSet<InstanceId>) -> Vec<Address> {
    if ids.is_empty() {
        return Vec::new();
    }
    inputs
        .addresses()
        .into_iter()
        .filter(|a| !seen.seen.contains_key(a))
        .filter(|a| inputs.instance_of(a).is_some_and(|id| ids.contains(&id)))
        .collect()
}
