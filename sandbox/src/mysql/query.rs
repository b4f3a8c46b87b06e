//! `SELECT`: from no table or from one, with conditions, order, limit and aggregates.

use std::cmp::Ordering;

use serde_json::{Value, json};
use sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, ObjectName, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, TableWithJoins,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use super::evaluate::{Scope, compare};
use super::outcome::{Rows, SqlError};
use super::rows::{self, Definition, Name, Row};
use super::statement::Stage;

/// Runs a query.
pub(super) fn run(stage: &Stage<'_, '_, '_>, query: &Query) -> Result<Rows, SqlError> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Err(SqlError::unsupported("this form of query"));
    };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if query.with.is_some() || grouped || select.having.is_some() || select.distinct.is_some() {
        return Err(SqlError::unsupported("WITH, GROUP BY, HAVING and DISTINCT"));
    }
    let (columns, mut found) = source(stage, select)?;
    let scope = scope(stage);
    let mut kept = Vec::new();
    for row in found.drain(..) {
        let scope = Scope {
            row: Some(&row),
            ..scope
        };
        if scope.holds(select.selection.as_ref())? {
            kept.push(row);
        }
    }
    if let Some(order) = &query.order_by {
        let OrderByKind::Expressions(by) = &order.kind else {
            return Err(SqlError::unsupported("ORDER BY ALL"));
        };
        sort(&scope, &mut kept, by)?;
    }
    let aggregates = select.projection.iter().any(|item| {
        let text = item.to_string().to_uppercase();
        ["COUNT(", "MIN(", "MAX(", "SUM("]
            .iter()
            .any(|f| text.contains(f))
    });
    let mut out = Rows {
        columns: headings(select, &columns),
        rows: Vec::new(),
    };
    if aggregates {
        let scope = Scope {
            group: Some(&kept),
            ..scope
        };
        out.rows.push(project(&scope, select, &columns)?);
    } else {
        for row in &kept {
            let scope = Scope {
                row: Some(row),
                ..scope
            };
            out.rows.push(project(&scope, select, &columns)?);
        }
    }
    limit(&scope, query.limit_clause.as_ref(), &mut out.rows)?;
    Ok(out)
}

/// The value of an expression that stands alone.
pub(super) fn constant(stage: &Stage<'_, '_, '_>, text: &str) -> Result<Value, SqlError> {
    let syntax = |_| SqlError::new(1064, "42000", "You have an error in your SQL syntax");
    let sql = format!("SELECT {text}");
    let parsed = Parser::parse_sql(&MySqlDialect {}, &sql).map_err(syntax)?;
    let Some(Statement::Query(query)) = parsed.into_iter().next() else {
        return Err(SqlError::unsupported("this value"));
    };
    let rows = run(stage, &query)?.rows;
    Ok(rows.into_iter().flatten().next().unwrap_or_default())
}

/// A scope without rows.
pub(super) fn scope<'a>(stage: &'a Stage<'_, '_, '_>) -> Scope<'a> {
    Scope {
        variables: &stage.variables,
        row: None,
        offered: None,
        group: None,
    }
}

/// The one table of a FROM clause.
pub(super) fn one_table(from: &[TableWithJoins]) -> Result<&ObjectName, SqlError> {
    match from {
        [one] if one.joins.is_empty() => match &one.relation {
            TableFactor::Table { name, .. } => Ok(name),
            _ => Err(SqlError::unsupported("this kind of table")),
        },
        _ => Err(SqlError::unsupported("joins")),
    }
}

/// A table that is there.
pub(super) fn existing(stage: &Stage<'_, '_, '_>, name: &Name) -> Result<Definition, SqlError> {
    let found = rows::definition(stage.scene.txn.tables(), &stage.layers, name);
    found.ok_or_else(|| {
        let message = format!("Table '{}.{}' doesn't exist", name.schema, name.table);
        SqlError::new(1146, "42S02", message)
    })
}

// The columns and rows that are read from; without a table, one row without columns.
fn source(stage: &Stage<'_, '_, '_>, select: &Select) -> Result<(Vec<String>, Vec<Row>), SqlError> {
    if select.from.is_empty() {
        return Ok((Vec::new(), vec![Row::new()]));
    }
    let object = one_table(&select.from)?;
    if object.to_string().eq_ignore_ascii_case("dual") {
        return Ok((Vec::new(), vec![Row::new()]));
    }
    let name = stage.name(object)?;
    if name.schema == "information_schema" {
        return information(stage, &name.table.to_uppercase());
    }
    let definition = existing(stage, &name)?;
    let found = rows::rows(stage.scene.txn.tables(), &stage.layers, &name, &definition);
    let columns = definition.columns.iter().map(|c| c.name.clone()).collect();
    Ok((columns, found.into_values().collect()))
}

fn information(
    stage: &Stage<'_, '_, '_>,
    table: &str,
) -> Result<(Vec<String>, Vec<Row>), SqlError> {
    let pairs = |names: &[&str], values: Vec<Value>| -> Row {
        names.iter().map(|n| (*n).to_owned()).zip(values).collect()
    };
    let names: &[&str] = match table {
        "TABLES" => &["TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "ENGINE"],
        "COLUMNS" => &["TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "COLUMN_TYPE"],
        _ => {
            let what = format!("information_schema.{table}");
            return Err(SqlError::unsupported(&what));
        }
    };
    let mut out = Vec::new();
    for name in stage.tables() {
        if table == "TABLES" {
            let values = vec![
                json!(name.schema),
                json!(name.table),
                json!("BASE TABLE"),
                json!("InnoDB"),
            ];
            out.push(pairs(names, values));
            continue;
        }
        for column in existing(stage, &name)?.columns {
            let kind = column.kind.to_lowercase();
            let values = vec![
                json!(name.schema),
                json!(name.table),
                json!(column.name),
                json!(kind),
            ];
            out.push(pairs(names, values));
        }
    }
    Ok((names.iter().map(|n| (*n).to_owned()).collect(), out))
}

fn headings(select: &Select, columns: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => out.push(alias.value.clone()),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => out.push(name.value.clone()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
                if !parts[0].value.starts_with('@') =>
            {
                out.extend(parts.last().map(|p| p.value.clone()));
            }
            SelectItem::UnnamedExpr(expr) => out.push(expr.to_string()),
            _ => out.extend(columns.iter().cloned()),
        }
    }
    out
}

fn project(scope: &Scope<'_>, select: &Select, columns: &[String]) -> Result<Vec<Value>, SqlError> {
    let mut out = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                out.push(scope.value(expr)?);
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                let of = |name: &String| scope.row.and_then(|r| r.get(name)).cloned();
                out.extend(columns.iter().map(|name| of(name).unwrap_or_default()));
            }
            SelectItem::ExprWithAliases { .. } => {
                return Err(SqlError::unsupported("several names for one expression"));
            }
        }
    }
    Ok(out)
}

fn sort(scope: &Scope<'_>, rows: &mut Vec<Row>, by: &[OrderByExpr]) -> Result<(), SqlError> {
    let mut keyed = Vec::new();
    for row in rows.drain(..) {
        let scope = Scope {
            row: Some(&row),
            ..*scope
        };
        let keys = by.iter().map(|b| scope.value(&b.expr));
        let keys: Vec<Value> = keys.collect::<Result<_, _>>()?;
        keyed.push((keys, row));
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let pairs = a.iter().zip(b).zip(by);
        let orders = pairs.map(|((x, y), b)| {
            // Null comes first.
            let order = compare(x, y).unwrap_or_else(|| y.is_null().cmp(&x.is_null()));
            let descends = b.options.to_string().trim().starts_with("DESC");
            if descends { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

fn limit(
    scope: &Scope<'_>,
    clause: Option<&LimitClause>,
    rows: &mut Vec<Vec<Value>>,
) -> Result<(), SqlError> {
    let count = |expr: Option<&Expr>, default: usize| match expr {
        None => Ok(default),
        Some(expr) => {
            let number = scope.value(expr)?.as_u64().unwrap_or(0);
            Ok(usize::try_from(number).unwrap_or(usize::MAX))
        }
    };
    let (offset, most) = match clause {
        None => return Ok(()),
        Some(LimitClause::LimitOffset { limit, offset, .. }) => (
            count(offset.as_ref().map(|o| &o.value), 0)?,
            count(limit.as_ref(), usize::MAX)?,
        ),
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            (count(Some(offset), 0)?, count(Some(limit), usize::MAX)?)
        }
    };
    *rows = std::mem::take(rows)
        .into_iter()
        .skip(offset)
        .take(most)
        .collect();
    Ok(())
}
