//! What is called after its zone, with the zone taken out: so that two zones can be compared.

use std::collections::BTreeMap;

use crate::address::ZoneName;
use crate::config::Zone;
use crate::expr::{Expr, Node, Part, Reference};
use crate::value::{Map, Value};

/// The words of one zone that the other zone has other words for, and what stands for them.
#[derive(Debug)]
pub(super) struct Words {
    zone: ZoneName,
    /// Longest first: a word may hold a shorter one.
    words: Vec<(String, String)>,
}

/// Shorter settings are no names.
const SHORTEST: usize = 2;

impl Words {
    pub(super) fn of(zone: &Zone, other: &Zone) -> Words {
        let mut found = BTreeMap::new();
        texts("", &zone.settings, &mut found);
        let mut theirs = BTreeMap::new();
        texts("", &other.settings, &mut theirs);
        let mut words: Vec<(String, String)> = found
            .into_iter()
            .filter(|(key, word)| word.len() >= SHORTEST && theirs.get(key) != Some(word))
            .map(|(key, word)| (word, format!("{{{key}}}")))
            .collect();
        words.sort_by(|a, b| (b.0.len(), &a.0, &a.1).cmp(&(a.0.len(), &b.0, &b.1)));
        Words {
            zone: zone.name.clone(),
            words,
        }
    }

    fn text(&self, text: &str) -> String {
        let start = text.to_owned();
        self.words
            .iter()
            .fold(start, |text, (word, by)| replace_word(&text, word, by))
    }

    /// A live value without the zone's words; secrets stay as they are.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::text(self.text(text)),
            Value::List(items) => Value::List(items.iter().map(|v| self.value(v)).collect()),
            Value::Map(map) => Value::Map(
                map.iter()
                    .map(|(k, v)| (self.text(k), self.value(v)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// An expression's leaf without the zone's words, references as text.
    pub(super) fn leaf(&self, expr: &Expr) -> Value {
        match &expr.node {
            Node::Literal(value) => self.value(value),
            Node::Fingerprint(inner) => self.leaf(inner),
            Node::Ref(reference) => Value::text(self.reference(reference)),
            Node::Template(parts) => Value::String(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => self.text(text),
                        Part::Ref(reference) => self.reference(reference),
                    })
                    .collect(),
            ),
            Node::List(items) => Value::List(items.iter().map(|e| self.leaf(e)).collect()),
            Node::Map(map) => Value::Map(
                map.iter()
                    .map(|(k, e)| (k.clone(), self.leaf(e)))
                    .collect::<Map>(),
            ),
        }
    }

    fn reference(&self, reference: &Reference) -> String {
        let mut reference = reference.clone();
        let text = reference.to_string();
        if let Reference::Resource { address, .. } = &mut reference
            && address.zone == self.zone
        {
            let rest = text.strip_prefix(address.zone.as_str()).unwrap_or(&text);
            return format!("${{{{zone}}{}}}", self.text(rest));
        }
        format!("${{{text}}}")
    }
}

/// Whether two values that differ say the same once the zones are taken out.
pub(super) fn agree(words: &[Words; 2], left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Secret(_)), _) | (_, Some(Value::Secret(_))) => false,
        (Some(l), Some(r)) => words[0].value(l) == words[1].value(r),
        _ => false,
    }
}

fn texts(prefix: &str, settings: &Map, out: &mut BTreeMap<String, String>) {
    for (key, value) in settings {
        let key = if prefix.is_empty() {
            key.to_string()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            // What a zone is for is an everyday word, not its name.
            Value::String(_) if ["role", "posture"].contains(&key.as_str()) => {}
            Value::String(text) => {
                out.insert(key, text.to_string());
            }
            // Why a strategy was chosen is prose, no name.
            Value::Map(map) if key != "database" => texts(&key, map, out),
            _ => {}
        }
    }
}

/// Puts `by` for every `word` that stands by itself: between ends and what is no letter or digit.
pub(super) fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(at) = rest.find(word).filter(|_| !word.is_empty()) {
        let (head, tail) = rest.split_at(at);
        let after = &tail[word.len()..];
        let left = head.chars().next_back().or(before);
        let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        out.push_str(head);
        let whole = alone(left) && alone(after.chars().next());
        out.push_str(if whole { by } else { word });
        before = word.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_the_zone() {
        assert_eq!(replace_word("wp-pz-doks", "pz", "{zone}"), "wp-{zone}-doks");
        assert_eq!(replace_word("pz", "pz", "{zone}"), "{zone}");
        assert_eq!(replace_word("pzpz-spz", "pz", "{zone}"), "pzpz-spz");
        assert_eq!(replace_word("pz/pz", "pz", "{zone}"), "{zone}/{zone}");
        assert_eq!(replace_word("x", "", "{zone}"), "x");
    }
}
