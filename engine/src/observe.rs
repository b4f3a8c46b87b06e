//! What was seen of the live world, and what to look at next.
//!
//! Looking runs in waves along provider instances: an instance opens from its observed container. A
//! container that is gone takes its contents with it; one that cannot be reached leaves them unknown,
//! never absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::{Address, AttrPath, InstanceId, ZoneName};
use crate::config::{Config, Instance, Sharing};
use crate::expr::{Lookup, Reference};
use crate::failpoint;
use crate::plan::{Move, Options, Refresh};
use crate::provider::{Live, Mark, Marker, Observed, ProviderError, ReadTarget, Status, Trial};
use crate::schema::{Containment, Registry};
use crate::secret::{DigestKey, Secret};
use crate::snapshot::{IntentAction, Record, State};
use crate::value::{Map, Value};

mod identity;
mod patience;
mod read;
mod sessions;
mod trial;
mod wave;

pub use identity::check as check_identity;
pub use read::{ObserveError, observe, with_observed};
pub use sessions::{ContainerRef, Link, OnWait, Sessions};
pub use trial::try_all;
pub(crate) use trial::try_one;
pub use wave::{Wave, next_wave};

/// Everything that planning starts from.
#[derive(Debug)]
pub struct Inputs {
    /// What shall be.
    pub config: Config,
    /// What we made.
    pub state: State,
    /// The project's lineage.
    pub lineage: String,
    /// `live` or `sandbox:<id>`.
    pub world: String,
    /// What the kinds are.
    pub registry: Registry,
    /// The declared secrets that have a value.
    pub secrets: BTreeMap<String, Secret>,
    /// The key for digests of secret outputs.
    pub digest_key: Option<Arc<DigestKey>>,
    /// What the state was told of resources that have another address now, for the plan to say.
    pub moves: Vec<Move>,
    /// Options of the plan.
    pub options: Options,
}

impl Inputs {
    /// What is configured for an address, if it is selected and not destroyed.
    pub fn wanted(&self, address: &Address) -> Option<&crate::config::Resource> {
        if self.options.destroy || !self.options.selects(&address.zone) {
            return None;
        }
        self.config.resources.get(address)
    }

    /// Every selected address: configured, recorded or open.
    pub fn addresses(&self) -> BTreeSet<Address> {
        let configured = self.config.resources.keys();
        let recorded = self.state.records().map(|r| &r.address);
        let open = self.state.opens().map(|(a, _)| a);
        configured
            .chain(recorded)
            .chain(open)
            .filter(|a| self.options.selects(&a.zone))
            .cloned()
            .collect()
    }

    /// The instance that manages an address: as configured, else as recorded.
    pub fn instance_of(&self, address: &Address) -> Option<InstanceId> {
        self.manager(address).cloned()
    }

    pub(crate) fn manager(&self, address: &Address) -> Option<&InstanceId> {
        let configured = self.config.resources.get(address).map(|r| &r.instance);
        let recorded = self.state.record(address).map(|r| &r.instance);
        let open = self.state.open(address).map(|o| &o.record.instance);
        configured.or(recorded).or(open)
    }

    /// The configuration of an instance.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.config.instances.get(id)
    }

    /// The instance through which the objects of a zone's cluster are managed: its own, else the one of
    /// the root file.
    pub fn cluster_instance(&self, zone: &ZoneName) -> Option<&Instance> {
        let leads_in = |i: &&Instance| {
            let provider = self.registry.provider(&i.id.provider);
            provider.is_some_and(|p| p.container.is_some())
        };
        let of = |wanted: &ZoneName| {
            let all = self.config.instances.values();
            all.filter(leads_in).find(|i| i.id.zone == *wanted)
        };
        of(zone).or_else(|| of(&ZoneName::edge()))
    }

    /// The marker that a live object of this address carries or will carry.
    pub fn marker(&self, address: &Address) -> Marker {
        Marker {
            lineage: self.lineage.clone(),
            address: self.state.mark_of(address).clone(),
            generation: self.generation(address),
        }
    }

    /// What a spec says to leave alone of a resource.
    pub fn ignored(&self, address: &Address) -> &[AttrPath] {
        let resource = self.config.resources.get(address);
        resource.map_or(&[], |r| &r.meta.ignore)
    }

    /// How a spec shares the fields of a resource with others.
    pub(crate) fn sharing(&self, address: &Address) -> Sharing {
        let resource = self.config.resources.get(address);
        resource.map_or_else(Sharing::default, |r| r.meta.sharing.clone())
    }

    /// The generation of the object that is recorded or being made.
    pub fn generation(&self, address: &Address) -> u32 {
        let open = self.state.open(address).map(|o| o.record.generation);
        open.or(self.state.record(address).map(|r| r.generation))
            .unwrap_or(1)
    }

    /// The serials that a plan binds to.
    pub fn serials(&self) -> BTreeMap<ZoneName, u64> {
        self.state
            .shards
            .iter()
            .map(|(name, shard)| (name.clone(), shard.serial))
            .collect()
    }
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observations {
    /// By address. An address that is not here was not looked at.
    pub seen: BTreeMap<Address, Observed>,
    /// Instances that could not be opened.
    pub unopened: BTreeMap<InstanceId, ProviderError>,
    /// Instances whose container does not exist (yet).
    pub absent: BTreeSet<InstanceId>,
    /// The domains that credentials open, where something was read with them and they tell.
    pub reach: BTreeMap<InstanceId, Vec<String>>,
    /// What servers say of the changes that a draft of the plan had them try.
    pub trials: BTreeMap<Address, Trial>,
}

impl Observations {
    /// The live object, if it is ours.
    pub fn live(&self, address: &Address) -> Option<&Live> {
        match self.seen.get(address)? {
            Observed::Present(live) => Some(live),
            _ => None,
        }
    }
}

/// A live object made of what is recorded: for what was not looked at.
pub fn recorded_live(record: &Record) -> Live {
    let mut attrs = match &record.inputs {
        Value::Map(map) => map.clone(),
        _ => Map::new(),
    };
    if let Value::Map(outputs) = &record.outputs {
        attrs.extend(outputs.clone());
    }
    Live {
        id: record.id.clone(),
        attrs: Value::Map(attrs),
        mark: Mark::Untold,
        status: Status::Ready,
    }
}

/// The value of a path among a live object's attributes; the empty path is the id.
pub fn live_value(live: &Live, path: &AttrPath) -> Option<Value> {
    if path.is_empty() {
        return Some(Value::text(live.id.clone()));
    }
    if let Some(value) = live.attrs.at(path) {
        return Some(value.clone());
    }
    // Records keep single fields of Kubernetes objects under the path's text.
    if let Some(value) = live.attrs.get(&path.to_string()) {
        return Some(value.clone());
    }
    (path.to_string() == "id").then(|| Value::text(live.id.clone()))
}

/// The value of a reference from what has been seen or recorded so far.
pub fn lookup_seen(inputs: &Inputs, seen: &Observations, reference: &Reference) -> Lookup {
    let (address, path) = match reference {
        Reference::Secret(name) => {
            return match inputs.secrets.get(name) {
                Some(secret) => Lookup::Known(Value::Secret(secret.clone())),
                None => Lookup::Later { secret: true },
            };
        }
        Reference::Resource { address, path } => (address, path),
    };
    let live = match seen.live(address) {
        Some(live) => live_value(live, path),
        None if matches!(seen.seen.get(address), Some(Observed::Gone)) => None,
        None => inputs
            .state
            .record(address)
            .and_then(|r| live_value(&recorded_live(r), path)),
    };
    match live {
        Some(value) => Lookup::Known(value),
        None => Lookup::Later { secret: false },
    }
}

/// Whether the refresh option asks for this address at all.
pub(crate) fn looks_at(inputs: &Inputs, changed: &BTreeSet<Address>, address: &Address) -> bool {
    match inputs.options.refresh {
        Refresh::All => true,
        Refresh::Changed => changed.contains(address),
        Refresh::None => false,
    }
}

/// A target for reading what is configured or recorded under an address.
pub(crate) fn target(inputs: &Inputs, seen: &Observations, address: &Address) -> ReadTarget {
    let record = inputs.state.record(address);
    let scope = |reference: &Reference| lookup_seen(inputs, seen, reference);
    // What is recorded names the live object, even when the spec has moved on.
    let recorded = record.or_else(|| inputs.state.open(address).map(|o| &o.record));
    let place = recorded.map(|r| place_of(inputs, seen, r));
    let (id, desired) = match (place, inputs.config.resources.get(address)) {
        (Some((id, inputs)), _) => (id, Some(inputs)),
        (None, resource) => (None, resource.map(|r| r.body.eval(&scope))),
    };
    ReadTarget {
        address: address.clone(),
        kind: address.kind.clone(),
        id,
        desired,
        marker: inputs.marker(address),
        observe: only_observed(inputs, address),
    }
}

/// What was read, in the engine's terms: secrets carry the project's digest key, and what a killed
/// run announced is ours even where the vendor has no place for a mark; what is only observed is
/// somebody else's by intent.
pub(crate) fn received(
    inputs: &Inputs,
    seen: &Observations,
    address: &Address,
    observed: Observed,
) -> Observed {
    let rekey = |mut live: Box<Live>| {
        live.attrs = live.attrs.rekeyed(inputs.digest_key.as_ref());
        live
    };
    match observed {
        Observed::Present(live) => Observed::Present(rekey(live)),
        Observed::Foreign(live)
            if claimed(inputs, seen, address, &live)
                || only_observed(inputs, address)
                || failpoint::without("foreign-left") =>
        {
            Observed::Present(rekey(live))
        }
        Observed::Foreign(live) => Observed::Foreign(rekey(live)),
        Observed::Unreadable(_) if failpoint::without("unread-is-not-gone") => Observed::Gone,
        other => other,
    }
}

/// Whether the spec has it looked at and never changed, whoever made it.
pub(crate) fn only_observed(inputs: &Inputs, address: &Address) -> bool {
    let resource = inputs.config.resources.get(address);
    resource.is_some_and(|r| r.meta.observe)
}

/// Where what is recorded or announced is looked for: its id, if that says something, and the attributes that
/// name it.
pub(crate) fn place_of(
    inputs: &Inputs,
    seen: &Observations,
    record: &Record,
) -> (Option<String>, Value) {
    let mut named = record.inputs.clone();
    if let (Some((attr, container)), Value::Map(map)) =
        (in_another(inputs, seen, record), &mut named)
    {
        map.insert(attr, Value::text(container.id.as_str()));
        return (None, named);
    }
    let id = Some(record.id.clone()).filter(|id| !id.is_empty());
    (id, named)
}

/// The container of something, under the attribute that leads to it, where it was found by its mark and is not the
/// one that is recorded: the state is from before both were made anew.
fn in_another<'a>(
    inputs: &Inputs,
    seen: &'a Observations,
    record: &Record,
) -> Option<(&'static str, &'a Live)> {
    let Containment::Attribute(attr) = inputs.registry.kind(&record.address.kind)?.contained_in
    else {
        return None;
    };
    let container = record.contained_in.as_ref()?;
    let live = seen.live(&container.address)?;
    let stem = inputs.marker(&container.address).stem();
    let ours = live.mark.text().is_some_and(|mark| mark.starts_with(&stem));
    (ours && live.id != container.id).then_some((attr, live))
}

fn claimed(inputs: &Inputs, seen: &Observations, address: &Address, live: &Live) -> bool {
    let unmarked = inputs
        .registry
        .kind(&address.kind)
        .is_some_and(|k| !k.marked);
    let create = |open: &crate::snapshot::OpenIntent| open.action == IntentAction::Create;
    let announced = inputs.state.open(address).is_some_and(create);
    let record = inputs.state.record(address);
    let made_anew = record.is_some_and(|r| in_another(inputs, seen, r).is_some());
    unmarked && live.mark.text().is_none() && (announced || made_anew)
}
