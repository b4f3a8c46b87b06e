//! YAML documents as JSON, each with the line where it starts.
//!
//! The text is cut at document marks first: that gives every object a place, and one mistake does
//! not hide the objects of other documents.

use serde_json::Value as Json;

use super::Text;
use crate::diag::{Code, Draft};
use crate::tree::{Loc, MAX_DEPTH};

/// A document that is not empty.
pub(crate) struct Document {
    pub(crate) json: Json,
    /// Its first line with content.
    pub(crate) at: Loc,
    /// All of it.
    pub(crate) within: Loc,
}

/// All documents of a text; broken ones are reported and left out.
pub(crate) fn documents(source: &Text, report: &mut dyn FnMut(Draft)) -> Vec<Document> {
    let text = &*source.text;
    let mut out = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_mark(line) {
            read(source, start, at, &mut out, report);
            start = at;
        }
        at += line.len();
    }
    read(source, start, at, &mut out, report);
    out
}

/// The document around a place, and where it starts.
pub(super) fn document_at(text: &str, at: usize) -> Option<(usize, &str)> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let rest = text.get(start..)?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if end > 0 && is_mark(line) {
            break;
        }
        end += line.len();
    }
    Some((start, &rest[..end]))
}

/// A line of a text without the space around it, as a range; the first is 1.
pub(super) fn line(text: &str, number: u64) -> Option<(usize, usize)> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let line = text.split_inclusive('\n').nth(index)?;
    let before: usize = text.split_inclusive('\n').take(index).map(str::len).sum();
    let indent = line.len() - line.trim_start().len();
    Some((before + indent, before + line.trim_end().len()))
}

/// `---` at the start of a line ends a document wherever it stands.
fn is_mark(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn read(
    source: &Text,
    start: usize,
    end: usize,
    out: &mut Vec<Document>,
    report: &mut dyn FnMut(Draft),
) {
    let part = &source.text[start..end];
    let Some(first) = first_line(part) else {
        return;
    };
    let at = Loc::new(source.file, start + first.0, start + first.1);
    // As kubectl reads it: `0644` is octal.
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: 2_000_000,
            max_events: 6_000_000,
        },
    };
    match serde_saphyr::from_multiple_with_options::<Json>(part, options) {
        Ok(values) => out.extend(values.into_iter().map(|json| Document {
            json,
            at,
            within: Loc::new(source.file, start, end),
        })),
        Err(error) => report(mistake(source, start, part, at, &error)),
    }
}

/// The first line that is neither empty, a comment nor a bare mark, as a range.
fn first_line(part: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for line in part.split_inclusive('\n') {
        let text = line.trim();
        if !(text.is_empty() || text.starts_with('#') || text == "---" || text.starts_with("--- #"))
        {
            let indent = line.len() - line.trim_start().len();
            return Some((at + indent, at + line.trim_end().len()));
        }
        at += line.len();
    }
    None
}

fn mistake(
    source: &Text,
    start: usize,
    part: &str,
    fallback: Loc,
    error: &serde_saphyr::Error,
) -> Draft {
    let place = error.location().and_then(|l| {
        let line = usize::try_from(l.line()).ok()?.checked_sub(1)?;
        let column = usize::try_from(l.column()).ok()?.checked_sub(1)?;
        let text = part.split_inclusive('\n').nth(line)?;
        let before: usize = part.split_inclusive('\n').take(line).map(str::len).sum();
        let within: usize = text.chars().take(column).map(char::len_utf8).sum();
        Some(Loc::new(
            source.file,
            start + before + within,
            start + before + within,
        ))
    });
    let message = error.to_string();
    let message = message.lines().next().unwrap_or("");
    let message = match message.rfind(" at line ") {
        Some(at) => &message[..at],
        None => message,
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = match message
        .strip_prefix("line ")
        .and_then(|m| m.split_once(": "))
    {
        Some((_, rest)) => rest,
        None => message,
    };
    // The parser names an option of its own that users cannot set.
    let message = message.split(", set ").next().unwrap_or(message);
    Draft::new(Code::Yaml, format!("this is not YAML: {message}"))
        .label(place.unwrap_or(fallback), "here")
}
