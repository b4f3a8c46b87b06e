//! From a fresh connection to a session: greeting, TLS, the choice of the database, the password.
//!
//! A database is chosen by the server name that the client asks TLS for. Without one, the databases
//! whose user has this password are tried; a client that asks for the right schema finds the right one.

use std::io;

use rustls::server::Acceptor;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::call::{Scene, due, text};
use crate::control::CLIENT;
use crate::digitalocean::login;
use crate::sandbox::Sandbox;

use super::authority::{self, Shown};
use super::outcome::SqlError;
use super::statement::{SYSTEM_SCHEMAS, Session, unknown_schema};
use super::wire::{Pieces, Wire};

const SSL: u64 = 0x800;
const CONNECT_WITH_DB: u64 = 0x8;
const PLUGIN_AUTH: u64 = 0x8_0000;
const LENGTH_ENCODED_AUTH: u64 = 0x20_0000;
/// What the server can do: the above, long passwords and flags, protocol 4.1, transactions, secure
/// connections, found rows, attributes.
const CAPABILITIES: u64 = 0x38_a20f | SSL;
const CACHING: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";

/// A connection after TLS.
pub(super) type Encrypted = Wire<Box<TlsStream<TcpStream>>>;

/// What the client says about itself.
struct Hello {
    user: String,
    answer: Vec<u8>,
    schema: Option<String>,
    plugin: String,
}

/// Brings a connection to where statements can be said; `None` when it ends before.
pub(super) async fn open(
    sandbox: &Sandbox,
    stream: TcpStream,
    connection: u32,
) -> io::Result<Option<(Encrypted, Session)>> {
    let nonce = nonce()?;
    let mut wire = Wire::new(stream, 0);
    wire.queue(&greeting(connection, &nonce));
    wire.flush().await?;
    let Some(first) = wire.read().await? else {
        return Ok(None);
    };
    if Pieces(&first).number(4).unwrap_or(0) & SSL == 0 {
        let message = "Connections using insecure transport are prohibited while \
                       --require_secure_transport=ON.";
        wire.queue(&SqlError::new(3159, "HY000", message).packet());
        wire.flush().await?;
        return Ok(None);
    }
    let (stream, sequence) = wire.into_parts();
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let Some((stream, host)) = secure(sandbox, start).await? else {
        return Ok(None);
    };
    let mut wire = Wire::new(Box::new(stream), sequence);
    let Some(packet) = wire.read().await? else {
        return Ok(None);
    };
    let Some(hello) = hello(&packet) else {
        wire.queue(&SqlError::new(1043, "08S01", "Bad handshake").packet());
        wire.flush().await?;
        return Ok(None);
    };
    match authenticate(sandbox, &mut wire, &hello, host.as_deref(), &nonce).await? {
        Ok(id) => {
            let session = Session {
                id,
                user: hello.user,
                schema: hello.schema,
                connection,
                ..Session::default()
            };
            Ok(Some((wire, session)))
        }
        Err(refused) => {
            wire.queue(&refused.packet());
            wire.flush().await?;
            wire.close().await;
            Ok(None)
        }
    }
}

/// Twenty random bytes without a zero.
fn nonce() -> io::Result<[u8; 20]> {
    let mut nonce = [0u8; 20];
    getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(nonce.map(|b| b % 94 + 33))
}

fn greeting(connection: u32, nonce: &[u8; 20]) -> Vec<u8> {
    let capabilities = CAPABILITIES.to_le_bytes();
    let mut out = vec![10];
    out.extend_from_slice(b"8.0.45\0");
    out.extend_from_slice(&connection.to_le_bytes());
    out.extend_from_slice(&nonce[..8]);
    out.push(0);
    out.extend_from_slice(&capabilities[..2]);
    // utf8mb4, autocommit.
    out.extend_from_slice(&[45, 2, 0]);
    out.extend_from_slice(&capabilities[2..4]);
    out.push(21);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(&nonce[8..]);
    out.push(0);
    out.extend_from_slice(CACHING.as_bytes());
    out.push(0);
    out
}

/// Finishes TLS with the certificate of the database that the client wants; gives its host name.
async fn secure(
    sandbox: &Sandbox,
    start: StartHandshake<TcpStream>,
) -> io::Result<Option<(TlsStream<TcpStream>, Option<String>)>> {
    let name = start.client_hello().server_name().map(str::to_owned);
    let host = name.filter(|name| name.ends_with(".db.ondigitalocean.com"));
    let made = sandbox.stage(|scene| {
        let tables = scene.txn.tables();
        let docs: Vec<&Value> = match &host {
            Some(host) => login::by_host(tables, scene.now, host)
                .into_iter()
                .collect(),
            None => login::everything(tables)
                .filter(|doc| due(doc, "online_ms", scene.now))
                .collect(),
        };
        // Elsewhere the packets of others are dropped; here the connection ends, which takes less time.
        let client = scene.switches.client_address.unwrap_or(CLIENT);
        let docs: Vec<&Value> = docs
            .into_iter()
            .filter(|doc| login::lets_in(doc, client))
            .collect();
        let names = docs.iter().map(|doc| text(doc, "host"));
        let names: Vec<String> = names
            .flat_map(|h| [h.to_owned(), format!("private-{h}")])
            .collect();
        // Without a name to choose by, the right one is shown.
        let shown = docs.first().filter(|_| host.is_some());
        let shown = shown.and_then(|doc| doc["certificate"].as_str());
        let shown = shown.and_then(Shown::parse).unwrap_or(Shown::Right);
        (!names.is_empty()).then(|| authority::server_config(scene.txn, &names, shown))
    })?;
    // A name that nobody has would not resolve, and a firewall lets nothing through.
    let Some(config) = made else {
        return Ok(None);
    };
    let config = config.map_err(io::Error::other)?;
    let stream = start.into_stream(config).await?;
    Ok(Some((stream, host)))
}

fn hello(packet: &[u8]) -> Option<Hello> {
    let mut pieces = Pieces(packet);
    let capabilities = pieces.number(4)?;
    pieces.take(4 + 1 + 23)?;
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let user = utf8(pieces.until_zero()?);
    let answer = match capabilities & LENGTH_ENCODED_AUTH {
        0 => {
            let length = usize::from(pieces.byte()?);
            pieces.take(length)?
        }
        _ => pieces.text()?,
    };
    let schema = match capabilities & CONNECT_WITH_DB {
        0 => None,
        _ => Some(utf8(pieces.until_zero()?)).filter(|s| !s.is_empty()),
    };
    let plugin = match capabilities & PLUGIN_AUTH {
        0 => NATIVE.to_owned(),
        _ => utf8(pieces.until_zero()?),
    };
    Some(Hello {
        user,
        answer: answer.to_vec(),
        schema,
        plugin,
    })
}

/// Checks user, password and schema; gives the id of the database.
async fn authenticate(
    sandbox: &Sandbox,
    wire: &mut Encrypted,
    hello: &Hello,
    host: Option<&str>,
    nonce: &[u8; 20],
) -> io::Result<Result<String, SqlError>> {
    let wanted = sandbox.stage(|scene| {
        let all = candidates(scene, hello, host);
        all.first().map(|one| one.plugin)
    })?;
    // An unknown user is asked like any other.
    let wanted = wanted.unwrap_or(CACHING);
    let mut answer = hello.answer.clone();
    if hello.plugin != wanted {
        let mut switch = vec![0xfe];
        switch.extend_from_slice(wanted.as_bytes());
        switch.push(0);
        switch.extend_from_slice(nonce);
        switch.push(0);
        wire.queue(&switch);
        wire.flush().await?;
        let Some(packet) = wire.read().await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        answer = packet;
    }
    let decided = sandbox.stage(|scene| {
        let all = candidates(scene, hello, host);
        decide(&all, hello, (wanted, &answer), nonce)
    })?;
    if decided.is_ok() && wanted == CACHING {
        // The server knows the password, so the short way is always open.
        wire.queue(&[1, 3]);
    }
    Ok(decided)
}

/// A database that a client may mean.
struct Candidate {
    id: String,
    password: Option<String>,
    plugin: &'static str,
    has_schema: bool,
}

fn candidates(scene: &Scene<'_, '_>, hello: &Hello, host: Option<&str>) -> Vec<Candidate> {
    let (tables, now) = (scene.txn.tables(), scene.now);
    let client = scene.switches.client_address.unwrap_or(CLIENT);
    let docs: Vec<&Value> = match host {
        Some(host) => login::by_host(tables, now, host).into_iter().collect(),
        None => login::everything(tables)
            .filter(|doc| due(doc, "online_ms", now))
            .collect(),
    };
    let open = docs.into_iter().filter(|doc| login::lets_in(doc, client));
    let made = open.map(|doc| {
        let owner = login::owner(tables, doc);
        let users = owner["users"].as_array().into_iter().flatten();
        let user = users.into_iter().find(|u| text(u, "name") == hello.user);
        let native = user.is_some_and(|u| u["mysql_settings"]["auth_plugin"] == NATIVE);
        let schema = hello.schema.as_deref();
        Candidate {
            id: text(doc, "id").to_owned(),
            password: user.map(|u| text(u, "password").to_owned()),
            plugin: if native { NATIVE } else { CACHING },
            has_schema: schema
                .is_none_or(|s| SYSTEM_SCHEMAS.contains(&s) || login::has_schema(owner, s)),
        }
    });
    // Those that fit better come first; a stable order keeps writers before replicas.
    let mut all: Vec<Candidate> = made.collect();
    all.sort_by_key(|c| (c.password.is_none(), !c.has_schema));
    all
}

fn decide(
    all: &[Candidate],
    hello: &Hello,
    (plugin, answer): (&str, &[u8]),
    nonce: &[u8; 20],
) -> Result<String, SqlError> {
    let right = |c: &&Candidate| {
        let password = c.password.as_deref();
        password.is_some_and(|p| scramble(plugin, p, nonce) == answer)
    };
    let user = &hello.user;
    let used = if answer.is_empty() { "NO" } else { "YES" };
    let denied = || {
        let message =
            format!("Access denied for user '{user}'@'127.0.0.1' (using password: {used})");
        SqlError::new(1045, "28000", message)
    };
    let found = all.iter().find(right).ok_or_else(denied)?;
    match &hello.schema {
        Some(schema) if !found.has_schema => Err(unknown_schema(schema)),
        _ => Ok(found.id.clone()),
    }
}

/// What a client answers that knows the password.
fn scramble(plugin: &str, password: &str, nonce: &[u8; 20]) -> Vec<u8> {
    fn mixed(a: &[u8], b: &[u8]) -> Vec<u8> {
        a.iter().zip(b).map(|(a, b)| a ^ b).collect()
    }
    if password.is_empty() {
        return Vec::new();
    }
    if plugin == NATIVE {
        let once = Sha1::digest(password.as_bytes());
        let twice = Sha1::digest(once);
        let salted = Sha1::new()
            .chain_update(nonce)
            .chain_update(twice)
            .finalize();
        return mixed(&once, &salted);
    }
    let once = Sha256::digest(password.as_bytes());
    let twice = Sha256::digest(once);
    let salted = Sha256::new()
        .chain_update(twice)
        .chain_update(nonce)
        .finalize();
    mixed(&once, &salted)
}
