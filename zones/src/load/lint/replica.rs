//! A replica is as large as its source, somewhere else, and open to its own zone alone.

use std::net::IpAddr;

use serde_json::Value as Json;
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::schema::Part;
use zonewright_engine::value::Value;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    for replica in spec.parts(zone, Part::Replica) {
        if replica.resource.meta.observe {
            continue;
        }
        let source = replica.target("source").and_then(|a| spec.get(a));
        if let Some(source) = source {
            size(spec, zone, &replica, &source);
            region(spec, zone, &replica, &source);
        }
        firewall(spec, zone, &replica);
    }
}

fn size(spec: &Spec<'_>, zone: &ZoneName, replica: &Item<'_>, source: &Item<'_>) {
    let (own, wanted) = (replica.text(&["size"]), source.text(&["size"]));
    let Some(names) = spec.names(replica, "size") else {
        return;
    };
    if names.is_less(own, wanted) {
        spec.report(
            zone,
            Finding {
                code: Code::ReplicaTooSmall,
                message: format!("a replica of size `{own}` is smaller than its source"),
                at: replica.at_attr("size"),
                label: "the vendor refuses it".to_owned(),
                also: source
                    .at_attr("size")
                    .map(|at| (at, format!("the source has `{wanted}`"))),
                help: Some(format!("write `size = \"{wanted}\"`, or a larger one")),
            },
        );
    }
}

fn region(spec: &Spec<'_>, zone: &ZoneName, replica: &Item<'_>, source: &Item<'_>) {
    let (own, other) = (replica.text(&["region"]), source.text(&["region"]));
    if !own.is_empty() && own.eq_ignore_ascii_case(other) {
        spec.report(
            zone,
            Finding {
                code: Code::ReplicaBesideSource,
                message: format!("the replica and its source are both in `{own}`"),
                at: replica.at_attr("region"),
                label: "lost together with the source".to_owned(),
                also: source
                    .at_attr("region")
                    .map(|at| (at, "the source's region".to_owned())),
                help: Some(
                    "put the replica, and the zone that it is for, into another region".to_owned(),
                ),
            },
        );
    }
}

fn firewall(spec: &Spec<'_>, zone: &ZoneName, replica: &Item<'_>) {
    let own = Some(&replica.resource.address);
    let mut any = false;
    let zones = spec.world.realms.keys();
    for firewall in zones.flat_map(|z| spec.parts(z, Part::DatabaseFirewall)) {
        if firewall.target("cluster") != own {
            continue;
        }
        any = true;
        let clusters = items(firewall.attr("clusters"));
        let foreign = clusters.iter().find(|item| {
            let target = target(item);
            let inside = |a: &Address| a.zone == *zone && spec.part(a) == Some(Part::Cluster);
            !target.is_some_and(inside)
        });
        let Some(let_in) = foreign.copied().or_else(|| stranger(spec, zone, &firewall)) else {
            continue;
        };
        spec.report(
            zone,
            Finding {
                code: Code::ReplicaOpen,
                message: "the replica lets others in than the cluster of its zone".to_owned(),
                at: let_in.at.as_ref().or(firewall.at()),
                label: "neither a cluster of the zone nor one of its watchers".to_owned(),
                also: replica.at().map(|at| (at, "the replica".to_owned())),
                help: Some(
                    "allow the zone's own cluster alone, in `clusters`; the addresses from which \
                     `verify` asks are the setting `watchers` of `[zone]`"
                        .to_owned(),
                ),
            },
        );
    }
    let knows = spec
        .world
        .ctx
        .registry
        .kinds()
        .any(|k| k.part == Some(Part::DatabaseFirewall));
    if knows && !any {
        spec.report(
            zone,
            Finding {
                code: Code::ReplicaOpen,
                message: "no firewall says who may reach the replica".to_owned(),
                at: replica.at(),
                label: "open to every address".to_owned(),
                also: None,
                help: Some(
                    "declare a database firewall for it that allows the zone's own cluster alone"
                        .to_owned(),
                ),
            },
        );
    }
}

/// An address that is let in and is no watcher of the zone. A watcher is one machine and no network.
fn stranger<'a>(spec: &Spec<'_>, zone: &ZoneName, firewall: &Item<'a>) -> Option<&'a Expr> {
    let said = spec.world.realms.get(zone)?.values().remove("watchers");
    let watchers = said.as_ref().and_then(Value::as_list).unwrap_or_default();
    let watches = |address: &Json| {
        let text = address.as_str().unwrap_or_default();
        text.parse::<IpAddr>().is_ok() && watchers.iter().any(|w| w.as_str() == Some(text))
    };
    let attr = firewall.attr("addresses")?;
    let addresses = firewall.value["addresses"].as_array()?;
    let at = addresses.iter().position(|a| !watches(a))?;
    Some(items(Some(attr)).get(at).copied().unwrap_or(attr))
}

fn items(list: Option<&Expr>) -> Vec<&Expr> {
    match list.map(|e| &e.node) {
        Some(Node::List(items)) => items.iter().collect(),
        _ => Vec::new(),
    }
}

fn target(item: &Expr) -> Option<&Address> {
    match &item.node {
        Node::Ref(reference) => reference.address(),
        _ => None,
    }
}
