//! BZ-16, BZ-17, X14: a connection is verified or there is none.

use zonewright_engine::check::{DatabaseAsk, Verdict};

use super::server::{Authority, PASSWORD, Server, installed, verdict};

/// A name that has to be quoted everywhere.
const AWKWARD: &str = "o'b\\s `x` \"y\"";

#[test]
fn bz_17_only_the_right_authority_name_and_password_open_a_server() {
    if !installed() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start(1, Some(&authority), &[]);
    let quoted = AWKWARD.replace('\\', "\\\\").replace('\'', "\\'");
    server.sql(&format!(
        "CREATE USER '{quoted}'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL"
    ));
    let session = |authority: &Authority| {
        let answer = server.ask(AWKWARD, &authority.pem, DatabaseAsk::Session);
        verdict(DatabaseAsk::Session, true, answer)
    };
    let right = session(&authority);
    assert!(matches!(right, Verdict::Pass(_)), "{right:?}");
    assert!(right.evidence().contains("MariaDB"), "{right:?}");
    let wrong = session(&other);
    assert!(matches!(wrong, Verdict::Fail(_)), "{wrong:?}");
    let said = wrong.evidence();
    assert!(
        said.contains("not by the authority in app/wp-db.ca"),
        "{said}"
    );
    let mut named = server.probe(AWKWARD, &authority.pem);
    named.0.host = "db.elsewhere.test".to_owned();
    let refused = verdict(
        DatabaseAsk::Session,
        true,
        named.ask_now(DatabaseAsk::Session),
    );
    assert!(matches!(refused, Verdict::Fail(_)), "{refused:?}");
    let said = refused.evidence();
    assert!(
        said.contains("the certificate of db.elsewhere.test is refused: it is for "),
        "{said}"
    );
    let stranger = server.ask("stranger", &authority.pem, DatabaseAsk::Session);
    let said = stranger.unwrap_err().to_string();
    assert!(said.contains("Access denied for user 'stranger'"), "{said}");
    assert!(
        said.contains("does not take app/wp-db.user with app/wp-db.password"),
        "{said}"
    );
    assert!(!said.contains(PASSWORD), "{said}");
}

/// A server without TLS gets no password.
#[test]
fn a_server_in_clear_text_is_refused() {
    if !installed() {
        return;
    }
    let authority = Authority::new();
    let server = Server::start(1, None, &[]);
    server.sql(&format!(
        "CREATE USER 'reader'@'%' IDENTIFIED BY '{PASSWORD}'"
    ));
    let answer = server.ask("reader", &authority.pem, DatabaseAsk::ReadOnly);
    let answer = verdict(DatabaseAsk::ReadOnly, true, answer);
    assert!(matches!(answer, Verdict::Fail(_)), "{answer:?}");
    let said = answer.evidence();
    assert!(said.contains("offers no TLS"), "{said}");
}
