//! The port to the vendors. Planning reads schemas only; sessions read and write.
//!
//! Rules for implementors:
//! - A create is *submitted*: return [`Outcome::Submitted`] with the id as soon as the vendor's reply
//!   is there; the engine journals it and then polls. Never wait inside a create.
//! - A create carries the [`Marker`] where the vendor has a place for it, so that it can be found
//!   again after a lost reply.
//! - Never repeat a request whose fate is unknown, unless repeating it is harmless; report
//!   [`ErrorClass::Ambiguous`] and let the engine look (`Verb::Find`).
//! - Nothing that is secret appears in an error.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::address::{Address, AttrPath, Kind, ZoneName};
use crate::canon::Digest;
use crate::config::Sharing;
use crate::schema::ProviderSchema;
use crate::secret::Secret;
use crate::value::Value;

/// A provider: schemas, and a way to open sessions.
pub trait Provider: Send + Sync {
    /// What it knows, as data.
    fn schema(&self) -> ProviderSchema;

    /// Opens a session. `config` is the wholly known configuration table; for a provider that lives
    /// in a container, `container` is the container's id and the ephemeral output that opens it.
    fn open<'a>(
        &'a self,
        config: &'a Value,
        container: Option<(&'a str, &'a Secret)>,
    ) -> BoxFuture<'a, Result<Arc<dyn Session>, ProviderError>>;
}

/// An open, authenticated connection to one account or cluster.
pub trait Session: Send + Sync {
    /// Looks at all targets, with as few requests as there are pages of lists. The answers are in
    /// the order of the targets. A single target with an id may be read by itself.
    ///
    /// # Errors
    /// Only when nothing at all could be read; a kind that failed is [`Observed::Unreadable`].
    fn refresh<'a>(
        &'a self,
        targets: &'a [ReadTarget],
    ) -> BoxFuture<'a, Result<Vec<Observed>, ProviderError>>;

    /// Carries out one operation.
    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Result<Outcome, ProviderError>>;

    /// Fetches an output that is never stored.
    fn ephemeral<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        output: &'a str,
    ) -> BoxFuture<'a, Result<Secret, ProviderError>>;

    /// What tells the cluster that the session leads into from every other; `None` for a session that
    /// leads into none. Asked once, before anything else goes through the session.
    fn identity(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    /// Asks for today's prices: US cents a month by item of [`crate::cost`]; empty when the vendor
    /// tells none.
    fn quotes(&self) -> BoxFuture<'_, Result<BTreeMap<String, u64>, ProviderError>> {
        Box::pin(async { Ok(BTreeMap::new()) })
    }

    /// The domains that its credentials open, as far as one request tells: lower case, sorted. `None` from
    /// those that have none, or may not list them.
    fn reach(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        Box::pin(async { None })
    }

    /// Looks for everything that carries a mark of the project, recorded or not. Kinds that have no place
    /// for a mark are left out.
    ///
    /// # Errors
    /// Something could not be listed: what was not seen is not known to be absent.
    fn owned<'a>(
        &'a self,
        _search: &'a Search,
    ) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Has the other side try an operation without carrying it out; `None` where nothing can be tried.
    fn try_out<'a>(&'a self, _op: &'a Op) -> BoxFuture<'a, Option<Trial>> {
        Box::pin(async { None })
    }

    /// How long the other side has been silent: since its last answer, or the end of a pause that it
    /// asked for. `None` as long as it never answered, and from whoever does not keep count.
    fn silent_for(&self) -> Option<Duration> {
        None
    }
}

/// The mark that every object we create carries:
/// `zonewright:<lineage, 8 hex>:<sha256 of the address, 10 hex>:g<generation>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The project's lineage, 32 hex digits.
    pub lineage: String,
    /// The address that the object is for.
    pub address: Address,
    /// Rises with each replacement.
    pub generation: u32,
}

impl Marker {
    /// The part that is the same for everything of the project: ends with `:`.
    pub fn project(&self) -> String {
        Marker::project_of(&self.lineage)
    }

    /// The part that is the same for everything of a lineage.
    pub fn project_of(lineage: &str) -> String {
        let lineage = lineage.get(..8).unwrap_or(lineage);
        format!("zonewright:{lineage}:")
    }

    /// The part that is the same for every generation: ends with `:g`.
    pub fn stem(&self) -> String {
        let address = Digest::of(self.address.to_string().as_bytes()).hex();
        format!("{}{}:g", self.project(), &address[..10])
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stem(), self.generation)
    }
}

/// What a live object says of whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It carries this mark of ours, of whatever address and project.
    Carried(String),
    /// It carries none.
    Missing,
    /// There is no place for one, or these credentials may not see it.
    Untold,
}

impl Mark {
    /// The mark, if there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Mark::Carried(text) => Some(text),
            Mark::Missing | Mark::Untold => None,
        }
    }

    /// Whether it is known not to be the mark that is wanted.
    pub fn differs(&self, wanted: &Marker) -> bool {
        match self {
            Mark::Carried(text) => *text != wanted.to_string(),
            Mark::Missing => true,
            Mark::Untold => false,
        }
    }
}

/// What everything of a project is looked for by.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The project's lineage.
    pub lineage: String,
    /// The zones of the spec and of the state.
    pub zones: Vec<ZoneName>,
    /// What is recorded and what is wanted: it says where to look at vendors that have no list of
    /// everything.
    pub places: Vec<Value>,
}

/// Something that carries a mark of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    /// Its kind.
    pub kind: Kind,
    /// What it is, in a few words.
    pub what: String,
    /// The vendor's id, as records have it.
    pub id: String,
    /// The mark; empty where the address itself is written on it.
    pub mark: String,
    /// The address that is written on it, if one is.
    pub address: Option<Address>,
    /// Its attributes, as far as they bill.
    pub attrs: Value,
    /// The command that removes it.
    pub remove: String,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadTarget {
    /// Its address.
    pub address: Address,
    /// Its kind.
    pub kind: Kind,
    /// The vendor's id, when the state has one.
    pub id: Option<String>,
    /// What shall be there (or what was applied, for what left the spec): names it to the vendor.
    /// Parts may be unknown or secret.
    pub desired: Option<Value>,
    /// What it is marked with if it is ours.
    pub marker: Marker,
    /// Whether it is only looked at (`observe = true`), so that it need not be ours.
    pub observe: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// It is there: by id, or by our marker.
    Present(Box<Live>),
    /// Something else has its name and does not carry our marker.
    Foreign(Box<Live>),
    /// A complete list does not have it.
    Gone,
    /// It could not be read; nothing is known about it.
    Unreadable(ProviderError),
}

/// A live object.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The vendor's id. For Kubernetes objects the uid.
    pub id: String,
    /// Its attributes in the spec's terms and its outputs, in one map. For Kubernetes objects the
    /// object (without `managedFields`), with the data of Secrets as [`Value::Secret`].
    pub attrs: Value,
    /// What it says of whose it is.
    pub mark: Mark,
    /// How far it is.
    pub status: Status,
}

/// How far a live object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It can be used.
    Ready,
    /// The vendor is still at work: why, in a few words.
    Pending(String),
    /// It will not become ready by itself: why.
    Failed(String),
    /// It is on its way out.
    Deleting,
}

/// One operation on one resource.
#[derive(Debug, Clone)]
pub struct Op {
    /// The resource.
    pub address: Address,
    /// Its kind.
    pub kind: Kind,
    /// Its mark.
    pub marker: Marker,
    /// The mark that it carries so far, when it was made under another address.
    pub former: Option<Marker>,
    /// How its fields are shared with others; empty for what is no object of a cluster.
    pub sharing: Sharing,
    /// What to do.
    pub verb: Verb,
}

impl Op {
    /// Whether a mark is of this resource: under its address, or under the one it had before.
    pub fn owns(&self, mark: &str) -> bool {
        let mut own = std::iter::once(&self.marker).chain(&self.former);
        own.any(|m| mark.starts_with(&m.stem()))
    }
}

/// What to do with a resource. All values are wholly known; secrets hold their values.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Make it.
    Create {
        /// All attributes of the spec.
        desired: Value,
    },
    /// Change it in place.
    Update {
        /// The vendor's id.
        id: String,
        /// All attributes of the spec.
        desired: Value,
        /// The attributes that differ.
        changed: Vec<AttrPath>,
        /// What is there now.
        live: Value,
    },
    /// Remove it.
    Delete {
        /// The vendor's id.
        id: String,
        /// What was recorded of it (attributes and outputs).
        prior: Value,
    },
    /// Look how far it is.
    Poll {
        /// The vendor's id.
        id: String,
        /// What is waited for.
        wait: Wait,
        /// The attributes that were asked for, or what was recorded of what goes.
        context: Value,
    },
    /// Look for everything that carries the marker, or has the name that was asked for: the reply to
    /// a create was lost. A kind that has no place for a mark (a database, a user, a fresh replica)
    /// is known by its parent and name alone; what has them is reported with the marker asked for.
    Find {
        /// All attributes of the spec.
        desired: Value,
    },
}

impl Verb {
    /// The verb's name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Create { .. } => "create",
            Verb::Update { .. } => "update",
            Verb::Delete { .. } => "delete",
            Verb::Poll { .. } => "poll",
            Verb::Find { .. } => "find",
        }
    }
}

/// What a poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It exists, is ready and has what was asked for.
    Ready,
    /// It does not exist any more.
    Gone,
}

/// What came of an operation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Done: this is what is there now.
    Ready(Box<Live>),
    /// The vendor accepted it and works on it; poll `id`.
    Submitted {
        /// The vendor's id.
        id: String,
        /// What is known of it already.
        attrs: Value,
        /// An upper bound on the pause between polls: the engine starts lower and ramps up to it.
        poll_after: Duration,
    },
    /// Not there yet.
    Pending {
        /// Why, in a few words; shown as progress.
        detail: String,
        /// An upper bound on the pause between polls: the engine starts lower and ramps up to it.
        poll_after: Duration,
    },
    /// Not there yet, and something keeps it from getting there that seldom goes away by itself.
    Stuck {
        /// What, in a few words.
        detail: String,
        /// An upper bound on the pause between polls: the engine starts lower and ramps up to it.
        poll_after: Duration,
        /// How long it may be so, without a break, before it is given up.
        patience: Duration,
    },
    /// It does not exist (any more).
    Gone,
    /// What [`Verb::Find`] found.
    Found(Vec<Live>),
}

/// Fields of an object that another field manager applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The manager's name.
    pub manager: String,
    /// The fields, as paths of the spec.
    pub fields: Vec<String>,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` applies {}", self.manager, self.fields.join(", "))
    }
}

/// Several claims in one line.
pub fn claimed(claims: &[Claim]) -> String {
    let all: Vec<String> = claims.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// What the other side says of an operation that it only tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// It would do it, and this is what would be there.
    Accepted(Box<Live>),
    /// It would do it in the place of others: what would be there, and what those had of it until now. What of
    /// that the spec does not say goes.
    Succeeds(Box<Live>, Box<Live>),
    /// It would refuse it, whatever else is done before.
    Refused(ProviderError),
    /// It would refuse it, because these fields cannot change once the object is there.
    Immutable(Vec<AttrPath>),
    /// It would refuse it, because others apply fields of it and say something else.
    Disputed(Vec<Claim>),
    /// It cannot say: it may not be asked, does not answer, or something else has to be there first.
    Untried(String),
}

/// Why something did not work, and what follows from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request did not leave this machine: repeating is safe.
    NotSent,
    /// Would probably work in a moment, and repeating is harmless.
    Transient {
        /// When to try again, if the vendor said so.
        after: Option<Duration>,
    },
    /// Too many requests; nothing was done.
    RateLimited {
        /// When to try again, if the vendor said so.
        after: Option<Duration>,
    },
    /// Nothing was done, but it will work later: something else has to happen first (a backup, the
    /// departure of a member). Repeating is always safe; the engine does so for a long time.
    NotYet {
        /// When to try again, if that is known.
        after: Option<Duration>,
    },
    /// It may or may not have been done.
    Ambiguous,
    /// There is no such thing.
    NotFound,
    /// Something else is in the way, or it was changed by somebody else.
    Conflict,
    /// The vendor does not accept the values.
    Invalid,
    /// The credentials are wrong or expired.
    Unauthorized,
    /// The credentials lack the right.
    Denied,
    /// The session leads into another cluster than the one that is meant: nothing may be sent.
    WrongCluster,
    /// The other side cannot be reached at all.
    Unreachable,
    /// It failed for good.
    Failed,
    /// A contract was broken by us.
    Bug,
}

/// An error from a vendor, without any secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What follows from it.
    pub class: ErrorClass,
    /// What the vendor said, or what happened.
    pub message: String,
    /// The attribute it is about.
    pub at: Option<AttrPath>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
}

impl ProviderError {
    /// An error with a class and a message. What a vendor says is kept on one line: with lines of its own it
    /// could look like something that is not said by us, or be a command to who reads the log.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> ProviderError {
        let message: String = message.into();
        ProviderError {
            class,
            message: message.replace(['\n', '\r'], " "),
            at: None,
            request_id: None,
        }
    }
}
