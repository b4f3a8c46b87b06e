//! Who owns which field: server-side apply, ownership by update, and `metadata.managedFields`.

use serde_json::{Value, json};

use super::fieldset::FieldSet;
use super::schema::{Schema, TypeId};
use super::typed::{self, Emptied};

/// The party that makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) manager: String,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    who: Who,
    applies: bool,
    time: String,
    set: FieldSet,
}

/// A field that somebody else owns.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// The owner as the messages name it.
    pub(crate) owner: String,
    pub(crate) path: String,
}

/// The schema that a request works with.
#[derive(Clone, Copy)]
pub(crate) struct Typed<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) root: TypeId,
    /// Top-level fields that requests to this (sub)resource cannot set.
    pub(crate) reset: &'a [&'a str],
}

impl Typed<'_> {
    fn owned(&self, set: FieldSet) -> FieldSet {
        let mut set = set.without_identity();
        for field in self.reset {
            set.under.remove(&format!("f:{field}"));
        }
        set
    }
}

/// Reads `metadata.managedFields`.
pub(crate) fn decode(object: &Value) -> Vec<Entry> {
    let text = |e: &Value, field: &str| e[field].as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    entries
        .map(|e| Entry {
            who: Who {
                manager: text(e, "manager"),
                api_version: text(e, "apiVersion"),
                subresource: text(e, "subresource"),
            },
            applies: e["operation"] == "Apply",
            time: text(e, "time"),
            set: FieldSet::from_fields_v1(&e["fieldsV1"]),
        })
        .collect()
}

/// Writes `metadata.managedFields` in the order that the server uses.
pub(crate) fn encode(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.set.is_empty());
    let order = |e: &Entry| (!e.applies, e.time.clone(), e.who.manager.clone());
    entries.sort_by_key(order);
    let list: Vec<Value> = entries.iter().map(encode_entry).collect();
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    if list.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn encode_entry(entry: &Entry) -> Value {
    let mut out = json!({
        "manager": entry.who.manager,
        "operation": if entry.applies { "Apply" } else { "Update" },
        "apiVersion": entry.who.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": entry.set.to_fields_v1(),
    });
    if !entry.who.subresource.is_empty() {
        out["subresource"] = json!(entry.who.subresource);
    }
    out
}

impl Entry {
    /// Appliers are the same party in every version of the API.
    fn is(&self, who: &Who, applies: bool) -> bool {
        self.applies == applies
            && self.who.manager == who.manager
            && self.who.subresource == who.subresource
            && (applies || self.who.api_version == who.api_version)
    }

    fn shown(&self) -> String {
        let mut out = format!("{:?}", self.who.manager);
        if !self.who.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.who.subresource));
        }
        if !self.applies {
            out.push_str(&format!(" using {}", self.who.api_version));
        }
        out
    }
}

/// Lays `config` over `live` in the name of `who`; gives the merged object and its owners.
pub(crate) fn apply(
    typed: Typed<'_>,
    live: &Value,
    config: &Value,
    mut entries: Vec<Entry>,
    (who, force, now): (&Who, bool, &str),
) -> Result<(Value, Vec<Entry>), Vec<Conflict>> {
    let Typed { schema, root, .. } = typed;
    if entries.is_empty() && live["metadata"]["uid"].is_string() {
        entries.push(before_first_apply(typed, live, now));
    }
    let merged = typed::merge(schema, root, live, config);
    let position = entries.iter().position(|e| e.is(who, true));
    let last = position
        .map(|at| entries[at].set.clone())
        .unwrap_or_default();
    let time = position.map_or_else(|| now.to_owned(), |at| entries[at].time.clone());
    let claimed = typed::field_set(schema, root, config);
    let set = typed.owned(claimed.clone());
    let mut ours = Entry {
        who: who.clone(),
        applies: true,
        time,
        set,
    };
    if position.is_none_or(|at| entries[at].set != ours.set || entries[at].who != *who) {
        now.clone_into(&mut ours.time);
    }
    let mine = match position {
        Some(at) => {
            entries[at] = ours;
            at
        }
        None => {
            entries.push(ours);
            entries.len() - 1
        }
    };
    let pruned = prune(typed, &merged, &last, (&entries, claimed));
    take(typed, live, &pruned, &mut entries, Some(mine), force)?;
    entries.retain(|e| !e.set.is_empty());
    Ok((pruned, entries))
}

/// The owner of what was there before anybody applied.
fn before_first_apply(typed: Typed<'_>, live: &Value, now: &str) -> Entry {
    let api_version = live["apiVersion"].as_str().unwrap_or_default().to_owned();
    Entry {
        who: Who {
            manager: "before-first-apply".to_owned(),
            api_version,
            subresource: String::new(),
        },
        applies: false,
        time: now.to_owned(),
        set: typed.owned(typed::field_set(typed.schema, typed.root, live)),
    }
}

/// Removes what the applier used to own and does not apply any more, unless somebody else owns it.
///
/// `claimed` has the name of the object, which no entry owns and which keeps its metadata in place.
fn prune(
    typed: Typed<'_>,
    merged: &Value,
    last: &FieldSet,
    (entries, claimed): (&[Entry], FieldSet),
) -> Value {
    let Typed { schema, root, .. } = typed;
    if last.is_empty() {
        return merged.clone();
    }
    let named = |set: &FieldSet| typed::with_named_fields(schema, root, set);
    let fields_of = |value: &Value| named(&typed::field_set(schema, root, value));
    let last = named(last);
    let everything = fields_of(merged);
    let owned = entries.iter().fold(claimed, |all, e| all.union(&e.set));
    let stripped = typed::remove(schema, root, merged, &last, Emptied::Null);
    let keep = fields_of(&stripped).union(&named(&owned));
    let pruned = typed::remove(
        schema,
        root,
        merged,
        &everything.difference(&keep),
        Emptied::Null,
    );
    let gone = everything
        .difference(&fields_of(&pruned))
        .intersection(&last);
    typed::remove(schema, root, merged, &gone, Emptied::Gone)
}

/// Takes changed fields away from the other owners; without force that is a conflict.
fn take(
    typed: Typed<'_>,
    old: &Value,
    new: &Value,
    entries: &mut [Entry],
    me: Option<usize>,
    force: bool,
) -> Result<typed::Comparison, Vec<Conflict>> {
    let comparison = typed::compare(typed.schema, typed.root, Some(old), Some(new));
    let changed = comparison.modified.union(&comparison.added);
    let mut conflicts = Vec::new();
    for (at, entry) in entries.iter_mut().enumerate() {
        if Some(at) == me {
            continue;
        }
        let contested = entry.set.intersection(&changed);
        if !contested.is_empty() && !force {
            let owner = entry.shown();
            let paths = contested.paths().into_iter();
            conflicts.extend(paths.map(|path| Conflict {
                owner: owner.clone(),
                path,
            }));
            continue;
        }
        entry.set = entry
            .set
            .difference(&contested)
            .difference(&comparison.removed);
    }
    if conflicts.is_empty() {
        Ok(comparison)
    } else {
        Err(conflicts)
    }
}

/// Gives `who` the fields that an update changed.
pub(crate) fn update(
    typed: Typed<'_>,
    old: Option<&Value>,
    new: &Value,
    mut entries: Vec<Entry>,
    (who, now): (&Who, &str),
) -> Vec<Entry> {
    if old.is_some() && entries.is_empty() {
        return entries;
    }
    let empty = json!({"apiVersion": "", "kind": "", "metadata": {}, "spec": {}, "status": {}});
    let Ok(comparison) = take(typed, old.unwrap_or(&empty), new, &mut entries, None, true) else {
        return entries;
    };
    let changed = comparison.modified.union(&comparison.added);
    let gained = typed.owned(changed);
    if !gained.is_empty() {
        match entries.iter_mut().find(|e| e.is(who, false)) {
            Some(entry) => {
                entry.set = entry.set.union(&gained);
                now.clone_into(&mut entry.time);
            }
            None => entries.push(Entry {
                who: who.clone(),
                applies: false,
                time: now.to_owned(),
                set: gained,
            }),
        }
    }
    entries.retain(|e| !e.set.is_empty());
    entries
}
