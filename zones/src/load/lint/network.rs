//! X3: a zone has a network of its own, and everything of the zone is in it.

use ipnet::IpNet;
use zonewright_engine::address::ZoneName;
use zonewright_engine::schema::Part;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    for network in spec.parts(zone, Part::Network) {
        range(spec, zone, &network);
    }
    for part in [Part::Cluster, Part::Writer, Part::Replica] {
        for item in spec.parts(zone, part) {
            inside(spec, zone, &item);
        }
    }
}

/// The range is given, and inside the zone's.
fn range(spec: &Spec<'_>, zone: &ZoneName, network: &Item<'_>) {
    let setting = spec.setting(zone, "cidr");
    let cidr = setting.and_then(|t| t.parse::<IpNet>().ok());
    let example = match cidr {
        Some(_) => "write `ip_range = \"${zone.cidr}\"`",
        None => "write `cidr` in `[zone]` and `ip_range = \"${zone.cidr}\"` here",
    };
    if network.attr("ip_range").is_none() {
        if network.resource.meta.observe {
            return;
        }
        spec.report(
            zone,
            Finding {
                code: Code::NetworkShared,
                message: "the vendor chooses the range of this network".to_owned(),
                at: network.at(),
                label: "it has no `ip_range`, so nothing can say that zones do not overlap"
                    .to_owned(),
                also: None,
                help: Some(example.to_owned()),
            },
        );
        return;
    }
    let own = network.text(&["ip_range"]).parse::<IpNet>().ok();
    if let (Some(own), Some(cidr)) = (own, cidr)
        && !cidr.contains(&own)
    {
        spec.report(
            zone,
            Finding {
                code: Code::NetworkShared,
                message: format!("the network {own} is not inside the zone's `cidr`, {cidr}"),
                at: network.at_attr("ip_range"),
                label: "another range than that of the zone".to_owned(),
                also: None,
                help: Some(example.to_owned()),
            },
        );
    }
}

/// A cluster and its databases are in a network of their zone.
fn inside(spec: &Spec<'_>, zone: &ZoneName, item: &Item<'_>) {
    if item.resource.meta.observe || !spec.knows(item, "vpc") {
        return;
    }
    let help = match spec.parts(zone, Part::Network).next() {
        Some(network) => {
            let address = &network.resource.address;
            format!(
                "write `vpc = \"${{{}.{}.id}}\"`",
                address.kind, address.name
            )
        }
        None => "declare a network in this zone and write its id as `vpc`".to_owned(),
    };
    if item.attr("vpc").is_none() {
        spec.report(
            zone,
            Finding {
                code: Code::NetworkShared,
                message: format!(
                    "`{}` goes into the region's shared network",
                    item.resource.address.kind
                ),
                at: item.at(),
                label: "it has no `vpc`".to_owned(),
                also: None,
                help: Some(help),
            },
        );
    } else if let Some(target) = item.target("vpc")
        && target.zone != *zone
    {
        spec.report(
            zone,
            Finding {
                code: Code::NetworkShared,
                message: format!(
                    "`{}` is in the network of `{}`",
                    item.resource.address.kind, target.zone
                ),
                at: item.at_attr("vpc"),
                label: "the network of another zone".to_owned(),
                also: None,
                help: Some(help),
            },
        );
    }
}
