//! Contradictions: parts of a spec that are each well-formed and do not fit together.
//!
//! They are looked for once there are no errors: what a mistake leaves out would look like what is
//! missing. Nearly every finding is a warning, because something that the spec does not know may mend it.

use std::collections::BTreeMap;

use zonewright_engine::address::{Address, InstanceId, ZoneName};
use zonewright_engine::config::{Instance, Resource};
use zonewright_engine::expr::Origin;

use super::scope::World;
use crate::diag::{Code, Draft};

mod components;
mod database;
mod dns;
mod images;
mod issuers;
mod network;
mod place;
mod refused;
mod replica;
mod restored;
mod scale;
mod spec;

use spec::Spec;

/// Looks for all of them.
pub(super) fn all(
    world: &World<'_, '_>,
    instances: &BTreeMap<InstanceId, Instance>,
    resources: &BTreeMap<Address, Resource>,
) {
    if world.ctx.errors() > 0 {
        return;
    }
    let spec = Spec::of(world, instances, resources);
    for zone in world.realms.keys() {
        issuers::check(&spec, zone);
        components::check(&spec, zone);
        network::check(&spec, zone);
        database::check(&spec, zone);
        scale::check(&spec, zone);
        replica::check(&spec, zone);
        restored::check(&spec, zone);
        refused::check(&spec, zone);
        images::check(&spec, zone);
    }
    dns::check(&spec);
}

/// Looks at records alone.
pub(super) fn records(
    world: &World<'_, '_>,
    instances: &BTreeMap<InstanceId, Instance>,
    resources: &BTreeMap<Address, Resource>,
) {
    if world.ctx.errors() > 0 {
        return;
    }
    dns::check(&Spec::of(world, instances, resources));
}

/// A finding about something that a zone has.
struct Finding<'f> {
    code: Code,
    message: String,
    at: Option<&'f Origin>,
    label: String,
    also: Option<(&'f Origin, String)>,
    help: Option<String>,
}

impl Spec<'_> {
    fn report(&self, zone: &ZoneName, finding: Finding<'_>) {
        let ctx = self.world.ctx;
        let Some(at) = finding.at else { return };
        let mut draft = Draft::new(finding.code, finding.message).label(ctx.loc(at), finding.label);
        if let Some((at, label)) = finding.also {
            draft = draft.label(ctx.loc(at), label);
        }
        let draft = draft.maybe_help(finding.help);
        ctx.report(match self.world.realms.get(zone) {
            Some(realm) => realm.inherited(draft),
            None => draft,
        });
    }
}
