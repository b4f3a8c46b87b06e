//! Mirrors: the same objects, never waited for, caught up with later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use zonewright_state::remote::mirror::Lag;
use zonewright_state::remote::{RemoteOptions, RemoteState, TTL};
use zonewright_state::store::memory::MemoryStore;
use zonewright_state::store::{Put, Store, StoreError, StoreResult};
use zonewright_state::{StateOptions, Writer};

mod entries;
use entries::{created, holder, intent, shard};

/// A store that can be out of reach.
#[derive(Default)]
struct Far {
    inner: MemoryStore,
    gone: AtomicBool,
}

impl Far {
    fn reach(&self) -> Result<(), StoreError> {
        match self.gone.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(StoreError::Io {
                key: String::new(),
                doing: "reach",
                source: std::io::ErrorKind::TimedOut.into(),
            }),
        }
    }
}

impl Store for Far {
    fn place(&self) -> String {
        "far".to_owned()
    }

    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put> {
        match self.reach() {
            Ok(()) => self.inner.put_new(key, bytes),
            Err(e) => async { Err(e) }.boxed(),
        }
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>> {
        match self.reach() {
            Ok(()) => self.inner.get(key),
            Err(e) => async { Err(e) }.boxed(),
        }
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>> {
        match self.reach() {
            Ok(()) => self.inner.list(prefix, after),
            Err(e) => async { Err(e) }.boxed(),
        }
    }

    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()> {
        self.inner.put_hint(key, bytes)
    }

    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()> {
        self.inner.gc(key)
    }
}

struct Pair {
    near: Arc<MemoryStore>,
    far: Arc<Far>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Pair {
    fn new() -> Pair {
        let pair = Pair {
            near: Arc::new(MemoryStore::default()),
            far: Arc::new(Far::default()),
            told: Arc::default(),
        };
        pair.state().init().expect("it is fit");
        pair
    }

    fn at(store: Arc<dyn Store>) -> RemoteState {
        let options = RemoteOptions {
            common: StateOptions {
                seal: entries::mode(module_path!()),
                ..StateOptions::new("live", "zonewright 0.1.0")
            },
            ttl: TTL,
            private: None,
        };
        RemoteState::new(store, options)
    }

    fn state(&self) -> RemoteState {
        let told = Arc::clone(&self.told);
        let tell = Arc::new(move |text: &str| told.lock().expect("a lock").push(text.to_owned()));
        let far = Arc::clone(&self.far) as Arc<dyn Store>;
        Pair::at(Arc::clone(&self.near) as Arc<dyn Store>).mirrored(vec![far], tell)
    }

    fn run(&self, name: &str) {
        let writer: Writer = self
            .state()
            .acquire(&[shard()], &holder("apply"), Duration::ZERO)
            .expect("it is free");
        let batch = vec![intent(name, name), created(name, name)];
        writer.append_now(&shard(), batch).expect("it is durable");
        writer.release().expect("it is written");
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().expect("a lock"))
    }

    fn lag(&self) -> Lag {
        let all = self.state().lag().expect("the state is there");
        all.into_iter().next().expect("there is one mirror")
    }

    fn keys(store: &dyn Store) -> Vec<String> {
        let keys = store.list("", None).now_or_never().expect("at once");
        let mut keys = keys.expect("it lists");
        keys.retain(|key| !key.ends_with("/hint"));
        keys
    }

    fn same(&self) {
        let keys = Pair::keys(self.near.as_ref());
        assert_eq!(keys, Pair::keys(&self.far.inner));
        for key in keys {
            let of = |store: &dyn Store| {
                store
                    .get(&key)
                    .now_or_never()
                    .expect("at once")
                    .expect("it reads")
            };
            assert_eq!(of(self.near.as_ref()), of(&self.far.inner), "{key}");
        }
        let read = |state: RemoteState| state.read(&[shard()]).expect("it reads").state;
        let mirror = Pair::at(Arc::clone(&self.far) as Arc<dyn Store>);
        assert_eq!(
            read(mirror),
            read(self.state()),
            "a mirror is a whole state"
        );
    }
}

#[test]
fn a_mirror_has_the_same_objects() {
    let pair = Pair::new();
    for name in ["a", "b"] {
        pair.run(name);
        pair.same();
    }
    assert_eq!(pair.told(), [""; 0]);
    assert_eq!(pair.lag().behind, Some(0));
}

#[test]
fn a_mirror_that_does_not_answer_stops_nothing_and_is_caught_up_with() {
    let pair = Pair::new();
    pair.run("a");
    pair.far.gone.store(true, Ordering::SeqCst);
    pair.run("b");
    let told = pair.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("the mirror far lacks a part of pz"),
        "{told:?}"
    );
    let lag = pair.lag();
    assert_eq!(lag.behind, None);
    assert!(lag.why.is_some());
    pair.far.gone.store(false, Ordering::SeqCst);
    assert!(pair.lag().behind.is_some_and(|n| n > 2), "{:?}", pair.lag());
    pair.run("c");
    assert_eq!(pair.told(), [""; 0]);
    assert_eq!(pair.lag().behind, Some(0));
    pair.same();
}

#[test]
fn another_course_of_the_log_is_told_and_never_written_over() {
    let pair = Pair::new();
    pair.run("a");
    let next = format!("pz/log/{:020}", 4);
    let put = pair.far.inner.put_new(&next, b"another course");
    put.now_or_never().expect("at once").expect("it is written");
    pair.run("b");
    let told = pair.told();
    assert!(
        told.iter().any(|t| t.contains("it holds another")),
        "{told:?}"
    );
    let lag = pair.lag();
    assert_eq!(lag.behind, None, "{lag:?}");
    let kept = pair.far.inner.get(&next).now_or_never().expect("at once");
    assert_eq!(
        kept.expect("it reads").as_deref(),
        Some(&b"another course"[..])
    );
}

#[test]
fn nothing_is_put_beside_another_state() {
    let pair = Pair::new();
    let put = pair.far.inner.put_new("meta.json", b"another project");
    put.now_or_never().expect("at once").expect("it is written");
    pair.run("a");
    let told = pair.told();
    assert!(
        told.iter()
            .any(|t| t.contains("it holds another `meta.json`")),
        "{told:?}"
    );
    let there = pair.far.inner.list("pz/", None).now_or_never();
    assert_eq!(there.expect("at once").expect("it lists"), [""; 0]);
    assert_eq!(pair.lag().behind, None);
}

#[test]
fn nothing_is_put_on_top_of_another_course() {
    let pair = Pair::new();
    for n in 1..=2 {
        let key = format!("pz/log/{n:020}");
        let put = pair.far.inner.put_new(&key, b"another course");
        put.now_or_never().expect("at once").expect("it is written");
    }
    pair.run("a");
    let there = pair.far.inner.list("pz/log/", None).now_or_never();
    assert_eq!(there.expect("at once").expect("it lists").len(), 2);
    assert!(!pair.told().is_empty());
}
