//! Why a resource changes, in one line.

use std::collections::BTreeMap;

use zonewright_engine::address::Address;
use zonewright_engine::plan::{Change, Reason};

use crate::render::text::{elide, escape};

/// The reason in words, with where it is declared.
pub(super) fn line(change: &Change) -> String {
    let mut words = why(change);
    if let Some(tier) = &change.tier {
        words.push_str("; ");
        words.push_str(tier.name());
        if let Some(because) = tier.because() {
            words.push_str(&format!(": {because}"));
        }
    }
    escape(&words).into_owned()
}

/// The same without how the change was computed.
pub(super) fn why(change: &Change) -> String {
    let mut words = words(&change.reason);
    // A stand-in is no file of the project.
    match spec_place(change) {
        _ if change.stand_in => words.push_str(" (stand-in)"),
        Some(place) => words.push_str(&format!(" ({place})")),
        None => {}
    }
    words
}

/// How many objects of a declaration were computed in which way.
pub(super) fn tiers(changes: &[&Change]) -> String {
    let mut counts = BTreeMap::new();
    for tier in changes.iter().filter_map(|c| c.tier.as_ref()) {
        *counts.entry(tier.name()).or_insert(0_usize) += 1;
    }
    let all: Vec<String> = counts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    match (counts.len(), changes.len()) {
        (0, _) => String::new(),
        (1, n) if counts.values().all(|c| *c == n) => {
            counts.keys().map(|name| format!("; all {name}")).collect()
        }
        _ => format!("; {}", all.join(", ")),
    }
}

/// The line of the first changed attribute, else that of the declaration.
fn spec_place(change: &Change) -> Option<&str> {
    let attr = change.attrs.iter().find_map(|a| a.declared.as_deref());
    match change.reason {
        Reason::SpecChanged | Reason::CannotUpdate { .. } => attr.or(change.declared.as_deref()),
        _ => change.declared.as_deref(),
    }
}

fn list(addresses: &[Address]) -> String {
    let names: Vec<String> = addresses.iter().map(Address::to_string).collect();
    elide(&names.join(", "), 160).into_owned()
}

fn words(reason: &Reason) -> String {
    match reason {
        Reason::Unchanged => "unchanged".to_owned(),
        Reason::Observed => "only observed".to_owned(),
        Reason::New => "new in the spec".to_owned(),
        Reason::Missing => "was removed outside".to_owned(),
        Reason::SpecChanged => "the spec changed".to_owned(),
        Reason::Drifted => "was changed outside".to_owned(),
        Reason::Follows { of } => format!("follows {}", list(of)),
        Reason::CannotUpdate { paths } => {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            format!("the vendor cannot change {} in place", paths.join(", "))
        }
        Reason::Ailing { error } => format!("as the spec says, but not well: {error}"),
        Reason::Tainted => "an earlier run made it and it never became ready".to_owned(),
        Reason::Unfinished => "an earlier run began it and did not see it ready".to_owned(),
        Reason::UnfinishedDelete => "an earlier run began to delete it".to_owned(),
        Reason::Requested => "asked for with --replace".to_owned(),
        Reason::ContainerNew { container } => format!("{container} is new"),
        Reason::ContainerReplaced { container } => format!("{container} is replaced"),
        Reason::ContainerDeleted { container } => format!("goes with {container}"),
        Reason::EvictFirst { container } => {
            format!("something outside {container} hangs on it, so it goes first")
        }
        Reason::Triggered { by } => format!("{} changes", by.join(", ")),
        Reason::Kept => "left alone: `keep` says so".to_owned(),
        Reason::Forgotten => "left alone: `[[forget]]` says so".to_owned(),
        Reason::KeptWith { container } => format!("left alone with {container}"),
        Reason::LeftSpec => "left the spec".to_owned(),
        Reason::Destroy => "the zone is destroyed".to_owned(),
        Reason::GoneAlready => "left the spec and is gone already".to_owned(),
        Reason::Marked => "is there and carries our mark".to_owned(),
        Reason::TakenOver { mark } => {
            let mark = mark.as_ref().map(|m| format!(": it carries {m}"));
            format!("is taken over{}", mark.unwrap_or_default())
        }
        Reason::Unmarked => "its mark of ownership is missing or another's".to_owned(),
        Reason::RecordOnly => "only what is recorded changes; no request".to_owned(),
        Reason::Unreadable { error } => format!("could not be read: {error}"),
    }
}
