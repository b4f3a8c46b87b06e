//! `[media]`: where a zone's uploads are, and whether the zones share a bucket.

use zonewright_engine::config::{Media, MediaMode};

use super::fields::Fields;
use super::realm::Realm;
use super::scope::World;
use super::{Ctx, types};
use crate::diag::{Code, Draft};
use crate::tree::{Loc, Table};

const KEYS: [&str; 5] = ["mode", "endpoint", "bucket", "by", "max_lag"];
const EXAMPLE: &str = "write `mode = \"single\"` (one bucket for all zones) or `mode = \"replicated\"` \
    (one in each, with `by` and `max_lag`), `endpoint = \"https://nyc3.digitaloceanspaces.com\"` and \
    `bucket = \"…\"`";
const REPLICATED: &str = "say who copies, `by = \"rclone in the zone that serves\"`, and within which \
    time, `max_lag = \"15m\"`";

/// The declaration as data; `None` where it is not whole, which is reported.
pub(super) fn declared(ctx: &Ctx<'_>, realm: &Realm, table: &Table, at: Loc) -> Option<Media> {
    let fields = Fields { ctx, realm };
    fields.known(table, &KEYS, "[media]");
    let place = ("[media]", at);
    let mode = fields.required(table, "mode", place, EXAMPLE);
    let endpoint = fields.required(table, "endpoint", place, EXAMPLE);
    let bucket = fields.required(table, "bucket", place, EXAMPLE);
    let mode = match mode.as_deref()? {
        "single" => {
            alone(&fields, table);
            MediaMode::Single
        }
        "replicated" => {
            let by = fields.required(table, "by", place, REPLICATED);
            if !table.contains_key("max_lag") {
                fields.required(table, "max_lag", place, REPLICATED);
            }
            let max_lag_s = fields.seconds(table, "max_lag");
            MediaMode::Replicated {
                by: by?,
                max_lag_s: max_lag_s?,
            }
        }
        _ => {
            let at = table.get("mode").map_or(at, |e| e.value.at);
            let wanted = "\"single\" or \"replicated\"";
            fields.report(types::wrong(at, "mode", wanted, "another text"));
            return None;
        }
    };
    Some(Media {
        endpoint: endpoint?,
        bucket: bucket?,
        mode,
    })
}

/// One bucket has nobody who copies it.
fn alone(fields: &Fields<'_, '_>, table: &Table) {
    for name in ["by", "max_lag"] {
        if let Some(entry) = table.get(name) {
            let message = format!("`{name}` is about copies, and there is one bucket");
            let draft = Draft::new(Code::MediaMismatch, message)
                .label(entry.key, "nothing is copied")
                .help("write `mode = \"replicated\"`, or take it out");
            fields.report(draft);
        }
    }
}

/// What the zones declare is one arrangement.
pub(super) fn agree(world: &World<'_, '_>) {
    let mut declared = world
        .realms
        .values()
        .filter_map(|r| Some((r, r.media.as_ref()?)));
    let Some((first, (of_first, at_first))) = declared.next() else {
        return;
    };
    for (realm, (media, at)) in declared {
        let single = |m: &Media| m.mode == MediaMode::Single;
        let same = (&media.endpoint, &media.bucket) == (&of_first.endpoint, &of_first.bucket);
        let (message, help) = if single(media) != single(of_first) {
            (
                format!(
                    "`{}` and `{}` declare different modes",
                    first.name, realm.name
                ),
                "write one mode for both: in the base of the zones, and not in an overlay",
            )
        } else if single(media) && !same {
            (
                format!(
                    "one bucket is declared, and `{}` and `{}` name two",
                    first.name, realm.name
                ),
                "name one bucket in both zones, or write `mode = \"replicated\"`",
            )
        } else if !single(media) && same {
            (
                format!("the bucket of `{}` would be a copy of itself", realm.name),
                "give each zone its own: `bucket = \"wp-${zone.name}-media\"`",
            )
        } else {
            continue;
        };
        let draft = Draft::new(Code::MediaMismatch, message)
            .label(*at, format!("`{}` has `{}`", realm.name, media.bucket))
            .help(help);
        let draft = match at == at_first {
            true => draft,
            false => draft.label(
                *at_first,
                format!("`{}` has `{}`", first.name, of_first.bucket),
            ),
        };
        world.ctx.report(realm.inherited(draft));
    }
}
