//! BZ-22: the must-use plugin of the example that stops writes, run by a real PHP behind its own web server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::php::php;
use super::server::program;

/// What of WordPress the plugin uses, and a page that says which statements would be sent.
const WORDPRESS: &str = r#"<?php
$filters = [];
function add_filter($name, $how) { global $filters; $filters[$name] = $how; }
function __return_false() { return false; }
if (strpos($_SERVER['REQUEST_URI'], 'wp-cron') !== false) { define('DOING_CRON', true); }
(function () { require __DIR__ . '/read-only.php'; })();
foreach (["SELECT 1", " (select 2)", "SET NAMES utf8mb4", "SHOW TABLES", "INSERT INTO t VALUES (3)",
    "UPDATE t SET a = 4", "delete from t", "REPLACE INTO t VALUES (5)"] as $sql) {
    $sent = isset($filters['query']) ? $filters['query']($sql) : $sql;
    if ($sent !== '') { echo trim($sent), ";"; }
}
echo "cron ", defined('DISABLE_WP_CRON') ? "off" : "on";
foreach (['comments_open', 'xmlrpc_enabled', 'pre_wp_mail'] as $name) {
    echo isset($filters[$name]) && $filters[$name]() === false ? ", no $name" : "";
}
"#;

struct Site {
    server: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Site {
    /// PHP's own web server with the plugin, told what `WP_MODE` is. It says when it listens.
    fn start(mode: Option<&str>) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("read-only.php"), plugin()).unwrap();
        std::fs::write(dir.path().join("site.php"), WORDPRESS).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new(program("php").unwrap());
        command
            .env_clear()
            .current_dir(dir.path())
            .args(["-S", &format!("127.0.0.1:{port}"), "site.php"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(mode) = mode {
            command.env("WP_MODE", mode);
        }
        let mut server = command.spawn().unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("started") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "PHP ended: {line}");
        }
        // It goes on saying what it is asked.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Site {
            server,
            port,
            _dir: dir,
        }
    }

    /// The head and the body of the answer.
    fn ask(&self, method: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The plugin, as the manifest of the example has it.
fn plugin() -> String {
    let path = zonewright_tests::root().join("examples/wordpress-dr/manifests/read-only.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, plugin) = text.split_once("read-only.php: |\n").unwrap();
    let lines = plugin.lines().map(|l| l.strip_prefix("    ").unwrap_or(l));
    lines.map(|l| format!("{l}\n")).collect()
}

#[test]
fn bz_22_the_plugin_stops_what_would_write_and_nothing_else() {
    if !php() {
        return;
    }
    let site = Site::start(Some("read-only"));
    let (head, body) = site.ask("GET", "/wp-login.php");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(head.contains("X-Read-Only: 1"), "{head}");
    assert_eq!(
        body,
        "SELECT 1;(select 2);SET NAMES utf8mb4;SHOW TABLES;cron off, no comments_open, \
         no xmlrpc_enabled, no pre_wp_mail"
    );
    let (head, body) = site.ask("POST", "/wp-login.php");
    assert!(head.starts_with("HTTP/1.0 503"), "{head}");
    assert!(
        head.contains("Retry-After: 600") && head.contains("X-Read-Only: 1"),
        "{head}"
    );
    assert_eq!(body, "This site is read-only: another zone serves.");
    // A scheduled task that somebody asks for does not run.
    assert_eq!(site.ask("GET", "/wp-cron.php").1, "");
    for mode in [Some("read-write"), None] {
        let site = Site::start(mode);
        for method in ["GET", "POST"] {
            let (head, body) = site.ask(method, "/wp-login.php");
            assert!(head.starts_with("HTTP/1.0 200"), "{head}");
            assert!(!head.contains("X-Read-Only"), "{head}");
            assert!(
                body.contains("INSERT") && body.ends_with("cron on"),
                "{body}"
            );
        }
    }
}
