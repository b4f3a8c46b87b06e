//! Tags: the vendor's own, our mark, and the user's.

use serde_json::Value as Json;
use zonewright_engine::provider::{Mark, Marker};

use crate::live::{is_mark, mark_among, marked, texts};

/// What the tags of an object say of whose it is. A token that may not read tags sees none of them.
pub(super) fn mark_in_tags(item: &Json, wanted: &Marker) -> Mark {
    match item["tags"].is_null() {
        true => Mark::Untold,
        false => marked(mark_among(texts(item, "/tags"), wanted)),
    }
}

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
    // An object has one address in a project; other projects' marks are their own.
    let project = marker.project();
    let kept = live.filter(|t| !is_server_tag(t) && !t.starts_with(&project));
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
