//! The databases over the wire: an independent client, and the command line client of Debian.

use std::path::Path;
use std::process::Command;

use http::Method;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, SslOpts};
use serde_json::{Value, json};
use zonewright_sandbox::control::Client;
use zonewright_sandbox::control::database::{Behaviour, Certificate, Replication};

use crate::lifetime::Server;

/// A world with a writer and a replica of it.
struct Databases {
    server: Server,
    writer: Value,
    replica: Value,
    ca: Vec<u8>,
}

/// Where and as whom to connect.
struct Login<'a> {
    host: &'a str,
    user: &'a str,
    password: &'a str,
    schema: Option<&'a str>,
}

impl Databases {
    async fn new() -> Databases {
        let server = Server::start(None).await;
        let made = api(
            &server,
            "POST",
            "/v2/databases",
            &json!({"name": "wp-pz", "engine": "mysql", "version": "8", "region": "nyc3",
                "size": "db-s-1vcpu-2gb", "num_nodes": 1}),
        )
        .await;
        let writer = made["database"].clone();
        let own = format!("/v2/databases/{}", text(&writer["id"]));
        let replica = api(
            &server,
            "POST",
            &format!("{own}/replicas"),
            &json!({"name": "wp-bz", "region": "sfo3", "size": "db-s-1vcpu-2gb"}),
        )
        .await["replica"]
            .clone();
        let ca = api(&server, "GET", &format!("{own}/ca"), &Value::Null).await;
        use base64::Engine;
        let encoded = text(&ca["ca"]["certificate"]);
        let ca = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .unwrap();
        Databases {
            server,
            writer,
            replica,
            ca,
        }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// As the administrator of the writer or replica.
    async fn open(&self, database: &Value) -> Conn {
        self.connect(&self.login(database)).await.unwrap()
    }

    fn login<'a>(&'a self, database: &'a Value) -> Login<'a> {
        Login {
            host: text(&database["connection"]["host"]),
            user: "doadmin",
            password: text(&self.writer["connection"]["password"]),
            schema: Some("defaultdb"),
        }
    }

    async fn connect(&self, login: &Login<'_>) -> mysql_async::Result<Conn> {
        Conn::new(self.opts(login)).await
    }

    fn opts(&self, login: &Login<'_>) -> Opts {
        let address = self.server.ready.endpoints().mysql;
        let tls = SslOpts::default()
            .with_root_certs(vec![self.ca.clone().into()])
            .with_disable_built_in_roots(true)
            .with_danger_tls_hostname_override(Some(login.host.to_owned()));
        OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(login.user))
            .pass(Some(login.password))
            .db_name(login.schema)
            .prefer_socket(false)
            .ssl_opts(tls)
            .into()
    }

    async fn set(&self, database: &Value, behaviour: Behaviour) {
        let name = text(&database["name"]);
        self.client().set_database(name, &behaviour).await.unwrap();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn api(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let env = server.ready.env();
    let find = |name: &str| env.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let url = format!("{}{path}", find("DIGITALOCEAN_API_URL"));
    let authorization = format!("Bearer {}", find("DIGITALOCEAN_TOKEN"));
    let headers = [("authorization", authorization.as_str())];
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let (status, bytes) = crate::client::send(method, &url, &headers, body.as_bytes()).await;
    assert!(status < 300, "{method} {path} -> {status}");
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn code(error: &mysql_async::Error) -> u16 {
    match error {
        mysql_async::Error::Server(error) => error.code,
        other => panic!("not the server's own error: {other}"),
    }
}

#[tokio::test]
async fn logins_are_checked_and_refused_with_the_servers_codes() {
    let world = Databases::new().await;
    let own = format!("/v2/databases/{}", text(&world.writer["id"]));
    for name in ["wp_app", "old"] {
        let plugin = if name == "old" {
            "mysql_native_password"
        } else {
            "caching_sha2_password"
        };
        let body = json!({"name": name, "mysql_settings": {"auth_plugin": plugin}});
        let made = api(&world.server, "POST", &format!("{own}/users"), &body).await;
        let login = Login {
            user: name,
            password: text(&made["user"]["password"]),
            ..world.login(&world.writer)
        };
        let mut conn = world.connect(&login).await.unwrap();
        let user: Option<String> = conn.query_first("SELECT CURRENT_USER()").await.unwrap();
        assert_eq!(user.unwrap(), format!("{name}@127.0.0.1"));
    }
    let right = world.login(&world.writer);
    for (login, wanted) in [
        (
            Login {
                password: "wrong",
                ..world.login(&world.writer)
            },
            1045,
        ),
        (
            Login {
                user: "nobody",
                ..world.login(&world.writer)
            },
            1045,
        ),
        (
            Login {
                schema: Some("other"),
                ..right
            },
            1049,
        ),
    ] {
        assert_eq!(code(&world.connect(&login).await.unwrap_err()), wanted);
    }
    // Without TLS there is no way in.
    let plain =
        OptsBuilder::from_opts(world.opts(&world.login(&world.writer))).ssl_opts(None::<SslOpts>);
    assert_eq!(code(&Conn::new(Opts::from(plain)).await.unwrap_err()), 3159);
}

#[tokio::test]
async fn the_certificate_is_right_until_it_is_made_wrong() {
    let world = Databases::new().await;
    let private = format!("private-{}", text(&world.writer["connection"]["host"]));
    let login = Login {
        host: &private,
        ..world.login(&world.writer)
    };
    world.connect(&login).await.unwrap();
    let nobody = Login {
        host: "nobody-do-user-1-0.db.ondigitalocean.com",
        ..world.login(&world.writer)
    };
    assert!(world.connect(&nobody).await.is_err());
    for wrong in [Certificate::OtherAuthority, Certificate::OtherName] {
        let behaviour = Behaviour {
            certificate: Some(wrong),
            ..Behaviour::default()
        };
        world.set(&world.writer, behaviour).await;
        let refused = world
            .connect(&world.login(&world.writer))
            .await
            .unwrap_err();
        assert!(
            format!("{refused:?}").contains("InvalidCertificate"),
            "{refused:?}"
        );
        world.open(&world.replica).await;
    }
    let right = Behaviour {
        certificate: Some(Certificate::Right),
        ..Behaviour::default()
    };
    world.set(&world.writer, right).await;
    world.open(&world.writer).await;
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS heartbeat.heartbeat (
    ts varchar(26) NOT NULL, server_id int unsigned NOT NULL PRIMARY KEY)";

async fn beat(conn: &mut Conn) -> String {
    let now: Option<String> = conn.query_first("SELECT UTC_TIMESTAMP(6)").await.unwrap();
    let now = now.unwrap();
    conn.exec_drop(
        "REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES (?, ?)",
        (&now, 1),
    )
    .await
    .unwrap();
    now
}

/// A replica that stops has what was written up to that millisecond, so what it must not have comes
/// in a later one.
async fn pass_a_millisecond(conn: &mut Conn) {
    let mut first: Option<String> = None;
    for _ in 0..100_000 {
        let now: Option<String> = conn.query_first("SELECT UTC_TIMESTAMP(3)").await.unwrap();
        match &first {
            None => first = now,
            Some(first) if now.as_ref() != Some(first) => return,
            Some(_) => {}
        }
    }
    panic!("the server's clock stands still");
}

async fn seen(conn: &mut Conn) -> Option<String> {
    conn.query_first("SELECT ts FROM heartbeat.heartbeat WHERE server_id = 1")
        .await
        .unwrap()
}

async fn status(conn: &mut Conn) -> (String, String, Option<u64>) {
    let row: Option<Row> = conn.query_first("SHOW REPLICA STATUS").await.unwrap();
    let row = row.unwrap();
    let figure = row
        .get::<Option<String>, _>("Seconds_Behind_Source")
        .unwrap();
    (
        row.get("Replica_IO_Running").unwrap(),
        row.get("Source_Host").unwrap(),
        figure.map(|f| f.parse().unwrap()),
    )
}

#[tokio::test]
async fn a_replica_follows_lags_breaks_and_lies() {
    let world = Databases::new().await;
    let (mut writer, mut replica) = (
        world.open(&world.writer).await,
        world.open(&world.replica).await,
    );
    writer
        .query_drop("CREATE DATABASE IF NOT EXISTS heartbeat")
        .await
        .unwrap();
    writer.query_drop(TABLE).await.unwrap();
    writer.query_drop(TABLE).await.unwrap();
    let first = beat(&mut writer).await;
    assert_eq!(seen(&mut replica).await.as_ref(), Some(&first));
    let host = text(&world.writer["connection"]["host"]).to_owned();
    assert_eq!(
        status(&mut replica).await,
        ("Yes".to_owned(), host.clone(), Some(0))
    );

    let lagging = Behaviour {
        lag_seconds: Some(3600),
        ..Behaviour::default()
    };
    world.set(&world.replica, lagging).await;
    let tables: Option<u64> = replica
        .query_first(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'heartbeat'",
        )
        .await
        .unwrap();
    assert_eq!(tables, Some(0), "an hour ago there was no table");
    assert_eq!(status(&mut replica).await.2, Some(3600));

    let frozen = Behaviour {
        replication: Some(Replication::Frozen),
        lag_seconds: Some(0),
        ..Behaviour::default()
    };
    world.set(&world.replica, frozen).await;
    pass_a_millisecond(&mut writer).await;
    let second = beat(&mut writer).await;
    assert_ne!(first, second);
    assert_eq!(seen(&mut replica).await, Some(first.clone()));
    assert_eq!(
        status(&mut replica).await,
        ("Yes".to_owned(), host.clone(), Some(0))
    );

    let broken = Behaviour {
        replication: Some(Replication::Broken),
        ..Behaviour::default()
    };
    world.set(&world.replica, broken).await;
    assert_eq!(seen(&mut replica).await, Some(first));
    assert_eq!(status(&mut replica).await, ("No".to_owned(), host, None));
    let old: Option<Row> = replica.query_first("SHOW SLAVE STATUS").await.unwrap();
    assert_eq!(
        old.unwrap().get::<String, _>("Slave_IO_Running").unwrap(),
        "No"
    );

    let late = Behaviour {
        lag_seconds: Some(3600),
        ..Behaviour::default()
    };
    world.set(&world.replica, late).await;
    let running = Behaviour {
        replication: Some(Replication::Running),
        ..Behaviour::default()
    };
    world.set(&world.replica, running).await;
    assert_eq!(seen(&mut replica).await, Some(second));
    let none: Option<Row> = writer.query_first("SHOW REPLICA STATUS").await.unwrap();
    assert!(none.is_none());
}

#[tokio::test]
async fn a_heartbeat_goes_on_while_it_is_written_and_stands_still_on_a_frozen_replica() {
    let world = Databases::new().await;
    let (mut writer, mut replica) = (
        world.open(&world.writer).await,
        world.open(&world.replica).await,
    );
    let newest = "SELECT MAX(ts) FROM heartbeat.heartbeat";
    assert_eq!(code(&writer.query_drop(newest).await.unwrap_err()), 1049);
    let body = json!({"name": "pz", "region": "nyc3", "version": "latest",
        "node_pools": [{"name": "main", "size": "s-2vcpu-4gb", "count": 1}]});
    let clusters = "/v2/kubernetes/clusters";
    let made = api(&world.server, "POST", clusters, &body).await;
    let cluster = text(&made["kubernetes_cluster"]["id"]).to_owned();
    let path = format!("{clusters}/{cluster}/credentials");
    let credentials = api(&world.server, "GET", &path, &Value::Null).await;
    let authority = world.server.ready.cluster_authority().to_owned();
    let send = async |method: &str, path: &str, body: &Value| {
        let url = format!("{}{path}", text(&credentials["server"]));
        let authorization = format!("Bearer {}", text(&credentials["token"]));
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.to_string().into_bytes();
        let (status, text) =
            crate::client::send_encrypted(&authority, method, &url, &headers, &body).await;
        assert!(status < 300, "{}", String::from_utf8_lossy(&text));
    };
    let connection = &world.writer["connection"];
    let env = json!([
        {"name": "MYSQL_HOST", "value": connection["host"]},
        {"name": "MYSQL_PORT", "value": "25060"},
        {"name": "MYSQL_USER", "value": "doadmin"},
        {"name": "MYSQL_PASSWORD", "value": connection["password"]},
    ]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "wp-heartbeat", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "h"}}, "template": {
            "metadata": {"labels": {"app": "h"}},
            "spec": {"containers": [{"name": "h", "image": "mysql:8.4", "env": env}]}}}});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    send("POST", deployments, &deployment).await;
    let age = "SELECT TIMESTAMPDIFF(SECOND, MAX(ts), UTC_TIMESTAMP(6)) FROM heartbeat.heartbeat";
    for conn in [&mut writer, &mut replica] {
        let age: Option<i64> = conn.query_first(age).await.unwrap();
        assert!((0..=1).contains(&age.unwrap()), "{age:?}");
    }
    let lag = Behaviour {
        replication: Some(Replication::Frozen),
        ..Behaviour::default()
    };
    world.set(&world.replica, lag).await;
    let stopped: Option<String> = replica.query_first(newest).await.unwrap();
    send("DELETE", &format!("{deployments}/wp-heartbeat"), &json!({})).await;
    let last: Option<String> = writer.query_first(newest).await.unwrap();
    let on = Behaviour {
        heartbeat: Some(true),
        ..Behaviour::default()
    };
    world.set(&world.writer, on).await;
    let again: Option<String> = writer.query_first(newest).await.unwrap();
    assert!(again > last, "{again:?} {last:?}");
    assert_eq!(
        replica.query_first::<String, _>(newest).await.unwrap(),
        stopped
    );
    let servers: Vec<u32> = writer
        .query("SELECT server_id FROM heartbeat.heartbeat")
        .await
        .unwrap();
    assert_eq!(servers.len(), 1);
    let tables: Vec<String> = writer.query("SHOW TABLES FROM heartbeat").await.unwrap();
    assert_eq!(tables, ["heartbeat"]);
}

#[tokio::test]
async fn a_replica_refuses_writes_until_it_is_told_otherwise() {
    let world = Databases::new().await;
    let (mut writer, mut replica) = (
        world.open(&world.writer).await,
        world.open(&world.replica).await,
    );
    writer
        .query_drop("CREATE TABLE canary (id int PRIMARY KEY, note text)")
        .await
        .unwrap();
    let flags: Option<(u8, u8)> = replica
        .query_first("SELECT @@read_only, @@global.super_read_only")
        .await
        .unwrap();
    assert_eq!(flags, Some((1, 1)));
    let write = "INSERT INTO canary VALUES (1, 'x')";
    assert_eq!(code(&replica.query_drop(write).await.unwrap_err()), 1290);
    let taken = writer
        .query_drop("SET GLOBAL read_only = 1")
        .await
        .unwrap_err();
    assert_eq!(code(&taken), 1227);
    let off = Behaviour {
        read_only: Some(false),
        ..Behaviour::default()
    };
    world.set(&world.replica, off).await;
    replica.query_drop(write).await.unwrap();
    let count = "SELECT COUNT(*) FROM canary";
    assert_eq!(replica.query_first::<u64, _>(count).await.unwrap(), Some(1));
    assert_eq!(writer.query_first::<u64, _>(count).await.unwrap(), Some(0));
}

#[tokio::test]
async fn statements_do_what_they_say_and_others_are_refused() {
    let world = Databases::new().await;
    let mut conn = world.open(&world.writer).await;
    conn.query_drop(
        "CREATE TABLE t (id bigint NOT NULL AUTO_INCREMENT, name varchar(64) NOT NULL DEFAULT 'n',
         made datetime DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (id)) ENGINE=InnoDB",
    )
    .await
    .unwrap();
    conn.query_drop("INSERT INTO t (name) VALUES ('a'), ('b'), (DEFAULT)")
        .await
        .unwrap();
    assert_eq!((conn.affected_rows(), conn.last_insert_id()), (3, Some(3)));
    let names: Vec<String> = conn
        .query("SELECT name FROM `t` WHERE id >= 2 ORDER BY id DESC LIMIT 5")
        .await
        .unwrap();
    assert_eq!(names, ["n", "b"]);
    conn.exec_drop("UPDATE t SET name = ? WHERE name = ?", ("it's", "a"))
        .await
        .unwrap();
    let row: Option<(u64, String)> = conn
        .exec_first("SELECT id, name FROM t WHERE name LIKE ?", ("it%",))
        .await
        .unwrap();
    assert_eq!(row, Some((1, "it's".to_owned())));
    let twice = "INSERT INTO t (id, name) VALUES (1, 'z')";
    assert_eq!(code(&conn.query_drop(twice).await.unwrap_err()), 1062);
    conn.query_drop(format!(
        "{twice} ON DUPLICATE KEY UPDATE name = VALUES(name)"
    ))
    .await
    .unwrap();
    conn.query_drop("START TRANSACTION").await.unwrap();
    conn.query_drop("DELETE FROM t").await.unwrap();
    assert_eq!(conn.affected_rows(), 3);
    conn.query_drop("ROLLBACK").await.unwrap();
    let kept: Option<(u64, String)> = conn
        .query_first("SELECT COUNT(*), MAX(name) FROM t")
        .await
        .unwrap();
    assert_eq!(kept, Some((3, "z".to_owned())));
    let gap: Option<u64> = conn
        .query_first("SELECT TIMESTAMPDIFF(SECOND, MIN(made), UTC_TIMESTAMP(6)) FROM t")
        .await
        .unwrap();
    assert!(gap.unwrap() < 60);
    for (wrong, wanted) in [
        ("SELEKT 1", 1064),
        ("SELECT * FROM nothing", 1146),
        ("SELECT nothing FROM t", 1054),
        ("USE nothing", 1049),
        ("CREATE TABLE t (id int PRIMARY KEY)", 1050),
        ("CREATE TABLE u (id int)", 3750),
        ("INSERT INTO t (id, name) VALUES (9, NULL)", 1048),
        ("SELECT * FROM t JOIN t u", 1235),
        ("CREATE VIEW v AS SELECT 1", 1235),
        ("SELECT SLEEP(1)", 1235),
        ("SELECT @@nothing", 1193),
    ] {
        assert_eq!(
            code(&conn.query_drop(wrong).await.unwrap_err()),
            wanted,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_is_written_outlives_the_server_and_goes_into_restores_and_promotions() {
    let world = Databases::new().await;
    let mut writer = world.open(&world.writer).await;
    writer
        .query_drop("CREATE TABLE canary (id int PRIMARY KEY)")
        .await
        .unwrap();
    writer
        .query_drop("INSERT INTO canary VALUES (7)")
        .await
        .unwrap();
    drop(writer);
    let Databases {
        server,
        writer,
        replica,
        ca,
    } = world;
    let address = server.ready.endpoints();
    let server = server.restart().await;
    assert_eq!(server.ready.endpoints(), address, "the port is kept");
    let world = Databases {
        server,
        writer,
        replica,
        ca,
    };
    let mut replica = world.open(&world.replica).await;
    let count = "SELECT COUNT(*) FROM canary";
    assert_eq!(replica.query_first::<u64, _>(count).await.unwrap(), Some(1));

    let own = format!("/v2/databases/{}", text(&world.writer["id"]));
    api(
        &world.server,
        "PUT",
        &format!("{own}/replicas/wp-bz/promote"),
        &Value::Null,
    )
    .await;
    replica
        .query_drop("INSERT INTO canary VALUES (8)")
        .await
        .unwrap();
    assert_eq!(replica.query_first::<u64, _>(count).await.unwrap(), Some(2));
    let mut writer = world.open(&world.writer).await;
    assert_eq!(writer.query_first::<u64, _>(count).await.unwrap(), Some(1));

    // The only backup is older than the table.
    let backups = api(
        &world.server,
        "GET",
        &format!("{own}/backups"),
        &Value::Null,
    )
    .await;
    let at = text(&backups["backups"][0]["created_at"]);
    let body = json!({"name": "wp-r", "engine": "mysql", "version": "8", "region": "sfo3",
        "size": "db-s-1vcpu-2gb", "num_nodes": 1,
        "backup_restore": {"database_name": "wp-pz", "backup_created_at": at}});
    let made = api(&world.server, "POST", "/v2/databases", &body).await["database"].clone();
    let login = Login {
        password: text(&made["connection"]["password"]),
        ..world.login(&made)
    };
    let mut restored = world.connect(&login).await.unwrap();
    assert_eq!(code(&restored.query_drop(count).await.unwrap_err()), 1146);
    let log = world
        .client()
        .call(Method::GET, "/requests", None)
        .await
        .unwrap();
    let log = log.as_array().unwrap();
    assert!(
        log.iter()
            .any(|r| r["service"] == "mysql" && r["method"] == "INSERT" && r["applied"] == true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_client_gets_in_without_a_server_name() {
    // The client of Debian's package `mariadb-client`.
    let program = "/usr/bin/mariadb";
    if !Path::new(program).is_file() {
        let required = std::env::var_os("ZONEWRIGHT_REQUIRE_SUITES").is_some();
        assert!(!required, "mariadb-client is not installed");
        println!("skipped: mariadb-client is not installed");
        return;
    }
    let world = Databases::new().await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &world.ca).unwrap();
    let address = world.server.ready.endpoints().mysql;
    let password = text(&world.writer["connection"]["password"]).to_owned();
    let run = move |password: String, sql: &str| {
        let output = Command::new(program)
            .args([
                "--no-defaults",
                "--protocol=tcp",
                "--host=127.0.0.1",
                "--batch",
            ])
            .arg(format!("--port={}", address.port()))
            .arg(format!("--ssl-ca={}", ca.display()))
            .args(["--user=doadmin", "--execute", sql, "defaultdb"])
            .env("MYSQL_PWD", password)
            .output()
            .unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (out, err) = run(
        password.clone(),
        "SELECT @@read_only, DATABASE(); SHOW DATABASES LIKE 'd%'",
    );
    assert!(out.contains("0\tdefaultdb"), "{out}{err}");
    let (_, err) = run("wrong".to_owned(), "SELECT 1");
    assert!(err.contains("ERROR 1045 (28000)"), "{err}");
}
