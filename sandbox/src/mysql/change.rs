//! Statements that change something: rows, tables, schemas.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlparser::ast::{
    Assignment, AssignmentTarget, ColumnOption, CreateTable, Delete, Expr, FromTable, Insert,
    ObjectName, ObjectType, OnInsert, SetExpr, TableConstraint, TableObject, Update,
};

use crate::digitalocean;

use super::evaluate::{Scope, unknown_column};
use super::outcome::{Outcome, SqlError, shown};
use super::query::{constant, existing, one_table, scope};
use super::rows::{self, Column, Definition, Name, Row};
use super::statement::{Stage, unknown_schema};

type Existing = BTreeMap<String, Row>;

/// A table that is about to be changed.
struct Target {
    name: Name,
    definition: Definition,
    rows: Existing,
}

impl Target {
    fn of(stage: &Stage<'_, '_, '_>, object: &ObjectName) -> Result<Target, SqlError> {
        let name = stage.name(object)?;
        stage.writable(&name.schema)?;
        let definition = existing(stage, &name)?;
        let tables = stage.scene.txn.tables();
        let rows = rows::rows(tables, &stage.layers, &name, &definition);
        Ok(Target {
            name,
            definition,
            rows,
        })
    }

    fn put(&self, stage: &mut Stage<'_, '_, '_>, key: &str, row: Option<Row>) {
        let kept = digitalocean::backup_times(stage.scene, &stage.doc);
        let now = stage.scene.now;
        let id = stage.id();
        let place = rows::put(stage.scene.txn, (&id, &self.name), key, row, (now, &kept));
        stage.wrote(place);
    }

    fn column(&self, name: &str) -> Result<&Column, SqlError> {
        let mut columns = self.definition.columns.iter();
        let found = columns.find(|c| c.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| unknown_column(name))
    }
}

pub(super) fn insert(stage: &mut Stage<'_, '_, '_>, insert: Insert) -> Result<Outcome, SqlError> {
    let TableObject::TableName(object) = &insert.table else {
        return Err(SqlError::unsupported("this kind of table"));
    };
    let mut target = Target::of(stage, object)?;
    let (mut affected, mut inserted) = (0, 0);
    for given in offered(stage, &target, &insert)? {
        let row = completed(stage, &target, given, &mut inserted)?;
        let key = rows::key_of(&target.definition, &row);
        let key = key.unwrap_or_else(|| format!("row{:020}", stage.scene.txn.next_revision()));
        let known = target.rows.get(&key).cloned();
        let (row, count) = match (known, &insert.on) {
            (None, _) => (row, 1),
            (Some(_), _) if insert.replace_into => (row, 2),
            (Some(known), Some(OnInsert::DuplicateKeyUpdate(assignments))) => {
                let changed = assigned(stage, &target, &known, Some(&row), assignments)?;
                let count = if changed == known { 0 } else { 2 };
                (changed, count)
            }
            (Some(_), _) if insert.ignore => continue,
            (Some(_), _) => {
                let message = format!(
                    "Duplicate entry '{}' for key '{}.PRIMARY'",
                    key.replace('\u{2}', "-"),
                    target.name.table
                );
                return Err(SqlError::new(1062, "23000", message));
            }
        };
        affected += count;
        target.put(stage, &key, Some(row.clone()));
        target.rows.insert(key, row);
    }
    Ok(Outcome::Done { affected, inserted })
}

/// The rows that an INSERT names values for, by column.
fn offered(
    stage: &Stage<'_, '_, '_>,
    target: &Target,
    insert: &Insert,
) -> Result<Vec<Row>, SqlError> {
    let scope = scope(stage);
    if !insert.assignments.is_empty() {
        let row = assigned(stage, target, &Row::new(), None, &insert.assignments)?;
        return Ok(vec![row]);
    }
    let named: Vec<String> = match insert.columns.is_empty() {
        true => target
            .definition
            .columns
            .iter()
            .map(|c| c.name.clone())
            .collect(),
        false => {
            let names = insert.columns.iter().map(last);
            let names = names.map(|n| target.column(&n).map(|c| c.name.clone()));
            names.collect::<Result<_, _>>()?
        }
    };
    let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|q| q.body.as_ref()) else {
        return Err(SqlError::unsupported("INSERT … SELECT"));
    };
    let mut out = Vec::new();
    for (at, row) in values.rows.iter().enumerate() {
        if row.content.len() != named.len() {
            let at = at + 1;
            let message = format!("Column count doesn't match value count at row {at}");
            return Err(SqlError::new(1136, "21S01", message));
        }
        let mut given = Row::new();
        for (name, expr) in named.iter().zip(&row.content) {
            if expr.to_string().eq_ignore_ascii_case("default") {
                continue;
            }
            given.insert(name.clone(), scope.value(expr)?);
        }
        out.push(given);
    }
    Ok(out)
}

/// A row with its defaults, each value in the form of its column.
fn completed(
    stage: &Stage<'_, '_, '_>,
    target: &Target,
    given: Row,
    inserted: &mut u64,
) -> Result<Row, SqlError> {
    let mut out = Row::new();
    for column in &target.definition.columns {
        let given = given.get(&column.name).cloned();
        let value = match (given, &column.default) {
            (Some(Value::Null) | None, _) if column.auto => {
                let known = target
                    .rows
                    .values()
                    .filter_map(|r| r[&column.name].as_u64());
                *inserted = known.max().unwrap_or(0) + 1;
                json!(*inserted)
            }
            (Some(value), _) => value,
            (None, Some(default)) => constant(stage, default)?,
            (None, None) if column.nullable => Value::Null,
            (None, None) => {
                let message = format!("Field '{}' doesn't have a default value", column.name);
                return Err(SqlError::new(1364, "HY000", message));
            }
        };
        out.insert(column.name.clone(), fitted(column, value)?);
    }
    Ok(out)
}

fn fitted(column: &Column, value: Value) -> Result<Value, SqlError> {
    match value {
        Value::Null if !column.nullable => {
            let message = format!("Column '{}' cannot be null", column.name);
            Err(SqlError::new(1048, "23000", message))
        }
        Value::String(text) if column.is_whole_number() => {
            let number = text.trim().parse::<i64>().map_err(|_| {
                let message = format!(
                    "Incorrect integer value: '{text}' for column '{}'",
                    column.name
                );
                SqlError::new(1366, "HY000", message)
            })?;
            Ok(json!(number))
        }
        Value::Number(number) if !column.is_whole_number() && column.kind.contains("CHAR") => {
            Ok(json!(number.to_string()))
        }
        value => Ok(value),
    }
}

/// A row after assignments.
fn assigned(
    stage: &Stage<'_, '_, '_>,
    target: &Target,
    row: &Row,
    offered: Option<&Row>,
    assignments: &[Assignment],
) -> Result<Row, SqlError> {
    let mut out = row.clone();
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(SqlError::unsupported("assignments to several columns"));
        };
        let column = target.column(&last(name))?;
        let scope = Scope {
            row: Some(&out),
            offered,
            ..scope(stage)
        };
        let value = fitted(column, scope.value(&assignment.value)?)?;
        out.insert(column.name.clone(), value);
    }
    Ok(out)
}

fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|p| p.as_ident());
    part.map(|ident| ident.value.clone()).unwrap_or_default()
}

pub(super) fn update(stage: &mut Stage<'_, '_, '_>, update: &Update) -> Result<Outcome, SqlError> {
    let object = one_table(std::slice::from_ref(&update.table))?;
    let target = Target::of(stage, object)?;
    let mut affected = 0;
    for (key, row) in chosen(stage, &target, update.selection.as_ref())? {
        let changed = assigned(stage, &target, &row, None, &update.assignments)?;
        if changed == row {
            continue;
        }
        affected += 1;
        let new = rows::key_of(&target.definition, &changed).unwrap_or_else(|| key.clone());
        if new != key {
            target.put(stage, &key, None);
        }
        target.put(stage, &new, Some(changed));
    }
    Ok(Outcome::Done {
        affected,
        inserted: 0,
    })
}

pub(super) fn delete(stage: &mut Stage<'_, '_, '_>, delete: &Delete) -> Result<Outcome, SqlError> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let target = Target::of(stage, one_table(from)?)?;
    let gone = chosen(stage, &target, delete.selection.as_ref())?;
    for (key, _) in &gone {
        target.put(stage, key, None);
    }
    Ok(Outcome::Done {
        affected: gone.len() as u64,
        inserted: 0,
    })
}

fn chosen(
    stage: &Stage<'_, '_, '_>,
    target: &Target,
    condition: Option<&Expr>,
) -> Result<Vec<(String, Row)>, SqlError> {
    let mut out = Vec::new();
    for (key, row) in &target.rows {
        let scope = Scope {
            row: Some(row),
            ..scope(stage)
        };
        if scope.holds(condition)? {
            out.push((key.clone(), row.clone()));
        }
    }
    Ok(out)
}

pub(super) fn create_table(
    stage: &mut Stage<'_, '_, '_>,
    table: &CreateTable,
) -> Result<Outcome, SqlError> {
    let name = stage.name(&table.name)?;
    stage.writable(&name.schema)?;
    let known = rows::definition(stage.scene.txn.tables(), &stage.layers, &name);
    if known.is_some() {
        if table.if_not_exists {
            return Ok(Outcome::DONE);
        }
        let message = format!("Table '{}' already exists", name.table);
        return Err(SqlError::new(1050, "42S01", message));
    }
    let mut columns: Vec<Column> = table.columns.iter().map(column).collect();
    for constraint in &table.constraints {
        if let TableConstraint::PrimaryKey(primary) = constraint {
            for key in &primary.columns {
                let named = key.column.expr.to_string();
                let named = named.trim_matches('`');
                let mut all = columns.iter_mut();
                let found = all.find(|c| c.name.eq_ignore_ascii_case(named));
                let found = found.ok_or_else(|| {
                    let message = format!("Key column '{named}' doesn't exist in table");
                    SqlError::new(1072, "42000", message)
                })?;
                (found.key, found.nullable) = (true, false);
            }
        }
    }
    // The vendor's setting `sql_require_primary_key`.
    let required = stage.doc["config"]["sql_require_primary_key"] != false;
    if required && !columns.iter().any(|c| c.key) {
        let message = "Unable to create or change a table without a primary key, when the system \
                       variable 'sql_require_primary_key' is set.";
        return Err(SqlError::new(3750, "HY000", message));
    }
    let (id, now) = (stage.id(), stage.scene.now);
    rows::define(stage.scene.txn, &id, &name, &columns, now);
    Ok(Outcome::DONE)
}

fn column(definition: &sqlparser::ast::ColumnDef) -> Column {
    let mut out = Column {
        name: definition.name.value.clone(),
        kind: definition.data_type.to_string().to_uppercase(),
        key: false,
        nullable: true,
        auto: false,
        default: None,
    };
    for option in &definition.options {
        match &option.option {
            ColumnOption::NotNull => out.nullable = false,
            ColumnOption::PrimaryKey(_) => (out.key, out.nullable) = (true, false),
            ColumnOption::Default(expr) => out.default = Some(expr.to_string()),
            ColumnOption::DialectSpecific(tokens) => {
                let mut texts = tokens.iter().map(ToString::to_string);
                out.auto |= texts.any(|t| t.eq_ignore_ascii_case("auto_increment"));
            }
            _ => {}
        }
    }
    out
}

pub(super) fn create_schema(
    stage: &mut Stage<'_, '_, '_>,
    name: &str,
    if_not_exists: bool,
) -> Result<Outcome, SqlError> {
    stage.writable("")?;
    if stage.has_schema(name) {
        if if_not_exists {
            return Ok(Outcome::DONE);
        }
        let message = format!("Can't create database '{name}'; database exists");
        return Err(SqlError::new(1007, "HY000", message));
    }
    if stage.doc["parent_id"].is_string() {
        return Err(SqlError::unsupported("CREATE DATABASE on a replica"));
    }
    if let Some(names) = stage.doc["db_names"].as_array_mut() {
        names.push(json!(name));
    }
    digitalocean::keep_database(stage.scene, stage.doc.clone());
    Ok(Outcome::Done {
        affected: 1,
        inserted: 0,
    })
}

pub(super) fn drop(
    stage: &mut Stage<'_, '_, '_>,
    kind: ObjectType,
    objects: &[ObjectName],
    if_exists: bool,
) -> Result<Outcome, SqlError> {
    let (id, now) = (stage.id(), stage.scene.now);
    for object in objects {
        match kind {
            ObjectType::Table => {
                let name = stage.name(object)?;
                stage.writable(&name.schema)?;
                match existing(stage, &name) {
                    Err(_) if if_exists => {}
                    Err(error) => return Err(error),
                    Ok(_) => rows::drop_table(stage.scene.txn, &id, &name, now),
                }
            }
            ObjectType::Database | ObjectType::Schema => {
                let name = shown(&json!(object.to_string()))
                    .trim_matches('`')
                    .to_owned();
                stage.writable(&name)?;
                if !stage.has_schema(&name) {
                    if if_exists {
                        continue;
                    }
                    return Err(unknown_schema(&name));
                }
                for table in stage.tables().into_iter().filter(|t| t.schema == name) {
                    rows::drop_table(stage.scene.txn, &id, &table, now);
                }
                if let Some(names) = stage.doc["db_names"].as_array_mut() {
                    names.retain(|known| known != name.as_str());
                }
                digitalocean::keep_database(stage.scene, stage.doc.clone());
            }
            other => return Err(SqlError::unsupported(&format!("DROP {other}"))),
        }
    }
    Ok(Outcome::DONE)
}
