//! The `zonewright` sub-table: how a resource is handled.

use zonewright_engine::address::{Address, AttrPath, RefText, ZoneSelector};
use zonewright_engine::config::{Meta, Sharing, Trigger};
use zonewright_engine::expr::Origin;
use zonewright_engine::value::Value;

use super::declare::Decl;
use super::scope::Scope;
use super::types;
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Item, Loc, Table, Tree};

const KEYS: &[&str] = &[
    "enabled",
    "after",
    "protect",
    "keep",
    "ignore",
    "replace_when",
    "roll",
    "on_immutable",
    "yield",
    "take_from",
    "timeout",
    "unset",
    "observe",
];

/// What other tools call them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("prevent_destroy", "protect"),
    ("ignore_changes", "ignore"),
    ("replace_triggered_by", "replace_when"),
    ("depends_on", "after"),
    ("retain_on_delete", "keep"),
    ("keep_on_destroy", "keep"),
];

/// The switch and where it was set.
pub(super) fn enabled(scope: &Scope<'_, '_>, meta: &Table) -> (bool, Option<Loc>) {
    let Some(tree) = meta.get("enabled").map(|e| &e.value) else {
        return (true, None);
    };
    let known = match &tree.node {
        Item::Bool(b) => return (*b, Some(tree.at)),
        Item::String(text) => match scope.text(text, tree.at.into()) {
            Some(lowered) => match lowered.expr.node {
                zonewright_engine::expr::Node::Literal(value) => Some(value),
                _ => None,
            },
            None => return (true, Some(tree.at)),
        },
        _ => None,
    };
    if let Some(Value::Bool(b)) = known {
        return (b, Some(tree.at));
    }
    let draft = Draft::new(
        Code::WrongType,
        "`enabled` wants a boolean that is known while planning",
    )
    .label(tree.at, "is something else")
    .help("write `true`, `false` or a setting: `\"${zone.exposed}\"`");
    scope.report(draft);
    (true, Some(tree.at))
}

/// Reports keys that there are not.
pub(super) fn known(scope: &Scope<'_, '_>, meta: &Table) {
    for (key, entry) in meta {
        if !KEYS.contains(&key.as_str()) {
            let draft = Draft::new(
                Code::UnknownAttribute,
                format!("`zonewright` has no `{key}`"),
            )
            .label(entry.key, "not known")
            .maybe_help(elsewhere(key).or_else(|| suggest::help(key, KEYS.iter().copied())));
            scope.report(draft);
        }
    }
}

fn elsewhere(key: &str) -> Option<String> {
    let (_, here) = ELSEWHERE.iter().find(|(there, _)| *there == key)?;
    Some(format!("it is called `{here}` here"))
}

/// A boolean of a table, or a report.
pub(super) fn flag(scope: &Scope<'_, '_>, table: &Table, name: &str) -> Option<bool> {
    let tree = &table.get(name)?.value;
    let known = match &tree.node {
        Item::Bool(b) => return Some(*b),
        Item::String(text) => scope.known(text, tree.at),
        _ => None,
    };
    if let Some(Value::Bool(b)) = known {
        return Some(b);
    }
    scope.report(types::wrong(tree.at, name, "a boolean", tree.what()));
    None
}

/// Lowers the sub-table of an enabled declaration.
pub(super) fn lower(scope: &Scope<'_, '_>, decl: &Decl<'_>) -> Meta {
    let meta = &decl.meta;
    let timeout = meta.get("timeout").and_then(|e| {
        let parsed = e.value.str().and_then(types::duration);
        if parsed.is_none() {
            scope.report(match e.value.str() {
                Some(text) => types::bad_duration(text, e.value.at),
                None => types::wrong(e.value.at, "timeout", "a duration", e.value.what()),
            });
        }
        parsed
    });
    let sharing = sharing(scope, decl);
    let mut ignore = paths(scope, decl, "ignore");
    ignore.extend(sharing.yields.iter().cloned());
    Meta {
        after: after(scope, meta.get("after").map(|e| &e.value)),
        protect: flag(scope, meta, "protect").unwrap_or(decl.schema.protect),
        timeout,
        observe: decl.observe,
        stand_in: decl.stand_in,
        replaceable: on_immutable(scope, meta),
        steady: flag(scope, meta, "roll") == Some(false),
        keep: flag(scope, meta, "keep").unwrap_or(false),
        ignore,
        sharing,
        replace_when: replace_when(scope, meta.get("replace_when").map(|e| &e.value)),
    }
}

/// Whether the spec has an object replaced when what cannot change does.
fn on_immutable(scope: &Scope<'_, '_>, meta: &Table) -> bool {
    let Some(tree) = meta.get("on_immutable").map(|e| &e.value) else {
        return false;
    };
    match tree.str() {
        Some("replace") => return true,
        Some("error") => return false,
        _ => {}
    }
    let wanted = "`error` or `replace`";
    scope.report(types::wrong(tree.at, "on_immutable", wanted, tree.what()));
    false
}

/// The texts of a list, each with its place, or a report.
fn texts<'t>(
    scope: &Scope<'_, '_>,
    tree: Option<&'t Tree>,
    name: &str,
    what: &str,
) -> Vec<(&'t str, Loc)> {
    let Some(tree) = tree else {
        return Vec::new();
    };
    let Item::List(items) = &tree.node else {
        let wanted = format!("a list of {what}");
        scope.report(types::wrong(tree.at, name, &wanted, tree.what()));
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in items {
        match item.str() {
            Some(text) => out.push((text, item.at)),
            None => scope.report(types::wrong(item.at, name, "text", item.what())),
        }
    }
    out
}

/// How the fields of an object are shared: only those have managers.
fn sharing(scope: &Scope<'_, '_>, decl: &Decl<'_>) -> Sharing {
    let object = decl.schema.is_object();
    let stray = ["yield", "take_from"]
        .into_iter()
        .filter_map(|key| Some((key, decl.meta.get(key)?)))
        .filter(|_| !object);
    for (key, entry) in stray {
        let message =
            format!("`{key}` is for objects of a cluster: only their fields have managers");
        let draft = Draft::new(Code::BadIgnore, message).label(entry.key, "here");
        scope.report(draft.help("write `ignore` to leave attributes to somebody else"));
    }
    if !object {
        return Sharing::default();
    }
    Sharing {
        yields: paths(scope, decl, "yield"),
        take_from: take_from(scope, decl.meta.get("take_from").map(|e| &e.value)),
    }
}

/// Tools and field managers: one, or a list.
fn take_from(scope: &Scope<'_, '_>, tree: Option<&Tree>) -> Vec<String> {
    if let Some(name) = tree.and_then(Tree::str) {
        return vec![name.to_owned()];
    }
    let names = texts(scope, tree, "take_from", "names of tools or field managers");
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Attributes that somebody else looks after. What names the resource cannot be among them.
fn paths(scope: &Scope<'_, '_>, decl: &Decl<'_>, list: &str) -> Vec<AttrPath> {
    let tree = decl.meta.get(list).map(|e| &e.value);
    let mut out = Vec::new();
    for (text, at) in texts(scope, tree, list, "attributes") {
        let path: AttrPath = match text.parse() {
            Ok(path) => path,
            Err(error) => {
                let message = format!("`{text}` is no attribute: {error}");
                let draft = Draft::new(Code::BadReference, message).label(at, "here");
                scope.report(draft.help("write `name`, `spec.replicas` or `list[0].name`"));
                continue;
            }
        };
        match unfit(decl, &path) {
            Some(draft) => scope.report(draft.label(at, "here")),
            None => out.push(path),
        }
    }
    out
}

/// Why an attribute cannot be ignored.
fn unfit(decl: &Decl<'_>, path: &AttrPath) -> Option<Draft> {
    let key = path.first_key().unwrap_or_default();
    let named = format!("`{path}` names the resource, so it cannot be ignored");
    if decl.schema.is_object() {
        let text = path.to_string();
        let fixed = [
            "apiVersion",
            "kind",
            "metadata",
            "metadata.name",
            "metadata.namespace",
        ];
        return fixed
            .contains(&text.as_str())
            .then(|| Draft::new(Code::BadIgnore, named));
    }
    if decl.schema.attr(key).is_none() {
        let known = decl.schema.attrs.iter().map(|a| a.name);
        let message = format!("{} has no `{key}`", decl.schema.kind);
        return Some(
            Draft::new(Code::UnknownAttribute, message).maybe_help(suggest::help(key, known)),
        );
    }
    decl.schema
        .identity
        .contains(&key)
        .then(|| Draft::new(Code::BadIgnore, named))
}

/// Values with which the resource is replaced when they change.
fn replace_when(scope: &Scope<'_, '_>, tree: Option<&Tree>) -> Vec<Trigger> {
    let mut out = Vec::new();
    for (text, at) in texts(scope, tree, "replace_when", "references") {
        if !text.contains("${") {
            let draft = types::wrong(
                at,
                "replace_when",
                "a reference",
                "a text that never changes",
            )
            .help("write `\"${provider.kind.name.attribute}\"` or `\"${zone.setting}\"`");
            scope.report(draft);
        } else if let Some(lowered) = scope.text(text, at.into()) {
            out.push(Trigger {
                text: text.to_owned(),
                value: lowered.expr,
            });
        }
    }
    out
}

fn after(scope: &Scope<'_, '_>, tree: Option<&Tree>) -> Vec<(Address, Option<Origin>)> {
    let Some(tree) = tree else {
        return Vec::new();
    };
    let Item::List(items) = &tree.node else {
        scope.report(types::wrong(
            tree.at,
            "after",
            "a list of resources",
            tree.what(),
        ));
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in items {
        let Some(text) = item.str() else {
            scope.report(types::wrong(item.at, "after", "a resource", item.what()));
            continue;
        };
        let text = text
            .strip_prefix("${")
            .and_then(|t| t.strip_suffix('}'))
            .unwrap_or(text);
        let origin = scope.ctx.origin(item.at);
        let addresses = one(scope, text, item.at).unwrap_or_default();
        out.extend(addresses.into_iter().map(|a| (a, Some(origin.clone()))));
    }
    out
}

/// The resources that an entry of `after` names: for a chart or a manifest all its objects.
fn one(scope: &Scope<'_, '_>, text: &str, at: Loc) -> Option<Vec<Address>> {
    let parsed = RefText::parse(text);
    let Ok(RefText::Resource {
        zone,
        kind,
        name,
        key,
        path,
    }) = parsed
    else {
        let draft = Draft::new(Code::BadReference, format!("`{text}` names no resource"))
            .label(at, "here")
            .help("write `provider.kind.name`, with a zone and `/` before it to pin it");
        scope.report(draft);
        return None;
    };
    if !path.is_empty() {
        let draft = Draft::new(
            Code::BadReference,
            "`after` names resources, not attributes",
        )
        .label(at, format!("take `.{path}` off"));
        scope.report(draft);
    }
    let zone = scope.zone(zone.as_ref().map(|z: &ZoneSelector| z), at)?;
    let address = Address::new(zone, kind, name, key);
    let decl = scope.target(&address, at)?;
    Some(match address.key {
        Some(_) => vec![address],
        None => decl.addresses(),
    })
}
