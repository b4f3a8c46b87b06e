//! Statements of a spec: checks, which may change nothing, and what changes something.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use tokio::time::timeout;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::restore::finish::{Cell, Heard};

use super::{CONNECT, Server, error, first, server_says, words};
use crate::http::scrub;

impl Server {
    /// Whether writes may go to this server; its version.
    ///
    /// # Errors
    /// There is no verified connection, or it is not a writer (a conflict).
    pub async fn writer(&self) -> Result<String, ProviderError> {
        let mut conn = self.connect().await?;
        let found = self.is_writer(&mut conn).await;
        close(conn).await;
        found
    }

    async fn is_writer(&self, conn: &mut Conn) -> Result<String, ProviderError> {
        let refused = |why: &str| {
            let message = format!("{} {why}", self.host);
            Err(ProviderError::new(ErrorClass::Conflict, message))
        };
        let read_only: Option<i64> = first(conn, "SELECT @@global.read_only").await?;
        match read_only {
            None => return Err(error("the server does not say read_only")),
            Some(0) => {}
            Some(_) => return refused("is read-only"),
        }
        // One that follows another takes what that has, and writes of its own break this.
        if server_says(conn).await.is_some() {
            return refused("follows another server");
        }
        let version: Option<String> = first(conn, "SELECT VERSION()").await?;
        Ok(version.unwrap_or_default())
    }

    /// The first value that a check answers with.
    pub async fn check(&self, sql: &str, patience: Duration) -> Heard {
        let mut conn = match self.connect().await {
            Ok(conn) => conn,
            Err(failed) => return Heard::Failed(failed.message),
        };
        let asking = async {
            conn.query_drop("SET SESSION TRANSACTION READ ONLY").await?;
            conn.query_first::<Row, _>(sql).await
        };
        let heard = match timeout(patience, asking).await {
            Ok(Ok(row)) => Heard::Value(cell(row)),
            Ok(Err(failed)) => Heard::Failed(self.said(&failed)),
            Err(_) => return Heard::Failed(late(patience)),
        };
        close(conn).await;
        heard
    }

    /// Carries out statements. Those before one that fails may have been carried out.
    pub async fn execute(&self, sql: &str, patience: Duration) -> Heard {
        let mut conn = match self.connect().await {
            Ok(conn) => conn,
            Err(failed) => return Heard::Failed(failed.message),
        };
        let heard = match timeout(patience, conn.query_drop(sql)).await {
            Ok(Ok(())) => Heard::Ran,
            Ok(Err(failed)) if failed.is_fatal() => return Heard::Lost(self.said(&failed)),
            Ok(Err(failed)) => Heard::Failed(self.said(&failed)),
            Err(_) => return Heard::Lost(late(patience)),
        };
        close(conn).await;
        heard
    }

    fn said(&self, failed: &mysql_async::Error) -> String {
        scrub(&words(failed), [&self.password])
    }
}

/// How a connection ends changes nothing about what was heard.
async fn close(conn: Conn) {
    let _ = timeout(CONNECT, conn.disconnect()).await;
}

fn late(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs())
}

fn cell(row: Option<Row>) -> Cell {
    let Some(row) = row else {
        return Cell::Nothing;
    };
    let text = |bytes: &[u8]| Cell::Text(String::from_utf8_lossy(bytes).into_owned());
    #[expect(
        clippy::cast_precision_loss,
        reason = "only whether it is 0 is of interest"
    )]
    match row.as_ref(0) {
        None | Some(Value::NULL) => Cell::Null,
        Some(Value::Int(n)) => Cell::Number(*n as f64),
        Some(Value::UInt(n)) => Cell::Number(*n as f64),
        Some(Value::Float(n)) => Cell::Number(f64::from(*n)),
        Some(Value::Double(n)) => Cell::Number(*n),
        Some(Value::Bytes(bytes)) => text(bytes),
        Some(other) => text(other.as_sql(true).as_bytes()),
    }
}
