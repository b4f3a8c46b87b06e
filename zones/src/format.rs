//! `fmt`: one layout for spec files. Comments and order stay; nothing is sorted.

use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, RawString, Table, Value};

use crate::diag::{Code, Diagnostic, Draft};
use crate::tree::Loc;

/// Lays a TOML text out: one space around `=`, one empty line between tables, no space at line
/// ends, a line end at the end. Formatting twice is formatting once.
///
/// # Errors
/// The text is not TOML.
pub fn fmt(text: &str) -> Result<String, Box<Diagnostic>> {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    let mut document: DocumentMut = text.parse().map_err(|e| mistake(&text, &e))?;
    table(document.as_table_mut(), true, true);
    let tail = lines(document.trailing().as_str().unwrap_or(""), false);
    document.set_trailing(tail.trim_end_matches('\n'));
    let out = document.to_string();
    let out = out.trim_matches('\n');
    Ok(if out.is_empty() {
        String::new()
    } else {
        format!("{out}\n")
    })
}

fn mistake(text: &str, error: &toml_edit::TomlError) -> Box<Diagnostic> {
    let span = error.span().unwrap_or(0..0);
    let message = format!("this is not TOML: {}", error.message());
    let at = Loc::new(0, span.start, span.end);
    let draft = Draft::new(Code::Syntax, message).label(at, "here");
    Box::new(Diagnostic::standalone(draft, text, "input"))
}

/// Comment lines without indentation and space at their ends; at most one empty line in a row.
/// `gap` asks for one at the start. What stands behind the last line end is indentation.
fn lines(prefix: &str, gap: bool) -> String {
    let mut out = String::new();
    let mut empty = gap;
    let whole = prefix.matches('\n').count();
    for (i, line) in prefix.split('\n').map(str::trim).enumerate() {
        if line.is_empty() {
            empty |= i < whole && !out.is_empty();
            continue;
        }
        if empty {
            out.push('\n');
        }
        empty = false;
        out.push_str(line);
        out.push('\n');
    }
    if empty {
        out.push('\n');
    }
    out
}

fn raw(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or("").to_owned()
}

/// A comment behind a value or header.
fn suffix(decor: &Decor) -> String {
    let text = raw(decor.suffix());
    let text = text.trim();
    if text.is_empty() {
        String::new()
    } else {
        format!(" {text}")
    }
}

/// `inner` tables have no header of their own; `first` when nothing stands before them.
fn table(table: &mut Table, inner: bool, first: bool) {
    if !inner {
        let prefix = lines(&raw(table.decor().prefix()), true);
        let suffix = suffix(table.decor());
        *table.decor_mut() = Decor::new(prefix, suffix);
    }
    let mut first = first || !inner;
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Table(below) => {
                key.dotted_decor_mut().clear();
                if !below.is_dotted() {
                    key.leaf_decor_mut().clear();
                }
                self::table(below, below.is_dotted(), first);
            }
            Item::ArrayOfTables(tables) => {
                key.dotted_decor_mut().clear();
                key.leaf_decor_mut().clear();
                tables.iter_mut().for_each(|t| self::table(t, false, true));
            }
            Item::Value(value) => {
                let before = raw(key.leaf_decor().prefix());
                let gap = !first && before.trim_start_matches([' ', '\t']).starts_with('\n');
                key.leaf_decor_mut().set_prefix(lines(&before, gap));
                key.leaf_decor_mut().set_suffix(" ");
                key.dotted_decor_mut().clear();
                let comment = suffix(value.decor());
                inside(value);
                *value.decor_mut() = Decor::new(" ", comment);
            }
            Item::None => {}
        }
        first = false;
    }
}

/// Lays out what is on one line; a list over several lines keeps its lines.
fn inside(value: &mut Value) {
    match value {
        Value::Array(array) if !array.to_string().contains('\n') => one_line(array),
        Value::InlineTable(table) if !table.to_string().contains('\n') => inline(table),
        _ => {}
    }
}

fn one_line(array: &mut Array) {
    for (i, item) in array.iter_mut().enumerate() {
        inside(item);
        *item.decor_mut() = Decor::new(if i == 0 { "" } else { " " }, "");
    }
    array.set_trailing("");
    array.set_trailing_comma(false);
}

fn inline(table: &mut InlineTable) {
    let count = table.len();
    for (i, (mut key, value)) in table.iter_mut().enumerate() {
        *key.leaf_decor_mut() = Decor::new(" ", " ");
        inside(value);
        *value.decor_mut() = Decor::new(" ", if i + 1 == count { " " } else { "" });
    }
}
