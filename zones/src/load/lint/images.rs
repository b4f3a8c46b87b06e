//! Images without a fixed version in a zone that stands by: it starts them months later, when something
//! else may be behind the name.

use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Role;

use super::Finding;
use super::spec::Spec;
use crate::charts::{Pin, images, pin};
use crate::diag::Code;

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    let role = spec.world.realms.get(zone).and_then(|r| r.role);
    if role != Some(Role::Standby) {
        return;
    }
    for object in spec.objects(zone) {
        let floating = images(object.value);
        for (path, image) in floating.iter().filter(|(_, i)| pin(i) == Pin::Floating) {
            let keys = path.replace('[', ".").replace(']', "");
            let keys: Vec<&str> = keys.split('.').collect();
            let at = spec.place(&object, &keys);
            let message =
                format!("`{zone}` stands by with an image of no fixed version: `{image}`");
            spec.report(
                zone,
                Finding {
                    code: Code::ImageFloating,
                    message,
                    at: at.as_ref(),
                    label: "whatever is newest when the pod starts".to_owned(),
                    also: None,
                    help: Some(
                        "name the version that the zone that serves runs, best with its digest: `name:tag@sha256:…`"
                            .to_owned(),
                    ),
                },
            );
        }
    }
}
