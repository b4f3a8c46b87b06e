//! Values and expressions on one line, for plans and drift reports.

use zonewright_engine::expr::{Expr, Node, Part, Reference};
use zonewright_engine::value::Value;

use super::text::{elide, escape};

/// The longest value that is shown whole.
pub const WIDTH: usize = 96;

/// A value on one line: text quoted, secrets by reference, unknowns by where they come from.
pub fn value(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    elide(&out, WIDTH).into_owned()
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(text) => quote(text, out),
        Value::Secret(secret) => {
            out.push_str("(secret ");
            out.push_str(&escape(&secret.label));
            out.push(')');
        }
        Value::Unknown(unknown) => from(unknown.from.iter(), out),
        Value::List(items) => sequence(items.iter(), '[', ']', out, write_value),
        Value::Map(map) => sequence(map.iter(), '{', '}', out, |(k, v), out| {
            key(k, out);
            write_value(v, out);
        }),
    }
}

/// An expression on one line: what is known as a value, references as `<- what they name`.
pub fn expr(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(expr, &mut out);
    elide(&out, WIDTH).into_owned()
}

fn write_expr(expr: &Expr, out: &mut String) {
    match &expr.node {
        Node::Literal(value) => write_value(value, out),
        Node::Ref(Reference::Secret(name)) => out.push_str(&format!("(secret secret.{name})")),
        Node::Ref(reference) => from(std::iter::once(reference), out),
        Node::Template(parts) => template(parts, out),
        Node::Fingerprint(inner) => from(inner.references().into_iter().map(|(r, _)| r), out),
        Node::List(items) => sequence(items.iter(), '[', ']', out, write_expr),
        Node::Map(map) => sequence(map.iter(), '{', '}', out, |(k, e), out| {
            key(k, out);
            write_expr(e, out);
        }),
    }
}

/// The text as the spec has it, references in place.
fn template(parts: &[Part], out: &mut String) {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Ref(reference) => text.push_str(&format!("${{{reference}}}")),
        }
    }
    quote(&text, out);
}

fn from<'a>(references: impl Iterator<Item = &'a Reference>, out: &mut String) {
    let names: Vec<String> = references.map(Reference::to_string).collect();
    out.push_str("<- ");
    out.push_str(&escape(&names.join(", ")));
}

fn sequence<T>(
    items: impl Iterator<Item = T>,
    open: char,
    close: char,
    out: &mut String,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(item, out);
    }
    out.push(close);
}

fn key(key: &str, out: &mut String) {
    out.push_str(&escape(key));
    out.push_str(": ");
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push_str(&escape(c.encode_utf8(&mut [0; 4])));
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zonewright_engine::secret::Secret;

    use super::*;

    #[test]
    fn values_are_shown_on_one_safe_line() {
        let tree = Value::from_plain_json(json!({"a": [1, true, null], "b": "x\n\u{1b}[0m\"y"}));
        assert_eq!(
            value(&tree),
            r#"{a: [1, true, null], b: "x\n\u{1b}[0m\"y"}"#
        );
    }

    #[test]
    fn a_secret_is_shown_by_reference() {
        let secret = Value::Secret(Secret::new("secret.db_password", "hunter2", None));
        let shown = value(&Value::List(vec![secret]));
        assert_eq!(shown, "[(secret secret.db_password)]");
    }

    #[test]
    fn references_say_where_the_value_will_come_from() {
        let reference: Reference = "bz/digitalocean.vpc.main.id".parse().unwrap();
        let whole = Expr::from(Node::Ref(reference.clone()));
        assert_eq!(expr(&whole), "<- bz/digitalocean.vpc.main.id");
        let text = Expr::from(Node::Template(vec![
            Part::Text("net-".into()),
            Part::Ref(reference),
        ]));
        assert_eq!(expr(&text), r#""net-${bz/digitalocean.vpc.main.id}""#);
    }
}
