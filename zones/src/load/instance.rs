//! Provider instances: which there are, what configures them and what they live in.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::{Address, AttrPath, InstanceId, RefText};
use zonewright_engine::config::{Instance, Posture};
use zonewright_engine::expr::{Expr, Node, Reference};
use zonewright_engine::schema::{ContainerLink, ProviderSchema};
use zonewright_engine::value::Sorted;

use super::realm::Realm;
use super::scope::World;
use super::types;
use super::value::Fields;
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{self, Entry, Item, Table};

/// The instance that a zone's resources of a provider use.
pub(super) fn of(world: &World<'_, '_>, realm: &Realm, provider: &str) -> Option<InstanceId> {
    let zone = if realm.providers.contains_key(provider) {
        realm.name.clone()
    } else if world.project.providers.contains_key(provider) {
        zonewright_engine::address::ZoneName::edge()
    } else {
        return None;
    };
    Some(InstanceId {
        zone,
        provider: provider.into(),
    })
}

pub(super) fn all(world: &World<'_, '_>) -> BTreeMap<InstanceId, Instance> {
    let used: BTreeSet<InstanceId> = world
        .decls
        .values()
        .filter(|d| d.enabled)
        .filter_map(|d| {
            let realm = world.realms.get(&d.address.zone)?;
            of(world, realm, d.address.kind.provider())
        })
        .collect();
    let mut out = BTreeMap::new();
    for realm in world.realms.values() {
        for (provider, entry) in &realm.providers {
            let id = InstanceId {
                zone: realm.name.clone(),
                provider: provider.as_str().into(),
            };
            let Some(schema) = world.ctx.registry.provider(provider) else {
                unknown(world, realm, provider, entry);
                continue;
            };
            // A root table that every zone completes is no instance by itself.
            let completed = realm.role.is_none()
                && world
                    .realms
                    .values()
                    .any(|r| r.role.is_some() && r.providers.contains_key(provider));
            let idle = disabled_container(world, realm, schema, entry);
            if let (false, Some(container), Some(Posture::Off)) =
                (used.contains(&id), &idle, realm.posture)
            {
                // What a zone that goes off holds is still removed through it.
                out.insert(
                    id.clone(),
                    bare(&world.scope(realm), id, schema, container, entry),
                );
            } else if used.contains(&id) || !(completed || idle.is_some()) {
                let lowered = lower(world, realm, schema, id.clone(), entry);
                out.extend(lowered.map(|i| (id, i)));
            }
        }
    }
    out
}

fn unknown(world: &World<'_, '_>, realm: &Realm, provider: &str, entry: &Entry) {
    let names = world.ctx.registry.providers().map(|p| p.name);
    let draft = Draft::new(
        Code::UnknownTable,
        format!("there is no provider `{provider}`"),
    )
    .label(entry.key, "not known")
    .maybe_help(suggest::help(provider, names));
    world.ctx.report(realm.inherited(draft));
}

/// An instance that is nothing but its disabled container.
fn bare(
    scope: &super::scope::Scope<'_, '_>,
    id: InstanceId,
    schema: &ProviderSchema,
    container: &Address,
    entry: &Entry,
) -> Instance {
    let reference = Node::Ref(Reference::Resource {
        address: container.clone(),
        path: AttrPath::default(),
    });
    let attr = schema.container.as_ref().map(|link| link.attr.to_owned());
    let config = attr.map(|attr| (attr, scope.placed(reference, entry.key)));
    Instance {
        id,
        config: scope.placed(Node::Map(config.into_iter().collect()), entry.key),
        container: Some(container.clone()),
    }
}

/// The disabled resource that an instance lives in.
fn disabled_container(
    world: &World<'_, '_>,
    realm: &Realm,
    schema: &ProviderSchema,
    entry: &Entry,
) -> Option<Address> {
    let target = || -> Option<Address> {
        let link = schema.container.as_ref()?;
        let text = entry.value.table()?.get(link.attr)?.value.str()?;
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        let RefText::Resource {
            zone, kind, name, ..
        } = RefText::parse(inner).ok()?
        else {
            return None;
        };
        let mut scope = world.scope(realm);
        scope.quiet = true;
        let zone = scope.zone(zone.as_ref(), entry.key)?;
        let address = Address::new(zone, kind, name, None);
        let disabled = !world.decls.get(&address)?.enabled;
        disabled.then_some(address)
    };
    target()
}

fn lower(
    world: &World<'_, '_>,
    realm: &Realm,
    schema: &ProviderSchema,
    id: InstanceId,
    entry: &Entry,
) -> Option<Instance> {
    let scope = world.scope(realm);
    let Item::Table(own) = &entry.value.node else {
        let name = format!("providers.{}", id.provider);
        scope.report(types::wrong(
            entry.value.at,
            &name,
            "a table",
            entry.value.what(),
        ));
        return None;
    };
    let mut table = Table::new();
    if let Some(root) = world
        .project
        .providers
        .get(id.provider.as_str())
        .and_then(|e| e.value.table())
    {
        tree::merge(&mut table, root);
    }
    tree::merge(&mut table, own);
    let mut attrs = schema.config.clone();
    if let Some(link) = &schema.container
        && attrs.iter().all(|a| a.name != link.attr)
    {
        let doc = "The resource that it lives in.";
        attrs.push(zonewright_engine::schema::Attr::optional(
            link.attr,
            zonewright_engine::schema::Type::String,
            doc,
        ));
    }
    let owner = format!("providers.{}", id.provider);
    let fields = Fields {
        unwanted: schema.facts.unwanted,
        table: &table,
        at: entry.key,
        owner: &owner,
        prefix: "",
    };
    let config = scope.fields(&attrs, &fields);
    let container = match &schema.container {
        Some(link) => container(&scope, link, &config, &fields),
        None => None,
    };
    Some(Instance {
        id,
        config: scope.placed(Node::Map(config), entry.key),
        container,
    })
}

fn container(
    scope: &super::scope::Scope<'_, '_>,
    link: &ContainerLink,
    config: &Sorted<Expr>,
    fields: &Fields<'_>,
) -> Option<Address> {
    let Fields {
        table, at, owner, ..
    } = *fields;
    let Some(expr) = config.get(link.attr) else {
        if !config.contains_key(link.instead) {
            let message = format!("`{owner}` needs `{}` or `{}`", link.attr, link.instead);
            let draft = Draft::new(Code::MissingAttribute, message)
                .label(at, "neither is here")
                .help(format!(
                    "name a `{}` of this project, or a cluster that exists already",
                    link.kind
                ));
            scope.report(draft);
        }
        return None;
    };
    if let Some(both) = table.get(link.instead) {
        let message = format!("`{owner}` has both `{}` and `{}`", link.attr, link.instead);
        let draft = Draft::new(Code::BadContainer, message)
            .label(both.key, "one too many")
            .help("keep the one that is meant");
        scope.report(draft);
    }
    if let Node::Ref(Reference::Resource { address, path }) = &expr.node
        && address.kind == link.kind
        && path.is_empty()
    {
        return Some(address.clone());
    }
    let at = table.get(link.attr)?.value.at;
    let message = format!("`{}` must refer to a `{}`", link.attr, link.kind);
    let draft = Draft::new(Code::BadContainer, message)
        .label(at, "something else")
        .help(format!(
            "write `{} = \"${{{}.NAME}}\"`",
            link.attr, link.kind
        ));
    scope.report(draft);
    None
}
