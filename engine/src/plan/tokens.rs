//! Tokens that open more domains than the spec has records in: who gets hold of one can change those, too.
//! Pure.

use std::collections::BTreeSet;

use super::build::PlanError;
use super::{Note, Severity};
use crate::address::InstanceId;
use crate::declared::{configured, record};
use crate::observe::{Inputs, Observations};

/// The entry of a provider's table that says what a token that may do more means.
pub(crate) const NARROW: &str = "narrow";

/// A token that sees more than it has to.
struct Wide<'a> {
    instance: &'a InstanceId,
    /// What it is used for.
    domains: BTreeSet<String>,
    /// Whether the spec says that it must not.
    refused: bool,
}

fn wide<'a>(inputs: &'a Inputs, seen: &'a Observations) -> impl Iterator<Item = Wide<'a>> {
    let of = |(instance, reach): (&'a InstanceId, &'a Vec<String>)| {
        let own = inputs.config.resources.values();
        let own = own.filter(|r| r.instance == *instance);
        let known = own.filter_map(|r| record(inputs, r)?.ok());
        let domains: BTreeSet<String> = known
            .map(|r| r.zone.trim_end_matches('.').to_lowercase())
            .collect();
        let more = reach.iter().any(|domain| !domains.contains(domain));
        (more && !domains.is_empty()).then(|| Wide {
            instance,
            domains,
            refused: configured(inputs, instance, NARROW).as_deref() == Some("required"),
        })
    };
    seen.reach.iter().filter_map(of)
}

/// Those that the spec does not allow.
pub(super) fn refused(inputs: &Inputs, seen: &Observations) -> Vec<PlanError> {
    let refused = wide(inputs, seen).filter(|w| w.refused);
    let errors = refused.map(|w| PlanError::WideToken {
        instance: w.instance.clone(),
        domains: list(&w.domains),
    });
    errors.collect()
}

/// Those that are allowed, and should be another one. It is not said what else they see: a plan does not
/// change because somebody else's domain comes or goes.
pub(super) fn notes(inputs: &Inputs, seen: &Observations) -> Vec<Note> {
    let note = |w: Wide<'_>| Note {
        severity: Severity::Warning,
        code: "ZW3033".to_owned(),
        address: None,
        message: format!(
            "the token of {} sees more domains than {}, where the spec has records",
            w.instance,
            list(&w.domains)
        ),
        help: Some(help(&list(&w.domains))),
    };
    let allowed = wide(inputs, seen).filter(|w| !w.refused);
    allowed.map(note).collect()
}

fn list(domains: &BTreeSet<String>) -> String {
    let all: Vec<&str> = domains.iter().map(String::as_str).collect();
    all.join(", ")
}

pub(super) fn help(domains: &str) -> String {
    format!("make a token with Zone Read and DNS Edit on {domains} alone")
}
