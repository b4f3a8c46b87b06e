//! Statements: what a session may say, and what comes of it.
//!
//! Statements of a session without tables are taken here, by their words; everything else is parsed
//! and goes to [`super::query`] and [`super::change`]. What is not supported is refused with 1235.

use serde_json::{Value, json};
use sqlparser::ast::Statement;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use crate::call::{Scene, text};
use crate::digitalocean::login;

use super::outcome::{Outcome, Rows, SqlError};
use super::rows::{self, Layer, Name, Place};
use super::variables::Variables;
use super::{change, evaluate, heartbeat, query, replication};

/// Schemas that every server has.
pub(super) const SYSTEM_SCHEMAS: [&str; 4] =
    ["information_schema", "mysql", "performance_schema", "sys"];

/// What a connection remembers between statements.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The cluster or replica.
    pub(super) id: String,
    pub(super) user: String,
    pub(super) schema: Option<String>,
    pub(super) connection: u32,
    /// The writes of an open transaction, to take them back. Others see them at once.
    pub(super) open: Option<Vec<Place>>,
    pub(super) manual_commit: bool,
    pub(super) own: std::collections::BTreeMap<String, Value>,
}

/// A statement on its way: the session, its database and the world.
pub(super) struct Stage<'a, 's, 't> {
    pub(super) scene: &'a mut Scene<'s, 't>,
    pub(super) session: &'a mut Session,
    pub(super) doc: Value,
    pub(super) layers: Vec<Layer>,
    pub(super) variables: Variables,
}

/// Carries out one statement.
pub(super) fn run(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    sql: &str,
) -> Result<Outcome, SqlError> {
    let gone = || SqlError::new(1053, "08S01", "Server shutdown in progress");
    let doc = login::by_id(scene.txn.tables(), &session.id);
    let doc = doc.cloned().ok_or_else(gone)?;
    let mut variables = Variables::on(&doc, scene.now);
    variables.user.clone_from(&session.user);
    variables.schema.clone_from(&session.schema);
    variables.connection = session.connection;
    variables.autocommit = !session.manual_commit;
    variables.own.clone_from(&session.own);
    let layers = replication::layers(&doc, scene.now);
    Stage {
        scene,
        session,
        doc,
        layers,
        variables,
    }
    .run(sql.trim().trim_end_matches(';').trim())
}

impl Stage<'_, '_, '_> {
    fn run(&mut self, sql: &str) -> Result<Outcome, SqlError> {
        let words: Vec<String> = sql
            .split_whitespace()
            .take(4)
            .map(str::to_uppercase)
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => Err(SqlError::new(1065, "42000", "Query was empty")),
            ["SHOW", rest @ ..] => self.show(rest, sql),
            ["USE", ..] => {
                let name = sql[3..].trim().trim_matches('`').to_owned();
                self.choose(&name)
            }
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => {
                self.session.open = Some(Vec::new());
                Ok(Outcome::DONE)
            }
            ["COMMIT", ..] => {
                self.session.open = self.session.manual_commit.then(Vec::new);
                Ok(Outcome::DONE)
            }
            ["ROLLBACK", "TO", ..] => Err(SqlError::unsupported("savepoints")),
            ["ROLLBACK", ..] => {
                roll_back(self.scene, self.session);
                Ok(Outcome::DONE)
            }
            ["SET", ..] => self.set(sql[3..].trim()),
            ["DO" | "FLUSH" | "ANALYZE", ..] => Ok(Outcome::DONE),
            _ => self.parsed(sql),
        }
    }

    fn parsed(&mut self, sql: &str) -> Result<Outcome, SqlError> {
        let mut statements = Parser::parse_sql(&MySqlDialect {}, sql).map_err(|error| {
            let message = format!("You have an error in your SQL syntax: {error}");
            SqlError::new(1064, "42000", message)
        })?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(SqlError::unsupported("several statements at once"));
        };
        match statement {
            Statement::Query(query) => query::run(self, &query).map(Outcome::Rows),
            Statement::Insert(insert) => change::insert(self, insert),
            Statement::Update(update) => change::update(self, &update),
            Statement::Delete(delete) => change::delete(self, &delete),
            Statement::CreateTable(table) => change::create_table(self, &table),
            Statement::CreateDatabase {
                db_name,
                if_not_exists,
                ..
            } => {
                let name = db_name.to_string();
                change::create_schema(self, name.trim_matches('`'), if_not_exists)
            }
            Statement::Drop {
                object_type,
                if_exists,
                names,
                ..
            } => change::drop(self, object_type, &names, if_exists),
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                Err(SqlError::unsupported(&words.join(" ")))
            }
        }
    }

    /// A table by its name, in the session's schema where none is named.
    pub(super) fn name(&self, name: &sqlparser::ast::ObjectName) -> Result<Name, SqlError> {
        let parts: Vec<String> = name
            .0
            .iter()
            .filter_map(|part| part.as_ident().map(|ident| ident.value.clone()))
            .collect();
        let (schema, table) = match parts.as_slice() {
            [table] => (self.session.schema.clone(), table),
            [schema, table] => (Some(schema.clone()), table),
            _ => (None, &parts[0]),
        };
        let schema = schema.ok_or_else(|| SqlError::new(1046, "3D000", "No database selected"))?;
        if !self.has_schema(&schema) {
            return Err(unknown_schema(&schema));
        }
        Ok(Name {
            schema,
            table: table.clone(),
        })
    }

    /// Whether a schema is there.
    pub(super) fn has_schema(&self, name: &str) -> bool {
        let tables = self.scene.txn.tables();
        let beats = |layer: &Layer| heartbeat::began(tables, &layer.id, layer.until);
        SYSTEM_SCHEMAS.contains(&name)
            || login::has_schema(login::owner(tables, &self.doc), name)
            || (name == heartbeat::SCHEMA && self.layers.iter().any(beats))
    }

    fn choose(&mut self, name: &str) -> Result<Outcome, SqlError> {
        if !self.has_schema(name) {
            return Err(unknown_schema(name));
        }
        self.session.schema = Some(name.to_owned());
        Ok(Outcome::DONE)
    }

    fn schemas(&self) -> Vec<String> {
        let owner = login::owner(self.scene.txn.tables(), &self.doc);
        let own = owner["db_names"].as_array().into_iter().flatten();
        let own = own.filter_map(Value::as_str);
        let mut all: Vec<String> = own.chain(SYSTEM_SCHEMAS).map(str::to_owned).collect();
        all.sort();
        all
    }

    /// The tables of all schemas.
    pub(super) fn tables(&self) -> Vec<Name> {
        rows::names(self.scene.txn.tables(), &self.layers)
    }

    fn show(&mut self, words: &[&str], sql: &str) -> Result<Outcome, SqlError> {
        let words = match words {
            ["GLOBAL" | "SESSION" | "FULL", rest @ ..] => rest,
            all => all,
        };
        let listed = |column: &str, texts: Vec<String>| Rows {
            columns: vec![column.to_owned()],
            rows: texts.into_iter().map(|t| vec![json!(t)]).collect(),
        };
        let pairs = |all: Vec<(String, Value)>| Rows {
            columns: vec!["Variable_name".to_owned(), "Value".to_owned()],
            rows: all
                .into_iter()
                .filter(|(name, _)| matches_like(sql, name))
                .map(|(name, value)| vec![json!(name), value])
                .collect(),
        };
        let tables = self.scene.txn.tables();
        let rows = match words {
            ["REPLICA", "STATUS", ..] => replication::status(tables, &self.doc, false),
            ["SLAVE", "STATUS", ..] => replication::status(tables, &self.doc, true),
            ["DATABASES" | "SCHEMAS", ..] => {
                let mut names = self.schemas();
                names.retain(|name| matches_like(sql, name));
                listed("Database", names)
            }
            ["TABLES", rest @ ..] => {
                let schema = match rest {
                    ["FROM" | "IN", ..] => {
                        let named = sql.split_whitespace().nth(3).unwrap_or_default();
                        Some(named.trim_matches('`').to_owned())
                    }
                    _ => self.session.schema.clone(),
                };
                let schema =
                    schema.ok_or_else(|| SqlError::new(1046, "3D000", "No database selected"))?;
                let names = self.tables().into_iter().filter(|n| n.schema == schema);
                let names = names.map(|n| n.table).filter(|n| matches_like(sql, n));
                listed(&format!("Tables_in_{schema}"), names.collect())
            }
            ["VARIABLES", ..] => {
                let all = self.variables.listed();
                pairs(all.map(|(n, v)| (n.to_owned(), v)).collect())
            }
            ["STATUS", ..] => pairs(vec![
                ("Ssl_cipher".to_owned(), json!("TLS_AES_256_GCM_SHA384")),
                ("Ssl_version".to_owned(), json!("TLSv1.3")),
            ]),
            ["WARNINGS" | "ERRORS", ..] => Rows {
                columns: ["Level", "Code", "Message"].map(str::to_owned).to_vec(),
                rows: Vec::new(),
            },
            other => return Err(SqlError::unsupported(&format!("SHOW {}", other.join(" ")))),
        };
        Ok(Outcome::Rows(rows))
    }

    fn set(&mut self, assignments: &str) -> Result<Outcome, SqlError> {
        let upper = assignments.to_uppercase();
        if upper.starts_with("NAMES") || upper.starts_with("CHARACTER SET") {
            return Ok(Outcome::DONE);
        }
        if upper.contains("TRANSACTION") && !upper.contains('=') {
            return Ok(Outcome::DONE);
        }
        for assignment in assignments.split(',') {
            let (name, value) = assignment.split_once('=').ok_or_else(|| {
                SqlError::new(1064, "42000", "You have an error in your SQL syntax")
            })?;
            let name = name.trim().trim_end_matches(':').trim().to_lowercase();
            if name.starts_with("global")
                || name.starts_with("@@global")
                || name.starts_with("persist")
            {
                let message = "Access denied; you need (at least one of) the SUPER or \
                               SYSTEM_VARIABLES_ADMIN privilege(s) for this operation";
                return Err(SqlError::new(1227, "42000", message));
            }
            let value = value.trim();
            if name.rsplit(['.', '@', ' ']).next() == Some("autocommit") {
                let off = ["0", "off", "false"].contains(&value.to_lowercase().as_str());
                self.session.manual_commit = off;
                self.session.open = off.then(Vec::new);
            } else if name.starts_with('@') && !name.starts_with("@@") {
                let value = query::constant(self, value)?;
                self.session.own.insert(name, value);
            }
            // Other settings of a session change nothing that the sandbox does.
        }
        Ok(Outcome::DONE)
    }

    /// Notes a write, for a transaction that is taken back.
    pub(super) fn wrote(&mut self, place: Place) {
        if let Some(open) = &mut self.session.open {
            open.push(place);
        }
    }

    /// Refuses a write where writes are refused.
    pub(super) fn writable(&self, schema: &str) -> Result<(), SqlError> {
        if !login::writable(&self.doc) {
            let message = "The MySQL server is running with the --super-read-only option so it \
                           cannot execute this statement";
            return Err(SqlError::new(1290, "HY000", message));
        }
        if SYSTEM_SCHEMAS.contains(&schema) {
            let user = &self.session.user;
            let message = format!("Access denied for user '{user}'@'%' to database '{schema}'");
            return Err(SqlError::new(1044, "42000", message));
        }
        Ok(())
    }

    /// The name of the database, for messages.
    pub(super) fn id(&self) -> String {
        text(&self.doc, "id").to_owned()
    }
}

/// Takes an open transaction back.
pub(super) fn roll_back(scene: &mut Scene<'_, '_>, session: &mut Session) {
    for (table, key) in session.open.take().into_iter().flatten().rev() {
        if scene.txn.tables().get(&table, &key).is_some() {
            scene.txn.delete(&table, &key);
        }
    }
    session.open = session.manual_commit.then(Vec::new);
}

pub(super) fn unknown_schema(name: &str) -> SqlError {
    SqlError::new(1049, "42000", format!("Unknown database '{name}'"))
}

/// Whether a name is meant by the `LIKE '…'` or `= '…'` that a SHOW ends with, if it has one.
fn matches_like(sql: &str, name: &str) -> bool {
    let quoted = sql.split(['\'', '"']).nth(1);
    quoted.is_none_or(|pattern| {
        let listed = sql.to_uppercase().contains(" IN ");
        match listed {
            true => sql.split(['\'', '"']).skip(1).step_by(2).any(|n| n == name),
            false => evaluate::is_like(name, pattern),
        }
    })
}
