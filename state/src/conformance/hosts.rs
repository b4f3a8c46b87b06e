//! What every state must do, wherever it is kept, when two hosts work on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::journal::{Entry, Holder};
use zonewright_engine::snapshot::{Record, RecordStatus, Snapshot};
use zonewright_engine::value::{Map, Value};

use crate::compare::toward;
use crate::dir::{StateDir, StateOptions};
use crate::error::StateError;
use crate::home::StateHome;
use crate::remote::{RemoteOptions, RemoteState, TTL};
use crate::store::Store;
use crate::sweep::Keep;
use crate::unlock::{Unlock, Unlocked};
use crate::writer::Writer;

/// Two hosts that work on one state, which is empty.
pub type Hosts = (StateHome, StateHome);

/// Runs the suite; `make` gives two hosts at a new place each time.
///
/// # Panics
/// The state does not conform.
pub fn run(make: impl Fn() -> Hosts) {
    moves(&make());
    snapshots(&make());
    sweeps(&make());
    a_broken_lock(&make());
    a_lock_that_is_not_broken(&make());
}

/// Two hosts at an empty store, in which a state is made.
///
/// # Panics
/// The store is unfit.
pub fn over(store: impl Store + 'static) -> Hosts {
    let store: Arc<dyn Store> = Arc::new(store);
    let host = || {
        let options = RemoteOptions {
            common: StateOptions::new("live", "zonewright 0.1.0"),
            ttl: TTL,
            private: None,
        };
        RemoteState::new(Arc::clone(&store), options)
    };
    let one = host();
    one.init().expect("the store is fit");
    (StateHome::Remote(one), StateHome::Remote(host()))
}

/// Two processes at an empty directory.
///
/// # Panics
/// The directory cannot be used.
pub fn files(dir: &Path) -> Hosts {
    let open = || {
        let options = StateOptions::new("live", "zonewright 0.1.0");
        StateHome::Dir(StateDir::open(dir, options).expect("it opens"))
    };
    (open(), open())
}

fn shard() -> ZoneName {
    "pz".parse().expect("a zone name")
}

fn holder(command: &str) -> Holder {
    Holder {
        user: "ada".to_owned(),
        host: "ci-1".to_owned(),
        pid: 42,
        command: command.to_owned(),
        since: "2026-11-23T10:00:00Z".to_owned(),
    }
}

fn address(name: &str) -> Address {
    let text = format!("pz/digitalocean.vpc.{name}");
    text.parse().expect("an address")
}

fn import(name: &str, depends_on: &[&str]) -> Entry {
    Entry::Import {
        record: Box::new(Record {
            address: address(name),
            instance: "pz/provider.digitalocean".parse().expect("an instance"),
            id: format!("id-{name}"),
            generation: 1,
            status: RecordStatus::Ok,
            inputs: Value::Map(Map::from([("name", Value::text(name))])),
            outputs: Value::Null,
            depends_on: depends_on.iter().map(|a| address(a)).collect(),
            marked: None,
            contained_in: None,
            protect: false,
            keep: false,
            triggers: std::collections::BTreeMap::new(),
        }),
    }
}

fn take(home: &StateHome) -> Writer {
    let taken = home.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    taken.expect("it is free")
}

fn append(writer: &Writer, entries: Vec<Entry>) {
    let done = writer.append_now(&shard(), entries);
    done.expect("it is durable");
}

fn read(home: &StateHome) -> Snapshot {
    let loaded = home.read(&[shard()]).expect("it reads");
    loaded.state.shards[&shard()].clone()
}

fn moves((one, two): &Hosts) {
    let writer = take(one);
    append(&writer, vec![import("a", &[]), import("b", &["a"])]);
    let (from, to) = (address("a"), address("c"));
    append(
        &writer,
        vec![Entry::Move {
            from,
            to: to.clone(),
        }],
    );
    assert_eq!(
        read(two),
        writer.state().shards[&shard()],
        "also before it ends"
    );
    writer.release().expect("it is written");
    let there = read(two);
    assert_eq!(there.records[&to].marked.as_deref(), Some(&address("a")));
    assert_eq!(
        there.records[&address("b")].depends_on,
        std::slice::from_ref(&to)
    );
    let writer = take(two);
    let taken = Entry::Move {
        from: address("b"),
        to,
    };
    let refused = writer.append_now(&shard(), vec![taken]);
    assert!(
        matches!(refused, Err(StateError::Illegal { .. })),
        "{refused:?}"
    );
    writer.release().expect("a refusal is no harm");
    assert_eq!(read(one), there);
}

/// Every serial that was checkpointed can be read again, and made the state again.
fn snapshots((one, two): &Hosts) {
    for name in ["a", "b"] {
        let writer = take(one);
        append(&writer, vec![import(name, &[])]);
        writer.release().expect("it is written");
    }
    let shard = shard();
    let now = two.stored(&shard).expect("it reads");
    assert_eq!(now.snapshot, read(one));
    let serials = [1, now.snapshot.serial].map(|serial| {
        let found = two.earlier(&shard, serial).expect("it reads");
        found.expect("it was kept").snapshot
    });
    assert_eq!(serials[0].records.len(), 1);
    assert_eq!(serials[1], now.snapshot);
    assert_eq!(two.earlier(&shard, 99).expect("it reads"), None);
    let back = toward(&now.snapshot, &serials[0], "a test").expect("it can be");
    let writer = take(two);
    append(&writer, back);
    writer.release().expect("it is written");
    let after = read(one);
    assert_eq!(after.records, serials[0].records);
    assert!(
        after.serial > now.snapshot.serial,
        "a serial never goes back"
    );
}

/// What is swept is gone, and what is left is whole and goes on.
fn sweeps((one, two): &Hosts) {
    for name in ["a", "b", "c", "d", "e"] {
        let writer = take(one);
        append(&writer, vec![import(name, &[])]);
        writer.release().expect("it is written");
    }
    let shard = shard();
    let before = read(one);
    let by = holder("state gc");
    let sweep = |count: usize, young: bool, write: bool| {
        let keep = Keep {
            count,
            is_young: &|_, _| young,
        };
        two.sweep(&shard, &keep, &by, write).expect("it is whole")
    };
    assert_eq!(sweep(1, true, true).removed, [""; 0], "the young stay");
    assert_eq!(sweep(50, false, true).removed, [""; 0]);
    let shown = sweep(2, false, false);
    assert!(!shown.removed.is_empty());
    assert!(two.earlier(&shard, 1).expect("it reads").is_some());
    assert_eq!(sweep(2, false, true).removed, shown.removed);
    assert_eq!(read(one), before);
    assert_eq!(two.earlier(&shard, 1).expect("it reads"), None);
    let whole = |home: &StateHome| {
        let examined = home.examine().expect("it reads");
        let problems: Vec<String> = examined.into_iter().flat_map(|e| e.problems).collect();
        assert_eq!(problems, [""; 0]);
    };
    whole(one);
    let from = shown.from.expect("there are snapshots");
    assert!(one.earlier(&shard, from).expect("it reads").is_some());
    let writer = take(one);
    append(&writer, vec![import("f", &[])]);
    writer.release().expect("it goes on");
    whole(two);
    assert_eq!(read(two).records.len(), 6);
    sweep(0, false, true);
    whole(two);
    assert_eq!(read(two).records.len(), 6);
}

fn a_broken_lock((one, two): &Hosts) {
    let first = take(one);
    append(&first, vec![import("a", &[])]);
    let locked = two.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let Err(StateError::Locked { epoch, .. }) = locked else {
        panic!("it is taken: {locked:?}");
    };
    let shard = shard();
    let ask = |epoch| Unlock {
        shard: &shard,
        epoch,
        by: &BY,
        reason: "its runner is gone",
    };
    static BY: std::sync::LazyLock<Holder> = std::sync::LazyLock::new(|| holder("state unlock"));
    let Some(epoch) = epoch else {
        // Files: the lock is the process's own.
        let told = two.unlock(&ask(1)).expect("it looks");
        assert!(matches!(told, Unlocked::Process { .. }), "{told:?}");
        append(&first, vec![import("b", &[])]);
        first.release().expect("it still holds");
        assert_eq!(two.unlock(&ask(1)).expect("it looks"), Unlocked::Free);
        return;
    };
    let told = two.unlock(&ask(epoch + 1)).expect("it looks");
    assert!(
        matches!(told, Unlocked::Other { epoch: e, .. } if e == epoch),
        "{told:?}"
    );
    append(&first, vec![import("b", &[])]);
    let told = two.unlock(&ask(epoch)).expect("it is broken");
    assert!(
        matches!(&told, Unlocked::Broken(all) if all.len() == 1),
        "{told:?}"
    );
    let late = first.append_now(&shard, vec![import("c", &[])]);
    assert!(matches!(late, Err(StateError::Broken { .. })), "{late:?}");
    let second = take(two);
    append(&second, vec![import("d", &[])]);
    second.release().expect("it is written");
    let names: Vec<String> = read(one).records.values().map(|r| r.id.clone()).collect();
    assert_eq!(names, ["id-a", "id-b", "id-d"]);
    let events = one.events(&shard).expect("the log is read");
    let broken = events.iter().find_map(|e| match &e.entry {
        Entry::Break { who, reason, .. } => Some((who.as_str(), reason.as_str())),
        _ => None,
    });
    assert_eq!(broken, Some(("ada@ci-1", "its runner is gone")));
}

fn a_lock_that_is_not_broken((one, two): &Hosts) {
    let writer = take(one);
    append(&writer, vec![import("a", &[])]);
    writer.release().expect("it is written");
    let by = holder("state unlock");
    let unlock = Unlock {
        shard: &shard(),
        epoch: 1,
        by: &by,
        reason: "x",
    };
    let before = read(one);
    assert_eq!(two.unlock(&unlock).expect("it looks"), Unlocked::Free);
    assert_eq!(read(one), before);
    assert_eq!(one.events(&shard()).expect("the log is read"), []);
}
