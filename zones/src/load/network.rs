//! Networks that must not overlap between zones.

use std::collections::BTreeMap;

use ipnet::IpNet;
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::config::Resource;
use zonewright_engine::expr::{Node, Origin};
use zonewright_engine::schema::Type;
use zonewright_engine::value::Value;

use super::realm::Realm;
use super::scope::World;
use super::{Ctx, types};
use crate::diag::{Code, Draft};
use crate::tree::Loc;

/// The `cidr` settings of all zones.
pub(super) fn zones(ctx: &Ctx<'_>, realms: &BTreeMap<ZoneName, Realm>) {
    let mut seen: Vec<(&Realm, IpNet, Loc)> = Vec::new();
    for realm in realms.values() {
        let Some(tree) = realm.setting("cidr") else {
            continue;
        };
        let Some(text) = tree.str() else {
            let draft = types::wrong(tree.at, "cidr", "a network (`10.10.0.0/16`)", tree.what());
            ctx.report(realm.inherited(draft));
            continue;
        };
        let net = match types::network(text, tree.at) {
            Ok(net) => net,
            Err(draft) => {
                ctx.report(realm.inherited(draft));
                continue;
            }
        };
        for (other, found, at) in &seen {
            if overlap(&net, found) {
                let here = place(realm, tree.at);
                let there = place(other, *at);
                ctx.report(overlapping(
                    &net,
                    found,
                    [here, there],
                    [&realm.name, &other.name],
                ));
            }
        }
        seen.push((realm, net, tree.at));
    }
}

/// Where a zone gets its network: its own line, or the line that inherits it.
fn place(realm: &Realm, at: Loc) -> Loc {
    match realm.extends {
        Some(extends) if at.file != realm.file => extends,
        _ => at,
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn overlapping(a: &IpNet, b: &IpNet, at: [Loc; 2], zones: [&ZoneName; 2]) -> Draft {
    let message = format!("the networks of `{}` and `{}` overlap", zones[0], zones[1]);
    Draft::new(Code::CidrOverlap, message)
        .label(at[0], format!("`{}` has {a}", zones[0]))
        .label(at[1], format!("`{}` has {b}", zones[1]))
        .help("give one of the zones another network, for example 10.20.0.0/16")
}

/// Networks that resources of different zones take for themselves, where settings do not say so
/// already.
pub(super) fn resources(world: &World<'_, '_>, resources: &BTreeMap<Address, Resource>) {
    let mut seen: Vec<(&ZoneName, IpNet, &Origin)> = Vec::new();
    for resource in resources.values() {
        let Some(schema) = world.ctx.registry.kind(&resource.address.kind) else {
            continue;
        };
        for attr in schema.attrs.iter().filter(|a| a.ty == Type::Cidr) {
            let Some(expr) = resource.body.get(attr.name) else {
                continue;
            };
            let Node::Literal(Value::String(text)) = &expr.node else {
                continue;
            };
            if let (Ok(net), Some(at)) = (text.parse::<IpNet>(), &expr.at) {
                seen.push((&resource.address.zone, net, at));
            }
        }
    }
    let setting = |zone: &ZoneName| {
        let text = world.realms.get(zone)?.setting("cidr")?.str()?;
        text.parse::<IpNet>().ok()
    };
    for (i, (zone, net, at)) in seen.iter().enumerate() {
        for (other, found, there) in &seen[..i] {
            let known = setting(zone)
                .zip(setting(other))
                .is_some_and(|(a, b)| overlap(&a, &b));
            if zone != other && overlap(net, found) && !known {
                let locs = [world.ctx.loc(at), world.ctx.loc(there)];
                world
                    .ctx
                    .report(overlapping(net, found, locs, [zone, other]));
            }
        }
    }
}
