//! Drift: what was changed behind our back. Read-only, and about what we applied, not about what the
//! spec says by now.

use serde::{Deserialize, Serialize};

use crate::address::{Address, ZoneName};
use crate::check::{Check, Verdict};
use crate::diff::{self, ignore};
use crate::observe::{Inputs, Observations};
use crate::plan::AttrChange;
use crate::plan::build::{COMPACT_KEY, recorded_inputs};
use crate::plan::rolls;
use crate::provider::{Live, Observed, Status};
use crate::snapshot::{Record, RecordStatus, State};
use crate::value::Value;

/// What a look at the world found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftReport {
    /// The version of this form.
    pub format_version: u32,
    /// Number of resources that were compared.
    pub checked: usize,
    /// What differs, by address.
    pub drift: Vec<Drift>,
    /// What could not be compared, and why.
    pub unreadable: Vec<Unreadable>,
    /// What a run that is at work just now changes: no drift, and not known yet.
    pub in_progress: Vec<Address>,
    /// How zones that must not be exposed can be reached from outside, whoever made the way in.
    pub exposure: Vec<Exposed>,
}

/// What was found about the exposure of a zone that has to have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// The zone.
    pub zone: ZoneName,
    /// The check of `verify` that found it: `exposure-cluster`, `exposure-cloud`.
    pub check: String,
    /// Whether it is known: false when the cluster or the cloud could not be asked.
    pub known: bool,
    /// The ways in, or why they are not known.
    pub evidence: String,
}

/// One resource that is not as it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The resource.
    pub address: Address,
    /// How it differs.
    pub kind: DriftKind,
    /// The attributes: `before` is what was applied, `after` what is there.
    pub attrs: Vec<AttrChange>,
}

/// How a resource drifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Attributes were changed.
    Changed,
    /// It is gone.
    Missing,
    /// Its id is gone, and something else has its name.
    Replaced,
    /// The vendor says it failed.
    Failed,
    /// A run began it or its deletion and did not finish.
    Unfinished,
    /// Our mark was taken off it, or it carries that of another address.
    Unmarked,
}

/// A resource that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// The resource.
    pub address: Address,
    /// What the other side said.
    pub error: String,
}

/// Compares what is recorded with what was seen.
pub fn drift(inputs: &Inputs, seen: &Observations) -> DriftReport {
    let mut report = DriftReport {
        format_version: 1,
        checked: 0,
        drift: Vec::new(),
        unreadable: Vec::new(),
        in_progress: Vec::new(),
        exposure: Vec::new(),
    };
    let selected = |r: &&Record| inputs.options.selects(&r.address.zone);
    for record in inputs.state.records().filter(selected) {
        let address = record.address.clone();
        let (kind, attrs) = match seen.seen.get(&address) {
            None => continue,
            Some(Observed::Unreadable(error)) => {
                report.unreadable.push(Unreadable {
                    address,
                    error: error.message.clone(),
                });
                continue;
            }
            Some(Observed::Gone) => (DriftKind::Missing, Vec::new()),
            Some(Observed::Foreign(_)) => (DriftKind::Replaced, Vec::new()),
            Some(Observed::Present(live)) => match compare(inputs, seen, record, live) {
                Some(found) => found,
                None => {
                    report.checked += 1;
                    continue;
                }
            },
        };
        report.checked += 1;
        report.drift.push(Drift {
            address,
            kind,
            attrs,
        });
    }
    if report.checked == 0 && report.unreadable.is_empty() {
        report.unreadable = all_unreadable(seen);
    }
    report
}

impl DriftReport {
    /// Takes up what a check of a zone's exposure found. What is as it has to be is not told.
    pub fn note_exposure(&mut self, zone: &ZoneName, check: &Check, verdict: &Verdict) {
        let known = match verdict {
            Verdict::Fail(_) => true,
            Verdict::Unknown(_) => false,
            Verdict::Pass(_) | Verdict::Skipped(_) | Verdict::NotApplicable(_) => return,
        };
        self.exposure.push(Exposed {
            zone: zone.clone(),
            check: check.id.clone(),
            known,
            evidence: verdict.evidence().to_owned(),
        });
    }

    /// Whether something differs from what was applied, or is exposed that must not be.
    pub fn found(&self) -> bool {
        !self.drift.is_empty() || self.exposure.iter().any(|e| e.known)
    }

    /// Whether something could not be looked at.
    pub fn incomplete(&self) -> bool {
        !self.unreadable.is_empty() || self.exposure.iter().any(|e| !e.known)
    }

    /// Takes out what a run at work has in hand: what it has announced, and what it recorded between
    /// the two reads of the state, before and after the look at the world.
    pub fn set_aside(&mut self, before: &State, after: &State) {
        let (busy, drift) = std::mem::take(&mut self.drift).into_iter().partition(|d| {
            let address = &d.address;
            after.open(address).is_some() || before.record(address) != after.record(address)
        });
        self.drift = drift;
        let busy: Vec<Drift> = busy;
        self.checked -= busy.len();
        self.in_progress.extend(busy.into_iter().map(|d| d.address));
    }
}

/// Nothing was compared: whatever could not be looked at is why, recorded or not.
fn all_unreadable(seen: &Observations) -> Vec<Unreadable> {
    let unreadable = |(address, observed): (&Address, &Observed)| match observed {
        Observed::Unreadable(error) => Some(Unreadable {
            address: address.clone(),
            error: error.message.clone(),
        }),
        _ => None,
    };
    seen.seen.iter().filter_map(unreadable).collect()
}

fn compare(
    inputs: &Inputs,
    seen: &Observations,
    record: &Record,
    live: &Live,
) -> Option<(DriftKind, Vec<AttrChange>)> {
    let schema = inputs.registry.kind(record.kind())?;
    let rules = inputs.object_rules(&record.address);
    let applied = applied(inputs, seen, record);
    let attrs: Vec<AttrChange> = diff::diff(schema, rules, &applied, &live.attrs, None)
        .into_iter()
        .map(|d| AttrChange {
            path: d.path,
            before: d.after,
            after: d.before,
            replaces: d.replaces,
            declared: None,
        })
        .collect();
    if !attrs.is_empty() {
        return Some((DriftKind::Changed, attrs));
    }
    let unfinished = matches!(
        record.status,
        RecordStatus::Creating | RecordStatus::Deleting
    );
    let unmarked = schema.marked && live.mark.differs(&inputs.marker(&record.address));
    match &live.status {
        Status::Failed(_) => Some((DriftKind::Failed, attrs)),
        _ if unmarked && !unfinished => Some((DriftKind::Unmarked, attrs)),
        _ if unfinished => Some((DriftKind::Unfinished, attrs)),
        Status::Ready | Status::Pending(_) | Status::Deleting => None,
    }
}

/// The attributes as applied. A big object is recorded by digest only; as long as the spec still has
/// that digest, the spec says what was applied.
fn applied(inputs: &Inputs, seen: &Observations, record: &Record) -> Value {
    if record.inputs.get(COMPACT_KEY).is_none() {
        return record.inputs.clone();
    }
    let desired = inputs
        .config
        .resources
        .get(&record.address)
        .map(|r| rolls::value(inputs, seen, r));
    match desired {
        Some(value)
            if recorded_inputs(
                &inputs.registry,
                &record.address,
                &value,
                inputs.ignored(&record.address),
            ) == record.inputs =>
        {
            ignore::without(&value, inputs.ignored(&record.address))
        }
        // The spec moved on: only the identity can be compared.
        _ => match &record.inputs {
            Value::Map(map) => {
                let mut identity = map.clone();
                identity.remove(COMPACT_KEY);
                Value::Map(identity)
            }
            other => other.clone(),
        },
    }
}
