//! What a kind is, as data: the one source of types, checks, documentation and editor schemas.
//!
//! Planning reads nothing else of a provider: which change replaces, what contains what, what comes
//! out, what is secret, how long it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use crate::address::{Address, Kind};
use crate::cost::PriceRules;
use crate::value::Value;

/// The type of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A whole number in one of these ranges, both ends included.
    Within(&'static [(i64, i64)]),
    /// Text.
    String,
    /// Text that is one of these.
    OneOf(&'static [&'static str]),
    /// An IPv4 or IPv6 network: `10.10.0.0/16`.
    Cidr,
    /// A duration in text: `90s`, `20m`, `1h 30m`.
    Duration,
    /// A list of one type.
    List(Box<Type>),
    /// A map from text to one type.
    Map(Box<Type>),
    /// A table with known attributes.
    Object(Vec<Attr>),
    /// Anything.
    Any,
}

/// What a change of an attribute does to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// It is changed in place.
    InPlace,
    /// The vendor cannot change it: the resource is replaced.
    Replace,
}

/// When two values of an attribute mean the same to the vendor. A fixed list, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equality {
    /// Equal values.
    Exact,
    /// The same network, however it is written.
    Cidr,
    /// The same name ignoring case and a trailing dot.
    HostName,
    /// The declared version is a prefix of the live one at a segment boundary (`1.34` and
    /// `1.34.1-do.2`).
    VersionPrefix,
    /// The same set of texts ignoring case and order; more on the live side is no difference.
    TagSet,
    /// The same items in any order.
    Unordered,
    /// Ignoring case.
    IgnoreCase,
}

/// Names that a vendor gives to what it offers: regions, sizes, versions. Vendors add some, so a name that
/// is not known is warned of, and only one that cannot be a name of theirs is a mistake.
#[derive(Debug)]
pub struct Names {
    /// What they name: `region`.
    pub what: &'static str,
    /// Whether a text can be one.
    pub fits: fn(&str) -> bool,
    /// How they look: `sfo3`.
    pub example: &'static str,
    /// Those that are known; empty when nobody keeps a list.
    pub known: &'static [&'static str],
    /// What one stands for, as figures of which larger is more.
    pub rank: fn(&str) -> Option<Vec<u64>>,
}

impl Names {
    /// Whether a text is known, or more exact than what is known (`8.0` where `8` is), or nobody keeps a list.
    pub fn knows(&self, text: &str) -> bool {
        let same = |known: &&str| {
            text.eq_ignore_ascii_case(known)
                || text
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        self.known.is_empty() || self.known.iter().any(same)
    }

    /// Whether one stands for less than another: in some figure less, in none more.
    pub fn is_less(&self, one: &str, other: &str) -> bool {
        let (Some(one), Some(other)) = ((self.rank)(one), (self.rank)(other)) else {
            return false;
        };
        let none_more = one.iter().zip(&other).all(|(a, b)| a <= b);
        none_more && one != other
    }
}

/// There is one of each list.
impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        self.what == other.what && self.known == other.known
    }
}

/// One attribute of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Attr {
    /// Its name in the spec.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it must be given.
    pub required: bool,
    /// What a change does.
    pub on_change: OnChange,
    /// When two values are the same.
    pub equal: Equality,
    /// Whether its value must come from a secret reference.
    pub secret: bool,
    /// Whether the vendor never reports it back, so that it is compared with what was applied.
    pub write_only: bool,
    /// The vendor's names that it takes one of.
    pub names: Option<&'static Names>,
    /// One sentence of documentation.
    pub doc: &'static str,
}

impl Attr {
    /// A required attribute that changes in place.
    pub fn required(name: &'static str, ty: Type, doc: &'static str) -> Attr {
        Attr {
            name,
            ty,
            required: true,
            on_change: OnChange::InPlace,
            equal: Equality::Exact,
            secret: false,
            write_only: false,
            names: None,
            doc,
        }
    }

    /// An optional attribute that changes in place.
    pub fn optional(name: &'static str, ty: Type, doc: &'static str) -> Attr {
        Attr {
            required: false,
            ..Attr::required(name, ty, doc)
        }
    }

    /// The same, but a change replaces the resource.
    #[must_use]
    pub fn replaces(self) -> Attr {
        Attr {
            on_change: OnChange::Replace,
            ..self
        }
    }

    /// The same, with another equality.
    #[must_use]
    pub fn equal(self, equal: Equality) -> Attr {
        Attr { equal, ..self }
    }

    /// The same, but one of the vendor's names.
    #[must_use]
    pub fn named(self, names: &'static Names) -> Attr {
        Attr {
            names: Some(names),
            ..self
        }
    }

    /// The same, but only a secret reference is accepted.
    #[must_use]
    pub fn secret(self) -> Attr {
        Attr {
            secret: true,
            ..self
        }
    }

    /// The same, but never reported back by the vendor.
    #[must_use]
    pub fn write_only(self) -> Attr {
        Attr {
            write_only: true,
            ..self
        }
    }
}

/// A value that a resource has once it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name, as references use it.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it is a secret: kept in memory, stored as a digest.
    pub secret: bool,
    /// Whether it is fetched when needed and never stored at all (credentials that expire).
    pub ephemeral: bool,
    /// One sentence of documentation.
    pub doc: &'static str,
}

impl Output {
    /// A stored output.
    pub fn plain(name: &'static str, ty: Type, doc: &'static str) -> Output {
        Output {
            name,
            ty,
            secret: false,
            ephemeral: false,
            doc,
        }
    }

    /// An output that is a secret.
    pub fn secret(name: &'static str, doc: &'static str) -> Output {
        Output {
            name,
            ty: Type::String,
            secret: true,
            ephemeral: false,
            doc,
        }
    }

    /// A secret that is fetched when needed.
    pub fn ephemeral(name: &'static str, doc: &'static str) -> Output {
        Output {
            name,
            ty: Type::Any,
            secret: true,
            ephemeral: true,
            doc,
        }
    }
}

/// How a spec table of a kind becomes resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The table is the resource.
    Attributes,
    /// The table names Kubernetes objects, in `object` or in a YAML `file`.
    Manifest,
    /// The table names a chart whose vendored rendering holds Kubernetes objects.
    Chart,
    /// The table is a Kubernetes Secret.
    SecretObject,
}

/// How long the vendor typically takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typical {
    /// To create it, until it is ready.
    pub create: Duration,
    /// To change it in place.
    pub update: Duration,
    /// To delete it, until it is gone.
    pub delete: Duration,
    /// The attribute that names what it is made from, and how long that must have been ready before it
    /// can be: the vendor copies from something that a fresh source does not have yet.
    pub source: Option<(&'static str, Duration)>,
    /// To make a replica a database of its own; absent for what is none.
    pub promote: Option<Duration>,
}

impl Typical {
    /// In seconds: create, update, delete.
    pub const fn secs(create: u64, update: u64, delete: u64) -> Typical {
        Typical {
            create: Duration::from_secs(create),
            update: Duration::from_secs(update),
            delete: Duration::from_secs(delete),
            source: None,
            promote: None,
        }
    }

    /// The same for what is made from something that must have been ready for this many seconds.
    pub const fn made_from(self, attr: &'static str, seconds: u64) -> Typical {
        Typical {
            source: Some((attr, Duration::from_secs(seconds))),
            ..self
        }
    }

    /// The same for a replica, whose promotion takes this many seconds.
    pub const fn promoted_in(self, seconds: u64) -> Typical {
        Typical {
            promote: Some(Duration::from_secs(seconds)),
            ..self
        }
    }
}

/// What contains a resource: when it goes, the resource goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containment {
    /// Nothing.
    None,
    /// The resource that this attribute refers to (a database's cluster).
    Attribute(&'static str),
    /// The resource that the provider instance lives in (a Kubernetes cluster).
    Instance,
}

/// What a kind is to a platform. Planning, checks and lints find kinds by their part and never by a
/// name, so that another vendor's kinds are found too. A part promises the attributes it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A private network of its own: `ip_range`.
    Network,
    /// A Kubernetes cluster: `vpc`.
    Cluster,
    /// A database server that takes writes: `vpc`, `region`, `size`; puts out `ca`.
    Writer,
    /// A read-only copy of a writer: `source`, `vpc`, `region`, `size`; puts out `ca`. `role` = `primary`
    /// promotes it.
    Replica,
    /// A database of a writer: `cluster`, `name`.
    Database,
    /// A login of a writer: `cluster`, `name`; puts out `password`.
    DatabaseUser,
    /// Who may reach a database server: `cluster`, `clusters` and `addresses`.
    DatabaseFirewall,
    /// A DNS record: `zone`, `name`, `type`, `content`, `ttl`, `proxied`.
    DnsRecord,
}

/// A rule of the vendor's that the spec alone decides: looked at when the spec is read, so that nothing is
/// refused in the middle of an apply.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The attribute that is named when it is broken.
    pub attr: &'static str,
    /// Why the vendor refuses a resource with these attributes. What is not known yet is no text, number or
    /// boolean in there, and is given the benefit of the doubt.
    pub refused: fn(&Json) -> Option<&'static str>,
}

/// Everything about a kind.
#[derive(Debug, Clone)]
pub struct KindSchema {
    /// The kind.
    pub kind: Kind,
    /// What it is to a platform, if anything has to know.
    pub part: Option<Part>,
    /// One sentence of documentation.
    pub doc: &'static str,
    /// How a spec table becomes resources.
    pub form: Form,
    /// The attributes of the spec table.
    pub attrs: Vec<Attr>,
    /// What comes out. Kubernetes objects put out their live fields and declare none.
    pub outputs: Vec<Output>,
    /// What contains it.
    pub contained_in: Containment,
    /// Whether the vendor keeps our marker with the create itself. What has no place for it is known
    /// by its name within its parent, once a create was announced.
    pub marked: bool,
    /// Whether it stays while its zone is `off`: it costs nothing, and recovery needs it.
    pub kept_when_off: bool,
    /// Whether it holds data: never deleted or replaced unless the spec says `protect = false`.
    pub protect: bool,
    /// How long things take.
    pub typical: Typical,
    /// The attributes that name it to the vendor, for the message about a foreign object.
    pub identity: &'static [&'static str],
    /// What the vendor refuses beyond types.
    pub checks: &'static [Check],
}

impl KindSchema {
    /// Whether its resources are Kubernetes objects.
    pub fn is_object(&self) -> bool {
        self.form != Form::Attributes
    }

    /// An attribute by name.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.iter().find(|a| a.name == name)
    }

    /// An output by name.
    pub fn output(&self, name: &str) -> Option<&Output> {
        self.outputs.iter().find(|o| o.name == name)
    }
}

/// An order between two Kubernetes objects (or like resources) that follows from what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implied {
    /// What comes first.
    pub before: Address,
    /// What waits for it.
    pub after: Address,
    /// Why, in a few words: `its namespace`, `its custom resource definition`.
    pub why: &'static str,
}

/// What objects need to be tried at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A namespace, by name.
    Namespace(String),
    /// A kind, by group and name.
    Kind(String, String),
}

/// How an object makes something reachable from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// In a few words: `a Service of type LoadBalancer`.
    pub what: String,
    /// The path of the object that says so: `spec.type`.
    pub path: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

/// A field of an object whose value is of another type than the server takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misfit {
    /// The keys and indexes that lead to it.
    pub path: Vec<String>,
    /// What the server takes, with its article: `a whole number`.
    pub wanted: &'static str,
    /// What is there: `text`.
    pub found: &'static str,
}

/// An object that the pods of another one do not start without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Its kind: `Secret`. All are in the core group but the classes.
    pub kind: &'static str,
    /// Its name. What has a namespace is in that of the pods.
    pub name: String,
}

/// Facts about Kubernetes objects that planning needs; pure functions and tables.
#[derive(Debug, Clone, Copy)]
pub struct ObjectRules {
    /// The form in which a desired and a live object are compared: quantities, nulls, secret data.
    /// Unknown and secret leaves survive.
    pub canonical: fn(&Value) -> Value,
    /// Orders that follow from the objects themselves.
    pub implied: fn(&[(&Address, &Value)]) -> Vec<Implied>,
    /// What an object's pods name: Secrets, ConfigMaps and the like, as variables or as files; nothing of
    /// what runs no pods.
    pub needs: fn(&Value) -> Vec<Need>,
    /// Paths that the server refuses to change, by `group/Kind` (`core` for the empty group).
    pub immutable: &'static [(&'static str, &'static str)],
    /// Whether an object whose immutable fields change is replaced without being asked for: what runs to
    /// its end and holds nothing.
    pub replaced_freely: fn(&Value) -> bool,
    /// What would be lost if an object was replaced, for those that are only replaced by name (`--replace`).
    pub never_replaced: fn(&Value) -> Option<&'static str>,
    /// Whether an object must be deleted by request before its cluster goes, because something
    /// outside the cluster hangs on it (a load balancer, a volume).
    pub evict_first: fn(&Value) -> bool,
    /// How the object makes what is in the cluster reachable from outside, if it does; for desired
    /// and live objects alike.
    pub exposes: fn(&Value) -> Option<Exposure>,
    /// How long the object may take by what it says itself, if it says so.
    pub deadline: fn(&Value) -> Option<Duration>,
    /// How long the object typically takes to be ready.
    pub typical: fn(&Value) -> Duration,
    /// The field that identifies an item of a list at a path (`name` for containers), by the last
    /// two keys of the path; `None` for lists that are compared by position.
    pub list_key: fn(&[&str]) -> Option<&'static [&'static str]>,
    /// Whether an object of others that carries a mark, or none, is taken over by a spec that takes the place of
    /// these tools and field managers.
    pub takes: fn(Option<&str>, &[String]) -> bool,
    /// The tool that a mark is of, as a spec calls it.
    pub tool: fn(&str) -> Option<&'static str>,
    /// The fields of built-in kinds that the server would refuse for their type. What is not known yet is no
    /// text, number or boolean, and fits.
    pub misfits: fn(&Json) -> Vec<Misfit>,
    /// Fields that the server does not keep while they are false, zero or empty.
    pub zero_is_unset: &'static [&'static str],
    /// What an object brings into being for others: without it the server cannot even try them.
    pub brings: fn(&Value) -> Option<Ground>,
    /// What of other objects the pods of a workload read once, when they start: it is rolled when that
    /// changes. Nothing for what runs no pods, or ends by itself.
    pub reads_at_start: fn(&Value) -> Vec<Need>,
    /// What has to be there for the server to try an object.
    pub stands_on: fn(&Value) -> Vec<Ground>,
}

/// What a provider's configuration table links it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLink {
    /// The attribute that refers to the container (`cluster`).
    pub attr: &'static str,
    /// The kind of the container.
    pub kind: Kind,
    /// The container's ephemeral output that opens a session (`credentials`).
    pub output: &'static str,
    /// The attribute that opens a session without a container (`kubeconfig`).
    pub instead: &'static str,
}

/// Everything about a provider.
#[derive(Debug, Clone)]
pub struct ProviderSchema {
    /// Its name: `digitalocean`.
    pub name: &'static str,
    /// One sentence of documentation.
    pub doc: &'static str,
    /// The attributes of `[providers.NAME]`.
    pub config: Vec<Attr>,
    /// Set for a provider whose instances live inside a resource.
    pub container: Option<ContainerLink>,
    /// Its kinds.
    pub kinds: Vec<KindSchema>,
    /// Rules for its objects, when its kinds are Kubernetes objects.
    pub objects: Option<ObjectRules>,
    /// What the vendor charges and promises.
    pub facts: VendorFacts,
}

/// What a vendor charges and promises.
#[derive(Debug, Clone, Copy, Default)]
pub struct VendorFacts {
    /// How its resources are billed; without rules every price is unknown.
    pub prices: Option<PriceRules>,
    /// How often it backs up what holds data by itself; `None` when it does not.
    pub backup_every: Option<Duration>,
    /// How a backup is restored by hand, as lines for a shell.
    pub restore_by_hand: Option<fn(&HandRestore<'_>) -> Vec<String>>,
    /// The id of a database or a user, from its server's id and its own name.
    pub inside: Option<fn(server: &str, name: &str) -> String>,
    /// Names that people know from elsewhere and that its table must not have, with the reason.
    pub unwanted: &'static [(&'static str, &'static str)],
}

/// A restore that is done by hand. Texts may hold shell expansions only where it is said.
#[derive(Debug, Clone)]
pub struct HandRestore<'a> {
    /// The shell expansion of the token: `$DIGITALOCEAN_TOKEN`.
    pub token: &'a str,
    /// The shell expansion of the backup's timestamp: `$BACKUP`.
    pub backup: &'a str,
    /// The attributes of the cluster whose backup it is; what is only known later is a shell expansion.
    pub source: &'a Value,
    /// What each expansion in there looks like.
    pub expansions: &'a [String],
    /// The name of the new cluster.
    pub name: &'a str,
    /// Its size.
    pub size: &'a str,
    /// Its region.
    pub region: &'a str,
}

/// All providers' schemas.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: BTreeMap<&'static str, ProviderSchema>,
}

impl Registry {
    /// Collects schemas.
    pub fn new(schemas: impl IntoIterator<Item = ProviderSchema>) -> Registry {
        Registry {
            providers: schemas.into_iter().map(|s| (s.name, s)).collect(),
        }
    }

    /// A provider by name.
    pub fn provider(&self, name: &str) -> Option<&ProviderSchema> {
        self.providers.get(name)
    }

    /// All providers in name order.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderSchema> {
        self.providers.values()
    }

    /// A kind's schema.
    pub fn kind(&self, kind: &Kind) -> Option<&KindSchema> {
        self.providers
            .get(kind.provider())?
            .kinds
            .iter()
            .find(|k| k.kind == *kind)
    }

    /// What a kind is to a platform.
    pub fn part(&self, kind: &Kind) -> Option<Part> {
        self.kind(kind)?.part
    }

    /// All kinds, by provider and then in declared order.
    pub fn kinds(&self) -> impl Iterator<Item = &KindSchema> {
        self.providers.values().flat_map(|p| p.kinds.iter())
    }
}
