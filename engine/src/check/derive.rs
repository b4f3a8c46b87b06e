//! The list of checks, from the spec and what is recorded. Names come from the spec's references, not
//! from conventions: the database's password is the entry that refers to a user's password.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::probe::{
    Container, DatabaseAsk, DatabaseProbe, DnsAsk, Entry, MirrorPair, ObjectRef, Probe, ServiceRef,
    SmokeProbe,
};
use super::{Check, Severity};
use crate::address::{Address, ZoneName};
use crate::config::{Resource, Role, Strategy};
use crate::expr::{Expr, Node, Reference};
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::plan::roles::is_promoted;
use crate::restore;
use crate::schema::{Form, KindSchema, Part};
use crate::value::Value;

mod media;
mod platform;

const SERVERS: [Part; 2] = [Part::Replica, Part::Writer];
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The validation list of a zone. What exposes nothing is asked of zones that stand by only.
pub fn checks(inputs: &Inputs, zone: &ZoneName) -> Vec<Check> {
    let spec = Spec::of(inputs, zone);
    let mut out = spec.platform();
    out.extend(spec.databases());
    out.extend(spec.backup());
    if spec.standby() {
        out.extend(spec.exposure());
    }
    out.extend(spec.surroundings());
    out.extend(spec.rehearsals());
    out
}

fn check(
    id: &'static str,
    title: impl Into<String>,
    rows: &'static [&'static str],
    probe: Probe,
) -> Check {
    Check {
        id,
        title: title.into(),
        rows,
        severity: Severity::Blocking,
        writes: false,
        max_age: DAY,
        probe,
    }
}

fn writing(check: Check, max_age: Duration) -> Check {
    Check {
        writes: true,
        max_age,
        ..check
    }
}

/// A zone's resources with their values, as far as they are known.
struct Spec<'a> {
    inputs: &'a Inputs,
    zone: &'a ZoneName,
    objects: Vec<(&'a Resource, Json)>,
    values: BTreeMap<&'a Address, Value>,
}

impl<'a> Spec<'a> {
    fn of(inputs: &'a Inputs, zone: &'a ZoneName) -> Spec<'a> {
        let nothing = Observations::default();
        let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
        let resources = || {
            let all = inputs.config.resources.values();
            all.filter(|r| r.address.zone == *zone || r.address.zone.is_edge())
        };
        let values: BTreeMap<&Address, Value> = resources()
            .map(|r| (&r.address, r.body.eval(&scope)))
            .collect();
        let objects = resources()
            .filter(|r| {
                let kind = inputs.registry.kind(&r.address.kind);
                kind.is_some_and(KindSchema::is_object)
            })
            .filter_map(|r| Some((r, values.get(&r.address)?.to_json())))
            .collect();
        Spec {
            inputs,
            zone,
            objects,
            values,
        }
    }

    fn standby(&self) -> bool {
        self.inputs.config.role(self.zone) == Some(Role::Standby)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let zone = self.inputs.config.zone(self.zone)?;
        zone.settings.get(name)?.as_str()
    }

    fn of_kind<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s (&'a Resource, Json)> {
        self.objects.iter().filter(move |(_, o)| o["kind"] == kind)
    }

    fn refs(&self, kind: &str) -> Vec<ObjectRef> {
        self.of_kind(kind).filter_map(|(_, o)| object(o)).collect()
    }

    fn part(&self, address: &Address) -> Option<Part> {
        self.inputs.registry.part(&address.kind)
    }

    fn is_chart(&self, address: &Address) -> bool {
        let kind = self.inputs.registry.kind(&address.kind);
        kind.is_some_and(|k| k.form == Form::Chart)
    }

    fn resource(&self, part: Part) -> Option<&'a Resource> {
        let all = self.inputs.config.resources.values();
        let mut own = all.filter(|r| r.address.zone == *self.zone);
        own.find(|r| self.part(&r.address) == Some(part))
    }

    fn id_of(&self, part: Part) -> Option<String> {
        let record = self.inputs.state.record(&self.resource(part)?.address)?;
        Some(record.id.clone())
    }

    /// The workloads of a chart's declaration, or of everything that is no chart.
    fn workloads(&self, wanted: impl Fn(&Resource) -> bool) -> Vec<ObjectRef> {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
        let found = self
            .objects
            .iter()
            .filter(|(r, o)| wanted(r) && kinds.iter().any(|k| o["kind"] == *k));
        found
            .filter_map(|(_, o)| {
                Some(ObjectRef {
                    replicas: o["spec"]["replicas"].as_u64(),
                    ..object(o)?
                })
            })
            .collect()
    }

    /// The Secret entries of the zone and their expressions.
    fn entries(&self) -> Vec<(Entry, &'a Expr)> {
        let mut out = Vec::new();
        for (resource, o) in self.of_kind("Secret") {
            let Some(Node::Map(map)) = resource.body.get("stringData").map(|e| &e.node) else {
                continue;
            };
            for (key, expr) in map {
                let entry = Entry {
                    namespace: text(&o["metadata"]["namespace"]).to_owned(),
                    secret: text(&o["metadata"]["name"]).to_owned(),
                    key: key.clone(),
                };
                out.push((entry, expr));
            }
        }
        out
    }

    /// The entry that refers to an output of one of these parts.
    fn entry(&self, parts: &[Part], output: &str) -> Option<Entry> {
        let refers = |expr: &Expr| {
            expr.references().into_iter().any(|(r, _)| match r {
                Reference::Resource { address, path } => {
                    self.part(address).is_some_and(|p| parts.contains(&p))
                        && path.to_string() == output
                }
                Reference::Secret(_) => false,
            })
        };
        let found = self.entries().into_iter().find(|(_, e)| refers(e));
        found.map(|(entry, _)| entry)
    }

    fn databases(&self) -> Vec<Check> {
        let replica = self.resource(Part::Replica);
        let database = replica.or_else(|| self.resource(Part::Writer));
        let Some(database) = database else {
            return Vec::new();
        };
        // One that was promoted is the writer.
        let read_only = replica.is_some_and(|r| !is_promoted(r));
        let probe = |ask| {
            match self.database(database, read_only, ask) {
            Some(probe) => Probe::Database(probe),
            None => Probe::Missing(
                "no Secret of the zone refers to the user, the password and the CA of the database, \
                 or the database is not recorded yet"
                    .to_owned(),
            ),
        }
        };
        let mut out = vec![check(
            "database-tls",
            "the database accepts verified TLS only with its own authority and name",
            &["BZ-16", "BZ-17", "BZ-22"],
            probe(DatabaseAsk::Session),
        )];
        let title = if read_only {
            "the replica is read-only"
        } else {
            "the writer takes writes"
        };
        let ask = probe(DatabaseAsk::ReadOnly);
        out.push(check("database-mode", title, &["BZ-15", "BZ-17"], ask));
        if read_only {
            let title = "replication lag by heartbeat is below a minute";
            let ask = probe(DatabaseAsk::Heartbeat);
            out.push(check("replication-lag", title, &["BZ-17"], ask));
        }
        out
    }

    fn database(
        &self,
        resource: &Resource,
        read_only: bool,
        ask: DatabaseAsk,
    ) -> Option<DatabaseProbe> {
        let outputs = &self.inputs.state.record(&resource.address)?.outputs;
        Some(DatabaseProbe {
            host: outputs.get("host")?.as_str()?.to_owned(),
            port: u16::try_from(outputs.get("port")?.as_i64()?).ok()?,
            user: self.entry(&[Part::DatabaseUser], "name")?,
            password: self.entry(&[Part::DatabaseUser], "password")?,
            ca: self.entry(&SERVERS, "ca")?,
            ask,
            read_only,
        })
    }

    /// What a restore would start from.
    fn backup(&self) -> Option<Check> {
        let decision = self.inputs.config.zone(self.zone)?.database.as_ref()?;
        if !self.standby() || decision.strategy != Strategy::Restore {
            return None;
        }
        let limit = restore::max_age(self.inputs, self.zone);
        let probe = match (restore::order(self.inputs, self.zone), limit) {
            (Ok(order), Some(max_age_s)) => Probe::Backups {
                source: order.known,
                max_age_s,
            },
            (Err(blocked), _) => Probe::Missing(blocked.to_string()),
            (Ok(_), None) => Probe::Missing(
                "nothing says how old the newest backup may be: set `[database.restore] max_age`"
                    .to_owned(),
            ),
        };
        let title = "the newest backup of what is restored is young enough";
        Some(check("backup", title, &["BZ-18"], probe))
    }

    fn exposure(&self) -> Vec<Check> {
        let network = self.id_of(Part::Network);
        let cluster = self.id_of(Part::Cluster);
        vec![
            check(
                "exposure-cluster",
                "nothing in the cluster can be reached from outside",
                &["BZ-14", "BZ-24"],
                Probe::ExposedObjects,
            ),
            self.exposure_of_cloud(network, cluster),
        ]
    }

    /// The cloud around a cluster that is opened by a kubeconfig is known by the zone's network only.
    fn exposure_of_cloud(&self, network: Option<String>, cluster: Option<String>) -> Check {
        let title = "the cloud has no load balancer for the zone";
        let rows = &["BZ-14", "BZ-28"];
        let parts = [Part::Network, Part::Cluster];
        if parts.iter().any(|p| self.resource(*p).is_some()) {
            let probe = Probe::LoadBalancers { network, cluster };
            return check("exposure-cloud", title, rows, probe);
        }
        let why =
            "the spec has neither a network nor a cluster of the zone: its cloud is not known";
        Check {
            severity: Severity::Warning,
            ..check(
                "exposure-cloud",
                title,
                rows,
                Probe::Missing(why.to_owned()),
            )
        }
    }

    fn surroundings(&self) -> Vec<Check> {
        let mut out = Vec::new();
        if let Some(range) = self.setting("cidr") {
            let probe = Probe::Networks {
                own: self.id_of(Part::Network),
                cluster: self.id_of(Part::Cluster),
                range: range.to_owned(),
            };
            let title = "the zone's network overlaps nothing that is live";
            out.push(check("networks", title, &["BZ-05", "BZ-06"], probe));
        }
        let own = self.names(|a| a.zone == *self.zone);
        if !own.is_empty() {
            let title = "the zone's own name answers as declared";
            out.push(check("dns-zone", title, &["BZ-25"], Probe::Dns(own)));
        }
        let edge = self.names(|a| a.zone.is_edge());
        if !edge.is_empty() {
            let title = format!(
                "the public name still leads to {}",
                self.inputs.config.active
            );
            out.push(check("dns-active", title, &["BZ-25"], Probe::Dns(edge)));
        }
        let pairs = self.mirror();
        if self.standby() && !pairs.is_empty() {
            let of = self.inputs.config.active.clone();
            let title = format!("Secrets mirror those of {of}");
            let probe = Probe::Mirror { of, pairs };
            out.push(check("secrets", title, &["BZ-26"], probe));
        }
        out
    }

    /// The address records that the spec declares; what is proxied shows the proxy and not the target.
    fn names(&self, wanted: impl Fn(&Address) -> bool) -> Vec<DnsAsk> {
        let found = self
            .values
            .iter()
            .filter(|(a, _)| wanted(a) && self.part(a) == Some(Part::DnsRecord));
        found
            .filter_map(|(_, value)| {
                let get = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
                let record =
                    get("type").filter(|t| ["A", "AAAA", "CNAME"].contains(&t.as_str()))?;
                let (zone, name) = (get("zone")?, get("name")?);
                let proxied = value.get("proxied").and_then(Value::as_bool);
                let full = qualified(&zone, &name);
                (proxied != Some(true)).then_some(DnsAsk {
                    zone,
                    name: full,
                    record,
                    // What is not known cannot be met: the check says so.
                    expected: get("content").unwrap_or_default(),
                })
            })
            .collect()
    }

    /// The Secrets that both zones declare, and the entries that have one source.
    fn mirror(&self) -> Vec<MirrorPair> {
        let mut out = Vec::new();
        for (resource, o) in self.of_kind("Secret") {
            let twin = Address {
                zone: self.inputs.config.active.clone(),
                ..resource.address.clone()
            };
            let Some(twin) = self.inputs.config.resources.get(&twin) else {
                continue;
            };
            let entries = |r: &'a Resource| match r.body.get("stringData").map(|e| &e.node) {
                Some(Node::Map(map)) => map.clone(),
                _ => BTreeMap::new(),
            };
            let theirs = entries(twin);
            let same = |(key, expr): &(String, Expr)| {
                theirs
                    .get(key)
                    .is_some_and(|t| t.to_json() == expr.to_json())
            };
            let equal = entries(resource).into_iter().filter(same).map(|(k, _)| k);
            out.push(MirrorPair {
                namespace: text(&o["metadata"]["namespace"]).to_owned(),
                name: text(&o["metadata"]["name"]).to_owned(),
                equal: equal.collect(),
            });
        }
        out
    }

    fn rehearsals(&self) -> Vec<Check> {
        let mut out = Vec::new();
        let staging = self
            .of_kind("ClusterIssuer")
            .find(|(_, o)| text(&o["spec"]["acme"]["server"]).contains("staging"));
        if let Some((_, issuer)) = staging {
            let probe = self.certificate(issuer);
            let title = "a certificate is issued by the staging issuer";
            out.push(writing(
                check("certificate", title, &["BZ-11"], probe),
                MONTH,
            ));
        }
        out.extend(self.media());
        out.extend(self.smoke());
        out
    }

    fn certificate(&self, issuer: &Json) -> Probe {
        let name = text(&issuer["metadata"]["name"]);
        let domain = self.values.iter().find_map(|(a, v)| {
            let dns = self.part(a) == Some(Part::DnsRecord);
            dns.then(|| v.get("zone")?.as_str().map(str::to_owned))?
        });
        let namespaces = self.refs("Namespace");
        match (domain, namespaces.first()) {
            (Some(domain), Some(namespace)) => Probe::Certificate {
                issuer: name.to_owned(),
                namespace: namespace.name.clone(),
                name: format!("zonewright-probe-{}.{domain}", self.zone),
            },
            _ => Probe::Missing("the spec has no DNS record or no namespace".to_owned()),
        }
    }

    /// The Service in front of a workload.
    fn service_of(&self, workload: &Json) -> Option<&Json> {
        let labels = workload["spec"]["template"]["metadata"]["labels"].as_object()?;
        let found = self.of_kind("Service").find(|(_, o)| {
            let selector = o["spec"]["selector"].as_object();
            o["metadata"]["namespace"] == workload["metadata"]["namespace"]
                && selector.is_some_and(|s| s.iter().all(|(k, v)| labels.get(k) == Some(v)))
        });
        found.map(|(_, o)| o)
    }

    /// The application is the workload that takes the database's Secret and answers requests.
    fn smoke(&self) -> Option<Check> {
        let password = self.entry(&[Part::DatabaseUser], "password")?;
        let takes = |o: &&(&'a Resource, Json)| {
            let pod = o.1["spec"]["template"]["spec"].to_string();
            o.1["metadata"]["namespace"] == password.namespace.as_str()
                && pod.contains(&format!("\"{}\"", password.secret))
        };
        // What answers nobody, like the writer of the heartbeat, only helps the application.
        let answering = |o: &&(&'a Resource, Json)| self.service_of(&o.1).is_some();
        let found = self.of_kind("Deployment").filter(takes).find(answering);
        let (_, app) = found.or_else(|| self.of_kind("Deployment").find(takes))?;
        let cold = app["spec"]["replicas"].as_u64() == Some(0);
        if cold {
            let probe = Probe::Smoke(SmokeProbe::Job(Container {
                namespace: password.namespace,
                pod: app["spec"]["template"]["spec"].clone(),
            }));
            let title = "a Job with the application's image, Secrets and CA reaches the database";
            return Some(writing(
                check("smoke", title, &["BZ-22", "BZ-24"], probe),
                WEEK,
            ));
        }
        let service = self.service_of(app)?;
        let port = &service["spec"]["ports"][0];
        let port = port["name"].as_str().map(str::to_owned);
        let edge = self.names(|a| a.zone.is_edge());
        let probe = Probe::Smoke(SmokeProbe::Service {
            service: ServiceRef {
                namespace: password.namespace,
                name: text(&service["metadata"]["name"]).to_owned(),
                port: port.unwrap_or_else(|| service["spec"]["ports"][0]["port"].to_string()),
            },
            host: edge.into_iter().next().map(|ask| ask.name),
        });
        let title = "the application answers inside the cluster";
        Some(check("smoke", title, &["BZ-24"], probe))
    }
}

/// A record's whole name.
pub(crate) fn qualified(zone: &str, name: &str) -> String {
    if name == zone || name.ends_with(&format!(".{zone}")) {
        name.to_owned()
    } else if name == "@" {
        zone.to_owned()
    } else {
        format!("{name}.{zone}")
    }
}

/// The entries of a zone's Secrets by which its programs reach the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseEntries {
    /// Host and port.
    pub host: Entry,
    /// The user's name.
    pub user: Entry,
    /// The password.
    pub password: Entry,
    /// The CA certificate.
    pub ca: Entry,
}

/// What the programs of a zone reach its database with, if the spec has all of it.
pub fn database_entries(inputs: &Inputs, zone: &ZoneName) -> Option<DatabaseEntries> {
    let spec = Spec::of(inputs, zone);
    let host = |output| spec.entry(&SERVERS, output);
    Some(DatabaseEntries {
        host: host("private_host").or_else(|| host("host"))?,
        user: spec.entry(&[Part::DatabaseUser], "name")?,
        password: spec.entry(&[Part::DatabaseUser], "password")?,
        ca: spec.entry(&SERVERS, "ca")?,
    })
}

fn some(objects: Vec<ObjectRef>, what: &str) -> Probe {
    if objects.is_empty() {
        Probe::Missing(format!("the spec has nothing to show that {what}"))
    } else {
        Probe::Objects(objects)
    }
}

fn object(o: &Json) -> Option<ObjectRef> {
    Some(ObjectRef {
        api_version: o["apiVersion"].as_str()?.to_owned(),
        kind: o["kind"].as_str()?.to_owned(),
        namespace: o["metadata"]["namespace"].as_str().map(str::to_owned),
        name: o["metadata"]["name"].as_str()?.to_owned(),
        replicas: None,
    })
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}
