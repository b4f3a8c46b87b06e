//! Values of attributes: from trees to typed expressions.

use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::schema::{Attr, Names, Type};
use zonewright_engine::value::{Sorted, Value};

use super::scope::{Lowered, Place, Scope};
use super::{hygiene, types};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{Item, Loc, Table, Tree};

/// A table of attributes and what it is called.
pub(super) struct Fields<'t> {
    pub(super) table: &'t Table,
    /// Where a missing attribute is reported.
    pub(super) at: Loc,
    /// What has the attributes: `digitalocean.vpc`.
    pub(super) owner: &'t str,
    /// The path of the table inside the resource, with a dot at the end, or nothing.
    pub(super) prefix: &'t str,
    /// Names that it must not have, with the reason.
    pub(super) unwanted: &'t [(&'static str, &'static str)],
}

impl Scope<'_, '_> {
    /// Lowers the attributes of a table; mistakes are reported and left out.
    pub(super) fn fields(&self, attrs: &[Attr], fields: &Fields<'_>) -> Sorted<Expr> {
        let mut out = Sorted::new();
        for (key, entry) in fields.table {
            let path = format!("{}{key}", fields.prefix);
            let Some(attr) = attrs.iter().find(|a| a.name == key) else {
                let names = attrs.iter().map(|a| a.name);
                let message = format!("`{}` has no attribute `{key}`", fields.owner);
                let unwanted = fields.unwanted.iter().find(|(name, _)| name == key);
                let help = unwanted.map(|(_, why)| (*why).to_owned());
                let draft = Draft::new(Code::UnknownAttribute, message)
                    .label(entry.key, "not known")
                    .maybe_help(help.or_else(|| suggest::help(key, names)));
                self.report(draft);
                continue;
            };
            let lowered = self.value(&entry.value, &attr.ty, &path);
            if let Some(expr) = &lowered
                && attr.secret
                && !refers(expr)
            {
                let what = format!("the value of `{path}`, a secret,");
                hygiene::literal(self.ctx, &what, entry.value.at);
            }
            if let Some(expr) = &lowered
                && let (Some(names), Node::Literal(Value::String(text))) = (attr.names, &expr.node)
            {
                self.vendor_name(names, text, &entry.value, &path);
            }
            out.extend(lowered.map(|expr| (key.clone(), expr)));
        }
        self.required(attrs, fields);
        out
    }

    /// A name that comes from a setting is reported there, once for all that use it.
    fn vendor_name(&self, names: &Names, text: &str, tree: &Tree, path: &str) {
        let written = tree.str().and_then(|t| self.written(t));
        let draft = types::vendor_name(names, text, written.unwrap_or(tree.at), path);
        let used = |draft: Draft| match written {
            Some(_) => draft.label(tree.at, format!("the first `{path}` that takes it")),
            None => draft,
        };
        draft.into_iter().for_each(|d| self.report(used(d)));
    }

    fn required(&self, attrs: &[Attr], fields: &Fields<'_>) {
        for attr in attrs.iter().filter(|a| a.required) {
            if !fields.table.contains_key(attr.name) {
                let message = format!("`{}` needs `{}`", fields.owner, attr.name);
                let draft = Draft::new(Code::MissingAttribute, message)
                    .label(fields.at, format!("`{}` is missing", attr.name))
                    .help(format!("write `{} = {}`", attr.name, example(attr)));
                self.report(draft);
            }
        }
    }

    /// Lowers a value of a type.
    pub(super) fn value(&self, tree: &Tree, ty: &Type, path: &str) -> Option<Expr> {
        match (&tree.node, ty) {
            (Item::String(text), _) => {
                let lowered = self.text(text, tree.at.into())?;
                self.conforms(&lowered, ty, tree.at, path);
                Some(lowered.expr)
            }
            (Item::Bool(b), _) => self.leaf(Value::Bool(*b), ty, tree.at, path),
            (Item::Number(n), _) => self.leaf(Value::Number(n.clone()), ty, tree.at, path),
            (Item::List(items), Type::List(inner)) => self.list(items, inner, tree.at, path),
            (Item::List(items), Type::Any) => self.list(items, &Type::Any, tree.at, path),
            (Item::Table(table), Type::String | Type::Any) if is_file(table) => {
                self.file(table, tree.at)
            }
            (Item::Table(table), Type::Map(inner)) => self.map(table, inner, tree.at, path),
            (Item::Table(table), Type::Any) => self.map(table, &Type::Any, tree.at, path),
            (Item::Table(table), Type::Object(attrs)) => {
                let fields = Fields {
                    unwanted: &[],
                    table,
                    at: tree.at,
                    owner: path,
                    prefix: &format!("{path}."),
                };
                let entries = self.fields(attrs, &fields);
                Some(self.placed(Node::Map(entries), tree.at))
            }
            _ => {
                self.report(types::wrong(tree.at, path, &types::name(ty), tree.what()));
                None
            }
        }
    }

    fn leaf(&self, value: Value, ty: &Type, at: Loc, path: &str) -> Option<Expr> {
        if let Some(draft) = types::scalar(&value, ty, at, path) {
            self.report(draft);
            return None;
        }
        Some(self.placed(Node::Literal(value), at))
    }

    fn list(&self, items: &[Tree], ty: &Type, at: Loc, path: &str) -> Option<Expr> {
        let items = items
            .iter()
            .enumerate()
            .filter_map(|(i, tree)| self.value(tree, ty, &format!("{path}[{i}]")));
        let node = Node::List(items.collect());
        Some(self.placed(node, at))
    }

    fn map(&self, table: &Table, ty: &Type, at: Loc, path: &str) -> Option<Expr> {
        let entries = table.iter().filter_map(|(key, entry)| {
            let expr = self.value(&entry.value, ty, &format!("{path}.{key}"))?;
            Some((key.clone(), expr))
        });
        let node = Node::Map(entries.collect());
        Some(self.placed(node, at))
    }

    /// Checks what a text came to.
    fn conforms(&self, lowered: &Lowered, ty: &Type, at: Loc, path: &str) {
        match (&lowered.expr.node, &lowered.ty) {
            (Node::Ref(_), Some(found)) if !types::compatible(found, ty) => {
                let (wanted, found) = (types::name(ty), types::name(found));
                self.report(types::wrong(at, path, &wanted, &found));
            }
            (Node::Template(_), _) if !types::is_text(ty) => {
                self.report(types::wrong(at, path, &types::name(ty), "text"));
            }
            (node, _) => self.literal_conforms(node, ty, at, path),
        }
    }

    fn literal_conforms(&self, node: &Node, ty: &Type, at: Loc, path: &str) {
        match (node, ty) {
            (_, Type::Any) | (Node::Ref(_) | Node::Template(_) | Node::Fingerprint(_), _) => {}
            (Node::Literal(value), _) => {
                if let Some(draft) = types::scalar(value, ty, at, path) {
                    self.report(draft);
                }
            }
            (Node::List(items), Type::List(inner)) => {
                for (i, item) in items.iter().enumerate() {
                    self.literal_conforms(&item.node, inner, at, &format!("{path}[{i}]"));
                }
            }
            (Node::Map(map), Type::Map(inner)) => {
                for (key, item) in map {
                    self.literal_conforms(&item.node, inner, at, &format!("{path}.{key}"));
                }
            }
            (Node::Map(map), Type::Object(attrs)) => self.object_conforms(map, attrs, at, path),
            (Node::List(_), _) => {
                self.report(types::wrong(at, path, &types::name(ty), "a list"));
            }
            (Node::Map(_), _) => {
                self.report(types::wrong(at, path, &types::name(ty), "a table"));
            }
        }
    }

    fn object_conforms(&self, map: &Sorted<Expr>, attrs: &[Attr], at: Loc, path: &str) {
        for (key, item) in map {
            match attrs.iter().find(|a| a.name == key) {
                Some(attr) => {
                    self.literal_conforms(&item.node, &attr.ty, at, &format!("{path}.{key}"));
                }
                None => {
                    let names = attrs.iter().map(|a| a.name);
                    let message = format!("`{path}` has no attribute `{key}`");
                    let draft = Draft::new(Code::UnknownAttribute, message)
                        .label(at, "in this value")
                        .maybe_help(suggest::help(key, names));
                    self.report(draft);
                }
            }
        }
        for attr in attrs.iter().filter(|a| a.required) {
            if !map.contains_key(attr.name) {
                let message = format!("`{path}` needs `{}`", attr.name);
                let draft = Draft::new(Code::MissingAttribute, message);
                self.report(draft.label(at, format!("`{}` is missing", attr.name)));
            }
        }
    }

    /// `{ file = "x", template = true, with = { … } }` where text is wanted.
    fn file(&self, table: &Table, at: Loc) -> Option<Expr> {
        let source = self.file_source(table)?;
        let text = self.ctx.text(&source.path, source.at)?;
        if !source.template {
            return Some(self.placed(Node::Literal(Value::text(&*text.text)), at));
        }
        let mut scope = self.clone();
        scope.with = source.with;
        let within = Loc::new(text.file, 0, text.text.len());
        let lowered = scope.text(&text.text, Place { at, within })?;
        Some(lowered.expr)
    }

    /// Reads `file`, `template` and `with` of a table; `with` alone makes it a template.
    pub(super) fn file_source(&self, table: &Table) -> Option<FileSource> {
        let entry = &table.get("file")?.value;
        let path = match entry.str().map(|t| self.known(t, entry.at)) {
            Some(Some(Value::String(path))) => path.into(),
            Some(None) => return None,
            _ => {
                self.report(types::wrong(
                    entry.at,
                    "file",
                    "the path of a file",
                    entry.what(),
                ));
                return None;
            }
        };
        let template = match table.get("template").map(|e| &e.value) {
            None => table.contains_key("with"),
            Some(tree) => tree.bool().unwrap_or_else(|| {
                self.report(types::wrong(tree.at, "template", "a boolean", tree.what()));
                false
            }),
        };
        let with = match table.get("with").map(|e| &e.value) {
            None => Sorted::new(),
            Some(tree) => match self
                .value(tree, &Type::Map(Box::new(Type::Any)), "with")?
                .node
            {
                Node::Map(map) => map,
                _ => Sorted::new(),
            },
        };
        if !template && let Some(entry) = table.get("with") {
            let draft = Draft::new(
                Code::ManifestSource,
                "`with` has no effect without a template",
            )
            .label(entry.key, "used by `${with.…}`")
            .help("take `template = false` out");
            self.report(draft);
        }
        Some(FileSource {
            path,
            at: entry.at,
            template,
            with,
        })
    }
}

/// A file that stands for a value.
pub(super) struct FileSource {
    pub(super) path: String,
    pub(super) at: Loc,
    pub(super) template: bool,
    pub(super) with: Sorted<Expr>,
}

fn is_file(table: &Table) -> bool {
    table.get("file").is_some_and(|e| e.value.str().is_some())
        && table
            .keys()
            .all(|k| matches!(k.as_str(), "file" | "template" | "with"))
}

/// Whether anything in an expression is a reference.
pub(super) fn refers(expr: &Expr) -> bool {
    match &expr.node {
        Node::Literal(_) => false,
        Node::Ref(_) | Node::Template(_) => true,
        Node::List(items) => items.iter().any(refers),
        Node::Map(map) => map.values().any(refers),
        Node::Fingerprint(inner) => refers(inner),
    }
}

fn example(attr: &Attr) -> String {
    if attr.secret {
        return "\"${secret.name}\"".to_owned();
    }
    match &attr.ty {
        Type::Bool => "true".to_owned(),
        Type::Int => "1".to_owned(),
        Type::Within(ranges) => ranges.first().map_or(1, |r| r.0).to_string(),
        Type::OneOf(options) => format!("\"{}\"", options.first().unwrap_or(&"")),
        Type::Cidr => "\"10.10.0.0/16\"".to_owned(),
        Type::Duration => "\"20m\"".to_owned(),
        Type::List(_) => "[…]".to_owned(),
        Type::Map(_) | Type::Object(_) => "{ … }".to_owned(),
        Type::String | Type::Any => "\"…\"".to_owned(),
    }
}
