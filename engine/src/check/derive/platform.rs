//! Which cluster the zone has, and what runs in it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{List, check, several};
use crate::check::{Check, Probe, Severity};
use crate::config::{INSTANCE_IDENTITY, Resource};
use crate::declared::{Declared, Entry, Object, ObjectRef, ServiceRef, configured, record, text};
use crate::plan::tokens::NARROW;
use crate::schema::Part;

impl<'a> List<'a> {
    pub(super) fn platform(&self) -> Vec<Check> {
        let namespaces = self.objects("Namespace", |z| z.references("Namespace"));
        let issuers = self.objects("ClusterIssuer", |z| z.references("ClusterIssuer"));
        let mut out = vec![
            self.cluster(),
            check("namespaces", "the namespaces exist", &["BZ-07"], namespaces),
            check(
                "cert-manager",
                "cert-manager is rolled out",
                &["BZ-08"],
                self.cert_manager(),
            ),
            check(
                "issuers",
                "every ClusterIssuer is ready",
                &["BZ-10"],
                issuers,
            ),
        ];
        out.extend(self.tokens());
        out.extend(self.monitoring());
        let own = self.objects("workload of its own", |z| z.own_workloads());
        let title = "workloads have the declared replicas, and those are ready";
        out.push(check("workloads", title, &["BZ-13", "BZ-21"], own));
        out
    }

    /// Whether the zone's cluster is its own.
    fn cluster(&self) -> Check {
        let inputs = self.zone.inputs;
        let probe = match inputs.cluster_instance(self.zone.zone) {
            None => {
                let there = inputs.cluster_instance(self.serving.zone).is_some();
                self.absent("cluster", there)
            }
            Some(instance) => {
                let declared = configured(inputs, &instance.id, INSTANCE_IDENTITY);
                let recorded = inputs.state.identity(&instance.id);
                Probe::Cluster {
                    meant: declared.or(recorded.map(|r| r.uid.clone())),
                }
            }
        };
        check(
            "cluster",
            "the cluster is the zone's own",
            &["BZ-31"],
            probe,
        )
    }

    /// What the token that issuers use for DNS-01 is good for, and what else it is good for.
    fn tokens(&self) -> [Check; 2] {
        let wanted = solver_tokens(&self.zone);
        let sources = self.zone.sources();
        let find = |(secret, key): &(String, String)| {
            let mut entries = sources.iter().map(|s| &s.entry);
            entries
                .find(|e| e.secret == *secret && e.key == *key)
                .cloned()
        };
        let found: Option<Vec<Entry>> = wanted.iter().map(find).collect();
        let probe = |narrow| match &found {
            _ if wanted.is_empty() => {
                let there = !solver_tokens(&self.serving).is_empty();
                self.absent("ClusterIssuer that proves by Cloudflare's DNS", there)
            }
            Some(entries) => Probe::Tokens {
                entries: entries.clone(),
                domains: self.domains(),
                narrow,
            },
            None => Probe::Missing(
                "no Secret of the zone has the entry that an issuer's solver names".to_owned(),
            ),
        };
        let title = "the token for DNS-01 is active and sees the domain";
        let works = check("dns-token", title, &["BZ-09"], probe(false));
        let title = "the token for DNS-01 sees nothing else and does not end soon";
        let narrow = check("dns-token-narrow", title, &["BZ-09"], probe(true));
        let severity = match self.is_narrow_required() {
            true => Severity::Blocking,
            false => Severity::Warning,
        };
        [works, Check { severity, ..narrow }]
    }

    /// The DNS records of the zone and of what all zones share.
    fn near_records(&self) -> impl Iterator<Item = &'a Resource> {
        let (inputs, zone) = (self.zone.inputs, self.zone.zone);
        let all = inputs.config.resources.values();
        let near = all.filter(move |r| r.address.zone == *zone || r.address.zone.is_edge());
        near.filter(|r| inputs.registry.part(&r.address.kind) == Some(Part::DnsRecord))
    }

    /// The domains that the spec has records in.
    fn domains(&self) -> Vec<String> {
        let known = self
            .near_records()
            .filter_map(|r| record(self.zone.inputs, r)?.ok());
        let zones: BTreeSet<String> = known
            .map(|r| r.zone.trim_end_matches('.').to_lowercase())
            .collect();
        zones.into_iter().collect()
    }

    fn is_narrow_required(&self) -> bool {
        let inputs = self.zone.inputs;
        self.near_records().any(|resource| {
            let instance = inputs.instance_of(&resource.address);
            let asked = instance.and_then(|id| configured(inputs, &id, NARROW));
            asked.as_deref() == Some("required")
        })
    }

    fn cert_manager(&self) -> Probe {
        let found = self.objects("chart of cert-manager", |zone| {
            zone.workloads(|o| zone.is_chart(&o.resource.address) && is_of(o, "cert-manager"))
        });
        match found {
            Probe::NotApplicable(_) if self.zone.of_kind("ClusterIssuer").next().is_some() => {
                let why = "the zone has a ClusterIssuer, and no chart that brings cert-manager";
                Probe::Missing(why.to_owned())
            }
            other => other,
        }
    }

    /// Two lines for each Prometheus.
    fn monitoring(&self) -> Vec<Check> {
        let all: Vec<&Object<'a>> = self.zone.of_kind("Prometheus").collect();
        let lines = |name: &str, parts: Probe, targets: Probe| {
            let id = |id: &str| several(id, name, all.len() > 1);
            let title = "all Prometheus targets are up, asked through the service proxy";
            [
                check(
                    id("monitoring"),
                    "monitoring is healthy",
                    &["BZ-12", "BZ-13"],
                    parts,
                ),
                check(id("targets"), title, &["BZ-13"], targets),
            ]
        };
        if all.is_empty() {
            let there = self.serving.of_kind("Prometheus").next().is_some();
            let absent = || self.absent("Prometheus", there);
            return lines("", absent(), absent()).into();
        }
        let of = |prometheus: &&Object<'a>| {
            let service = self.service_of_prometheus(prometheus);
            let parts = Probe::Objects(self.parts_of(prometheus));
            lines(prometheus.name(), parts, Probe::Targets(service))
        };
        all.iter().flat_map(of).collect()
    }

    /// The Prometheus with all workloads of its declaration.
    fn parts_of(&self, prometheus: &Object<'a>) -> Vec<ObjectRef> {
        let declaration = prometheus.resource.address.declaration();
        let same = |o: &Object<'a>| o.resource.address.declaration() == declaration;
        let mut parts = self.zone.workloads(same);
        parts.extend(prometheus.reference());
        parts
    }

    fn service_of_prometheus(&self, prometheus: &Object<'a>) -> ServiceRef {
        let serves = |service: &&Object<'a>| {
            let selector = &service.body["spec"]["selector"]["operator.prometheus.io/name"];
            service.namespace() == prometheus.namespace() && *selector == prometheus.name()
        };
        let found = self.zone.of_kind("Service").find(serves);
        // The operator makes this one by itself.
        let name = found.map_or("prometheus-operated", |o| o.name());
        ServiceRef {
            namespace: prometheus.namespace().to_owned(),
            name: name.to_owned(),
            port: "9090".to_owned(),
        }
    }
}

/// Secret and entry of each solver of an issuer that proves by Cloudflare's DNS.
fn solver_tokens(zone: &Declared<'_>) -> BTreeSet<(String, String)> {
    let named = |solver: &Json| {
        let token = &solver["dns01"]["cloudflare"]["apiTokenSecretRef"];
        let (name, key) = (token["name"].as_str()?, token["key"].as_str()?);
        Some((name.to_owned(), key.to_owned()))
    };
    let solvers = |issuer: &Object<'_>| {
        let solvers = issuer.body["spec"]["acme"]["solvers"].as_array();
        let named: Vec<_> = solvers.into_iter().flatten().filter_map(named).collect();
        named
    };
    zone.of_kind("ClusterIssuer").flat_map(solvers).collect()
}

/// Whether an object says that it belongs to a component.
fn is_of(object: &Object<'_>, component: &str) -> bool {
    let labels = &object.body["metadata"]["labels"];
    let names = [
        "app",
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/part-of",
    ];
    let says = |name: &str| text(&labels[name]).replace('_', "-").contains(component);
    names.iter().any(|name| says(name))
}
