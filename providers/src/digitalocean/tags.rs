//! Tags: the vendor's own, our mark, and the user's.

use zonewright_engine::provider::Marker;

use crate::live::is_mark;

/// Whether the vendor puts this tag on clusters and pools by itself.
fn is_server_tag(tag: &str) -> bool {
    tag == "k8s" || tag == "k8s-worker" || tag.starts_with("k8s:")
}

/// The tags that are the user's.
pub(super) fn user_tags<'a>(
    live: impl Iterator<Item = &'a str> + Clone,
) -> impl Iterator<Item = &'a str> + Clone {
    live.filter(|t| !is_server_tag(t) && !is_mark(t))
}

/// What to send so that all desired tags and the mark are there and nobody else's tag goes.
pub(super) fn with_mark<'a>(
    desired: Option<&'a Vec<String>>,
    live: impl Iterator<Item = &'a str>,
    marker: &Marker,
) -> Vec<String> {
    let stem = marker.stem();
    let kept = live.filter(|t| !is_server_tag(t) && !t.starts_with(&stem));
    let wanted = desired.into_iter().flatten().map(String::as_str);
    let mut all: Vec<String> = Vec::new();
    for tag in kept.chain(wanted) {
        if !all.iter().any(|t| t.eq_ignore_ascii_case(tag)) {
            all.push(tag.to_owned());
        }
    }
    all.push(marker.to_string());
    all
}
