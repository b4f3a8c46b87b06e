//! A world made from the spec alone: everything that it says exists. What a switch comes down to is planned
//! against it, and what a zone would cost is counted in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, AttrPath, ZoneName};
use crate::config::Config;
use crate::expr::Reference;
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::plan::build::{object_values, recorded_inputs};
use crate::plan::edges::ordered;
use crate::plan::rolls::Rolls;
use crate::plan::{Options, Refresh};
use crate::schema::Registry;
use crate::snapshot::{Contained, Record, Snapshot, State};
use crate::value::{Map, Value};

/// Fields of resources that others refer to.
type Wanted = BTreeMap<Address, BTreeSet<AttrPath>>;

/// Inputs in which everything that a configuration says exists.
pub(crate) fn applied(config: &Config, other: &Config, registry: &Registry) -> Inputs {
    let mut inputs = Inputs {
        config: config.clone(),
        state: State::default(),
        lineage: String::new(),
        world: String::new(),
        registry: registry.clone(),
        secrets: BTreeMap::new(),
        digest_key: None,
        moves: Vec::new(),
        options: Options {
            refresh: Refresh::None,
            ..Options::default()
        },
    };
    let shards = config.zones.keys().cloned().chain([ZoneName::edge()]);
    inputs.state.shards = shards
        .map(|zone| (zone.clone(), Snapshot::empty("", zone, "")))
        .collect();
    let nothing = Observations::default();
    let values = object_values(&inputs, &nothing);
    let dependencies = inputs.dependencies(&values);
    let rolls = Rolls::of(&inputs, &values);
    let wanted = wanted([config, other]);
    let keys: BTreeSet<&Address> = config.resources.keys().collect();
    // A spec with a cycle is refused before; without an order there is nothing to assume.
    for address in ordered(&keys, &dependencies).unwrap_or_default() {
        if let Some(mut record) = record(&inputs, address, &wanted, &rolls) {
            record.depends_on = dependencies.addresses(address);
            let shard = inputs.state.shards.get_mut(&address.zone);
            shard.map(|s| s.records.insert(address.clone(), Box::new(record)));
        }
    }
    inputs
}

fn wanted<'a>(configs: impl IntoIterator<Item = &'a Config>) -> Wanted {
    let mut out = Wanted::new();
    for resource in configs.into_iter().flat_map(|c| c.resources.values()) {
        for (reference, _) in resource.body.references() {
            if let Reference::Resource { address, path } = reference {
                out.entry(address.clone()).or_default().insert(path.clone());
            }
        }
    }
    out
}

fn record(inputs: &Inputs, address: &Address, wanted: &Wanted, rolls: &Rolls) -> Option<Record> {
    let resource = inputs.config.resources.get(address)?;
    if resource.meta.observe {
        return None;
    }
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
    let desired = rolls.body(inputs, resource).eval(&scope);
    let paths = wanted.get(address).into_iter().flatten();
    let outputs: Map = paths
        .filter(|path| !path.is_empty() && desired.at(path).is_none())
        .map(|path| (path.to_string(), Value::text(format!("{address}.{path}"))))
        .collect();
    let container = inputs.container_of(address);
    Some(Record {
        inputs: recorded_inputs(&inputs.registry, address, &desired, inputs.ignored(address)),
        outputs: Value::Map(outputs),
        contained_in: container.map(|address| {
            let id = address.to_string();
            Box::new(Contained { address, id })
        }),
        protect: resource.meta.protect,
        keep: resource.meta.keep,
        ..Record::new(
            address.clone(),
            resource.instance.clone(),
            address.to_string(),
        )
    })
}
