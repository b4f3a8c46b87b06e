//! Moves in the log of a shard: what is written, and that it reads back.

use std::fs;
use std::time::Duration;

use zonewright_engine::journal::Entry;
use zonewright_state::{StateDir, StateOptions};

mod entries;
use entries::{address, created, holder, intent, shard};

/// A file says the lowest version that has what is in it: an older program reads it until it holds
/// something that the program does not know.
#[test]
fn a_move_is_written_in_the_second_version() {
    let tmp = tempfile::tempdir().expect("a directory");
    let dir = tmp.path().join("state");
    let open =
        || StateDir::open(&dir, StateOptions::new("live", "zonewright 0.1.0")).expect("it opens");
    let take = || {
        let writer = open().acquire(&[shard()], &holder("state mv"), Duration::ZERO);
        writer.expect("it is free")
    };
    let snapshot = || {
        let read = open().read(&[shard()]).expect("it reads");
        read.state.shards[&shard()].clone()
    };
    let move_to = |from: &str, to: &str| Entry::Move {
        from: address(from),
        to: address(to),
    };
    let writer = take();
    writer
        .append_now(&shard(), vec![intent("1", "a"), created("1", "a")])
        .expect("it is durable");
    let journal = dir.join("pz.journal");
    let holds = |what: &str| {
        let bytes = fs::read(&journal).expect("it is there");
        String::from_utf8_lossy(&bytes).contains(what)
    };
    assert!(!holds("\"v\":2"));
    writer
        .append_now(&shard(), vec![move_to("a", "z")])
        .expect("it is durable");
    assert!(holds("\"v\":2"));
    let read = snapshot();
    writer.release().expect("it is written");
    assert_eq!(snapshot(), read);
    let text = fs::read_to_string(dir.join("pz.state.json")).expect("it is there");
    assert!(text.contains("\"version\": 2"), "{text}");
    let writer = take();
    writer
        .append_now(&shard(), vec![move_to("z", "a")])
        .expect("it is durable");
    writer.release().expect("it is written");
    let text = fs::read_to_string(dir.join("pz.state.json")).expect("it is there");
    assert!(text.contains("\"version\": 1"), "{text}");
}
