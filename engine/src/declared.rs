//! What a zone declares, with its values as far as they are known. Checks, runbooks and the files for
//! observability find what they name by what refers to what, never by a convention.

use serde_json::Value as Json;

use crate::address::{Address, InstanceId, ZoneName};
use crate::config::{Config, Resource, Role};
use crate::expr::{Expr, Node, Reference};
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::schema::{Form, KindSchema, Part};
use crate::value::Value;

mod databases;
mod names;
mod refs;

pub(crate) use databases::{Access, Server};
pub(crate) use names::{DnsRecord, record};
pub use refs::{Entry, ObjectRef, ServiceRef};

/// A zone's resources, and those of the edge, with their values.
pub(crate) struct Declared<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) zone: &'a ZoneName,
    objects: Vec<Object<'a>>,
}

/// An object of a cluster.
pub(crate) struct Object<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) value: Value,
    /// The same as JSON; what is not known is no text, number or boolean in here.
    pub(crate) body: Json,
}

impl Object<'_> {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.body["kind"] == kind
    }

    pub(crate) fn kind(&self) -> &str {
        text(&self.body["kind"])
    }

    pub(crate) fn namespace(&self) -> &str {
        text(&self.body["metadata"]["namespace"])
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.body["metadata"]["name"])
    }

    /// What it is asked for by, if it says so much of itself.
    pub(crate) fn reference(&self) -> Option<ObjectRef> {
        let body = &self.body;
        Some(ObjectRef {
            api_version: body["apiVersion"].as_str()?.to_owned(),
            kind: body["kind"].as_str()?.to_owned(),
            namespace: body["metadata"]["namespace"].as_str().map(str::to_owned),
            name: body["metadata"]["name"].as_str()?.to_owned(),
            replicas: None,
        })
    }
}

/// An entry of a Secret and where its value comes from.
pub(crate) struct Source<'a> {
    pub(crate) entry: Entry,
    pub(crate) expr: &'a Expr,
}

impl Source<'_> {
    /// Whether its value is an output of a resource and nothing else.
    fn is(&self, wanted: &Address, output: &str) -> bool {
        match &self.expr.node {
            Node::Ref(Reference::Resource { address, path }) => {
                address == wanted && path.to_string() == output
            }
            _ => false,
        }
    }

    /// Whether an output of a resource is in its value.
    fn holds(&self, wanted: &Address, output: &str) -> bool {
        self.expr.references().into_iter().any(|(r, _)| match r {
            Reference::Resource { address, path } => {
                address == wanted && path.to_string() == output
            }
            Reference::Secret(_) => false,
        })
    }
}

impl<'a> Declared<'a> {
    pub(crate) fn of(inputs: &'a Inputs, zone: &'a ZoneName) -> Declared<'a> {
        Declared::within(&inputs.config, inputs, zone)
    }

    /// The same of another spec than the one that the values are looked up for.
    pub(crate) fn within(
        config: &'a Config,
        inputs: &'a Inputs,
        zone: &'a ZoneName,
    ) -> Declared<'a> {
        let is_object = |r: &&Resource| {
            let kind = inputs.registry.kind(&r.address.kind);
            kind.is_some_and(KindSchema::is_object)
        };
        let resources = config.resources.values();
        let objects = resources
            .filter(|r| r.address.zone == *zone || r.address.zone.is_edge())
            .filter(is_object)
            .map(|resource| {
                let value = value(inputs, resource);
                let body = value.to_json();
                Object {
                    resource,
                    value,
                    body,
                }
            });
        Declared {
            inputs,
            zone,
            objects: objects.collect(),
        }
    }

    pub(crate) fn standby(&self) -> bool {
        self.inputs.config.role(self.zone) == Some(Role::Standby)
    }

    /// A setting of the zone.
    pub(crate) fn setting(&self, name: &str) -> Option<&'a str> {
        let zone = self.inputs.config.zone(self.zone)?;
        zone.settings.get(name)?.as_str()
    }

    pub(crate) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    pub(crate) fn of_kind<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Object<'a>> {
        self.objects.iter().filter(move |o| o.is(kind))
    }

    pub(crate) fn references(&self, kind: &str) -> Vec<ObjectRef> {
        self.of_kind(kind).filter_map(Object::reference).collect()
    }

    pub(crate) fn is_chart(&self, address: &Address) -> bool {
        let kind = self.inputs.registry.kind(&address.kind);
        kind.is_some_and(|k| k.form == Form::Chart)
    }

    /// The zone's resources that are something to a platform.
    pub(crate) fn parts(&self, part: Part) -> impl Iterator<Item = &'a Resource> {
        let (inputs, zone) = (self.inputs, self.zone);
        let own = inputs.config.resources.values();
        let own = own.filter(move |r| r.address.zone == *zone);
        own.filter(move |r| inputs.registry.part(&r.address.kind) == Some(part))
    }

    /// The vendor's id of the zone's network, cluster and the like, once it is recorded.
    pub(crate) fn id_of(&self, part: Part) -> Option<String> {
        let address = &self.parts(part).next()?.address;
        Some(self.inputs.state.record(address)?.id.clone())
    }

    /// The workloads that are wanted, with their replicas.
    pub(crate) fn workloads(&self, wanted: impl Fn(&Object<'a>) -> bool) -> Vec<ObjectRef> {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
        let found = self.objects.iter().filter(|o| kinds.contains(&o.kind()));
        found
            .filter(|o| wanted(o))
            .filter_map(|o| {
                Some(ObjectRef {
                    replicas: o.body["spec"]["replicas"].as_u64(),
                    ..o.reference()?
                })
            })
            .collect()
    }

    /// Those that no chart brings.
    pub(crate) fn own_workloads(&self) -> Vec<ObjectRef> {
        self.workloads(|o| !self.is_chart(&o.resource.address))
    }

    /// The Service in front of a workload.
    pub(crate) fn service_of(&self, workload: &Object<'a>) -> Option<ServiceRef> {
        let labels = workload.body["spec"]["template"]["metadata"]["labels"].as_object()?;
        let found = self.of_kind("Service").find(|service| {
            let selector = service.body["spec"]["selector"].as_object();
            service.namespace() == workload.namespace()
                && selector.is_some_and(|s| s.iter().all(|(k, v)| labels.get(k) == Some(v)))
        })?;
        let port = &found.body["spec"]["ports"][0];
        let named = port["name"].as_str().map(str::to_owned);
        Some(ServiceRef {
            namespace: found.namespace().to_owned(),
            name: found.name().to_owned(),
            port: named.unwrap_or_else(|| port["port"].to_string()),
        })
    }

    /// The entries of the zone's Secrets.
    pub(crate) fn sources(&self) -> Vec<Source<'a>> {
        let mut out = Vec::new();
        for secret in self.of_kind("Secret") {
            let entries = secret.resource.body.get("stringData");
            let Some(Node::Map(map)) = entries.map(|e| &e.node) else {
                continue;
            };
            for (key, expr) in map {
                let entry = Entry {
                    namespace: secret.namespace().to_owned(),
                    secret: secret.name().to_owned(),
                    key: key.to_string(),
                };
                out.push(Source { entry, expr });
            }
        }
        out
    }
}

/// A resource's value, as far as it is known.
pub(crate) fn value(inputs: &Inputs, resource: &Resource) -> Value {
    let nothing = Observations::default();
    let scope = |reference: &Reference| lookup_seen(inputs, &nothing, reference);
    resource.body.eval(&scope)
}

/// An entry of a provider's table, if it is a text.
pub(crate) fn configured(inputs: &Inputs, instance: &InstanceId, entry: &str) -> Option<String> {
    let nothing = Observations::default();
    let table = &inputs.instance(instance)?.config;
    let table = table.eval(&|r: &Reference| lookup_seen(inputs, &nothing, r));
    Some(table.get(entry)?.as_str()?.to_owned())
}

/// A text in an object; nothing where there is none.
pub(crate) fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// The only resource that an attribute refers to.
fn target<'a>(resource: &'a Resource, attr: &str) -> Option<&'a Address> {
    match &resource.body.get(attr)?.node {
        Node::Ref(reference) => reference.address(),
        _ => None,
    }
}
