//! Makes a plan. Pure: the same inputs and observations give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::{Decided, Decider, identity_text};
use super::edges::{self, Dependencies};
use super::rolls::Rolls;
use super::scope::PlanScope;
use super::tier;
use super::tokens;
use super::{
    Action, AttrChange, Base, Certainty, Change, FORMAT_VERSION, Note, Plan, PlannedInstance,
    Reason, Severity, Step, StepNode, ZoneFacts, estimate,
};
use super::{exposure, needed, roles};
use crate::address::{Address, AttrPath, InstanceId, ZoneName};
use crate::canon;
use crate::config::{Resource, Role};
use crate::cost::{self, Bills};
use crate::diff::ignore;
use crate::expr::Reference;
use crate::objectives::{self, Forecast};
use crate::observe::{Inputs, Observations, only_observed};
use crate::provider::Observed;
use crate::schema::Registry;
use crate::value::{Map, Value};

pub use super::error::PlanError;

/// Makes a plan.
///
/// # Errors
/// Everything that stands in the way, sorted.
pub fn plan(inputs: &Inputs, seen: &Observations) -> Result<Plan, Vec<PlanError>> {
    plan_despite(inputs, seen, &|_| false)
}

/// Makes a plan of what is to be done for some resources, to be read and not applied: that others exist already
/// without being managed does not stand in the way.
///
/// # Errors
/// Everything else that stands in the way, sorted.
pub fn plan_about(
    inputs: &Inputs,
    seen: &Observations,
    addresses: &[Address],
) -> Result<Plan, Vec<PlanError>> {
    let others = |e: &PlanError| matches!(e, PlanError::Foreign { address, .. } if !addresses.contains(address));
    plan_despite(inputs, seen, &others)
}

/// Makes a plan although some errors stand in the way: for plans that are read and never applied.
pub(crate) fn plan_despite(
    inputs: &Inputs,
    seen: &Observations,
    tolerated: &dyn Fn(&PlanError) -> bool,
) -> Result<Plan, Vec<PlanError>> {
    let mut errors = check_selection(inputs);
    errors.extend(observed_outside(inputs, seen));
    let values = object_values(inputs, seen);
    errors.extend(exposure::refused(inputs, &values));
    errors.extend(roles::refused(inputs, seen));
    errors.extend(tokens::refused(inputs, seen));
    let dependencies = inputs.dependencies(&values);
    let exports = exports(inputs);
    let rolls = Rolls::of(inputs, &values);
    let decider = decide_all(inputs, seen, &dependencies, &exports, &rolls).map_err(|e| vec![e])?;
    errors.extend(decider.errors);
    errors.extend(needed::by_what_is_kept(inputs, &decider.decided));
    let forecasts = objectives::forecasts(inputs, &dependencies, &values);
    let misses = misses(inputs, &forecasts);
    if inputs.config.objectives.strict {
        errors.extend(misses.iter().map(|note| PlanError::Objective {
            message: format!("{} [{}]", note.message, note.code),
            help: note.help.clone().unwrap_or_default(),
        }));
    }
    errors.retain(|e| !tolerated(e));
    needed::before_protection(&mut errors);
    renames_first(&mut errors);
    if !errors.is_empty() {
        errors.sort();
        errors.dedup();
        return Err(errors);
    }
    let changes = changes(inputs, seen, &dependencies, &exports, &decider.decided);
    let steps = steps(inputs, &changes);
    let mut edges = edges::edges(inputs, &dependencies, &changes, &steps);
    roles::order(inputs, &values, &changes, &steps, &mut edges);
    let graph = edges::graph(steps.len(), &edges);
    let order = petgraph::algo::toposort(&graph, None).map_err(|_| {
        let nodes = edges::cycle(&graph).unwrap_or_default();
        let nodes = nodes.iter().map(|&n| steps[n].node.to_string()).collect();
        vec![PlanError::Cycle { nodes }]
    })?;
    let estimate = estimate::estimate(&graph, &order, &steps);
    Ok(Plan {
        format_version: FORMAT_VERSION,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        base: base(inputs),
        options: inputs.options.clone(),
        zones: zone_facts(inputs),
        moves: inputs.moves.clone(),
        instances: instances(inputs, seen, &decider.decided, &changes),
        forecasts,
        bills: bills(inputs, seen, &decider.decided),
        notes: notes(inputs, seen, &changes, misses),
        changes,
        steps,
        edges,
        estimate,
    })
}

fn bills(inputs: &Inputs, seen: &Observations, decided: &BTreeMap<Address, Decided>) -> Bills {
    let steps: Vec<cost::Step<'_>> = decided
        .iter()
        .map(|(address, decided)| cost::Step {
            address,
            actions: &decided.actions,
            live: decided.live.as_ref().map(|l| &l.attrs),
            desired: decided.value.as_ref(),
        })
        .collect();
    cost::bills(inputs, seen, &steps)
}

fn base(inputs: &Inputs) -> Base {
    Base {
        project: inputs.config.project.clone(),
        lineage: inputs.lineage.clone(),
        world: inputs.world.clone(),
        serials: inputs.serials(),
        config: inputs.config.digest,
    }
}

/// What was renamed looks as if it went and something else came: the rest is told once that is settled.
fn renames_first(errors: &mut Vec<PlanError>) {
    let renamed = |e: &PlanError| matches!(e, PlanError::Renamed { .. });
    if errors.iter().any(renamed) {
        errors.retain(renamed);
    }
}

/// References out of the selection need something recorded; what is destroyed must not be needed.
fn check_selection(inputs: &Inputs) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let options = &inputs.options;
    // The edge serves like the active zone does: its records are where users arrive.
    for zone in [inputs.config.active.clone(), ZoneName::edge()] {
        if options.destroy && options.selects(&zone) {
            errors.push(PlanError::Serving { zone });
        }
    }
    for address in &options.replace {
        if inputs.wanted(address).is_none() {
            let address = address.clone();
            errors.push(PlanError::NothingToReplace { address });
        }
    }
    for resource in inputs.config.resources.values() {
        let stays = inputs.wanted(&resource.address).is_some();
        for (reference, _) in resource.references() {
            let Some(target) = reference.address() else {
                continue;
            };
            let selected = options.selects(&target.zone);
            let outside = options.selects(&resource.address.zone) != selected;
            let nowhere = inputs.state.record(target).is_none() && !only_observed(inputs, target);
            if stays && !selected && nowhere {
                errors.push(PlanError::OutsideMissing {
                    address: resource.address.clone(),
                    reference: Box::new(reference.clone()),
                });
            } else if options.destroy
                && selected
                && outside
                && inputs.state.record(&resource.address).is_some()
            {
                errors.extend(needed::needed(inputs, target, resource));
            }
        }
    }
    errors
}

/// What is only observed has to be there, also where only a reference leads to it.
fn observed_outside(inputs: &Inputs, seen: &Observations) -> Vec<PlanError> {
    let gone = seen.seen.iter().filter(|(a, o)| {
        **o == Observed::Gone && !inputs.options.selects(&a.zone) && only_observed(inputs, a)
    });
    gone.filter_map(|(address, _)| {
        let resource = inputs.config.resources.get(address)?;
        let scope = |r: &Reference| crate::observe::lookup_seen(inputs, seen, r);
        Some(PlanError::ObservedMissing {
            address: address.clone(),
            names: identity_text(
                inputs.registry.kind(&address.kind)?,
                &resource.body.eval(&scope),
            ),
        })
    })
    .collect()
}

/// The configured Kubernetes objects, as far as they are known from what was seen.
pub(crate) fn object_values(inputs: &Inputs, seen: &Observations) -> BTreeMap<Address, Value> {
    let scope = |reference: &Reference| crate::observe::lookup_seen(inputs, seen, reference);
    inputs
        .config
        .resources
        .values()
        .filter(|r| inputs.object_rules(&r.address).is_some())
        .map(|r| (r.address.clone(), r.body.eval(&scope)))
        .collect()
}

fn decide_all<'a>(
    inputs: &'a Inputs,
    seen: &'a Observations,
    dependencies: &'a Dependencies,
    exports: &'a Exports<'a>,
    rolls: &'a Rolls,
) -> Result<Decider<'a>, PlanError> {
    let addresses = inputs.addresses();
    let wanted: BTreeMap<&Address, &Resource> = addresses
        .iter()
        .filter_map(|a| inputs.config.resources.get_key_value(a))
        .filter(|(a, _)| inputs.wanted(a).is_some())
        .collect();
    let keys: BTreeSet<&Address> = wanted.keys().copied().collect();
    let order = edges::ordered(&keys, dependencies)?;
    let mut decider = Decider {
        inputs,
        seen,
        dependencies,
        exports,
        rolls,
        decided: BTreeMap::new(),
        errors: Vec::new(),
    };
    for address in order {
        decider.wanted(wanted[address]);
    }
    for address in &addresses {
        if !wanted.contains_key(address) {
            decider.unwanted(address);
        }
    }
    Ok(decider)
}

/// What would be done, as far as it is decided without trying anything; nothing when there is no order. What
/// else is in the way of a plan hides nothing that a trial finds: all is told in one go.
pub(super) fn drafted(inputs: &Inputs, seen: &Observations) -> Option<BTreeMap<Address, Decided>> {
    let values = object_values(inputs, seen);
    let dependencies = inputs.dependencies(&values);
    let exports = exports(inputs);
    let rolls = Rolls::of(inputs, &values);
    let decider = decide_all(inputs, seen, &dependencies, &exports, &rolls).ok()?;
    Some(decider.decided)
}

fn changes(
    inputs: &Inputs,
    seen: &Observations,
    dependencies: &Dependencies,
    exports: &Exports<'_>,
    decided: &BTreeMap<Address, Decided>,
) -> Vec<Change> {
    let grounds = tier::grounds(inputs, decided);
    decided
        .iter()
        .filter_map(|(address, decided)| {
            let instance = inputs.instance_of(address)?;
            let tier = tier::tier(inputs, seen, &grounds, address, decided);
            let change = change(inputs, dependencies, exports, address, instance, decided);
            Some(Change { tier, ..change })
        })
        .collect()
}

fn change(
    inputs: &Inputs,
    dependencies: &Dependencies,
    exports: &Exports<'_>,
    address: &Address,
    instance: InstanceId,
    decided: &Decided,
) -> Change {
    let resource = inputs.config.resources.get(address);
    let attrs = decided.differences.iter().map(|difference| AttrChange {
        path: difference.path.clone(),
        before: difference.before.clone(),
        after: difference.after.clone(),
        replaces: difference.replaces,
        declared: resource
            .and_then(|r| r.body.origin_of(&difference.path))
            .map(ToString::to_string),
    });
    let paths = exports.get(address).into_iter().flatten();
    Change {
        address: address.clone(),
        instance,
        actions: decided.actions.clone(),
        reason: decided.reason.clone(),
        certainty: decided.certainty,
        tier: None,
        effect: decided.effect,
        attrs: attrs.collect(),
        desired: decided.expr.clone(),
        generation: decided.generation,
        seen: decided.seen,
        depends_on: dependencies.addresses(address),
        container: decided.container.clone(),
        exports: paths.map(|p| (*p).clone()).collect(),
        protect: resource.is_some_and(|r| r.meta.protect),
        keep: resource.is_some_and(|r| r.meta.keep),
        ignore: resource.map_or_else(Vec::new, |r| r.meta.ignore.clone()),
        sharing: inputs.sharing(address),
        replace_when: decided.replace_when.clone(),
        timeout_s: resource.and_then(|r| r.meta.timeout).map(|t| t.as_secs()),
        declared: resource
            .and_then(|r| r.at.as_ref())
            .map(ToString::to_string),
        stand_in: resource.is_some_and(|r| r.meta.stand_in),
    }
}

/// Live fields that references name, by resource.
type Exports<'a> = BTreeMap<&'a Address, BTreeSet<&'a AttrPath>>;

fn exports(inputs: &Inputs) -> Exports<'_> {
    let mut out = Exports::new();
    for resource in inputs.config.resources.values() {
        for (reference, _) in resource.references() {
            if let Reference::Resource { address, path } = reference
                && !path.is_empty()
            {
                out.entry(address).or_default().insert(path);
            }
        }
    }
    out
}

fn steps(inputs: &Inputs, changes: &[Change]) -> Vec<Step> {
    let opens = edges::needed_instances(changes)
        .into_iter()
        .map(|instance| Step {
            node: StepNode::Open { instance },
            seconds: 0,
        });
    let acts = changes.iter().flat_map(|change| {
        change
            .actions
            .iter()
            .filter(|a| !matches!(a, Action::NoOp | Action::Read))
            .map(|&action| Step {
                seconds: estimate::seconds(inputs, changes, change, action),
                node: StepNode::Act {
                    address: change.address.clone(),
                    action,
                },
            })
    });
    let mut steps: Vec<Step> = opens.chain(acts).collect();
    steps.sort_by(|a, b| a.node.cmp(&b.node));
    steps
}

fn instances(
    inputs: &Inputs,
    seen: &Observations,
    decided: &BTreeMap<Address, Decided>,
    changes: &[Change],
) -> BTreeMap<InstanceId, PlannedInstance> {
    let scope = PlanScope {
        inputs,
        seen,
        decided,
    };
    edges::needed_instances(changes)
        .into_iter()
        .filter_map(|id| {
            let instance = inputs.instance(&id)?;
            let planned = PlannedInstance {
                config: instance.config.reduce(&scope),
                container: instance.container.clone(),
            };
            Some((id, planned))
        })
        .collect()
}

fn zone_facts(inputs: &Inputs) -> BTreeMap<ZoneName, ZoneFacts> {
    inputs
        .config
        .zones
        .iter()
        .map(|(name, zone)| {
            let setting = |key: &str| zone.settings.get(key);
            let facts = ZoneFacts {
                role: zone.role,
                posture: zone.posture,
                database: zone.database.clone(),
                region: setting("region").and_then(|v| v.as_str().map(str::to_owned)),
                exposed: setting("exposed").and_then(Value::as_bool),
                needs: needs(inputs, name),
            };
            (name.clone(), facts)
        })
        .collect()
}

/// What of other zones a zone's resources refer to. Who makes the zone while those are gone has to know.
fn needs(inputs: &Inputs, zone: &ZoneName) -> BTreeSet<Address> {
    let resources = inputs.config.resources.values();
    let own = resources.filter(|r| r.address.zone == *zone && inputs.wanted(&r.address).is_some());
    own.flat_map(Resource::references)
        .filter_map(|(reference, _)| reference.address())
        .filter(|a| a.zone != *zone && !a.zone.is_edge())
        .map(Address::declaration)
        .collect()
}

/// Objectives that are out of reach; what is destroyed need not meet any.
fn misses(inputs: &Inputs, forecasts: &BTreeMap<ZoneName, Forecast>) -> Vec<Note> {
    if inputs.options.destroy {
        return Vec::new();
    }
    objectives::notes(forecasts)
}

fn notes(inputs: &Inputs, seen: &Observations, changes: &[Change], misses: Vec<Note>) -> Vec<Note> {
    let mut out = misses;
    out.extend(changes.iter().filter_map(|c| note(inputs, c)));
    out.extend(roles::notes(inputs, changes));
    out.extend(tokens::notes(inputs, seen));
    let stand_ins: BTreeSet<String> = changes
        .iter()
        .filter(|c| c.stand_in && !c.is_no_op())
        .map(|c| c.address.declaration().to_string())
        .collect();
    out.extend(stand_ins.into_iter().map(|chart| Note {
        severity: Severity::Info,
        code: "ZW3010".to_owned(),
        address: None,
        message: format!("{chart} is a stand-in of the sandbox, not the real chart"),
        help: Some("vendor its rendering to rehearse with the real one".to_owned()),
    }));
    out.sort();
    out
}

fn note(inputs: &Inputs, change: &Change) -> Option<Note> {
    let schema = inputs.registry.kind(&change.address.kind)?;
    let (severity, code, message) = match &change.reason {
        Reason::Unreadable { error } => (
            Severity::Warning,
            "ZW3001",
            format!("could not be read and is left alone: {error}"),
        ),
        Reason::ContainerDeleted { container } if change.certainty == Certainty::Unreadable => (
            Severity::Danger,
            "ZW3006",
            format!(
                "could not be read: what it holds outside {container} (a volume, a load balancer) may stay behind and cost money"
            ),
        ),
        Reason::Ailing { error } => (
            Severity::Warning,
            "ZW3005",
            format!("is not well, and is left alone: {error}"),
        ),
        _ if schema.protect && change.actions.contains(&Action::Delete) => (
            Severity::Danger,
            "ZW3002",
            format!("holds data, and the data goes with it ({})", schema.kind),
        ),
        _ if change.actions.contains(&Action::Delete) && serves(inputs, &change.address) => (
            Severity::Danger,
            "ZW3003",
            "is deleted in the zone that serves".to_owned(),
        ),
        _ if change.certainty == Certainty::Recorded && !change.is_no_op() => (
            Severity::Info,
            "ZW3004",
            "was compared with the state only, not looked at".to_owned(),
        ),
        _ => return None,
    };
    Some(Note {
        severity,
        code: code.to_owned(),
        address: Some(change.address.clone()),
        message,
        help: None,
    })
}

fn serves(inputs: &Inputs, address: &Address) -> bool {
    address.zone.is_edge() || inputs.config.role(&address.zone) == Some(Role::Active)
}

/// Objects above this many canonical bytes are recorded by digest: server-side apply removes dropped
/// fields by itself, so their paths need not be kept.
const COMPACT_ABOVE: usize = 16 * 1024;

/// What a record keeps of the attributes as applied.
pub fn recorded_inputs(
    registry: &Registry,
    address: &Address,
    desired: &Value,
    ignore: &[AttrPath],
) -> Value {
    let desired = &ignore::without(desired, ignore);
    let is_object = registry.kind(&address.kind).is_some_and(|k| k.is_object());
    if !is_object {
        return desired.clone();
    }
    let bytes = canon::bytes(desired);
    if bytes.len() <= COMPACT_ABOVE {
        return desired.clone();
    }
    let keep = |keys: &[&str], from: &Value| -> Map {
        keys.iter()
            .filter_map(|k| Some(((*k).to_owned(), from.get(k)?.clone())))
            .collect()
    };
    let mut out = keep(&["apiVersion", "kind"], desired);
    if let Some(metadata) = desired.get("metadata") {
        out.insert(
            "metadata".to_owned(),
            Value::Map(keep(&["name", "namespace"], metadata)),
        );
    }
    let digest = canon::Digest::of(&bytes).to_string();
    out.insert(COMPACT_KEY.to_owned(), Value::text(digest));
    Value::Map(out)
}

/// The key under which a compact record holds the digest of the whole.
pub const COMPACT_KEY: &str = "zonewright.dev/digest";
