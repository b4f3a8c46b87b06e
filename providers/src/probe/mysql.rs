//! A MySQL server asked as the application asks it: over TLS, with the authority and the name verified.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value};
use tokio::time::timeout;
use zonewright_engine::check::{DatabaseAnswer, DatabaseAsk};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::{Purpose, Secret};

use super::CONNECT;

/// A name that no certificate of a database has.
const OTHER_NAME: &str = "other-name.invalid";
/// Time for one statement.
const QUERY: Duration = Duration::from_secs(10);

/// A server and how to get in.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where it is reached, if not under its name.
    pub address: Option<SocketAddr>,
    /// The user's name.
    pub user: Secret,
    /// The password.
    pub password: Secret,
    /// The CA certificate, in PEM.
    pub authority: Secret,
}

impl Server {
    /// Asks one thing.
    ///
    /// # Errors
    /// There is no verified connection, or the server refuses the question.
    pub async fn ask(&self, ask: DatabaseAsk) -> Result<DatabaseAnswer, ProviderError> {
        let mut conn = self.connect(true, &self.host).await?;
        let answer = match ask {
            DatabaseAsk::Session => self.session(&mut conn).await,
            DatabaseAsk::ReadOnly => {
                let value: Option<i64> = first(&mut conn, "SELECT @@global.read_only").await?;
                let value = value.ok_or_else(|| error("the server does not say read_only"))?;
                Ok(DatabaseAnswer::ReadOnly {
                    read_only: value != 0,
                })
            }
            DatabaseAsk::Heartbeat => Ok(heartbeat(&mut conn).await),
        };
        // The answer is there; how the connection ends changes nothing about it.
        let _ = timeout(CONNECT, conn.disconnect()).await;
        answer
    }

    async fn session(&self, conn: &mut Conn) -> Result<DatabaseAnswer, ProviderError> {
        let version: Option<String> = first(conn, "SELECT VERSION()").await?;
        Ok(DatabaseAnswer::Session {
            version: version.unwrap_or_default(),
            other_authority_accepted: self.connect(false, &self.host).await.is_ok(),
            other_name_accepted: self.connect(true, OTHER_NAME).await.is_ok(),
        })
    }

    /// Connects, trusting the given authority or, to show that it matters, those of the public web.
    async fn connect(&self, declared: bool, name: &str) -> Result<Conn, ProviderError> {
        let exposed = |secret: &Secret| {
            let value = secret.expose(Purpose::Request).map(str::to_owned);
            value.ok_or_else(|| error(&format!("{} has no value", secret.label)))
        };
        let mut tls = SslOpts::default().with_danger_tls_hostname_override(Some(name.to_owned()));
        if declared {
            let authority = exposed(&self.authority)?.into_bytes();
            tls = tls
                .with_root_certs(vec![authority.into()])
                .with_disable_built_in_roots(true);
        }
        let (host, port) = match self.address {
            Some(address) => (address.ip().to_string(), address.port()),
            None => (self.host.clone(), self.port),
        };
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(exposed(&self.user)?))
            .pass(Some(exposed(&self.password)?))
            .prefer_socket(false)
            .ssl_opts(tls);
        let connecting = timeout(CONNECT, Conn::new(options)).await;
        let conn = connecting.map_err(|_| {
            let message = format!(
                "{} does not answer within {} s",
                self.host,
                CONNECT.as_secs()
            );
            ProviderError::new(ErrorClass::Unreachable, message)
        })?;
        conn.map_err(|e| error(&format!("{}: {}", self.host, words(&e))))
    }
}

/// What a server says, without values: its messages name users and tables, never passwords.
fn words(failed: &mysql_async::Error) -> String {
    failed.to_string()
}

fn error(message: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Failed, message)
}

async fn first<T: mysql_async::prelude::FromRow + Send + 'static>(
    conn: &mut Conn,
    statement: &'static str,
) -> Result<Option<T>, ProviderError> {
    let asked = timeout(QUERY, conn.query_first::<T, _>(statement)).await;
    let asked = asked.map_err(|_| error("the database does not answer a statement in time"))?;
    asked.map_err(|e| error(&words(&e)))
}

/// The newest heartbeat: rows of servers that wrote before stay for ever and say nothing.
async fn heartbeat(conn: &mut Conn) -> DatabaseAnswer {
    let newest = "SELECT MAX(ts) FROM heartbeat.heartbeat";
    let found = first::<Option<String>>(conn, newest).await;
    let (age_seconds, why) = match found {
        Ok(Some(Some(text))) => match age(&text) {
            Some(age) => (Some(age), None),
            None => (None, Some(format!("the heartbeat {text:?} is no time"))),
        },
        Ok(_) => (None, Some("the heartbeat table is empty".to_owned())),
        Err(error) => (None, Some(format!("there is no heartbeat: {error}"))),
    };
    DatabaseAnswer::Heartbeat {
        age_seconds,
        why,
        server_says: server_says(conn).await,
    }
}

/// Seconds since a UTC time as pt-heartbeat writes it, with or without a `Z`.
fn age(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches('Z').replace(' ', "T");
    let then: jiff::Timestamp = format!("{text}Z").parse().ok()?;
    Some(jiff::Timestamp::now().duration_since(then).as_secs_f64())
}

/// The server's own figure. MySQL and MariaDB differ in which words they know, for the statement and for
/// the column.
async fn server_says(conn: &mut Conn) -> Option<String> {
    for statement in ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
        let Ok(Some(row)) = first::<Row>(conn, statement).await else {
            continue;
        };
        let columns = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
        let mut values = columns.iter().filter_map(|c| row.get_opt::<Value, _>(*c));
        return Some(match values.next()?.ok()? {
            Value::NULL => "NULL".to_owned(),
            Value::Bytes(bytes) => format!("{} s", String::from_utf8_lossy(&bytes)),
            other => format!("{} s", other.as_sql(true)),
        });
    }
    None
}
