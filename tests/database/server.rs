//! Real servers in directories of their own, with an authority of their own.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use zonewright_engine::check::{
    Answer, Check, DatabaseAnswer, DatabaseAsk, DatabaseProbe, Entry, Probe, Severity, Verdict,
    judge,
};
use zonewright_engine::provider::ProviderError;
use zonewright_engine::secret::Secret;
use zonewright_providers::probe::mysql;

/// The name that certificates are for.
pub(crate) const NAME: &str = "db.example.test";
/// The password of every user.
pub(crate) const PASSWORD: &str = "a-password-of-the-test";
/// Everything that is waited for has happened by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Settings that keep a server small.
const SMALL: [&str; 2] = ["--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"];

/// Whether the servers' programs are on this machine; says so when they are not.
pub(crate) fn installed() -> bool {
    let found = ["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"]
        .iter()
        .all(|p| program(p).is_some());
    if !found {
        zonewright_tests::skip("no MariaDB (Debian package mariadb-server)");
    }
    found
}

pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let dirs = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    dirs.iter()
        .map(|d| Path::new(d).join(name))
        .find(|p| p.is_file())
}

/// An authority and the certificate of a server.
#[derive(Debug)]
pub(crate) struct Authority {
    /// The authority's certificate.
    pub(crate) pem: String,
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::of(&[NAME])
    }

    /// The certificate is for these names and addresses.
    pub(crate) fn of(names: &[&str]) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "The authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        let server = CertificateParams::new(names).unwrap();
        Authority {
            pem,
            certificate: server.signed_by(&own, &issuer).unwrap().pem(),
            key: own.serialize_pem(),
        }
    }
}

/// A running server; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Server {
    dir: tempfile::TempDir,
    _template: Arc<tempfile::TempDir>,
    child: Child,
    /// Its port on loopback.
    pub(crate) port: u16,
}

impl Server {
    /// Starts a server with an empty data directory. Without an authority it speaks no TLS.
    pub(crate) fn start(id: u32, authority: Option<&Authority>, more: &[&str]) -> Server {
        let template = template();
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let temporary = scratch(dir.path());
        copy(&template.path().join("data"), &data);
        let port = free_port();
        let mut command = Command::new(program("mariadbd").unwrap());
        command
            .arg("--no-defaults")
            .args(user())
            .args([
                format!("--datadir={}", data.display()),
                temporary,
                format!("--socket={}", dir.path().join("s").display()),
                format!("--pid-file={}", dir.path().join("pid").display()),
                format!("--port={port}"),
                format!("--server-id={id}"),
            ])
            .args([
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--log-bin=binlog",
            ])
            .args([
                "--log-slave-updates",
                "--gtid-strict-mode=1",
                "--slave-net-timeout=6",
            ])
            .args(SMALL)
            .args(more);
        if let Some(authority) = authority {
            let files = [
                ("ca", &authority.pem),
                ("cert", &authority.certificate),
                ("key", &authority.key),
            ];
            for (what, text) in files {
                let path = dir.path().join(format!("{what}.pem"));
                std::fs::write(&path, text).unwrap();
                command.arg(format!("--ssl-{what}={}", path.display()));
            }
        } else {
            command.arg("--skip-ssl");
        }
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        let mut server = Server {
            dir,
            _template: template,
            child,
            port,
        };
        server.wait_ready();
        server
    }

    fn wait_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.client("SELECT 1").status.success() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(self.child.try_wait().unwrap().is_none(), "{log}");
            assert!(Instant::now() < until, "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn client(&self, sql: &str) -> Output {
        Command::new(program("mariadb").unwrap())
            .args([
                "--no-defaults",
                "--batch",
                "--skip-column-names",
                "-uroot",
                "--default-character-set=utf8mb4",
            ])
            .arg(self.socket())
            .args(["-e", sql])
            .output()
            .unwrap()
    }

    /// Runs statements as the administrator; what they print.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let done = self.client(sql);
        assert!(
            done.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    }

    /// What `mariadb-dump` writes of a database.
    pub(crate) fn dump(&self, database: &str) -> Vec<u8> {
        let done = Command::new(program("mariadb-dump").unwrap())
            .args(["--no-defaults", "-uroot", "--single-transaction"])
            .arg(self.socket())
            .args(["--databases", database])
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        done.stdout
    }

    /// Loads a dump; whether the client was content.
    pub(crate) fn load(&self, dump: &[u8]) -> bool {
        let mut client = Command::new(program("mariadb").unwrap())
            .args(["--no-defaults", "-uroot"])
            .arg(self.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        // A client that gave up reads no more; its end says so.
        let _ = input.write_all(dump);
        drop(input);
        client.wait().unwrap().success()
    }

    fn socket(&self) -> String {
        format!("--socket={}", self.dir.path().join("s").display())
    }

    /// The authority's certificate as the server has it on disk.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Asks what a check asks, as this user.
    pub(crate) fn ask(
        &self,
        user: &str,
        authority: &str,
        ask: DatabaseAsk,
    ) -> Result<DatabaseAnswer, ProviderError> {
        self.probe(user, authority).ask_now(ask)
    }

    /// A probe that a test may change before it asks.
    pub(crate) fn probe(&self, user: &str, authority: &str) -> Asking {
        let secret = |label: &str, value: &str| Secret::new(label.to_owned(), value, None);
        Asking(mysql::Server {
            host: NAME.to_owned(),
            port: self.port,
            address: Some(SocketAddr::from(([127, 0, 0, 1], self.port))),
            user: secret("app/wp-db.user", user),
            password: secret("app/wp-db.password", PASSWORD),
            authority: secret("app/wp-db.ca", authority),
            database: None,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server as the product asks it.
pub(crate) struct Asking(pub(crate) mysql::Server);

impl Asking {
    pub(crate) fn ask_now(&self, ask: DatabaseAsk) -> Result<DatabaseAnswer, ProviderError> {
        wait_for(self.0.ask(ask))
    }
}

/// Waits for what the product does.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    zonewright_providers::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// What `verify` says of an answer, for a database that has to be read-only or not.
pub(crate) fn verdict(
    ask: DatabaseAsk,
    read_only: bool,
    answer: Result<DatabaseAnswer, ProviderError>,
) -> Verdict {
    let entry = |key: &str| Entry {
        namespace: "app".to_owned(),
        secret: "wp-db".to_owned(),
        key: key.to_owned(),
    };
    let check = Check {
        id: "database".to_owned(),
        title: String::new(),
        rows: &[],
        severity: Severity::Blocking,
        writes: false,
        max_age: Duration::from_secs(60),
        probe: Probe::Database(DatabaseProbe {
            inside: None,
            host: NAME.to_owned(),
            port: 0,
            user: entry("user"),
            password: entry("password"),
            ca: entry("ca"),
            ask,
            read_only,
        }),
    };
    judge(&check, &answer.map(Answer::Database))
}

/// A data directory without anything in it: made once for all servers that run, and gone with the last.
fn template() -> Arc<tempfile::TempDir> {
    static SHARED: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());
    // A test that failed to make one leaves nothing behind.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = shared.upgrade() {
        return made;
    }
    let dir = tempfile::tempdir().unwrap();
    let done = Command::new(program("mariadb-install-db").unwrap())
        .args([
            "--no-defaults",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ])
        .args(user())
        .args(SMALL)
        .arg(scratch(dir.path()))
        .arg(format!("--datadir={}", dir.path().join("data").display()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let dir = Arc::new(dir);
    *shared = Arc::downgrade(&dir);
    dir
}

/// Servers that share a directory for temporary files remove each other's.
fn scratch(dir: &Path) -> String {
    let made = dir.join("tmp");
    std::fs::create_dir(&made).unwrap();
    format!("--tmpdir={}", made.display())
}

/// A server that is started as root has to be told that this is meant.
fn user() -> Option<&'static str> {
    rustix::process::geteuid()
        .is_root()
        .then_some("--user=root")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
