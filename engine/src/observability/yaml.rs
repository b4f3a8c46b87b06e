//! YAML out of JSON values: block style, keys sorted, texts quoted where they would mean something else.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// One document.
pub(super) fn document(value: &Json) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Several documents.
pub(super) fn documents(values: &[Json]) -> String {
    let texts: Vec<String> = values.iter().map(document).collect();
    texts.join("---\n")
}

fn block(out: &mut String, value: &Json, depth: usize) {
    let pad = "  ".repeat(depth);
    match value {
        Json::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for key in keys {
                let _ = write!(out, "{pad}{}:", scalar(key));
                entry(out, &map[key], depth);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "{pad}-");
                match item {
                    Json::Object(map) if !map.is_empty() => {
                        // The first key stands on the line of the dash.
                        let mut inner = String::new();
                        block(&mut inner, item, depth + 1);
                        let _ = write!(out, " {}", inner.trim_start_matches(' '));
                    }
                    _ => entry(out, item, depth),
                }
            }
        }
        _ => {
            let _ = writeln!(out, "{pad}{}", plain(value));
        }
    }
}

/// What follows `key:` or `-`.
fn entry(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Json::String(text) if is_literal(text) => {
            out.push_str(" |\n");
            let pad = "  ".repeat(depth + 1);
            for line in text.lines() {
                let _ = writeln!(out, "{pad}{line}");
            }
        }
        _ => {
            let _ = writeln!(out, " {}", plain(value));
        }
    }
}

/// Whether a literal block says exactly this text.
fn is_literal(text: &str) -> bool {
    let printable = |c: char| c == '\n' || !c.is_control();
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    text.ends_with('\n')
        && !text.starts_with([' ', '\n'])
        && text.chars().all(printable)
        && lines
            .into_iter()
            .all(|l| !l.is_empty() && !l.ends_with(' '))
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text without quotes if it then still is that text in YAML 1.1 and 1.2.
fn scalar(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !words.contains(&text.to_ascii_lowercase().as_str());
    match bare {
        true => text.to_owned(),
        false => Json::String(text.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::document;

    #[test]
    fn texts_that_would_mean_something_else_are_quoted() {
        let value = json!({"b": ["yes", "1.5", "-c", "plain", "a b"], "a": {"x": 1, "y": true}});
        let text = "a:\n  x: 1\n  \"y\": true\nb:\n  - \"yes\"\n  - \"1.5\"\n  - \"-c\"\n  - plain\n  - \"a b\"\n";
        assert_eq!(document(&value), text);
    }

    #[test]
    fn lists_maps_and_long_texts_nest() {
        let value = json!([{"z": [[1], {}], "m": "x\ny\n"}, "x\n\n"]);
        let text = "- m: |\n    x\n    y\n  z:\n    -\n      - 1\n    - {}\n- \"x\\n\\n\"\n";
        assert_eq!(document(&value), text);
    }
}
