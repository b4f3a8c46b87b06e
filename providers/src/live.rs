//! From what a vendor reports to what the engine compares: marks, matching, attributes.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use zonewright_engine::address::{Address, AttrPath};
use zonewright_engine::provider::{
    ErrorClass, Live, Mark, Marker, Observed, Op, ProviderError, ReadTarget, Search, Verb,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::{Map, Value};

/// For whom an object is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Lens<'a> {
    pub(crate) address: &'a Address,
    pub(crate) marker: &'a Marker,
    pub(crate) desired: Option<&'a Value>,
}

impl<'a> Lens<'a> {
    pub(crate) fn of_target(target: &'a ReadTarget) -> Lens<'a> {
        Lens {
            address: &target.address,
            marker: &target.marker,
            desired: target.desired.as_ref(),
        }
    }

    pub(crate) fn of_op(op: &'a Op) -> Lens<'a> {
        Lens {
            address: &op.address,
            marker: &op.marker,
            desired: Some(match &op.verb {
                Verb::Create { desired }
                | Verb::Update { desired, .. }
                | Verb::Find { desired } => desired,
                Verb::Delete { prior, .. } => prior,
                Verb::Poll { context, .. } => context,
            }),
        }
    }

    /// A known text that was asked for.
    pub(crate) fn wants(&self, attr: &str) -> Option<&'a str> {
        self.desired?.get(attr)?.as_str()
    }
}

/// How the objects of a kind are recognised and read.
pub(crate) trait Reader: Sync {
    /// The vendor's id.
    fn id(&self, item: &Json) -> String;
    /// Our mark; the wanted one if there are several.
    fn mark(&self, item: &Json, wanted: &Marker) -> Option<String>;
    /// Whether it has the name that was asked for.
    fn named(&self, item: &Json, lens: &Lens<'_>) -> bool;
    /// Everything about it.
    fn live(&self, item: &Json, lens: &Lens<'_>) -> Live;
}

/// A complete list, with an index: a zone may hold tens of thousands of records.
pub(crate) struct Listed {
    items: Vec<Json>,
    by_id: BTreeMap<String, usize>,
}

impl Listed {
    pub(crate) fn new(reader: &dyn Reader, items: Vec<Json>) -> Listed {
        let ids = items
            .iter()
            .enumerate()
            .map(|(i, item)| (reader.id(item), i));
        Listed {
            by_id: ids.collect(),
            items,
        }
    }
}

/// Finds a target in a complete list: by id, by our mark, by name.
pub(crate) fn choose(reader: &dyn Reader, target: &ReadTarget, listed: &Listed) -> Observed {
    let lens = Lens::of_target(target);
    let items = &listed.items;
    let live = |item: &Json| Box::new(reader.live(item, &lens));
    if let Some(id) = &target.id
        && let Some(&at) = listed.by_id.get(id)
    {
        return Observed::Present(live(&items[at]));
    }
    let wanted = target.marker.to_string();
    let stem = target.marker.stem();
    let ours = |item: &&Json| {
        reader
            .mark(item, &target.marker)
            .is_some_and(|m| m.starts_with(&stem))
    };
    let exact = |item: &&Json| reader.mark(item, &target.marker).as_ref() == Some(&wanted);
    if let Some(item) = items.iter().find(exact).or_else(|| items.iter().find(ours)) {
        return Observed::Present(live(item));
    }
    match items.iter().find(|i| reader.named(i, &lens)) {
        Some(item) => Observed::Foreign(live(item)),
        None => Observed::Gone,
    }
}

/// Everything that carries the mark of an operation or the name it asked for.
pub(crate) fn candidates(reader: &dyn Reader, op: &Op, items: &[Json]) -> Vec<Live> {
    let lens = Lens::of_op(op);
    let stem = op.marker.stem();
    items
        .iter()
        .filter(|item| {
            let marked = reader.mark(item, &op.marker);
            marked.is_some_and(|m| m.starts_with(&stem)) || reader.named(item, &lens)
        })
        .map(|item| reader.live(item, &lens))
        .collect()
}

/// What a search finds marks by.
pub(crate) fn project_of(search: &Search) -> String {
    let lineage = search.lineage.get(..8).unwrap_or(&search.lineage);
    format!("zonewright:{lineage}:")
}

/// Whether a text is a mark of this program, for whatever address.
pub(crate) fn is_mark(text: &str) -> bool {
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = text.split(':');
    parts.next() == Some("zonewright")
        && parts.next().is_some_and(|p| hex(p, 8))
        && parts.next().is_some_and(|p| hex(p, 10))
        && parts.next().is_some_and(|p| {
            p.strip_prefix('g')
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
        && parts.next().is_none()
}

/// What is told of a mark where all marks are seen.
pub(crate) fn marked(mark: Option<String>) -> Mark {
    mark.map_or(Mark::Missing, Mark::Carried)
}

/// Our mark among tags.
pub(crate) fn mark_among<'a>(
    tags: impl Iterator<Item = &'a str> + Clone,
    wanted: &Marker,
) -> Option<String> {
    let exact = wanted.to_string();
    let (stem, project) = (wanted.stem(), wanted.project());
    let mut marks = tags.filter(|t| is_mark(t));
    marks
        .clone()
        .find(|t| *t == exact)
        .or_else(|| marks.clone().find(|t| t.starts_with(&stem)))
        .or_else(|| marks.clone().find(|t| t.starts_with(&project)))
        .or_else(|| marks.next())
        .map(str::to_owned)
}

/// The user's part of a text and the mark at its end.
pub(crate) fn split_mark(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(' ') {
        Some((user, last)) if is_mark(last) => (user, Some(last)),
        None if is_mark(text) => ("", Some(text)),
        _ => (text, None),
    }
}

/// A text with the mark at its end.
pub(crate) fn join_mark(user: &str, marker: &Marker) -> String {
    match user {
        "" => marker.to_string(),
        user => format!("{user} {marker}"),
    }
}

/// A non-empty text at a JSON pointer.
pub(crate) fn text<'a>(item: &'a Json, pointer: &str) -> Option<&'a str> {
    item.pointer(pointer)?.as_str().filter(|t| !t.is_empty())
}

/// The texts of a list at a JSON pointer; null and absent are empty.
pub(crate) fn texts<'a>(item: &'a Json, pointer: &str) -> impl Iterator<Item = &'a str> + Clone {
    let list = item.pointer(pointer).and_then(Json::as_array);
    list.map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(Json::as_str)
}

/// Attributes under construction; what the vendor does not report stays out.
#[derive(Default)]
pub(crate) struct Attrs(Map);

impl Attrs {
    pub(crate) fn new() -> Attrs {
        Attrs::default()
    }

    /// A non-empty text.
    pub(crate) fn text(mut self, name: &str, value: Option<&str>) -> Attrs {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            self.0.insert(name.to_owned(), Value::text(value));
        }
        self
    }

    /// Any value; null stays out.
    pub(crate) fn json(mut self, name: &str, value: Option<&Json>) -> Attrs {
        if let Some(value) = value.filter(|v| !v.is_null()) {
            let value = Value::from_plain_json(value.clone());
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// A value as it is.
    pub(crate) fn value(mut self, name: &str, value: Value) -> Attrs {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// A list of texts.
    pub(crate) fn list<'a>(self, name: &str, items: impl Iterator<Item = &'a str>) -> Attrs {
        self.value(name, Value::List(items.map(Value::from).collect()))
    }

    /// A non-empty secret output. An empty one means that the token may not see it.
    pub(crate) fn secret(self, name: &str, address: &Address, value: Option<&str>) -> Attrs {
        self.secret_as(name, &format!("{address}.{name}"), value)
    }

    /// A non-empty secret with a label of its own.
    pub(crate) fn secret_as(self, name: &str, label: &str, value: Option<&str>) -> Attrs {
        match value.filter(|v| !v.is_empty()) {
            Some(value) => {
                let secret = Secret::new(label, value, None);
                self.value(name, Value::Secret(secret))
            }
            None => self,
        }
    }

    pub(crate) fn done(self) -> Value {
        Value::Map(self.0)
    }
}

/// A desired table as the struct of its kind.
pub(crate) fn spec<T: serde::de::DeserializeOwned>(desired: &Value) -> Result<T, ProviderError> {
    let bug = |message: String| ProviderError::new(ErrorClass::Bug, message);
    let json = desired
        .to_request_json()
        .ok_or_else(|| bug("a value is not known at apply time".to_owned()))?;
    serde_json::from_value(json).map_err(|e| bug(format!("the attributes do not fit: {e}")))
}

/// A text that must be there: in a reply, or in what was recorded.
pub(crate) fn need<'a>(value: Option<&'a str>, what: &str) -> Result<&'a str, ProviderError> {
    value.ok_or_else(|| ProviderError::new(ErrorClass::Bug, format!("{what} is missing")))
}

/// An error about an attribute.
pub(crate) fn invalid(attr: &str, message: impl Into<String>) -> ProviderError {
    ProviderError {
        at: Some(AttrPath::of(attr)),
        ..ProviderError::new(ErrorClass::Invalid, message)
    }
}

/// Whether an attribute or something in it changed.
pub(crate) fn touches(changed: &[AttrPath], attr: &str) -> bool {
    changed
        .iter()
        .any(|p| p.first_key().is_none_or(|k| k == attr))
}

/// Whether `declared` is `live` or a prefix of it at a segment boundary.
pub(crate) fn version_matches(declared: &str, live: &str) -> bool {
    live.strip_prefix(declared)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_at_the_end_of_a_text_only() {
        let mark = "zonewright:0123abcd:0123456789:g2";
        assert!(is_mark(mark));
        assert_eq!(split_mark(mark), ("", Some(mark)));
        assert_eq!(
            split_mark(&format!("two words {mark}")),
            ("two words", Some(mark))
        );
        assert_eq!(split_mark("two words"), ("two words", None));
        for not in [
            "zonewright:0123abcd:0123456789:g",
            "zonewright:0123abcd:012345678:g1",
            "",
        ] {
            assert!(!is_mark(not), "{not}");
        }
    }

    #[test]
    fn versions_match_at_segment_boundaries() {
        for (declared, live, expected) in [
            ("1.34", "1.34.1-do.2", true),
            ("1.34.1-do.2", "1.34.1-do.2", true),
            ("1.3", "1.34.1-do.2", false),
            ("8", "8.0.35", true),
            ("1.34.1-do.20", "1.34.1-do.2", false),
        ] {
            assert_eq!(
                version_matches(declared, live),
                expected,
                "{declared} {live}"
            );
        }
    }
}
