//! What comes of a statement, and the packets that say so.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Wire, put_length, put_text};

/// A statement that was refused, with the server's own code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SqlError {
    pub(super) code: u16,
    pub(super) state: &'static str,
    pub(super) message: String,
}

impl SqlError {
    pub(super) fn new(code: u16, state: &'static str, message: impl Into<String>) -> SqlError {
        SqlError {
            code,
            state,
            message: message.into(),
        }
    }

    /// Nothing that the sandbox's databases know.
    pub(super) fn unsupported(what: &str) -> SqlError {
        let message = format!("the sandbox's databases do not support {what}");
        SqlError::new(1235, "42000", message)
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        let mut out = vec![0xff];
        out.extend_from_slice(&self.code.to_le_bytes());
        out.push(b'#');
        out.extend_from_slice(self.state.as_bytes());
        out.extend_from_slice(self.message.as_bytes());
        out
    }
}

/// Columns and rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
}

/// A statement that was carried out.
#[derive(Debug)]
pub(super) enum Outcome {
    Done { affected: u64, inserted: u64 },
    Rows(Rows),
}

impl Outcome {
    /// Nothing to tell.
    pub(super) const DONE: Outcome = Outcome::Done {
        affected: 0,
        inserted: 0,
    };
}

/// What the status flags say about the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) in_transaction: bool,
    pub(super) autocommit: bool,
}

impl Status {
    fn flags(self) -> [u8; 2] {
        (u16::from(self.in_transaction) | u16::from(self.autocommit) << 1).to_le_bytes()
    }
}

pub(super) fn ok(affected: u64, inserted: u64, status: Status) -> Vec<u8> {
    let mut out = vec![0];
    put_length(&mut out, affected);
    put_length(&mut out, inserted);
    out.extend_from_slice(&status.flags());
    out.extend_from_slice(&[0, 0]);
    out
}

pub(super) fn eof(status: Status) -> Vec<u8> {
    let mut out = vec![0xfe, 0, 0];
    out.extend_from_slice(&status.flags());
    out
}

const LONGLONG: u8 = 8;
const VAR_STRING: u8 = 253;

/// Queues what came of a statement; `binary` for prepared ones.
pub(super) fn send<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    outcome: &Outcome,
    status: Status,
    binary: bool,
) {
    let rows = match outcome {
        Outcome::Done { affected, inserted } => {
            wire.queue(&ok(*affected, *inserted, status));
            return;
        }
        Outcome::Rows(rows) => rows,
    };
    let mut count = Vec::new();
    put_length(&mut count, rows.columns.len() as u64);
    wire.queue(&count);
    let kinds: Vec<u8> = (0..rows.columns.len()).map(|at| kind(rows, at)).collect();
    for (name, kind) in rows.columns.iter().zip(&kinds) {
        wire.queue(&column(name, *kind));
    }
    wire.queue(&eof(status));
    for row in &rows.rows {
        let packet = match binary {
            true => binary_row(row, &kinds),
            false => text_row(row),
        };
        wire.queue(&packet);
    }
    wire.queue(&eof(status));
}

// A column is of whole numbers when all that is in it is one.
fn kind(rows: &Rows, at: usize) -> u8 {
    let mut values = rows
        .rows
        .iter()
        .map(|row| &row[at])
        .filter(|v| !v.is_null());
    let first = values.next();
    match first.is_some_and(Value::is_i64) && values.all(Value::is_i64) {
        true => LONGLONG,
        false => VAR_STRING,
    }
}

fn column(name: &str, kind: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for text in ["def", "", "", "", name, name] {
        put_text(&mut out, text.as_bytes());
    }
    let charset: u16 = if kind == LONGLONG { 63 } else { 45 };
    out.push(0x0c);
    out.extend_from_slice(&charset.to_le_bytes());
    out.extend_from_slice(&1024u32.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&[0, 0, 0, 0, 0]);
    out
}

/// What stands for a value of a prepared statement.
pub(super) fn place_holder() -> Vec<u8> {
    column("?", VAR_STRING)
}

/// A value as the server writes it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text_row(row: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in row {
        match value {
            Value::Null => out.push(0xfb),
            value => put_text(&mut out, shown(value).as_bytes()),
        }
    }
    out
}

fn binary_row(row: &[Value], kinds: &[u8]) -> Vec<u8> {
    // The first two bits of the bitmap are not used.
    let mut nulls = vec![0u8; (row.len() + 9) / 8];
    let mut values = Vec::new();
    for (at, (value, kind)) in row.iter().zip(kinds).enumerate() {
        match value {
            Value::Null => nulls[(at + 2) / 8] |= 1 << ((at + 2) % 8),
            value if *kind == LONGLONG => {
                let number = value.as_i64().unwrap_or_default();
                values.extend_from_slice(&number.to_le_bytes());
            }
            value => put_text(&mut values, shown(value).as_bytes()),
        }
    }
    let mut out = vec![0];
    out.extend(nulls);
    out.extend(values);
    out
}
