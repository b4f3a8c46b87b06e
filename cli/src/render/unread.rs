//! What could not be read, gathered: a dead cluster is one line, not one for each of its objects.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::plan::{Change, Plan, Reason};

use super::text::{count, escape};

/// The changes of a plan that are none because their resources could not be read.
pub fn of(plan: &Plan) -> Vec<(&Address, &str)> {
    let unreadable = |c: &'_ Change| c.is_no_op();
    plan.changes
        .iter()
        .filter(|c| unreadable(c))
        .filter_map(|c| match &c.reason {
            Reason::Unreadable { error } => Some((&c.address, error.as_str())),
            _ => None,
        })
        .collect()
}

/// The zones of a plan of which everything could be read, when that is not true of all.
pub fn elsewhere(plan: &Plan) -> Vec<&ZoneName> {
    let hit: BTreeSet<&ZoneName> = of(plan).into_iter().map(|(a, _)| &a.zone).collect();
    let zones: BTreeSet<&ZoneName> = plan.changes.iter().map(|c| &c.address.zone).collect();
    if hit.is_empty() {
        return Vec::new();
    }
    zones.difference(&hit).copied().collect()
}

/// One line for what has one provider, one zone and one error.
pub fn lines(unread: &[(&Address, &str)], whole: bool) -> Vec<String> {
    let mut groups: BTreeMap<(&ZoneName, &str, &str), Vec<&Address>> = BTreeMap::new();
    for (address, error) in unread {
        let provider = address.kind.provider();
        groups
            .entry((&address.zone, provider, error))
            .or_default()
            .push(address);
    }
    let mut out = Vec::new();
    for ((zone, provider, error), addresses) in groups {
        if whole || addresses.len() <= 2 {
            let line = |a: &&Address| escape(&format!("{a}: {error}")).into_owned();
            out.extend(addresses.iter().map(line));
        } else {
            let n = count(addresses.len(), "resource");
            let line = format!("{zone}/{provider}: {n}: {error}");
            out.push(escape(&line).into_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_one_reason_is_one_line() {
        let addresses: Vec<Address> = ["a", "b", "c"]
            .iter()
            .map(|n| format!("pz/kubernetes.secret.{n}").parse().unwrap())
            .collect();
        let vpc: Address = "pz/digitalocean.vpc.main".parse().unwrap();
        let mut unread: Vec<(&Address, &str)> = addresses
            .iter()
            .map(|a| (a, "connection refused"))
            .collect();
        unread.push((&vpc, "503"));
        assert_eq!(
            lines(&unread, false),
            [
                "pz/digitalocean.vpc.main: 503",
                "pz/kubernetes: 3 resources: connection refused",
            ]
        );
        assert_eq!(lines(&unread, true).len(), 4);
    }
}
