//! Before and at the write: evaluating what shall be, looking again, announcing, sending.

use super::{Phase, Step, Task, Then, Turn, fail, moved, outcome};
use crate::apply::{Apply, Command, Verdict};
use crate::canon;
use crate::diff::{self, ignore};
use crate::expr::{Lookup, Reference};
use crate::failpoint;
use crate::journal::{Entry, OpResult};
use crate::observe::place_of;
use crate::plan::{Action, Certainty, Change, Reason, StepNode};
use crate::provider::{
    ErrorClass, Live, Observed, Op, ProviderError, ReadTarget, Status, Verb, Wait,
};
use crate::snapshot::{IntentAction, Record, RecordStatus};
use crate::value::Value;

impl Task {
    pub(super) fn first(&mut self, run: &mut Apply<'_>) -> Step {
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

    pub(super) fn evaluate(
        &self,
        run: &Apply<'_>,
        change: &Change,
    ) -> Result<Value, ProviderError> {
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

    pub(super) fn forget(&mut self, run: &Apply<'_>, change: &Change) -> Turn {
        let entry = Entry::Forget {
            address: change.address.clone(),
            reason: format!("{:?}", change.reason),
        };
        self.journal(run, vec![entry], Then::Over(Verdict::Done))
    }

    pub(super) fn record_only(&mut self, run: &Apply<'_>, change: &Change) -> Step {
        let old = self.recorded(run)?;
        let live = run.seen.live(&change.address);
        let id = live.map_or(&old.id, |l| &l.id);
        let mut record = run.make_record(change, &self.desired, id, &Value::Null, old.status);
        record.outputs = match live {
            Some(live) => run.outputs(change, &live.id, &live.attrs),
            None => old.outputs,
        };
        record.contained_in = record.contained_in.or(old.contained_in);
        record.marked = old.marked;
        let entry = Entry::Import {
            record: Box::new(record),
        };
        Ok(self.journal(run, vec![entry], Then::Over(Verdict::Done)))
    }

    pub(super) fn recorded(&self, run: &Apply<'_>) -> Result<Record, ProviderError> {
        let (change, _) = self.change(run)?;
        run.state.record(&change.address).cloned().ok_or_else(|| {
            fail(
                ErrorClass::Bug,
                format!("{} is not recorded", change.address),
            )
        })
    }

    pub(super) fn look(&mut self, run: &Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        // Of an open create that left the spec, what was announced tells where to look.
        let announced = run.state.open(&change.address).map(|open| &open.record);
        let record = run.state.record(&change.address).or(announced);
        let record = record.filter(|_| !matches!(action, Action::Create | Action::Adopt));
        let (id, desired) = record.map_or_else(
            || (None, self.desired.clone()),
            |record| place_of(run.inputs, run.seen, record),
        );
        let target = ReadTarget {
            address: change.address.clone(),
            kind: change.address.kind.clone(),
            id,
            desired: Some(desired),
            marker: run.carried(change),
            observe: false,
        };
        self.phase = Phase::Looking;
        Ok(Turn::Do(Command::Look {
            step: self.step,
            instance: change.instance.clone(),
            target: Box::new(target),
        }))
    }

    pub(super) fn looked(&mut self, run: &mut Apply<'_>, observed: Observed) -> Step {
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
                self.goes_on_with(run, change, *live)
            }
            (Action::Update | Action::Delete, Observed::Present(live)) => {
                self.unmoved(run, change, &live)?;
                self.goes_on_with(run, change, *live)
            }
            (Action::Delete, Observed::Gone | Observed::Foreign(_)) => Ok(self.forget(run, change)),
            (Action::Adopt | Action::Update, Observed::Gone) => Err(moved("is gone")),
            (Action::Adopt, Observed::Foreign(live))
                if run.inputs.takes_over(&change.address, &live) =>
            {
                self.unmoved(run, change, &live)?;
                self.goes_on_with(run, change, *live)
            }
            (_, Observed::Foreign(live)) => Err(moved(&format!(
                "was not there: something else has its name now (id {})",
                live.id
            ))),
            (Action::NoOp | Action::Read | Action::Forget, _) => {
                Err(fail(ErrorClass::Bug, "nothing is to be done"))
            }
        }
    }

    /// What is there is what the operation is about.
    fn goes_on_with(&mut self, run: &mut Apply<'_>, change: &Change, live: Live) -> Step {
        let rules = run.inputs.object_rules(&change.address);
        self.desired = ignore::overlay(rules, &self.desired, &live.attrs, &change.ignore);
        self.id.clone_from(&live.id);
        self.live = Some(live);
        self.try_out(run)
    }

    /// The live object must be what the plan was decided on.
    pub(super) fn unmoved(
        &self,
        run: &Apply<'_>,
        change: &Change,
        live: &Live,
    ) -> Result<(), ProviderError> {
        let (Some(seen), Some(desired)) = (&change.seen, &change.desired) else {
            return Ok(());
        };
        let Some(schema) = run.inputs.registry.kind(&change.address.kind) else {
            return Ok(());
        };
        // The plan looked with what it knew then.
        let planned = desired.eval(&|_: &Reference| Lookup::Later { secret: false });
        let planned = ignore::without(&planned, &change.ignore);
        let rules = run.inputs.object_rules(&change.address);
        let now = diff::projection(schema, rules, &planned, &live.attrs);
        if canon::digest(&now) == *seen || failpoint::without("looked-at-again") {
            Ok(())
        } else {
            Err(moved("was changed"))
        }
    }

    pub(super) fn announce(&mut self, run: &Apply<'_>) -> Step {
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

    pub(super) fn record_of(
        &self,
        run: &Apply<'_>,
        change: &Change,
        live: &Live,
        status: RecordStatus,
    ) -> Box<Record> {
        let record = run.make_record(change, &self.desired, &live.id, &live.attrs, status);
        Box::new(record)
    }

    pub(super) fn send(&mut self, run: &mut Apply<'_>) -> Step {
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

    pub(super) fn prior(&self, run: &Apply<'_>, change: &Change) -> Value {
        run.state
            .record(&change.address)
            .map_or(Value::Null, |r| crate::observe::recorded_live(r).attrs)
    }

    /// An update of what differs by now; `None` when nothing does and it is only waited for.
    pub(super) fn update_verb(
        &self,
        run: &Apply<'_>,
        change: &Change,
        live: &Live,
    ) -> Option<Verb> {
        let schema = run.inputs.registry.kind(&change.address.kind)?;
        let rules = run.inputs.object_rules(&change.address);
        let recorded = run.state.record(&change.address).map(|r| &r.inputs);
        let differences = diff::diff(schema, rules, &self.desired, &live.attrs, recorded);
        let own_fields = rules.is_some() && change.reason != Reason::Unfinished;
        let moved = run.state.mark_of(&change.address) != &change.address;
        let unmarked = schema.marked && (moved || live.mark.differs(&run.marker(change)));
        if differences.is_empty() && !own_fields && !unmarked {
            return None;
        }
        Some(Verb::Update {
            id: self.id.clone(),
            desired: self.desired.clone(),
            changed: differences.into_iter().map(|d| d.path).collect(),
            live: live.attrs.clone(),
        })
    }

    pub(super) fn op(&self, run: &Apply<'_>, change: &Change, verb: Verb) -> Turn {
        Turn::Do(Command::Send {
            step: self.step,
            instance: change.instance.clone(),
            op: Box::new(Op {
                address: change.address.clone(),
                kind: change.address.kind.clone(),
                marker: run.marker(change),
                former: Some(run.carried(change)).filter(|m| m.address != change.address),
                sharing: change.sharing.clone(),
                verb,
            }),
        })
    }

    pub(super) fn poll(&mut self, run: &Apply<'_>, wait: Wait) -> Step {
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

    pub(super) fn find(&mut self, run: &Apply<'_>) -> Step {
        let (change, _) = self.change(run)?;
        self.looks += 1;
        self.phase = Phase::Finding;
        let desired = self.desired.clone();
        Ok(self.op(run, change, Verb::Find { desired }))
    }
}
