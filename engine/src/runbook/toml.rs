//! Declarations as a spec says them, from what they were read as.

use std::fmt::Write as _;

use crate::address::{RefText, ZoneName, ZoneSelector};
use crate::config::Resource;
use crate::expr::{Expr, Node, Part, Reference};
use crate::parity::Relative;
use crate::schema::{Form, Registry};
use crate::value::{Sorted, Value};

/// The table of a declaration, for the file of another zone: what its references name in its own zone they
/// name there in that one. `None` for objects of manifests and charts, which stand in files of their own.
pub(super) fn table(
    registry: &Registry,
    resource: &Resource,
    instead: &[(&str, &str)],
) -> Option<String> {
    let schema = registry.kind(&resource.address.kind)?;
    let mut entries = match (schema.form, &resource.body.node) {
        (Form::Attributes, Node::Map(map)) => map.clone(),
        (Form::SecretObject, Node::Map(map)) => secret(map)?,
        _ => return None,
    };
    for (key, text) in instead {
        if entries.contains_key(key) {
            let value = Expr::literal(Value::text(*text));
            entries.insert(*key, value);
        }
    }
    let name = Relative::of(&resource.address.declaration());
    let mut out = format!("[{name}]\n");
    for (key, value) in &entries {
        let _ = writeln!(
            out,
            "{} = {}",
            bare(key),
            spell(value, &resource.address.zone)?
        );
    }
    Some(out)
}

/// The attributes of a Secret's declaration.
fn secret(object: &Sorted<Expr>) -> Option<Sorted<Expr>> {
    let mut out = Sorted::new();
    if let Some(Node::Map(metadata)) = object.get("metadata").map(|m| &m.node) {
        for key in ["namespace", "name"] {
            out.extend(metadata.get(key).map(|v| (key.to_owned(), v.clone())));
        }
    }
    let kind = object.get("type");
    let opaque = |e: &Expr| e.node == Node::Literal(Value::text("Opaque"));
    out.extend(
        kind.filter(|e| !opaque(e))
            .map(|e| ("type".to_owned(), e.clone())),
    );
    // What refers to nothing was declared as such: a text that may be shown.
    let Node::Map(data) = &object.get("stringData")?.node else {
        return None;
    };
    let (data, plain): (Sorted<_>, Sorted<_>) = data
        .iter()
        .map(|(k, v)| (k.clone(), v.clone()))
        .partition(|(_, v)| !v.references().is_empty());
    for (key, map) in [("data", data), ("plain", plain)] {
        if !map.is_empty() {
            out.insert(key, Node::Map(map).into());
        }
    }
    Some(out)
}

fn spell(expr: &Expr, zone: &ZoneName) -> Option<String> {
    Some(match &expr.node {
        Node::Literal(value) => literal(value)?,
        // Only plans hold them.
        Node::Fingerprint(_) => return None,
        Node::Ref(reference) => text(&filled(reference, zone)),
        Node::Template(parts) => {
            let parts = parts.iter().map(|part| match part {
                Part::Text(text) => as_it_is(text),
                Part::Ref(reference) => filled(reference, zone),
            });
            text(&parts.collect::<String>())
        }
        Node::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(|i| spell(i, zone)).collect();
            format!("[{}]", items?.join(", "))
        }
        Node::Map(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| Some(format!("{} = {}", bare(key), spell(value, zone)?)));
            let entries: Option<Vec<String>> = entries.collect();
            format!("{{ {} }}", entries?.join(", "))
        }
    })
}

/// A secret or what is not known yet is no literal of a spec, and TOML has no null.
fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null | Value::Secret(_) | Value::Unknown(_) => return None,
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(given) => text(&as_it_is(given)),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(literal).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| Some(format!("{} = {}", bare(key), literal(value)?)));
            let entries: Option<Vec<String>> = entries.collect();
            format!("{{ {} }}", entries?.join(", "))
        }
    })
}

/// A reference that is relative where it was.
fn filled(reference: &Reference, zone: &ZoneName) -> String {
    let named = match reference {
        Reference::Resource { address, path } => RefText::Resource {
            zone: (address.zone != *zone).then(|| ZoneSelector::Named(address.zone.clone())),
            kind: address.kind.clone(),
            name: address.name.clone(),
            key: address.key.clone(),
            path: path.clone(),
        },
        Reference::Secret(name) => RefText::Secret(name.clone()),
    };
    format!("${{{named}}}")
}

/// Text that holds no reference.
fn as_it_is(text: &str) -> String {
    text.replace("${", "$${")
}

fn bare(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !key.is_empty() && key.chars().all(plain) {
        true => key.to_owned(),
        false => text(key),
    }
}

/// A basic string of TOML.
fn text(given: &str) -> String {
    let mut out = String::from("\"");
    for c in given.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_spelled_so_that_they_mean_themselves() {
        let zone: ZoneName = "pz".parse().unwrap();
        let said = |node: Node| spell(&node.into(), &zone).unwrap();
        let own: Reference = "pz/a.b.c.id".parse().unwrap();
        let other: Reference = "qz/a.b.c.id".parse().unwrap();
        assert_eq!(said(Node::Ref(own.clone())), "\"${a.b.c.id}\"");
        assert_eq!(said(Node::Ref(other)), "\"${qz/a.b.c.id}\"");
        let template = vec![Part::Text("\"${x}\\\n".to_owned()), Part::Ref(own)];
        assert_eq!(
            said(Node::Template(template)),
            r#""\"$${x}\\\n${a.b.c.id}""#
        );
        let map = Sorted::from([
            ("a b".to_owned(), Expr::literal(Value::Bool(true))),
            (
                "c".to_owned(),
                Expr::literal(Value::List(vec![Value::text("\u{7}")])),
            ),
        ]);
        assert_eq!(said(Node::Map(map)), r#"{ "a b" = true, c = ["\u0007"] }"#);
        assert_eq!(literal(&Value::Null), None);
    }
}
