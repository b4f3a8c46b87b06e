//! Declarations: which resources a zone has, whether they are enabled, and which objects they bring.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::{Address, Kind, Name, ZoneName};
use zonewright_engine::config::Posture;
use zonewright_engine::schema::KindSchema;
use zonewright_engine::value::Sorted;

use super::object::{self, Object};
use super::realm::Realm;
use super::root::{self, Project};
use super::scope::Scope;
use super::{Ctx, meta, types};
use crate::charts::ChartSpec;
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Entry, Item, Loc, Table, Tree};

/// A declared resource, before its body is lowered.
pub(crate) struct Decl<'a> {
    pub(super) address: Address,
    pub(super) schema: &'a KindSchema,
    /// Its name in the table header.
    pub(super) key: Loc,
    /// The attributes.
    pub(super) table: Table,
    /// The `zonewright` sub-table.
    pub(super) meta: Table,
    pub(super) enabled: bool,
    pub(super) enabled_at: Option<Loc>,
    pub(super) observe: bool,
    pub(super) stand_in: bool,
    /// The objects that it brings, when its kind is one of objects.
    pub(super) objects: Vec<Object>,
    /// The keys of the objects that have one.
    pub(super) keys: BTreeSet<String>,
    /// Its objects could not all be read, which is reported already.
    pub(super) broken: bool,
}

impl Decl<'_> {
    /// The address of one of its objects.
    pub(super) fn object_address(&self, object: &Object) -> Address {
        match &object.key {
            Some(key) => self.address.object(key.clone()),
            None => self.address.clone(),
        }
    }

    /// The addresses of all that it brings.
    pub(super) fn addresses(&self) -> Vec<Address> {
        if self.schema.is_object() {
            self.objects
                .iter()
                .map(|o| self.object_address(o))
                .collect()
        } else {
            vec![self.address.clone()]
        }
    }

    /// A text attribute that must be known while loading.
    pub(super) fn text(&self, scope: &Scope<'_, '_>, name: &str) -> Option<(String, Loc)> {
        let tree = &self.table.get(name)?.value;
        let known = scope.known(tree.str()?, tree.at)?;
        Some((known.as_str()?.to_owned(), tree.at))
    }
}

/// All declarations by address, and the charts among them.
pub(super) fn all<'a>(
    ctx: &Ctx<'a>,
    project: &Project,
    realms: &BTreeMap<ZoneName, Realm>,
) -> (BTreeMap<Address, Decl<'a>>, Vec<ChartSpec>) {
    let mut decls = BTreeMap::new();
    let mut charts = Vec::new();
    for realm in realms.values() {
        let scope = Scope {
            ctx,
            project,
            realms,
            realm,
            decls: None,
            quiet: false,
            with: Sorted::new(),
        };
        let mut own = Vec::new();
        Collector {
            scope: &scope,
            out: &mut own,
        }
        .providers();
        for mut decl in own {
            object::read(&scope, &mut decl, &mut charts);
            decls.insert(decl.address.clone(), decl);
        }
    }
    object::name(ctx, realms, &mut decls);
    (decls, charts)
}

struct Collector<'s, 'w, 'a> {
    scope: &'s Scope<'w, 'a>,
    out: &'s mut Vec<Decl<'a>>,
}

impl<'a> Collector<'_, '_, 'a> {
    fn providers(&mut self) {
        let scope = self.scope;
        for (provider, entry) in &scope.realm.table {
            let registry = scope.ctx.registry;
            let Some(schema) = registry.provider(provider) else {
                self.unknown_table(provider, entry);
                continue;
            };
            let Some(kinds) = self.sub(entry, provider, "[provider.kind.name]") else {
                continue;
            };
            for (kind, entry) in kinds {
                let name = format!("{provider}.{kind}");
                let found = schema.kinds.iter().find(|k| k.kind.name() == kind);
                let Some(found) = found else {
                    let known: Vec<String> = registry.kinds().map(|k| k.kind.to_string()).collect();
                    let near = suggest::nearest(&name, known.iter().map(String::as_str));
                    let own = schema.kinds.iter().map(|k| k.kind.name());
                    let draft = Draft::new(Code::UnknownKind, format!("there is no kind `{name}`"))
                        .label(entry.key, "not known")
                        .maybe_help(suggest::help(kind, own))
                        .maybe_help(near.map(|n| format!("did you mean `{n}`?")));
                    scope.report(draft);
                    continue;
                };
                self.kind(&found.kind, found, entry);
            }
        }
    }

    fn unknown_table(&self, name: &str, entry: &Entry) {
        let providers = self.scope.ctx.registry.providers().map(|p| p.name);
        let edge = self.scope.realm.role.is_none();
        let own: &[&str] = if edge {
            &[]
        } else {
            &["zone", "database", "media", "providers", "role", "posture"]
        };
        let known: Vec<&str> = providers.chain(own.iter().copied()).collect();
        let what = if edge { "[shared]" } else { "a zone file" };
        let draft = Draft::new(Code::UnknownTable, format!("{what} has no `{name}`"))
            .label(entry.key, "not known")
            .maybe_help(suggest::help(name, known))
            .maybe_help(
                (name == "shared").then(|| "shared resources stand in zonewright.toml".to_owned()),
            );
        self.scope.report(draft);
    }

    fn sub<'t>(&self, entry: &'t Entry, path: &str, form: &str) -> Option<&'t Table> {
        let table = entry.value.table();
        if table.is_none() {
            let draft = types::wrong(entry.value.at, path, "a table", entry.value.what())
                .help(format!("resources are declared as `{form}`"));
            self.scope.report(draft);
        }
        table
    }

    fn kind(&mut self, kind: &Kind, schema: &'a KindSchema, entry: &Entry) {
        let form = format!("[{kind}.name]");
        let Some(names) = self.sub(entry, &kind.to_string(), &form) else {
            return;
        };
        for (name, entry) in names {
            let path = format!("{kind}.{name}");
            let Some(table) = self.sub(entry, &path, &form) else {
                continue;
            };
            if let Some(name) = root::name(self.scope.ctx, name, entry.key) {
                let decl = self.declare(kind, name, schema, entry.key, table);
                self.out.push(decl);
            }
        }
    }

    fn declare(
        &self,
        kind: &Kind,
        name: Name,
        schema: &'a KindSchema,
        key: Loc,
        table: &Table,
    ) -> Decl<'a> {
        let scope = self.scope;
        let mut table = table.clone();
        let mut meta = Table::new();
        if let Some(entry) = table.remove("zonewright") {
            match entry.value.node {
                Item::Table(inner) => meta = inner,
                _ => scope.report(types::wrong(
                    entry.value.at,
                    "zonewright",
                    "a table",
                    entry.value.what(),
                )),
            }
        }
        meta::known(scope, &meta);
        let (mut enabled, enabled_at) = meta::enabled(scope, &meta);
        // A zone that is off keeps what costs nothing and recovery needs.
        enabled &= schema.kept_when_off || scope.realm.posture != Some(Posture::Off);
        let zone_wide = scope.realm.setting("observe").and_then(Tree::bool);
        let mut observe = zone_wide.unwrap_or(false);
        observe = meta::flag(scope, &meta, "observe").unwrap_or(observe);
        if schema.attr("observe").is_none() {
            observe = meta::flag(scope, &table, "observe").unwrap_or(observe);
            table.remove("observe");
        }
        let address = Address::new(scope.realm.name.clone(), kind.clone(), name, None);
        Decl {
            address,
            schema,
            key,
            table,
            meta,
            enabled,
            enabled_at,
            observe,
            stand_in: false,
            objects: Vec::new(),
            keys: BTreeSet::new(),
            broken: false,
        }
    }
}
