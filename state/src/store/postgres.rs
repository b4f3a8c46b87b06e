//! A store in a PostgreSQL database: an object is a row, and its key is the primary key.
//!
//! Only rows are added: a role without UPDATE and DELETE will do. Each statement is a transaction of
//! its own and prepared nowhere, so that a pooler in between changes nothing; advisory locks, which
//! vanish with their session, are not used. A commit whose answer is lost is settled by reading.

use std::future::Future;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use zonewright_engine::secret::{Purpose, Secret};

use super::again::{CONNECT_TIMEOUT, TIMEOUT, TRIES, again, pause};
use super::{Lie, Put, Store, StoreError, StoreResult, check_key, s3};
use crate::rng::{OsRng, Rng};

/// The order of keys is that of their bytes, whatever the database's language is.
const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS zonewright_objects (
    key text COLLATE \"C\" PRIMARY KEY, writer text NOT NULL, body bytea NOT NULL);
CREATE TABLE IF NOT EXISTS zonewright_hints (
    key text COLLATE \"C\" NOT NULL, number bigserial, body bytea NOT NULL, PRIMARY KEY (key, number));";

/// A parameter and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Rows of a database.
pub struct PostgresStore {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
    /// Connections that nobody uses just now.
    idle: Mutex<Vec<Client>>,
    rng: Mutex<Box<dyn Rng>>,
}

/// Why a statement did not do what it should.
enum Failed {
    /// The store is not fit, or its address is no use.
    Unfit(StoreError),
    Postgres(Error),
    Timeout,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Postgres(error)
    }
}

impl Failed {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Failed::Postgres(error) => error.code(),
            Failed::Unfit(_) | Failed::Timeout => None,
        }
    }

    fn exists(&self) -> bool {
        self.state() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    fn denied(&self) -> bool {
        let denied = [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ];
        self.state().is_some_and(|state| denied.contains(state))
    }

    /// Whether trying again can help: the connection is gone, or the server is starting or ending.
    fn passes(&self) -> bool {
        match self {
            Failed::Unfit(_) => false,
            Failed::Timeout => true,
            Failed::Postgres(error) => error.code().is_none_or(|state| {
                // Classes: connection, resources, operator, rollback.
                ["08", "53", "57", "40"]
                    .iter()
                    .any(|c| state.code().starts_with(c))
            }),
        }
    }

    /// What the server says, without its details: they may hold contents of rows.
    fn into_error(self, key: &str, doing: &'static str) -> StoreError {
        let denied = self.denied();
        let (kind, why) = match self {
            Failed::Unfit(error) => return error,
            Failed::Timeout => (io::ErrorKind::TimedOut, "no answer in time".to_owned()),
            Failed::Postgres(error) => match error.as_db_error() {
                Some(db) if db.code() == &SqlState::UNDEFINED_TABLE => (
                    io::ErrorKind::NotFound,
                    "the tables are missing: `zonewright state init` makes them".to_owned(),
                ),
                Some(db) if denied => (io::ErrorKind::PermissionDenied, db.message().to_owned()),
                Some(db) => (io::ErrorKind::Other, db.message().to_owned()),
                None => (io::ErrorKind::NotConnected, causes(&error)),
            },
        };
        StoreError::Io {
            key: key.to_owned(),
            doing,
            source: io::Error::new(kind, why),
        }
    }
}

fn causes(error: &Error) -> String {
    use std::error::Error as _;
    let source = error.source().map(|s| format!(": {s}"));
    format!("{error}{}", source.unwrap_or_default())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresStore {
    /// Names a database; opens no connection. `ca` is the PEM text of further authorities, as
    /// managed databases have them.
    ///
    /// # Errors
    /// The address or the authority cannot be used.
    pub fn new(url: &Secret, ca: Option<&[u8]>) -> Result<PostgresStore, StoreError> {
        s3::install_crypto();
        let unusable = |why: &str| StoreError::Io {
            key: url.label.to_string(),
            doing: "use the address in",
            source: io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()),
        };
        let text = url.expose(Purpose::Request);
        let text = text.ok_or_else(|| unusable("it is not at hand"))?;
        // What is wrong with it is not said: the words may hold a part of it.
        let mut config = Config::from_str(text).map_err(|_| {
            unusable("it is not of the form postgresql://user:password@host:port/database")
        })?;
        config.connect_timeout(CONNECT_TIMEOUT);
        config.application_name("zonewright");
        let local = config.get_hosts().iter().all(is_local);
        config.ssl_mode(match local {
            true => SslMode::Prefer,
            false => SslMode::Require,
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        for certificate in CertificateDer::pem_slice_iter(ca.unwrap_or_default()) {
            let certificate =
                certificate.map_err(|_| unusable("its `ca_file` is no PEM certificate"))?;
            roots
                .add(certificate)
                .map_err(|_| unusable("its `ca_file` is no authority"))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| unusable("TLS cannot be set up"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(PostgresStore {
            place: place(&config),
            config,
            tls: MakeRustlsConnect::new(tls),
            idle: Mutex::default(),
            rng: Mutex::new(Box::new(OsRng)),
        })
    }

    fn mark(&self) -> String {
        locked(&self.rng).hex128()
    }

    fn unfit(&self, lie: Lie) -> Failed {
        Failed::Unfit(StoreError::Untrusted {
            place: self.place.clone(),
            key: "SHOW ALL".to_owned(),
            lie,
        })
    }

    /// A connection to a server that keeps what it says it has.
    async fn client(&self) -> Result<Client, Failed> {
        while let Some(client) = locked(&self.idle).pop() {
            if !client.is_closed() {
                return Ok(client);
            }
        }
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        // It ends when the client does; what was wrong is told to whoever waits for an answer.
        tokio::spawn(async move { drop(connection.await) });
        let row = client
            .query_typed_one(
                "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), \
                 current_setting('fsync')",
                &[],
            )
            .await?;
        let (standby, commit, fsync): (bool, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if standby {
            return Err(self.unfit(Lie::Standby));
        }
        if commit == "off" || fsync == "off" {
            return Err(self.unfit(Lie::Volatile));
        }
        Ok(client)
    }

    /// One statement on a connection of its own, which is kept when nothing is wrong with it.
    async fn on<T, F>(&self, work: impl FnOnce(Client) -> F + Send) -> Result<T, Failed>
    where
        F: Future<Output = (Client, Result<T, Error>)> + Send,
    {
        let done = tokio::time::timeout(TIMEOUT, async {
            let client = self.client().await?;
            let (client, done) = work(client).await;
            if !client.is_closed() {
                locked(&self.idle).push(client);
            }
            Ok(done?)
        });
        done.await.unwrap_or(Err(Failed::Timeout))
    }

    async fn execute(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64, Failed> {
        self.on(|client| async move {
            let done = client.execute_typed(sql, parameters).await;
            (client, done)
        })
        .await
    }

    /// The same for what may be done twice.
    async fn execute_again(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64, Failed> {
        again(Failed::passes, || self.execute(sql, parameters)).await
    }

    /// Reads rows, and again when the connection was lost.
    async fn rows(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, Failed> {
        let ask = || {
            self.on(|client| async move {
                let rows = client.query_typed(sql, parameters).await;
                (client, rows)
            })
        };
        again(Failed::passes, ask).await
    }

    async fn put_new_now(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        check_key(key)?;
        // Another one for each write: of two that write the same bytes only one is told that it did.
        let mark = self.mark();
        let insert = "INSERT INTO zonewright_objects (key, writer, body) VALUES ($1, $2, $3)";
        for attempt in 1.. {
            let parameters: [Parameter<'_>; 3] = [
                (&key, Type::TEXT),
                (&mark, Type::TEXT),
                (&bytes, Type::BYTEA),
            ];
            let failed = match self.execute(insert, &parameters).await {
                Ok(_) => return Ok(Put::Created),
                Err(failed) => failed,
            };
            if !failed.exists() && !failed.passes() {
                return Err(failed.into_error(key, "create"));
            }
            let there = "SELECT writer, body FROM zonewright_objects WHERE key = $1";
            let rows = self.rows(there, &[(&key, Type::TEXT)]).await;
            if let Ok([row]) = rows.as_deref() {
                let ours = row.try_get::<_, &str>(0).is_ok_and(|by| by == mark)
                    && row.try_get::<_, &[u8]>(1).is_ok_and(|body| body == bytes);
                return Ok(if ours { Put::Created } else { Put::Exists });
            }
            if attempt == TRIES {
                return Err(failed.into_error(key, "create"));
            }
            pause(attempt).await;
        }
        unreachable!("invariant: the loop returns");
    }

    async fn get_now(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let sql = "SELECT body FROM (\
             SELECT body, 0 AS rank, 0 AS number FROM zonewright_objects WHERE key = $1 \
             UNION ALL \
             SELECT body, 1, number FROM zonewright_hints WHERE key = $1) AS found \
             ORDER BY rank, number DESC LIMIT 1";
        let rows = self.rows(sql, &[(&key, Type::TEXT)]).await;
        let rows = rows.map_err(|f| f.into_error(key, "read"))?;
        let body = rows.first().map(|row| row.try_get::<_, Vec<u8>>(0));
        body.transpose()
            .map_err(|e| Failed::from(e).into_error(key, "read"))
    }

    async fn list_now(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT key FROM (\
             SELECT key FROM zonewright_objects UNION SELECT key FROM zonewright_hints) AS keys \
             WHERE starts_with(key, $1) AND ($2::text IS NULL OR key > $2 COLLATE \"C\") \
             ORDER BY key COLLATE \"C\"";
        let parameters: [Parameter<'_>; 2] = [(&prefix, Type::TEXT), (&after, Type::TEXT)];
        let rows = self.rows(sql, &parameters).await;
        let rows = rows.map_err(|f| f.into_error(prefix, "list"))?;
        let keys: Result<_, Error> = rows.iter().map(|row| row.try_get(0)).collect();
        keys.map_err(|e| Failed::from(e).into_error(prefix, "list"))
    }

    /// The newest hint counts; the older ones are removed where that is allowed.
    async fn put_hint_now(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        let insert = "INSERT INTO zonewright_hints (key, body) VALUES ($1, $2)";
        let parameters: [Parameter<'_>; 2] = [(&key, Type::TEXT), (&bytes, Type::BYTEA)];
        let written = self.execute_again(insert, &parameters).await;
        written.map_err(|f| f.into_error(key, "write"))?;
        let tidy = "DELETE FROM zonewright_hints AS old USING zonewright_hints AS new \
             WHERE old.key = $1 AND new.key = $1 AND old.number < new.number";
        if let Err(failed) = self.execute(tidy, &[(&key, Type::TEXT)]).await {
            tracing::debug!(denied = failed.denied(), "old hints stay");
        }
        Ok(())
    }

    async fn gc_now(&self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        for table in ["zonewright_objects", "zonewright_hints"] {
            let sql = format!("DELETE FROM {table} WHERE key = $1");
            let done = self.execute_again(&sql, &[(&key, Type::TEXT)]).await;
            done.map_err(|f| f.into_error(key, "remove"))?;
        }
        Ok(())
    }

    async fn prepare_now(&self) -> Result<(), StoreError> {
        let there = "SELECT to_regclass('zonewright_objects') IS NOT NULL \
             AND to_regclass('zonewright_hints') IS NOT NULL";
        let doing = |f: Failed| f.into_error("zonewright_objects", "make");
        let rows = self.rows(there, &[]).await.map_err(doing)?;
        // A role that may only add rows finds the tables that another one made.
        if rows
            .first()
            .is_some_and(|row| row.try_get(0).unwrap_or(false))
        {
            return Ok(());
        }
        self.on(|client| async move {
            let done = client.batch_execute(TABLES).await;
            (client, done)
        })
        .await
        .map_err(doing)
    }
}

/// Without TLS only this machine is spoken to.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => ["127.0.0.1", "localhost", "::1"].contains(&name.as_str()),
        Host::Unix(_) => true,
    }
}

/// The address without user and password.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().unwrap_or("postgres");
    format!("postgresql://{host}:{port}/{database}")
}

impl Store for PostgresStore {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn prepare(&self) -> StoreResult<'_, ()> {
        self.prepare_now().boxed()
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        self.put_new_now(key, bytes).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        self.get_now(key).boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        self.list_now(prefix, after).boxed()
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        self.put_hint_now(key, bytes).boxed()
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        self.gc_now(key).boxed()
    }
}
