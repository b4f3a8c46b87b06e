//! What a vendor or an API server would refuse, and the spec alone decides: said when the spec is read, not in
//! the middle of an apply.

use zonewright_engine::address::ZoneName;
use zonewright_engine::schema::Misfit;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    for item in spec.zone(zone).filter(|i| !i.resource.meta.observe) {
        let address = &item.resource.address;
        let Some(schema) = spec.schema(address) else {
            continue;
        };
        for check in schema.checks {
            if let Some(why) = (check.refused)(item.value) {
                attribute(spec, zone, &item, check.attr, why);
            }
        }
        let provider = spec.world.ctx.registry.provider(address.kind.provider());
        let rules = provider.and_then(|p| p.objects.as_ref());
        if let Some(rules) = rules.filter(|_| schema.is_object()) {
            for misfit in (rules.misfits)(item.value) {
                field(spec, zone, &item, &misfit);
            }
        }
    }
}

fn attribute(spec: &Spec<'_>, zone: &ZoneName, item: &Item<'_>, attr: &str, why: &str) {
    let kind = &item.resource.address.kind;
    spec.report(
        zone,
        Finding {
            code: Code::VendorRefuses,
            message: format!("`{kind}` would be refused"),
            at: item.at_attr(attr),
            label: why.to_owned(),
            also: None,
            help: None,
        },
    );
}

fn field(spec: &Spec<'_>, zone: &ZoneName, item: &Item<'_>, misfit: &Misfit) {
    let path: Vec<&str> = misfit.path.iter().map(String::as_str).collect();
    let (kind, name) = (item.kind(), item.name());
    let help = match misfit.wanted {
        "text" => "quote it",
        _ => "correct it here, or in the setting that it comes from",
    };
    spec.report(
        zone,
        Finding {
            code: Code::FieldType,
            message: format!(
                "`{}` of {kind} `{name}` wants {}, not {}",
                path.join("."),
                misfit.wanted,
                misfit.found
            ),
            at: spec.place(item, &path).as_ref(),
            label: format!("comes to {}", misfit.found),
            also: None,
            help: Some(help.to_owned()),
        },
    );
}
