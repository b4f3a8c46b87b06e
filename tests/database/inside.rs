//! BZ-17: the script that a Job in the zone asks a database with, run against real servers.

use std::process::Command;

use zonewright_engine::check::{DatabaseAnswer, DatabaseAsk, DatabaseProbe, Entry};
use zonewright_providers::probe::{ASK, answer};

use super::heartbeat::{CLIENT, executable};
use super::lag::Pair;
use super::server::{Authority, NAME, PASSWORD, Server, installed, program};

/// What the script says of a server.
fn said(server: &Server, authority: &Authority, user: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("mysql"), CLIENT).unwrap();
    executable(&path("mysql"));
    // Another name for the same server, that its certificate does not have.
    std::fs::write(path("getent"), "#!/bin/sh\necho 127.1 $2\n").unwrap();
    executable(&path("getent"));
    std::fs::write(path("ca.crt"), &authority.pem).unwrap();
    std::fs::write(path("web.crt"), Authority::new().pem).unwrap();
    let script = ASK
        .replace("/dev/termination-log", path("said").to_str().unwrap())
        .replace(
            "/etc/ssl/certs/ca-certificates.crt",
            path("web.crt").to_str().unwrap(),
        )
        .replace("/etc/pki/tls/certs/ca-bundle.crt", "/nowhere");
    let done = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .env("MARIADB", program("mariadb").unwrap())
        .env("CA", path("ca.crt"))
        .env("DB_HOST", format!("127.0.0.1:{}", server.port))
        .env("DB_USER", user)
        .env("DB_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(done.stdout.is_empty(), "a log has what it says: {done:?}");
    let said = std::fs::read_to_string(path("said")).unwrap();
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

fn ask(said: &str, ask: DatabaseAsk) -> Result<DatabaseAnswer, String> {
    let entry = |key: &str| Entry {
        namespace: "app".to_owned(),
        secret: "wp-db".to_owned(),
        key: key.to_owned(),
    };
    let probe = DatabaseProbe {
        host: NAME.to_owned(),
        port: 0,
        user: entry("user"),
        password: entry("password"),
        ca: entry("ca"),
        ask,
        read_only: true,
        inside: Some(entry("host")),
    };
    answer(&probe, said).map_err(|e| e.to_string())
}

#[test]
fn bz_17_the_script_of_the_job_learns_what_the_lines_ask() {
    if !installed() {
        return;
    }
    let pair = Pair::start();
    pair.until("replicated", |age, _| age.is_some_and(|a| a < 3.0));
    let replica = said(&pair.replica, &pair.authority, "reader");
    match ask(&replica, DatabaseAsk::Session) {
        Ok(DatabaseAnswer::Session {
            version,
            other_authority_accepted,
            other_name_accepted,
        }) => {
            assert!(version.contains("MariaDB"), "{replica}");
            assert!(
                !other_authority_accepted && !other_name_accepted,
                "{replica}"
            );
        }
        other => panic!("{other:?}: {replica}"),
    }
    let read_only = DatabaseAnswer::ReadOnly { read_only: true };
    assert_eq!(
        ask(&replica, DatabaseAsk::ReadOnly),
        Ok(read_only),
        "{replica}"
    );
    match ask(&replica, DatabaseAsk::Heartbeat) {
        Ok(DatabaseAnswer::Heartbeat {
            age_seconds,
            server_says,
            ..
        }) => {
            assert!(
                age_seconds.is_some_and(|a| (-1.0..5.0).contains(&a)),
                "{replica}"
            );
            assert_eq!(server_says.as_deref(), Some("0 s"), "{replica}");
        }
        other => panic!("{other:?}: {replica}"),
    }
    let source = said(&pair.source, &pair.authority, "reader");
    let writes = DatabaseAnswer::ReadOnly { read_only: false };
    assert_eq!(ask(&source, DatabaseAsk::ReadOnly), Ok(writes), "{source}");
    // What must not be trusted is told nothing, and what is refused is no answer.
    let wrong = said(&pair.replica, &Authority::new(), "reader");
    let untrusted = ask(&wrong, DatabaseAsk::ReadOnly);
    assert!(
        matches!(untrusted, Ok(DatabaseAnswer::Untrusted { .. })),
        "{untrusted:?} {wrong}"
    );
    let stranger = said(&pair.replica, &pair.authority, "nobody");
    let denied = ask(&stranger, DatabaseAsk::ReadOnly).unwrap_err();
    assert!(denied.contains("1045"), "{denied}");
    pair.source.sql("DROP DATABASE heartbeat");
    pair.until("no table", |age, _| age.is_none());
    let without = said(&pair.replica, &pair.authority, "reader");
    match ask(&without, DatabaseAsk::Heartbeat) {
        Ok(DatabaseAnswer::Heartbeat {
            age_seconds: None,
            why: Some(why),
            ..
        }) => {
            assert!(why.contains("1146"), "{why}");
        }
        other => panic!("{other:?}: {without}"),
    }
}
