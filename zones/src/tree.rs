//! TOML as a tree in which every key and value knows where it was written.
//!
//! No serde derive on purpose: one pass over a broken file reports all that is wrong with it.

use std::collections::BTreeMap;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diag::{Code, Draft};
use crate::source::offset;

/// Tables in tables, lists in lists: what nests deeper is refused.
pub(crate) const MAX_DEPTH: usize = 128;

/// A range of bytes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loc {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Loc {
    pub(crate) fn new(file: u32, start: usize, end: usize) -> Loc {
        Loc {
            file,
            start: offset(start),
            end: offset(end.max(start)),
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) node: Item,
    pub(crate) at: Loc,
}

/// The forms of a value. Dates are text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Tree>),
    Table(Table),
}

/// A table by key.
pub(crate) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Loc,
    pub(crate) value: Tree,
}

impl Tree {
    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.node {
            Item::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn str(&self) -> Option<&str> {
        match &self.node {
            Item::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self.node {
            Item::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// What it is, with its article, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match &self.node {
            Item::Bool(_) => "a boolean",
            Item::Number(n) if n.is_f64() => "a fraction",
            Item::Number(_) => "a number",
            Item::String(_) => "text",
            Item::List(_) => "a list",
            Item::Table(_) => "a table",
        }
    }
}

/// Reads a TOML text. What can be read of a broken one is returned beside its mistakes.
pub(crate) fn parse(file: u32, text: &str) -> (Table, Vec<Draft>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        file,
        drafts: Vec::new(),
    };
    for error in errors {
        reader.syntax(text, &error);
    }
    let tree = reader.table(table.get_ref(), 0);
    let mut drafts = reader.drafts;
    // After a first mistake the parser may trip again over the same place.
    drafts.dedup_by(|b, a| a.code == b.code && close(a, b));
    (tree, drafts)
}

fn close(a: &Draft, b: &Draft) -> bool {
    match (a.at(), b.at()) {
        (Some(a), Some(b)) => b.start <= a.end.saturating_add(2),
        _ => false,
    }
}

struct Reader {
    file: u32,
    drafts: Vec<Draft>,
}

impl Reader {
    fn syntax(&mut self, text: &str, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let start = floor(text, span.start);
        let loc = Loc::new(self.file, start, floor(text, span.end).max(start));
        let message = error.message();
        let draft = if message.contains("recurs") {
            deep(loc)
        } else {
            Draft::new(Code::Syntax, format!("this is not TOML: {message}")).label(loc, "here")
        };
        self.drafts.push(draft);
    }

    fn loc(&self, span: std::ops::Range<usize>) -> Loc {
        Loc::new(self.file, span.start, span.end)
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let entry = Entry {
                    key: self.loc(key.span()),
                    value: self.value(value, depth + 1),
                };
                (key.get_ref().to_string(), entry)
            })
            .collect()
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Tree {
        let at = self.loc(value.span());
        if depth > MAX_DEPTH {
            self.drafts.push(deep(at));
            return Tree {
                node: Item::Table(Table::new()),
                at,
            };
        }
        let node = match value.get_ref() {
            DeValue::String(text) => Item::String(text.to_string()),
            DeValue::Boolean(b) => Item::Bool(*b),
            DeValue::Datetime(date) => Item::String(date.to_string()),
            DeValue::Integer(int) => self.integer(int.as_str(), int.radix(), at),
            DeValue::Float(float) => self.float(float.as_str(), at),
            DeValue::Array(items) => {
                Item::List(items.iter().map(|v| self.value(v, depth + 1)).collect())
            }
            DeValue::Table(table) => Item::Table(self.table(table, depth)),
        };
        Tree { node, at }
    }

    fn integer(&mut self, text: &str, radix: u32, at: Loc) -> Item {
        let value = i64::from_str_radix(text, radix).unwrap_or_else(|_| {
            let message = "this number does not fit into 64 bits";
            self.drafts
                .push(Draft::new(Code::BadNumber, message).label(at, "too large"));
            0
        });
        Item::Number(value.into())
    }

    /// A float that cannot be read was reported as a syntax error already.
    fn float(&mut self, text: &str, at: Loc) -> Item {
        let number = text.parse::<f64>().ok();
        if number.is_some_and(|f| !f.is_finite()) {
            let draft = Draft::new(Code::BadNumber, "numbers must be finite")
                .label(at, "neither JSON nor any vendor has this")
                .help("write a number, or quote it if text is meant");
            self.drafts.push(draft);
        }
        Item::Number(number.and_then(Number::from_f64).unwrap_or(0.into()))
    }
}

fn deep(at: Loc) -> Draft {
    Draft::new(Code::TooDeep, "this nests too deeply")
        .label(at, "from here on")
        .help(format!("at most {MAX_DEPTH} levels are read"))
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Puts `over` onto `base`: tables are merged, everything else is replaced.
pub(crate) fn merge(base: &mut Table, over: &Table) {
    for (key, entry) in over {
        match base.get_mut(key) {
            Some(old) => match (&mut old.value.node, &entry.value.node) {
                (Item::Table(old_table), Item::Table(new_table)) => {
                    merge(old_table, new_table);
                    old.key = entry.key;
                    old.value.at = entry.value.at;
                }
                _ => *old = entry.clone(),
            },
            None => {
                base.insert(key.clone(), entry.clone());
            }
        }
    }
}

/// Looks along keys.
pub(crate) fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Entry> {
    let (first, rest) = path.split_first()?;
    let entry = table.get(*first)?;
    if rest.is_empty() {
        Some(entry)
    } else {
        at(entry.value.table()?, rest)
    }
}

/// Removes what a path names; `false` when there is no such thing.
pub(crate) fn remove(table: &mut Table, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return table.remove(*first).is_some();
    }
    match table.get_mut(*first).map(|e| &mut e.value.node) {
        Some(Item::Table(inner)) => remove(inner, rest),
        _ => false,
    }
}
