//! What is left of damaged files and objects, and what is done about it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use zonewright_state::damage::Holds;
use zonewright_state::frame::{self, Next};
use zonewright_state::remote::{RemoteOptions, RemoteState, TTL};
use zonewright_state::restore::{Source, Taken};
use zonewright_state::seal::Seal;
use zonewright_state::store::Store;
use zonewright_state::store::memory::MemoryStore;
use zonewright_state::{Class, StateDir, StateOptions};

mod entries;
use entries::{address, created, holder, intent, seal, shard};

fn options() -> StateOptions {
    let mut options = StateOptions::new("live", "zonewright 0.1.0");
    options.patience = 0;
    options
}

/// A store in memory answers at once.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it answers at once")
}

/// The frames of a journal: where each begins and ends.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut out) = (0, Vec::new());
    while let Next::Frame { end, .. } = frame::next(bytes, at) {
        out.push((at, end));
        at = end;
    }
    out
}

#[test]
fn everything_but_the_damaged_record_is_readable() {
    every_damaged_record(&Seal::default(), 7);
}

#[test]
fn everything_but_the_damaged_record_is_readable_sealed() {
    every_damaged_record(&seal(), 101);
}

fn every_damaged_record(seal: &Seal, step: usize) {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let options = StateOptions {
        seal: seal.clone(),
        ..options()
    };
    let dir = StateDir::open(&path, options).expect("it opens");
    let writer = dir.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    for name in ["a", "b", "c"] {
        let batch = vec![intent(name, name), created(name, name)];
        writer.append_now(&shard(), batch).expect("it is durable");
    }
    drop(writer);
    let journal = path.join("pz.journal");
    let good = fs::read(&journal).expect("it is there");
    let frames = frames(&good);
    assert_eq!(frames.len(), 5, "a header, a writer, three batches");
    let whole = dir.damage(&shard()).expect("it reads");
    assert_eq!(whole.why, None);
    for (i, (begin, end)) in frames.iter().copied().enumerate().skip(1) {
        for at in (begin..end).step_by(step) {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs::write(&journal, &bad).expect("it is written");
            let found = dir.damage(&shard()).expect("it reads");
            let parts = &found.files[1].readable;
            let covers = |(from, to): (usize, usize)| {
                let inside = |p: &&zonewright_state::damage::Readable| {
                    p.offset <= from as u64 && to as u64 <= p.end
                };
                parts.iter().any(|p| inside(&p))
            };
            for (j, frame) in frames.iter().enumerate() {
                assert_eq!(covers(*frame), i != j, "byte {at} of frame {i}: {parts:?}");
            }
        }
    }
    // The one in the middle: told with its neighbours, and gone on without.
    let mut bad = good.clone();
    bad[frames[3].0 + 20] ^= 0x20;
    fs::write(&journal, &bad).expect("it is written");
    let found = dir.damage(&shard()).expect("it reads");
    let why = found.why.expect("it is damaged");
    assert!(why.contains(&format!("at byte {}", frames[3].0)), "{why}");
    let records = found.files[1]
        .readable
        .iter()
        .filter_map(|p| match &p.holds {
            Holds::Records { first, last, about } => Some((*first, *last, about.clone())),
            _ => None,
        });
    let records: Vec<_> = records.collect();
    assert_eq!(
        records,
        [(1, 2, [address("a")].into()), (4, 4, [address("c")].into())]
    );
    let restored = dir.restore(&shard(), Source::Newest, &holder("state repair"));
    let restored = restored.expect("there is something whole");
    assert!(matches!(restored.taken, Taken::Cut { offset } if offset == frames[3].0 as u64));
    let aside = restored.aside.expect("the evidence is kept");
    assert_eq!(
        fs::read(aside.join("pz.journal")).expect("it is there"),
        bad
    );
    assert_eq!(dir.damage(&shard()).expect("it reads").why, None);
}

#[test]
fn a_damaged_snapshot_in_a_store_is_done_without() {
    let tmp = tempfile::tempdir().expect("a directory");
    let store = Arc::new(MemoryStore::default());
    let options = RemoteOptions {
        common: options(),
        ttl: TTL,
        private: Some(tmp.path().join("own")),
    };
    let state = RemoteState::new(Arc::clone(&store) as Arc<dyn Store>, options);
    state.init().expect("it is fit");
    for name in ["a", "b"] {
        let writer = state.acquire(&[shard()], &holder("apply"), Duration::ZERO);
        let writer = writer.expect("it is free");
        let batch = vec![intent(name, name), created(name, name)];
        writer.append_now(&shard(), batch).expect("it is durable");
        writer.release().expect("it is written");
    }
    let before = state.read(&[shard()]).expect("it reads").state;
    assert_eq!(state.repair(&shard(), true).expect("it looks"), []);
    let newest = block_on(store.list("pz/snap/", None)).expect("it lists");
    let newest = newest.last().expect("there is one").clone();
    let good = block_on(store.get(&newest))
        .expect("it reads")
        .expect("it is there");
    let bad = &good[..good.len() / 2];
    block_on(store.gc(&newest)).expect("it goes");
    block_on(store.put_new(&newest, bad)).expect("it is written");
    let error = state.read(&[shard()]).expect_err("it is damaged");
    assert_eq!(error.class(), Class::Damaged);
    let shown = state.repair(&shard(), false).expect("it looks");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].key, newest);
    assert!(block_on(store.get(&newest)).expect("it reads").is_some());
    let done = state.repair(&shard(), true).expect("it goes");
    let kept = done[0].kept.clone().expect("a copy is kept");
    assert_eq!(fs::read(kept).expect("it is there"), bad);
    assert_eq!(state.read(&[shard()]).expect("it reads").state, before);
}
