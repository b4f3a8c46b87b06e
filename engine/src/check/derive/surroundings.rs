//! What is around the zone: ways in, networks, the other zone.

use super::{List, check};
use crate::check::{Check, MirrorPair, NetworkProbe, Probe, Severity};
use crate::config::Resource;
use crate::expr::{Expr, Node};
use crate::schema::Part;
use crate::value::{Sorted, Text};

impl<'a> List<'a> {
    /// What exposes nothing is asked of zones that stand by only.
    pub(super) fn exposure(&self) -> Vec<Check> {
        let probe = |probe: Probe| match self.zone.standby() {
            true => probe,
            false => Probe::NotApplicable("the zone serves: it may be reached".to_owned()),
        };
        vec![
            check(
                "exposure-cluster",
                "nothing in the cluster can be reached from outside",
                &["BZ-14", "BZ-24"],
                probe(Probe::ExposedObjects),
            ),
            self.exposure_of_cloud(probe),
        ]
    }

    /// The cloud around a cluster that is opened by a kubeconfig is known by the zone's network only.
    fn exposure_of_cloud(&self, probe: impl Fn(Probe) -> Probe) -> Check {
        let title = "the cloud has no load balancer for the zone";
        let line = |probe| check("exposure-cloud", title, &["BZ-14", "BZ-28"], probe);
        let parts = [Part::Network, Part::Cluster];
        if parts.iter().any(|p| self.zone.parts(*p).next().is_some()) {
            return line(probe(Probe::LoadBalancers {
                network: self.zone.id_of(Part::Network),
                cluster: self.zone.id_of(Part::Cluster),
            }));
        }
        let why =
            "the spec has neither a network nor a cluster of the zone: its cloud is not known";
        Check {
            severity: Severity::Warning,
            ..line(probe(Probe::Missing(why.to_owned())))
        }
    }

    pub(super) fn networks(&self) -> Check {
        let network = self.zone.parts(Part::Network).next();
        let probe = match (self.zone.setting("cidr"), network) {
            (Some(range), _) => Probe::Networks(NetworkProbe {
                own: self.zone.id_of(Part::Network),
                cluster: self.zone.id_of(Part::Cluster),
                range: range.to_owned(),
            }),
            (None, Some(network)) => Probe::Missing(format!(
                "nothing says which range {} must have: set `cidr` in `[zone]`",
                network.address
            )),
            (None, None) => {
                let there = self.serving.parts(Part::Network).next().is_some();
                self.absent("network", there)
            }
        };
        let title = "the zone's network overlaps nothing that is live";
        check("networks", title, &["BZ-05", "BZ-06"], probe)
    }

    pub(super) fn secrets(&self) -> Check {
        let of = self.serving.zone.clone();
        let title = format!("Secrets mirror those of {of}");
        let pairs = self.mirror();
        let probe = if !self.zone.standby() {
            Probe::NotApplicable("the zone serves: the others mirror it".to_owned())
        } else if pairs.is_empty() {
            let there = self.serving.of_kind("Secret").next().is_some();
            self.absent("Secret that both zones declare", there)
        } else {
            Probe::Mirror { of, pairs }
        };
        check("secrets", title, &["BZ-26"], probe)
    }

    /// The Secrets that both zones declare, and the entries that have one source.
    fn mirror(&self) -> Vec<MirrorPair> {
        let mut out = Vec::new();
        for secret in self.zone.of_kind("Secret") {
            let twin = secret.resource.address.in_zone(self.serving.zone);
            let Some(twin) = self.zone.inputs.config.resources.get(&twin) else {
                continue;
            };
            let entries = |r: &'a Resource| match r.body.get("stringData").map(|e| &e.node) {
                Some(Node::Map(map)) => map.clone(),
                _ => Sorted::new(),
            };
            let theirs = entries(twin);
            let same = |(key, expr): &(Text, Expr)| {
                theirs
                    .get(key)
                    .is_some_and(|t| t.to_json() == expr.to_json())
            };
            let equal = entries(secret.resource).into_iter().filter(same);
            out.push(MirrorPair {
                namespace: secret.namespace().to_owned(),
                name: secret.name().to_owned(),
                equal: equal.map(|(key, _)| key.into()).collect(),
            });
        }
        out
    }
}
