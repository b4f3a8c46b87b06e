//! What a zone that stands by can achieve, compared with `[objectives]`. Pure.
//!
//! Three figures follow from the spec alone, once it is applied: how long the zone takes from nothing
//! until it is ready; how long from the declaration of a disaster until it serves (what it still lacks
//! of what the serving zone has, its data, and the caches of DNS); and how much data is lost at most.
//! All of them are typical durations along the longest path, which is named.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::{Address, ZoneName};
use crate::config::{Objectives, Resource, Role, Strategy};
use crate::data::vendor_limit;
use crate::expr::{Expr, Node};
use crate::observe::Inputs;
use crate::parity::Relative;
use crate::plan::edges::{Dependencies, ordered};
use crate::plan::roles::{is_promoted, is_replica, is_writer};
use crate::plan::{Note, Severity};
use crate::schema::{KindSchema, Part};
use crate::value::Value;

/// What replication loses at most before somebody is called: the lag at which the alarm goes off. The
/// vendor promises no figure of its own.
pub const LAG_ALARM: Duration = Duration::from_secs(60);

/// Seconds that an answer is cached when the vendor chooses (`ttl = 1`, Cloudflare's "automatic").
const AUTOMATIC_TTL: u64 = 300;

/// Seconds that a record is cached, as its TTL is written.
pub fn cached_for(ttl: u64) -> u64 {
    if ttl == 1 { AUTOMATIC_TTL } else { ttl }
}

/// What a zone can achieve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// `[database] strategy`, when it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// From nothing until the zone is ready and not exposed.
    pub ready: Reach,
    /// From the declaration of a disaster until the zone serves, without DNS.
    pub active: Reach,
    /// Seconds until resolvers have let go of the old answer.
    pub dns_seconds: u64,
    /// Seconds from the declaration of a disaster until users are served: the RTO that is achieved.
    pub rto_seconds: u64,
    /// Seconds of writes that are lost at most: the RPO that is achieved. Absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<u64>,
    /// What the RPO follows from.
    pub data: DataPath,
    /// Seconds that `[objectives] rto` allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_objective: Option<u64>,
    /// Seconds that `[objectives] rpo` allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_objective: Option<u64>,
}

/// The longest path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Its length in seconds.
    pub seconds: u64,
    /// What is on it, in order; what takes no time is left out.
    pub path: Vec<Address>,
}

/// How the data gets to the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataPath {
    /// The serving zone has none.
    None,
    /// A replica follows the writer.
    Replication,
    /// The newest backup is restored.
    Backup,
    /// Nothing says how: `[database]` is missing.
    Undecided,
}

impl Forecast {
    /// Whether the RTO is out of reach.
    pub fn misses_rto(&self) -> bool {
        self.rto_objective.is_some_and(|o| self.rto_seconds > o)
    }

    /// Whether the RPO is out of reach.
    pub fn misses_rpo(&self) -> bool {
        match (self.rpo_objective, self.rpo_seconds) {
            (Some(objective), Some(achieved)) => achieved > objective,
            // What is not known is not met.
            (Some(_), None) => self.data != DataPath::None,
            (None, _) => false,
        }
    }
}

/// The forecast of every zone that stands by, from the spec and what is recorded: nothing is looked at.
pub fn outlook(inputs: &Inputs) -> BTreeMap<ZoneName, Forecast> {
    let values =
        crate::plan::build::object_values(inputs, &crate::observe::Observations::default());
    forecasts(inputs, &inputs.dependencies(&values), &values)
}

/// The forecast of every zone that stands by.
pub(crate) fn forecasts(
    inputs: &Inputs,
    dependencies: &Dependencies,
    values: &BTreeMap<Address, Value>,
) -> BTreeMap<ZoneName, Forecast> {
    let standby = inputs.config.zones.values();
    standby
        .filter(|z| z.role == Role::Standby)
        .map(|zone| {
            let look = Look {
                inputs,
                dependencies,
                values,
                zone: &zone.name,
            };
            (zone.name.clone(), look.forecast())
        })
        .collect()
}

/// What is out of reach, as notes.
pub(crate) fn notes(forecasts: &BTreeMap<ZoneName, Forecast>) -> Vec<Note> {
    let mut out = Vec::new();
    for (zone, forecast) in forecasts {
        if forecast.misses_rpo() {
            let loss = match (forecast.data, forecast.rpo_seconds) {
                (DataPath::Undecided, _) => "nothing says how it gets the data".to_owned(),
                (_, None) => "nothing is known about backups of its data".to_owned(),
                (DataPath::Backup, Some(lost)) => format!(
                    "up to {} of writes would be lost, for the newest backup can be as old as that",
                    words(lost)
                ),
                (_, Some(lost)) => {
                    format!("replication lags by {} before it is noticed", words(lost))
                }
            };
            out.push(note(
                "ZW3020",
                format!(
                    "{zone}: the RPO of {} is out of reach: {loss}",
                    words(forecast.rpo_objective.unwrap_or(0))
                ),
                match forecast.data {
                    DataPath::Undecided => {
                        "say it in `[database]` of the zone's file: `strategy`, `reason` and `date`"
                    }
                    _ => "choose `strategy = \"replica\"` in [database], or allow more in `[objectives] rpo`",
                },
            ));
        }
        if forecast.misses_rto() {
            out.push(note(
                "ZW3021",
                format!(
                    "{zone}: the RTO of {} is out of reach: it would take about {}",
                    words(forecast.rto_objective.unwrap_or(0)),
                    words(forecast.rto_seconds),
                ),
                "keep the zone warmer, or allow more in `[objectives] rto`; `plan -v` names the longest path",
            ));
        }
    }
    out
}

fn note(code: &str, message: String, help: &str) -> Note {
    Note {
        severity: Severity::Warning,
        code: code.to_owned(),
        address: None,
        message,
        help: Some(help.to_owned()),
    }
}

/// `15m`, `1h 30m`, `1d`.
pub fn words(seconds: u64) -> String {
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= length {
            parts.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.truncate(2);
    parts.join(" ")
}

/// One zone that stands by, and the zone that serves beside it.
struct Look<'a> {
    inputs: &'a Inputs,
    dependencies: &'a Dependencies,
    values: &'a BTreeMap<Address, Value>,
    zone: &'a ZoneName,
}

impl<'a> Look<'a> {
    fn forecast(&self) -> Forecast {
        let Objectives { rto, rpo, .. } = self.inputs.config.objectives;
        let ready = self.longest(self.zone, &|r| {
            if r.meta.observe { 0 } else { self.typical(r) }
        });
        let here: BTreeMap<Relative, &Resource> = self
            .resources(self.zone)
            .map(|r| (Relative::of(&r.address), r))
            .collect();
        let data = self.data();
        let serving = &self.inputs.config.active;
        let mut active = self.longest(serving, &|r| {
            self.missing(r, here.get(&Relative::of(&r.address)).copied(), data)
        });
        // What is on the path will be this zone's then.
        for address in &mut active.path {
            *address = address.in_zone(self.zone);
        }
        let dns_seconds = self.dns();
        let rpo_seconds = match data {
            DataPath::Replication => Some(LAG_ALARM.as_secs()),
            DataPath::Backup => self.backup_age(),
            DataPath::None | DataPath::Undecided => None,
        };
        Forecast {
            strategy: self.strategy().map(|s| s.name().to_owned()),
            rto_seconds: active.seconds + dns_seconds,
            ready,
            active,
            dns_seconds,
            rpo_seconds,
            data,
            rto_objective: rto.map(|d| d.as_secs()),
            rpo_objective: rpo.map(|d| d.as_secs()),
        }
    }

    fn resources(&self, zone: &'a ZoneName) -> impl Iterator<Item = &'a Resource> {
        let all = self.inputs.config.resources.values();
        all.filter(move |r| r.address.zone == *zone)
    }

    fn schema(&self, resource: &Resource) -> Option<&'a KindSchema> {
        self.inputs.registry.kind(&resource.address.kind)
    }

    fn holds_data(&self, resource: &Resource) -> bool {
        let (registry, address) = (&self.inputs.registry, &resource.address);
        is_writer(registry, address) || is_replica(registry, address)
    }

    fn strategy(&self) -> Option<Strategy> {
        let zone = self.inputs.config.zone(self.zone)?;
        Some(zone.database.as_ref()?.strategy)
    }

    fn data(&self) -> DataPath {
        if !self
            .resources(&self.inputs.config.active)
            .any(|r| self.holds_data(r))
        {
            return DataPath::None;
        }
        let mut own = self.resources(self.zone);
        // A writer of its own, or a copy that was promoted, follows nobody.
        let follows = own.any(|r| is_replica(&self.inputs.registry, &r.address) && !is_promoted(r));
        match self.strategy() {
            Some(Strategy::Replica) if follows => DataPath::Replication,
            Some(_) => DataPath::Backup,
            None => DataPath::Undecided,
        }
    }

    /// How long something takes to be ready, when it is made.
    fn typical(&self, resource: &Resource) -> u64 {
        let rules = self.inputs.object_rules(&resource.address);
        let object = self.values.get(&resource.address);
        match (rules, object) {
            (Some(rules), Some(object)) => (rules.typical)(object).as_secs(),
            _ => self
                .schema(resource)
                .map_or(0, |s| s.typical.create.as_secs()),
        }
    }

    /// How long it takes until the zone has what the serving zone has here.
    fn missing(&self, there: &Resource, here: Option<&Resource>, data: DataPath) -> u64 {
        if let Some(here) = here {
            let runs = |r: &Resource| {
                let spec = self.values.get(&r.address).and_then(|v| v.get("spec"));
                let field = |key: &str| spec.and_then(|s| s.get(key)).cloned();
                (field("replicas"), field("type"))
            };
            return if runs(there) == runs(here) {
                0
            } else {
                self.typical(there)
            };
        }
        // What is inside comes with the data.
        let container = self.inputs.container_of(&there.address);
        let container = container.and_then(|c| self.inputs.registry.kind(&c.kind));
        if container.is_some_and(|c| matches!(c.part, Some(Part::Writer | Part::Replica))) {
            return 0;
        }
        if self.holds_data(there) {
            let follower = self.resources(self.zone).find(|r| self.holds_data(r));
            return match (data, follower.and_then(|r| self.schema(r))) {
                // Promoting is a change of the replica.
                (DataPath::Replication, Some(schema)) => {
                    let typical = schema.typical;
                    typical.promote.unwrap_or(typical.update).as_secs()
                }
                _ => self.typical(there),
            };
        }
        self.typical(there)
    }

    /// The longest path through a zone. What is outside of it is there already.
    fn longest(&self, zone: &'a ZoneName, seconds: &dyn Fn(&Resource) -> u64) -> Reach {
        let resources: BTreeMap<&Address, &Resource> =
            self.resources(zone).map(|r| (&r.address, r)).collect();
        let keys: BTreeSet<&Address> = resources.keys().copied().collect();
        // Without an order there is no plan either, which is reported there.
        let order = ordered(&keys, self.dependencies).unwrap_or_default();
        let mut ends: BTreeMap<&Address, (u64, Option<&Address>)> = BTreeMap::new();
        for address in order {
            let before = self
                .dependencies
                .of(address)
                .filter_map(|(d, _)| {
                    let (key, _) = resources.get_key_value(d)?;
                    Some((ends.get(d)?.0, *key))
                })
                .max_by_key(|(end, address)| (*end, std::cmp::Reverse(*address)));
            let own = seconds(resources[address]);
            let (start, from) = before.map_or((0, None), |(end, a)| (end, Some(a)));
            ends.insert(address, (start + own, from));
        }
        let last = ends
            .iter()
            .max_by_key(|(address, (end, _))| (*end, std::cmp::Reverse(**address)));
        let mut path = Vec::new();
        let mut here = last.map(|(address, _)| *address);
        while let Some(address) = here {
            if seconds(resources[address]) > 0 {
                path.push(address.clone());
            }
            here = ends.get(address).and_then(|(_, from)| *from);
        }
        path.reverse();
        Reach {
            seconds: last.map_or(0, |(_, (end, _))| *end),
            path,
        }
    }

    /// The record that is flipped: what the edge has that points into the serving zone.
    fn dns(&self) -> u64 {
        let serving = &self.inputs.config.active;
        let edge = ZoneName::edge();
        let all = self.inputs.config.resources.values();
        let flipped = all.filter(|r| r.address.zone == edge).filter(|r| {
            let refers = r.body.references();
            refers
                .iter()
                .any(|(t, _)| t.address().is_some_and(|a| a.zone == *serving))
        });
        let each = flipped.map(|r| {
            let update = self.schema(r).map_or(0, |s| s.typical.update.as_secs());
            match r.body.get("ttl").and_then(number) {
                Some(ttl) => update + cached_for(ttl),
                None => update,
            }
        });
        each.max().unwrap_or(0)
    }

    /// Seconds that the newest backup may be old: what is written after it is lost.
    fn backup_age(&self) -> Option<u64> {
        let all = self.resources(&self.inputs.config.active);
        let holders = all.filter(|r| self.holds_data(r));
        let every = holders.map(|r| vendor_limit(&self.inputs.registry, &r.address));
        // The worst of them; one that is never backed up makes it unknown.
        every.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match &expr.node {
        Node::Literal(value) => u64::try_from(value.as_i64()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(rto: u64, rpo: Option<u64>, data: DataPath) -> Forecast {
        Forecast {
            strategy: None,
            ready: Reach::default(),
            active: Reach::default(),
            dns_seconds: 0,
            rto_seconds: rto,
            rpo_seconds: rpo,
            data,
            rto_objective: Some(1800),
            rpo_objective: Some(900),
        }
    }

    fn codes(forecast: Forecast) -> Vec<String> {
        let forecasts = [("bz".parse().unwrap(), forecast)].into();
        notes(&forecasts).into_iter().map(|n| n.code).collect()
    }

    #[test]
    fn only_what_is_out_of_reach_is_said() {
        assert_eq!(
            codes(forecast(1800, Some(900), DataPath::Replication)),
            [""; 0]
        );
        assert_eq!(
            codes(forecast(1801, Some(60), DataPath::Replication)),
            ["ZW3021"]
        );
        assert_eq!(
            codes(forecast(60, Some(86_400), DataPath::Backup)),
            ["ZW3020"]
        );
        assert_eq!(codes(forecast(60, None, DataPath::Backup)), ["ZW3020"]);
        assert_eq!(codes(forecast(60, None, DataPath::None)), [""; 0]);
    }

    #[test]
    fn the_numbers_are_in_the_message() {
        let forecasts = [(
            "bz".parse().unwrap(),
            forecast(60, Some(86_400), DataPath::Backup),
        )];
        let said = notes(&forecasts.into()).remove(0).message;
        assert_eq!(
            said,
            "bz: the RPO of 15m is out of reach: up to 1d of writes would be lost, for the newest backup can be as old as that"
        );
    }
}
