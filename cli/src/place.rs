//! Judges where a state is: whether what a disaster takes takes the state with it.

use zonewright_engine::address::Address;
use zonewright_engine::config::{Config, Role};
use zonewright_engine::snapshot::State;
use zonewright_engine::value::Value;

use crate::exit::Exit;
use crate::report::Failure;
use crate::report::code::Code;

/// Where a state is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The kind of store, as the spec names it.
    pub(crate) backend: &'static str,
    /// Its region, as far as it is known.
    pub(crate) region: Option<String>,
    /// The host that serves it, where that can be something of the spec's own.
    pub(crate) host: Option<String>,
}

/// What is to be said of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it must not stay so.
    pub(crate) wrong: bool,
    /// What it is, and the way out.
    pub(crate) text: String,
}

/// Judges a place.
pub(crate) fn judge(place: &Place, config: &Config, state: &State) -> Vec<Finding> {
    let mut out = Vec::new();
    let others: Vec<&str> = config
        .zones
        .values()
        .filter(|zone| zone.role == Role::Standby)
        .map(|zone| zone.name.as_str())
        .chain(["edge"])
        .collect();
    let others = others.join(", ");
    if place.backend == "file" {
        out.push(Finding {
            wrong: false,
            text: format!(
                "the state is on this host only: without it, {others} can be worked on from nowhere; keep it in a store elsewhere (`[state] backend`)"
            ),
        });
        return out;
    }
    match (&place.region, primary_region(config)) {
        (None, _) => out.push(Finding {
            wrong: false,
            text: format!(
                "nothing says where the store is: write `region` in `[state.{}]`, so that it can be compared with the primary zone's",
                place.backend
            ),
        }),
        (Some(region), Some((zone, primary))) if region == primary => out.push(Finding {
            wrong: true,
            text: format!(
                "the store is in {region}, the region of {zone}: a disaster there takes the state of {others} too; move it with `zonewright state migrate`"
            ),
        }),
        _ => {}
    }
    if let Some((host, owner)) = place
        .host
        .as_ref()
        .and_then(|h| Some((h, owner(h, state)?)))
    {
        out.push(Finding {
            wrong: true,
            text: format!(
                "the store is served by {owner} ({host}), which the state itself records: when it is gone, so is the state; move it with `zonewright state migrate`"
            ),
        });
    }
    out
}

/// Refuses a cluster that the state is about: to make it, change it or lose it would be to lose the state.
pub(crate) fn refuse_own(place: &str, state: &State) -> Result<(), Failure> {
    let host = place.strip_prefix("kubernetes://").and_then(host_of);
    let Some((host, owner)) = host.and_then(|h| Some((h, owner(h, state)?))) else {
        return Ok(());
    };
    let message = format!("the state is in {place}, and {host} is {owner}, which it records");
    let help = "keep it in a cluster that the spec does not make, or in another store";
    Err(Failure::new(Exit::REFUSED, message)
        .code(Code::StateUnfit)
        .help(help))
}

fn primary_region(config: &Config) -> Option<(&str, &str)> {
    let zone = config.zones.values().find(|z| z.role == Role::Active)?;
    Some((zone.name.as_str(), zone.settings.get("region")?.as_str()?))
}

/// The resource that has a host.
pub(crate) fn owner(host: &str, state: &State) -> Option<Address> {
    let has = |value: &Value| mentions(value, host);
    let mut records = state.records();
    let found = records.find(|r| has(&r.outputs) || has(&r.inputs));
    found.map(|record| record.address.clone())
}

/// Whether a value is the host, or an address of it.
fn mentions(value: &Value, host: &str) -> bool {
    match value {
        Value::String(text) => host_of(text) == Some(host),
        Value::List(items) => items.iter().any(|item| mentions(item, host)),
        Value::Map(map) => map.values().any(|item| mentions(item, host)),
        _ => false,
    }
}

/// The host of an address, or of a text that is only that.
pub(crate) fn host_of(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use zonewright_engine::snapshot::{Record, Snapshot};

    use super::*;

    #[test]
    fn hosts_are_found_in_addresses() {
        for text in [
            "https://a.example:6443",
            "postgresql://u:p@a.example:5432/db?sslmode=require",
            "kubernetes://a.example/state",
            "a.example",
            "a.example:80",
        ] {
            assert_eq!(host_of(text), Some("a.example"), "{text}");
        }
        assert_eq!(host_of("https://"), None);
    }

    /// A state that records a cluster with an address.
    fn recorded() -> State {
        let endpoint = Value::text("https://own.example:6443");
        let address = "pz/digitalocean.kubernetes_cluster.main".parse().unwrap();
        let instance = "edge/provider.digitalocean".parse().unwrap();
        let record = Record {
            outputs: Value::Map([("endpoint".to_owned(), endpoint)].into()),
            ..Record::new(address, instance, "1")
        };
        let mut snapshot = Snapshot::empty("l", "pz".parse().unwrap(), "live");
        snapshot
            .records
            .insert(record.address.clone(), Box::new(record));
        State {
            shards: BTreeMap::from([(snapshot.shard.clone(), snapshot)]),
        }
    }

    #[test]
    fn a_cluster_that_the_state_records_keeps_no_state() {
        let state = recorded();
        let own = refuse_own("kubernetes://own.example/state", &state).unwrap_err();
        assert_eq!(own.exit, Exit::REFUSED);
        let text = own.to_string();
        assert!(
            text.contains("pz/digitalocean.kubernetes_cluster.main"),
            "{text}"
        );
        refuse_own("kubernetes://other.example/state", &state).unwrap();
        refuse_own("s3://own.example/state", &state).unwrap();
    }
}
