//! The values of expressions.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Value, json};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, InTarget,
    UnaryOperator, Value as Literal,
};

use super::outcome::{SqlError, shown};
use super::rows::Row;
use super::variables::Variables;

/// What an expression can refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) variables: &'a Variables,
    pub(super) row: Option<&'a Row>,
    /// What `VALUES(column)` refers to.
    pub(super) offered: Option<&'a Row>,
    /// What aggregates range over.
    pub(super) group: Option<&'a [Row]>,
}

impl Scope<'_> {
    pub(super) fn value(&self, expr: &Expr) -> Result<Value, SqlError> {
        match expr {
            Expr::Value(literal) => constant(&literal.value),
            Expr::Nested(inner) => self.value(inner),
            Expr::Identifier(name) if name.value.starts_with('@') => {
                self.variables.get(&name.value)
            }
            Expr::Identifier(name) => self.column(&name.value),
            Expr::CompoundIdentifier(parts) => {
                let scoped = parts.first().is_some_and(|p| p.value.starts_with("@@"));
                let last = parts.last().map_or("", |p| p.value.as_str());
                match scoped {
                    true => self.variables.get(&format!("@@{last}")),
                    false => self.column(last),
                }
            }
            Expr::IsNull(inner) => Ok(truth(self.value(inner)?.is_null())),
            Expr::IsNotNull(inner) => Ok(truth(!self.value(inner)?.is_null())),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::In {
                expr,
                target: InTarget::List(list),
                negated,
                ..
            } => {
                let value = self.value(expr)?;
                let mut found = false;
                for item in list {
                    found |= compare(&value, &self.value(item)?) == Some(Ordering::Equal);
                }
                Ok(truth(found != *negated))
            }
            Expr::Like {
                negated,
                expr,
                pattern,
                ..
            } => {
                let (text, pattern) = (self.value(expr)?, self.value(pattern)?);
                Ok(truth(is_like(&shown(&text), &shown(&pattern)) != *negated))
            }
            Expr::Function(function) => self.function(function),
            Expr::Cast { expr, .. } => self.value(expr),
            other => Err(SqlError::unsupported(&format!("the expression {other}"))),
        }
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: Option<&Expr>) -> Result<bool, SqlError> {
        condition.map_or(Ok(true), |c| Ok(is_true(&self.value(c)?)))
    }

    fn column(&self, name: &str) -> Result<Value, SqlError> {
        let row = self.row.or_else(|| self.group.and_then(<[Row]>::first));
        let found = row.and_then(|row| {
            let mut pairs = row.iter();
            pairs.find(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        match found {
            Some((_, value)) => Ok(value.clone()),
            None if self.group.is_some_and(<[Row]>::is_empty) => Ok(Value::Null),
            None => Err(unknown_column(name)),
        }
    }

    fn unary(&self, op: UnaryOperator, expr: &Expr) -> Result<Value, SqlError> {
        let value = self.value(expr)?;
        match op {
            UnaryOperator::Not if value.is_null() => Ok(Value::Null),
            UnaryOperator::Not => Ok(truth(!is_true(&value))),
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus => Ok(arithmetic(&json!(0), &value, |a, b| a - b)),
            other => Err(SqlError::unsupported(&format!("the operator {other}"))),
        }
    }

    fn binary(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Value, SqlError> {
        let (a, b) = (self.value(left)?, self.value(right)?);
        let ordered = |wanted: fn(Ordering) -> bool| match compare(&a, &b) {
            Some(ordering) => truth(wanted(ordering)),
            None => Value::Null,
        };
        Ok(match op {
            BinaryOperator::And => truth(is_true(&a) && is_true(&b)),
            BinaryOperator::Or => truth(is_true(&a) || is_true(&b)),
            BinaryOperator::Eq => ordered(Ordering::is_eq),
            BinaryOperator::NotEq => ordered(Ordering::is_ne),
            BinaryOperator::Lt => ordered(Ordering::is_lt),
            BinaryOperator::LtEq => ordered(Ordering::is_le),
            BinaryOperator::Gt => ordered(Ordering::is_gt),
            BinaryOperator::GtEq => ordered(Ordering::is_ge),
            BinaryOperator::Spaceship => truth(a == b),
            BinaryOperator::Plus => arithmetic(&a, &b, |a, b| a + b),
            BinaryOperator::Minus => arithmetic(&a, &b, |a, b| a - b),
            BinaryOperator::Multiply => arithmetic(&a, &b, |a, b| a * b),
            BinaryOperator::Divide if number(&b) == Some(0.0) => Value::Null,
            BinaryOperator::Divide => match (number(&a), number(&b)) {
                (Some(a), Some(b)) => json!(a / b),
                _ => Value::Null,
            },
            other => return Err(SqlError::unsupported(&format!("the operator {other}"))),
        })
    }

    fn function(&self, function: &Function) -> Result<Value, SqlError> {
        let name = function.name.to_string().to_uppercase();
        let arguments = arguments(function);
        if let Some(group) = self.group
            && ["COUNT", "MIN", "MAX", "SUM"].contains(&name.as_str())
        {
            return self.aggregate(&name, arguments.first().copied(), group);
        }
        if name == "VALUES" {
            let column = arguments
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            let offered = Scope {
                row: self.offered,
                ..*self
            };
            return offered.column(column.trim_matches('`'));
        }
        if name == "TIMESTAMPDIFF" {
            let unit = arguments
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            let values = arguments.iter().skip(1).map(|a| self.value(a));
            let values: Vec<Value> = values.collect::<Result<_, _>>()?;
            return difference(&unit.to_uppercase(), &values);
        }
        let values = arguments.iter().map(|a| self.value(a));
        let values: Vec<Value> = values.collect::<Result<_, _>>()?;
        self.scalar(&name, &values)
    }

    fn scalar(&self, name: &str, values: &[Value]) -> Result<Value, SqlError> {
        let now = self.variables.now;
        let digits = values.first().and_then(Value::as_u64).unwrap_or(0);
        Ok(match name {
            "UTC_TIMESTAMP" | "NOW" | "CURRENT_TIMESTAMP" | "SYSDATE" | "LOCALTIMESTAMP" => {
                json!(time_text(now, digits))
            }
            "UNIX_TIMESTAMP" if values.is_empty() => json!(now / 1000),
            "UNIX_TIMESTAMP" => match values.first().and_then(micros) {
                Some(micros) if micros % 1_000_000 == 0 => json!(micros / 1_000_000),
                Some(micros) => json!(micros as f64 / 1e6),
                None => Value::Null,
            },
            "VERSION" => self.variables.get("@@version")?,
            "DATABASE" | "SCHEMA" => json!(self.variables.schema),
            "USER" | "CURRENT_USER" | "SESSION_USER" => {
                json!(format!("{}@127.0.0.1", self.variables.user))
            }
            "CONNECTION_ID" => json!(self.variables.connection),
            "COALESCE" | "IFNULL" => values
                .iter()
                .find(|v| !v.is_null())
                .cloned()
                .unwrap_or_default(),
            "CONCAT" if values.iter().any(Value::is_null) => Value::Null,
            "CONCAT" => json!(values.iter().map(shown).collect::<String>()),
            "LOWER" | "UPPER" if values.len() == 1 => {
                let text = shown(&values[0]);
                json!(if name == "LOWER" {
                    text.to_lowercase()
                } else {
                    text.to_uppercase()
                })
            }
            "ABS" if values.len() == 1 => match number(&values[0]) {
                Some(n) if n < 0.0 => arithmetic(&json!(0), &values[0], |a, b| a - b),
                _ => values[0].clone(),
            },
            _ => return Err(SqlError::unsupported(&format!("the function {name}"))),
        })
    }

    fn aggregate(
        &self,
        name: &str,
        argument: Option<&Expr>,
        group: &[Row],
    ) -> Result<Value, SqlError> {
        let Some(argument) = argument else {
            return Ok(json!(group.len()));
        };
        let mut values = Vec::new();
        for row in group {
            let scope = Scope {
                row: Some(row),
                group: None,
                ..*self
            };
            values.push(scope.value(argument)?);
        }
        values.retain(|v| !v.is_null());
        let by = |a: &Value, b: &Value| compare(a, b).unwrap_or(Ordering::Equal);
        Ok(match name {
            "COUNT" => json!(values.len()),
            "MIN" => values.into_iter().min_by(by).unwrap_or_default(),
            "MAX" => values.into_iter().max_by(by).unwrap_or_default(),
            _ => values
                .into_iter()
                .reduce(|a, b| arithmetic(&a, &b, |a, b| a + b))
                .unwrap_or_default(),
        })
    }
}

pub(super) fn unknown_column(name: &str) -> SqlError {
    let message = format!("Unknown column '{name}' in 'field list'");
    SqlError::new(1054, "42S22", message)
}

/// The arguments of a function; none for `*`.
fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    let exprs = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    exprs.collect()
}

fn constant(literal: &Literal) -> Result<Value, SqlError> {
    Ok(match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(truth) => json!(i64::from(*truth)),
        Literal::Number(text, _) => match text.parse::<i64>() {
            Ok(whole) => json!(whole),
            Err(_) => json!(text.parse::<f64>().unwrap_or_default()),
        },
        Literal::SingleQuotedString(text) | Literal::DoubleQuotedString(text) => json!(text),
        other => return Err(SqlError::unsupported(&format!("the literal {other}"))),
    })
}

fn truth(holds: bool) -> Value {
    json!(i64::from(holds))
}

fn is_true(value: &Value) -> bool {
    number(value).is_some_and(|n| n != 0.0)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => Some(text.trim().parse().unwrap_or(0.0)),
        _ => None,
    }
}

fn arithmetic(a: &Value, b: &Value, f: fn(f64, f64) -> f64) -> Value {
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return Value::Null;
    };
    let result = f(x, y);
    // Whole numbers stay whole; those of the sandbox are far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    match a.is_i64() && b.is_i64() && result.fract() == 0.0 {
        true => json!(result as i64),
        false => json!(result),
    }
}

/// The order of two values; none when one is null.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::String(a), Value::String(b)) => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

/// `LIKE`: `%` is any text, `_` any character, case does not count.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    fn fits(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|at| fits(&text[at..], rest)),
            ['\\', c, rest @ ..] => text.first() == Some(c) && fits(&text[1..], rest),
            ['_', rest @ ..] => !text.is_empty() && fits(&text[1..], rest),
            [c, rest @ ..] => text.first() == Some(c) && fits(&text[1..], rest),
        }
    }
    let chars = |t: &str| t.to_lowercase().chars().collect::<Vec<_>>();
    fits(&chars(text), &chars(pattern))
}

/// A time as the server writes it, with so many digits of a second.
pub(super) fn time_text(ms: u64, digits: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    let whole = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let micros = format!("{:06}", time.subsec_microsecond());
    match usize::try_from(digits).unwrap_or(6).min(6) {
        0 => whole,
        digits => format!("{whole}.{}", &micros[..digits]),
    }
}

fn micros(value: &Value) -> Option<i64> {
    let time: DateTime = value.as_str()?.parse().ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

fn difference(unit: &str, values: &[Value]) -> Result<Value, SqlError> {
    let width = match unit {
        "MICROSECOND" => 1,
        "SECOND" => 1_000_000,
        "MINUTE" => 60_000_000,
        "HOUR" => 3_600_000_000,
        "DAY" => 86_400_000_000,
        _ => return Err(SqlError::unsupported(&format!("the unit {unit}"))),
    };
    let ends = values
        .first()
        .and_then(micros)
        .zip(values.get(1).and_then(micros));
    Ok(ends.map_or(Value::Null, |(from, to)| json!((to - from) / width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_patterns() {
        assert_eq!(
            time_text(1_583_437_755_123, 6),
            "2020-03-05 19:49:15.123000"
        );
        assert_eq!(time_text(1_583_437_755_123, 0), "2020-03-05 19:49:15");
        let ends = [json!("2020-03-05 19:49:15.5"), json!("2020-03-05T19:49:17")];
        assert_eq!(difference("MICROSECOND", &ends), Ok(json!(1_500_000)));
        assert!(is_like("Ssl_cipher", "ssl\\_c%"));
        assert!(!is_like("abc", "a_"));
    }
}
