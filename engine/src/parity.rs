//! Two zones side by side: what pairs with what, and what differs. Pure.

use crate::address::{Address, Kind, Name, ZoneName};

/// An address without its zone: what it is called in every zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relative {
    /// What it is.
    pub kind: Kind,
    /// Its name in the spec.
    pub name: Name,
    /// The object's key, with the zone's name in it as `{zone}`.
    pub key: Option<String>,
}

impl Relative {
    /// The address without its zone.
    pub fn of(address: &Address) -> Relative {
        Relative {
            kind: address.kind.clone(),
            name: address.name.clone(),
            key: address.key.as_ref().map(|k| without_zone(k, &address.zone)),
        }
    }
}

impl std::fmt::Display for Relative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)?;
        match &self.key {
            Some(key) => write!(f, "[\"{key}\"]"),
            None => Ok(()),
        }
    }
}

fn without_zone(text: &str, zone: &ZoneName) -> String {
    replace_word(text, zone.as_str(), "{zone}")
}

/// Puts `by` for every `word` that stands by itself: between ends and what is no letter or digit.
pub(crate) fn replace_word(text: &str, word: &str, by: &str) -> String {
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
