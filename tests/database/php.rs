//! BZ-24, X14: the script that a cold smoke runs in the application's image, run by a real PHP.

use std::process::{Command, Output};

use zonewright_providers::probe::PING;

use super::server::{Authority, PASSWORD, Server, installed, program};

/// What a container may be given, as the script sees it.
#[derive(Clone, Copy)]
struct Container<'a> {
    user: &'a str,
    password: &'a str,
    authority: Option<&'a Authority>,
    config: &'a str,
}

/// As the example configures WordPress.
const VERIFYING: &str = "define('MYSQL_CLIENT_FLAGS', MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT);\ndefine('WP_HOME', 'https://x');";

pub(super) fn php() -> bool {
    let modules = |php| Command::new(php).arg("-m").output();
    let found = program("php").and_then(|php| modules(php).ok());
    let found = found.is_some_and(|o| String::from_utf8_lossy(&o.stdout).contains("mysqli"));
    if !found {
        zonewright_tests::skip("no PHP with mysqli (Debian packages php-cli, php-mysql)");
    }
    found
}

/// Runs the script; whether it was content, and what it said.
fn run(server: &Server, container: &Container<'_>) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let (said, ca) = (dir.path().join("said"), dir.path().join("ca.crt"));
    let script = PING.replace("/dev/termination-log", said.to_str().unwrap());
    let mut command = Command::new(program("php").unwrap());
    command
        .env_clear()
        .args(["-d", "display_errors=stderr", "-r", &script])
        .env("WORDPRESS_DB_HOST", format!("127.0.0.1:{}", server.port))
        .env("WORDPRESS_DB_USER", container.user)
        .env("WORDPRESS_DB_PASSWORD", container.password)
        .env("WORDPRESS_DB_NAME", "wp");
    if !container.config.is_empty() {
        command.env("WORDPRESS_CONFIG_EXTRA", container.config);
    }
    if let Some(authority) = container.authority {
        std::fs::write(&ca, &authority.pem).unwrap();
        command.env("SSL_CERT_FILE", &ca);
    }
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    let text = std::fs::read_to_string(&said).unwrap_or_else(|_| panic!("nothing said: {stderr}"));
    assert!(!text.contains(PASSWORD) && !stderr.contains(PASSWORD));
    (status.success(), format!("{text} / {stderr}"))
}

#[test]
fn bz_24_the_smoke_script_tells_a_verified_connection_from_every_other() {
    if !installed() || !php() {
        return;
    }
    let (authority, other) = (Authority::of(&["127.0.0.1"]), Authority::new());
    let start = |authority| {
        let server = Server::start(1, authority, &[]);
        server.sql(&format!(
            "CREATE DATABASE wp; CREATE USER 'o''b\\\\s'@'%' IDENTIFIED BY '{PASSWORD}'; \
             GRANT ALL ON wp.* TO 'o''b\\\\s'@'%'"
        ));
        server
    };
    let server = start(Some(&authority));
    let right = Container {
        user: "o'b\\s",
        password: PASSWORD,
        authority: Some(&authority),
        config: VERIFYING,
    };
    let told = |server: &Server, container: Container<'_>, good: bool, words: &str| {
        let (content, said) = run(server, &container);
        assert_eq!((content, said.contains(words)), (good, true), "{said}");
    };
    told(&server, right, true, "verified TLS, read_only 0 /");
    let unsaid = Container {
        config: "",
        ..right
    };
    told(&server, unsaid, true, "no WORDPRESS_CONFIG_EXTRA says");
    for config in [
        "define('WP_HOME', 'https://x');",
        "define('MYSQL_CLIENT_FLAGS', MYSQLI_CLIENT_SSL);",
    ] {
        let lax = Container { config, ..right };
        told(&server, lax, false, "would not verify the database");
    }
    for authority in [Some(&other), None] {
        let wrong = Container { authority, ..right };
        told(&server, wrong, false, "error 2002 from the database: TLS");
    }
    let password = "another-password";
    let stranger = Container { password, ..right };
    told(&server, stranger, false, "error 1045");
    // Its certificate is good for another name than the one that is asked.
    let named = start(Some(&other));
    let elsewhere = Container {
        authority: Some(&other),
        ..right
    };
    told(&named, elsewhere, false, "error 2002");
    let plain = start(None);
    told(&plain, right, false, "error 2006");
    server.sql("SET GLOBAL read_only = 1");
    told(&server, right, true, "verified TLS, read_only 1 /");
    server.sql("DROP DATABASE wp");
    told(&server, right, false, "error 1049");
}
