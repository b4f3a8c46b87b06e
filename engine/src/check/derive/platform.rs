//! What every zone's cluster holds: which cluster it is, namespaces, certificates, monitoring, workloads.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Spec, check, object, some, text};
use crate::check::probe::{Entry, Probe, ServiceRef};
use crate::check::{Check, Severity};
use crate::config::{INSTANCE_IDENTITY, Resource};
use crate::expr::Reference;
use crate::observe::{Observations, lookup_seen};
use crate::schema::Part;
use crate::value::Value;

/// The entry of the DNS provider's table that says what a token that may do more means.
const NARROW: &str = "narrow";

impl Spec<'_> {
    /// Whether the zone's cluster is its own.
    fn cluster(&self) -> Option<Check> {
        let instance = self.inputs.cluster_instance(self.zone)?;
        let nothing = Observations::default();
        let scope = |reference: &Reference| lookup_seen(self.inputs, &nothing, reference);
        let declared = instance.config.eval(&scope);
        let declared = declared.get(INSTANCE_IDENTITY).and_then(Value::as_str);
        let recorded = self.inputs.state.identity(&instance.id);
        let meant = declared.or(recorded.map(|r| r.uid.as_str()));
        let probe = Probe::Cluster {
            meant: meant.map(str::to_owned),
        };
        let title = "the cluster is the zone's own";
        Some(check("cluster", title, &["BZ-31"], probe))
    }

    pub(super) fn platform(&self) -> Vec<Check> {
        let mut out = Vec::new();
        out.extend(self.cluster());
        let namespaces = self.refs("Namespace");
        out.push(check(
            "namespaces",
            "the namespaces exist",
            &["BZ-07"],
            Probe::Objects(namespaces),
        ));
        let issuers = self.refs("ClusterIssuer");
        if !issuers.is_empty() {
            let manager = self.workloads(|r| chart_of(self, r, "cert-manager"));
            let title = "cert-manager is rolled out";
            out.push(check(
                "cert-manager",
                title,
                &["BZ-08"],
                some(manager, title),
            ));
            let title = "every ClusterIssuer is ready";
            out.push(check("issuers", title, &["BZ-10"], Probe::Objects(issuers)));
            out.extend(self.tokens());
        }
        for (resource, prometheus) in self.of_kind("Prometheus") {
            let declaration = resource.address.declaration();
            let mut parts = self.workloads(|r| r.address.declaration() == declaration);
            parts.extend(object(prometheus));
            let title = "monitoring is healthy";
            out.push(check(
                "monitoring",
                title,
                &["BZ-12", "BZ-13"],
                Probe::Objects(parts),
            ));
            let service = self.prometheus_service(prometheus);
            let title = "all Prometheus targets are up, asked through the service proxy";
            out.push(check("targets", title, &["BZ-13"], Probe::Targets(service)));
        }
        let own = self.workloads(|r| !self.is_chart(&r.address));
        let title = "workloads have the declared replicas, and those are ready";
        out.push(check(
            "workloads",
            title,
            &["BZ-13", "BZ-21"],
            some(own, title),
        ));
        out
    }

    fn prometheus_service(&self, prometheus: &Json) -> ServiceRef {
        let metadata = &prometheus["metadata"];
        let serves = |service: &&(&Resource, Json)| {
            let o = &service.1;
            o["metadata"]["namespace"] == metadata["namespace"]
                && o["spec"]["selector"]["operator.prometheus.io/name"] == metadata["name"]
        };
        let found = self.of_kind("Service").find(serves);
        // The operator makes this one by itself.
        let name = found.map_or("prometheus-operated", |(_, o)| text(&o["metadata"]["name"]));
        ServiceRef {
            namespace: text(&metadata["namespace"]).to_owned(),
            name: name.to_owned(),
            port: "9090".to_owned(),
        }
    }

    /// What the token that issuers use for DNS-01 is good for, and what else it is good for.
    fn tokens(&self) -> Vec<Check> {
        let wanted: BTreeSet<(String, String)> = self
            .of_kind("ClusterIssuer")
            .flat_map(|(_, o)| solver_tokens(o))
            .collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let all = self.entries();
        let find = |(secret, key): &(String, String)| {
            let fits = |e: &&Entry| e.secret == *secret && e.key == *key;
            all.iter().map(|(e, _)| e).find(fits).cloned()
        };
        let found: Option<Vec<Entry>> = wanted.iter().map(find).collect();
        let probe = |narrow| match &found {
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
        vec![works, Check { severity, ..narrow }]
    }

    /// The domains that the spec has records in.
    fn domains(&self) -> Vec<String> {
        let records = self.values.iter();
        let records = records.filter(|(a, _)| self.part(a) == Some(Part::DnsRecord));
        let zones: BTreeSet<String> = records
            .filter_map(|(_, v)| {
                Some(
                    v.get("zone")?
                        .as_str()?
                        .trim_end_matches('.')
                        .to_lowercase(),
                )
            })
            .collect();
        zones.into_iter().collect()
    }

    fn is_narrow_required(&self) -> bool {
        let records = self.values.keys();
        let mut records = records.filter(|a| self.part(a) == Some(Part::DnsRecord));
        records.any(|address| {
            let instance = self.inputs.instance_of(address);
            let instance = instance.and_then(|id| self.inputs.instance(&id));
            let table = instance.map(|i| {
                i.config
                    .eval(&|r: &Reference| lookup_seen(self.inputs, &Observations::default(), r))
            });
            let asked = table
                .as_ref()
                .and_then(|t| t.get(NARROW))
                .and_then(Value::as_str);
            asked == Some("required")
        })
    }
}

/// Secret and entry of each solver of an issuer that proves by Cloudflare's DNS.
fn solver_tokens(issuer: &Json) -> Vec<(String, String)> {
    let solvers = issuer["spec"]["acme"]["solvers"].as_array();
    let named = |solver: &Json| {
        let token = &solver["dns01"]["cloudflare"]["apiTokenSecretRef"];
        let (name, key) = (token["name"].as_str()?, token["key"].as_str()?);
        Some((name.to_owned(), key.to_owned()))
    };
    solvers.into_iter().flatten().filter_map(named).collect()
}

/// Whether a resource belongs to the chart that brings a component.
fn chart_of(spec: &Spec<'_>, resource: &Resource, component: &str) -> bool {
    let named = |o: &Json| {
        let labels = &o["metadata"]["labels"];
        [
            "app",
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/part-of",
        ]
        .iter()
        .any(|l| text(&labels[*l]).replace('_', "-").contains(component))
    };
    let found = spec
        .objects
        .iter()
        .find(|(r, _)| r.address == resource.address);
    spec.is_chart(&resource.address) && found.is_some_and(|(_, o)| named(o))
}
