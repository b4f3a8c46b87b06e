//! After the write: what each reply means, and what is recorded of it.

use std::time::Duration;

use super::{LOOKS, MISSING_LIMIT, Phase, Step, Task, Then, Turn, fail, moved, outcome};
use crate::apply::{Apply, Input, Verdict};
use crate::failpoint;
use crate::journal::{Entry, OpResult};
use crate::plan::{Action, StepNode};
use crate::provider::{ErrorClass, Live, Observed, Outcome, ProviderError, Status, Wait};
use crate::snapshot::{Identity, IntentAction, RecordStatus};
use crate::value::Value;

impl Task {
    pub(super) fn advance(&mut self, run: &mut Apply<'_>, input: Input, now: Duration) -> Step {
        match (self.phase.clone(), input) {
            (Phase::Opening, Input::Opened(Ok(identity))) => self.opened(run, identity),
            (Phase::Opening, Input::Opened(Err(error))) => self.reopen(run, error),
            (Phase::Looking, Input::Looked(Ok(Observed::Unreadable(error)) | Err(error))) => {
                self.retry(run, error, true, Then::Look)
            }
            (Phase::Looking, Input::Looked(Ok(observed))) => {
                self.attempt = 0;
                self.looked(run, observed)
            }
            (Phase::Trying, Input::Tried(said)) => self.tried(run, said),
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

    pub(super) fn then(&mut self, run: &mut Apply<'_>, then: Then) -> Step {
        match then {
            Then::Over(verdict) => Ok(Turn::Over(verdict)),
            Then::Look => self.first(run),
            Then::Send => self.send(run),
            Then::Find => self.find(run),
            Then::Poll(wait) => self.poll(run, wait),
        }
    }

    /// Which cluster it is gets durable before anything is sent into it.
    pub(super) fn opened(&mut self, run: &Apply<'_>, identity: Option<Identity>) -> Step {
        let StepNode::Open { instance } = &self.node else {
            return Err(fail(ErrorClass::Bug, "a resource does not open"));
        };
        let Some(identity) = identity.filter(|i| run.state.identity(instance) != Some(i)) else {
            return Ok(Turn::Over(Verdict::Done));
        };
        let shard = instance.zone.clone();
        let entry = Entry::Identity {
            instance: instance.clone(),
            identity,
        };
        let then = Phase::Recording(Box::new(Then::Over(Verdict::Done)));
        Ok(self.journal_in(shard, vec![entry], then))
    }

    /// A cluster's credentials may take a moment after the cluster is ready.
    pub(super) fn reopen(&mut self, run: &Apply<'_>, error: ProviderError) -> Step {
        let patient = match error.class {
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Unreachable => {
                fail(ErrorClass::Transient { after: None }, error.message.clone())
            }
            _ => error.clone(),
        };
        self.retry(run, patient, true, Then::Look)
    }

    pub(super) fn replied(
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
            Ok(Outcome::Stuck {
                detail,
                poll_after,
                patience,
            }) => self.stuck(run, (detail, poll_after, patience), Wait::Ready, now),
            Ok(Outcome::Gone) => self.gone(run),
            Ok(Outcome::Found(_)) => Err(fail(ErrorClass::Bug, "found what nobody looked for")),
            Err(error) if creates && error.class == ErrorClass::Ambiguous => {
                if failpoint::without("create-sent-once") {
                    return self.retry(run, error, true, Then::Send);
                }
                self.detail = Some(format!("the reply was lost, looking for it: {error}"));
                self.find(run)
            }
            Err(error) => self.retry(run, error, !creates, Then::Send),
        }
    }

    /// The reply to a create was lost: what is there decides.
    pub(super) fn found(
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
            0 if self.looks < LOOKS && !failpoint::without("lost-create-settles") => {
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

    pub(super) fn polled(
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
                self.stuck = None;
                self.pending(run, detail, poll_after, wait, now)
            }
            Ok(Outcome::Stuck {
                detail,
                poll_after,
                patience,
            }) => {
                self.attempt = 0;
                self.stuck(run, (detail, poll_after, patience), wait, now)
            }
            Ok(_) => Err(fail(ErrorClass::Bug, "a poll answered something else")),
            Err(error) => self.retry(run, error, true, Then::Poll(wait)),
        }
    }

    pub(super) fn ready(&mut self, run: &mut Apply<'_>, live: Live) -> Step {
        let (change, action) = self.change(run)?;
        let live = Live {
            attrs: live.attrs.rekeyed(run.inputs.digest_key.as_ref()),
            ..live
        };
        let op = self.open_op(run).map(|(_, op)| op).unwrap_or_default();
        if let Status::Failed(why) = &live.status {
            let error = fail(ErrorClass::Failed, why.clone());
            let new = action != Action::Update;
            // Controllers of a cluster heal by themselves: an object is waited for again.
            let tainted = new && run.inputs.object_rules(&change.address).is_none();
            let message = why.clone();
            let failed = OpResult::Failed { message, tainted };
            let mut entries = vec![outcome(&op, change, failed)];
            if new {
                let record = self.record_of(run, change, &live, RecordStatus::Creating);
                entries.insert(0, outcome(&op, change, OpResult::Created { record }));
            }
            return Ok(self.journal(run, entries, Then::Over(Verdict::Failed(error))));
        }
        let record = self.record_of(run, change, &live, RecordStatus::Ok);
        run.remember(&change.address, &self.desired, &live);
        let done = outcome(&op, change, OpResult::Done { record });
        Ok(self.journal(run, vec![done], Then::Over(Verdict::Done)))
    }

    /// The id is recorded before anything waits for it.
    pub(super) fn submitted(
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
            Action::Delete if failpoint::without("delete-followed") => {
                let deleted = outcome(&op, change, OpResult::Deleted);
                Ok(self.journal(run, vec![deleted], Then::Over(Verdict::Done)))
            }
            Action::Delete => {
                let deleting = outcome(&op, change, OpResult::Deleting);
                Ok(self.journal(run, vec![deleting], Then::Poll(Wait::Gone)))
            }
            Action::Update => self.poll(run, Wait::Ready),
            _ => {
                self.id = id;
                if failpoint::without("id-kept-at-once") {
                    return self.poll(run, Wait::Ready);
                }
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

    pub(super) fn gone(&mut self, run: &mut Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        if action != Action::Delete {
            return Err(moved("is gone"));
        }
        run.drop_known(&change.address);
        let op = self.open_op(run).map(|(_, op)| op).unwrap_or_default();
        let deleted = outcome(&op, change, OpResult::Deleted);
        Ok(self.journal(run, vec![deleted], Then::Over(Verdict::Done)))
    }
}
