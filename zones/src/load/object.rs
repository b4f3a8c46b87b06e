//! Kubernetes objects: what manifests, charts and secrets bring, and what each object is called.
//!
//! An object's key is `<group or core>/<Kind>/<namespace or ->/<name>`; it must be known while
//! loading, or nothing could refer to the object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::schema::{Form, Type};
use zonewright_engine::value::{Sorted, Value};

use super::declare::Decl;
use super::realm::Realm;
use super::scope::{Place, Scope};
use super::{Ctx, Text, chart, hygiene, types, yaml};
use crate::charts::ChartSpec;
use crate::diag::{Code, Draft};
use crate::secretlike;
use crate::tree::{Item, Loc, Table, Tree};

/// An object of a declaration.
pub(crate) struct Object {
    /// Its key; `None` when the declaration is the object.
    pub(super) key: Option<String>,
    pub(super) source: Source,
    pub(super) place: Place,
    /// The namespace to put into it.
    pub(super) inject: Option<String>,
    identity: Identity,
}

/// What an object is made of.
pub(super) enum Source {
    /// `object = { … }` of the declaration.
    Inline,
    /// A document of a file.
    Document {
        json: Json,
        /// Whether `${…}` in it means something.
        template: bool,
    },
    /// The attributes of the declaration.
    Secret,
}

#[derive(Clone)]
struct Identity {
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Identity {
    fn key(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or("-");
        format!("{}/{}/{namespace}/{}", self.group, self.kind, self.name)
    }
}

/// Kinds without a namespace that manifests commonly bring.
const CLUSTER_KINDS: &[&str] = &[
    "Namespace",
    "Node",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "IngressClass",
    "StorageClass",
    "CSIDriver",
    "VolumeSnapshotClass",
    "RuntimeClass",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "FlowSchema",
    "APIService",
    "ClusterIssuer",
    "GatewayClass",
];

/// Reads the objects of an enabled declaration.
pub(super) fn read(scope: &Scope<'_, '_>, decl: &mut Decl<'_>, charts: &mut Vec<ChartSpec>) {
    if !decl.enabled {
        return;
    }
    match decl.schema.form {
        Form::Attributes => {}
        Form::Manifest => manifest(scope, decl),
        Form::Chart => chart::read(scope, decl, charts),
        Form::SecretObject => secret(scope, decl),
    }
}

fn manifest(scope: &Scope<'_, '_>, decl: &mut Decl<'_>) {
    let namespace = decl.text(scope, "namespace").map(|(n, _)| n);
    match (decl.table.get("object"), decl.table.contains_key("file")) {
        (Some(entry), false) => {
            let place = Place::from(entry.value.at);
            match inline(scope, &entry.value) {
                Some(identity) => push(decl, Source::Inline, place, identity, namespace, false),
                None => decl.broken = true,
            }
        }
        (None, true) => file(scope, decl, namespace),
        (both, _) => {
            let what = if both.is_some() { "both" } else { "neither" };
            let draft = Draft::new(
                Code::ManifestSource,
                format!("a manifest with {what} `object` and `file`"),
            )
            .label(decl.key, "needs exactly one of them")
            .help("write `object = { … }` or `file = \"manifests/x.yaml\"`");
            scope.report(draft);
            decl.broken = true;
        }
    }
}

fn push(
    decl: &mut Decl<'_>,
    source: Source,
    place: Place,
    identity: Identity,
    inject: Option<String>,
    keyed: bool,
) {
    decl.objects.push(Object {
        key: keyed.then(String::new),
        source,
        place,
        inject,
        identity,
    });
}

fn inline(scope: &Scope<'_, '_>, tree: &Tree) -> Option<Identity> {
    let get = |path: &[&str]| {
        let text = crate::tree::at(tree.table()?, path)?.value.str()?;
        scope.known(text, tree.at)?.as_str().map(str::to_owned)
    };
    if crate::tree::at(tree.table()?, &["metadata", "generateName"]).is_some() {
        scope.report(generated(tree.at));
        return None;
    }
    let found = identity(get);
    if found.is_none() {
        scope.report(no_object(
            tree.at,
            "it lacks `apiVersion`, `kind` or `metadata.name`",
        ));
    }
    found
}

fn identity(get: impl Fn(&[&str]) -> Option<String>) -> Option<Identity> {
    let version = get(&["apiVersion"]).filter(|t| !t.is_empty())?;
    Some(Identity {
        group: version
            .split_once('/')
            .map_or("core", |(group, _)| group)
            .to_owned(),
        kind: get(&["kind"]).filter(|t| !t.is_empty())?,
        namespace: get(&["metadata", "namespace"]).filter(|t| !t.is_empty()),
        name: get(&["metadata", "name"]).filter(|t| !t.is_empty())?,
    })
}

fn no_object(at: Loc, why: &str) -> Draft {
    Draft::new(Code::NotAnObject, "this is no Kubernetes object")
        .label(at, why)
        .help("give it `apiVersion`, `kind` and `metadata.name`, known while loading")
}

fn generated(at: Loc) -> Draft {
    Draft::new(Code::GenerateName, "an object needs a name that stays")
        .label(at, "it has `metadata.generateName`")
        .help("use `metadata.name`")
}

fn file(scope: &Scope<'_, '_>, decl: &mut Decl<'_>, namespace: Option<String>) {
    let source = scope.file_source(&decl.table);
    let text = source.as_ref().and_then(|s| scope.ctx.text(&s.path, s.at));
    let (Some(source), Some(text)) = (source, text) else {
        decl.broken = true;
        return;
    };
    let mut scope = scope.clone();
    scope.with = source.with;
    documents(&scope, decl, &text, source.template, namespace.as_deref());
    for object in &decl.objects {
        if let Source::Document { json, .. } = &object.source {
            credentials(&scope, json, object.place);
        }
    }
}

pub(super) fn documents(
    scope: &Scope<'_, '_>,
    decl: &mut Decl<'_>,
    text: &Text,
    template: bool,
    namespace: Option<&str>,
) {
    let mut broken = false;
    let found = yaml::documents(text, &mut |draft| {
        broken = true;
        scope.ctx.report(draft);
    });
    for document in found {
        let place = Place {
            at: document.at,
            within: document.within,
        };
        for json in items(document.json) {
            match document_identity(scope, &json, place, template) {
                Ok(identity) => {
                    let source = Source::Document { json, template };
                    let namespace = namespace.map(str::to_owned);
                    push(decl, source, place, identity, namespace, true);
                }
                Err(draft) => {
                    broken = true;
                    scope.ctx.report(draft);
                }
            }
        }
    }
    decl.broken |= broken;
}

/// The items of a `List`; anything else is itself.
fn items(json: Json) -> Vec<Json> {
    let is_list = json["kind"] == "List" && json["apiVersion"] == "v1";
    match json {
        Json::Object(mut map) if is_list => match map.remove("items") {
            Some(Json::Array(items)) => items,
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

fn document_identity(
    scope: &Scope<'_, '_>,
    json: &Json,
    place: Place,
    template: bool,
) -> Result<Identity, Draft> {
    if !json.is_object() {
        return Err(no_object(place.at, "this document is no mapping"));
    }
    if json["metadata"].get("generateName").is_some() {
        return Err(generated(place.at));
    }
    let at = |path: &[&str]| path.iter().fold(json, |json, key| &json[*key]);
    // A bare `n` or `no` is a boolean in YAML: left alone, the object would lose its namespace.
    for path in [
        &["metadata", "namespace"][..],
        &["metadata", "name"],
        &["kind"],
    ] {
        let found = at(path);
        if !found.is_null() && !found.is_string() {
            let why = format!(
                "its `{}` is `{found}`, which is no text: quote it",
                path.join(".")
            );
            return Err(no_object(place.at, &why));
        }
    }
    let get = |path: &[&str]| {
        let text = at(path).as_str()?;
        if !template {
            return Some(text.to_owned());
        }
        scope.known(text, place)?.as_str().map(str::to_owned)
    };
    let missing = || no_object(place.at, "it lacks `apiVersion`, `kind` or `metadata.name`");
    identity(get).ok_or_else(missing)
}

/// Credentials in manifests that people write.
fn credentials(scope: &Scope<'_, '_>, json: &Json, place: Place) {
    match json {
        Json::String(text) => {
            if let Some(what) = secretlike::what(text) {
                let first = text.lines().next().unwrap_or(text);
                let found = scope.ctx.sources.borrow().slice(place.within).find(first);
                let at = found.map_or(place.within, |i| {
                    let start = place.within.start as usize + i;
                    // A key of several lines is blanked to the end of its document.
                    let whole = first.len() == text.len();
                    let end = if whole {
                        start + first.len()
                    } else {
                        place.within.end as usize
                    };
                    Loc::new(place.within.file, start, end)
                });
                hygiene::literal(scope.ctx, what, at);
            }
        }
        Json::Array(items) => items.iter().for_each(|j| credentials(scope, j, place)),
        Json::Object(map) => map.values().for_each(|j| credentials(scope, j, place)),
        _ => {}
    }
}

fn secret(scope: &Scope<'_, '_>, decl: &mut Decl<'_>) {
    let name = decl.text(scope, "name").map(|(n, _)| n);
    let name = name.or_else(|| {
        let given = decl.table.contains_key("name");
        (!given).then(|| decl.address.name.as_str().to_owned())
    });
    let Some(name) = name else {
        let at = decl.table.get("name").map_or(decl.key, |e| e.value.at);
        scope.report(types::wrong(
            at,
            "name",
            "a name known while loading",
            "something else",
        ));
        decl.broken = true;
        return;
    };
    let identity = Identity {
        group: "core".to_owned(),
        kind: "Secret".to_owned(),
        namespace: decl.text(scope, "namespace").map(|(n, _)| n),
        name,
    };
    push(decl, Source::Secret, decl.key.into(), identity, None, false);
}

/// Gives all objects their keys, now that every custom kind's scope has been seen.
pub(super) fn name(
    ctx: &Ctx<'_>,
    realms: &BTreeMap<ZoneName, Realm>,
    decls: &mut BTreeMap<Address, Decl<'_>>,
) {
    let cluster = cluster_kinds(decls.values());
    let mut seen: BTreeMap<(ZoneName, String), Loc> = BTreeMap::new();
    for decl in decls.values_mut() {
        let mut objects = std::mem::take(&mut decl.objects);
        objects.retain_mut(|object| {
            let identity = &mut object.identity;
            let has_none = CLUSTER_KINDS.contains(&identity.kind.as_str())
                || cluster.contains(&(identity.group.clone(), identity.kind.clone()));
            if has_none || identity.namespace.is_some() {
                object.inject = None;
            }
            identity.namespace = identity.namespace.take().or(object.inject.clone());
            let key = identity.key();
            let place = (decl.address.zone.clone(), key.clone());
            if let Some(first) = seen.get(&place) {
                let draft = Draft::new(
                    Code::DuplicateObject,
                    format!("the object `{key}` is declared twice"),
                )
                .label(object.place.at, "here again")
                .label(*first, "first here")
                .help("remove one of them, or give it another name or namespace");
                match realms.get(&decl.address.zone) {
                    Some(realm) => ctx.report(realm.inherited(draft)),
                    None => ctx.report(draft),
                }
                decl.broken = true;
                return false;
            }
            seen.insert(place, object.place.at);
            if object.key.is_some() {
                decl.keys.insert(key.clone());
                object.key = Some(key);
            }
            true
        });
        decl.objects = objects;
    }
}

fn cluster_kinds<'d>(decls: impl Iterator<Item = &'d Decl<'d>>) -> BTreeSet<(String, String)> {
    decls
        .flat_map(|d| &d.objects)
        .filter_map(|object| match &object.source {
            Source::Document { json, .. } if object.identity.kind == "CustomResourceDefinition" => {
                let spec = &json["spec"];
                let is_cluster = spec["scope"] == "Cluster";
                let group = spec["group"].as_str().filter(|_| is_cluster)?;
                Some((group.to_owned(), spec["names"]["kind"].as_str()?.to_owned()))
            }
            _ => None,
        })
        .collect()
}

/// The body of an object.
pub(super) fn body(scope: &Scope<'_, '_>, decl: &Decl<'_>, object: &Object) -> Option<Expr> {
    let mut expr = match &object.source {
        Source::Inline => {
            let tree = &decl.table.get("object")?.value;
            scope.value(tree, &Type::Any, "object")?
        }
        Source::Document { json, template } => {
            let node = document(scope, json, object.place, *template)?;
            scope.placed(node, object.place.at)
        }
        Source::Secret => secret_body(scope, decl, &object.identity)?,
    };
    if let (Some(namespace), Node::Map(map)) = (&object.inject, &mut expr.node) {
        let empty = || Node::Map(Sorted::new()).into();
        let metadata = map.get_or_insert_with("metadata", empty);
        if let Node::Map(metadata) = &mut metadata.node {
            let value = Expr::literal(Value::text(namespace.clone()));
            metadata.insert("namespace", value);
        }
    }
    Some(expr)
}

fn document(scope: &Scope<'_, '_>, json: &Json, place: Place, template: bool) -> Option<Node> {
    Some(match json {
        Json::String(text) if template && text.contains("${") => {
            return scope.text(text, place).map(|l| l.expr.node);
        }
        Json::Array(items) => {
            let items: Vec<Option<Node>> = items
                .iter()
                .map(|j| document(scope, j, place, template))
                .collect();
            let items = items.into_iter().map(|n| n.map(Expr::from));
            Node::List(items.collect::<Option<_>>()?)
        }
        Json::Object(map) => {
            let mut out = Sorted::new();
            let mut whole = true;
            for (key, json) in map {
                match document(scope, json, place, template) {
                    Some(node) => {
                        out.insert(key.as_str(), Expr::from(node));
                    }
                    None => whole = false,
                }
            }
            whole.then_some(Node::Map(out))?
        }
        leaf => Node::Literal(Value::from_plain_json(leaf.clone())),
    })
}

fn secret_body(scope: &Scope<'_, '_>, decl: &Decl<'_>, identity: &Identity) -> Option<Expr> {
    let text = |t: &str| Expr::literal(Value::text(t));
    let mut metadata = Sorted::from([("name", text(&identity.name))]);
    if let Some(namespace) = &identity.namespace {
        metadata.insert("namespace", text(namespace));
    }
    let kind = decl.text(scope, "type").map(|(t, _)| t);
    let mut data = Sorted::new();
    entries(
        scope,
        decl.table.get("data").map(|e| &e.value),
        true,
        &mut data,
    );
    entries(
        scope,
        decl.table.get("plain").map(|e| &e.value),
        false,
        &mut data,
    );
    let body = Sorted::from([
        ("apiVersion", text("v1")),
        ("kind", text("Secret")),
        ("metadata", Node::Map(metadata).into()),
        ("type", text(kind.as_deref().unwrap_or("Opaque"))),
        ("stringData", Node::Map(data).into()),
    ]);
    Some(scope.placed(Node::Map(body), decl.key))
}

fn entries(scope: &Scope<'_, '_>, tree: Option<&Tree>, secret: bool, out: &mut Sorted<Expr>) {
    let Some(Item::Table(table)) = tree.map(|t| &t.node) else {
        return;
    };
    let table: &Table = table;
    for (key, entry) in table {
        let path = format!("data.{key}");
        let Some(expr) = scope.value(&entry.value, &Type::String, &path) else {
            continue;
        };
        if secret && !super::value::refers(&expr) {
            hygiene::literal(
                scope.ctx,
                &format!("the secret value `{path}`"),
                entry.value.at,
            );
            continue;
        }
        out.insert(key.clone(), expr);
    }
}
