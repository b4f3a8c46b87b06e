//! Sessions, and the loop that reads the world wave by wave. The only asynchronous part of looking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;

use super::{Inputs, Observations, next_wave, received};
use crate::address::{Address, InstanceId, Kind, ZoneName};
use crate::config::Resource;
use crate::provider::{ErrorClass, Live, Observed, Provider, ProviderError, ReadTarget, Session};
use crate::snapshot::{Record, RecordStatus, Snapshot};
use crate::value::Value;

/// The open sessions of a run. Never part of a plan or a state.
pub struct Sessions {
    providers: BTreeMap<String, Arc<dyn Provider>>,
    open: Mutex<BTreeMap<InstanceId, Arc<dyn Session>>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// The world could not be read at all: the credentials of a provider are wrong.
#[derive(Debug, thiserror::Error)]
#[error("{instance} cannot be used")]
pub struct ObserveError {
    /// The instance.
    pub instance: InstanceId,
    /// What the other side said.
    #[source]
    pub source: ProviderError,
}

impl Sessions {
    /// Sessions over these providers; none is open yet.
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn Provider>>) -> Sessions {
        Sessions {
            providers: providers
                .into_iter()
                .map(|p| (p.schema().name.to_owned(), p))
                .collect(),
            open: Mutex::new(BTreeMap::new()),
        }
    }

    /// An open session.
    pub fn get(&self, id: &InstanceId) -> Option<Arc<dyn Session>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id).cloned()
    }

    fn opened(&self) -> BTreeSet<InstanceId> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.keys().cloned().collect()
    }

    /// Opens a session. For an instance that lives in a container, the container's own session is
    /// asked for what opens it.
    ///
    /// # Errors
    /// As the provider says; also when the configuration is not wholly known.
    pub async fn open(
        &self,
        id: &InstanceId,
        config: &Value,
        container: Option<ContainerRef<'_>>,
    ) -> Result<Arc<dyn Session>, ProviderError> {
        let provider = self.providers.get(&id.provider).ok_or_else(|| {
            ProviderError::new(ErrorClass::Bug, format!("no provider `{}`", id.provider))
        })?;
        let session = match container {
            None => provider.open(config, None).await?,
            Some(inside) => {
                let link = provider.schema().container.ok_or_else(|| {
                    ProviderError::new(ErrorClass::Bug, format!("{id} lives in nothing"))
                })?;
                let owner = self.get(inside.instance).ok_or_else(|| {
                    ProviderError::new(ErrorClass::Bug, format!("{} is not open", inside.instance))
                })?;
                let key = owner.ephemeral(inside.kind, inside.id, link.output).await?;
                provider.open(config, Some((inside.id, &key))).await?
            }
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(id.clone(), Arc::clone(&session));
        Ok(session)
    }
}

/// A container as the opening of a session needs it.
#[derive(Debug, Clone, Copy)]
pub struct ContainerRef<'a> {
    /// The instance that manages the container.
    pub instance: &'a InstanceId,
    /// The container's kind.
    pub kind: &'a Kind,
    /// The container's id.
    pub id: &'a str,
}

/// Reads the world, wave by wave, as the options ask for.
///
/// # Errors
/// A provider refuses its credentials. Everything else is an observation: what cannot be read is
/// [`Observed::Unreadable`].
pub async fn observe(inputs: &Inputs, sessions: &Sessions) -> Result<Observations, ObserveError> {
    let mut seen = Observations::default();
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
                let result = open_one(inputs, sessions, &id, &config, container.as_ref()).await;
                (id, result)
            });
        for (id, result) in join_all(opening).await {
            if let Err(error) = result {
                unreadable(inputs, &mut seen, &id, error)?;
            }
        }
        let reading = wave.reads.into_iter().map(|(id, targets)| async move {
            let result = read_one(sessions, &id, &targets).await;
            (id, targets, result)
        });
        for (id, targets, result) in join_all(reading).await {
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
        records.insert(address.clone(), as_record(resource, *live));
    }
    Ok(inputs)
}

/// What was observed as a record would tell it.
fn as_record(resource: &Resource, live: Live) -> Record {
    Record {
        address: resource.address.clone(),
        instance: resource.instance.clone(),
        id: live.id,
        generation: 1,
        status: RecordStatus::Ok,
        inputs: live.attrs,
        outputs: Value::Null,
        depends_on: Vec::new(),
        contained_in: None,
        protect: resource.meta.protect,
    }
}

async fn open_one(
    inputs: &Inputs,
    sessions: &Sessions,
    id: &InstanceId,
    config: &Value,
    container: Option<&(Address, String)>,
) -> Result<(), ProviderError> {
    let owner = container.and_then(|(address, _)| inputs.instance_of(address));
    let inside = match (container, &owner) {
        (Some((address, id)), Some(instance)) => Some(ContainerRef {
            instance,
            kind: &address.kind,
            id,
        }),
        _ => None,
    };
    sessions.open(id, config, inside).await.map(|_| ())
}

async fn read_one(
    sessions: &Sessions,
    id: &InstanceId,
    targets: &[ReadTarget],
) -> Result<Vec<Observed>, ProviderError> {
    let session = sessions
        .get(id)
        .ok_or_else(|| ProviderError::new(ErrorClass::Bug, format!("{id} is not open")))?;
    let found = session.refresh(targets).await?;
    if found.len() == targets.len() {
        Ok(found)
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
                let observed = received(inputs, &target.address, observed);
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

/// Wrong credentials end the run; anything else leaves the other zones to be worked on.
fn is_fatal(error: &ProviderError) -> bool {
    matches!(
        error.class,
        ErrorClass::Unauthorized | ErrorClass::Denied | ErrorClass::Bug
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
