//! One step on its way: what it waits for, and what each reply means.

use std::time::Duration;

use super::{Apply, Command, Input, Verdict};
use crate::address::{Address, ZoneName};
use crate::failpoint;
use crate::journal::{Entry, OpResult};
use crate::plan::{Action, Change, StepNode};
use crate::provider::{ErrorClass, Live, ProviderError, Wait};
use crate::value::Value;

mod reply;
mod trial;
mod write;

/// How often a create is looked for after its reply was lost, before it is believed not to exist.
const LOOKS: u32 = 2;
/// How often an object may be missing right after it was accepted: vendors' reads lag behind.
const MISSING_LIMIT: u32 = 20;
/// How long a step may take when nothing says otherwise, as a multiple of what is typical.
const PATIENCE: u64 = 5;
/// The least time that a step may take, in seconds.
const LEAST_DEADLINE: u64 = 600;

/// What is waited for this long may pass; what is given up sooner is a mistake in the spec.
const PASSING: Duration = Duration::from_secs(60);

/// What a step does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// This, and then it is told the result.
    Do(Command),
    /// Nothing more.
    Over(Verdict),
}

/// What the result of the pending command is for.
#[derive(Debug, Clone)]
enum Phase {
    Begin,
    Opening,
    Looking,
    /// The server tries again what the plan shows.
    Trying,
    /// The intent is being journaled; `send` follows.
    Announcing,
    Sending,
    Finding,
    Polling(Wait),
    /// Entries are being journaled; `then` follows.
    Recording(Box<Then>),
    /// Time passes; `then` follows.
    Pausing(Box<Then>),
}

#[derive(Debug, Clone)]
enum Then {
    Over(Verdict),
    Look,
    Send,
    Find,
    Poll(Wait),
}

/// A step that has started.
#[derive(Debug)]
pub(super) struct Task {
    step: usize,
    node: StepNode,
    pub(super) started: Duration,
    phase: Phase,
    entries: Vec<Entry>,
    attempt: u32,
    looks: u32,
    polls: u32,
    missing: u32,
    sends: u32,
    /// Since when something has kept it from becoming ready, without a break, and how long it may.
    stuck: Option<(Duration, Duration)>,
    desired: Value,
    live: Option<Live>,
    id: String,
    detail: Option<String>,
}

type Step = Result<Turn, ProviderError>;

fn fail(class: ErrorClass, message: impl Into<String>) -> ProviderError {
    ProviderError::new(class, message)
}

impl Task {
    pub(super) fn new(step: usize, node: StepNode, now: Duration) -> Task {
        Task {
            step,
            node,
            started: now,
            phase: Phase::Begin,
            entries: Vec::new(),
            attempt: 0,
            looks: 0,
            polls: 0,
            missing: 0,
            sends: 0,
            stuck: None,
            desired: Value::Null,
            live: None,
            id: String::new(),
            detail: None,
        }
    }

    /// Whether it holds one of the places for work under way.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Pausing(_))
    }

    /// What it waits for just now, if that is worth showing.
    pub(super) fn detail(&self) -> Option<&str> {
        match self.phase {
            Phase::Pausing(_) => self.detail.as_deref(),
            _ => None,
        }
    }

    pub(super) fn begin(&mut self, run: &mut Apply<'_>, now: Duration) -> Turn {
        let turn = self.first(run);
        self.settle(run, turn, now)
    }

    pub(super) fn on(&mut self, run: &mut Apply<'_>, input: Input, now: Duration) -> Turn {
        let turn = self.advance(run, input, now);
        self.settle(run, turn, now)
    }

    /// An error ends the step; if its intent is open, the outcome is recorded first.
    fn settle(&mut self, run: &mut Apply<'_>, turn: Step, now: Duration) -> Turn {
        match turn {
            Ok(turn) => turn,
            Err(error) => self.failed(run, error, now),
        }
    }

    fn failed(&mut self, run: &Apply<'_>, error: ProviderError, _now: Duration) -> Turn {
        let Some((address, op)) = self.open_op(run) else {
            return Turn::Over(Verdict::Failed(error));
        };
        // What was accepted and is still being worked on stays open: the next run goes on with it.
        let accepted = matches!(self.phase, Phase::Polling(_)) && !self.id.is_empty();
        if accepted && failpoint::without("failed-poll-forgets-nothing") {
            let reason = String::new();
            let entry = Entry::Forget { address, reason };
            return self.journal(run, vec![entry], Then::Over(Verdict::Failed(error)));
        }
        if accepted {
            return Turn::Over(Verdict::Failed(error));
        }
        let lost = matches!(self.phase, Phase::Finding);
        let result = if lost {
            OpResult::InDoubt {
                message: error.message.clone(),
            }
        } else {
            OpResult::Failed {
                message: error.message.clone(),
                tainted: false,
            }
        };
        let verdict = if lost {
            Verdict::InDoubt(error)
        } else {
            Verdict::Failed(error)
        };
        let entry = Entry::Outcome {
            op,
            address,
            result,
        };
        self.journal(run, vec![entry], Then::Over(verdict))
    }

    /// The open operation of this step.
    fn open_op(&self, run: &Apply<'_>) -> Option<(Address, String)> {
        let StepNode::Act { address, .. } = &self.node else {
            return None;
        };
        let open = run.state.open(address)?;
        (open.op.starts_with(&self.op_stem(run))).then(|| (address.clone(), open.op.clone()))
    }

    fn op_stem(&self, run: &Apply<'_>) -> String {
        format!("{}.{}.", &run.digest.hex()[..12], self.step)
    }

    fn op_id(&self, run: &Apply<'_>) -> String {
        format!("{}{}", self.op_stem(run), self.sends)
    }

    fn change<'a>(&self, run: &Apply<'a>) -> Result<(&'a Change, Action), ProviderError> {
        match &self.node {
            StepNode::Act { address, action } => run
                .change(address)
                .map(|c| (c, *action))
                .ok_or_else(|| fail(ErrorClass::Bug, format!("{address} is not in the plan"))),
            StepNode::Open { instance } => {
                Err(fail(ErrorClass::Bug, format!("{instance} is no resource")))
            }
        }
    }

    fn pending(
        &mut self,
        run: &Apply<'_>,
        detail: String,
        at_most: Duration,
        wait: Wait,
        now: Duration,
    ) -> Step {
        let limit = self.limit(run);
        if now.saturating_sub(self.started) > limit {
            return Err(fail(
                ErrorClass::Failed,
                format!("not ready after {} s: {detail}", limit.as_secs()),
            ));
        }
        let ramp = run.options.first_poll * 2u32.saturating_pow(self.polls.min(16));
        self.polls += 1;
        self.detail = Some(detail);
        Ok(self.pause(ramp.min(at_most), Then::Poll(wait)))
    }

    /// What seldom goes away by itself is not waited for until the time is up.
    fn stuck(
        &mut self,
        run: &Apply<'_>,
        (detail, at_most, patience): (String, Duration, Duration),
        wait: Wait,
        now: Duration,
    ) -> Step {
        // Who says how long it may take says it of what may come by itself, as a node does.
        let asked = self.change(run).ok().and_then(|(c, _)| c.timeout_s);
        let patience = match asked.map(Duration::from_secs) {
            Some(asked) if patience >= PASSING => patience.max(asked),
            _ => patience,
        };
        // Another reason has a time of its own.
        let stuck = self.stuck.filter(|(_, then)| *then == patience);
        let (since, _) = *self.stuck.insert(stuck.unwrap_or((now, patience)));
        if now.saturating_sub(since) >= patience {
            let message = format!(
                "{detail}; given up, as it has been so for {} s",
                patience.as_secs()
            );
            return Err(fail(ErrorClass::Failed, message));
        }
        self.pending(run, detail, at_most, wait, now)
    }

    fn limit(&self, run: &Apply<'_>) -> Duration {
        let typical = run.plan.steps[self.step].seconds;
        let change = self.change(run).ok();
        if let Some(asked) = change.and_then(|(c, _)| c.timeout_s) {
            return Duration::from_secs(asked);
        }
        let least = Duration::from_secs((typical * PATIENCE).max(LEAST_DEADLINE));
        let rules = change.and_then(|(c, _)| run.inputs.object_rules(&c.address));
        let own = rules.and_then(|r| (r.deadline)(&self.desired));
        own.map_or(least, |own| own.max(least))
    }

    fn retry(
        &mut self,
        run: &Apply<'_>,
        error: ProviderError,
        idempotent: bool,
        then: Then,
    ) -> Step {
        // The first attempt of a send is counted when it is sent.
        if !matches!(then, Then::Send) {
            self.attempt += 1;
        }
        match run
            .options
            .policy
            .next(&error.class, self.attempt, idempotent)
        {
            Some(delay) => {
                self.detail = Some(error.message);
                Ok(self.pause(delay, then))
            }
            None => Err(error),
        }
    }

    fn again(&mut self, run: &Apply<'_>, then: Then) -> Step {
        let ramp = run.options.first_poll * 2u32.saturating_pow(self.polls.min(7));
        self.polls += 1;
        if self.polls > 200 {
            return Err(fail(ErrorClass::Failed, "the old one does not go"));
        }
        Ok(self.pause(ramp, then))
    }

    fn pause(&mut self, delay: Duration, then: Then) -> Turn {
        self.phase = Phase::Pausing(Box::new(then));
        Turn::Do(Command::Wait {
            step: self.step,
            delay,
        })
    }

    fn journal(&mut self, run: &Apply<'_>, entries: Vec<Entry>, then: Then) -> Turn {
        match self.journal_into(run, entries, Phase::Recording(Box::new(then))) {
            Ok(turn) => turn,
            Err(error) => Turn::Over(Verdict::Failed(error)),
        }
    }

    fn journal_into(&mut self, run: &Apply<'_>, entries: Vec<Entry>, phase: Phase) -> Step {
        let (change, _) = self.change(run)?;
        Ok(self.journal_in(change.address.zone.clone(), entries, phase))
    }

    fn journal_in(&mut self, shard: ZoneName, entries: Vec<Entry>, phase: Phase) -> Turn {
        self.entries.clone_from(&entries);
        self.phase = phase;
        Turn::Do(Command::Journal {
            step: self.step,
            shard,
            entries,
        })
    }

    /// What was journaled is part of the state from now on.
    fn recorded_entries(&mut self, run: &mut Apply<'_>) -> Result<(), ProviderError> {
        let shard = match &self.node {
            StepNode::Act { address, .. } => &address.zone,
            StepNode::Open { instance } => &instance.zone,
        };
        let entries = std::mem::take(&mut self.entries);
        run.record(shard, &entries)
    }
}

fn outcome(op: &str, change: &Change, result: OpResult) -> Entry {
    Entry::Outcome {
        op: op.to_owned(),
        address: change.address.clone(),
        result,
    }
}

/// The world moved between the plan and the write.
fn moved(how: &str) -> ProviderError {
    fail(
        ErrorClass::Conflict,
        format!("{how} since the plan was made; nothing was sent: plan again"),
    )
}
