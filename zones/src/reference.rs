//! The reference of kinds for the documentation.

use std::fmt::Write as _;

use zonewright_engine::schema::{Attr, Containment, KindSchema, Names, OnChange, Registry, Type};

/// All providers and kinds as Markdown.
pub fn reference_markdown(registry: &Registry) -> String {
    let mut out = String::from("# Kinds\n");
    for provider in registry.providers() {
        section(
            &mut out,
            &format!("## {}\n\n{}", provider.name, provider.doc),
        );
        section(&mut out, &format!("### `[providers.{}]`", provider.name));
        attributes(&mut out, &provider.config);
        for kind in &provider.kinds {
            describe(&mut out, kind);
        }
    }
    known_names(&mut out, registry);
    out
}

fn section(out: &mut String, text: &str) {
    line(out, &format!("\n{text}"));
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn describe(out: &mut String, kind: &KindSchema) {
    section(out, &format!("### `{}`\n\n{}", kind.kind, kind.doc));
    if kind.protect {
        section(
            out,
            "Protected: never deleted or replaced unless `zonewright.protect` is `false`.",
        );
    }
    match kind.contained_in {
        Containment::None => {}
        Containment::Attribute(name) => {
            section(out, &format!("Goes with what `{name}` refers to."))
        }
        Containment::Instance => section(out, "Goes with what its provider lives in."),
    }
    attributes(out, &kind.attrs);
    if kind.outputs.is_empty() {
        return;
    }
    section(out, "| output | type | |\n|---|---|---|");
    for output in &kind.outputs {
        let secret = if output.secret { " Secret." } else { "" };
        line(
            out,
            &format!(
                "| `{}` | {} | {}{secret} |",
                output.name,
                ty(&output.ty),
                output.doc
            ),
        );
    }
}

/// The names that are known, each list once.
fn known_names(out: &mut String, registry: &Registry) {
    let mut lists: Vec<&'static Names> = Vec::new();
    for kind in registry.kinds() {
        collect(&kind.attrs, &mut lists);
    }
    if lists.is_empty() {
        return;
    }
    section(out, "## Vendors' names");
    section(
        out,
        "What is not in a list is warned of (ZW1306), because vendors add some; what cannot be a name is an error (ZW1307).",
    );
    section(out, "| | known |\n|---|---|");
    for names in lists {
        let known: Vec<String> = names.known.iter().map(|n| format!("`{n}`")).collect();
        line(out, &format!("| {} | {} |", names.what, known.join(", ")));
    }
}

fn collect(attrs: &[Attr], out: &mut Vec<&'static Names>) {
    for attr in attrs {
        let new = attr
            .names
            .filter(|n| !n.known.is_empty() && !out.contains(n));
        out.extend(new);
        if let Type::Object(inner) = &attr.ty {
            collect(inner, out);
        }
    }
}

fn attributes(out: &mut String, attrs: &[Attr]) {
    if attrs.is_empty() {
        return;
    }
    section(
        out,
        "| attribute | type | required | on change | |\n|---|---|---|---|---|",
    );
    rows(out, attrs, "");
}

fn rows(out: &mut String, attrs: &[Attr], prefix: &str) {
    for attr in attrs {
        let required = if attr.required { "yes" } else { "" };
        let change = match attr.on_change {
            OnChange::InPlace => "in place",
            OnChange::Replace => "replaces",
        };
        let mut doc = attr.doc.to_owned();
        if attr.secret {
            doc.push_str(" A secret: only a reference is accepted.");
        }
        if attr.write_only {
            doc.push_str(" Never reported back.");
        }
        let name = format!("{prefix}{}", attr.name);
        let ty = match attr.names {
            Some(names) => names.what.to_owned(),
            None => ty(&attr.ty),
        };
        line(
            out,
            &format!("| `{name}` | {ty} | {required} | {change} | {doc} |"),
        );
        match &attr.ty {
            Type::Object(inner) => rows(out, inner, &format!("{name}.")),
            Type::List(item) => {
                if let Type::Object(inner) = &**item {
                    rows(out, inner, &format!("{name}[]."));
                }
            }
            _ => {}
        }
    }
}

fn ty(ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean".to_owned(),
        Type::Int => "integer".to_owned(),
        Type::Within(ranges) => {
            let words = |r: &(i64, i64)| match r.0 == r.1 {
                true => r.0.to_string(),
                false => format!("{} to {}", r.0, r.1),
            };
            let all: Vec<String> = ranges.iter().map(words).collect();
            format!("integer: {}", all.join(" or "))
        }
        Type::String => "text".to_owned(),
        Type::OneOf(options) => {
            let quoted: Vec<String> = options.iter().map(|o| format!("`{o}`")).collect();
            quoted.join(", ")
        }
        Type::Cidr => "network".to_owned(),
        Type::Duration => "duration".to_owned(),
        Type::List(inner) => format!("list of {}", self::ty(inner)),
        Type::Map(inner) => format!("table of {}", self::ty(inner)),
        Type::Object(_) => "table".to_owned(),
        Type::Any => "anything".to_owned(),
    }
}
