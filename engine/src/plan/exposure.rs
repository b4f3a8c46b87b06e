//! Exposure is a capability of a zone (`${zone.exposed}`). What would make a zone reachable that does
//! not have it is refused, wherever it comes from: a manifest, a chart's rendering, a DNS record.

use std::collections::BTreeMap;

use super::build::PlanError;
use crate::address::{Address, ZoneName};
use crate::config::{Config, Role};
use crate::expr::Reference;
use crate::observe::Inputs;
use crate::schema::{Exposure, Registry};
use crate::value::Value;

/// Whether a zone may be reached from outside: what serves, and what the spec exposes by name.
pub fn may_be_exposed(config: &Config, zone: &ZoneName) -> bool {
    let Some(zone) = config.zone(zone) else {
        return true; // The edge is outside by nature.
    };
    let set = zone.settings.get("exposed").and_then(Value::as_bool);
    zone.role == Role::Active || set.unwrap_or(false)
}

/// How an object makes its cluster reachable from outside, desired or live.
pub fn exposure(registry: &Registry, address: &Address, object: &Value) -> Option<Exposure> {
    let provider = registry.provider(address.kind.provider())?;
    let rules = provider.objects.as_ref()?;
    registry
        .kind(&address.kind)
        .filter(|k| k.is_object())
        .and_then(|_| (rules.exposes)(object))
}

/// What would expose a zone that may not be. `values` are the objects as far as known.
pub(super) fn refused(inputs: &Inputs, values: &BTreeMap<Address, Value>) -> Vec<PlanError> {
    let mut out = Vec::new();
    for (address, value) in values {
        if inputs.wanted(address).is_none() || may_be_exposed(&inputs.config, &address.zone) {
            continue;
        }
        if let Some(found) = exposure(&inputs.registry, address, value) {
            let path = found.path.parse().unwrap_or_default();
            let resource = inputs.config.resources.get(address);
            let at = resource.and_then(|r| r.body.origin_of(&path).or(r.at.as_ref()));
            out.push(PlanError::Exposes {
                address: address.clone(),
                what: found.what,
                declared: at.map(ToString::to_string),
                help: found.help,
            });
        }
    }
    out.extend(records(inputs));
    out
}

/// What is no object of a cluster and refers to the live address of one (a DNS record) points into the
/// zone that the object is in.
fn records(inputs: &Inputs) -> Vec<PlanError> {
    let mut out = Vec::new();
    for resource in inputs.config.resources.values() {
        let is_object = inputs.object_rules(&resource.address).is_some();
        if is_object || inputs.wanted(&resource.address).is_none() {
            continue;
        }
        for (reference, at) in resource.body.references() {
            let Reference::Resource { address, path } = reference else {
                continue;
            };
            let into = inputs.object_rules(address).is_some()
                && path.first_key() == Some("status")
                && !may_be_exposed(&inputs.config, &address.zone);
            if into {
                let declared = at.or(resource.at.as_ref()).map(ToString::to_string);
                out.push(PlanError::Exposes {
                    address: resource.address.clone(),
                    what: format!("a reference to the outside address of {address}"),
                    declared,
                    help: "reserve the name with an address that leads nowhere while the zone stands by \
                           (`content = \"192.0.2.1\"` in `[role.standby.…]`)",
                });
            }
        }
    }
    out
}
