//! The plan: what will be done, as inert data.
//!
//! A plan holds everything the executor needs except secrets and sessions. Its canonical bytes are
//! the same for the same inputs; their SHA-256 is what a reviewer approves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::{Address, AttrPath, InstanceId, ZoneName};
use crate::canon::{self, Digest};
use crate::config::{DatabaseDecision, Posture, Role, Sharing, Trigger};
use crate::cost::Bills;
use crate::expr::{Expr, Reference};
use crate::objectives::Forecast;
use crate::value::Value;
use tier::Tier;

pub mod build;
mod decide;
pub(crate) mod edges;
mod error;
pub(crate) mod estimate;
pub mod exposure;
pub mod left_out;
pub mod moves;
mod needed;
pub mod pages;
pub mod roles;
pub(crate) mod rolls;
mod scope;
pub mod stale;
pub mod tier;
pub(crate) mod tokens;

/// The version of the saved form. A change that old readers would misread raises it.
pub const FORMAT_VERSION: u32 = 1;

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The version of zonewright that made it.
    pub engine_version: String,
    /// What it was made from.
    pub base: Base,
    /// The options it was made with.
    pub options: Options,
    /// The zones and their roles.
    pub zones: BTreeMap<ZoneName, ZoneFacts>,
    /// What is recorded under another address from now on, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Configured providers that steps need.
    pub instances: BTreeMap<InstanceId, PlannedInstance>,
    /// Every resource that was looked at, unchanged ones included, by address.
    pub changes: Vec<Change>,
    /// What to do, as nodes of a graph. Sorted by id.
    pub steps: Vec<Step>,
    /// What must wait for what, and why. Sorted.
    pub edges: Vec<Edge>,
    /// Things a reviewer should know. Sorted.
    pub notes: Vec<Note>,
    /// How long it should take.
    pub estimate: Estimate,
    /// What each zone that stands by can achieve once this is applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forecasts: BTreeMap<ZoneName, Forecast>,
    /// What bills in each zone, before and after: quantities, no prices (see [`crate::cost`]).
    #[serde(default, skip_serializing_if = "Bills::is_empty")]
    pub bills: Bills,
}

/// A resource that is recorded under another address from now on; no request is sent for that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The address so far.
    pub from: Address,
    /// The address from here on.
    pub to: Address,
}

/// What a plan was made from; a plan applies to nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The project's name.
    pub project: String,
    /// The project's lineage.
    pub lineage: String,
    /// `live` or `sandbox:<id>`.
    pub world: String,
    /// The serial of each shard that the plan touches or reads.
    pub serials: BTreeMap<ZoneName, u64>,
    /// The digest of the configuration.
    pub config: Digest,
}

/// The options that shape a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The selected zones (`edge` included); empty selects everything.
    pub zones: Vec<ZoneName>,
    /// Whether everything selected is to be removed.
    pub destroy: bool,
    /// Resources to replace although nothing demands it.
    pub replace: Vec<Address>,
    /// How much of the live world is looked at.
    pub refresh: Refresh,
}

impl Options {
    /// Whether a zone is selected.
    pub fn selects(&self, zone: &ZoneName) -> bool {
        self.zones.is_empty() || self.zones.contains(zone)
    }
}

/// How much of the live world is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refresh {
    /// All of it.
    #[default]
    All,
    /// What the spec changed and what depends on it.
    Changed,
    /// Nothing: the state is believed.
    None,
}

/// What the header of a plan says of a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneFacts {
    /// What the zone is for.
    pub role: Role,
    /// How ready it stands, when it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<Posture>,
    /// How it gets its data when it takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseDecision>,
    /// Its region, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether it may be reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<bool>,
    /// What of other zones it cannot be made without. Sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<Address>,
}

/// A provider instance as steps need it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedInstance {
    /// Its configuration, with secrets as references.
    pub config: Expr,
    /// The resource that it lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Address>,
}

impl Plan {
    /// Dangers that are accepted by name or not applied at all. A plan that does nothing has none.
    pub fn to_accept<'a>(&'a self, accepted: &'a [String]) -> impl Iterator<Item = &'a Note> {
        let notes = self.notes.iter().filter(|_| !self.is_empty());
        notes.filter(|n| roles::TO_ACCEPT.contains(&n.code.as_str()) && !accepted.contains(&n.code))
    }
}

/// What is done with a resource. A replacement is `["delete","create"]` or `["create","delete"]`;
/// what a replaced container held is `["forget","create"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Only read and referred to.
    Read,
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Remove it.
    Delete,
    /// Take what is there under management, because it carries our marker.
    Adopt,
    /// Drop it from the state without a request.
    Forget,
}

/// One resource of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The resource.
    pub address: Address,
    /// The provider instance that manages it.
    pub instance: InstanceId,
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// Why.
    pub reason: Reason,
    /// How sure the plan is.
    pub certainty: Certainty,
    /// How the change of an object was computed; absent where nothing is written, and for what is no
    /// object of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The digest of what the server said an update would do: it must say so again before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Digest>,
    /// The attributes that change, by path.
    pub attrs: Vec<AttrChange>,
    /// What shall be there, known parts as literals; absent for deletions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Expr>,
    /// The generation that a create gets.
    pub generation: u32,
    /// The digest of what was seen where the desired attributes look; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Digest>,
    /// Direct dependencies: what the record will hold.
    pub depends_on: Vec<Address>,
    /// What contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Address>,
    /// Live fields that other resources refer to and the record must keep.
    pub exports: Vec<AttrPath>,
    /// Whether it is protected from deletion from now on.
    pub protect: bool,
    /// Whether it is left alone when it leaves the spec.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Attributes that are left as they are once it exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<AttrPath>,
    /// How its fields are shared with others that manage it.
    #[serde(default, skip_serializing_if = "Sharing::is_empty")]
    pub sharing: Sharing,
    /// Values with which it is replaced when they change, known parts as literals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace_when: Vec<Trigger>,
    /// Seconds it may take, when the spec says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Where it is declared: `zones/bz.toml:41`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// It comes from a stand-in for a chart that is not vendored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
}

impl Change {
    /// Whether nothing is done.
    pub fn is_no_op(&self) -> bool {
        self.actions
            .iter()
            .all(|a| matches!(a, Action::NoOp | Action::Read))
    }

    /// Whether the resource is replaced: one object goes and another comes in its place.
    pub fn is_replace(&self) -> bool {
        self.actions.contains(&Action::Delete) && self.actions.contains(&Action::Create)
    }
}

/// How sure the plan is of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Compared with the live object.
    Seen,
    /// Its container does not exist yet: it is certain to be absent.
    Predicted,
    /// Compared with the state only; the live object was not looked at.
    Recorded,
    /// The other side could not be read: nothing is done to it.
    Unreadable,
}

/// Why something is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reason {
    /// Nothing differs.
    Unchanged,
    /// It is only read.
    Observed,
    /// It is new in the spec.
    New,
    /// It was there and was removed outside.
    Missing,
    /// The spec changed.
    SpecChanged,
    /// It was changed outside.
    Drifted,
    /// What it refers to changes.
    Follows {
        /// What it follows.
        of: Vec<Address>,
    },
    /// The vendor cannot change these attributes.
    CannotUpdate {
        /// The attributes.
        paths: Vec<AttrPath>,
    },
    /// An earlier run made it, and it never became ready.
    Tainted,
    /// An earlier run began it and did not see it ready.
    Unfinished,
    /// An earlier run began to delete it.
    UnfinishedDelete,
    /// The user asked for it (`--replace`).
    Requested,
    /// A value that it is replaced with changes (`replace_when`).
    Triggered {
        /// The values, as the spec writes them.
        by: Vec<String>,
    },
    /// What it lives in is new.
    ContainerNew {
        /// The container.
        container: Address,
    },
    /// What it lives in is replaced.
    ContainerReplaced {
        /// The container.
        container: Address,
    },
    /// What it lives in is deleted.
    ContainerDeleted {
        /// The container.
        container: Address,
    },
    /// Something outside its container hangs on it, so it goes first, by request.
    EvictFirst {
        /// The container.
        container: Address,
    },
    /// It left the spec.
    LeftSpec,
    /// The zone is destroyed.
    Destroy,
    /// It left the spec, or the zone is destroyed, and the spec said to leave it alone (`keep`).
    Kept,
    /// It left the spec, and the spec says to leave it alone (`[[forget]]`).
    Forgotten,
    /// What it lives in is left alone, so it is, too.
    KeptWith {
        /// The container.
        container: Address,
    },
    /// It left the spec and is gone already.
    GoneAlready,
    /// It carries our marker.
    Marked,
    /// It is somebody else's, whose place is taken (`take_from`).
    TakenOver {
        /// His mark, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<String>,
    },
    /// Its marker is gone, or that of another address: it is put on again.
    Unmarked,
    /// Only what is recorded of it changes (dependencies, protection); no request is sent.
    RecordOnly,
    /// It is as the spec says, and the vendor says that it failed; nothing is done about that.
    Ailing {
        /// What the vendor says.
        error: String,
    },
    /// It could not be read.
    Unreadable {
        /// What the other side said.
        error: String,
    },
}

/// One attribute that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttrChange {
    /// Where.
    pub path: AttrPath,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What shall be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Whether this forces a replacement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Where the new value was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
}

/// A node of the plan's graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it works on.
    pub node: StepNode,
    /// Seconds it typically takes.
    pub seconds: u64,
}

/// What a step works on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepNode {
    /// Opens a provider instance.
    Open {
        /// The instance.
        instance: InstanceId,
    },
    /// Does one action on one resource.
    Act {
        /// The resource.
        address: Address,
        /// The action.
        action: Action,
    },
}

impl std::fmt::Display for StepNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StepNode::Open { instance } => write!(f, "open {instance}"),
            StepNode::Act { address, action } => write!(f, "{} {address}", action.name()),
        }
    }
}

impl Action {
    /// The action's name in JSON and on the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Action::NoOp => "no_op",
            Action::Read => "read",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Adopt => "adopt",
            Action::Forget => "forget",
        }
    }
}

/// `from` must be over before `to` starts. Both are positions in [`Plan::steps`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// What comes first.
    pub from: usize,
    /// What waits.
    pub to: usize,
    /// Why.
    pub why: EdgeReason,
}

/// Why a step waits for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case", deny_unknown_fields)]
pub enum EdgeReason {
    /// It refers to it.
    Refers {
        /// The reference.
        reference: Reference,
    },
    /// It lives in it.
    Contained,
    /// Its provider must be open.
    Provider,
    /// The spec says `after`.
    After,
    /// It follows from what the objects are.
    Implied {
        /// In a few words.
        what: String,
    },
    /// The old one goes before the new one comes.
    Replaced,
    /// What depended on it goes first.
    Reverse,
}

/// Something a reviewer should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code: `ZW3001`.
    pub code: String,
    /// The resource it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// What there is to know.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// How bad a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data, traffic or money is at stake.
    Danger,
    /// Worth a look.
    Warning,
    /// For information.
    Info,
}

/// How long it should take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Seconds along the longest path.
    pub seconds: u64,
    /// The steps of that path, as positions in [`Plan::steps`].
    pub critical_path: Vec<usize>,
}

/// Number of resources per action. A replacement is one replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Replaced.
    pub replace: usize,
    /// Removed by request.
    pub delete: usize,
    /// Taken under management.
    pub adopt: usize,
    /// Dropped from the state.
    pub forget: usize,
    /// Left alone.
    pub no_op: usize,
}

impl Plan {
    /// The canonical bytes: what is saved and hashed.
    pub fn bytes(&self) -> Vec<u8> {
        canon::bytes(self)
    }

    /// What a reviewer approves.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// Whether applying it would do anything.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.changes.iter().all(Change::is_no_op)
    }

    /// The change of a resource.
    pub fn change(&self, address: &Address) -> Option<&Change> {
        self.changes
            .binary_search_by(|c| c.address.cmp(address))
            .ok()
            .map(|i| &self.changes[i])
    }

    /// Resources per action.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for change in &self.changes {
            let has = |a| change.actions.contains(&a);
            let slot = if change.is_no_op() {
                &mut sum.no_op
            } else if change.is_replace() {
                &mut sum.replace
            } else if has(Action::Create) {
                &mut sum.create
            } else if has(Action::Adopt) {
                &mut sum.adopt
            } else if has(Action::Update) {
                &mut sum.update
            } else if has(Action::Delete) {
                &mut sum.delete
            } else {
                &mut sum.forget
            };
            *slot += 1;
        }
        sum
    }
}
