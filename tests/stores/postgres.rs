//! A PostgreSQL database: a real server, started for the test, and a link to it that loses replies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zonewright_engine::secret::Secret;
use zonewright_state::store::postgres::PostgresStore;
use zonewright_state::store::probe::{Fit, probe};
use zonewright_state::store::{Put, Store, StoreError};
use zonewright_state::{OsRng, conformance};

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "a-password-of-the-test";

/// The directory of the server's programs; says so when there is none.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|v| v.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    if found.is_empty() {
        zonewright_tests::skip("no PostgreSQL (Debian package postgresql)");
    }
    found.pop()
}

/// The server refuses to run as root: then the user is that of Debian's package, or nobody.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|l| l.starts_with("postgres:"));
    let ids = line.and_then(|line| {
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(ids.unwrap_or((65_534, 65_534)))
}

struct Server {
    bin: PathBuf,
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
    databases: AtomicUsize,
}

impl Server {
    fn start(bin: &Path, standby: bool) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let owner = unprivileged();
        if let Some((uid, gid)) = owner {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command
                .current_dir(dir.path())
                .env_clear()
                .env("LC_ALL", "C.UTF-8");
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let secret = dir.path().join("pw");
        std::fs::write(&secret, PASSWORD).unwrap();
        if let Some((uid, gid)) = owner {
            chown(&secret, Some(uid), Some(gid)).unwrap();
        }
        let made = command("initdb")
            .args([
                "-D",
                "data",
                "-U",
                "owner",
                "--pwfile=pw",
                "--no-sync",
                "-E",
                "UTF8",
            ])
            .args(["--auth=scram-sha-256"])
            .status();
        assert!(made.unwrap().success(), "initdb");
        if standby {
            std::fs::write(dir.path().join("data/standby.signal"), "").unwrap();
        }
        let child = command("postgres")
            .args(["-D", "data", "-c", "listen_addresses=127.0.0.1", "-c"])
            .arg(format!("port={port}"))
            .args([
                "-c",
                "unix_socket_directories=",
                "-c",
                "shared_buffers=16MB",
            ])
            .args(["-c", "max_connections=200"])
            .spawn()
            .unwrap();
        let server = Server {
            bin: bin.to_owned(),
            dir,
            child,
            port,
            databases: AtomicUsize::new(0),
        };
        let deadline = Instant::now() + PATIENCE;
        while server.sql("postgres", "SELECT 1").is_none() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What the server answers to its owner.
    fn sql(&self, database: &str, sql: &str) -> Option<String> {
        let output = Command::new(self.bin.join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .current_dir(self.dir.path())
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "owner",
                "-X",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
            ])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim().to_owned())
    }

    fn database(&self) -> String {
        let n = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("state{n}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))
            .unwrap();
        name
    }

    fn open(&self, user: &str, port: u16, database: &str) -> PostgresStore {
        let url = format!("postgresql://{user}:{PASSWORD}@127.0.0.1:{port}/{database}");
        PostgresStore::new(&Secret::new("secret.state_url", url, None), None).unwrap()
    }

    /// A store in a new database.
    fn store(&self) -> PostgresStore {
        let store = self.open("owner", self.port, &self.database());
        wait(store.prepare()).unwrap();
        store
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A link to the server. When it is told to, it loses the next answer and closes.
struct Link {
    port: u16,
    lose: Arc<AtomicBool>,
}

impl Link {
    fn to(port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let lose = Arc::new(AtomicBool::new(false));
        let losing = Arc::clone(&lose);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (up, down) = (
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                );
                let (none, losing) = (Arc::default(), Arc::clone(&losing));
                std::thread::spawn(move || pipe(up.0, up.1, &none));
                std::thread::spawn(move || pipe(down.0, down.1, &losing));
            }
        });
        Link { port: own, lose }
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream, lose: &AtomicBool) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if lose.swap(false, Ordering::SeqCst) || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_database_conforms_and_is_fit() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, false);
    conformance::run(|| server.store());
    conformance::hosts::run(|| conformance::hosts::over(server.store()));
    let store = server.store();
    wait(store.prepare()).unwrap();
    let fit = wait(probe(&store, &mut OsRng)).unwrap();
    assert_eq!(fit, Fit { removes: true });
}

#[test]
fn a_role_that_may_only_add_rows_will_do() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, false);
    let database = server.database();
    wait(server.open("owner", server.port, &database).prepare()).unwrap();
    let grants = format!(
        "CREATE ROLE pipeline LOGIN PASSWORD '{PASSWORD}'; \
         GRANT SELECT, INSERT ON zonewright_objects, zonewright_hints TO pipeline; \
         GRANT USAGE ON SEQUENCE zonewright_hints_number_seq TO pipeline"
    );
    server.sql(&database, &grants).unwrap();
    let store = server.open("pipeline", server.port, &database);
    wait(store.prepare()).unwrap();
    let fit = wait(probe(&store, &mut OsRng)).unwrap();
    assert_eq!(fit, Fit { removes: false });
    for hint in [&b"1"[..], b"2"] {
        wait(store.put_hint("pz/hint", hint)).unwrap();
        assert_eq!(wait(store.get("pz/hint")).unwrap().as_deref(), Some(hint));
    }
    assert!(wait(store.gc("pz/hint")).unwrap_err().is_denied());
}

fn lie(store: &PostgresStore) -> &'static str {
    let error = wait(store.get("meta.json")).unwrap_err();
    match error {
        StoreError::Untrusted { lie, place, .. } => {
            assert!(
                !place.contains(PASSWORD) && !place.contains("owner"),
                "{place}"
            );
            lie.name()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_database_that_forgets_commits_is_refused() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, false);
    let database = server.database();
    let off = format!("ALTER DATABASE {database} SET synchronous_commit = off");
    server.sql("postgres", &off).unwrap();
    assert_eq!(
        lie(&server.open("owner", server.port, &database)),
        "volatile"
    );
}

#[test]
fn a_standby_is_refused() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, true);
    assert_eq!(
        server
            .sql("postgres", "SELECT pg_is_in_recovery()")
            .unwrap(),
        "t"
    );
    assert_eq!(
        lie(&server.open("owner", server.port, "postgres")),
        "standby"
    );
}

#[test]
fn a_commit_whose_answer_is_lost_is_settled_by_reading() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, false);
    let link = Link::to(server.port);
    let database = server.database();
    let store = server.open("owner", link.port, &database);
    wait(async {
        store.prepare().await.unwrap();
        assert_eq!(store.put_new("pz/log/1", b"1").await.unwrap(), Put::Created);
        link.lose.store(true, Ordering::SeqCst);
        assert_eq!(store.put_new("pz/log/2", b"2").await.unwrap(), Put::Created);
        link.lose.store(true, Ordering::SeqCst);
        assert_eq!(store.put_new("pz/log/2", b"2").await.unwrap(), Put::Exists);
        // A server that threw us out is asked again.
        let out = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'zonewright'";
        server.sql("postgres", out).unwrap();
        assert_eq!(store.put_new("pz/log/3", b"3").await.unwrap(), Put::Created);
        assert_eq!(store.list("pz/log/", None).await.unwrap().len(), 3);
    });
}

#[test]
fn a_wrong_password_and_missing_tables_are_told_without_the_password() {
    let Some(bin) = programs() else { return };
    let server = Server::start(&bin, false);
    let database = server.database();
    let none = wait(
        server
            .open("owner", server.port, &database)
            .get("meta.json"),
    )
    .unwrap_err();
    let StoreError::Io { source, .. } = &none else {
        panic!("{none:?}")
    };
    assert!(source.to_string().contains("state init"), "{source}");
    let url = format!(
        "postgresql://owner:not-{PASSWORD}@127.0.0.1:{}/{database}",
        server.port
    );
    let wrong = PostgresStore::new(&Secret::new("secret.state_url", url, None), None).unwrap();
    let denied = wait(wrong.get("meta.json")).unwrap_err();
    assert!(denied.is_denied(), "{denied:?}");
    assert!(!format!("{denied:?}").contains(PASSWORD));
    let garbled = Secret::new(
        "secret.state_url",
        format!("postgresql://{PASSWORD}@:x"),
        None,
    );
    let Err(error) = PostgresStore::new(&garbled, None) else {
        panic!("it is no address")
    };
    assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
}
