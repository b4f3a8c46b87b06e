//! What a runbook names, found in the spec by what refers to what, never by a convention.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::sort::is_database;
use crate::address::{Address, ZoneName};
use crate::config::{Config, DatabaseDecision, Resource, SecretSource, Strategy};
use crate::declared::{Declared, record, value};
use crate::expr::{Expr, Lookup, Node, Reference};
use crate::objectives::cached_for;
use crate::observe::Inputs;
use crate::parity::Relative;
use crate::plan::roles::{is_replica, is_writer};
use crate::restore::default_name;
use crate::schema::HandRestore;
use crate::value::Value;

/// The spec before and after, and what is asked of it again and again.
pub(super) struct Facts<'a> {
    pub(super) before: &'a Config,
    pub(super) inputs: &'a Inputs,
    /// Seconds that building the zone takes, when it has to be built first.
    pub(super) build: Option<u64>,
    pub(super) to: &'a ZoneName,
    pub(super) from: &'a ZoneName,
}

/// A record that is flipped.
pub(super) struct Flip<'a> {
    pub(super) resource: &'a Resource,
    /// The whole name, if it is one.
    pub(super) name: Option<String>,
    pub(super) ttl: Option<u64>,
    pub(super) proxied: bool,
}

/// Something in a cluster that runs and reaches the database.
pub(super) struct Writer {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A restore that the vendor is asked for.
pub(super) struct ByHand {
    /// The request, as lines for a shell.
    pub(super) lines: Vec<String>,
    /// The name of the new cluster.
    pub(super) name: String,
    /// Its size.
    pub(super) size: String,
    /// Its region.
    pub(super) region: String,
}

impl<'a> Facts<'a> {
    pub(super) fn of(before: &'a Config, inputs: &'a Inputs, build: Option<u64>) -> Facts<'a> {
        Facts {
            before,
            inputs,
            build,
            to: &inputs.config.active,
            from: &before.active,
        }
    }

    pub(super) fn decision(&self) -> Option<&'a DatabaseDecision> {
        self.before.zone(self.to)?.database.as_ref()
    }

    pub(super) fn strategy(&self) -> Option<Strategy> {
        self.decision().map(|d| d.strategy)
    }

    /// Whether the zone that serves has data at all.
    pub(super) fn has_data(&self) -> bool {
        let mut own = self.before.resources.keys();
        own.any(|a| {
            a.zone == *self.from
                && (is_writer(&self.inputs.registry, a) || is_replica(&self.inputs.registry, a))
        })
    }

    fn of_zone<'s>(
        &self,
        config: &'s Config,
        zone: &ZoneName,
    ) -> impl Iterator<Item = &'s Resource> + use<'s> {
        let zone = zone.clone();
        let all = config.resources.values();
        all.filter(move |r| r.address.zone == zone)
    }

    /// The replicas that are promoted.
    pub(super) fn replicas(&self) -> Vec<&'a Resource> {
        let own = self.of_zone(&self.inputs.config, self.to);
        own.filter(|r| is_replica(&self.inputs.registry, &r.address))
            .collect()
    }

    /// What in the zone that takes over refers to its database.
    pub(super) fn dependents(&self) -> Vec<&'a Address> {
        let own = self.of_zone(&self.inputs.config, self.to);
        let refers = |r: &&Resource| {
            let references = r.body.references();
            let mut targets = references.iter().filter_map(|(t, _)| t.address());
            targets.any(|t| t.zone == *self.to && is_database(self.inputs, t))
        };
        own.filter(refers).map(|r| &r.address).collect()
    }

    /// What the serving zone has around its database and the other zone has switched off: each with the
    /// place that says so. A restored cluster needs it.
    pub(super) fn switched_off(&self) -> Vec<(Address, Option<String>)> {
        let there: BTreeSet<Relative> = self
            .of_zone(self.before, self.from)
            .map(|r| Relative::of(&r.address.declaration()))
            .collect();
        let off = self.inputs.config.disabled.iter();
        off.filter(|(a, _)| a.zone == *self.to && there.contains(&Relative::of(a)))
            .map(|(a, d)| (a.clone(), d.at.as_ref().map(ToString::to_string)))
            .collect()
    }

    /// What the serving zone has where the other zone has something switched off.
    pub(super) fn twin(&self, address: &Address) -> Option<&'a Resource> {
        let relative = Relative::of(address);
        let all = self.before.resources.values();
        let mut own = all.filter(|r| r.address.zone == *self.from);
        own.find(|r| Relative::of(&r.address.declaration()) == relative)
    }

    /// Shared resources that lead to the zone that serves.
    pub(super) fn flips(&self) -> Vec<Flip<'a>> {
        let edge = ZoneName::edge();
        let shared = self.of_zone(&self.inputs.config, &edge);
        let leads = |r: &&Resource| {
            let references = r.body.references();
            let mut targets = references.iter().filter_map(|(t, _)| t.address());
            targets.any(|t| t.zone == *self.to)
        };
        shared
            .filter(leads)
            .map(|resource| {
                let number = |expr: &Expr| match &expr.node {
                    Node::Literal(value) => u64::try_from(value.as_i64()?).ok(),
                    _ => None,
                };
                let ttl = resource.body.get("ttl").and_then(number);
                let proxied = self.value(resource).get("proxied").and_then(Value::as_bool);
                Flip {
                    resource,
                    name: self.name(resource),
                    ttl: ttl.map(cached_for),
                    proxied: proxied == Some(true),
                }
            })
            .collect()
    }

    /// The names of the zone that takes over.
    pub(super) fn own_names(&self) -> Vec<String> {
        let own = self.of_zone(&self.inputs.config, self.to);
        own.filter_map(|r| self.name(r)).collect()
    }

    /// The whole name of a record.
    fn name(&self, resource: &Resource) -> Option<String> {
        record(self.inputs, resource)?.ok().map(|r| r.name)
    }

    pub(super) fn value(&self, resource: &Resource) -> Value {
        value(self.inputs, resource)
    }

    /// What runs in the zone that serves and takes a Secret of the database.
    pub(super) fn writers(&self) -> Vec<Writer> {
        let declared = Declared::within(self.before, self.inputs, self.from);
        let of_database = |r: &Resource| {
            let references = r.body.references();
            let mut targets = references.iter().filter_map(|(t, _)| t.address().cloned());
            targets.any(|t| {
                is_writer(&self.inputs.registry, &t)
                    || is_replica(&self.inputs.registry, &t)
                    || is_writer_inside(self.before, self.inputs, &t)
            })
        };
        let secrets: BTreeSet<(String, String)> = declared
            .of_kind("Secret")
            .filter(|o| of_database(o.resource))
            .map(|o| (o.namespace().to_owned(), o.name().to_owned()))
            .collect();
        let kinds = ["Deployment", "StatefulSet", "CronJob"];
        let running = declared
            .objects()
            .iter()
            .filter(|o| kinds.contains(&o.kind()));
        running
            .filter(|o| declared.takes(o, &secrets))
            .map(|o| Writer {
                kind: o.kind().to_owned(),
                namespace: o.namespace().to_owned(),
                name: o.name().to_owned(),
            })
            .collect()
    }

    /// The certificates that the zone serves with: namespace and name.
    pub(super) fn certificates(&self) -> BTreeSet<(String, String)> {
        let mut out = BTreeSet::new();
        for resource in self.of_zone(&self.inputs.config, self.to) {
            let object = self.value(resource).to_json();
            let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
            let namespace = text(&object["metadata"]["namespace"]);
            match object["kind"].as_str() {
                Some("Certificate") => {
                    out.insert((namespace, text(&object["metadata"]["name"])));
                }
                // cert-manager makes a Certificate with the name of the Secret.
                Some("Ingress") => {
                    let tls = object["spec"]["tls"].as_array().into_iter().flatten();
                    for entry in tls.filter(|t| t["secretName"].is_string()) {
                        out.insert((namespace.clone(), text(&entry["secretName"])));
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Whether the zone that serves is somebody else's: all of it is only observed.
    pub(super) fn observes_from(&self) -> bool {
        self.of_zone(self.before, self.from).all(|r| r.meta.observe)
    }

    /// The records that lead users somewhere and are somebody else's.
    pub(super) fn observed_flips(&self) -> Vec<&'a Address> {
        let flips = self.flips().into_iter();
        let observed = flips.filter(|f| f.resource.meta.observe);
        observed.map(|f| &f.resource.address).collect()
    }

    /// Whether a zone has a cluster of its own or is in one.
    pub(super) fn has_cluster(&self, zone: &ZoneName) -> bool {
        let mut instances = self.before.instances.values();
        instances.any(|i| i.id.zone == *zone && i.container.is_some())
    }

    /// The lines that restore a backup by hand, and the name of what is made.
    pub(super) fn restore_by_hand(&self) -> Option<ByHand> {
        let restore = self.decision()?.restore.as_ref()?;
        let resource = self.before.resources.get(&restore.source)?;
        let provider = self
            .inputs
            .registry
            .provider(restore.source.kind.provider())?;
        let by_hand = provider.facts.restore_by_hand?;
        // What the source refers to in its zone, the restored cluster has in its own.
        let scope = |reference: &Reference| match reference {
            Reference::Resource { address, path } if address.zone == restore.source.zone => {
                let twin = address.in_zone(self.to);
                Lookup::Known(Value::text(format!("$(zonewright output {twin}.{path})")))
            }
            _ => Lookup::Later { secret: false },
        };
        let source = resource.body.eval(&scope);
        let expansions: Vec<String> = resource
            .body
            .references()
            .into_iter()
            .filter_map(|(r, _)| match scope(r) {
                Lookup::Known(value) => value.as_str().map(str::to_owned),
                Lookup::Later { .. } => None,
            })
            .collect();
        let text = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default();
        let region = self.before.zone(self.to)?.settings.get("region");
        let region = restore.region.as_deref().or(region.and_then(Value::as_str));
        let name = restore.name.clone();
        let name = name.unwrap_or_else(|| default_name(text("name"), self.to));
        let size = restore.size.as_deref().unwrap_or(text("size"));
        let region = region.unwrap_or(text("region"));
        let lines = by_hand(&HandRestore {
            token: &self.token(&resource.instance),
            backup: "$BACKUP",
            source: &source,
            expansions: &expansions,
            name: &name,
            size,
            region,
        });
        Some(ByHand {
            lines,
            size: size.to_owned(),
            region: region.to_owned(),
            name,
        })
    }

    /// The shell expansion of a provider's token.
    fn token(&self, instance: &crate::address::InstanceId) -> String {
        let config = self.inputs.instance(instance).map(|i| &i.config);
        let references = config.map(Expr::references).unwrap_or_default();
        let named = references.into_iter().find_map(|(r, _)| match r {
            Reference::Secret(name) => self.before.secrets.get(name),
            Reference::Resource { .. } => None,
        });
        match named {
            Some(SecretSource::Env(name)) => format!("${name}"),
            _ => "$TOKEN".to_owned(),
        }
    }

    /// How long one of a kind takes to be made.
    pub(super) fn create_seconds(&self, address: &Address) -> u64 {
        let kind = self.inputs.registry.kind(&address.kind);
        kind.map_or(0, |k| k.typical.create.as_secs())
    }

    /// How long a change of it takes.
    pub(super) fn update_seconds(&self, address: &Address) -> u64 {
        let kind = self.inputs.registry.kind(&address.kind);
        kind.map_or(0, |k| k.typical.update.as_secs())
    }
}

/// Whether something of the spec as it is lives in a database.
fn is_writer_inside(before: &Config, inputs: &Inputs, address: &Address) -> bool {
    use crate::schema::Containment;
    let Some(resource) = before.resources.get(address) else {
        return false;
    };
    let schema = inputs.registry.kind(&address.kind);
    let Some(Containment::Attribute(attr)) = schema.map(|s| s.contained_in) else {
        return false;
    };
    let references = resource.body.get(attr).map(Expr::references);
    let mut targets = references
        .into_iter()
        .flatten()
        .filter_map(|(r, _)| r.address());
    targets.any(|t| is_writer(&inputs.registry, t) || is_replica(&inputs.registry, t))
}
