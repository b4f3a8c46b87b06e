//! A state in a store elsewhere: taking shards, losing them, and going on after the store or the
//! writer failed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::FutureExt;
use zonewright_engine::snapshot::Snapshot;
use zonewright_state::remote::{RemoteOptions, RemoteState};
use zonewright_state::seal::Seal;
use zonewright_state::store::memory::MemoryStore;
use zonewright_state::store::{Put, Store, StoreError, StoreResult};
use zonewright_state::{Class, Notice, StateError, StateOptions, Writer};

mod entries;
use entries::{created, holder, intent, shard};

const TTL: Duration = Duration::from_millis(300);
const NO_TIME: Duration = Duration::ZERO;
const ENOUGH: Duration = Duration::from_secs(60);

/// A store that fails when it is told to.
#[derive(Default)]
struct Shaky {
    inner: Arc<MemoryStore>,
    /// 0: answers. 1: does not write. 2: writes and does not say so.
    writes: AtomicU32,
    /// Whether signs of life get lost.
    mute: bool,
}

impl Shaky {
    fn over(inner: &Arc<MemoryStore>) -> Shaky {
        Shaky {
            inner: Arc::clone(inner),
            ..Shaky::default()
        }
    }

    fn fail(&self, how: u32) {
        self.writes.store(how, Ordering::SeqCst);
    }
}

fn gone(key: &str) -> StoreError {
    StoreError::Io {
        key: key.to_owned(),
        doing: "create",
        source: std::io::ErrorKind::TimedOut.into(),
    }
}

impl Store for Shaky {
    fn place(&self) -> String {
        "shaky".to_owned()
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        async move {
            let how = self.writes.load(Ordering::SeqCst);
            if how == 1 {
                return Err(gone(key));
            }
            let put = self.inner.put_new(key, bytes).await?;
            if how == 2 { Err(gone(key)) } else { Ok(put) }
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        self.inner.list(prefix, after)
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        match self.mute {
            true => async { Ok(()) }.boxed(),
            false => self.inner.put_hint(key, bytes),
        }
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        self.inner.gc(key)
    }
}

/// A host that works on the state.
struct Host {
    store: Arc<Shaky>,
    private: tempfile::TempDir,
    marks: bool,
    seal: Seal,
}

impl Host {
    fn on(inner: &Arc<MemoryStore>) -> Host {
        Host::with(Shaky::over(inner))
    }

    fn with(store: Shaky) -> Host {
        Host {
            store: Arc::new(store),
            private: tempfile::tempdir().expect("a directory"),
            marks: true,
            seal: entries::mode(module_path!()),
        }
    }

    fn state_in(&self, world: &str) -> RemoteState {
        let mut common = StateOptions::new(world, "zonewright 0.1.0");
        common.seal = self.seal.clone();
        common.seen = self.marks.then(|| self.private.path().join("seen.json"));
        let options = RemoteOptions {
            common,
            ttl: TTL,
            private: Some(self.private.path().join("own")),
        };
        RemoteState::new(Arc::clone(&self.store) as Arc<dyn Store>, options)
    }

    fn state(&self) -> RemoteState {
        self.state_in("live")
    }

    fn take(&self, timeout: Duration) -> Result<Writer, StateError> {
        self.state().acquire(&[shard()], &holder("apply"), timeout)
    }

    fn writer(&self) -> Writer {
        self.take(NO_TIME).expect("it is free")
    }

    fn snapshot(&self) -> Snapshot {
        let loaded = self.state().read(&[shard()]).expect("it reads");
        loaded.state.shards[&shard()].clone()
    }
}

fn new() -> (Arc<MemoryStore>, Host) {
    let inner = Arc::new(MemoryStore::default());
    let host = Host::on(&inner);
    let (_, new) = host.state().init().expect("memory is fit");
    assert!(new);
    (inner, host)
}

fn make(writer: &Writer, name: &str) -> Result<(), StateError> {
    writer.append_now(&shard(), vec![intent(name, name)])?;
    writer.append_now(&shard(), vec![created(name, name)])
}

fn sync<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn keys(inner: &MemoryStore, prefix: &str) -> Vec<String> {
    sync(inner.list(prefix, None)).expect("memory lists")
}

#[test]
fn what_is_written_is_read_on_every_host() {
    let (inner, host) = new();
    let writer = host.writer();
    make(&writer, "a").expect("durable");
    writer.checkpoint().expect("written");
    make(&writer, "b").expect("durable");
    let whole = writer.state().shards[&shard()].clone();
    assert_eq!(
        Host::on(&inner).snapshot(),
        whole,
        "also while it is written"
    );
    writer.release().expect("released");
    let other = Host::on(&inner);
    assert_eq!(other.snapshot(), whole);
    assert_eq!(other.snapshot().records.len(), 2);
    let writer = other.writer();
    assert_eq!(writer.epochs()[&shard()], 2);
    assert!(writer.notices().is_empty(), "{:?}", writer.notices());
    make(&writer, "c").expect("durable");
    writer.release().expect("released");
    assert_eq!(host.snapshot().records.len(), 3);
    // The snapshots only save time: the log has everything.
    for key in keys(&inner, "pz/snap/") {
        sync(inner.gc(&key)).expect("removed");
    }
    assert_eq!(host.snapshot().records.len(), 3);
    assert_eq!(host.state().history(&shard()).expect("listed").len(), 0);
}

#[test]
fn init_is_done_once_and_tells_worlds_apart() {
    let (inner, host) = new();
    let (_, again) = host.state().init().expect("it is there");
    assert!(!again);
    let other = host.state_in("sandbox:1").read(&[shard()]);
    assert!(matches!(other, Err(StateError::World { .. })), "{other:?}");
    let empty = Host::on(&Arc::new(MemoryStore::default()));
    let error = empty.take(NO_TIME).expect_err("nothing is made by itself");
    assert!(
        matches!(error, StateError::Uninitialised { .. }),
        "{error:?}"
    );
    host.writer().release().expect("released");
    sync(inner.gc("meta.json")).expect("removed");
    let lost = host
        .state()
        .init()
        .expect_err("never anew over what is there");
    assert_eq!(lost.class(), Class::Lost, "{lost}");
}

#[test]
fn of_two_writers_the_second_is_told_who_the_first_is() {
    let (inner, host) = new();
    let writer = host.writer();
    let other = Host::on(&inner);
    let Err(StateError::Locked {
        holder: Some(by), ..
    }) = other.take(NO_TIME)
    else {
        panic!("the shard is taken");
    };
    assert_eq!(*by, holder("apply"));
    // One that lives is never taken over, however long it is watched.
    let watched = other.take(TTL * 6);
    assert!(
        matches!(watched, Err(StateError::Locked { .. })),
        "{watched:?}"
    );
    let notices = other.state().read(&[shard()]).expect("it reads").notices;
    assert!(
        matches!(notices[..], [Notice::Running { .. }]),
        "{notices:?}"
    );
    make(&writer, "a").expect("durable");
    writer.release().expect("released");
    other.writer().release().expect("released");
}

#[test]
fn a_writer_that_died_on_this_host_is_followed_at_once() {
    let (_, host) = new();
    let bz = "bz".parse().expect("a zone name");
    let both = [bz, shard()];
    let take = |shards| host.state().acquire(shards, &holder("apply"), NO_TIME);
    let writer = take(&both).expect("both are free");
    writer
        .append_now(&shard(), vec![intent("a", "a")])
        .expect("durable");
    drop(writer);
    let notices = host.state().read(&[shard()]).expect("it reads").notices;
    assert!(
        matches!(notices[..], [Notice::Unreleased { .. }]),
        "{notices:?}"
    );
    // One shard after the other, also by different runs.
    let other = take(&both[..1]).expect("its writer is dead");
    other.release().expect("released");
    let next = host.writer();
    let [
        Notice::TakenOver {
            epoch: 1,
            silent_s: None,
            ..
        },
    ] = next.notices()
    else {
        panic!("{:?}", next.notices());
    };
    assert_eq!(next.state().shards[&shard()].open.len(), 1);
    next.release().expect("released");
}

#[test]
fn a_writer_that_died_elsewhere_is_waited_for() {
    let (inner, host) = new();
    drop(host.writer());
    let other = Host::on(&inner);
    let now = other.take(NO_TIME);
    assert!(matches!(now, Err(StateError::Locked { .. })), "{now:?}");
    let next = other.take(ENOUGH).expect("it is silent");
    let [
        Notice::TakenOver {
            silent_s: Some(_), ..
        },
    ] = next.notices()
    else {
        panic!("{:?}", next.notices());
    };
}

/// A writer that was taken for dead and comes back has lost the next number, and says who has it.
#[test]
fn a_writer_that_comes_back_writes_nothing_more() {
    let (inner, _) = new();
    let paused = Host::with(Shaky {
        mute: true,
        ..Shaky::over(&inner)
    });
    let old = paused.writer();
    make(&old, "a").expect("durable");
    old.append_now(&shard(), vec![intent("b", "b")])
        .expect("durable");
    let other = Host::on(&inner);
    let new = other.take(ENOUGH).expect("it is silent");
    let before = keys(&inner, "pz/log/");
    let fenced = old.append_now(&shard(), vec![created("b", "b")]);
    let Err(StateError::Fenced {
        holder: Some(by), ..
    }) = fenced
    else {
        panic!("{fenced:?}");
    };
    assert_eq!(*by, holder("apply"));
    let again = old.append_now(&shard(), vec![intent("c", "c")]);
    assert!(matches!(again, Err(StateError::Fenced { .. })), "{again:?}");
    assert!(old.release().is_err());
    assert_eq!(keys(&inner, "pz/log/"), before);
    // What it knew and could not write is kept, and is no part of what others wrote since.
    new.release().expect("released");
    let next = paused.writer();
    let unfit = |n: &Notice| matches!(n, Notice::RescueUnfit { file, .. } if file.exists());
    assert!(next.notices().iter().any(unfit), "{:?}", next.notices());
    assert_eq!(next.state().shards[&shard()].open.len(), 1);
}

fn rescued(how: u32) {
    let (_, host) = new();
    let writer = host.writer();
    make(&writer, "a").expect("durable");
    writer
        .append_now(&shard(), vec![intent("b", "b"), intent("c", "c")])
        .expect("durable");
    host.store.fail(how);
    let mixed = vec![created("b", "b"), intent("d", "d")];
    let failed = writer.append_now(&shard(), mixed);
    assert!(
        matches!(failed, Err(StateError::Store { .. })),
        "{failed:?}"
    );
    // What was under way ends after that.
    let late = writer.append_now(&shard(), vec![created("c", "c")]);
    assert!(matches!(late, Err(StateError::Poisoned { .. })), "{late:?}");
    assert!(writer.release().is_err());
    host.store.fail(0);
    let notices = host.state().read(&[shard()]).expect("it reads").notices;
    let waits = |n: &Notice| matches!(n, Notice::RescueWaits { .. });
    assert!(notices.iter().any(waits), "{notices:?}");
    let next = host.writer();
    let told = |n: &Notice| matches!(n, Notice::Rescued { .. });
    assert!(next.notices().iter().any(told), "{:?}", next.notices());
    let snapshot = next.state().shards[&shard()].clone();
    assert_eq!(snapshot.records.len(), 3, "nothing is lost");
    let open: Vec<_> = snapshot.open.values().map(|o| o.op.as_str()).collect();
    // An intent whose write did not get through sent nothing.
    assert_eq!(open, if how == 1 { vec![] } else { vec!["d"] });
    next.release().expect("released");
    let after = host.writer();
    assert!(after.notices().is_empty(), "{:?}", after.notices());
    assert_eq!(after.state().shards[&shard()].records.len(), 3);
}

#[test]
fn what_the_store_did_not_take_is_written_later() {
    rescued(1);
}

#[test]
fn what_the_store_took_without_saying_so_is_not_written_twice() {
    rescued(2);
}

#[test]
fn a_refused_entry_changes_nothing() {
    let (_, host) = new();
    let writer = host.writer();
    let illegal = writer.append_now(&shard(), vec![created("x", "x")]);
    assert!(matches!(illegal, Err(StateError::Illegal { .. })));
    make(&writer, "a").expect("it goes on");
    writer.release().expect("released");
}

#[test]
fn damage_and_gaps_are_errors_that_name_the_object() {
    type Harm = fn(&MemoryStore);
    let (first, third) = ("pz/log/00000000000000000001", "pz/log/00000000000000000003");
    let cases: [(Harm, Class, &str); 4] = [
        (
            |s| remove(s, "pz/log/00000000000000000003"),
            Class::Lost,
            third,
        ),
        (
            |s| flip(s, "pz/log/00000000000000000003"),
            Class::Damaged,
            third,
        ),
        (
            |s| flip(s, "pz/log/00000000000000000001"),
            Class::Damaged,
            first,
        ),
        (
            |s| {
                swap(
                    s,
                    "pz/log/00000000000000000002",
                    "pz/log/00000000000000000003",
                )
            },
            Class::Damaged,
            "pz/log/00000000000000000002",
        ),
    ];
    for (harm, class, names) in cases {
        let (inner, host) = new();
        let writer = host.writer();
        make(&writer, "a").expect("durable");
        make(&writer, "b").expect("durable");
        writer.release().expect("released");
        for key in keys(&inner, "pz/snap/") {
            remove(&inner, &key);
        }
        harm(&inner);
        // Not only where the marks are: the hint in the store says how far the log was.
        let mut elsewhere = Host::on(&inner);
        elsewhere.marks = false;
        for error in [
            host.state().read(&[shard()]).expect_err("it is noticed"),
            elsewhere
                .state()
                .read(&[shard()])
                .expect_err("it is noticed"),
            elsewhere.take(NO_TIME).expect_err("it is noticed"),
        ] {
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains(names), "{error}");
        }
    }
}

#[test]
fn a_snapshot_that_was_changed_is_not_believed() {
    let (inner, host) = new();
    let writer = host.writer();
    make(&writer, "a").expect("durable");
    writer.release().expect("released");
    let key = keys(&inner, "pz/snap/").remove(0);
    flip(&inner, &key);
    let error = host.state().read(&[shard()]).expect_err("it is noticed");
    assert!(error.to_string().contains(&key), "{error}");
    assert!(error.to_string().contains("remove this object"), "{error}");
    remove(&inner, &key);
    assert_eq!(host.snapshot().records.len(), 1);
}

#[test]
fn an_older_store_than_was_seen_is_an_error() {
    let (inner, host) = new();
    let copy = || -> Vec<(String, Vec<u8>)> {
        let read = |key: String| {
            let bytes = sync(inner.get(&key))
                .expect("memory reads")
                .expect("it is listed");
            (key, bytes)
        };
        keys(&inner, "").into_iter().map(read).collect()
    };
    host.writer().release().expect("released");
    let before = copy();
    let writer = host.writer();
    make(&writer, "a").expect("durable");
    writer.release().expect("released");
    let old = Arc::new(MemoryStore::default());
    for (key, bytes) in before {
        sync(old.put_new(&key, &bytes)).expect("memory writes");
    }
    let back = Host {
        store: Arc::new(Shaky::over(&old)),
        ..host
    };
    let error = back.take(NO_TIME).expect_err("it is older");
    assert_eq!(error.class(), Class::RolledBack, "{error}");
}

fn remove(store: &MemoryStore, key: &str) {
    sync(store.gc(key)).expect("removed");
}

fn replace(store: &MemoryStore, key: &str, bytes: &[u8]) {
    sync(store.put_hint(key, bytes)).expect("replaced");
}

fn bytes(store: &MemoryStore, key: &str) -> Vec<u8> {
    sync(store.get(key))
        .expect("memory reads")
        .expect("it is there")
}

fn flip(store: &MemoryStore, key: &str) {
    let mut changed = bytes(store, key);
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    replace(store, key, &changed);
}

fn swap(store: &MemoryStore, a: &str, b: &str) {
    let (one, two) = (bytes(store, a), bytes(store, b));
    replace(store, a, &two);
    replace(store, b, &one);
}

/// Eight hosts at once, again and again: each number of a writer has one owner, and what each of them
/// was told is durable is in the log.
#[test]
fn of_eight_at_once_one_gets_the_shard() {
    let (inner, _) = new();
    for round in 1..=10_u64 {
        let start = Arc::new(Barrier::new(8));
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (inner, start) = (Arc::clone(&inner), Arc::clone(&start));
                std::thread::spawn(move || {
                    let host = Host::on(&inner);
                    start.wait();
                    host.take(NO_TIME).ok().map(|writer| (host, writer))
                })
            })
            .collect();
        let mut winners: Vec<_> = racers
            .into_iter()
            .filter_map(|racer| racer.join().expect("no racer panics"))
            .collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let (_, writer) = winners.remove(0);
        assert_eq!(writer.epochs()[&shard()], round);
        make(&writer, &format!("n{round}")).expect("durable");
        writer.release().expect("released");
    }
    assert_eq!(Host::on(&inner).snapshot().records.len(), 10);
}

/// Where two shards are wanted and one is taken, none is kept.
#[test]
fn all_shards_or_none() {
    let (inner, host) = new();
    let bz = "bz".parse().expect("a zone name");
    let writer = host.writer();
    let other = Host::on(&inner);
    let both = other
        .state()
        .acquire(&[shard(), bz], &holder("apply"), NO_TIME);
    assert!(matches!(both, Err(StateError::Locked { .. })), "{both:?}");
    let bz = "bz".parse().expect("a zone name");
    let alone = host.state().acquire(&[bz], &holder("apply"), NO_TIME);
    let alone = alone.expect("it was let go");
    assert!(alone.notices().is_empty(), "{:?}", alone.notices());
    alone.release().expect("released");
    writer.release().expect("released");
}

#[test]
fn an_unlucky_file_name_is_no_nonce() {
    // A log of somebody else's making never leads out of our own directory. One in the clear, to be made.
    let (inner, mut host) = new();
    host.seal = Seal::default();
    drop(host.writer());
    let key = keys(&inner, "pz/log/").remove(0);
    let text = String::from_utf8(bytes(&inner, &key)[8..].to_vec()).expect("JSON");
    let nonce = text.split("\"writer\":\"").nth(1).expect("it names one");
    let nonce = nonce.split('"').next().expect("it ends");
    let forged = text.replace(nonce, "../../../etc/passwd");
    let mut frame = Vec::new();
    frame.extend_from_slice(&u32::try_from(forged.len()).expect("short").to_le_bytes());
    frame.extend_from_slice(&crc32c::crc32c(forged.as_bytes()).to_le_bytes());
    frame.extend_from_slice(forged.as_bytes());
    replace(&inner, &key, &frame);
    let mut elsewhere = Host::on(&inner);
    elsewhere.marks = false;
    elsewhere.seal = Seal::default();
    let taken = elsewhere.take(NO_TIME);
    assert!(matches!(taken, Err(StateError::Locked { .. })), "{taken:?}");
}
