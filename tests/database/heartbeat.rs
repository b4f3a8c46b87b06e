//! BZ-17: the script that `zonewright observability` writes for the heartbeat, run against real servers with a real
//! client, and the lag that is measured with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zonewright_engine::check::Verdict;
use zonewright_tests::Env;

use super::lag::Pair;
use super::server::{Authority, PASSWORD, PATIENCE, Server, installed, program};

/// In the place of the container's client: MariaDB's has other words for a connection that is verified, and the
/// authority is elsewhere. What it is fed goes through as it is.
pub(super) const CLIENT: &str = r#"#!/bin/sh
for arg; do
  shift
  case "$arg" in
    --ssl-mode=VERIFY_IDENTITY) set -- "$@" --ssl-verify-server-cert ;;
    --ssl-ca=/etc/db-ca/ca.crt) set -- "$@" --ssl-ca="$CA" ;;
    --ssl-ca=*) set -- "$@" "$arg" ;;
    --ssl-*) echo "what is $arg?" >&2; exit 2 ;;
    *) set -- "$@" "$arg" ;;
  esac
done
exec "$MARIADB" --no-defaults "$@"
"#;

/// The script of the generated manifest.
fn script() -> String {
    let env = Env::example("wordpress-dr", env!("CARGO_BIN_EXE_zonewright-under-test"));
    let manifest = env.expect(0, &["observability", "heartbeat.yaml"]).stdout;
    let (_, block) = manifest.split_once("            - |\n").unwrap();
    let lines = block
        .lines()
        .map_while(|l| l.strip_prefix("              "))
        .map(|l| format!("{l}\n"));
    lines.collect()
}

/// The script at work, as in its container.
struct Writer {
    child: Child,
    dir: tempfile::TempDir,
}

impl Writer {
    fn start(server: &Server, authority: &Authority) -> Writer {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("mysql", CLIENT);
        write("ca.crt", &authority.pem);
        write("heartbeat.sh", &script());
        executable(&dir.path().join("mysql"));
        let said = std::fs::File::create(dir.path().join("said")).unwrap();
        let child = Command::new("/bin/sh")
            .args([
                "-c",
                &std::fs::read_to_string(dir.path().join("heartbeat.sh")).unwrap(),
            ])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
            .env("MARIADB", program("mariadb").unwrap())
            .env("CA", dir.path().join("ca.crt"))
            .env("DB_HOST", format!("127.0.0.1:{}", server.port))
            .env("DB_USER", "wp")
            .env("DB_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        Writer { child, dir }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("said")).unwrap()
    }

    /// Waits for its end, which is no success.
    fn ends(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it goes on: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!self.child.wait().unwrap().success());
        self.said()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A client without anybody who feeds it ends by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A pair whose source writes no heartbeat by itself; what an application may, the script may.
pub(super) fn without_heartbeat() -> Pair {
    let pair = Pair::start();
    pair.source.sql(&format!(
        "DROP DATABASE heartbeat; \
         CREATE USER 'wp'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
         GRANT ALL ON heartbeat.* TO 'wp'@'%'"
    ));
    pair
}

#[test]
fn bz_17_the_generated_heartbeat_measures_lag_on_real_servers() {
    if !installed() {
        return;
    }
    let pair = without_heartbeat();
    pair.until("no table", |_, v| matches!(v, Verdict::Unknown(_)));
    // What a former writer left is no heartbeat of this one.
    pair.source.sql(
        "CREATE DATABASE heartbeat; CREATE TABLE heartbeat.heartbeat (ts varchar(26) NOT NULL, \
         server_id int unsigned NOT NULL PRIMARY KEY); \
         INSERT INTO heartbeat.heartbeat VALUES ('2020-01-01T00:00:00.000000', 7)",
    );
    let mut writer = Writer::start(&pair.source, &pair.authority);
    let fresh = |age: Option<f64>, verdict: &Verdict| {
        matches!(verdict, Verdict::Pass(_)) && age.is_some_and(|a| a < 3.0)
    };
    pair.until("healthy", fresh);
    let rows = pair.source.sql("SELECT server_id FROM heartbeat.heartbeat");
    assert_eq!(rows.trim(), "1", "{}", writer.said());
    // A link that is cut shows in the replica alone.
    pair.link.cut();
    pair.until("cut", |age, _| age.is_some_and(|a| a > 3.0));
    let own = pair.source.sql(
        "SELECT TIMESTAMPDIFF(SECOND, STR_TO_DATE(ts, '%Y-%m-%dT%H:%i:%s.%f'), UTC_TIMESTAMP(6)) \
         FROM heartbeat.heartbeat",
    );
    assert!(
        own.trim().parse::<u32>().unwrap() < 3,
        "{own} {}",
        writer.said()
    );
    pair.link.mend();
    pair.until("caught up", fresh);
    assert!(
        writer.child.try_wait().unwrap().is_none(),
        "{}",
        writer.said()
    );
    // It ends with its connection, so that the container starts again.
    pair.source.sql("KILL USER 'wp'@'%'");
    let said = writer.ends();
    assert!(!said.contains(PASSWORD), "{said}");
    let _again = Writer::start(&pair.source, &pair.authority);
    pair.until("started again", fresh);
}

#[test]
fn bz_17_the_generated_heartbeat_writes_to_the_right_server_only() {
    if !installed() {
        return;
    }
    let authority = Authority::of(&["127.0.0.1"]);
    let elsewhere = Authority::of(&["db.elsewhere.test"]);
    for (server, told) in [(&authority, &elsewhere), (&elsewhere, &elsewhere)] {
        let server = Server::start(1, Some(server), &[]);
        server.sql(&format!(
            "CREATE USER 'wp'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON heartbeat.* TO 'wp'@'%'"
        ));
        let said = Writer::start(&server, told).ends();
        assert!(said.contains("SSL") || said.contains("TLS"), "{said}");
        let databases = server.sql("SHOW DATABASES");
        assert!(!databases.contains("heartbeat"), "{databases} {said}");
    }
}
