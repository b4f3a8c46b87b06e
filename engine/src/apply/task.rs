//! One step on its way: what it waits for, and what each reply means.

use std::time::Duration;

use super::{Apply, Command, Input, Verdict};
use crate::address::Address;
use crate::canon;
use crate::diff;
use crate::expr::{Lookup, Reference};
use crate::journal::{Entry, OpResult};
use crate::plan::{Action, Certainty, Change, Reason, StepNode};
use crate::provider::{
    ErrorClass, Live, Observed, Op, Outcome, ProviderError, ReadTarget, Status, Verb, Wait,
};
use crate::snapshot::{IntentAction, Record, RecordStatus};
use crate::value::Value;

/// How often a create is looked for after its reply was lost, before it is believed not to exist.
const LOOKS: u32 = 2;
/// How often an object may be missing right after it was accepted: vendors' reads lag behind.
const MISSING_LIMIT: u32 = 20;
/// How long a step may take when nothing says otherwise, as a multiple of what is typical.
const PATIENCE: u64 = 5;
/// The least time that a step may take, in seconds.
const LEAST_DEADLINE: u64 = 600;

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

    // ---- beginning ------------------------------------------------------------------------------

    fn first(&mut self, run: &mut Apply<'_>) -> Step {
        if let StepNode::Open { instance } = &self.node {
            let command = run.open_command(self.step, instance)?;
            self.phase = Phase::Opening;
            return Ok(Turn::Do(command));
        }
        let (change, action) = self.change(run)?;
        if action == Action::Forget {
            return Ok(self.forget(run, change));
        }
        if action != Action::Delete {
            self.desired = self.evaluate(run, change)?;
        }
        if change.reason == Reason::RecordOnly {
            return self.record_only(run, change);
        }
        if action == Action::Create && change.certainty == Certainty::Predicted {
            return self.announce(run);
        }
        self.look(run)
    }

    fn evaluate(&self, run: &Apply<'_>, change: &Change) -> Result<Value, ProviderError> {
        let expr = change
            .desired
            .as_ref()
            .ok_or_else(|| fail(ErrorClass::Bug, "the plan says nothing of what shall be"))?;
        let value = expr.eval(&|reference: &Reference| run.lookup(reference));
        let unknown = value.unknowns();
        if unknown.is_empty() {
            return Ok(value);
        }
        let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        Err(fail(
            ErrorClass::Failed,
            format!("has no value yet: {}", names.join(", ")),
        ))
    }

    fn forget(&mut self, run: &Apply<'_>, change: &Change) -> Turn {
        let entry = Entry::Forget {
            address: change.address.clone(),
            reason: format!("{:?}", change.reason),
        };
        self.journal(run, vec![entry], Then::Over(Verdict::Done))
    }

    fn record_only(&mut self, run: &Apply<'_>, change: &Change) -> Step {
        let old = self.recorded(run)?;
        let mut record = run.make_record(change, &self.desired, &old.id, &Value::Null, old.status);
        record.outputs = old.outputs;
        record.contained_in = old.contained_in;
        let entry = Entry::Import {
            record: Box::new(record),
        };
        Ok(self.journal(run, vec![entry], Then::Over(Verdict::Done)))
    }

    fn recorded(&self, run: &Apply<'_>) -> Result<Record, ProviderError> {
        let (change, _) = self.change(run)?;
        run.state.record(&change.address).cloned().ok_or_else(|| {
            fail(
                ErrorClass::Bug,
                format!("{} is not recorded", change.address),
            )
        })
    }

    // ---- looking again before the write ------------------------------------------------------------

    fn look(&mut self, run: &Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        let record = run.state.record(&change.address);
        let record = record.filter(|_| !matches!(action, Action::Create | Action::Adopt));
        let target = ReadTarget {
            address: change.address.clone(),
            kind: change.address.kind.clone(),
            id: record.map(|r| r.id.clone()),
            desired: Some(record.map_or_else(|| self.desired.clone(), |r| r.inputs.clone())),
            marker: run.marker(change),
        };
        self.phase = Phase::Looking;
        Ok(Turn::Do(Command::Look {
            step: self.step,
            instance: change.instance.clone(),
            target: Box::new(target),
        }))
    }

    fn looked(&mut self, run: &mut Apply<'_>, observed: Observed) -> Step {
        let (change, action) = self.change(run)?;
        match (action, observed) {
            (_, Observed::Unreadable(error)) => Err(error),
            (Action::Create, Observed::Gone) => self.announce(run),
            (Action::Create | Action::Adopt, Observed::Present(live)) => {
                if live.status == Status::Deleting {
                    self.detail = Some("waits for the old one to go".to_owned());
                    return self.again(run, Then::Look);
                }
                if action == Action::Adopt {
                    self.unmoved(run, change, &live)?;
                }
                self.id.clone_from(&live.id);
                self.live = Some(*live);
                self.announce(run)
            }
            (Action::Update | Action::Delete, Observed::Present(live)) => {
                self.unmoved(run, change, &live)?;
                self.id.clone_from(&live.id);
                self.live = Some(*live);
                self.announce(run)
            }
            (Action::Delete, Observed::Gone | Observed::Foreign(_)) => Ok(self.forget(run, change)),
            (Action::Adopt | Action::Update, Observed::Gone) => Err(moved("is gone")),
            (_, Observed::Foreign(live)) => Err(moved(&format!(
                "was not there: something else has its name now (id {})",
                live.id
            ))),
            (Action::NoOp | Action::Read | Action::Forget, _) => {
                Err(fail(ErrorClass::Bug, "nothing is to be done"))
            }
        }
    }

    /// The live object must be what the plan was decided on.
    fn unmoved(&self, run: &Apply<'_>, change: &Change, live: &Live) -> Result<(), ProviderError> {
        let (Some(seen), Some(desired)) = (&change.seen, &change.desired) else {
            return Ok(());
        };
        let Some(schema) = run.inputs.registry.kind(&change.address.kind) else {
            return Ok(());
        };
        // The plan looked with what it knew then.
        let planned = desired.eval(&|_: &Reference| Lookup::Later { secret: false });
        let rules = run.inputs.object_rules(&change.address);
        let now = diff::projection(schema, rules, &planned, &live.attrs);
        if canon::digest(&now) == *seen {
            Ok(())
        } else {
            Err(moved("was changed"))
        }
    }

    // ---- announcing and sending -----------------------------------------------------------------

    fn announce(&mut self, run: &Apply<'_>) -> Step {
        if run.stopping {
            return Ok(Turn::Over(Verdict::Interrupted));
        }
        let (change, action) = self.change(run)?;
        let op = self.op_id(run);
        let intent = |action, record| Entry::Intent {
            op: op.clone(),
            action,
            record: Box::new(record),
        };
        let mut entries = Vec::new();
        match action {
            Action::Create | Action::Adopt => {
                entries.push(intent(
                    IntentAction::Create,
                    run.stub(change, &self.desired),
                ));
                if let Some(live) = &self.live {
                    let record = self.record_of(run, change, live, RecordStatus::Creating);
                    entries.push(outcome(&op, change, OpResult::Created { record }));
                }
            }
            Action::Update => {
                entries.push(intent(IntentAction::Update, run.stub(change, &Value::Null)));
            }
            _ if run.state.record(&change.address).is_some() => {
                entries.push(intent(IntentAction::Delete, run.stub(change, &Value::Null)));
            }
            // An open create that left the spec: it was found and is recorded only to be deleted.
            _ => {
                let open = run.state.open(&change.address);
                let mut record = open.map(|o| o.record.clone()).ok_or_else(|| {
                    fail(
                        ErrorClass::Bug,
                        format!("{} is not recorded", change.address),
                    )
                })?;
                record.id.clone_from(&self.id);
                entries.push(Entry::Import {
                    record: Box::new(record.clone()),
                });
                entries.push(intent(IntentAction::Delete, record));
            }
        }
        self.journal_into(run, entries, Phase::Announcing)
    }

    fn record_of(
        &self,
        run: &Apply<'_>,
        change: &Change,
        live: &Live,
        status: RecordStatus,
    ) -> Box<Record> {
        let record = run.make_record(change, &self.desired, &live.id, &live.attrs, status);
        Box::new(record)
    }

    fn send(&mut self, run: &mut Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        let verb = match (action, &self.live) {
            (Action::Create, None) => Verb::Create {
                desired: self.desired.clone(),
            },
            (Action::Delete, _) => Verb::Delete {
                id: self.id.clone(),
                prior: self.prior(run, change),
            },
            (_, Some(live)) => match self.update_verb(run, change, live) {
                Some(verb) => verb,
                None => return self.poll(run, Wait::Ready),
            },
            _ => return Err(fail(ErrorClass::Bug, "nothing was looked at")),
        };
        self.attempt += 1;
        self.phase = Phase::Sending;
        Ok(self.op(run, change, verb))
    }

    fn prior(&self, run: &Apply<'_>, change: &Change) -> Value {
        run.state
            .record(&change.address)
            .map_or(Value::Null, |r| crate::observe::recorded_live(r).attrs)
    }

    /// An update of what differs by now; `None` when nothing does and it is only waited for.
    fn update_verb(&self, run: &Apply<'_>, change: &Change, live: &Live) -> Option<Verb> {
        let schema = run.inputs.registry.kind(&change.address.kind)?;
        let rules = run.inputs.object_rules(&change.address);
        let recorded = run.state.record(&change.address).map(|r| &r.inputs);
        let differences = diff::diff(schema, rules, &self.desired, &live.attrs, recorded);
        let own_fields = rules.is_some() && change.reason != Reason::Unfinished;
        if differences.is_empty() && !own_fields {
            return None;
        }
        Some(Verb::Update {
            id: self.id.clone(),
            desired: self.desired.clone(),
            changed: differences.into_iter().map(|d| d.path).collect(),
            live: live.attrs.clone(),
        })
    }

    fn op(&self, run: &Apply<'_>, change: &Change, verb: Verb) -> Turn {
        Turn::Do(Command::Send {
            step: self.step,
            instance: change.instance.clone(),
            op: Box::new(Op {
                address: change.address.clone(),
                kind: change.address.kind.clone(),
                marker: run.marker(change),
                verb,
            }),
        })
    }

    fn poll(&mut self, run: &Apply<'_>, wait: Wait) -> Step {
        let (change, _) = self.change(run)?;
        let context = match wait {
            Wait::Ready => self.desired.clone(),
            Wait::Gone => self.prior(run, change),
        };
        self.phase = Phase::Polling(wait);
        let verb = Verb::Poll {
            id: self.id.clone(),
            wait,
            context,
        };
        Ok(self.op(run, change, verb))
    }

    fn find(&mut self, run: &Apply<'_>) -> Step {
        let (change, _) = self.change(run)?;
        self.looks += 1;
        self.phase = Phase::Finding;
        let desired = self.desired.clone();
        Ok(self.op(run, change, Verb::Find { desired }))
    }

    // ---- what happened ----------------------------------------------------------------------------

    fn advance(&mut self, run: &mut Apply<'_>, input: Input, now: Duration) -> Step {
        match (self.phase.clone(), input) {
            (Phase::Opening, Input::Opened(Ok(()))) => Ok(Turn::Over(Verdict::Done)),
            (Phase::Opening, Input::Opened(Err(error))) => self.reopen(run, error),
            (Phase::Looking, Input::Looked(Ok(Observed::Unreadable(error)) | Err(error))) => {
                self.retry(run, error, true, Then::Look)
            }
            (Phase::Looking, Input::Looked(Ok(observed))) => {
                self.attempt = 0;
                self.looked(run, observed)
            }
            (Phase::Announcing, Input::Journaled) => {
                self.recorded_entries(run)?;
                self.send(run)
            }
            (Phase::Recording(then), Input::Journaled) => {
                self.recorded_entries(run)?;
                self.then(run, *then)
            }
            (Phase::Pausing(then), Input::Woke) => self.then(run, *then),
            (Phase::Sending, Input::Replied(reply)) => self.replied(run, reply, now),
            (Phase::Finding, Input::Replied(reply)) => self.found(run, reply, now),
            (Phase::Polling(wait), Input::Replied(reply)) => self.polled(run, wait, reply, now),
            (phase, input) => Err(fail(
                ErrorClass::Bug,
                format!("step {} got {input:?} in {phase:?}", self.step),
            )),
        }
    }

    fn then(&mut self, run: &mut Apply<'_>, then: Then) -> Step {
        match then {
            Then::Over(verdict) => Ok(Turn::Over(verdict)),
            Then::Look => self.first(run),
            Then::Send => self.send(run),
            Then::Find => self.find(run),
            Then::Poll(wait) => self.poll(run, wait),
        }
    }

    /// A cluster's credentials may take a moment after the cluster is ready.
    fn reopen(&mut self, run: &Apply<'_>, error: ProviderError) -> Step {
        let patient = match error.class {
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Unreachable => {
                fail(ErrorClass::Transient { after: None }, error.message.clone())
            }
            _ => error.clone(),
        };
        self.retry(run, patient, true, Then::Look)
    }

    fn replied(
        &mut self,
        run: &mut Apply<'_>,
        reply: Result<Outcome, ProviderError>,
        now: Duration,
    ) -> Step {
        let (_, action) = self.change(run)?;
        let creates = action == Action::Create && self.live.is_none();
        match reply {
            Ok(Outcome::Ready(live)) => self.ready(run, *live),
            Ok(Outcome::Submitted {
                id,
                attrs,
                poll_after,
            }) => self.submitted(run, id, attrs, poll_after),
            Ok(Outcome::Pending { detail, poll_after }) => {
                self.pending(run, detail, poll_after, Wait::Ready, now)
            }
            Ok(Outcome::Gone) => self.gone(run),
            Ok(Outcome::Found(_)) => Err(fail(ErrorClass::Bug, "found what nobody looked for")),
            Err(error) if creates && error.class == ErrorClass::Ambiguous => {
                self.detail = Some(format!("the reply was lost, looking for it: {error}"));
                self.find(run)
            }
            Err(error) => self.retry(run, error, !creates, Then::Send),
        }
    }

    /// The reply to a create was lost: what is there decides.
    fn found(
        &mut self,
        run: &mut Apply<'_>,
        reply: Result<Outcome, ProviderError>,
        _now: Duration,
    ) -> Step {
        let mut found = match reply {
            Ok(Outcome::Found(found)) => found,
            Ok(_) => return Err(fail(ErrorClass::Bug, "a search found something else")),
            Err(error) => return self.retry(run, error, true, Then::Find),
        };
        let (change, _) = self.change(run)?;
        match found.len() {
            1 => {
                let live = found.remove(0);
                self.submitted(run, live.id, live.attrs, Duration::ZERO)
            }
            0 if self.looks < LOOKS => {
                let delay = run.options.settle;
                Ok(self.pause(delay, Then::Find))
            }
            0 => {
                self.looks = 0;
                self.sends += 1;
                if self.sends >= run.options.policy.attempts {
                    return Err(fail(
                        ErrorClass::Failed,
                        "the reply was lost again and again, and nothing was made",
                    ));
                }
                let absent = Entry::Outcome {
                    op: self.open_op(run).map(|(_, op)| op).unwrap_or_default(),
                    address: change.address.clone(),
                    result: OpResult::Absent,
                };
                let intent = Entry::Intent {
                    op: self.op_id(run),
                    action: IntentAction::Create,
                    record: Box::new(run.stub(change, &self.desired)),
                };
                self.journal_into(run, vec![absent, intent], Phase::Announcing)
            }
            _ => {
                let ids: Vec<&str> = found.iter().map(|l| l.id.as_str()).collect();
                Err(fail(
                    ErrorClass::Ambiguous,
                    format!("made more than once: {}", ids.join(", ")),
                ))
            }
        }
    }

    fn polled(
        &mut self,
        run: &mut Apply<'_>,
        wait: Wait,
        reply: Result<Outcome, ProviderError>,
        now: Duration,
    ) -> Step {
        match reply {
            Ok(Outcome::Ready(live)) if wait == Wait::Ready => self.ready(run, *live),
            Ok(Outcome::Gone) if wait == Wait::Gone => self.gone(run),
            Ok(Outcome::Gone) => {
                self.missing += 1;
                if self.missing > MISSING_LIMIT {
                    return Err(fail(ErrorClass::Failed, "vanished while it was being made"));
                }
                let detail = "not visible yet".to_owned();
                self.pending(run, detail, run.options.settle, wait, now)
            }
            Ok(Outcome::Pending { detail, poll_after }) => {
                self.attempt = 0;
                self.pending(run, detail, poll_after, wait, now)
            }
            Ok(_) => Err(fail(ErrorClass::Bug, "a poll answered something else")),
            Err(error) => self.retry(run, error, true, Then::Poll(wait)),
        }
    }

    fn ready(&mut self, run: &mut Apply<'_>, live: Live) -> Step {
        let (change, _) = self.change(run)?;
        let live = Live {
            attrs: live.attrs.rekeyed(run.inputs.digest_key.as_ref()),
            ..live
        };
        let op = self.open_op(run).map(|(_, op)| op).unwrap_or_default();
        if let Status::Failed(why) = &live.status {
            let record = self.record_of(run, change, &live, RecordStatus::Creating);
            let error = fail(ErrorClass::Failed, why.clone());
            let created = outcome(&op, change, OpResult::Created { record });
            let failed = OpResult::Failed {
                message: why.clone(),
                tainted: true,
            };
            let entries = vec![created, outcome(&op, change, failed)];
            return Ok(self.journal(run, entries, Then::Over(Verdict::Failed(error))));
        }
        let record = self.record_of(run, change, &live, RecordStatus::Ok);
        run.remember(&change.address, &self.desired, &live);
        let done = outcome(&op, change, OpResult::Done { record });
        Ok(self.journal(run, vec![done], Then::Over(Verdict::Done)))
    }

    /// The id is recorded before anything waits for it.
    fn submitted(
        &mut self,
        run: &Apply<'_>,
        id: String,
        attrs: Value,
        _poll_after: Duration,
    ) -> Step {
        let (change, action) = self.change(run)?;
        let op = self.open_op(run).map(|(_, op)| op).unwrap_or_default();
        self.attempt = 0;
        match action {
            Action::Delete => {
                let deleting = outcome(&op, change, OpResult::Deleting);
                Ok(self.journal(run, vec![deleting], Then::Poll(Wait::Gone)))
            }
            Action::Update => self.poll(run, Wait::Ready),
            _ => {
                self.id = id;
                let attrs = attrs.rekeyed(run.inputs.digest_key.as_ref());
                let record = Box::new(run.make_record(
                    change,
                    &self.desired,
                    &self.id,
                    &attrs,
                    RecordStatus::Creating,
                ));
                let created = outcome(&op, change, OpResult::Created { record });
                Ok(self.journal(run, vec![created], Then::Poll(Wait::Ready)))
            }
        }
    }

    fn gone(&mut self, run: &mut Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        if action != Action::Delete {
            return Err(moved("is gone"));
        }
        run.drop_known(&change.address);
        let op = self.open_op(run).map(|(_, op)| op).unwrap_or_default();
        let deleted = outcome(&op, change, OpResult::Deleted);
        Ok(self.journal(run, vec![deleted], Then::Over(Verdict::Done)))
    }

    // ---- waiting ------------------------------------------------------------------------------------

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

    fn limit(&self, run: &Apply<'_>) -> Duration {
        let typical = run.plan.steps[self.step].seconds;
        let asked = self.change(run).ok().and_then(|(c, _)| c.timeout_s);
        Duration::from_secs(asked.unwrap_or((typical * PATIENCE).max(LEAST_DEADLINE)))
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

    // ---- journaling ---------------------------------------------------------------------------------

    fn journal(&mut self, run: &Apply<'_>, entries: Vec<Entry>, then: Then) -> Turn {
        match self.journal_into(run, entries, Phase::Recording(Box::new(then))) {
            Ok(turn) => turn,
            Err(error) => Turn::Over(Verdict::Failed(error)),
        }
    }

    fn journal_into(&mut self, run: &Apply<'_>, entries: Vec<Entry>, phase: Phase) -> Step {
        let (change, _) = self.change(run)?;
        self.entries.clone_from(&entries);
        self.phase = phase;
        Ok(Turn::Do(Command::Journal {
            step: self.step,
            shard: change.address.zone.clone(),
            entries,
        }))
    }

    /// What was journaled is part of the state from now on.
    fn recorded_entries(&mut self, run: &mut Apply<'_>) -> Result<(), ProviderError> {
        let (change, _) = self.change(run)?;
        let entries = std::mem::take(&mut self.entries);
        run.record(&change.address.zone, &entries)
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
