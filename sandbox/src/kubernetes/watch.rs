//! `WATCH`: a stream of JSON lines that starts at a revision.
//!
//! Events come from the world's history. Writes that follow each other closely may arrive as one
//! event with the newest object, as after a short disconnection from a real server.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{Change, Tables, World};

use super::controllers;
use super::failure::Failure;
use super::kinds::Kind;
use super::read::{Filter, partial, prefix};
use super::request::{Call, Ctx, Place};

/// The longest nap between two looks at the controllers.
const NAP: Duration = Duration::from_millis(500);

/// How often an idle watch says where it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// A running watch.
pub(crate) struct Watch {
    world: Arc<World>,
    cluster: String,
    kind: Arc<Kind>,
    table: String,
    prefix: String,
    filter: Filter,
    partial: bool,
    bookmarks: bool,
    initial: bool,
    revision: u64,
    known: BTreeSet<String>,
    ends: Instant,
    bookmarked: Instant,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Start,
    Following,
    Done,
}

/// Starts a watch as the request asks for it.
pub(crate) fn start(call: &Call, ctx: &Ctx<'_, '_>, place: &Place) -> Result<Watch, Failure> {
    let filter = Filter::of(call)?;
    let asked: u64 = match call.param("resourceVersion") {
        Some(text) => text.parse().map_err(|_| {
            Failure::bad_request(format!(
                "Invalid value: {text:?}: resourceVersion is no number"
            ))
        })?,
        None => 0,
    };
    let initial = call.flag("sendInitialEvents") || asked == 0;
    let seconds: u64 = call
        .param("timeoutSeconds")
        .and_then(|t| t.parse().ok())
        .unwrap_or(1800);
    let prefix = prefix(place.namespace.as_deref());
    let rows = ctx.tables().range(&place.table, &prefix, "");
    let known = rows
        .filter(|(_, o)| filter.matches(o))
        .map(|(k, _)| k.clone())
        .collect();
    let now = Instant::now();
    Ok(Watch {
        world: Arc::clone(&call.world),
        cluster: call.cluster.clone(),
        kind: Arc::clone(&place.kind),
        table: place.table.clone(),
        prefix,
        filter,
        partial: call.wants_partial(),
        bookmarks: call.flag("allowWatchBookmarks"),
        initial,
        revision: asked,
        known,
        ends: now + Duration::from_secs(seconds),
        bookmarked: now,
        state: State::Start,
    })
}

impl Watch {
    /// The stream of events as a body.
    pub(crate) fn into_body(self, markers: bool) -> UnsyncBoxBody<Bytes, io::Error> {
        let chunks = stream::unfold((self, markers), |(mut watch, markers)| async move {
            let chunk = watch.next(markers).await?;
            Some((chunk, (watch, markers)))
        });
        let body = http_body_util::StreamBody::new(
            chunks.map(|c| Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from(c)))),
        );
        body.map_err(io::Error::other).boxed_unsync()
    }

    async fn next(&mut self, markers: bool) -> Option<Vec<u8>> {
        let mut changes = self.world.subscribe();
        loop {
            changes.borrow_and_update();
            if self.state == State::Done {
                return None;
            }
            let mut out = Vec::new();
            let nap = self.look(markers, &mut out);
            if Instant::now() >= self.ends && self.state == State::Following {
                self.state = State::Done;
                self.bookmark(&mut out, false);
            } else if self.bookmarked.elapsed() > BOOKMARK_EVERY {
                self.bookmark(&mut out, false);
            }
            if !out.is_empty() {
                return Some(out);
            }
            let left = self.ends.saturating_duration_since(Instant::now());
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep(nap.min(left)) => {}
            }
        }
    }

    /// Lets the controllers work and collects what is new; gives the time to the next look.
    fn look(&mut self, markers: bool, out: &mut Vec<u8>) -> Duration {
        let world = Arc::clone(&self.world);
        let cluster = self.cluster.clone();
        let result = world.write(|txn| {
            let mut ctx = Ctx {
                world: &world,
                cluster: &cluster,
                txn,
            };
            controllers::settle(&mut ctx);
            self.collect(ctx.tables(), markers, out);
        });
        if result.is_err() {
            self.state = State::Done;
        }
        let due = world.kubernetes().with(&cluster, |c| c.next_due());
        let wait = due.map_or(NAP, |at| {
            Duration::from_millis(at.saturating_sub(world.now_ms()).max(1))
        });
        wait.min(NAP)
    }

    fn collect(&mut self, tables: &Tables, markers: bool, out: &mut Vec<u8>) {
        if self.state == State::Start {
            self.state = State::Following;
            if self.initial {
                let rows = tables.range(&self.table, &self.prefix, "");
                let rows = rows.filter(|(_, o)| self.filter.matches(o));
                self.known = rows
                    .map(|(k, o)| {
                        self.event("ADDED", o, out);
                        k.clone()
                    })
                    .collect();
                self.revision = tables.revision();
                if markers {
                    self.bookmark(out, true);
                }
                return;
            }
        }
        let Some(changes) = tables.changes_since(self.revision) else {
            let failure = Failure::too_old(self.revision, tables.revision());
            line(out, "ERROR", &failure.status());
            self.state = State::Done;
            return;
        };
        let ours = changes.filter(|c| c.table == self.table && c.key.starts_with(&self.prefix));
        let ours: Vec<&Change> = ours.collect();
        let deletes = ours.iter().filter(|c| c.gone.is_some());
        let deleted_at: BTreeMap<&str, u64> =
            deletes.map(|c| (c.key.as_str(), c.revision)).collect();
        let mut known = std::mem::take(&mut self.known);
        let mut sent = BTreeSet::new();
        for change in ours {
            let key = &change.key;
            // The table has what came after the delete, not what was written before it.
            if deleted_at
                .get(key.as_str())
                .is_some_and(|at| *at > change.revision)
            {
                continue;
            }
            if let Some(gone) = &change.gone {
                if known.remove(key) || self.filter.matches(gone) {
                    let mut last = gone.clone();
                    last["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                    self.event("DELETED", &last, out);
                }
                sent.remove(key);
                continue;
            }
            let Some(object) = tables.get(&self.table, key) else {
                continue;
            };
            match (self.filter.matches(object), known.contains(key)) {
                (true, _) if !sent.insert(key.clone()) => {}
                (true, was_known) => {
                    known.insert(key.clone());
                    let kind = if change.created || !was_known {
                        "ADDED"
                    } else {
                        "MODIFIED"
                    };
                    self.event(kind, object, out);
                }
                (false, true) => {
                    known.remove(key);
                    self.event("DELETED", object, out);
                }
                (false, false) => {}
            }
        }
        self.known = known;
        self.revision = tables.revision();
    }

    fn event(&self, kind: &str, object: &Value, out: &mut Vec<u8>) {
        if self.partial {
            line(out, kind, &partial(object));
            return;
        }
        let mut object = object.clone();
        object["apiVersion"] = json!(self.kind.api_version());
        line(out, kind, &object);
    }

    fn bookmark(&mut self, out: &mut Vec<u8>, initial: bool) {
        self.bookmarked = Instant::now();
        if !self.bookmarks {
            return;
        }
        let mut object = json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(),
                                "metadata": {"resourceVersion": self.revision.to_string()}});
        if initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        line(out, "BOOKMARK", &object);
    }
}

fn line(out: &mut Vec<u8>, kind: &str, object: &Value) {
    out.extend_from_slice(
        json!({"type": kind, "object": object})
            .to_string()
            .as_bytes(),
    );
    out.push(b'\n');
}
