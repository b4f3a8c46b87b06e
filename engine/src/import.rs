//! Taking something that exists, and that we did not make, under management. Pure.

use crate::address::Address;
use crate::observe::{Inputs, Observations};
use crate::provider::{Live, Marker, Observed};
use crate::snapshot::{Contained, Record};
use crate::value::{Map, Value};

/// Why something cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The spec does not have the resource.
    #[error("{0} is not in the spec")]
    NotInSpec(Address),
    /// It is managed already.
    #[error("{0} is managed already")]
    Managed(Address),
    /// It is managed under another address: it was renamed, or two addresses mean one thing.
    #[error(
        "{address} and {other} name one thing; take one out of the spec, or write `[[moved]]` when it was renamed"
    )]
    Elsewhere {
        /// The resource.
        address: Address,
        /// What it is recorded under.
        other: Address,
    },
    /// Nothing like it exists.
    #[error("nothing at the vendor has the name of {0}")]
    NotThere(Address),
    /// What has its name has another id.
    #[error("what has the name of {address} has the id {found}, not {asked}")]
    OtherId {
        /// The resource.
        address: Address,
        /// The id that was found.
        found: String,
        /// The id that was asked for.
        asked: String,
    },
    /// It could not be read.
    #[error("{address} could not be read: {error}")]
    Unreadable {
        /// The resource.
        address: Address,
        /// What the other side said.
        error: String,
    },
}

/// Something that exists under the name of a wanted resource and is not managed.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoptable<'a> {
    /// The resource.
    pub address: &'a Address,
    /// What is there. Its mark is that of another project, or of another address of this one.
    pub live: &'a Live,
}

/// All that can be taken under management. What is recorded under another address was renamed, which is
/// for `[[moved]]` to say.
pub fn adoptable<'a>(
    inputs: &'a Inputs,
    seen: &'a Observations,
) -> impl Iterator<Item = Adoptable<'a>> {
    let wanted = |a: &Address| inputs.wanted(a).is_some_and(|r| !r.meta.observe);
    let unknown = move |a: &Address| wanted(a) && inputs.state.record(a).is_none();
    let foreign = |(address, observed): (&'a Address, &'a Observed)| match observed {
        Observed::Foreign(live) => Some(Adoptable { address, live }),
        _ => None,
    };
    let all = seen.seen.iter().filter(move |(a, _)| unknown(a));
    all.filter_map(foreign)
        .filter(|a| managed_as(inputs, a.live, a.address).is_none())
}

/// The records of what is taken in one look.
///
/// # Errors
/// Two resources of the spec name one thing.
pub fn adopt<'a>(
    inputs: &Inputs,
    seen: &Observations,
    taken: impl IntoIterator<Item = Adoptable<'a>>,
) -> Result<Vec<Record>, ImportError> {
    let mut records: Vec<Record> = Vec::new();
    for Adoptable { address, live } in taken {
        let same = |r: &&Record| r.id == live.id && r.address.kind == address.kind;
        if let Some(twice) = records.iter().find(same) {
            return Err(ImportError::Elsewhere {
                address: address.clone(),
                other: twice.address.clone(),
            });
        }
        records.push(import(inputs, seen, address, &live.id)?);
    }
    Ok(records)
}

/// What something that is live is recorded under already.
fn managed_as<'a>(inputs: &'a Inputs, live: &Live, address: &Address) -> Option<&'a Address> {
    let mut records = inputs.state.records();
    let same = |r: &&Record| r.id == live.id && r.address.kind == address.kind;
    records.find(same).map(|r| &r.address)
}

/// The record of an existing object. What the spec wants of it is left to the next plan.
///
/// # Errors
/// The object is not what was asked for, or cannot be seen.
pub fn import(
    inputs: &Inputs,
    seen: &Observations,
    address: &Address,
    id: &str,
) -> Result<Record, ImportError> {
    let resource = inputs
        .config
        .resources
        .get(address)
        .ok_or_else(|| ImportError::NotInSpec(address.clone()))?;
    if inputs.state.record(address).is_some() {
        return Err(ImportError::Managed(address.clone()));
    }
    let live = match seen.seen.get(address) {
        Some(Observed::Foreign(live) | Observed::Present(live)) => live,
        Some(Observed::Unreadable(error)) => {
            return Err(ImportError::Unreadable {
                address: address.clone(),
                error: error.message.clone(),
            });
        }
        Some(Observed::Gone) | None => return Err(ImportError::NotThere(address.clone())),
    };
    if let Some(other) = managed_as(inputs, live, address) {
        return Err(ImportError::Elsewhere {
            address: address.clone(),
            other: other.clone(),
        });
    }
    if live.id != id {
        return Err(ImportError::OtherId {
            address: address.clone(),
            found: live.id.clone(),
            asked: id.to_owned(),
        });
    }
    let container = inputs.container_of(address);
    Ok(Record {
        inputs: identity(inputs, address, live),
        outputs: outputs(inputs, address, live),
        contained_in: container.and_then(|outer| {
            let id = seen.live(&outer)?.id.clone();
            Some(Box::new(Contained { address: outer, id }))
        }),
        protect: resource.meta.protect,
        keep: resource.meta.keep,
        ..Record::new(address.clone(), resource.instance.clone(), &live.id)
    })
}

/// A value as a spec would say it.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// As it is.
    Plain(Value),
    /// The id of another resource, which is referred to: `${digitalocean.vpc.main.id}`.
    IdOf(Address),
}

/// What a spec would say of something live: every attribute of its kind that the vendor tells and that is not
/// empty. Secrets are never told. The ids of what is recorded in the same zone, or is shared, become references.
pub fn described(inputs: &Inputs, address: &Address, live: &Live) -> Vec<(&'static str, Said)> {
    let schema = inputs.registry.kind(&address.kind);
    let attrs = schema.into_iter().flat_map(|s| &s.attrs);
    let told = attrs.filter(|a| !a.secret && !a.write_only);
    let own = Marker::project_of(&inputs.lineage);
    let said = told.filter_map(|attr| {
        let value = without_marks(live.attrs.get(attr.name)?, &own)?;
        let other = value
            .as_str()
            .and_then(|id| recorded_as(inputs, address, id));
        Some((attr.name, other.map_or(Said::Plain(value), Said::IdOf)))
    });
    said.collect()
}

/// A value that can be written down: without nulls, empty parts and marks of ours. Nothing when nothing is left,
/// or a secret is in it.
fn without_marks(value: &Value, own: &str) -> Option<Value> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        Value::String(text) => (!text.is_empty() && !text.contains(own)).then(|| value.clone()),
        Value::List(items) => {
            let left = items.iter().filter_map(|v| without_marks(v, own));
            let left: Vec<Value> = left.collect();
            (!left.is_empty()).then_some(Value::List(left))
        }
        Value::Map(map) => {
            let left = map
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), without_marks(v, own)?)));
            let left: Map = left.collect();
            (!left.is_empty()).then_some(Value::Map(left))
        }
        Value::Null | Value::Secret(_) | Value::Unknown(_) => None,
    }
}

fn recorded_as(inputs: &Inputs, address: &Address, id: &str) -> Option<Address> {
    let near = |r: &&Record| r.address.zone == address.zone || r.address.zone.is_edge();
    let referable = |r: &&Record| {
        let schema = inputs.registry.kind(&r.address.kind);
        r.address != *address && schema.is_some_and(|s| s.output("id").is_some())
    };
    let records = inputs.state.records().filter(near).filter(referable);
    let same: Vec<&Record> = records.filter(|r| r.id == id).collect();
    // What has no id of its own goes by that of what it belongs to.
    let belongs = |r: &&&Record| same.iter().any(|o| r.depends_on.contains(&o.address));
    let found = same.iter().find(|r| !belongs(r))?;
    Some(found.address.clone())
}

/// What names the object; nothing was applied to it yet.
fn identity(inputs: &Inputs, address: &Address, live: &Live) -> Value {
    let keep = |keys: &[&str]| -> Map {
        keys.iter()
            .filter_map(|k| Some(((*k).to_owned(), live.attrs.get(k)?.clone())))
            .collect()
    };
    if inputs.object_rules(address).is_none() {
        let names = inputs
            .registry
            .kind(&address.kind)
            .map_or(&[][..], |k| k.identity);
        return Value::Map(keep(names));
    }
    let mut out = keep(&["apiVersion", "kind"]);
    if let Some(Value::Map(metadata)) = live.attrs.get("metadata") {
        let named = |k: &&str| Some(((*k).to_owned(), metadata.get(k)?.clone()));
        let named: Map = ["name", "namespace"].iter().filter_map(named).collect();
        out.insert("metadata".to_owned(), Value::Map(named));
    }
    Value::Map(out)
}

fn outputs(inputs: &Inputs, address: &Address, live: &Live) -> Value {
    let schema = inputs.registry.kind(&address.kind);
    let declared = schema.into_iter().flat_map(|s| &s.outputs);
    let stored = declared.filter(|o| !o.ephemeral).filter_map(|o| {
        let value = live.attrs.get(o.name)?.clone();
        Some((o.name.to_owned(), value))
    });
    Value::Map(stored.collect()).rekeyed(inputs.digest_key.as_ref())
}
