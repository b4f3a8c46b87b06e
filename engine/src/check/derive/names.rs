//! What the DNS has to answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{List, check};
use crate::address::Address;
use crate::check::{Check, DnsAsk, Probe};
use crate::declared::{DnsRecord, record};

/// The declared records of a line.
#[derive(Default)]
struct Names {
    asks: Vec<DnsAsk>,
    /// Those that are answered with the proxy's addresses.
    proxied: BTreeSet<String>,
    /// Why some cannot be asked.
    unknown: Vec<String>,
}

impl List<'_> {
    pub(super) fn names(&self) -> Vec<Check> {
        let zone = self.zone.zone;
        let active = self.serving.zone;
        let own = self.records(|a| a.zone == *zone);
        let of_serving = !self.records(|a| a.zone == *active).is_empty();
        let own = own.probe(|| self.absent("DNS record", of_serving));
        let title = format!("the public name still leads to {active}");
        let edge = self.records(|a| a.zone.is_edge());
        let edge = edge.probe(|| match self.records(|_| true).is_empty() {
            true => Probe::NotApplicable("the spec has no DNS record".to_owned()),
            false => Probe::Missing(
                "no DNS record is shared by the zones (`[shared]`): none leads to the one that serves"
                    .to_owned(),
            ),
        });
        vec![
            check(
                "dns-zone",
                "the zone's own name answers as declared",
                &["BZ-25"],
                own,
            ),
            check("dns-active", title, &["BZ-25"], edge),
        ]
    }

    /// The first name that all zones share.
    pub(super) fn public_name(&self) -> Option<String> {
        let edge = self.records(|a| a.zone.is_edge());
        let names = edge.asks.into_iter().map(|ask| ask.name);
        names.chain(edge.proxied).next()
    }

    /// The address records of some resources. A name has all answers that any resource gives it.
    fn records(&self, wanted: impl Fn(&Address) -> bool) -> Names {
        let inputs = self.zone.inputs;
        let mut all: BTreeMap<(String, String, String), Vec<(bool, DnsRecord)>> = BTreeMap::new();
        let mut out = Names::default();
        for resource in inputs.config.resources.values() {
            let ours = wanted(&resource.address);
            match record(inputs, resource) {
                Some(Ok(found)) if found.leads() => {
                    let key = (found.zone.clone(), found.name.clone(), found.kind.clone());
                    all.entry(key).or_default().push((ours, found));
                }
                Some(Err(why)) if ours => out.unknown.push(why),
                _ => {}
            }
        }
        for ((zone, name, record), found) in all {
            if !found.iter().any(|(ours, _)| *ours) {
                continue;
            }
            if found.iter().any(|(_, r)| r.proxied) {
                out.proxied.insert(name);
                continue;
            }
            let contents = found.into_iter().map(|(_, r)| r.content);
            // What is not known cannot be met: the check says so.
            let expected: Option<BTreeSet<String>> = contents.collect();
            out.asks.push(DnsAsk {
                zone,
                name,
                record,
                expected: expected.unwrap_or_default(),
            });
        }
        out
    }
}

impl Names {
    fn is_empty(&self) -> bool {
        self.asks.is_empty() && self.proxied.is_empty() && self.unknown.is_empty()
    }

    fn probe(self, absent: impl Fn() -> Probe) -> Probe {
        if !self.unknown.is_empty() {
            return Probe::Missing(self.unknown.join("; "));
        }
        if !self.asks.is_empty() {
            return Probe::Dns {
                asks: self.asks,
                proxied: self.proxied.into_iter().collect(),
            };
        }
        if self.proxied.is_empty() {
            return absent();
        }
        let names: Vec<String> = self.proxied.into_iter().collect();
        Probe::NotApplicable(format!(
            "{}: proxied, so the proxy's addresses answer wherever it leads",
            names.join(", ")
        ))
    }
}
