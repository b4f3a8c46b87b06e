//! What a zone costs in each of its modes: the bill of a spec that is applied, whatever exists today.
//! Pure, and from the spec alone.

use std::collections::BTreeMap;
use std::fmt;

use super::{Line, account, lines};
use crate::address::{Address, ZoneName};
use crate::assume::applied;
use crate::config::{Config, Posture, Role, Strategy, Zone};
use crate::expr::Reference;
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::plan::roles::is_writer;
use crate::schema::Registry;
use crate::value::Value;

/// A way in which a zone can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It stands by.
    Standby(Posture),
    /// It serves.
    Active,
}

impl Mode {
    /// Those of every zone, from the cheapest on.
    pub const ALL: [Mode; 4] = [
        Mode::Standby(Posture::Off),
        Mode::Standby(Posture::Cold),
        Mode::Standby(Posture::Warm),
        Mode::Active,
    ];

    /// The mode that a zone is in, as the spec says.
    pub fn of(zone: &Zone) -> Option<Mode> {
        match zone.role {
            Role::Active => Some(Mode::Active),
            Role::Standby => zone.posture.map(Mode::Standby),
        }
    }

    /// `off`, `cold`, `warm` or `active`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Standby(posture) => posture.name(),
            Mode::Active => Role::Active.name(),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A zone in one of its modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeBill {
    /// The mode.
    pub mode: Mode,
    /// Whether the spec says this one.
    pub current: bool,
    /// What bills then, sorted; or why the spec cannot say it.
    pub lines: Result<Vec<Line>, String>,
}

/// What zones cost by mode. The zone that serves has one mode: what it would be like in another role is
/// a matter of the zone that takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByMode {
    /// By zone, in the order of [`Mode::ALL`].
    pub zones: BTreeMap<ZoneName, Vec<ModeBill>>,
    /// What the account pays once, in every mode.
    pub account: Vec<Line>,
}

/// What bills in each zone, and under `edge` what the account pays once, when everything that a
/// configuration says exists.
///
/// A zone that serves from a restored database has none in the spec until it is restored: the declared
/// one counts.
pub fn of_spec(config: &Config, registry: &Registry) -> BTreeMap<ZoneName, Vec<Line>> {
    let inputs = applied(config, config, registry);
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(&inputs, &nothing, reference);
    let mut out: BTreeMap<ZoneName, Vec<Line>> = BTreeMap::new();
    out.insert(ZoneName::edge(), account(&inputs).into_iter().collect());
    for zone in config.zones.values() {
        let bill = out.entry(zone.name.clone()).or_default();
        bill.extend(restored(&inputs, zone));
    }
    for resource in config.resources.values() {
        let attrs = resource.body.eval(&scope);
        let bill = out.entry(resource.address.zone.clone()).or_default();
        bill.extend(lines(&inputs, &resource.address, Some(&attrs)));
    }
    for bill in out.values_mut() {
        bill.sort();
    }
    out
}

/// The database that a zone needs to serve and that a restore makes.
fn restored(inputs: &Inputs, zone: &Zone) -> Vec<Line> {
    let decided = zone.database.as_ref();
    let decided = decided.filter(|d| d.strategy == Strategy::Restore);
    let Some(restore) = decided.and_then(|d| d.restore.as_ref()) else {
        return Vec::new();
    };
    let own = |a: &Address| a.zone == zone.name && is_writer(&inputs.registry, a);
    if zone.role != Role::Active || inputs.config.resources.keys().any(own) {
        return Vec::new();
    }
    let source = inputs.config.resources.get(&restore.source);
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
    let mut attrs = match source.map(|s| s.body.eval(&scope)) {
        Some(Value::Map(attrs)) => attrs,
        _ => crate::value::Map::new(),
    };
    if let Some(size) = &restore.size {
        attrs.insert("size".to_owned(), Value::text(size.clone()));
    }
    let address = restore.source.in_zone(&zone.name);
    lines(inputs, &address, Some(&Value::Map(attrs)))
}
