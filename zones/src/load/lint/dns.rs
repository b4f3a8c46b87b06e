//! X9: records follow what they name, whichever zone serves. X12: how long they are cached fits what the vendor and the RTO
//! allow. X13: the shared name is moved by an approved plan alone.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Role;
use zonewright_engine::expr::Node;
use zonewright_engine::objectives::cached_for;
use zonewright_engine::schema::Part;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;

/// The least time to live of a record without an Enterprise plan; 1 stands for automatic.
const FLOOR: i64 = 60;
const AUTOMATIC: i64 = 1;
const HOSTNAME: &str = "external-dns.alpha.kubernetes.io/hostname";

pub(super) fn check(spec: &Spec<'_>) {
    let edge = ZoneName::edge();
    let mut owners = BTreeMap::new();
    for zone in spec.world.realms.keys() {
        for record in spec.parts(zone, Part::DnsRecord) {
            owners.insert(full_name(&record), zone);
            time_to_live(spec, zone, &record);
            fixed_address(spec, zone, &record);
        }
    }
    let mut shared = Vec::new();
    for record in spec.parts(&edge, Part::DnsRecord) {
        time_to_live(spec, &edge, &record);
        against_objective(spec, &edge, &record);
        fixed_zone(spec, &edge, &record, &owners);
        shared.push(full_name(&record));
    }
    for zone in spec.world.realms.keys() {
        for object in spec.objects(zone) {
            published(spec, zone, &object, &shared);
        }
    }
}

/// The whole name of a record.
fn full_name(record: &Item<'_>) -> String {
    let (zone, name) = (record.text(&["zone"]), record.text(&["name"]));
    if name == "@" || name == zone {
        zone.to_owned()
    } else if name.ends_with(&format!(".{zone}")) {
        name.to_owned()
    } else {
        format!("{name}.{zone}")
    }
}

fn time_to_live(spec: &Spec<'_>, zone: &ZoneName, record: &Item<'_>) {
    let Some(ttl) = record.value["ttl"].as_i64() else {
        return;
    };
    let proxied = record.value["proxied"].as_bool() == Some(true);
    let (message, label, help) = if proxied && ttl != AUTOMATIC {
        (
            format!("a proxied record cannot have a TTL of {ttl} seconds"),
            "the vendor uses its automatic TTL instead",
            "write `ttl = 1`, or `proxied = false`",
        )
    } else if ttl > AUTOMATIC && ttl < FLOOR {
        (
            format!("a TTL of {ttl} seconds needs an Enterprise plan"),
            "refused without one",
            "write `ttl = 60`, the least that every plan allows",
        )
    } else {
        return;
    };
    spec.report(
        zone,
        Finding {
            code: Code::TtlMismatch,
            message,
            at: record.at_attr("ttl"),
            label: label.to_owned(),
            also: None,
            help: Some(help.to_owned()),
        },
    );
}

/// What is flipped must not be cached for most of the time that a disaster may take.
fn against_objective(spec: &Spec<'_>, edge: &ZoneName, record: &Item<'_>) {
    let objective = spec.world.project.facts.objectives.rto;
    let ttl = record.value["ttl"].as_u64();
    let (Some(rto), Some(ttl)) = (objective.map(|d| d.as_secs()), ttl) else {
        return;
    };
    let cached = cached_for(ttl);
    if cached.saturating_mul(2) > rto {
        spec.report(
            edge,
            Finding {
                code: Code::TtlMismatch,
                message: format!(
                    "answers that are cached for {cached} seconds take more than half of the RTO, {rto} seconds"
                ),
                at: record.at_attr("ttl"),
                label: "resolvers keep leading to the old zone for as long".to_owned(),
                also: None,
                help: Some("lower `ttl`, or allow a longer `rto` in `[objectives]`".to_owned()),
            },
        );
    }
}

/// The address of a zone that is exposed is its load balancer's, which changes with the zone.
fn fixed_address(spec: &Spec<'_>, zone: &ZoneName, record: &Item<'_>) {
    let address = ["A", "AAAA"].contains(&record.text(&["type"]));
    let literal = matches!(
        record.attr("content").map(|e| &e.node),
        Some(Node::Literal(_))
    );
    let balancer = spec.objects(zone).find(|o| {
        o.is("", "Service") && o.text(&["spec", "type"]) == "LoadBalancer" && spec.is_whole(o)
    });
    let (true, true, Some(balancer)) = (address, literal, balancer) else {
        return;
    };
    let exposed = spec.world.realms.get(zone).is_some_and(|realm| {
        let set = realm.setting("exposed").and_then(|t| t.bool());
        realm.role == Some(Role::Active) || set == Some(true)
    });
    if !exposed {
        return;
    }
    let kind = spec.place(&balancer, &["spec", "type"]);
    spec.report(
        zone,
        Finding {
            code: Code::RecordFixed,
            message: "the record does not follow the zone's load balancer".to_owned(),
            at: record.at_attr("content"),
            label: "a fixed address".to_owned(),
            also: kind.as_ref().map(|at| (at, "this gets a new address whenever the zone is made".to_owned())),
            help: Some(format!(
                "write `content = '${{{}.status.loadBalancer.ingress[0].ip}}'`, and a reserved address in `[role.standby.…]`",
                within_zone(&balancer),
            )),
        },
    );
}

/// How a reference of the same zone names an object.
fn within_zone(object: &Item<'_>) -> String {
    let address = &object.resource.address;
    let key = address.key.as_deref().map(|key| format!("[\"{key}\"]"));
    let key = key.unwrap_or_default();
    format!("{}.{}{key}", address.kind, address.name)
}

/// A shared record that names one zone does not move when another becomes active.
fn fixed_zone(
    spec: &Spec<'_>,
    edge: &ZoneName,
    record: &Item<'_>,
    owners: &BTreeMap<String, &ZoneName>,
) {
    let Some(content) = record.attr("content") else {
        return;
    };
    let zone = match &content.node {
        Node::Literal(_) => {
            let name = record.text(&["content"]).trim_end_matches('.');
            owners.get(name).copied()
        }
        Node::Ref(reference) => reference.address().map(|a| &a.zone).filter(|zone| {
            let written = content.at.as_ref().map(|at| {
                let at = spec.world.ctx.loc(at);
                spec.world.ctx.sources.borrow().slice(at).to_owned()
            });
            written.is_some_and(|t| t.contains(&format!("${{{zone}/")))
        }),
        _ => None,
    };
    let Some(zone) = zone else { return };
    spec.report(
        edge,
        Finding {
            code: Code::RecordFixed,
            message: format!("this shared record stays with `{zone}` whichever zone is active"),
            at: record.at_attr("content"),
            label: "names one zone".to_owned(),
            also: None,
            help: Some(format!(
                "write `${{active/{}.NAME.hostname}}` with the name of the zones' record",
                record.resource.address.kind
            )),
        },
    );
}

/// A controller in a cluster that writes the shared name moves traffic without anybody's approval.
fn published(spec: &Spec<'_>, zone: &ZoneName, object: &Item<'_>, shared: &[String]) {
    let annotation = object.value["metadata"]["annotations"][HOSTNAME].as_str();
    let names = annotation.into_iter().flat_map(|t| t.split(','));
    let path = ["metadata", "annotations", HOSTNAME].map(str::to_owned);
    let mut hosts: Vec<(&str, Vec<String>)> = names.map(|n| (n.trim(), path.to_vec())).collect();
    if object.is("networking.k8s.io", "Ingress") && watches_ingresses(spec, zone) {
        let rules = object.value["spec"]["rules"].as_array();
        let rules = rules.into_iter().flatten().enumerate();
        hosts.extend(rules.filter_map(|(n, rule)| {
            let path = ["spec", "rules", &n.to_string(), "host"].map(str::to_owned);
            Some((rule["host"].as_str()?, path.to_vec()))
        }));
    }
    let found = hosts.iter().find(|(h, _)| shared.iter().any(|s| s == h));
    let Some((host, path)) = found else { return };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let at = spec.place(object, &path);
    spec.report(
        zone,
        Finding {
            code: Code::FlipUnapproved,
            message: format!("ExternalDNS would move `{host}` by itself"),
            at: at.as_ref(),
            label: "this has it write the shared name".to_owned(),
            also: None,
            help: Some("let ExternalDNS write names of the zone only; the shared name is moved by `[project] active` and an approved plan".to_owned()),
        },
    );
}

/// Whether the zone has an ExternalDNS that writes the hosts of every Ingress.
fn watches_ingresses(spec: &Spec<'_>, zone: &ZoneName) -> bool {
    let argument = |c: &Json| {
        let args = c["args"].as_array().into_iter().flatten();
        args.filter_map(Json::as_str)
            .any(|a| a == "--source=ingress")
    };
    let mut workloads = spec.objects(zone).filter_map(|o| o.pod());
    workloads.any(|pod| {
        let containers = pod["containers"].as_array().into_iter().flatten();
        containers
            .filter(|c| {
                c["image"]
                    .as_str()
                    .is_some_and(|i| i.contains("external-dns"))
            })
            .any(argument)
    })
}
