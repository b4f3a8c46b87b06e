//! Renderings that are not the same twice: where, and because of which function.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use zonewright_zones::{Document, objects};

use super::archive::Archive;

/// Functions of templates that give something else each time, the likeliest first.
const RANDOM: &[&str] = &[
    "randAlphaNum",
    "randAlpha",
    "randNumeric",
    "randAscii",
    "randBytes",
    "randInt",
    "shuffle",
    "uuidv4",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "genPrivateKey",
    "htpasswd",
    "bcrypt",
    "encryptAES",
    "now",
    "ago",
    "date",
];

/// A place that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The object.
    pub(crate) key: String,
    /// Where in it; empty when it is there only once.
    pub(crate) path: String,
    /// The template, when helm says it.
    pub(crate) template: Option<String>,
    /// Functions of the template, or of the chart when the template itself has none, that are to blame.
    pub(crate) functions: Vec<&'static str>,
}

/// Whether a template of the chart asks what time it is.
pub(crate) fn asks_the_clock(chart: &Archive) -> bool {
    let found = functions(chart, |_| true);
    found.iter().any(|f| ["now", "ago"].contains(f))
}

/// Whether a template of the chart looks things up in the cluster: there is none, so it finds nothing.
pub(crate) fn looks_up(chart: &Archive) -> Vec<&str> {
    let templates = templates(chart);
    let found = templates.filter(|(_, text)| calls(text, "lookup"));
    found.map(|(path, _)| path).collect()
}

/// The places in which two renderings differ.
pub(crate) fn places(chart: &Archive, first: &[Document], second: &[Document]) -> Vec<Place> {
    let (one, other) = (objects(first), objects(second));
    let template: BTreeMap<&str, &str> = first
        .iter()
        .chain(second)
        .filter_map(|d| Some((d.key.as_str(), d.template.as_deref()?)))
        .collect();
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let mut out = Vec::new();
    for key in keys {
        let template = template.get(key.as_str()).copied();
        let mut paths = Vec::new();
        match (one.get(key), other.get(key)) {
            (Some(a), Some(b)) => differing(a, b, String::new(), &mut paths),
            _ => paths.push(String::new()),
        }
        for path in paths {
            let functions = blamed(chart, template);
            out.push(Place {
                key: key.clone(),
                path,
                template: template.map(str::to_owned),
                functions,
            });
        }
    }
    out
}

fn differing(one: &Json, other: &Json, path: String, out: &mut Vec<String>) {
    match (one, other) {
        (Json::Object(a), Json::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let below = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => differing(a, b, below, out),
                    _ => out.push(below),
                }
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differing(a, b, format!("{path}[{i}]"), out);
            }
        }
        (a, b) if a == b => {}
        _ => out.push(path),
    }
}

/// Those of the template itself, or else those of the whole chart: partials are in other files.
fn blamed(chart: &Archive, template: Option<&str>) -> Vec<&'static str> {
    let below = template
        .and_then(|t| t.split_once('/'))
        .map(|(_, rest)| rest);
    let own = functions(chart, |path| Some(path) == below);
    match own.is_empty() {
        true => functions(chart, |_| true),
        false => own,
    }
}

fn functions(chart: &Archive, wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let texts: Vec<&str> = templates(chart)
        .filter(|(path, _)| wanted(path))
        .map(|(_, text)| text)
        .collect();
    RANDOM
        .iter()
        .copied()
        .filter(|f| texts.iter().any(|t| calls(t, f)))
        .collect()
}

fn templates(chart: &Archive) -> impl Iterator<Item = (&str, &str)> {
    chart
        .files
        .iter()
        .filter(|(path, _)| path.contains("templates/"))
        .filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
}

/// Whether an action of a template has the word as a function.
fn calls(template: &str, function: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || "_.$-/\"".contains(c);
    template.split("{{").skip(1).any(|rest| {
        let action = rest.split("}}").next().unwrap_or(rest);
        action.match_indices(function).any(|(at, _)| {
            let before = action[..at].chars().next_back();
            let after = action[at + function.len()..].chars().next();
            !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_words_of_actions() {
        assert!(calls("a: {{ randAlphaNum 40 | b64enc }}", "randAlphaNum"));
        assert!(calls("{{- $x := now | date \"2006\" -}}", "now"));
        assert!(calls(
            "{{ if (lookup \"v1\" \"Secret\" \"a\" \"b\") }}",
            "lookup"
        ));
        assert!(!calls(
            "now {{ .Values.now }} {{ $now }} {{ \"now\" }}",
            "now"
        ));
        assert!(!calls("{{ randAlphaNum 3 }}", "randAlpha"));
    }

    #[test]
    fn paths_lead_to_what_differs() {
        let mut out = Vec::new();
        let one = serde_json::json!({ "a": [{ "b": 1 }, 2], "c": 1, "d": 1 });
        let other = serde_json::json!({ "a": [{ "b": 2 }, 2], "c": 1, "e": 1 });
        differing(&one, &other, String::new(), &mut out);
        assert_eq!(out, ["a[0].b", "d", "e"]);
    }
}
