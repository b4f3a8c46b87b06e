//! What is done with one resource, and why: the table at the heart of planning.

use std::collections::{BTreeMap, BTreeSet};

use super::build::PlanError;
use super::edges::Dependencies;
use super::roles;
use super::rolls::Rolls;
use super::scope::PlanScope;
use super::{Action, Certainty, Reason};
use crate::address::{Address, AttrPath};
use crate::canon::{self, Digest};
use crate::config::{Meta, Resource, Trigger};
use crate::diff::{self, Difference, ignore};
use crate::expr::{Expr, Node, Reference};
use crate::observe::{Inputs, Observations, live_value, recorded_live};
use crate::provider::{Live, Observed, Status};
use crate::schema::{Containment, KindSchema, ObjectRules};
use crate::snapshot::{IntentAction, Record, RecordStatus};
use crate::value::Value;

mod known;
mod tried;

/// The decision about one resource.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) actions: Vec<Action>,
    pub(super) reason: Reason,
    pub(super) certainty: Certainty,
    pub(super) differences: Vec<Difference>,
    pub(super) expr: Option<Expr>,
    pub(super) value: Option<Value>,
    pub(super) live: Option<Live>,
    pub(super) generation: u32,
    pub(super) seen: Option<Digest>,
    pub(super) effect: Option<Digest>,
    pub(super) container: Option<Address>,
    pub(super) replace_when: Vec<Trigger>,
}

impl Decided {
    /// The live object, if it is still there after the plan.
    pub(super) fn lasting(&self) -> Option<&Live> {
        let stays = !self
            .actions
            .iter()
            .any(|a| matches!(a, Action::Create | Action::Delete | Action::Forget));
        self.live.as_ref().filter(|_| stays)
    }

    /// Whether the object stays as it is.
    fn is_untouched(&self) -> bool {
        self.differences.is_empty() && !self.has(Action::Create) && !self.has(Action::Delete)
    }

    pub(super) fn has(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }
}

/// What becomes of the thing that a resource lives in.
enum Fate {
    Stays,
    New(Address),
    Replaced(Address),
    Deleted(Address),
    Kept(Address),
}

pub(super) struct Decider<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) seen: &'a Observations,
    pub(super) dependencies: &'a Dependencies,
    /// Live fields that other resources refer to.
    pub(super) exports: &'a BTreeMap<&'a Address, BTreeSet<&'a AttrPath>>,
    /// What workloads are rolled for.
    pub(super) rolls: &'a Rolls,
    pub(super) decided: BTreeMap<Address, Decided>,
    pub(super) errors: Vec<PlanError>,
}

/// What is known of a wanted resource when its turn comes.
struct Wanted<'a> {
    resource: &'a Resource,
    schema: &'a KindSchema,
    rules: Option<&'a ObjectRules>,
    expr: Expr,
    value: Value,
    record: Option<&'a Record>,
    container: Option<Address>,
    /// What it is replaced with when it changes, as far as it is known.
    triggers: Vec<(Trigger, Value)>,
}

impl<'a> Decider<'a> {
    /// Decides about a resource that shall be there. Everything it refers to has been decided.
    pub(super) fn wanted(&mut self, resource: &'a Resource) {
        let inputs = self.inputs;
        let Some(schema) = inputs.registry.kind(&resource.address.kind) else {
            return;
        };
        let scope = PlanScope {
            inputs,
            seen: self.seen,
            decided: &self.decided,
        };
        let body = self.rolls.body(inputs, resource);
        let (mut expr, mut value) = (body.reduce(&scope), body.eval(&scope));
        let address = &resource.address;
        self.settle_rolls(address, &mut value, &mut expr);
        let want = Wanted {
            resource,
            schema,
            rules: inputs.object_rules(&resource.address),
            expr,
            value,
            record: inputs.state.record(address),
            container: inputs.container_of(address),
            triggers: known::triggers(resource, &scope),
        };
        let decided = self.decide_wanted(&want);
        let decided = decided.and_then(|d| self.tried(&want, d));
        if let Some(decided) = decided {
            self.decided.insert(resource.address.clone(), decided);
        }
    }

    fn decide_wanted(&mut self, want: &Wanted<'_>) -> Option<Decided> {
        let address = &want.resource.address;
        if want.resource.meta.observe {
            return self.observed(want);
        }
        if let Some(taken) = self.inputs.state.moved_from(address) {
            self.errors.push(PlanError::MarkTaken {
                address: address.clone(),
                taken: taken.address.clone(),
            });
            return None;
        }
        match self.fate(want.container.as_ref()) {
            Fate::Stays | Fate::Kept(_) => {}
            Fate::New(container) => {
                return self.refill(want, Reason::ContainerNew { container });
            }
            Fate::Replaced(container) | Fate::Deleted(container) => {
                return self.refill(want, Reason::ContainerReplaced { container });
            }
        }
        match (self.seen.seen.get(address), want.record) {
            (Some(Observed::Unreadable(error)), _) => Some(Decided {
                certainty: Certainty::Unreadable,
                live: want.record.map(recorded_live),
                ..want.plain(
                    Action::NoOp,
                    Reason::Unreadable {
                        error: error.message.clone(),
                    },
                )
            }),
            (Some(Observed::Foreign(live)), None) if self.was_renamed(address, live) => None,
            (Some(Observed::Foreign(live)), None) if self.inputs.takes_over(address, live) => {
                Some(self.taken_over(want, live))
            }
            (Some(Observed::Foreign(live)), _) => self.foreign(want, live),
            (Some(Observed::Present(live)), Some(record)) => self.managed(want, record, live),
            (Some(Observed::Present(live)), None) => Some(self.adopted(want, live)),
            (Some(Observed::Gone), Some(record)) => Some(Decided {
                generation: record.generation + 1,
                ..want.plain(Action::Create, Reason::Missing)
            }),
            (None, Some(record)) => {
                let live = recorded_live(record);
                let decided = self.managed(want, record, &live)?;
                Some(Decided {
                    certainty: Certainty::Recorded,
                    seen: None,
                    ..decided
                })
            }
            (Some(Observed::Gone), None) => Some(want.plain(Action::Create, Reason::New)),
            (None, None) => Some(Decided {
                certainty: Certainty::Recorded,
                ..want.plain(Action::Create, Reason::New)
            }),
        }
    }

    /// `observe = true`: read, never changed.
    fn observed(&mut self, want: &Wanted<'_>) -> Option<Decided> {
        let address = &want.resource.address;
        let live = match self.seen.seen.get(address) {
            Some(Observed::Present(live) | Observed::Foreign(live)) => Some(Live::clone(live)),
            Some(Observed::Unreadable(error)) => {
                let error = error.message.clone();
                return Some(Decided {
                    certainty: Certainty::Unreadable,
                    live: want.record.map(recorded_live),
                    ..want.plain(Action::Read, Reason::Unreadable { error })
                });
            }
            Some(Observed::Gone) => {
                self.errors.push(PlanError::ObservedMissing {
                    address: address.clone(),
                    names: identity_text(want.schema, &want.value),
                });
                return None;
            }
            None => want.record.map(recorded_live),
        };
        // What was managed before is only looked at from now on.
        let action = match want.record {
            Some(_) => Action::Forget,
            None => Action::Read,
        };
        Some(Decided {
            live,
            ..want.plain(action, Reason::Observed)
        })
    }

    /// What a new container gets: everything, without asking whether it is there.
    fn refill(&mut self, want: &Wanted<'_>, reason: Reason) -> Option<Decided> {
        let Some(record) = want.record else {
            return Some(Decided {
                certainty: Certainty::Predicted,
                ..want.plain(Action::Create, reason)
            });
        };
        let goes_with_container = matches!(reason, Reason::ContainerReplaced { .. });
        if goes_with_container && !self.may_go(record, &want.resource.meta) {
            return None;
        }
        let evict =
            goes_with_container && want.rules.is_some_and(|r| (r.evict_first)(&record.inputs));
        let first = if evict {
            Action::Delete
        } else {
            Action::Forget
        };
        let live = match self.seen.seen.get(&record.address) {
            Some(Observed::Present(live)) => Live::clone(live),
            _ => recorded_live(record),
        };
        Some(Decided {
            actions: vec![first, Action::Create],
            certainty: Certainty::Predicted,
            generation: record.generation + 1,
            live: Some(live),
            ..want.plain(Action::Create, reason)
        })
    }

    /// Recorded, and seen (or believed) to be there.
    fn managed(&mut self, want: &Wanted<'_>, record: &Record, live: &Live) -> Option<Decided> {
        let looked_at = self.seen.seen.contains_key(&record.address);
        let ignored = &want.resource.meta.ignore;
        let value = ignore::overlay(want.rules, &want.value, &live.attrs, ignored);
        let as_recorded = || self.recorded(want) == record.inputs;
        let differences = if !looked_at && as_recorded() {
            // A big object is recorded by digest: there is nothing to compare field by field.
            Vec::new()
        } else {
            diff::diff(
                want.schema,
                want.rules,
                &value,
                &live.attrs,
                Some(&record.inputs),
            )
        };
        let forced: Vec<AttrPath> = differences
            .iter()
            .filter(|d| d.replaces)
            .map(|d| d.path.clone())
            .collect();
        let address = &want.resource.address;
        let replace = if !forced.is_empty() {
            Some(Reason::CannotUpdate { paths: forced })
        } else if is_tainted(want, record, live) {
            Some(Reason::Tainted)
        } else if record.status == RecordStatus::Deleting || live.status == Status::Deleting {
            Some(Reason::UnfinishedDelete)
        } else if self.inputs.options.replace.contains(address) {
            Some(Reason::Requested)
        } else {
            let by = self.triggered(want, record);
            by.map(|by| Reason::Triggered { by })
        };
        let seen = canon::digest(&diff::projection(
            want.schema,
            want.rules,
            &ignore::without(&want.value, ignored),
            &live.attrs,
        ));
        let base = Decided {
            differences,
            value: Some(value),
            live: Some(live.clone()),
            generation: record.generation,
            seen: Some(seen),
            ..want.plain(Action::NoOp, Reason::Unchanged)
        };
        match replace {
            Some(reason) => self.replacement(want, record, reason, base),
            None => Some(self.update_or_not(want, record, live, base)),
        }
    }

    fn replacement(
        &mut self,
        want: &Wanted<'_>,
        record: &Record,
        reason: Reason,
        base: Decided,
    ) -> Option<Decided> {
        let already_going = reason == Reason::UnfinishedDelete;
        if !already_going && !self.may_go(record, &want.resource.meta) {
            return None;
        }
        if let Reason::CannotUpdate { paths } = &reason
            && !self.may_replace(want, paths)
        {
            return None;
        }
        // Names and networks are unique at every vendor: the old one goes first.
        let actions = vec![Action::Delete, Action::Create];
        Some(Decided {
            actions,
            reason,
            generation: record.generation + 1,
            ..base
        })
    }

    fn update_or_not(
        &self,
        want: &Wanted<'_>,
        record: &Record,
        live: &Live,
        base: Decided,
    ) -> Decided {
        let spec_changed = self.recorded(want) != record.inputs;
        let unfinished = record.status == RecordStatus::Creating
            || matches!(live.status, Status::Pending(_))
                && self.inputs.state.open(&record.address).is_some();
        let follows: Vec<Address> = base
            .differences
            .iter()
            .filter_map(|d| d.after.as_ref())
            .flat_map(Value::unknowns)
            .filter_map(|r| r.address().cloned())
            .collect();
        let facts_changed = record.protect != want.resource.meta.protect
            || record.keep != want.resource.meta.keep
            || self.trigger_digests(want) != record.triggers
            || record.depends_on != self.dependencies.addresses(&record.address)
            || record.instance != want.resource.instance
            || self.is_another_object(record)
            || self.is_settled(record)
            || self.exports_moved(want, record, live);
        let reason = if !follows.is_empty() {
            Reason::Follows { of: follows }
        } else if !base.differences.is_empty() && !spec_changed {
            Reason::Drifted
        } else if !base.differences.is_empty() {
            Reason::SpecChanged
        } else if !unfinished && self.is_unmarked(want, live) {
            Reason::Unmarked
        } else if spec_changed && want.rules.is_some() {
            Reason::SpecChanged
        } else if unfinished {
            Reason::Unfinished
        } else if spec_changed || facts_changed {
            Reason::RecordOnly
        } else if let Status::Failed(error) = &live.status {
            let error = error.clone();
            return Decided {
                reason: Reason::Ailing { error },
                ..base
            };
        } else {
            return base;
        };
        Decided {
            actions: vec![Action::Update],
            reason,
            ..base
        }
    }

    /// Whether an operation was announced whose outcome shows in what was looked at.
    fn is_settled(&self, record: &Record) -> bool {
        self.inputs.state.open(&record.address).is_some()
            && self.seen.seen.contains_key(&record.address)
    }

    /// Whether something that others refer to is not what is recorded: another zone's plan would read
    /// the record.
    fn exports_moved(&self, want: &Wanted<'_>, record: &Record, live: &Live) -> bool {
        let recorded = recorded_live(record);
        let paths = self.exports.get(&record.address).into_iter().flatten();
        // Where the spec says what it is, references take the spec's word.
        let paths = paths.filter(|p| want.value.at(p).is_none());
        let mut pairs = paths.map(|p| (live_value(live, p), live_value(&recorded, p)));
        self.seen.seen.contains_key(&record.address)
            && pairs.any(|(now, then)| now.is_some() && now != then)
    }

    /// Whether it was found by its mark, and not by what is recorded: a state from before it was made anew.
    fn is_another_object(&self, record: &Record) -> bool {
        let live = self.seen.live(&record.address);
        live.is_some_and(|l| l.id != record.id)
    }

    /// Not recorded, but it carries our marker: an earlier run made it and could not say so.
    fn adopted(&self, want: &Wanted<'_>, live: &Live) -> Decided {
        let ignored = &want.resource.meta.ignore;
        let value = ignore::overlay(want.rules, &want.value, &live.attrs, ignored);
        let differences = diff::diff(want.schema, want.rules, &value, &live.attrs, None);
        let planned = ignore::without(&want.value, ignored);
        let seen = diff::projection(want.schema, want.rules, &planned, &live.attrs);
        Decided {
            differences,
            value: Some(value),
            live: Some(live.clone()),
            seen: Some(canon::digest(&seen)),
            generation: live_generation(live).unwrap_or(1),
            ..want.plain(Action::Adopt, Reason::Marked)
        }
    }

    /// Decides about a recorded or open resource that shall not be there.
    pub(super) fn unwanted(&mut self, address: &Address) {
        if self.decided.contains_key(address) {
            return;
        }
        let decided = match (
            self.inputs.state.record(address),
            self.inputs.state.open(address),
        ) {
            (Some(record), _) => self.unwanted_record(&record.clone()),
            (None, Some(open)) => self.unwanted_open(address, open.action),
            (None, None) => None,
        };
        if let Some(decided) = decided {
            self.decided.insert(address.clone(), decided);
        }
    }

    fn unwanted_record(&mut self, record: &Record) -> Option<Decided> {
        let address = &record.address;
        let container = record.contained_in.as_ref().map(|c| c.address.clone());
        if let Some(outer) = &container {
            self.unwanted_container(outer);
        }
        let rules = self.inputs.object_rules(address);
        let evict = rules.is_some_and(|r| (r.evict_first)(&record.inputs));
        let seen = self.seen.seen.get(address);
        if matches!(seen, Some(Observed::Gone | Observed::Foreign(_))) {
            return Some(removal(record, Action::Forget, Reason::GoneAlready));
        }
        let fate = self.fate(container.as_ref());
        if let Some(reason) = self.left_alone(record, &fate) {
            return Some(removal(record, Action::Forget, reason));
        }
        let reason = match fate {
            Fate::Deleted(container) | Fate::Replaced(container) => {
                if !self.may_go(record, &as_recorded(record)) {
                    return None;
                }
                let unreadable = matches!(seen, Some(Observed::Unreadable(_)));
                if !evict || unreadable {
                    let reason = Reason::ContainerDeleted { container };
                    let mut gone = removal(record, Action::Forget, reason);
                    if evict {
                        gone.certainty = Certainty::Unreadable;
                    }
                    return Some(gone);
                }
                Reason::EvictFirst { container }
            }
            _ if self.inputs.options.destroy => Reason::Destroy,
            _ => Reason::LeftSpec,
        };
        let mut decided = match self.seen.seen.get(address) {
            Some(Observed::Unreadable(error)) => {
                let error = error.message.clone();
                let mut kept = removal(record, Action::NoOp, Reason::Unreadable { error });
                kept.certainty = Certainty::Unreadable;
                return Some(kept);
            }
            Some(Observed::Present(live)) => {
                let mut decided = removal(record, Action::Delete, reason);
                decided.live = Some(Live::clone(live));
                decided
            }
            _ => Decided {
                certainty: Certainty::Recorded,
                ..removal(record, Action::Delete, reason)
            },
        };
        decided.container = container;
        let going = record.status == RecordStatus::Deleting;
        (going || self.may_go(record, &as_recorded(record))).then_some(decided)
    }

    /// Why something that is not wanted any more is left as it is.
    fn left_alone(&self, record: &Record, fate: &Fate) -> Option<Reason> {
        match fate {
            Fate::Kept(container) => Some(Reason::KeptWith {
                container: container.clone(),
            }),
            Fate::Deleted(_) | Fate::Replaced(_) => None,
            _ if self.inputs.config.is_forgotten(&record.address) => Some(Reason::Forgotten),
            Fate::Stays | Fate::New(_) => record.keep.then_some(Reason::Kept),
        }
    }

    /// A container that is neither wanted nor decided yet is decided first.
    fn unwanted_container(&mut self, outer: &Address) {
        let selected = self.inputs.options.selects(&outer.zone);
        if selected && self.inputs.wanted(outer).is_none() {
            self.unwanted(outer);
        }
    }

    /// An operation was announced for something that is neither recorded nor wanted.
    fn unwanted_open(&mut self, address: &Address, action: IntentAction) -> Option<Decided> {
        let open = self.inputs.state.open(address)?.clone();
        match self.seen.seen.get(address) {
            Some(Observed::Present(live)) if action == IntentAction::Create => {
                let mut record = open.record;
                record.id.clone_from(&live.id);
                let container = record.contained_in.as_ref().map(|c| &c.address);
                if let Some(reason) = self.left_alone(&record, &self.fate(container)) {
                    return Some(removal(&record, Action::Forget, reason));
                }
                if !self.may_go(&record, &as_recorded(&record)) {
                    return None;
                }
                let mut decided = removal(&record, Action::Delete, Reason::LeftSpec);
                decided.live = Some(Live::clone(live));
                Some(decided)
            }
            Some(Observed::Unreadable(error)) => {
                let error = error.message.clone();
                Some(removal(
                    &open.record,
                    Action::NoOp,
                    Reason::Unreadable { error },
                ))
            }
            _ => Some(removal(&open.record, Action::Forget, Reason::GoneAlready)),
        }
    }

    fn fate(&self, container: Option<&Address>) -> Fate {
        let Some(address) = container else {
            return Fate::Stays;
        };
        let Some(decided) = self.decided.get(address) else {
            return Fate::Stays;
        };
        let (create, delete) = (decided.has(Action::Create), decided.has(Action::Delete));
        match (create, delete, decided.has(Action::Forget)) {
            (false, false, true)
                if matches!(
                    decided.reason,
                    Reason::Kept | Reason::Forgotten | Reason::KeptWith { .. }
                ) =>
            {
                Fate::Kept(address.clone())
            }
            (true, true, _) => Fate::Replaced(address.clone()),
            (true, false, _) => Fate::New(address.clone()),
            (false, true, _) | (false, false, true) if decided.reason != Reason::Observed => {
                Fate::Deleted(address.clone())
            }
            _ => Fate::Stays,
        }
    }

    /// Protection: by the spec while it is there, by the record when it has left. What was promoted behind
    /// the record's back goes only once the spec says that it is the writer.
    fn may_go(&mut self, record: &Record, meta: &Meta) -> bool {
        let live = self.seen.live(&record.address);
        if roles::is_unknown_writer(self.inputs, record, live) {
            self.errors.push(PlanError::LiveWriter {
                address: record.address.clone(),
            });
            return false;
        }
        let address = record.address.clone();
        if meta.protect {
            self.errors.push(PlanError::Protected { address });
        } else if meta.keep {
            self.errors.push(PlanError::Kept { address });
        }
        !meta.protect && !meta.keep
    }
}

impl Wanted<'_> {
    fn plain(&self, action: Action, reason: Reason) -> Decided {
        Decided {
            actions: vec![action],
            reason,
            certainty: Certainty::Seen,
            differences: Vec::new(),
            expr: Some(self.expr.clone()),
            value: Some(self.value.clone()),
            live: None,
            generation: 1,
            seen: None,
            effect: None,
            container: self.container.clone(),
            replace_when: self.triggers.iter().map(|(t, _)| t.clone()).collect(),
        }
    }
}

/// What the spec said of something that has left it.
fn as_recorded(record: &Record) -> Meta {
    Meta {
        protect: record.protect,
        keep: record.keep,
        ..Meta::default()
    }
}

/// Whether only a replacement helps: it never became ready, and the vendor says that it will not. What
/// was ready once is never replaced for being ill, and controllers of a cluster heal by themselves.
fn is_tainted(want: &Wanted<'_>, record: &Record, live: &Live) -> bool {
    let never_ready = record.status == RecordStatus::Creating && want.rules.is_none();
    record.status == RecordStatus::Tainted
        || never_ready && matches!(live.status, Status::Failed(_))
}

fn removal(record: &Record, action: Action, reason: Reason) -> Decided {
    Decided {
        actions: vec![action],
        reason,
        certainty: Certainty::Seen,
        differences: Vec::new(),
        expr: None,
        value: None,
        live: None,
        generation: record.generation,
        seen: None,
        effect: None,
        container: record.contained_in.as_ref().map(|c| c.address.clone()),
        replace_when: Vec::new(),
    }
}

/// The generation in a marker: the digits after the last `:g`.
fn live_generation(live: &Live) -> Option<u32> {
    live.mark.text()?.rsplit_once(":g")?.1.parse().ok()
}

pub(super) fn identity_text(schema: &KindSchema, value: &Value) -> String {
    let names: Vec<&str> = schema
        .identity
        .iter()
        .filter_map(|name| value.get(name)?.as_str())
        .collect();
    if names.is_empty() {
        let name = value.get("metadata").and_then(|m| m.get("name"));
        return name.and_then(Value::as_str).unwrap_or("").to_owned();
    }
    names.join(" ")
}

impl Inputs {
    /// The rules for Kubernetes objects, when the address is one.
    pub(crate) fn object_rules(&self, address: &Address) -> Option<&ObjectRules> {
        let schema = self.registry.kind(&address.kind)?;
        let provider = self.registry.provider(address.kind.provider())?;
        provider.objects.as_ref().filter(|_| schema.is_object())
    }

    /// What contains a configured resource.
    pub(crate) fn container_of(&self, address: &Address) -> Option<Address> {
        let resource = self.config.resources.get(address)?;
        match self.registry.kind(&address.kind)?.contained_in {
            Containment::None => None,
            Containment::Instance => self.instance(&resource.instance)?.container.clone(),
            Containment::Attribute(attr) => match &resource.body.get(attr)?.node {
                Node::Ref(Reference::Resource { address, .. }) => Some(address.clone()),
                _ => None,
            },
        }
    }
}
