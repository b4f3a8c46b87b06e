//! Two zones side by side: what pairs with what, and what differs, in the spec and live. Pure.
//!
//! Resources pair by their address without the zone. What is called after the zone (its name, region,
//! network, and every setting that the other zone has another value for) is taken out first. A
//! difference whose value is written in one place for both zones comes from settings, and one that is
//! written in a role's overlay from the role: both are explained, no alarm. An image or a version is
//! never explained away by a setting. Everything else is a difference, unless the spec allows it.
//!
//! Live objects are compared where the specs agree: what differs there was changed outside. Secrets are
//! compared in memory and shown by keyed digest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::address::{Address, AttrPath, Kind, Name, ZoneName};
use crate::config::{Config, Resource};
use crate::observe::{Inputs, Observations};
use crate::value::Value;

mod live;
mod spec;
mod words;

use words::{Words, replace_word};

/// An address without its zone: what it is called in every zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relative {
    /// What it is.
    pub kind: Kind,
    /// Its name in the spec.
    pub name: Name,
    /// The object's key, with the zone's name in it as `{zone}`.
    pub key: Option<String>,
}

impl Relative {
    /// The address without its zone.
    pub fn of(address: &Address) -> Relative {
        Relative {
            kind: address.kind.clone(),
            name: address.name.clone(),
            key: address.key.as_ref().map(|k| without_zone(k, &address.zone)),
        }
    }
}

impl std::fmt::Display for Relative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)?;
        match &self.key {
            Some(key) => write!(f, "[\"{key}\"]"),
            None => Ok(()),
        }
    }
}

fn without_zone(text: &str, zone: &ZoneName) -> String {
    replace_word(text, zone.as_str(), "{zone}")
}

/// A chart as it is declared.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartFacts {
    /// The declaration.
    pub address: Address,
    /// The chart, its version and its values.
    pub facts: Value,
}

/// What is compared, beyond configuration and state.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// One zone.
    pub left: &'a ZoneName,
    /// The other.
    pub right: &'a ZoneName,
    /// The charts of both.
    pub charts: &'a [ChartFacts],
}

/// Two zones compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityReport {
    /// The version of this form.
    pub format_version: u32,
    /// One zone.
    pub left: ZoneName,
    /// The other.
    pub right: ZoneName,
    /// Resources that both have.
    pub pairs: usize,
    /// What differs and should not.
    pub differences: Vec<Difference>,
    /// What differs for a reason.
    pub explained: Vec<Explained>,
    /// Secret values of both, by keyed digest.
    pub secrets: Vec<SecretPair>,
    /// Allowances that nothing needed.
    pub unused: Vec<Unused>,
    /// What could not be read, with what the other side said.
    pub unreadable: Vec<(Address, String)>,
}

/// Where something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// In what the spec says.
    Spec,
    /// In the live world, where the specs agree.
    Live,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The resource, without a zone.
    pub resource: String,
    /// The attribute; absent when one side has no such resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<AttrPath>,
    /// Where it differs.
    pub side: Side,
    /// What the left zone has.
    pub left: Option<Value>,
    /// What the right zone has.
    pub right: Option<Value>,
    /// Where the left one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_at: Option<String>,
    /// Where the right one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right_at: Option<String>,
    /// Objects of a chart or manifest that it is the same for.
    pub objects: usize,
}

impl Difference {
    /// What an allowance's pattern is compared with: `kind.name["key"] path`.
    pub fn subject(&self) -> String {
        match &self.path {
            Some(path) => format!("{} {path}", self.resource),
            None => self.resource.clone(),
        }
    }
}

/// A difference that has a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
    /// Why it is none to worry about.
    pub because: Cause,
}

/// Why something differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// Its value comes from settings that the zones declare differently.
    Settings,
    /// A role's or posture's overlay says so.
    Overlay {
        /// Which one.
        of: String,
    },
    /// The spec allows it.
    Allowed {
        /// Why.
        reason: String,
    },
}

/// A secret value that both zones have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretPair {
    /// The resource and the entry.
    pub subject: String,
    /// Whether the values are the same; absent when that cannot be told.
    pub same: Option<bool>,
    /// The keyed digest of the left one.
    pub left: Option<String>,
    /// The keyed digest of the right one.
    pub right: Option<String>,
}

/// An allowance that nothing needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Its pattern.
    pub path: String,
    /// Where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl ParityReport {
    /// Whether the zones mirror each other.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A difference before anybody asked whether it is allowed.
struct Found {
    difference: Difference,
    because: Option<Cause>,
}

/// Compares two zones.
pub fn parity(inputs: &Inputs, seen: &Observations, ask: &Question<'_>) -> Option<ParityReport> {
    let (left, right) = (
        inputs.config.zone(ask.left)?,
        inputs.config.zone(ask.right)?,
    );
    let words = [Words::of(left, right), Words::of(right, left)];
    let sides = [
        resources(&inputs.config, ask.left),
        resources(&inputs.config, ask.right),
    ];
    let mut found = spec::compare(inputs, ask, &words, &sides);
    let mut looked = live::Looked::default();
    for (relative, l) in &sides[0] {
        if let Some(r) = sides[1].get(relative) {
            live::compare(inputs, seen, &words, (relative, l, r), &found, &mut looked);
        }
    }
    found.extend(looked.found);
    let mut report = ParityReport {
        format_version: 1,
        left: ask.left.clone(),
        right: ask.right.clone(),
        pairs: sides[0].keys().filter(|r| sides[1].contains_key(r)).count(),
        differences: Vec::new(),
        explained: Vec::new(),
        secrets: looked.secrets,
        unused: Vec::new(),
        unreadable: looked.unreadable,
    };
    settle(&inputs.config, found, &mut report);
    Some(report)
}

fn resources<'a>(config: &'a Config, zone: &ZoneName) -> BTreeMap<Relative, &'a Resource> {
    let all = config.resources.values();
    all.filter(|r| r.address.zone == *zone)
        .map(|r| (Relative::of(&r.address), r))
        .collect()
}

/// Sorts out what is explained and what is allowed.
fn settle(config: &Config, found: Vec<Found>, report: &mut ParityReport) {
    let mut used = BTreeSet::new();
    for Found {
        difference,
        because,
    } in found
    {
        let subject = difference.subject();
        let allowed = config.parity.iter().position(|a| a.covers(&subject));
        let because = because.or_else(|| {
            let reason = config.parity[allowed?].reason.clone();
            Some(Cause::Allowed { reason })
        });
        used.extend(allowed);
        match because {
            Some(because) => report.explained.push(Explained {
                difference,
                because,
            }),
            None => report.differences.push(difference),
        }
    }
    let all = config.parity.iter().enumerate();
    report.unused = all
        .filter(|(i, _)| !used.contains(i))
        .map(|(_, a)| Unused {
            path: a.path.clone(),
            at: a.at.as_ref().map(ToString::to_string),
        })
        .collect();
}
