//! The resources with the values that the spec alone gives them.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use zonewright_engine::address::{Address, AttrPath, InstanceId, Segment, ZoneName};
use zonewright_engine::config::{Instance, Resource};
use zonewright_engine::expr::{Expr, Lookup, Node, Origin, Reference, Scope};
use zonewright_engine::schema::{KindSchema, Names, Part};

use crate::load::scope::World;

/// References to references are followed this far; there is no circle in what has no errors.
const DEPTH: u8 = 16;

/// What all lints look at.
pub(super) struct Spec<'s> {
    pub(super) world: &'s World<'s, 's>,
    instances: &'s BTreeMap<InstanceId, Instance>,
    resources: &'s BTreeMap<Address, Resource>,
    /// What is not known is no text, number or boolean in here.
    values: BTreeMap<&'s Address, Json>,
}

/// A resource with its value.
#[derive(Clone, Copy)]
pub(super) struct Item<'s> {
    pub(super) resource: &'s Resource,
    pub(super) value: &'s Json,
}

impl<'s> Item<'s> {
    /// The text at a path of keys, or nothing.
    pub(super) fn text(&self, path: &[&str]) -> &'s str {
        let found = path.iter().fold(self.value, |v, key| &v[*key]);
        found.as_str().unwrap_or_default()
    }

    /// The API group of an object; empty for the core group.
    pub(super) fn group(&self) -> &'s str {
        let version = self.text(&["apiVersion"]);
        version.split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn kind(&self) -> &'s str {
        self.text(&["kind"])
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.kind() == kind && self.group() == group
    }

    pub(super) fn name(&self) -> &'s str {
        self.text(&["metadata", "name"])
    }

    pub(super) fn namespace(&self) -> &'s str {
        self.text(&["metadata", "namespace"])
    }

    /// Where the resource is declared.
    pub(super) fn at(&self) -> Option<&'s Origin> {
        self.resource.at.as_ref()
    }

    /// Where an attribute is written, or else the resource.
    pub(super) fn at_attr(&self, name: &str) -> Option<&'s Origin> {
        let found = self.resource.body.get(name).and_then(|e| e.at.as_ref());
        found.or(self.at())
    }

    pub(super) fn attr(&self, name: &str) -> Option<&'s Expr> {
        self.resource.body.get(name)
    }

    /// The only resource that an attribute refers to.
    pub(super) fn target(&self, attr: &str) -> Option<&'s Address> {
        match &self.attr(attr)?.node {
            Node::Ref(reference) => reference.address(),
            _ => None,
        }
    }

    /// The pod template of a workload.
    pub(super) fn pod(&self) -> Option<&'s Json> {
        let path = self.pod_path()?;
        Some(path.iter().fold(self.value, |v, key| &v[*key]))
    }

    /// Where that is.
    pub(super) fn pod_path(&self) -> Option<&'static [&'static str]> {
        match (self.group(), self.kind()) {
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet") | ("batch", "Job") => {
                Some(&["spec", "template", "spec"])
            }
            ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
            _ => None,
        }
    }
}

impl<'s> Spec<'s> {
    pub(super) fn of(
        world: &'s World<'s, 's>,
        instances: &'s BTreeMap<InstanceId, Instance>,
        resources: &'s BTreeMap<Address, Resource>,
    ) -> Spec<'s> {
        let scope = Declared {
            resources,
            left: Cell::new(DEPTH),
        };
        let values = resources
            .iter()
            .map(|(address, r)| (address, r.body.eval(&scope).to_json()))
            .collect();
        Spec {
            world,
            instances,
            resources,
            values,
        }
    }

    fn all(&self) -> impl Iterator<Item = Item<'_>> {
        self.resources.iter().filter_map(|(address, resource)| {
            let value = self.values.get(address)?;
            Some(Item { resource, value })
        })
    }

    pub(super) fn schema(&self, address: &Address) -> Option<&KindSchema> {
        self.world.ctx.registry.kind(&address.kind)
    }

    pub(super) fn get(&self, address: &Address) -> Option<Item<'_>> {
        Some(Item {
            resource: self.resources.get(address)?,
            value: self.values.get(address)?,
        })
    }

    /// What a resource is to the platform.
    pub(super) fn part(&self, address: &Address) -> Option<Part> {
        self.schema(address)?.part
    }

    /// Whether the kind of a resource has an attribute.
    pub(super) fn knows(&self, item: &Item<'_>, attr: &str) -> bool {
        let schema = self.schema(&item.resource.address);
        schema.is_some_and(|s| s.attr(attr).is_some())
    }

    /// The vendor's names that an attribute takes one of.
    pub(super) fn names(&self, item: &Item<'_>, attr: &str) -> Option<&'static Names> {
        self.schema(&item.resource.address)?.attr(attr)?.names
    }

    /// The resources of a zone, or of the edge, that are a part.
    pub(super) fn parts<'a>(
        &'a self,
        zone: &'a ZoneName,
        part: Part,
    ) -> impl Iterator<Item = Item<'a>> + 'a {
        self.all().filter(move |i| {
            let address = &i.resource.address;
            address.zone == *zone && self.part(address) == Some(part)
        })
    }

    /// All resources of a zone, or of the edge.
    pub(super) fn zone<'a>(&'a self, zone: &'a ZoneName) -> impl Iterator<Item = Item<'a>> + 'a {
        self.all().filter(move |i| i.resource.address.zone == *zone)
    }

    /// The Kubernetes objects of a zone.
    pub(super) fn objects<'a>(&'a self, zone: &'a ZoneName) -> impl Iterator<Item = Item<'a>> + 'a {
        self.all().filter(move |i| {
            let address = &i.resource.address;
            address.zone == *zone && self.schema(address).is_some_and(KindSchema::is_object)
        })
    }

    /// Whether all that is in an object's cluster is in the spec: the cluster is made by it.
    pub(super) fn is_whole(&self, object: &Item<'_>) -> bool {
        let instance = self.instances.get(&object.resource.instance);
        let cluster = instance.and_then(|i| i.container.as_ref());
        let cluster = cluster.and_then(|a| self.resources.get(a));
        cluster.is_some_and(|c| !c.meta.observe) && !object.resource.meta.observe
    }

    /// A setting of a zone that is a text.
    pub(super) fn setting(&self, zone: &ZoneName, name: &str) -> Option<&'s str> {
        self.world.realms.get(zone)?.setting(name)?.str()
    }
}

/// Looks references up among what is declared.
struct Declared<'s> {
    resources: &'s BTreeMap<Address, Resource>,
    left: Cell<u8>,
}

impl Scope for Declared<'_> {
    fn lookup(&self, reference: &Reference) -> Lookup {
        let Reference::Resource { address, path } = reference else {
            return Lookup::Later { secret: true };
        };
        let later = Lookup::Later { secret: false };
        let Some(expr) = self.resources.get(address).and_then(|r| at(&r.body, path)) else {
            return later;
        };
        if self.left.get() == 0 {
            return later;
        }
        self.left.set(self.left.get() - 1);
        let value = expr.eval(self);
        self.left.set(self.left.get() + 1);
        Lookup::Known(value)
    }
}

fn at<'e>(expr: &'e Expr, path: &AttrPath) -> Option<&'e Expr> {
    let (first, rest) = path.segments().split_first()?;
    let step = |expr: &'e Expr, segment: &Segment| match (&expr.node, segment) {
        (Node::Map(map), Segment::Key(key)) => map.get(key),
        (Node::List(items), Segment::Index(i)) => items.get(*i),
        _ => None,
    };
    rest.iter().try_fold(step(expr, first)?, step)
}
