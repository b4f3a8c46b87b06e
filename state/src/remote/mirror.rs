//! Copies of the log in further stores: the same bytes under the same keys, written after each append.
//!
//! Nothing waits for a mirror, and one that does not answer stops nothing: what it lacks is said, and copied
//! by the next run that can. Each shard's objects are copied in their order, so that a mirror is always the
//! state as it was at some moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use zonewright_engine::address::ZoneName;

use super::RemoteState;
use super::layout::{self, Named};
use crate::error::StateError;
use crate::meta;
use crate::reactor::{runtime, wait};
use crate::store::{Put, Store, StoreError};

/// How long one object may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says something to whoever watches.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// The mirrors of a state.
#[derive(Clone, Default)]
pub(crate) struct Mirrors {
    pub(crate) stores: Vec<Arc<dyn Store>>,
    pub(crate) tell: Option<Tell>,
}

/// An object: its key and its bytes.
type Object = (String, Vec<u8>);

/// Ends with why a mirror is behind.
type Copying = JoinHandle<Result<(), Stuck>>;

/// The copies of one shard, for as long as it is written.
pub(crate) struct Copies {
    all: Vec<(UnboundedSender<Object>, Copying, String)>,
    tell: Option<Tell>,
}

impl Mirrors {
    /// Begins with what the mirrors lack.
    pub(crate) fn begin(&self, from: &Arc<dyn Store>, shard: &ZoneName) -> Copies {
        let one = |to: &Arc<dyn Store>| {
            let (tell, told) = unbounded_channel();
            let place = to.place();
            let copying = copying(Arc::clone(from), Arc::clone(to), shard.clone(), told);
            (tell, runtime().spawn(copying), place)
        };
        Copies {
            all: self.stores.iter().map(one).collect(),
            tell: self.tell.clone(),
        }
    }
}

impl Copies {
    /// Copies an object that was made.
    pub(crate) fn copy(&self, key: &str, bytes: &[u8]) {
        for (to, ..) in &self.all {
            // A copy that ended early says why at the end.
            let _ = to.send((key.to_owned(), bytes.to_vec()));
        }
    }

    /// Waits for what is under way, and says which mirrors are behind.
    pub(crate) async fn finish(self, shard: &ZoneName) {
        for (queue, task, place) in self.all {
            drop(queue);
            let abort = task.abort_handle();
            let why = match tokio::time::timeout(PATIENCE, task).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(why))) => why.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    abort.abort();
                    "it does not answer".to_owned()
                }
            };
            if let Some(tell) = &self.tell {
                tell(&format!(
                    "the mirror {place} lacks a part of {shard}: {why}; the next run copies it"
                ));
            }
        }
    }
}

/// What the mirror lacks, then what is made. After a failure nothing more is tried in this run.
async fn copying(
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
    shard: ZoneName,
    mut queue: UnboundedReceiver<Object>,
) -> Result<(), Stuck> {
    let mut done = catch_up(from.as_ref(), to.as_ref(), &shard).await;
    while let Some((key, bytes)) = queue.recv().await {
        if done.is_ok() {
            done = put(to.as_ref(), &key, &bytes).await;
        }
    }
    done
}

async fn catch_up(from: &dyn Store, to: &dyn Store, shard: &ZoneName) -> Result<(), Stuck> {
    soon(to.prepare()).await?;
    // Before anything is put there: what is there already may be something else.
    behind(from, to, shard).await?;
    for key in lacking(from, to, shard).await? {
        let bytes = soon(from.get(&key)).await?;
        // One that was swept meanwhile is in a later snapshot.
        if let Some(bytes) = bytes {
            put(to, &key, &bytes).await?;
        }
    }
    Ok(())
}

/// The objects of a shard that a mirror does not have, in their order; what all shards share comes first.
async fn lacking(from: &dyn Store, to: &dyn Store, shard: &ZoneName) -> Result<Vec<String>, Stuck> {
    let mut out = Vec::new();
    match soon(to.get(meta::KEY)).await? {
        None => out.push(meta::KEY.to_owned()),
        there if there == soon(from.get(meta::KEY)).await? => {}
        Some(_) => return Err(other(meta::KEY)),
    }
    for prefix in [layout::logs(shard), layout::snaps(shard)] {
        let there = soon(to.list(&prefix, None)).await?;
        let here = soon(from.list(&prefix, None)).await?;
        out.extend(here.into_iter().filter(|key| !there.contains(key)));
    }
    Ok(out)
}

async fn put(to: &dyn Store, key: &str, bytes: &[u8]) -> Result<(), Stuck> {
    if soon(to.put_new(key, bytes)).await? == Put::Created {
        return Ok(());
    }
    match soon(to.get(key)).await?.as_deref() == Some(bytes) {
        true => Ok(()),
        false => Err(other(key)),
    }
}

fn other(key: &str) -> Stuck {
    Stuck::Other(key.to_owned())
}

async fn soon<T>(future: impl Future<Output = Result<T, StoreError>>) -> Result<T, Stuck> {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done.map_err(|error| {
            let source = std::error::Error::source(&error);
            Stuck::Silent(source.map_or_else(|| error.to_string(), |why| format!("{error}: {why}")))
        }),
        Err(_) => Err(Stuck::Silent("it does not answer".to_owned())),
    }
}

/// How far a mirror is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The mirror.
    pub place: String,
    /// How many objects it lacks; none when that is not known.
    pub behind: Option<usize>,
    /// Why it is not known, or what is wrong with what it has.
    pub why: Option<String>,
    /// It holds something else: it is no copy of this state.
    pub other: bool,
}

/// Why something cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Stuck {
    #[error("it holds another `{0}`: that of another state, or of another course of this one")]
    Other(String),
    #[error("{0}")]
    Silent(String),
}

impl RemoteState {
    /// The same state with mirrors; `tell` hears which of them are behind.
    #[must_use]
    pub fn mirrored(mut self, stores: Vec<Arc<dyn Store>>, tell: Tell) -> RemoteState {
        self.mirrors = Mirrors {
            stores,
            tell: Some(tell),
        };
        self
    }

    /// How far each mirror is.
    ///
    /// # Errors
    /// The state itself cannot be reached. That of a mirror is in the result.
    pub fn lag(&self) -> Result<Vec<Lag>, StateError> {
        let shards = self.shards()?;
        let mut out = Vec::new();
        for mirror in &self.mirrors.stores {
            let mut lag = Lag {
                place: mirror.place(),
                behind: Some(0),
                why: None,
                other: false,
            };
            for shard in &shards {
                let found = wait(behind(self.store(), mirror.as_ref(), shard));
                match (found, &mut lag.behind) {
                    (Ok(more), Some(behind)) => *behind += more,
                    (Ok(_), None) => {}
                    (Err(why), _) => {
                        lag.behind = None;
                        lag.other |= matches!(why, Stuck::Other(_));
                        lag.why = Some(why.to_string());
                    }
                }
            }
            out.push(lag);
        }
        Ok(out)
    }
}

/// How many objects a mirror lacks. The last batch that both have must be the same one.
async fn behind(from: &dyn Store, to: &dyn Store, shard: &ZoneName) -> Result<usize, Stuck> {
    let lacking = lacking(from, to, shard).await?;
    let there = soon(to.list(&layout::logs(shard), None)).await?;
    let is_batch = |key: &&String| matches!(layout::parse(key), Named::Log { .. });
    for key in there.iter().filter(is_batch).rev() {
        let (here, there) = (soon(from.get(key)).await?, soon(to.get(key)).await?);
        if here.is_none() {
            continue;
        }
        return match here == there {
            true => Ok(lacking.len()),
            false => Err(other(key)),
        };
    }
    Ok(lacking.len())
}
