//! The open sessions of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Inputs, identity};
use crate::address::{Address, InstanceId, ZoneName};
use crate::journal::Entry;
use crate::provider::{ErrorClass, Provider, ProviderError, Session};
use crate::snapshot::{Contained, Identity, State};
use crate::value::Value;

/// What is told that an instance keeps us waiting.
pub type OnWait = Box<dyn Fn(&InstanceId) + Send + Sync>;

/// The open sessions of a run. Never part of a plan or a state.
pub struct Sessions {
    providers: BTreeMap<String, Arc<dyn Provider>>,
    open: Mutex<BTreeMap<InstanceId, Link>>,
    on_wait: Option<OnWait>,
}

/// A session and the cluster that it leads into, if it leads into one.
#[derive(Clone)]
pub struct Link {
    session: Arc<dyn Session>,
    identity: Option<Identity>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// A container as the opening of a session needs it.
#[derive(Debug, Clone, Copy)]
pub struct ContainerRef<'a> {
    /// The container.
    pub address: &'a Address,
    /// Its id.
    pub id: &'a str,
    /// The instance that manages it.
    pub instance: Option<&'a InstanceId>,
}

impl<'a> ContainerRef<'a> {
    /// A container and its id, with the instance that is configured or recorded for it.
    pub fn of(inputs: &'a Inputs, container: Option<(&'a Address, &'a str)>) -> Option<Self> {
        let (address, id) = container?;
        Some(ContainerRef {
            address,
            id,
            instance: inputs.manager(address),
        })
    }
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
            on_wait: None,
        }
    }

    /// The same, telling of instances that [`super::observe`] waits for.
    #[must_use]
    pub fn telling(mut self, on_wait: OnWait) -> Sessions {
        self.on_wait = Some(on_wait);
        self
    }

    pub(super) fn tell_waiting(&self, id: &InstanceId) {
        if let Some(tell) = &self.on_wait {
            tell(id);
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Link>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An open session.
    pub fn get(&self, id: &InstanceId) -> Option<Arc<dyn Session>> {
        self.locked().get(id).map(|l| Arc::clone(&l.session))
    }

    pub(super) fn opened(&self) -> BTreeSet<InstanceId> {
        self.locked().keys().cloned().collect()
    }

    /// The clusters that the open sessions lead into.
    pub fn identities(&self) -> BTreeMap<InstanceId, Identity> {
        let open = self.locked();
        let known = open
            .iter()
            .filter_map(|(id, l)| Some((id.clone(), l.identity.clone()?)));
        known.collect()
    }

    /// What a log has to be told of the clusters that the open sessions lead into, by shard; `held` is what it
    /// was told.
    pub fn new_identities(&self, held: &State) -> Vec<(ZoneName, Entry)> {
        let all = self.identities().into_iter();
        all.filter(|(instance, identity)| {
            held.identity(instance) != Some(identity) && held.shards.contains_key(&instance.zone)
        })
        .map(|(instance, identity)| {
            (
                instance.zone.clone(),
                Entry::Identity { instance, identity },
            )
        })
        .collect()
    }

    /// Opens a session. For an instance that lives in a container, the container's own session is
    /// asked for what opens it. A session that leads into another cluster than is meant stays closed.
    ///
    /// # Errors
    /// As the provider says; also when the configuration is not wholly known, or the cluster is not the
    /// zone's own.
    pub async fn open(
        &self,
        inputs: &Inputs,
        id: &InstanceId,
        config: &Value,
        container: Option<ContainerRef<'_>>,
    ) -> Result<Arc<dyn Session>, ProviderError> {
        let link = self.connect(id, config, container).await?;
        self.admit(inputs, id, config, link)
    }

    /// Connects, and asks where the connection leads.
    pub(super) async fn connect(
        &self,
        id: &InstanceId,
        config: &Value,
        container: Option<ContainerRef<'_>>,
    ) -> Result<Link, ProviderError> {
        let bug = |message: String| ProviderError::new(ErrorClass::Bug, message);
        let provider = self.providers.get(id.provider.as_str());
        let provider = provider.ok_or_else(|| bug(format!("no provider `{}`", id.provider)))?;
        let session = match container {
            None => provider.open(config, None).await?,
            Some(inside) => {
                let link = provider.schema().container;
                let link = link.ok_or_else(|| bug(format!("{id} lives in nothing")))?;
                let owner = inside.instance.and_then(|i| self.get(i));
                let owner = owner
                    .ok_or_else(|| bug(format!("what manages {} is not open", inside.address)))?;
                let kind = &inside.address.kind;
                let key = owner.ephemeral(kind, inside.id, link.output).await?;
                provider.open(config, Some((inside.id, &key))).await?
            }
        };
        let identity = session.identity().await?.map(|uid| Identity {
            uid,
            container: container.map(|inside| Contained {
                address: inside.address.clone(),
                id: inside.id.to_owned(),
            }),
        });
        Ok(Link { session, identity })
    }

    /// Lets a session in, if it leads where it shall.
    pub(super) fn admit(
        &self,
        inputs: &Inputs,
        id: &InstanceId,
        config: &Value,
        link: Link,
    ) -> Result<Arc<dyn Session>, ProviderError> {
        if let Some(found) = &link.identity {
            identity::check(inputs, &self.identities(), (id, config), found)?;
        }
        let session = Arc::clone(&link.session);
        self.locked().insert(id.clone(), link);
        Ok(session)
    }
}
