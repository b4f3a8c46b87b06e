//! Two snapshots of one shard: what differs, and the entries that make one the other. Pure.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::{Address, AttrPath};
use zonewright_engine::journal::{Entry, IllegalEntry, fold};
use zonewright_engine::plan::AttrChange;
use zonewright_engine::snapshot::{OpenIntent, Record, Snapshot};
use zonewright_engine::value::{Map, Text, Value};

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not recorded before.
    Added,
    /// It is not recorded after.
    Removed,
    /// The same object is recorded under another address.
    Moved {
        /// The address before.
        from: Address,
    },
    /// Something of it differs.
    Changed,
}

/// One record that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its address: after, or before when it is gone.
    pub address: Address,
    /// The vendor's id.
    pub id: String,
    /// What became of it.
    pub how: Change,
    /// What differs of it; empty when it came or went as a whole.
    pub attrs: Vec<AttrChange>,
}

/// What differs, by address.
pub fn compare(before: &Snapshot, after: &Snapshot) -> Vec<Difference> {
    let (then, now) = (all(before), all(after));
    let mut came: BTreeMap<(&str, &str), &Address> = BTreeMap::new();
    for (address, there) in &now {
        if !then.contains_key(address) && !there.id().is_empty() {
            came.insert((there.id(), address.kind.name()), address);
        }
    }
    let mut out = Vec::new();
    let mut moved = BTreeSet::new();
    for (address, there) in &then {
        let same = now.get(address).map(|now| (*address, now));
        let other = || {
            let to = *came.get(&(there.id(), address.kind.name()))?;
            (to.kind == address.kind).then_some((to, &now[to]))
        };
        let Some((to, here)) = same.or_else(other) else {
            out.push(whole(address, there, Change::Removed));
            continue;
        };
        let attrs = differences(&there.tree(), &here.tree());
        let how = match to == *address {
            true if attrs.is_empty() => continue,
            true => Change::Changed,
            false => Change::Moved {
                from: (*address).clone(),
            },
        };
        moved.insert(to);
        out.push(Difference {
            attrs,
            ..whole(to, here, how)
        });
    }
    for (address, there) in &now {
        if !then.contains_key(address) && !moved.contains(address) {
            out.push(whole(address, there, Change::Added));
        }
    }
    out.sort_by(|a, b| a.address.cmp(&b.address));
    out
}

fn whole(address: &Address, there: &There<'_>, how: Change) -> Difference {
    Difference {
        address: address.clone(),
        id: there.id().to_owned(),
        how,
        attrs: Vec::new(),
    }
}

/// What is known of one address.
struct There<'a> {
    record: Option<&'a Record>,
    open: Option<&'a OpenIntent>,
}

fn all(snapshot: &Snapshot) -> BTreeMap<&Address, There<'_>> {
    let addresses = snapshot.records.keys().chain(snapshot.open.keys());
    addresses
        .map(|address| {
            let there = There {
                record: snapshot.record(address),
                open: snapshot.open.get(address),
            };
            (address, there)
        })
        .collect()
}

impl There<'_> {
    fn id(&self) -> &str {
        self.record.map_or("", |r| r.id.as_str())
    }

    /// Everything that is compared, as one tree.
    fn tree(&self) -> Value {
        let mut out = Map::new();
        let mut text = |name: &str, text: String| out.insert(name.to_owned(), Value::text(text));
        if let Some(open) = self.open {
            text(
                "operation",
                format!("{} ({:?})", open.op, open.action).to_lowercase(),
            );
        }
        if let Some(record) = self.record {
            text("id", record.id.clone());
            text("status", format!("{:?}", record.status).to_lowercase());
            text("provider", record.instance.to_string());
            text("generation", record.generation.to_string());
            text("protected", record.protect.to_string());
            if let Some(inside) = &record.contained_in {
                text("lives in", format!("{} ({})", inside.address, inside.id));
            }
            if let Some(marked) = &record.marked {
                text("marked as", marked.to_string());
            }
            let dependencies = record.depends_on.iter().map(ToString::to_string);
            let list = dependencies.map(Value::text).collect();
            out.insert("depends on".to_owned(), Value::List(list));
            out.insert("inputs".to_owned(), record.inputs.clone());
            out.insert("outputs".to_owned(), record.outputs.clone());
        }
        Value::Map(out)
    }
}

fn differences(before: &Value, after: &Value) -> Vec<AttrChange> {
    let mut out = Vec::new();
    walk(&AttrPath::root(), Some(before), Some(after), &mut out);
    out
}

fn walk(at: &AttrPath, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<AttrChange>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Map(old)), Some(Value::Map(new))) => {
            let keys: BTreeSet<&Text> = old.keys().chain(new.keys()).collect();
            for key in keys {
                walk(&at.key(key), old.get(key), new.get(key), out);
            }
        }
        (Some(Value::List(old)), Some(Value::List(new))) if old.len() == new.len() => {
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                walk(&at.index(i), Some(old), Some(new), out);
            }
        }
        (before, after) => out.push(AttrChange {
            path: at.clone(),
            before: veiled(before, after),
            after: veiled(after, before),
            replaces: false,
            declared: None,
        }),
    }
}

/// A plain value beside a secret one may be the secret itself.
fn veiled(value: Option<&Value>, other: Option<&Value>) -> Option<Value> {
    match (value, other) {
        (Some(Value::Secret(_)), _) => value.cloned(),
        (Some(_), Some(Value::Secret(_))) => Some(Value::Null),
        _ => value.cloned(),
    }
}

/// The entries that make one snapshot have the records, operations and clusters of the other. Its serial
/// goes on from where it is. What is known of a cluster that the other does not know stays.
///
/// # Errors
/// The other snapshot cannot be: it changes what it does not have.
pub fn toward(now: &Snapshot, then: &Snapshot, reason: &str) -> Result<Vec<Entry>, IllegalEntry> {
    let mut out = Vec::new();
    let records = now.records.keys().chain(then.records.keys());
    let opens = now.open.keys().chain(then.open.keys());
    let all: BTreeSet<&Address> = records.chain(opens).collect();
    for address in all {
        let same = now.records.get(address) == then.records.get(address)
            && now.open.get(address) == then.open.get(address);
        if same {
            continue;
        }
        match then.records.get(address) {
            // Also settles an operation that the other does not know.
            Some(record) => out.push(Entry::Import {
                record: record.clone(),
            }),
            None if now.records.contains_key(address) || now.open.contains_key(address) => {
                out.push(Entry::Forget {
                    address: address.clone(),
                    reason: reason.to_owned(),
                });
            }
            None => {}
        }
        if let Some(open) = then.open.get(address) {
            out.push(Entry::Intent {
                op: open.op.clone(),
                action: open.action,
                record: Box::new(open.record.clone()),
            });
        }
    }
    let mut after = now.clone();
    for entry in &out {
        fold(&mut after, entry)?;
    }
    for (instance, identity) in &then.identities {
        if after.identities.get(instance) != Some(identity) {
            let entry = Entry::Identity {
                instance: instance.clone(),
                identity: identity.clone(),
            };
            fold(&mut after, &entry)?;
            out.push(entry);
        }
    }
    Ok(out)
}
