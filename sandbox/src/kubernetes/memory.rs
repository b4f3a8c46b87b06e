//! What is derived from the tables and kept at hand: parsed custom kinds, the work queue, owners.
//!
//! Nothing here is needed to survive: a process that opens a world builds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kinds::Kind;

/// The table and the key of an object.
pub(crate) type ObjectRef = (String, String);

/// The derived facts of every cluster of a world.
#[derive(Default)]
pub(crate) struct Memory {
    clusters: Mutex<BTreeMap<String, Cluster>>,
}

#[derive(Default)]
pub(crate) struct Cluster {
    kinds: BTreeMap<String, (String, Vec<Arc<Kind>>)>,
    queue: BTreeSet<(u64, ObjectRef)>,
    due: BTreeMap<ObjectRef, u64>,
    /// The revision up to which changes are in the queue; `None` before the first look.
    pub(crate) seen: Option<u64>,
    /// The objects that name an owner, by the owner's uid.
    pub(crate) owned: BTreeMap<String, BTreeSet<ObjectRef>>,
}

impl Memory {
    /// Works with the facts of one cluster.
    pub(crate) fn with<R>(&self, cluster: &str, f: impl FnOnce(&mut Cluster) -> R) -> R {
        f(self.lock().entry(cluster.to_owned()).or_default())
    }

    /// The kinds of a definition, parsed once per `stamp`.
    pub(crate) fn kinds(
        &self,
        cluster: &str,
        name: &str,
        stamp: &str,
        parse: impl FnOnce() -> Vec<Arc<Kind>>,
    ) -> Vec<Arc<Kind>> {
        self.with(cluster, |c| match c.kinds.get(name) {
            Some((known, kinds)) if known == stamp => kinds.clone(),
            _ => {
                let kinds = parse();
                c.kinds
                    .insert(name.to_owned(), (stamp.to_owned(), kinds.clone()));
                kinds
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Cluster>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Asks for a look at an object at `at`, or earlier if that was asked for before.
    pub(crate) fn enqueue(&mut self, object: ObjectRef, at: u64) {
        match self.due.get(&object) {
            Some(&known) if known <= at => return,
            Some(&known) => {
                self.queue.remove(&(known, object.clone()));
            }
            None => {}
        }
        self.due.insert(object.clone(), at);
        self.queue.insert((at, object));
    }

    /// The next object that is due.
    pub(crate) fn pop(&mut self, now: u64) -> Option<ObjectRef> {
        let (at, _) = self.queue.first()?;
        if *at > now {
            return None;
        }
        let (_, object) = self.queue.pop_first()?;
        self.due.remove(&object);
        Some(object)
    }

    /// When the next object is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }
}
