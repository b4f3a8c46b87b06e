//! BZ-15, BZ-17: lag is what the heartbeat says; the server's own figure stands still while the link is cut.

use std::time::{Duration, Instant};

use zonewright_engine::check::{DatabaseAnswer, DatabaseAsk, Verdict};

use super::link::Link;
use super::server::{Authority, NAME, PASSWORD, PATIENCE, Server, installed, verdict};

const BEAT: &str = "REPLACE INTO heartbeat.heartbeat (ts, server_id) VALUES \
     (DATE_FORMAT(UTC_TIMESTAMP(6) + INTERVAL {} SECOND, '%Y-%m-%dT%H:%i:%s.%f'), 1)";

/// A source and its replica, over a link that can be cut. A heartbeat is written by the source itself.
pub(super) struct Pair {
    pub(super) authority: Authority,
    pub(super) source: Server,
    pub(super) link: Link,
    pub(super) replica: Server,
}

impl Pair {
    pub(super) fn start() -> Pair {
        let authority = Authority::of(&[NAME, "127.0.0.1"]);
        let source = Server::start(1, Some(&authority), &["--event-scheduler=ON"]);
        let link = Link::to(source.port);
        let replica = Server::start(2, Some(&authority), &["--read-only=1"]);
        source.sql(&format!(
            "CREATE USER 'copy'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
             GRANT REPLICATION SLAVE ON *.* TO 'copy'@'%'; \
             CREATE USER 'reader'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
             CREATE DATABASE heartbeat; \
             CREATE TABLE heartbeat.heartbeat \
             (ts varchar(26) NOT NULL, server_id int unsigned PRIMARY KEY); \
             GRANT SELECT ON heartbeat.* TO 'reader'@'%'; \
             GRANT SLAVE MONITOR ON *.* TO 'reader'@'%'; \
             CREATE EVENT heartbeat.beat ON SCHEDULE EVERY 1 SECOND DO {}",
            BEAT.replace("{}", "0")
        ));
        let ca = replica.ca_file();
        replica.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='copy', \
             MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, \
             MASTER_SSL=1, MASTER_SSL_CA='{}', MASTER_SSL_VERIFY_SERVER_CERT=0; START SLAVE",
            link.address.port(),
            ca.display()
        ));
        Pair {
            authority,
            source,
            link,
            replica,
        }
    }

    fn heartbeat(&self) -> (Option<f64>, Option<String>, Verdict) {
        let ask = DatabaseAsk::Heartbeat;
        let answer = self.replica.ask("reader", &self.authority.pem, ask);
        let seen = match &answer {
            Ok(DatabaseAnswer::Heartbeat {
                age_seconds,
                server_says,
                ..
            }) => (*age_seconds, server_says.clone()),
            _ => (None, None),
        };
        (seen.0, seen.1, verdict(ask, true, answer))
    }

    /// Asks until the answer is as it has to be.
    pub(super) fn until(
        &self,
        what: &str,
        is: impl Fn(Option<f64>, &Verdict) -> bool,
    ) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (age, server, verdict) = self.heartbeat();
            if is(age, &verdict) {
                return server;
            }
            let status = || self.replica.sql("SHOW SLAVE STATUS");
            assert!(Instant::now() < until, "{what}: {verdict:?} {}", status());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Puts a row in the place of the living heartbeat.
    fn beat(&self, offset: &str) {
        self.source.sql(&BEAT.replace("{}", offset));
    }
}

#[test]
fn bz_17_the_heartbeat_tells_the_lag_that_the_server_does_not() {
    if !installed() {
        return;
    }
    let pair = Pair::start();
    let fresh = |age: Option<f64>, verdict: &Verdict| {
        matches!(verdict, Verdict::Pass(_)) && age.is_some_and(|a| a < 3.0)
    };
    let healthy = pair.until("healthy", fresh);
    assert_eq!(healthy.as_deref(), Some("0 s"));
    pair.link.cut();
    let growing = |over: f64| {
        pair.until("cut", move |age, _| age.is_some_and(|a| a > over))
            .unwrap_or_default()
    };
    assert_eq!(growing(3.5), "0 s", "the server notices nothing yet");
    // When it does, it has no figure at all; ours goes on.
    pair.link.refuse();
    let until = Instant::now() + PATIENCE;
    let mut over = 3.5;
    while growing(over) != "NULL" {
        assert!(Instant::now() < until, "the server never notices");
        over += 0.5;
    }
    pair.link.mend();
    pair.until("caught up", fresh);
    // A writer that stopped a while ago, a clock that is wrong, no writer at all.
    pair.source.sql("DROP EVENT heartbeat.beat");
    pair.beat("-120");
    pair.until("behind", |_, v| matches!(v, Verdict::Fail(_)));
    pair.beat("30");
    pair.until(
        "a clock that is ahead",
        |_, v| matches!(v, Verdict::Pass(t) if t.contains("ahead of this one")),
    );
    pair.beat("120");
    pair.until(
        "clocks",
        |_, v| matches!(v, Verdict::Unknown(t) if t.contains("clocks")),
    );
    pair.source.sql("DELETE FROM heartbeat.heartbeat");
    pair.until(
        "empty",
        |_, v| matches!(v, Verdict::Unknown(t) if t.contains("empty")),
    );
    // The row of a server that wrote before a failover stays, and says nothing.
    pair.beat("0");
    pair.source
        .sql("INSERT INTO heartbeat.heartbeat VALUES ('2020-01-01T00:00:00.000000', 7)");
    pair.until("an old row beside it", |_, v| matches!(v, Verdict::Pass(_)));
    pair.source.sql("DROP DATABASE heartbeat");
    pair.until(
        "no table",
        |_, v| matches!(v, Verdict::Unknown(t) if t.contains("there is no heartbeat")),
    );
}

#[test]
fn bz_15_the_replica_takes_no_writes_and_the_source_does() {
    if !installed() {
        return;
    }
    let pair = Pair::start();
    pair.until("replicated", |_, v| matches!(v, Verdict::Pass(_)));
    let mode = |server: &Server| {
        let answer = server.ask("reader", &pair.authority.pem, DatabaseAsk::ReadOnly);
        verdict(DatabaseAsk::ReadOnly, true, answer)
    };
    let (replica, source) = (mode(&pair.replica), mode(&pair.source));
    assert!(matches!(replica, Verdict::Pass(_)), "{replica:?}");
    assert!(matches!(source, Verdict::Fail(_)), "{source:?}");
    pair.replica.sql("SET GLOBAL read_only = 0");
    let opened = mode(&pair.replica);
    assert!(matches!(opened, Verdict::Fail(_)), "{opened:?}");
}
