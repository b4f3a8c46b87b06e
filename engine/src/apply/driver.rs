//! The asynchronous shell around [`Apply`]: sends requests, writes the journal, lets time pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Apply, Command, Input, Observer, RunOptions, RunReport};
use crate::address::{Address, InstanceId, ZoneName};
use crate::expr::Reference;
use crate::failpoint;
use crate::journal::{Entry, Journal, JournalError};
use crate::observe::{
    ContainerRef, Inputs, Observations, Sessions, lookup_seen, received, try_one,
};
use crate::plan::{Action, Plan};
use crate::provider::{
    ErrorClass, Observed, Op, Outcome, ProviderError, ReadTarget, Session, Trial, Verb,
};
use crate::snapshot::Identity;
use crate::value::Value;

/// Everything a run needs.
pub struct Run<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// What the plan was made from.
    pub inputs: &'a Inputs,
    /// What was seen when it was made.
    pub seen: &'a Observations,
    /// Sessions that are open already.
    pub sessions: &'a Sessions,
    /// The log.
    pub journal: &'a dyn Journal,
    /// Whoever watches.
    pub observer: &'a dyn Observer,
    /// How it behaves.
    pub options: RunOptions,
    /// How to stop it.
    pub stop: &'a Stop,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// Asks a run to stop.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<u8>>);

impl Default for Stop {
    fn default() -> Stop {
        Stop(Arc::new(watch::channel(0).0))
    }
}

impl Stop {
    /// Finishes what is in flight, records it, starts nothing new.
    pub fn graceful(&self) {
        self.0.send_if_modified(|level| {
            let rise = *level == 0;
            *level = (*level).max(1);
            rise
        });
    }

    /// Stops waiting for anything. What was announced is looked up by the next run.
    pub fn now(&self) {
        self.0.send_replace(2);
    }
}

/// Why a run could not go on at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan is damaged.
    #[error("the plan cannot be applied")]
    Plan(#[source] ProviderError),
    /// The journal cannot be written: nothing more may be sent.
    #[error("the run was stopped: its journal cannot be written")]
    Journal {
        /// Why.
        #[source]
        source: JournalError,
        /// How far it got.
        report: Box<RunReport>,
    },
}

type Arrival = (usize, Input);
type Flight<'f> = BoxFuture<'f, Arrival>;
type Written = Result<Vec<usize>, JournalError>;

struct Shell<'a> {
    run: &'a Run<'a>,
    begun: Instant,
    flights: FuturesUnordered<Flight<'a>>,
    /// How many requests are under way.
    sent: usize,
    /// Entries that wait for the write under way to end: they go as one batch.
    queue: Vec<(usize, ZoneName, Vec<Entry>)>,
    writing: Option<BoxFuture<'a, Written>>,
}

/// Applies a plan.
///
/// # Errors
/// The plan is damaged or the journal cannot be written. Failed steps are in the report.
pub async fn run(run: &Run<'_>) -> Result<RunReport, RunError> {
    let mut apply =
        Apply::new(run.plan, run.inputs, run.seen, run.options).map_err(RunError::Plan)?;
    let mut shell = Shell {
        run,
        begun: Instant::now(),
        flights: FuturesUnordered::new(),
        sent: 0,
        queue: Vec::new(),
        writing: None,
    };
    let mut stop = run.stop.0.subscribe();
    let commands = apply.start(shell.now());
    shell.dispatch(commands);
    // A stop that was asked for before the run began counts as well.
    stop.mark_changed();
    while !apply.is_over() {
        tokio::select! {
            biased;
            Ok(()) = stop.changed() => {
                let level = *stop.borrow_and_update();
                if level >= 2 {
                    let _ = apply.stop(shell.now());
                    break;
                }
                if level == 1 {
                    let commands = apply.stop(shell.now());
                    shell.dispatch(commands);
                }
            }
            written = next_written(&mut shell.writing) => {
                shell.writing = None;
                match written {
                    Ok(steps) => {
                        for step in steps {
                            let commands = apply.on(step, Input::Journaled, shell.now());
                            shell.dispatch(commands);
                        }
                        shell.write_next();
                    }
                    Err(source) => {
                        shell.end(&mut apply).await;
                        let report = Box::new(apply.report());
                        return Err(RunError::Journal { source, report });
                    }
                }
            }
            Some((step, input)) = shell.flights.next() => {
                shell.landed(&input);
                let commands = apply.on(step, input, shell.now());
                shell.dispatch(commands);
            }
        }
    }
    Ok(apply.report())
}

async fn next_written(writing: &mut Option<BoxFuture<'_, Written>>) -> Written {
    match writing {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl<'a> Shell<'a> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn dispatch(&mut self, commands: Vec<Command>) {
        let run = self.run;
        for command in commands {
            match command {
                Command::Emit(event) => run.observer.event(&event),
                Command::Journal {
                    step,
                    shard,
                    entries,
                } => self.queue.push((step, shard, entries)),
                Command::Wait { step, delay } => self.flights.push(
                    async move {
                        tokio::time::sleep(delay).await;
                        (step, Input::Woke)
                    }
                    .boxed(),
                ),
                Command::Look {
                    step,
                    instance,
                    target,
                } => self.flights.push(
                    async move { (step, Input::Looked(look(run, &instance, *target).await)) }
                        .boxed(),
                ),
                Command::Send { step, instance, op } => {
                    self.sent += 1;
                    self.flights.push(
                        async move { (step, Input::Replied(send(run, &instance, &op).await)) }
                            .boxed(),
                    );
                }
                Command::Try { step, instance, op } => self.flights.push(
                    async move { (step, Input::Tried(try_out(run, &instance, &op).await)) }.boxed(),
                ),
                Command::Open {
                    step,
                    instance,
                    config,
                    container,
                } => self.flights.push(
                    async move {
                        let container = container.as_ref().map(|(a, id)| (a, id.as_str()));
                        let opened = open(run, &instance, &config, container).await;
                        (step, Input::Opened(opened))
                    }
                    .boxed(),
                ),
            }
        }
        self.write_next();
    }

    fn landed(&mut self, input: &Input) {
        if matches!(input, Input::Replied(_)) {
            self.sent -= 1;
        }
    }

    /// The log takes no more: nothing is sent any more, and nothing is waited for but the replies to
    /// what was. What came of it is offered to the log all the same, which may have another place for
    /// it; an announcement that was not written is none.
    async fn end(&mut self, apply: &mut Apply<'_>) {
        loop {
            for (_, shard, mut entries) in std::mem::take(&mut self.queue) {
                entries.retain(|entry| matches!(entry, Entry::Outcome { .. }));
                if !entries.is_empty()
                    && let Err(error) = self.run.journal.append(&shard, entries).await
                {
                    tracing::debug!(%shard, %error, "an outcome is not in the log");
                }
            }
            if self.sent == 0 {
                return;
            }
            let Some((step, input)) = self.flights.next().await else {
                return;
            };
            self.landed(&input);
            for command in apply.on(step, input, self.now()) {
                match command {
                    Command::Emit(event) => self.run.observer.event(&event),
                    Command::Journal {
                        step,
                        shard,
                        entries,
                    } => self.queue.push((step, shard, entries)),
                    Command::Wait { .. }
                    | Command::Look { .. }
                    | Command::Send { .. }
                    | Command::Try { .. }
                    | Command::Open { .. } => {}
                }
            }
        }
    }

    /// Group commit: all that gathered during the last write is one batch per shard.
    fn write_next(&mut self) {
        if self.writing.is_some() || self.queue.is_empty() {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        let journal = self.run.journal;
        self.writing = Some(
            async move {
                let mut steps = Vec::new();
                let mut shards: BTreeMap<ZoneName, Vec<Entry>> = BTreeMap::new();
                for (step, shard, entries) in queue {
                    steps.push(step);
                    shards.entry(shard).or_default().extend(entries);
                }
                let mut first = Ok(());
                for (shard, mut entries) in shards {
                    if first.is_err() {
                        // Nothing is sent any more; what came of requests is not withheld from
                        // another shard.
                        entries.retain(|entry| matches!(entry, Entry::Outcome { .. }));
                    }
                    entries.retain(|entry| !is_left_out(entry));
                    failpoint::pass("journal.append");
                    let written = journal.append(&shard, entries).await;
                    failpoint::pass("journal.appended");
                    first = first.and(written);
                }
                first.map(|()| steps)
            }
            .boxed(),
        );
    }
}

/// Whether a test leaves it out of the log.
fn is_left_out(entry: &Entry) -> bool {
    match entry {
        Entry::Intent { .. } => failpoint::without("intent-first"),
        Entry::Outcome { .. } => failpoint::without("outcome-recorded"),
        _ => false,
    }
}

/// Opens an instance, anew if its container is made by this run; gives back the cluster that it leads
/// into.
async fn open(
    run: &Run<'_>,
    id: &InstanceId,
    config: &Value,
    container: Option<(&Address, &str)>,
) -> Result<Option<Identity>, ProviderError> {
    let made_now = container
        .and_then(|(address, _)| run.plan.change(address))
        .is_some_and(|change| change.actions.contains(&Action::Create));
    if run.sessions.get(id).is_none() || made_now {
        open_inside(run, id, config, container).await?;
    }
    Ok(run.sessions.identities().remove(id))
}

async fn open_inside(
    run: &Run<'_>,
    id: &InstanceId,
    config: &Value,
    container: Option<(&Address, &str)>,
) -> Result<Arc<dyn Session>, ProviderError> {
    let inside = ContainerRef::of(run.inputs, container);
    run.sessions.open(run.inputs, id, config, inside).await
}

/// An open session. What is deleted before its container goes was not opened by a step of its own.
async fn session(run: &Run<'_>, id: &InstanceId) -> Result<Arc<dyn Session>, ProviderError> {
    if let Some(session) = run.sessions.get(id) {
        return Ok(session);
    }
    let instance = run
        .inputs
        .instance(id)
        .ok_or_else(|| ProviderError::new(ErrorClass::Bug, format!("{id} is not configured")))?;
    let config = instance
        .config
        .eval(&|r: &Reference| lookup_seen(run.inputs, run.seen, r));
    let container = instance.container.as_ref().and_then(|address| {
        let record = run.inputs.state.record(address)?;
        Some((address, record.id.as_str()))
    });
    open_inside(run, id, &config, container).await
}

async fn look(
    run: &Run<'_>,
    id: &InstanceId,
    target: ReadTarget,
) -> Result<Observed, ProviderError> {
    let targets = [target];
    let mut seen = session(run, id).await?.refresh(&targets).await?;
    match seen.pop() {
        Some(observed) => Ok(received(
            run.inputs,
            run.seen,
            &targets[0].address,
            observed,
        )),
        None => Err(ProviderError::new(
            ErrorClass::Bug,
            "a read answered nothing",
        )),
    }
}

async fn try_out(run: &Run<'_>, id: &InstanceId, op: &Op) -> Option<Trial> {
    match session(run, id).await {
        Ok(session) => try_one(run.inputs, session, op).await,
        Err(error) => Some(Trial::Untried(error.message)),
    }
}

async fn send(run: &Run<'_>, id: &InstanceId, op: &Op) -> Result<Outcome, ProviderError> {
    tracing::debug!(address = %op.address, verb = op.verb.name(), "send");
    let session = session(run, id).await?;
    if !matches!(op.verb, Verb::Poll { .. }) {
        let held = run.journal.still_held(&op.address.zone).await;
        held.map_err(|lost| {
            let message = format!("nothing was sent: {}", lost.source);
            ProviderError::new(ErrorClass::Conflict, message)
        })?;
    }
    session.apply(op).await
}
