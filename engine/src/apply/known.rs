//! What a run knows: the values of references, and the records it writes.

use std::collections::BTreeMap;

use super::Apply;
use crate::address::Address;
use crate::canon::{self, Digest};
use crate::config::Trigger;
use crate::expr::{Lookup, Reference};
use crate::observe::{live_value, lookup_seen};
use crate::plan::Change;
use crate::plan::build::recorded_inputs;
use crate::provider::{Live, Mark, Marker};
use crate::snapshot::{Contained, Record, RecordStatus};
use crate::value::{Map, Value};

impl Apply<'_> {
    /// The value of a reference as of now: what this run made, else what was seen or recorded.
    pub(super) fn lookup(&self, reference: &Reference) -> Lookup {
        let Reference::Resource { address, path } = reference else {
            return lookup_seen(self.inputs, self.seen, reference);
        };
        let asked = self.values.get(address).filter(|_| !path.is_empty());
        if let Some(value) = asked.and_then(|v| v.at(path))
            && *value != Value::Null
        {
            return Lookup::Known(value.clone());
        }
        match self.lives.get(address) {
            Some(live) => match live_value(live, path) {
                Some(value) => Lookup::Known(value),
                None => Lookup::Later { secret: false },
            },
            None => lookup_seen(self.inputs, self.seen, reference),
        }
    }

    pub(super) fn marker(&self, change: &Change) -> Marker {
        Marker {
            // A first plan is made before there is a lineage; the run has one.
            lineage: self.inputs.lineage.clone(),
            address: change.address.clone(),
            generation: change.generation,
        }
    }

    /// The mark that it carries so far: what was moved carries that of the address it was made under.
    pub(super) fn carried(&self, change: &Change) -> Marker {
        Marker {
            address: self.state.mark_of(&change.address).clone(),
            ..self.marker(change)
        }
    }

    /// The record of a resource. `live` is what is there, if anything is known of it.
    pub(super) fn make_record(
        &self,
        change: &Change,
        desired: &Value,
        id: &str,
        attrs: &Value,
        status: RecordStatus,
    ) -> Record {
        let container = change.container.as_ref();
        Record {
            address: change.address.clone(),
            instance: change.instance.clone(),
            id: id.to_owned(),
            generation: change.generation,
            status,
            inputs: recorded_inputs(
                &self.inputs.registry,
                &change.address,
                desired,
                &change.ignore,
            )
            .rekeyed(self.inputs.digest_key.as_ref()),
            outputs: self.outputs(change, id, attrs),
            depends_on: change.depends_on.clone(),
            marked: None,
            contained_in: container.and_then(|address| {
                let id = self.container_id(address).ok()?;
                let address = address.clone();
                Some(Box::new(Contained { address, id }))
            }),
            protect: change.protect,
            keep: change.keep,
            triggers: self.triggers(change),
        }
    }

    fn triggers(&self, change: &Change) -> BTreeMap<String, Digest> {
        let key = self.inputs.digest_key.as_ref();
        let value = |t: &Trigger| t.value.eval(&|r: &Reference| self.lookup(r)).rekeyed(key);
        let all = change.replace_when.iter();
        all.map(|t| (t.text.clone(), canon::digest(&value(t))))
            .collect()
    }

    /// The record that an intent announces: enough to find the object again, no more.
    pub(super) fn stub(&self, change: &Change, desired: &Value) -> Record {
        let mut record =
            self.make_record(change, desired, "", &Value::Null, RecordStatus::Creating);
        record.marked = self
            .state
            .record(&change.address)
            .and_then(|r| r.marked.clone());
        if self.inputs.object_rules(&change.address).is_some() {
            record.inputs = identity(desired);
        }
        record
    }

    /// What references may need later: declared outputs, and the live fields that are referred to.
    pub(super) fn outputs(&self, change: &Change, id: &str, attrs: &Value) -> Value {
        let mut out = Map::new();
        if let Some(schema) = self.inputs.registry.kind(&change.address.kind) {
            for output in schema.outputs.iter().filter(|o| !o.ephemeral) {
                if let Some(value) = attrs.get(output.name) {
                    out.insert(output.name, value.clone());
                }
            }
        }
        let live = Live {
            id: id.to_owned(),
            attrs: attrs.clone(),
            mark: Mark::Untold,
            status: crate::provider::Status::Ready,
        };
        for path in &change.exports {
            let key = path.to_string();
            if !out.contains_key(&key)
                && let Some(value) = live_value(&live, path)
            {
                out.insert(key, value);
            }
        }
        Value::Map(out).rekeyed(self.inputs.digest_key.as_ref())
    }

    /// Remembers what is there now.
    pub(super) fn remember(&mut self, address: &Address, desired: &Value, live: &Live) {
        self.lives.insert(address.clone(), live.clone());
        self.values.insert(address.clone(), desired.clone());
    }

    /// Forgets what was there.
    pub(super) fn drop_known(&mut self, address: &Address) {
        self.lives.remove(address);
        self.values.remove(address);
    }
}

/// What names a Kubernetes object.
fn identity(object: &Value) -> Value {
    let pick = |from: &Value, keys: &[&str]| -> Map {
        keys.iter()
            .filter_map(|k| Some((*k, from.get(k)?.clone())))
            .collect()
    };
    let mut out = pick(object, &["apiVersion", "kind"]);
    if let Some(metadata) = object.get("metadata") {
        out.insert(
            "metadata",
            Value::Map(pick(metadata, &["name", "namespace"])),
        );
    }
    Value::Map(out)
}
