//! Label and field selectors, as query parameters and inside objects.

use serde_json::Value;

use super::failure::Failure;

/// One requirement on labels.
#[derive(Debug, Clone)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// A `labelSelector` parameter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    pub(crate) fn parse(text: &str) -> Result<Labels, Failure> {
        let parts = split_outside_parentheses(text);
        let parsed: Option<Vec<Requirement>> = parts
            .iter()
            .map(|p| p.trim())
            .filter(|p| !p.is_empty())
            .map(requirement)
            .collect();
        parsed.map(Labels).ok_or_else(|| {
            Failure::bad_request(format!(
                "unable to parse requirement: {text:?} is no label selector"
            ))
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|r| r.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Value) -> bool {
        let get = |k: &String| labels.get(k).and_then(Value::as_str);
        match self {
            Requirement::In(k, values) => get(k).is_some_and(|v| values.iter().any(|x| x == v)),
            Requirement::NotIn(k, values) => get(k).is_none_or(|v| values.iter().all(|x| x != v)),
            Requirement::Exists(k) => get(k).is_some(),
            Requirement::Absent(k) => get(k).is_none(),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn requirement(text: &str) -> Option<Requirement> {
    let owned = |s: &str| s.trim().to_owned();
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(owned(key), vec![owned(value)]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(owned(key), vec![owned(value)]));
    }
    if let Some((head, values)) = text.split_once('(') {
        let values = values.strip_suffix(')')?.split(',').map(owned).collect();
        let mut words = head.split_whitespace();
        let key = words.next()?.to_owned();
        return match words.next()? {
            "in" => Some(Requirement::In(key, values)),
            "notin" => Some(Requirement::NotIn(key, values)),
            _ => None,
        };
    }
    if let Some(key) = text.strip_prefix('!') {
        return Some(Requirement::Absent(owned(key)));
    }
    (!text.contains(char::is_whitespace)).then(|| Requirement::Exists(owned(text)))
}

/// A `fieldSelector` parameter: equality on fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, bool, String)>);

impl Fields {
    pub(crate) fn parse(text: &str) -> Result<Fields, Failure> {
        const KNOWN: [&str; 7] = [
            "metadata.name",
            "metadata.namespace",
            "status.phase",
            "spec.nodeName",
            "type",
            "involvedObject.name",
            "involvedObject.uid",
        ];
        let mut out = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (field, equal, value) = match part.split_once("!=") {
                Some((field, value)) => (field, false, value),
                None => {
                    let pair = part.split_once("==").or_else(|| part.split_once('='));
                    let (field, value) = pair.ok_or_else(|| {
                        Failure::bad_request(format!(
                            "invalid selector: {part:?}; can't understand"
                        ))
                    })?;
                    (field, true, value)
                }
            };
            if !KNOWN.contains(&field) {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            out.push((
                format!("/{}", field.replace('.', "/")),
                equal,
                value.to_owned(),
            ));
        }
        Ok(Fields(out))
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, equal, value)| {
            let found = object
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default();
            (found == value) == *equal
        })
    }

    /// The name that the selector pins, for which one look-up is enough.
    pub(crate) fn name(&self) -> Option<&str> {
        let pinned = self
            .0
            .iter()
            .find(|(path, equal, _)| path == "/metadata/name" && *equal);
        pinned.map(|(_, _, value)| value.as_str())
    }
}

/// Whether `labels` match a selector inside an object; an absent selector matches everything.
pub(crate) fn matches_label_selector(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    wanted.into_iter().all(|(k, v)| labels.get(k) == Some(v))
        && expressions.all(|e| {
            let found = e["key"].as_str().and_then(|k| labels.get(k));
            let listed = || {
                let mut values = e["values"].as_array().into_iter().flatten();
                values.any(|v| Some(v) == found)
            };
            match e["operator"].as_str() {
                Some("In") => listed(),
                Some("NotIn") => !listed(),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}

/// Whether `labels` have every pair of a plain map; an empty map selects nothing.
pub(crate) fn matches_pairs(pairs: &Value, labels: &Value) -> bool {
    pairs
        .as_object()
        .is_some_and(|p| !p.is_empty() && p.iter().all(|(k, v)| labels.get(k) == Some(v)))
}
