//! Resources: every enabled declaration with its instance, its body and how it is handled.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::Address;
use zonewright_engine::config::Resource;
use zonewright_engine::expr::Node;
use zonewright_engine::schema::{Attr, Form, Type};
use zonewright_engine::value::Sorted;

use super::declare::Decl;
use super::scope::{Scope, World};
use super::value::Fields;
use super::{instance, meta, object};
use crate::diag::{Code, Draft};

pub(super) fn all(world: &World<'_, '_>) -> BTreeMap<Address, Resource> {
    let mut out = BTreeMap::new();
    let mut unconfigured = BTreeSet::new();
    for decl in world.decls.values() {
        let Some(realm) = world.realms.get(&decl.address.zone) else {
            continue;
        };
        let mut scope = world.scope(realm);
        if !decl.enabled {
            // Names and types still have to be right, or switching it on would bring surprises.
            scope.quiet = true;
            attributes(&scope, decl);
            continue;
        }
        let provider = decl.address.kind.provider();
        let instance = instance::of(world, realm, provider);
        if instance.is_none() && unconfigured.insert((&realm.name, provider)) {
            let draft = Draft::new(
                Code::NoInstance,
                format!("the provider `{provider}` is not configured"),
            )
            .label(decl.key, "needs it")
            .help(format!(
                "add `[providers.{provider}]` to zonewright.toml or to the zone's file"
            ));
            scope.report(draft);
        }
        let meta = meta::lower(&scope, decl);
        let fields = attributes(&scope, decl);
        let Some(instance) = instance else {
            continue;
        };
        let resource = |address, body| Resource {
            address,
            instance: instance.clone(),
            body,
            meta: meta.clone(),
            at: Some(world.ctx.origin(decl.key)),
        };
        if decl.schema.form == Form::Attributes {
            let body = scope.placed(Node::Map(fields), decl.key);
            out.insert(decl.address.clone(), resource(decl.address.clone(), body));
            continue;
        }
        if let Some(source) = templated(&scope, decl) {
            scope.with = source;
        }
        for object in &decl.objects {
            if let Some(body) = object::body(&scope, decl, object) {
                let address = decl.object_address(object);
                let at = body.at.clone();
                let resource = Resource {
                    at,
                    ..resource(address.clone(), body)
                };
                out.insert(address, resource);
            }
        }
    }
    out
}

fn templated(
    scope: &Scope<'_, '_>,
    decl: &Decl<'_>,
) -> Option<Sorted<zonewright_engine::expr::Expr>> {
    (decl.schema.form == Form::Manifest && decl.table.contains_key("file"))
        .then(|| scope.file_source(&decl.table).map(|s| s.with))?
}

/// Checks and lowers the attributes of a declaration.
fn attributes(scope: &Scope<'_, '_>, decl: &Decl<'_>) -> Sorted<zonewright_engine::expr::Expr> {
    let kind = decl.address.kind.to_string();
    let mut table = decl.table.clone();
    // What makes objects is read elsewhere; here it only has to be known.
    let elsewhere: &[&str] = match decl.schema.form {
        Form::Attributes => &[],
        Form::Manifest => &["object", "file", "with", "template"],
        Form::Chart => &["values"],
        Form::SecretObject => &["data", "plain"],
    };
    let required: Vec<Attr> = decl
        .schema
        .attrs
        .iter()
        .filter(|a| !(elsewhere.contains(&a.name) && table.remove(a.name).is_some()))
        .cloned()
        .collect();
    for name in elsewhere {
        table.remove(*name);
    }
    let fields = Fields {
        unwanted: &[],
        table: &table,
        at: decl.key,
        owner: &kind,
        prefix: "",
    };
    if decl.schema.form == Form::SecretObject {
        for name in elsewhere {
            secret_map(scope, decl, name);
        }
    }
    scope.fields(&required, &fields)
}

fn secret_map(scope: &Scope<'_, '_>, decl: &Decl<'_>, name: &str) {
    if let Some(entry) = decl.table.get(name)
        && entry.value.table().is_none()
    {
        let wanted = super::types::name(&Type::Map(Box::new(Type::String)));
        let found = entry.value.what();
        scope.report(super::types::wrong(entry.value.at, name, &wanted, found));
    }
}
