//! How the change of an object was computed: tried at the server, foretold without it, or put off. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::build;
use super::decide::Decided;
use super::{Action, Certainty, Reason};
use crate::address::{Address, InstanceId};
use crate::canon::{self, Digest};
use crate::diff::{self, Difference};
use crate::observe::{Inputs, Observations};
use crate::provider::{Live, Op, Trial, Verb};
use crate::schema::{Ground, KindSchema, ObjectRules};
use crate::secret::DigestKey;
use crate::value::{Map, Value};

/// How far what the plan shows of an object can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "tier", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tier {
    /// The server tried the very request: this is what it would do.
    Exact,
    /// Compared here; the server could not try it.
    Predicted {
        /// Why not.
        because: Because,
    },
    /// What it depends on is made by this plan: the values shown are those that are known by now.
    Deferred {
        /// On what it waits.
        because: Because,
    },
}

/// Why the server did not try a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub enum Because {
    /// The cluster is made by this plan.
    Cluster {
        /// The cluster.
        cluster: Address,
    },
    /// Values of it are known only once others are applied.
    Values {
        /// The others.
        of: Vec<Address>,
    },
    /// What it stands on is made by this plan, or changed: its namespace, or its kind.
    Ground {
        /// The namespace or the definition.
        of: Address,
    },
    /// It is replaced: a new one cannot be tried while the old one is there.
    Replaced,
    /// The live world was not looked at.
    NotLooked,
    /// Nobody asked the server.
    NotAsked,
    /// The server could not say.
    Untried {
        /// What it said instead. Not part of what is approved: it says something else each time.
        #[serde(skip)]
        error: String,
    },
}

impl Tier {
    /// The tier's name.
    pub fn name(&self) -> &'static str {
        match self {
            Tier::Exact => "exact",
            Tier::Predicted { .. } => "predicted",
            Tier::Deferred { .. } => "deferred",
        }
    }

    /// Why it is no better.
    pub fn because(&self) -> Option<&Because> {
        match self {
            Tier::Exact => None,
            Tier::Predicted { because } | Tier::Deferred { because } => Some(because),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Cluster { cluster } => write!(f, "{cluster} is made first"),
            Because::Values { of } => {
                let names: Vec<String> = of.iter().map(ToString::to_string).collect();
                write!(f, "values are known after {}", names.join(", "))
            }
            Because::Ground { of } => write!(f, "{of} goes first"),
            Because::Replaced => f.write_str("the old one has to go first"),
            Because::NotLooked => f.write_str("the live world was not looked at"),
            Because::NotAsked => f.write_str("the server was not asked"),
            Because::Untried { error } => write!(f, "the server could not try it: {error}"),
        }
    }
}

/// What the plan makes or changes that objects stand on, by instance.
pub(super) type Grounds = BTreeMap<(InstanceId, Ground), Address>;

/// Collects what is made anew, and the kinds that are changed: an object may use what they have from then on.
pub(super) fn grounds(inputs: &Inputs, all: &BTreeMap<Address, Decided>) -> Grounds {
    let changed = |d: &Decided, ground: &Ground| {
        let kind = matches!(ground, Ground::Kind(..));
        d.has(Action::Create) || kind && (d.has(Action::Update) || d.has(Action::Adopt))
    };
    all.iter()
        .filter_map(|(address, decided)| {
            let rules = inputs.object_rules(address)?;
            let ground = (rules.brings)(decided.value.as_ref()?)?;
            let ground = Some(ground).filter(|g| changed(decided, g))?;
            Some(((inputs.instance_of(address)?, ground), address.clone()))
        })
        .collect()
}

/// How the change of an object was computed; nothing where none is written.
pub(super) fn tier(
    inputs: &Inputs,
    seen: &Observations,
    grounds: &Grounds,
    address: &Address,
    decided: &Decided,
) -> Option<Tier> {
    if !is_written(inputs, address, decided) {
        return None;
    }
    Some(match obstacle(inputs, grounds, address, decided) {
        Some(tier) => tier,
        None => match seen.trials.get(address) {
            Some(Trial::Accepted(_) | Trial::Succeeds(..)) => Tier::Exact,
            Some(Trial::Untried(error)) => Tier::Predicted {
                because: Because::Untried {
                    error: error.clone(),
                },
            },
            Some(Trial::Refused(_) | Trial::Immutable(_) | Trial::Disputed(_)) | None => {
                Tier::Predicted {
                    because: Because::NotAsked,
                }
            }
        },
    })
}

fn is_written(inputs: &Inputs, address: &Address, decided: &Decided) -> bool {
    let writes = [Action::Create, Action::Update, Action::Adopt];
    inputs.object_rules(address).is_some()
        && decided.reason != Reason::RecordOnly
        && writes.into_iter().any(|a| decided.has(a))
}

/// What keeps the server from trying a change.
fn obstacle(
    inputs: &Inputs,
    grounds: &Grounds,
    address: &Address,
    decided: &Decided,
) -> Option<Tier> {
    if decided.certainty == Certainty::Predicted
        && let Some(cluster) = decided.container.clone()
    {
        return Some(Tier::Deferred {
            because: Because::Cluster { cluster },
        });
    }
    let value = decided.value.as_ref()?;
    let mut of: Vec<Address> = value
        .unknowns()
        .iter()
        .filter_map(|r| r.address().cloned())
        .collect();
    of.dedup();
    if !value.is_known() {
        return Some(Tier::Deferred {
            because: Because::Values { of },
        });
    }
    let predicted = |because| Some(Tier::Predicted { because });
    if decided.certainty != Certainty::Seen {
        return predicted(Because::NotLooked);
    }
    if decided.has(Action::Delete) || decided.has(Action::Forget) {
        return predicted(Because::Replaced);
    }
    let instance = inputs.instance_of(address)?;
    let rules = inputs.object_rules(address)?;
    let missing = (rules.stands_on)(value)
        .into_iter()
        .find_map(|ground| grounds.get(&(instance.clone(), ground)).cloned());
    missing.and_then(|of| predicted(Because::Ground { of }))
}

/// The requests that servers can try, with the instance that each goes through.
pub(crate) fn trials(inputs: &Inputs, seen: &Observations) -> Vec<(InstanceId, Op)> {
    let Some(decided) = build::drafted(inputs, seen) else {
        return Vec::new();
    };
    let grounds = grounds(inputs, &decided);
    decided
        .iter()
        .filter(|(address, d)| {
            is_written(inputs, address, d) && obstacle(inputs, &grounds, address, d).is_none()
        })
        .filter_map(|(address, decided)| {
            let op = operation(inputs, address, decided)?;
            Some((inputs.instance_of(address)?, op))
        })
        .collect()
}

/// What would be sent.
fn operation(inputs: &Inputs, address: &Address, decided: &Decided) -> Option<Op> {
    let desired = decided.value.clone()?;
    let verb = match &decided.live {
        Some(live) if !decided.has(Action::Create) => Verb::Update {
            id: live.id.clone(),
            desired,
            changed: decided.differences.iter().map(|d| d.path.clone()).collect(),
            live: live.attrs.clone(),
        },
        _ => Verb::Create { desired },
    };
    let mut marker = inputs.marker(address);
    marker.address = address.clone();
    marker.generation = decided.generation;
    Some(Op {
        address: address.clone(),
        kind: address.kind.clone(),
        marker,
        former: None,
        sharing: inputs.sharing(address),
        verb,
    })
}

/// What differs between what is there and what would be there after the server carried the change out, at
/// the paths that the spec names or named. What the server or a webhook adds elsewhere is theirs.
pub(crate) fn differences(
    schema: &KindSchema,
    rules: &ObjectRules,
    desired: &Value,
    live: &Value,
    recorded: Option<&Value>,
    after: &Live,
) -> Vec<Difference> {
    let after = &after.attrs;
    let would = diff::projection(schema, Some(rules), desired, after);
    let shown = diff::diff(schema, Some(rules), &would, live, recorded);
    let canonical = (rules.canonical)(after);
    // What others have as well stays when we let it go, or some of it does.
    let settled = |mut d: Difference| {
        if let (None, Some(before)) = (&d.after, &d.before) {
            d.after = canonical.at(&d.path).and_then(|left| within(left, before));
        }
        (d.before != d.after).then_some(d)
    };
    shown.into_iter().filter_map(settled).collect()
}

/// The part of a value that another one has as well: what is left of it, without what came new.
fn within(left: &Value, of: &Value) -> Option<Value> {
    let (Value::Map(left), Value::Map(of)) = (left, of) else {
        return Some(left.clone());
    };
    let shared = left.iter().filter_map(|(key, value)| {
        let part = within(value, of.get(key)?)?;
        Some((key.clone(), part))
    });
    let shared: Map = shared.collect();
    (!shared.is_empty()).then_some(Value::Map(shared))
}

/// The digest of what a change does.
pub(crate) fn effect(differences: &[Difference], key: Option<&Arc<DigestKey>>) -> Digest {
    let side = |value: &Option<Value>| value.clone().unwrap_or(Value::Null).rekeyed(key);
    let paths = differences.iter().map(|d| {
        let sides = Value::List(vec![side(&d.before), side(&d.after)]);
        (d.path.to_string(), sides)
    });
    canon::digest(&Value::Map(paths.collect::<Map>()))
}
