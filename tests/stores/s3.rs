//! A bucket: the conformance suite, lost replies, and the storages that must not be trusted.

use zonewright_sandbox::control::Storage;
use zonewright_sandbox::fault::Kind;
use zonewright_state::store::probe::{Fit, probe};
use zonewright_state::store::{Lie, Put, Store, StoreError};
use zonewright_state::{OsRng, conformance};

use crate::server::Server;

#[test]
fn a_bucket_conforms() {
    let server = Server::start();
    conformance::run(|| server.bucket());
    conformance::hosts::run(|| conformance::hosts::over(server.bucket()));
}

#[test]
fn an_honest_storage_is_fit() {
    let server = Server::start();
    let store = server.bucket();
    let fit = server.wait(probe(&store, &mut OsRng)).unwrap();
    assert_eq!(fit, Fit { removes: true });
    let left = server.wait(store.list("", None)).unwrap();
    assert!(left.is_empty(), "a probe cleans up: {left:?}");
}

/// The lie that a probe finds, and the whole message.
fn lie(storage: Storage) -> (Lie, String) {
    let server = Server::start();
    let store = server.bucket();
    server.storage(storage);
    let error = server.wait(probe(&store, &mut OsRng)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("s3://state-0/wp/live"), "{text}");
    match error {
        StoreError::Untrusted { lie, .. } => (lie, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_storage_that_ignores_conditions_is_refused() {
    let (lie, text) = lie(Storage::IgnoresConditions);
    assert_eq!(lie.name(), "ignores_conditions");
    assert!(text.contains("ignores conditions"), "{text}");
}

#[test]
fn a_storage_that_checks_first_and_writes_later_is_refused() {
    let (lie, text) = lie(Storage::CheckThenAct);
    assert_eq!(lie.name(), "check_then_act");
    assert!(matches!(lie, Lie::Races { winners: 2..=8 }), "{lie:?}");
    assert!(text.contains("of 8 writers at once"), "{text}");
}

#[test]
fn a_storage_whose_deletions_stay_as_markers_is_refused() {
    let (lie, text) = lie(Storage::DeleteMarkers);
    assert_eq!(lie.name(), "delete_marker");
    assert!(text.contains("delete markers"), "{text}");
}

#[test]
fn a_storage_that_cannot_be_written_is_refused() {
    let (lie, text) = lie(Storage::ReadOnly);
    assert_eq!(lie.name(), "read_only");
    assert!(text.contains("give a key that may write"), "{text}");
}

/// The second answer to a repeated write is 412, as after a lost reply: the object's mark tells that
/// it is the same write, so that a storage like this is fit.
#[test]
fn a_write_that_collides_with_itself_has_won() {
    let server = Server::start();
    let store = server.bucket();
    server.storage(Storage::RepeatsWrites);
    let put = |bytes: &'static [u8]| server.wait(store.put_new("pz/log/1", bytes)).unwrap();
    assert_eq!(put(b"mine"), Put::Created);
    assert_eq!(put(b"mine"), Put::Exists, "equal bytes, another write");
    server.wait(probe(&store, &mut OsRng)).unwrap();
}

#[test]
fn an_answer_that_says_nothing_is_settled_by_reading() {
    for kind in [
        Kind::DropAfter,
        Kind::DropBefore,
        Kind::StatusAfter { code: 500 },
        Kind::StatusAfter { code: 409 },
    ] {
        let server = Server::start();
        let store = server.bucket();
        server.fault("PUT", "*", (1, 2), kind.clone());
        let put = server.wait(store.put_new("pz/log/1", b"x")).unwrap();
        assert_eq!(put, Put::Created, "{kind:?}");
        assert!(server.struck() > 0);
        server.clear_faults();
        // Somebody else's object is never taken for ours, whatever becomes of the reply.
        server.fault("PUT", "*", (1, 1), kind.clone());
        let put = server.wait(store.put_new("pz/log/1", b"x")).unwrap();
        assert_eq!(put, Put::Exists, "{kind:?}");
    }
}

#[test]
fn a_bucket_that_is_not_there_is_no_empty_one() {
    let server = Server::start();
    let store = server.open("nowhere");
    for error in [
        server.wait(store.get("meta.json")).unwrap_err(),
        server.wait(store.put_new("meta.json", b"x")).unwrap_err(),
    ] {
        let StoreError::Io { key, source, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(key, "meta.json");
        assert!(
            source.to_string().contains("bucket does not exist"),
            "{source}"
        );
    }
}

#[test]
fn a_key_that_is_refused_is_told_from_an_outage() {
    let server = Server::start();
    let store = server.bucket();
    server.storage(Storage::ReadOnly);
    let denied = server.wait(store.put_new("meta.json", b"x")).unwrap_err();
    assert!(denied.is_denied(), "{denied:?}");
    let status = |code| Kind::Status {
        code,
        body: None,
        headers: Default::default(),
    };
    server.fault("PUT", "*", (1, 99), status(503));
    server.fault("GET", "*", (1, 99), status(503));
    let out = server.wait(store.put_new("meta.json", b"x")).unwrap_err();
    assert!(!out.is_denied(), "{out:?}");
}
