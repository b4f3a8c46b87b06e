//! A MySQL server asked as the application asks it: over TLS, with the authority and the name verified.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, IoError, OptsBuilder, Row, SslOpts, Value};
use rustls::CertificateError;
use tokio::time::timeout;
use zonewright_engine::check::{DatabaseAnswer, DatabaseAsk};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::secret::{Purpose, Secret};

use super::CONNECT;

mod statement;

/// A name that no certificate of a database has.
const OTHER_NAME: &str = "other-name.invalid";
/// The server's number for a name and a password that do not fit.
const ACCESS_DENIED: u16 = 1045;
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
    /// The database that statements are about.
    pub database: Option<String>,
}

impl Server {
    /// Asks one thing. That the server cannot be trusted is an answer, too.
    ///
    /// # Errors
    /// There is no connection, or the server refuses the credentials or the question.
    pub async fn ask(&self, ask: DatabaseAsk) -> Result<DatabaseAnswer, ProviderError> {
        let mut conn = match self.open(true, &self.host).await? {
            Ok(conn) => conn,
            Err(failed) => {
                return match self.untrusted(&failed) {
                    Some(why) => Ok(DatabaseAnswer::Untrusted { why }),
                    None => Err(self.refusal(&failed)),
                };
            }
        };
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
            other_authority_accepted: self.accepts(false, &self.host).await?,
            other_name_accepted: self.accepts(true, OTHER_NAME).await?,
        })
    }

    /// Whether a connection comes about that must not. Only a refused certificate says no: a server that
    /// does not answer just then shows nothing.
    async fn accepts(&self, declared: bool, name: &str) -> Result<bool, ProviderError> {
        match self.open(declared, name).await? {
            Ok(_) => Ok(true),
            Err(failed) if certificate(&failed).is_some() => Ok(false),
            Err(failed) => Err(self.refusal(&failed)),
        }
    }

    /// A connection that is verified.
    async fn connect(&self) -> Result<Conn, ProviderError> {
        let opened = self.open(true, &self.host).await?;
        opened.map_err(|failed| self.refusal(&failed))
    }

    /// Connects, trusting the given authority or, to show that it matters, those of the public web.
    async fn open(
        &self,
        declared: bool,
        name: &str,
    ) -> Result<Result<Conn, mysql_async::Error>, ProviderError> {
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
            .db_name(self.database.clone())
            .prefer_socket(false)
            .ssl_opts(tls);
        let connecting = timeout(CONNECT, Conn::new(options)).await;
        connecting.map_err(|_| {
            let message = format!(
                "{} does not answer within {} s",
                self.host,
                CONNECT.as_secs()
            );
            ProviderError::new(ErrorClass::Unreachable, message)
        })
    }

    /// Why there is no connection, and which credentials were not good enough.
    fn refusal(&self, failed: &mysql_async::Error) -> ProviderError {
        let host = &self.host;
        match failed {
            mysql_async::Error::Server(server) if server.code == ACCESS_DENIED => {
                let message = format!(
                    "{host} does not take {} with {}: {}",
                    self.user.label, self.password.label, server.message
                );
                ProviderError::new(ErrorClass::Unauthorized, message)
            }
            failed => match self.untrusted(failed) {
                Some(why) => error(&why),
                None => error(&format!("{host}: {}", words(failed))),
            },
        }
    }

    /// Why a server that answered is not talked to.
    fn untrusted(&self, failed: &mysql_async::Error) -> Option<String> {
        let host = &self.host;
        if let mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) = failed {
            return Some(format!("{host} offers no TLS; nothing was told it"));
        }
        let what = match certificate(failed)? {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("it is not by the authority in {}", self.authority.label)
            }
            CertificateError::NotValidForName => "it is for another name".to_owned(),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("it is for {}, not for this name", named(presented))
            }
            other => other.to_string(),
        };
        Some(format!("the certificate of {host} is refused: {what}"))
    }
}

/// The first names of a certificate, without the words for their kind.
fn named(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name
            .split_once("(\"")
            .and_then(|(_, rest)| rest.strip_suffix("\")"));
        inner.unwrap_or(name).to_owned()
    };
    presented
        .iter()
        .take(4)
        .map(bare)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Why a certificate was refused, if that is why there is no connection.
fn certificate(failed: &mysql_async::Error) -> Option<&CertificateError> {
    let mysql_async::Error::Io(IoError::Io(io)) = failed else {
        return None;
    };
    match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
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
