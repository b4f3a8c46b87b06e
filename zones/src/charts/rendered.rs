//! What helm rendered: objects with the template that each came from, and the hooks among them.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::load::Text;
use crate::load::yaml;

/// A document of a rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// `group/Kind/namespace/name`, as the document has them.
    pub key: String,
    /// The template, below the chart's name.
    pub template: Option<String>,
    /// The hooks that it is for; empty for what is no hook.
    pub hooks: Vec<String>,
    /// The object.
    pub json: Json,
    /// The bytes of the text that it takes up.
    pub range: std::ops::Range<usize>,
}

impl Document {
    /// Whether it is there to test a release, and for nothing else.
    pub fn is_test(&self) -> bool {
        !self.hooks.is_empty() && self.hooks.iter().all(|h| h.starts_with("test"))
    }

    /// Whether it belongs to removals and roll-backs only, which have no counterpart here.
    pub fn is_of_removal(&self) -> bool {
        let removal = |h: &String| h.ends_with("-delete") || h.ends_with("-rollback");
        !self.hooks.is_empty() && self.hooks.iter().all(removal)
    }
}

/// Reads a rendering.
///
/// # Errors
/// A document is no YAML or no object; the text says which, with the line.
pub fn rendered(text: &str) -> Result<Vec<Document>, String> {
    let source = Text {
        file: 0,
        text: text.into(),
    };
    let mut mistake = None;
    let found = yaml::documents(&source, &mut |draft| {
        let line = draft.at().map_or(1, |at| line_of(text, at.start as usize));
        mistake.get_or_insert(format!("line {line}: {}", draft.message));
    });
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    let mut out = Vec::new();
    for document in found {
        let range = document.within.start as usize..document.within.end as usize;
        let template = template(&text[range.clone()]);
        let key = key(&document.json).ok_or_else(|| {
            let line = line_of(text, document.at.start as usize);
            format!("line {line}: a document that is no Kubernetes object")
        })?;
        let hooks = document.json["metadata"]["annotations"]["helm.sh/hook"].as_str();
        let hooks = hooks.unwrap_or_default().split(',').map(str::trim);
        out.push(Document {
            key,
            template,
            hooks: hooks.filter(|h| !h.is_empty()).map(str::to_owned).collect(),
            json: document.json,
            range,
        });
    }
    Ok(out)
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// helm names the template in a comment before each document.
fn template(document: &str) -> Option<String> {
    let mut lines = document.lines();
    let found = lines.find_map(|l| l.strip_prefix("# Source: "))?;
    Some(found.trim().to_owned())
}

fn key(json: &Json) -> Option<String> {
    let version = json["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("core", |(group, _)| group);
    let kind = json["kind"].as_str()?;
    let metadata = &json["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or("-");
    // A list has no name of its own.
    let name = metadata["name"].as_str().unwrap_or("-");
    Some(format!("{group}/{kind}/{namespace}/{name}"))
}

/// The text without some of its documents.
pub fn without<'d>(text: &str, dropped: impl IntoIterator<Item = &'d Document>) -> String {
    let mut ranges: Vec<_> = dropped.into_iter().map(|d| d.range.clone()).collect();
    ranges.sort_by_key(|r| r.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        out.push_str(&text[at..range.start.max(at)]);
        at = range.end.max(at);
    }
    out.push_str(&text[at..]);
    out
}

/// The objects of documents by key, those of lists one by one.
pub fn objects(documents: &[Document]) -> BTreeMap<String, Json> {
    let mut out = BTreeMap::new();
    for document in documents {
        let items = document.json["items"].as_array();
        match items.filter(|_| document.json["kind"] == "List") {
            Some(items) => {
                out.extend(items.iter().filter_map(|i| Some((key(i)?, i.clone()))));
            }
            None => {
                out.insert(document.key.clone(), document.json.clone());
            }
        }
    }
    out
}
