//! What every [`Store`] must do, as one suite that each implementation runs against itself.

pub mod hosts;

use std::sync::{Arc, Barrier};

use crate::reactor::wait;
use crate::store::{Put, Store};

/// Runs the suite; `make` gives an empty store each time.
///
/// # Panics
/// The store does not conform.
pub fn run<S: Store + 'static>(make: impl Fn() -> S) {
    immutable(&make());
    listing(&make());
    hints_and_gc(&make());
    keys(&make());
    for _ in 0..8 {
        race(make());
    }
}

fn put(store: &impl Store, key: &str, bytes: &[u8]) -> Put {
    wait(store.put_new(key, bytes)).expect("put_new works")
}

fn get(store: &impl Store, key: &str) -> Option<Vec<u8>> {
    wait(store.get(key)).expect("get works")
}

fn list(store: &impl Store, prefix: &str, after: Option<&str>) -> Vec<String> {
    wait(store.list(prefix, after)).expect("list works")
}

fn immutable(store: &impl Store) {
    assert_eq!(get(store, "log/1"), None, "an empty store has no object");
    assert_eq!(put(store, "log/1", b"first"), Put::Created);
    assert_eq!(put(store, "log/1", b"second"), Put::Exists);
    assert_eq!(
        put(store, "log/1", b"first"),
        Put::Exists,
        "also for equal bytes"
    );
    assert_eq!(get(store, "log/1").as_deref(), Some(&b"first"[..]));
    assert_eq!(put(store, "log/empty", b""), Put::Created);
    assert_eq!(get(store, "log/empty").as_deref(), Some(&b""[..]));
    let large = vec![7; 1 << 20];
    assert_eq!(put(store, "log/large", &large), Put::Created);
    assert!(
        get(store, "log/large") == Some(large),
        "large objects are whole"
    );
}

fn listing(store: &impl Store) {
    for key in [
        "log/10",
        "log/02",
        "log/01",
        "snap/1-a",
        "meta.json",
        "logs/1",
    ] {
        assert_eq!(put(store, key, b"x"), Put::Created);
    }
    assert_eq!(list(store, "log/", None), ["log/01", "log/02", "log/10"]);
    assert_eq!(list(store, "log/", Some("log/01")), ["log/02", "log/10"]);
    assert_eq!(list(store, "log/", Some("log/015")), ["log/02", "log/10"]);
    assert_eq!(list(store, "log/", Some("log/10")), [""; 0]);
    assert_eq!(list(store, "log/0", None), ["log/01", "log/02"]);
    assert_eq!(list(store, "none/", None), [""; 0]);
    assert_eq!(list(store, "", None).len(), 6);
    assert_eq!(
        list(store, "", Some("log/10")),
        ["logs/1", "meta.json", "snap/1-a"]
    );
}

fn hints_and_gc(store: &impl Store) {
    for bytes in [&b"1"[..], b"22", b""] {
        wait(store.put_hint("hint/head", bytes)).expect("put_hint works");
        assert_eq!(get(store, "hint/head").as_deref(), Some(bytes));
    }
    put(store, "log/1", b"x");
    for _ in 0..2 {
        wait(store.gc("log/1")).expect("gc works, also when it is gone");
        assert_eq!(get(store, "log/1"), None);
    }
    assert_eq!(list(store, "log/", None), [""; 0]);
}

fn keys(store: &impl Store) {
    for key in [
        "", "/", "a/", "/a", "a//b", "..", "a/../b", ".hidden", "a b", "a\0", "ä",
    ] {
        assert!(
            wait(store.put_new(key, b"x")).is_err(),
            "{key:?} is refused"
        );
        assert!(wait(store.get(key)).is_err(), "{key:?} is refused");
    }
    assert_eq!(list(store, "", None), [""; 0], "nothing was made");
}

/// Of eight that make the same object at once exactly one wins, and all read the winner's bytes.
fn race<S: Store + 'static>(store: S) {
    const RACERS: usize = 8;
    let store = Arc::new(store);
    let start = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|i| {
            let (store, start) = (Arc::clone(&store), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let mine = format!("racer {i}").into_bytes();
                let won = put(store.as_ref(), "log/1", &mine) == Put::Created;
                (won, mine, get(store.as_ref(), "log/1"))
            })
        })
        .collect();
    let ends: Vec<_> = racers
        .into_iter()
        .map(|racer| racer.join().expect("no racer panics"))
        .collect();
    let winners: Vec<_> = ends.iter().filter(|(won, ..)| *won).collect();
    assert_eq!(winners.len(), 1, "exactly one wins");
    for (_, _, read) in &ends {
        assert_eq!(
            read.as_ref(),
            Some(&winners[0].1),
            "all read the winner's bytes"
        );
    }
}
