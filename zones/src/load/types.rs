//! What a type wants, in words, and whether a scalar is it.

use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use zonewright_engine::address::Segment;
use zonewright_engine::schema::{Attr, Names, Type};
use zonewright_engine::value::Value;

use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::Loc;

pub(super) fn wrong(at: Loc, path: &str, wanted: &str, found: &str) -> Draft {
    Draft::new(
        Code::WrongType,
        format!("`{path}` wants {wanted}, not {found}"),
    )
    .label(at, format!("this is {found}"))
}

/// A type with its article.
pub(super) fn name(ty: &Type) -> String {
    match ty {
        Type::Bool => "a boolean".to_owned(),
        Type::Int => "a whole number".to_owned(),
        Type::Within(ranges) => ranges_in_words(ranges),
        Type::String => "text".to_owned(),
        Type::OneOf(options) => format!("one of \"{}\"", options.join("\", \"")),
        Type::Cidr => "a network (`10.10.0.0/16`)".to_owned(),
        Type::Duration => "a duration (`20m`)".to_owned(),
        Type::List(inner) => format!("a list, each item {}", name(inner)),
        Type::Map(inner) => format!("a table, each value {}", name(inner)),
        Type::Object(_) => "a table".to_owned(),
        Type::Any => "anything".to_owned(),
    }
}

pub(super) fn is_text(ty: &Type) -> bool {
    matches!(
        ty,
        Type::String | Type::OneOf(_) | Type::Cidr | Type::Duration | Type::Any
    )
}

pub(super) fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::List(_) => "a list",
        Value::Map(_) => "a table",
        Value::String(_) | Value::Secret(_) | Value::Unknown(_) => "text",
    }
}

/// Checks a scalar.
pub(super) fn scalar(value: &Value, ty: &Type, at: Loc, path: &str) -> Option<Draft> {
    match (ty, value) {
        (Type::Any, _) | (Type::Bool, Value::Bool(_)) | (Type::String, Value::String(_)) => None,
        (Type::Int, Value::Number(n)) if !n.is_f64() => None,
        (Type::Within(ranges), Value::Number(n)) if !n.is_f64() => {
            within(n.as_i64(), ranges, at, path)
        }
        (Type::OneOf(options), Value::String(text)) => one_of(text, options, at, path),
        (Type::Cidr, Value::String(text)) => network(text, at).err(),
        (Type::Duration, Value::String(text)) if duration(text).is_some() => None,
        (Type::Duration, Value::String(text)) => Some(bad_duration(text, at)),
        _ => {
            let draft = wrong(at, path, &name(ty), what(value));
            Some(match (is_text(ty), value) {
                (true, Value::Number(n)) => draft.help(format!("quote it: `\"{n}\"`")),
                (true, Value::Bool(b)) => draft.help(format!("quote it: `\"{b}\"`")),
                _ => draft,
            })
        }
    }
}

fn within(n: Option<i64>, ranges: &[(i64, i64)], at: Loc, path: &str) -> Option<Draft> {
    if n.is_some_and(|n| ranges.iter().any(|(low, high)| (*low..=*high).contains(&n))) {
        return None;
    }
    let found = n.map_or_else(|| "so large".to_owned(), |n| n.to_string());
    let draft = Draft::new(Code::WrongType, format!("`{path}` cannot be {found}"));
    let wanted = ranges_in_words(ranges);
    Some(
        draft
            .label(at, "out of range")
            .help(format!("write {wanted}")),
    )
}

fn ranges_in_words(ranges: &[(i64, i64)]) -> String {
    let words = |(low, high): &(i64, i64)| match low == high {
        true => low.to_string(),
        false => format!("{low} to {high}"),
    };
    let all: Vec<String> = ranges.iter().map(words).collect();
    format!("a whole number: {}", all.join(", or "))
}

fn one_of(text: &str, options: &[&str], at: Loc, path: &str) -> Option<Draft> {
    if options.contains(&text) {
        return None;
    }
    let message = format!("`{path}` cannot be `{text}`");
    let draft = Draft::new(Code::WrongType, message).label(at, "not one of the choices");
    Some(draft.maybe_help(suggest::help(text, options.iter().copied())))
}

/// Whether a text is one of a vendor's names, as far as they are known.
pub(super) fn vendor_name(names: &Names, text: &str, at: Loc, path: &str) -> Option<Draft> {
    let what = names.what;
    let near = suggest::nearest(text, names.known.iter().copied());
    let near = near.map(|n| format!("did you mean `{n}`?"));
    if !(names.fits)(text) {
        let message = format!("`{path}` cannot be `{text}`: that is no {what}");
        let example = format!("it looks like `{}`", names.example);
        let draft = Draft::new(Code::NotAName, message).label(at, "not a name of the vendor's");
        return Some(draft.help(near.unwrap_or(example)));
    }
    if names.knows(text) {
        return None;
    }
    let draft = Draft::new(
        Code::UnknownName,
        format!("the {what} `{text}` is not known"),
    )
    .label(at, "the vendor may have it since");
    Some(draft.maybe_help(near))
}

/// A network with no host bits.
pub(super) fn network(text: &str, at: Loc) -> Result<IpNet, Draft> {
    let bad = |message: String| Draft::new(Code::BadCidr, message);
    let Ok(net) = text.parse::<IpNet>() else {
        return Err(bad(format!("`{text}` is not a network"))
            .label(at, "here")
            .help("write address and prefix length: `10.10.0.0/16`"));
    };
    if net.addr() == net.network() {
        return Ok(net);
    }
    Err(bad(format!("`{text}` has host bits set"))
        .label(at, "an address inside the network, not the network")
        .help(format!("write `{}`", net.trunc())))
}

/// `90s`, `20m`, `1h 30m`; not negative.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let parsed: SignedDuration = text.parse().ok()?;
    Duration::try_from(parsed).ok()
}

pub(super) fn bad_duration(text: &str, at: Loc) -> Draft {
    Draft::new(Code::BadDuration, format!("`{text}` is not a duration"))
        .label(at, "here")
        .help("write numbers with units: `90s`, `20m`, `1h 30m`")
}

/// Whether a value of type `found` can stand where `wanted` is.
pub(super) fn compatible(found: &Type, wanted: &Type) -> bool {
    match (found, wanted) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => compatible(a, b),
        (Type::Bool, Type::Bool) | (Type::Int | Type::Within(_), Type::Int | Type::Within(_)) => {
            true
        }
        (Type::Object(_) | Type::Map(_), Type::Object(_) | Type::Map(_)) => true,
        (a, b) => is_text(a) && is_text(b),
    }
}

/// The type at a path below a type; `None` when it is not known.
///
/// # Errors
/// There is no such part; the names that exist.
pub(super) fn below<'t>(
    ty: &'t Type,
    path: &[Segment],
) -> Result<Option<&'t Type>, Vec<&'static str>> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(Some(ty));
    };
    match (ty, first) {
        (Type::Any, _) => Ok(None),
        (Type::List(inner), Segment::Index(_)) | (Type::Map(inner), Segment::Key(_)) => {
            below(inner, rest)
        }
        (Type::Object(attrs), Segment::Key(key)) => match named(attrs, key) {
            Some(attr) => below(&attr.ty, rest),
            None => Err(attrs.iter().map(|a| a.name).collect()),
        },
        _ => Err(Vec::new()),
    }
}

fn named<'t>(attrs: &'t [Attr], name: &str) -> Option<&'t Attr> {
    attrs.iter().find(|a| a.name == name)
}
