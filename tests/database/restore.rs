//! BZ-19, BZ-20, F34: a real dump is loaded into another server, and the steps after it are done once.

use std::collections::BTreeMap;
use std::time::Duration;

use zonewright_engine::config::{PostRestore, PostRestoreRun};
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::restore::finish::{Finish, Reach, Standing};
use zonewright_providers::probe::Hands;

use super::server::{Authority, PASSWORD, Server, installed, wait_for};

/// What a dump ends with, if it is whole.
const FOOTER: &[u8] = b"-- Dump completed";
const TABLES: usize = 3;

/// A small WordPress: names and values that have to be quoted, and rows enough to be cut in the middle.
fn fill(server: &Server) {
    server.sql(
        "CREATE DATABASE wp CHARACTER SET utf8mb4; USE wp; \
         CREATE TABLE wp_options (option_name varchar(191) PRIMARY KEY, option_value longtext); \
         INSERT INTO wp_options VALUES ('home', 'https://pz.example.org'), \
           ('blogname', 'O''Reilly \\\\ \u{201e}quotes\u{201c} \u{1F600}'), ('_transient_a', '1'), ('_transient_b', '2'); \
         CREATE TABLE wp_posts (id int AUTO_INCREMENT PRIMARY KEY, title varchar(200)); \
         INSERT INTO wp_posts (title) SELECT CONCAT('post ', seq) FROM seq_1_to_2000; \
         CREATE TABLE wp_terms (id int PRIMARY KEY); INSERT INTO wp_terms VALUES (1)",
    );
}

fn step(name: &str, sql: &str, check: &str) -> PostRestore {
    PostRestore {
        name: name.to_owned(),
        run: PostRestoreRun::Sql(sql.to_owned()),
        check: check.to_owned(),
    }
}

fn steps() -> Vec<PostRestore> {
    let missing = format!(
        "SELECT COUNT(*) <> {TABLES} FROM information_schema.tables WHERE table_schema = DATABASE()"
    );
    vec![
        step(
            "every table arrived",
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'tables are missing: restore another backup'",
            &missing,
        ),
        step(
            "home address",
            "UPDATE wp_options SET option_value = 'https://bz.example.org' WHERE option_name = 'home'",
            "SELECT COUNT(*) FROM wp_options WHERE option_name = 'home' AND option_value <> 'https://bz.example.org'",
        ),
        step(
            "index of titles",
            "CREATE INDEX by_title ON wp_posts (title); ANALYZE TABLE wp_posts",
            "SELECT COUNT(*) = 0 FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND index_name = 'by_title'",
        ),
        step(
            "no transients",
            "DELETE FROM wp_options WHERE option_name LIKE '\\_transient\\_%'",
            "SELECT SUM(option_name LIKE '\\_transient\\_%') FROM wp_options",
        ),
    ]
}

fn hands(server: &Server, authority: &Authority) -> Hands {
    let mut admin = server.probe("admin", &authority.pem).0;
    admin.database = Some("wp".to_owned());
    Hands {
        server: admin,
        cluster: Err(ProviderError::new(ErrorClass::NotFound, "no step is a Job")),
        jobs: BTreeMap::new(),
        patience: Duration::from_secs(60),
    }
}

fn standings(finish: &Finish) -> Vec<Standing> {
    finish.rows().iter().map(|r| r.standing).collect()
}

fn carry_out(hands: &Hands, mut finish: Finish) -> Finish {
    wait_for(hands.carry_out(&mut finish));
    finish
}

/// A server with a restored database and an administrator as the vendor makes one.
fn restored(authority: &Authority, dump: &[u8]) -> (Server, bool) {
    let server = Server::start(2, Some(authority), &[]);
    let content = server.load(dump);
    server.sql(&format!(
        "CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
         GRANT ALL ON *.* TO 'admin'@'%'"
    ));
    (server, content)
}

#[test]
fn bz_20_steps_after_the_restore_of_a_dump_are_done_once() {
    if !installed() {
        return;
    }
    let authority = Authority::new();
    let source = Server::start(1, Some(&authority), &[]);
    fill(&source);
    let dump = source.dump("wp");
    let end = dump.rsplit(|b| *b == b'\n').nth(1).unwrap();
    assert!(end.starts_with(FOOTER), "{}", String::from_utf8_lossy(end));
    let (server, content) = restored(&authority, &dump);
    assert!(content);
    for table in ["wp_options", "wp_posts", "wp_terms"] {
        let sum = format!("CHECKSUM TABLE wp.{table}");
        assert_eq!(server.sql(&sum), source.sql(&sum));
    }
    let hands = hands(&server, &authority);
    let version = wait_for(hands.server.writer()).unwrap();
    assert!(version.contains("MariaDB"), "{version}");
    let written = || server.sql("SELECT @@global.gtid_binlog_pos");
    let (steps, before) = (steps(), written());
    let looked = carry_out(&hands, Finish::look(&steps));
    use Standing::{Done, Needed, NotNeeded};
    assert_eq!(
        standings(&looked),
        [NotNeeded, Needed, Needed, Needed],
        "{looked:?}"
    );
    assert_eq!(written(), before, "looking writes nothing");
    let first = carry_out(&hands, Finish::run(&steps));
    assert_eq!(
        standings(&first),
        [NotNeeded, Done, Done, Done],
        "{first:?}"
    );
    let home = "SELECT option_value FROM wp.wp_options WHERE option_name = 'home'";
    assert_eq!(server.sql(home), "https://bz.example.org\n");
    let left = server.sql("SELECT COUNT(*) FROM wp.wp_options");
    assert_eq!(left, "2\n");
    let after = written();
    assert_ne!(after, before);
    let second = carry_out(&hands, Finish::run(&steps));
    assert_eq!(standings(&second), [NotNeeded; 4], "{second:?}");
    assert_eq!(written(), after, "the second run writes nothing");
}

/// A dump that was cut off is found before anything is done with it.
#[test]
fn f34_a_dump_that_is_cut_off_is_found_by_its_footer_and_by_a_check() {
    if !installed() {
        return;
    }
    let authority = Authority::new();
    let source = Server::start(1, Some(&authority), &[]);
    fill(&source);
    let dump = source.dump("wp");
    // Between two statements: the client that loads it finds nothing wrong.
    let cut = dump
        .windows(b"DROP TABLE IF EXISTS `wp_terms`".len())
        .position(|w| w == b"DROP TABLE IF EXISTS `wp_terms`")
        .unwrap();
    let short = &dump[..cut];
    assert!(!short.windows(FOOTER.len()).any(|w| w == FOOTER));
    let (server, content) = restored(&authority, short);
    assert!(content, "the client does not notice");
    let finish = carry_out(&hands(&server, &authority), Finish::run(&steps()));
    assert_eq!(finish.reach(), Reach::Some);
    use Standing::{Failed, NotRun};
    assert_eq!(standings(&finish), [Failed, NotRun, NotRun, NotRun]);
    let why = finish.rows()[0].why.as_deref().unwrap();
    assert!(why.contains("restore another backup"), "{why}");
}

/// A step that fails stops the rest; what was done before it stays, and no secret is in what is said.
#[test]
fn bz_20_a_step_that_fails_stops_the_rest_and_tells_no_secret() {
    if !installed() {
        return;
    }
    let authority = Authority::new();
    let (server, _) = restored(
        &authority,
        b"CREATE DATABASE wp; CREATE TABLE wp.t (a int);",
    );
    let hands = hands(&server, &authority);
    let run = |steps: &[PostRestore]| carry_out(&hands, Finish::run(steps));
    let fill = step(
        "fill",
        "INSERT INTO t VALUES (1)",
        "SELECT COUNT(*) = 0 FROM t",
    );
    let told = step(
        "told",
        &format!("SELECT 1; SELECT FROM '{PASSWORD}'"),
        "SELECT 1",
    );
    let found = run(&[fill.clone(), told, fill.clone()]);
    use Standing::{Done, Failed, NotRun};
    assert_eq!(standings(&found), [Done, Failed, NotRun], "{found:?}");
    let why = found.rows()[1].why.clone().unwrap();
    assert!(why.contains("syntax"), "{why}");
    assert!(why.contains("(secret)") && !why.contains(PASSWORD), "{why}");
    // A check that would change something is refused by the server.
    let sly = step("sly", "DO 0", "DELETE FROM t");
    let found = run(&[sly]);
    assert_eq!(found.reach(), Reach::Nothing);
    let why = found.rows()[0].why.clone().unwrap();
    assert!(why.contains("READ ONLY"), "{why}");
    assert_eq!(server.sql("SELECT COUNT(*) FROM wp.t"), "1\n");
    // One whose statement does not do what its check asks for.
    let idle = step("idle", "DO 0", "SELECT COUNT(*) FROM t");
    assert_eq!(standings(&run(&[idle])), [Failed]);
    // One that never ends is not waited for, and what it did is asked for.
    let impatient = Hands {
        patience: Duration::from_secs(1),
        ..self::hands(&server, &authority)
    };
    let slow = |sql: &str, check: &str| {
        carry_out(&impatient, Finish::run(&[step("slow", sql, check)])).reach()
    };
    let full = "SELECT COUNT(*) = 1 FROM t";
    assert_eq!(
        slow("INSERT INTO t VALUES (2); SELECT SLEEP(30)", full),
        Reach::Whole
    );
    assert_eq!(slow("SELECT SLEEP(30)", "SELECT 1"), Reach::InDoubt);
}

/// A replica takes no steps, and neither does one that forgot to be read-only.
#[test]
fn bz_20_steps_are_for_a_writer_only() {
    if !installed() {
        return;
    }
    let authority = Authority::new();
    let (server, _) = restored(&authority, b"CREATE DATABASE wp");
    let hands = hands(&server, &authority);
    wait_for(hands.server.writer()).unwrap();
    server.sql("SET GLOBAL read_only = 1");
    let refused = wait_for(hands.server.writer()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    assert!(refused.message.contains("is read-only"), "{refused}");
    server.sql("SET GLOBAL read_only = 0; CHANGE MASTER TO MASTER_HOST = '127.0.0.1'");
    let refused = wait_for(hands.server.writer()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    assert!(refused.message.contains("follows another"), "{refused}");
}
