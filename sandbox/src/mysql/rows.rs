//! Tables and rows of a database, with their history.
//!
//! Every write keeps what was there before for a while. So a replica is its source at an earlier
//! time, and a restored cluster is its source at the time of the backup; nothing is copied around.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::world::{Tables, Txn};

use super::heartbeat;

/// A row: column to value.
pub(super) type Row = Map<String, Value>;

/// Versions of one row that are kept at least.
const VERSIONS: usize = 600;
/// Between a key and the number of a version; sorts before whatever a longer key goes on with.
const MARK: char = '\u{1}';

/// A database as far as it is visible: its rows up to a time.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) id: String,
    pub(super) until: u64,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) key: bool,
    pub(super) nullable: bool,
    pub(super) auto: bool,
    /// An expression.
    pub(super) default: Option<String>,
}

impl Column {
    pub(super) fn is_whole_number(&self) -> bool {
        self.kind.contains("INT")
    }
}

/// What a table is like.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) columns: Vec<Column>,
    made: u64,
}

/// A table by schema and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) schema: String,
    pub(super) table: String,
}

impl Name {
    fn key(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

fn definitions(id: &str) -> String {
    format!("mysql/{id}/tables")
}

fn versions(id: &str, name: &Name) -> String {
    format!("mysql/{id}/rows/{}", name.key())
}

/// The definition of a table, if it is there.
pub(super) fn definition(tables: &Tables, layers: &[Layer], name: &Name) -> Option<Definition> {
    let visible = layers.iter().filter_map(|layer| {
        let doc = tables.get(&definitions(&layer.id), &name.key())?;
        is_visible(doc, layer.until).then_some(doc)
    });
    let Some(doc) = visible.max_by_key(|doc| doc["at_ms"].as_u64()) else {
        return beats(tables, layers, name).map(|_| Definition {
            columns: heartbeat::columns(),
            made: 0,
        });
    };
    let columns = doc["columns"].as_array()?.iter().map(|column| Column {
        name: column["name"].as_str().unwrap_or_default().to_owned(),
        kind: column["kind"].as_str().unwrap_or_default().to_owned(),
        key: column["key"] == true,
        nullable: column["nullable"] == true,
        auto: column["auto"] == true,
        default: column["default"].as_str().map(str::to_owned),
    });
    Some(Definition {
        columns: columns.collect(),
        made: doc["at_ms"].as_u64().unwrap_or(0),
    })
}

fn is_visible(doc: &Value, until: u64) -> bool {
    doc["at_ms"].as_u64().is_some_and(|at| at <= until)
        && doc["gone_ms"].as_u64().is_none_or(|gone| gone > until)
}

/// The row that a heartbeat writes into a table, if it is the heartbeat's.
fn beats(tables: &Tables, layers: &[Layer], name: &Name) -> Option<(u64, Row)> {
    if name.schema != heartbeat::SCHEMA || name.table != heartbeat::TABLE {
        return None;
    }
    let beats = layers.iter();
    let beats = beats.filter_map(|layer| heartbeat::row(tables, &layer.id, layer.until));
    beats.max_by_key(|(at, _)| *at)
}

/// Makes a table.
pub(super) fn define(txn: &mut Txn<'_>, id: &str, name: &Name, columns: &[Column], now: u64) {
    let columns: Vec<Value> = columns
        .iter()
        .map(|c| {
            json!({"name": c.name, "kind": c.kind, "key": c.key, "nullable": c.nullable,
                "auto": c.auto, "default": c.default})
        })
        .collect();
    let doc = json!({"at_ms": now, "columns": columns});
    txn.put(&definitions(id), &name.key(), doc);
}

/// Drops a table; what was in it stays visible at earlier times.
pub(super) fn drop_table(txn: &mut Txn<'_>, id: &str, name: &Name, now: u64) {
    let found = txn.tables().get(&definitions(id), &name.key()).cloned();
    if let Some(mut doc) = found {
        doc["gone_ms"] = json!(now);
        txn.put(&definitions(id), &name.key(), doc);
    }
}

/// The tables that are there.
pub(super) fn names(tables: &Tables, layers: &[Layer]) -> Vec<Name> {
    let mut out = BTreeMap::new();
    for layer in layers {
        for (key, doc) in tables.list(&definitions(&layer.id)) {
            if let (true, Some((schema, table))) =
                (is_visible(doc, layer.until), key.split_once('.'))
            {
                let name = Name {
                    schema: schema.to_owned(),
                    table: table.to_owned(),
                };
                out.insert(key.clone(), name);
            }
        }
    }
    let own = Name {
        schema: heartbeat::SCHEMA.to_owned(),
        table: heartbeat::TABLE.to_owned(),
    };
    if beats(tables, layers, &own).is_some() {
        out.insert(own.key(), own);
    }
    out.into_values().collect()
}

/// The rows of a table by key.
pub(super) fn rows(
    tables: &Tables,
    layers: &[Layer],
    name: &Name,
    definition: &Definition,
) -> BTreeMap<String, Row> {
    let mut newest: BTreeMap<&str, (u64, &Value)> = BTreeMap::new();
    for layer in layers {
        for (key, doc) in tables.list(&versions(&layer.id, name)) {
            let at = doc["at_ms"].as_u64().unwrap_or(0);
            let Some((key, _)) = key.rsplit_once(MARK) else {
                continue;
            };
            if at > layer.until || at < definition.made {
                continue;
            }
            let entry = newest.entry(key).or_insert((at, &doc["row"]));
            if at >= entry.0 {
                *entry = (at, &doc["row"]);
            }
        }
    }
    let beat = beats(tables, layers, name);
    let beat = beat.and_then(|(at, row)| Some((at, key_of(definition, &row)?, row)));
    let written = beat
        .as_ref()
        .and_then(|(_, key, _)| newest.get(key.as_str()));
    let beat = beat
        .as_ref()
        .filter(|(at, ..)| written.is_none_or(|(known, _)| known < at));
    let mut out: BTreeMap<String, Row> = newest
        .iter()
        .filter_map(|(key, (_, row))| Some(((*key).to_owned(), row.as_object()?.clone())))
        .collect();
    if let Some((_, key, row)) = beat {
        out.insert(key.clone(), row.clone());
    }
    out
}

/// The key of a row: its primary key's values.
pub(super) fn key_of(definition: &Definition, row: &Row) -> Option<String> {
    let keys: Vec<String> = definition
        .columns
        .iter()
        .filter(|c| c.key)
        .map(|c| super::outcome::shown(&row[&c.name]).to_lowercase())
        .collect();
    (!keys.is_empty()).then(|| keys.join("\u{2}"))
}

/// A place in the world, to take a write back.
pub(super) type Place = (String, String);

/// Writes a row, or (`None`) that it is gone. `kept` are times whose state must stay visible.
pub(super) fn put(
    txn: &mut Txn<'_>,
    (id, name): (&str, &Name),
    key: &str,
    row: Option<Row>,
    (now, kept): (u64, &[u64]),
) -> Place {
    let table = versions(id, name);
    prune(txn, &table, key, kept);
    let at = format!("{key}{MARK}{:020}", txn.next_revision());
    let doc = json!({"at_ms": now, "row": row});
    txn.put(&table, &at, doc);
    (table, at)
}

fn prune(txn: &mut Txn<'_>, table: &str, key: &str, kept: &[u64]) {
    let prefix = format!("{key}{MARK}");
    let known = txn.tables().range(table, &prefix, "");
    let known: Vec<(String, u64)> = known
        .map(|(k, doc)| (k.clone(), doc["at_ms"].as_u64().unwrap_or(0)))
        .collect();
    let spare = known.len().saturating_sub(VERSIONS);
    for (place, pair) in known.iter().zip(known.iter().skip(1)).take(spare) {
        // A version is what one sees from its time until the next one's.
        let seen = kept.iter().any(|t| (place.1..pair.1).contains(t));
        if !seen {
            txn.delete(table, &place.0);
        }
    }
}

/// Writes into `to` what is visible in `layers`, with the times it was written at.
pub(super) fn copy(txn: &mut Txn<'_>, layers: &[Layer], to: &str) {
    for name in names(txn.tables(), layers) {
        let Some(definition) = definition(txn.tables(), layers, &name) else {
            continue;
        };
        let rows = rows(txn.tables(), layers, &name, &definition);
        define(txn, to, &name, &definition.columns, definition.made);
        for (key, row) in rows {
            put(txn, (to, &name), &key, Some(row), (definition.made, &[]));
        }
    }
}

/// Removes everything that a database holds.
pub(super) fn forget(txn: &mut Txn<'_>, id: &str) {
    let prefix = format!("mysql/{id}/");
    let names: Vec<String> = txn.tables().names(&prefix).cloned().collect();
    for name in names {
        let keys: Vec<String> = txn.tables().list(&name).map(|(k, _)| k.clone()).collect();
        for key in keys {
            txn.delete(&name, &key);
        }
    }
}
