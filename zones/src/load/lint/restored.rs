//! What a restore makes is as large as what it is restored from.

use zonewright_engine::address::ZoneName;

use super::Finding;
use super::spec::Spec;
use crate::diag::Code;

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    let Some(realm) = spec.world.realms.get(zone) else {
        return;
    };
    let restore = realm.database.as_ref().and_then(|d| d.restore.as_ref());
    let (Some(restore), Some(at)) = (restore, realm.restored_size) else {
        return;
    };
    let (Some(source), Some(size)) = (spec.get(&restore.source), restore.size.as_deref()) else {
        return;
    };
    let wanted = source.text(&["size"]);
    let names = spec.names(&source, "size");
    if !names.is_some_and(|names| names.is_less(size, wanted)) {
        return;
    }
    let at = spec.world.ctx.origin(at);
    spec.report(
        zone,
        Finding {
            code: Code::RestoredTooSmall,
            message: format!("a restore into `{size}` is smaller than its source"),
            at: Some(&at),
            label: "the data may not fit, and the load is the primary's".to_owned(),
            also: source
                .at_attr("size")
                .map(|at| (at, format!("the source has `{wanted}`"))),
            help: Some(format!("write `size = \"{wanted}\"`, or a larger one")),
        },
    );
}
