//! What a swap of roles means for data and traffic: what is refused, what is said, what waits for what.
//! Zones are told apart by role alone.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{PlanError, recorded_inputs};
use super::edges::StepIndex;
use super::exposure::{exposure, may_be_exposed};
use super::{Action, Change, Edge, EdgeReason, Note, Severity, Step};
use crate::address::{Address, ZoneName};
use crate::config::{Posture, Resource, Role, Strategy};
use crate::data::DatabaseMode;
use crate::expr::{Node, Reference};
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::provider::Live;
use crate::schema::{Part, Registry};
use crate::snapshot::Record;
use crate::value::Value;

/// The attribute that promotes a replica, and its value.
pub(crate) const PROMOTED: (&str, &str) = ("role", "primary");

/// Whether it is a database of its own.
pub(crate) fn is_writer(registry: &Registry, address: &Address) -> bool {
    registry.part(&address.kind) == Some(Part::Writer)
}

/// Whether it follows another database, or did until it was promoted.
pub(crate) fn is_replica(registry: &Registry, address: &Address) -> bool {
    registry.part(&address.kind) == Some(Part::Replica)
}

/// Whether the spec says that a replica is a primary now.
pub(crate) fn is_promoted(resource: &Resource) -> bool {
    let (attr, primary) = PROMOTED;
    match resource.body.get(attr).map(|e| &e.node) {
        Some(Node::Literal(value)) => value.as_str() == Some(primary),
        _ => false,
    }
}

/// Whether the vendor has it as a writer while nothing recorded says that this is known: deleting a replica
/// loses nothing, deleting a writer loses everything.
pub(super) fn is_unknown_writer(inputs: &Inputs, record: &Record, live: Option<&Live>) -> bool {
    let (attr, primary) = PROMOTED;
    let is = |value: &Value| value.get(attr).and_then(Value::as_str) == Some(primary);
    is_replica(&inputs.registry, &record.address)
        && live.is_some_and(|l| is(&l.attrs))
        && !is(&record.inputs)
}

/// What stands in the way of a plan, as far as roles are concerned.
pub(super) fn refused(inputs: &Inputs, seen: &Observations) -> Vec<PlanError> {
    let mut out = empty_databases(inputs);
    let active = &inputs.config.active;
    if !inputs.options.destroy && inputs.options.selects(active) {
        out.extend(no_database(inputs, active));
    }
    out.extend(early_flips(inputs, seen));
    out
}

/// A new writer in a zone that stands by. One that is recorded already holds data.
fn empty_databases(inputs: &Inputs) -> Vec<PlanError> {
    let standby = |a: &Address| inputs.config.role(&a.zone) == Some(Role::Standby);
    inputs
        .config
        .resources
        .values()
        .filter(|r| is_writer(&inputs.registry, &r.address) && standby(&r.address))
        .filter(|r| inputs.wanted(&r.address).is_some() && !r.meta.observe)
        .map(|r| &r.address)
        .filter(|a| inputs.state.record(a).is_none() && inputs.state.open(a).is_none())
        .map(|a| PlanError::EmptyDatabase { address: a.clone() })
        .collect()
}

/// The decision is to restore, and nothing is there that was restored.
fn no_database(inputs: &Inputs, active: &ZoneName) -> Option<PlanError> {
    let decided = inputs.config.zone(active)?.database.as_ref()?;
    let mut own = inputs.config.resources.keys();
    let has = own.any(|a| a.zone == *active && is_writer(&inputs.registry, a));
    (decided.strategy == Strategy::Restore && !has).then(|| PlanError::NoDatabase {
        zone: active.clone(),
    })
}

/// Shared resources that would be changed to point into the active zone while that zone is not part of
/// the plan and not as the spec says.
fn early_flips(inputs: &Inputs, seen: &Observations) -> Vec<PlanError> {
    let active = &inputs.config.active;
    if inputs.options.selects(active) {
        return Vec::new();
    }
    let scope = |reference: &Reference| lookup_seen(inputs, seen, reference);
    let stale = |target: &Address| {
        let (Some(resource), Some(record)) = (
            inputs.config.resources.get(target),
            inputs.state.record(target),
        ) else {
            return false;
        };
        let desired = resource.body.eval(&scope);
        recorded_inputs(&inputs.registry, target, &desired, inputs.ignored(target)) != record.inputs
    };
    let mut out = Vec::new();
    for resource in inputs.config.resources.values() {
        let address = &resource.address;
        if !address.zone.is_edge() || inputs.wanted(address).is_none() {
            continue;
        }
        // One that points there already is not flipped by this plan.
        let points = |a: &Address| {
            let record = inputs.state.record(address);
            record.is_some_and(|r| r.depends_on.contains(a))
        };
        let targets: BTreeSet<&Address> = resource
            .body
            .references()
            .into_iter()
            .filter_map(|(r, _)| r.address())
            .filter(|a| a.zone == *active && !points(a) && stale(a))
            .collect();
        out.extend(targets.into_iter().map(|target| PlanError::FlipTooEarly {
            address: address.clone(),
            target: target.clone(),
        }));
    }
    out
}

/// Users are led to a database that takes no writes.
const READ_ONLY: &str = "ZW3030";
/// Users are led to data that is not what they left.
const OLD_DATA: &str = "ZW3031";

/// Notes of a plan that nobody applies by mistake: each has to be accepted by its code.
pub const TO_ACCEPT: [&str; 2] = [READ_ONLY, OLD_DATA];

/// What a reviewer has to know: a swap of roles promotes nothing and brings no data, and a standby may be exposed.
pub(super) fn notes(inputs: &Inputs, changes: &[Change]) -> Vec<Note> {
    let mut out = read_only(inputs);
    out.extend(old_data(inputs, changes));
    if !inputs.options.destroy {
        out.extend(exposed_standbys(inputs));
    }
    out
}

/// Shared records are moved to the active zone from another one that has data, and nothing says how that
/// gets here: a zone that served before has what was true then.
fn old_data(inputs: &Inputs, changes: &[Change]) -> Option<Note> {
    let (config, registry) = (&inputs.config, &inputs.registry);
    let active = &config.active;
    let decided = config.zone(active).is_some_and(|z| z.database.is_some());
    if decided || DatabaseMode::of(config, registry, active) == DatabaseMode::None {
        return None;
    }
    let mut flips = changes.iter().filter(|c| {
        let leads_here = c.depends_on.iter().any(|a| a.zone == *active);
        c.address.zone.is_edge() && !c.is_no_op() && leads_here
    });
    let (flip, from) = flips.find_map(|flip| {
        let record = inputs.state.record(&flip.address)?;
        let mut left = record.depends_on.iter().map(|a| &a.zone);
        let from = left.find(|z| {
            *z != active
                && config.zone(z).is_some()
                && DatabaseMode::of(config, registry, z) != DatabaseMode::None
        });
        Some((&flip.address, from?.clone()))
    })?;
    Some(Note {
        severity: Severity::Danger,
        code: OLD_DATA.to_owned(),
        address: Some(flip.clone()),
        message: format!(
            "users are led from {from} to {active}, and nothing says how {active} gets the data of {from}: what was written there is missing"
        ),
        help: Some(format!(
            "decide it in `[database]` of zones/{active}.toml while {from} serves, apply, and follow `zonewright runbook --to {active}`"
        )),
    })
}

/// Zones that stand by and are reachable because the spec says so.
fn exposed_standbys(inputs: &Inputs) -> impl Iterator<Item = Note> {
    let config = &inputs.config;
    let zones = config.zones.values();
    let exposed = zones.filter(|zone| {
        zone.role == Role::Standby
            && zone.posture != Some(Posture::Off)
            && inputs.options.selects(&zone.name)
            && may_be_exposed(config, &zone.name)
    });
    exposed.map(|zone| Note {
        severity: Severity::Danger,
        code: "ZW3032".to_owned(),
        address: None,
        message: format!(
            "zone {} stands by and is reachable from outside: the spec says `exposed = true`",
            zone.name
        ),
        help: Some("take it out, unless users shall reach a zone that does not serve".to_owned()),
    })
}

fn read_only(inputs: &Inputs) -> Vec<Note> {
    let active = &inputs.config.active;
    if DatabaseMode::of(&inputs.config, &inputs.registry, active) != DatabaseMode::Replica {
        return Vec::new();
    }
    inputs
        .config
        .resources
        .values()
        .filter(|r| is_replica(&inputs.registry, &r.address) && !is_promoted(r))
        .map(|r| &r.address)
        .filter(|a| a.zone == *active && inputs.wanted(a).is_some())
        .map(|a| Note {
            severity: Severity::Danger,
            code: READ_ONLY.to_owned(),
            address: Some(a.clone()),
            message: format!("zone {active} serves, and this read-replica is its database: swapping roles does not promote it"),
            help: Some("a promotion is a failover; until then keep the other zone active".to_owned()),
        })
        .collect()
}

/// Shared records flip once the new zone's way in is ready and its database takes writes; the old zone's way
/// in goes after that.
pub(super) fn order(
    inputs: &Inputs,
    values: &BTreeMap<Address, Value>,
    changes: &[Change],
    steps: &[Step],
    edges: &mut Vec<Edge>,
) {
    let active = &inputs.config.active;
    let index = StepIndex::new(steps);
    let flips: Vec<usize> = changes
        .iter()
        .filter(|c| c.address.zone.is_edge())
        .filter(|c| c.depends_on.iter().any(|a| a.zone == *active))
        .filter_map(|c| index.up(&c.address))
        .collect();
    if flips.is_empty() {
        return;
    }
    let exposing =
        |address: &Address, object: &Value| exposure(&inputs.registry, address, object).is_some();
    // All objects of a declaration that exposes: the Service is of no use without its pods.
    let ways_in: BTreeSet<Address> = values
        .iter()
        .filter(|(a, v)| a.zone == *active && exposing(a, v))
        .map(|(a, _)| a.declaration())
        .collect();
    let recorded = |a: &Address| {
        inputs
            .state
            .record(a)
            .is_some_and(|r| exposing(a, &r.inputs))
    };
    let mut out: BTreeSet<Edge> = std::mem::take(edges).into_iter().collect();
    let mut add = |from, to, what: &str| {
        let what = what.to_owned();
        let why = EdgeReason::Implied { what };
        out.insert(Edge { from, to, why });
    };
    for change in changes {
        let address = &change.address;
        let zone = &address.zone;
        let before = match inputs.registry.part(&address.kind) {
            Some(Part::Writer | Part::Replica) => "the database is ready before users come",
            _ if ways_in.contains(&address.declaration()) => {
                "the zone that takes over answers before traffic comes"
            }
            _ => "",
        };
        if *zone == *active && !before.is_empty() {
            let ready = index.up(address);
            for (ready, flip) in ready
                .into_iter()
                .flat_map(|r| flips.iter().map(move |f| (r, *f)))
            {
                add(ready, flip, before);
            }
        }
        if *zone == *active || zone.is_edge() {
            continue;
        }
        let leaves = if recorded(address) {
            index.act(address, &[Action::Delete])
        } else {
            let record = inputs.state.record(address);
            let led_in = record.is_some_and(|r| r.depends_on.iter().any(recorded));
            let is_object = inputs.object_rules(address).is_some();
            (led_in && !is_object).then(|| index.up(address)).flatten()
        };
        for (gone, flip) in leaves
            .into_iter()
            .flat_map(|g| flips.iter().map(move |f| (g, *f)))
        {
            add(flip, gone, "traffic has left the zone that stands down");
        }
    }
    edges.extend(out);
}
