//! The machine-readable form of a diagnostic. Its fields are an interface: add, never rename.

use serde::Serialize;

use super::{Diagnostic, Label, Severity};
use crate::source::offset;

/// A line and a column, both counted from one; columns are characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The byte in the file, from zero.
    pub byte: usize,
}

/// A place with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// First character.
    pub start: Position,
    /// Behind the last character.
    pub end: Position,
    /// What is to say about it.
    pub label: String,
    /// The first line of it, secrets blanked out.
    pub snippet: String,
}

/// A diagnostic for `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// `ZW1502`.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What is wrong.
    pub message: String,
    /// The places, the main one first.
    pub places: Vec<Place>,
    /// The way out.
    pub help: Option<String>,
}

pub(super) fn of(diagnostic: &Diagnostic) -> Record {
    Record {
        code: diagnostic.code.id(),
        severity: match diagnostic.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: diagnostic.message.clone(),
        places: diagnostic.labels.iter().map(place).collect(),
        help: diagnostic.help.clone(),
    }
}

fn place(label: &Label) -> Place {
    let position = |byte: usize| {
        let (line, column) = label.source.position(offset(byte));
        Position { line, column, byte }
    };
    let start = position(label.start);
    Place {
        file: label.file().to_owned(),
        snippet: label.source.line(start.line).to_owned(),
        start,
        end: position(label.end),
        label: label.text.clone(),
    }
}
