//! The state: what we made, shard by shard. Changed only by [`crate::journal::fold`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::{Address, InstanceId, Kind, ZoneName};
use crate::canon::Digest;
use crate::value::{Map, Value};

/// The state of one shard (a zone, or `edge`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The project's lineage: 32 hex digits, never reused.
    pub lineage: String,
    /// The shard.
    pub shard: ZoneName,
    /// `live` or `sandbox:<id>`: worlds do not mix.
    pub world: String,
    /// Number of committed changes.
    pub serial: u64,
    /// What exists.
    pub records: BTreeMap<Address, Box<Record>>,
    /// Operations whose outcome is not known.
    pub open: BTreeMap<Address, OpenIntent>,
    /// The last run that was begun here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Which cluster each provider instance of the shard leads into.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<InstanceId, Identity>,
}

/// Which cluster an instance leads into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The uid of the namespace `kube-system`: no two clusters share it, and it lives as long as they do.
    pub uid: String,
    /// The resource that the cluster is; absent when a kubeconfig leads into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Contained>,
}

/// A run as its header in the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRun {
    /// The digest of the plan.
    pub plan: Digest,
    /// `apply` or `destroy`.
    pub command: String,
    /// `user@host`.
    pub by: String,
    /// When it began, RFC 3339, informative.
    pub at: String,
}

impl Snapshot {
    /// The state of a shard in which nothing was ever made.
    pub fn empty(lineage: &str, shard: ZoneName, world: &str) -> Snapshot {
        Snapshot {
            lineage: lineage.to_owned(),
            shard,
            world: world.to_owned(),
            serial: 0,
            records: BTreeMap::new(),
            open: BTreeMap::new(),
            last_run: None,
            identities: BTreeMap::new(),
        }
    }

    /// What is recorded under an address.
    pub fn record(&self, address: &Address) -> Option<&Record> {
        self.records.get(address).map(AsRef::as_ref)
    }

    /// Every record, by address.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(AsRef::as_ref)
    }
}

/// What is recorded of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its address.
    pub address: Address,
    /// The provider instance that manages it.
    pub instance: InstanceId,
    /// The vendor's id.
    pub id: String,
    /// Rises with each replacement; part of the marker.
    pub generation: u32,
    /// How far it is.
    pub status: RecordStatus,
    /// The attributes as applied; secrets as reference and digest.
    pub inputs: Value,
    /// What the vendor reported that references may need (not the whole object).
    pub outputs: Value,
    /// What it directly depends on.
    pub depends_on: Vec<Address>,
    /// The address that its mark at the vendor was made from, when it was made under another one and
    /// moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Box<Address>>,
    /// What contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contained_in: Option<Box<Contained>>,
    /// Whether it is protected; kept here so that removing the spec does not disarm it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Whether the object is left alone when it leaves the spec; kept here for the same reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// What the values were that replace it when they change, by their text in the spec.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, Digest>,
}

impl Record {
    /// A record of something that is there and of which no more is known: its first generation, ready.
    pub fn new(address: Address, instance: InstanceId, id: impl Into<String>) -> Record {
        Record {
            address,
            instance,
            id: id.into(),
            generation: 1,
            status: RecordStatus::Ok,
            inputs: Value::Map(Map::new()),
            outputs: Value::Null,
            depends_on: Vec::new(),
            marked: None,
            contained_in: None,
            protect: false,
            keep: false,
            triggers: BTreeMap::new(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &Kind {
        &self.address.kind
    }

    /// Whether it has something that came with the second form of records: programs that know only the
    /// first must not take it for damaged.
    pub fn is_of_second_form(&self) -> bool {
        self.marked.is_some() || self.keep || !self.triggers.is_empty()
    }

    /// The address that its mark at the vendor is made from.
    pub fn mark_of(&self) -> &Address {
        self.marked.as_deref().unwrap_or(&self.address)
    }
}

/// The container of a resource, as it was when the resource was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contained {
    /// The container.
    pub address: Address,
    /// The container's id: another id means that what was inside is gone.
    pub id: String,
}

/// How far a recorded resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordStatus {
    /// The vendor accepted it; it was not ready when last seen.
    Creating,
    /// It was ready.
    Ok,
    /// It exists but failed to become ready; the next plan replaces it.
    Tainted,
    /// Its deletion was accepted.
    Deleting,
}

/// An operation that was announced and whose outcome is not recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIntent {
    /// The operation's id.
    pub op: String,
    /// What was intended.
    pub action: IntentAction,
    /// What the record becomes if it happened (id empty for a create).
    pub record: Record,
}

/// What an operation was about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntentAction {
    /// Make it.
    Create,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
}

/// All shards of a project.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// By shard name; a shard that was never written is present and empty.
    pub shards: BTreeMap<ZoneName, Snapshot>,
}

impl State {
    /// The lineage that a plan is made with. As long as nothing was ever made there is none, so that the
    /// first plan of a project is the same before and after the state comes to be.
    pub fn planning_lineage(&self) -> String {
        let touched = self.shards.values().any(|s| s.serial > 0);
        let mut known = self.shards.values().map(|s| &s.lineage);
        match known.find(|l| !l.is_empty()) {
            Some(lineage) if touched => lineage.clone(),
            _ => String::new(),
        }
    }

    /// Takes something for recorded that is not in the log yet, if its shard is here.
    pub fn assume(&mut self, record: Record) {
        if let Some(shard) = self.shards.get_mut(&record.address.zone) {
            shard
                .records
                .insert(record.address.clone(), Box::new(record));
        }
    }

    /// What is recorded under an address.
    pub fn record(&self, address: &Address) -> Option<&Record> {
        self.shards.get(&address.zone)?.record(address)
    }

    /// The address that the mark of what is recorded here is made from.
    pub fn mark_of<'a>(&'a self, address: &'a Address) -> &'a Address {
        let open = self.open(address).map(|open| &open.record);
        let record = self.record(address).or(open);
        record.map_or(address, Record::mark_of)
    }

    /// What carries the mark of an address that nothing is recorded at: it was made there and moved.
    pub fn moved_from(&self, address: &Address) -> Option<&Record> {
        let shard = self.shards.get(&address.zone)?;
        let gone = shard.record(address).is_none();
        shard
            .records()
            .find(|r| gone && r.marked.as_deref() == Some(address))
    }

    /// The open operation of an address.
    pub fn open(&self, address: &Address) -> Option<&OpenIntent> {
        self.shards.get(&address.zone)?.open.get(address)
    }

    /// Which cluster an instance is recorded to lead into.
    pub fn identity(&self, instance: &InstanceId) -> Option<&Identity> {
        self.shards.get(&instance.zone)?.identities.get(instance)
    }

    /// Every record of every shard, by address.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.shards.values().flat_map(Snapshot::records)
    }

    /// Every open operation of every shard.
    pub fn opens(&self) -> impl Iterator<Item = (&Address, &OpenIntent)> {
        self.shards.values().flat_map(|s| s.open.iter())
    }
}
