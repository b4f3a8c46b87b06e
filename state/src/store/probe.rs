//! Finds out whether a store does what a state rests on, before anything is trusted to it.
//!
//! Sequential writes alone would pass stores that check first and write later, so eight write at once.

use futures::future::join_all;

use super::{Put, Store, StoreError};
use crate::rng::Rng;

/// How many write the same object at once.
pub const RACERS: usize = 8;

/// Where the objects of probes are; no zone has such a name.
pub const PLACE: &str = "_probe";

/// What makes a store unfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// A second write replaced the first.
    #[error("it ignores conditions: a write that must not replace an object did (If-None-Match)")]
    Ignores,
    /// Several writers were told that they made the same object.
    #[error(
        "its check and its write are two steps: of {RACERS} writers at once {winners} were told that they made the object"
    )]
    Races {
        /// How many.
        winners: usize,
    },
    /// It holds something else than what the winner wrote.
    #[error("it does not give back what was written")]
    Changes,
    /// It says that an object exists and does not show it.
    #[error(
        "it says that the object exists (412) and does not show it (404), as some do after a deletion (delete markers): such a key can never be written nor read"
    )]
    Hides,
    /// It does not list what it holds.
    #[error("it does not list what it holds")]
    Forgets,
    /// It is a copy that follows another server.
    #[error(
        "it is a standby: what is written there last may be missing here; give the address of the primary"
    )]
    Standby,
    /// It says that something is written before it is.
    #[error(
        "it forgets what it was told: `synchronous_commit` or `fsync` is off, so that a commit may be gone after a crash"
    )]
    Volatile,
    /// Nothing can be written.
    #[error("it can be read and not written: give a key that may write")]
    ReadOnly,
}

impl Lie {
    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Lie::Ignores => "ignores_conditions",
            Lie::Races { .. } => "check_then_act",
            Lie::Changes => "changes_contents",
            Lie::Hides => "delete_marker",
            Lie::Forgets => "incomplete_list",
            Lie::Standby => "standby",
            Lie::Volatile => "volatile",
            Lie::ReadOnly => "read_only",
        }
    }
}

/// What a probe found besides that the store is fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Whether these credentials can remove objects. Those of a pipeline need not.
    pub removes: bool,
}

/// Tries a store with objects of its own below [`PLACE`], which it removes as far as it may.
///
/// # Errors
/// The store is unfit ([`StoreError::Untrusted`]) or does not answer.
pub async fn probe(store: &dyn Store, rng: &mut dyn Rng) -> Result<Fit, StoreError> {
    let nonce = rng.hex128();
    let own = format!("{PLACE}/{nonce}/");
    let (one, all) = (format!("{own}one"), format!("{own}all"));
    let probe = Probe { store };
    let outcome = async {
        probe.once(&one).await?;
        probe.at_once(&all).await?;
        probe.listed(&own, &[&all, &one]).await?;
        probe.again(&one).await
    }
    .await;
    // What is left behind does no harm; the outcome is what counts.
    for key in [&one, &all] {
        let _ = store.gc(key).await;
    }
    outcome
}

struct Probe<'a> {
    store: &'a dyn Store,
}

impl Probe<'_> {
    fn lie(&self, key: &str, lie: Lie) -> StoreError {
        StoreError::Untrusted {
            place: self.store.place(),
            key: key.to_owned(),
            lie,
        }
    }

    /// Of two writes, one after the other, the first one stays.
    async fn once(&self, key: &str) -> Result<(), StoreError> {
        let first = match self.store.put_new(key, b"first").await {
            Err(e) if e.is_denied() && self.readable(key).await => {
                return Err(self.lie(key, Lie::ReadOnly));
            }
            other => other?,
        };
        let second = self.store.put_new(key, b"second").await?;
        match (first, second) {
            (Put::Created, Put::Exists) => self.holds(key, b"first").await,
            (Put::Created, Put::Created) => Err(self.lie(key, Lie::Ignores)),
            (Put::Exists, _) => Err(self.lie(key, Lie::Changes)),
        }
    }

    async fn readable(&self, key: &str) -> bool {
        self.store.get(key).await.is_ok()
    }

    async fn holds(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        match self.store.get(key).await? {
            Some(found) if found == bytes => Ok(()),
            Some(_) => Err(self.lie(key, Lie::Changes)),
            None => Err(self.lie(key, Lie::Hides)),
        }
    }

    /// Of eight writes at once exactly one makes the object, and it holds what that one wrote.
    async fn at_once(&self, key: &str) -> Result<(), StoreError> {
        let bodies: Vec<Vec<u8>> = (0..RACERS).map(|i| format!("{i}").into_bytes()).collect();
        let puts = bodies.iter().map(|body| self.store.put_new(key, body));
        let mut winners = Vec::new();
        for (put, body) in join_all(puts).await.into_iter().zip(&bodies) {
            if put? == Put::Created {
                winners.push(body);
            }
        }
        match winners.as_slice() {
            [winner] => self.holds(key, winner).await,
            several => Err(self.lie(
                key,
                Lie::Races {
                    winners: several.len(),
                },
            )),
        }
    }

    async fn listed(&self, prefix: &str, keys: &[&String]) -> Result<(), StoreError> {
        let found = self.store.list(prefix, None).await?;
        match found.iter().eq(keys.iter().copied()) {
            true => Ok(()),
            false => Err(self.lie(prefix, Lie::Forgets)),
        }
    }

    /// A key that was removed can be written again; or it cannot be removed at all.
    async fn again(&self, key: &str) -> Result<Fit, StoreError> {
        match self.store.gc(key).await {
            Err(e) if e.is_denied() => return Ok(Fit { removes: false }),
            other => other?,
        }
        match self.store.put_new(key, b"again").await? {
            Put::Created => Ok(Fit { removes: true }),
            Put::Exists => Err(self.lie(key, Lie::Hides)),
        }
    }
}
