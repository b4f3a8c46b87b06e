//! Every crash of append, checkpoint, take-over and release, and every failing file effect.
//!
//! Oracle: what is recovered is what was acknowledged, or that and the one batch in flight; and the
//! recovered directory can be written on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Entry;
use zonewright_engine::snapshot::Snapshot;
use zonewright_state::seal::Seal;
use zonewright_state::vfs::model::{Image, ModelVfs};
use zonewright_state::{
    Class, Notice, SeededRng, StateDir, StateError, StateHome, StateOptions, Writer,
};

mod entries;
use entries::{created, deleted, holder, intent, seal, shard};

fn dir(vfs: &ModelVfs, seed: u64, seal: &Seal) -> StateDir {
    let mut options = StateOptions::new("live", "test");
    options.keep_history = 2;
    options.patience = 0;
    options.seal = seal.clone();
    StateDir::with_vfs(
        Arc::new(vfs.clone()),
        options,
        Box::new(SeededRng::new(seed)),
    )
}

fn acquire(dir: &StateDir) -> Result<Writer, StateError> {
    dir.acquire(&[shard()], &holder("apply"), Duration::ZERO)
}

/// What of a state must survive; the lineage is checked by the crate itself.
fn essence(snapshot: &Snapshot) -> String {
    format!(
        "{} {:?} {:?}",
        snapshot.serial, snapshot.records, snapshot.open
    )
}

fn held(writer: &Writer) -> String {
    essence(&writer.state().shards[&shard()])
}

fn read(dir: &StateDir) -> Result<String, StateError> {
    let loaded = dir.read(&[shard()])?;
    Ok(essence(&loaded.state.shards[&shard()]))
}

/// The states in order of acknowledgement, each with the number of effects done by then.
#[derive(Default)]
struct Acked(Vec<(usize, String)>);

impl Acked {
    fn push(&mut self, vfs: &ModelVfs, state: String) {
        self.0.push((vfs.effects(), state));
    }

    /// What may be found after so many effects.
    fn allowed(&self, effects: usize) -> Vec<&str> {
        let before = self.0.iter().rposition(|(at, _)| *at <= effects);
        let first = before.unwrap_or(0);
        let states = self.0.iter().skip(first).take(2);
        states.map(|(_, state)| state.as_str()).collect()
    }
}

fn batches() -> Vec<Vec<Entry>> {
    vec![
        vec![intent("op-1", "a"), intent("op-2", "b")],
        vec![created("op-1", "a"), created("op-2", "b")],
        vec![intent("op-3", "c")],
        vec![created("op-3", "c")],
        deleted("op-4", "a"),
    ]
}

/// One run: take over, append, with checkpoints in between, release.
fn run(vfs: &ModelVfs, dir: &StateDir, acked: &mut Acked) -> Result<(), StateError> {
    let zone = shard();
    let writer = acquire(dir)?;
    acked.push(vfs, held(&writer));
    for (i, batch) in batches().into_iter().enumerate() {
        writer.append_now(&zone, batch)?;
        acked.push(vfs, held(&writer));
        if i % 2 == 1 {
            writer.checkpoint()?;
        }
    }
    writer.release()
}

fn empty() -> Acked {
    let none = Snapshot::empty("", shard(), "live");
    Acked(vec![(0, essence(&none))])
}

fn check(image: &Image, allowed: &[&str], seal: &Seal) -> ModelVfs {
    let vfs = ModelVfs::from_image(image);
    let dir = dir(&vfs, 77, seal);
    let found = read(&dir).unwrap_or_else(|e| panic!("{e}\n{image:#?}"));
    assert!(
        allowed.contains(&found.as_str()),
        "found {found}\nallowed {allowed:#?}"
    );
    let writer = acquire(&dir).unwrap_or_else(|e| panic!("{e}\n{image:#?}"));
    assert_eq!(held(&writer), found, "the writer sees what the reader saw");
    drop(writer);
    let again = dir.read(&[shard()]).expect("it reads after recovery");
    assert_eq!(essence(&again.state.shards[&shard()]), found);
    let torn = |n: &Notice| matches!(n, Notice::TornTail { .. });
    assert!(!again.notices.iter().any(torn), "the tail was cut");
    vfs
}

#[test]
fn inv_i09_every_crash_leaves_the_state_before_or_after() {
    every_crash(&Seal::default());
}

#[test]
fn inv_i09_every_crash_leaves_the_state_before_or_after_sealed() {
    every_crash(&seal());
}

fn every_crash(seal: &Seal) {
    let vfs = ModelVfs::default();
    let mut acked = empty();
    run(&vfs, &dir(&vfs, 1, seal), &mut acked).expect("the run works");
    let mut seen: BTreeSet<(Image, Vec<String>)> = BTreeSet::new();
    for effects in 0..=vfs.effects() {
        let allowed = acked.allowed(effects);
        let key: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        for image in vfs.crashes(effects) {
            if seen.insert((image.clone(), key.clone())) {
                check(&image, &allowed, seal);
            }
        }
    }
    assert!(seen.len() > 200, "only {} crash states", seen.len());
}

#[test]
fn a_crash_during_recovery_loses_nothing_either() {
    crash_during_recovery(&Seal::default(), 3);
}

#[test]
fn a_crash_during_recovery_loses_nothing_either_sealed() {
    crash_during_recovery(&seal(), 7);
}

fn crash_during_recovery(seal: &Seal, step: usize) {
    let vfs = ModelVfs::default();
    let mut acked = empty();
    run(&vfs, &dir(&vfs, 1, seal), &mut acked).expect("the run works");
    let mut seen = BTreeSet::new();
    for effects in (0..=vfs.effects()).step_by(step) {
        let allowed = acked.allowed(effects);
        for image in vfs.crashes(effects).into_iter().step_by(5) {
            if !seen.insert(image.clone()) {
                continue;
            }
            let second = check(&image, &allowed, seal);
            for again in 0..=second.effects() {
                for image in second.crashes(again) {
                    let found = read(&dir(&ModelVfs::from_image(&image), 3, seal));
                    let found = found.unwrap_or_else(|e| panic!("{e}\n{image:#?}"));
                    assert!(allowed.contains(&found.as_str()), "found {found}");
                }
            }
        }
    }
    assert!(seen.len() > 20);
}

#[test]
fn every_failing_effect_stops_the_writer_and_loses_nothing() {
    every_failing_effect(&Seal::default());
}

#[test]
fn every_failing_effect_stops_the_writer_and_loses_nothing_sealed() {
    every_failing_effect(&seal());
}

fn every_failing_effect(seal: &Seal) {
    let calls = {
        let vfs = ModelVfs::default();
        run(&vfs, &dir(&vfs, 1, seal), &mut empty()).expect("the run works");
        vfs.calls()
    };
    for call in 1..=calls {
        let vfs = ModelVfs::default();
        vfs.fail_call(call);
        let mut acked = empty();
        let ended = run(&vfs, &dir(&vfs, 1, seal), &mut acked);
        let last = acked.allowed(vfs.effects() + 1);
        match ended {
            // The batch that failed may be there or not; nothing else may differ.
            Err(_) => {
                let image = vfs.image();
                let found = read(&dir(&ModelVfs::from_image(&image), 5, seal));
                let found = found.unwrap_or_else(|e| panic!("call {call}: {e}"));
                let next = next_states(&acked, seal);
                assert!(
                    last.contains(&found.as_str()) || next.contains(&found),
                    "call {call}: found {found}"
                );
                check(&image, &[&found], seal);
            }
            // Only cleaning up may fail without stopping: old history, the name in the lock file.
            Ok(()) => {
                check(&vfs.image(), &last, seal);
            }
        }
    }
}

/// A crash while a state that was in the clear is sealed: it reads as before, and can be gone on with.
#[test]
fn every_crash_of_a_rekey_leaves_the_state_as_it_was() {
    let (plain, sealed) = (Seal::default(), seal());
    let vfs = ModelVfs::default();
    run(&vfs, &dir(&vfs, 1, &plain), &mut empty()).expect("the run works");
    let before = read(&dir(&vfs, 2, &plain)).expect("it reads");
    let vfs = ModelVfs::from_image(&vfs.image());
    let home = StateHome::Dir(dir(&vfs, 2, &sealed));
    home.rekey(&shard(), &holder("state rekey"), Duration::ZERO)
        .expect("it is sealed");
    let mut seen = BTreeSet::new();
    for effects in 0..=vfs.effects() {
        for image in vfs.crashes(effects) {
            if seen.insert(image.clone()) {
                let found = ModelVfs::from_image(&image);
                let home = StateHome::Dir(dir(&found, 3, &sealed));
                let done = home.rekey(&shard(), &holder("state rekey"), Duration::ZERO);
                done.unwrap_or_else(|e| panic!("{e}\n{image:#?}"));
                assert_eq!(read(&dir(&found, 4, &sealed)).expect("it reads"), before);
                let closed = read(&dir(&found, 5, &plain)).expect_err("it is sealed");
                assert_eq!(closed.class(), Class::Sealed);
            }
        }
    }
    assert!(seen.len() > 20, "only {} crash states", seen.len());
}

/// All states of an undisturbed run that follow the last acknowledged one directly.
fn next_states(acked: &Acked, seal: &Seal) -> Vec<String> {
    let vfs = ModelVfs::default();
    let mut full = empty();
    run(&vfs, &dir(&vfs, 1, seal), &mut full).expect("the run works");
    let next = full.0.get(acked.0.len());
    next.map(|(_, state)| state.clone()).into_iter().collect()
}

#[test]
fn a_failed_write_poisons_for_good() {
    let seal = &Seal::default();
    let vfs = ModelVfs::default();
    let zone: ZoneName = shard();
    let writer = acquire(&dir(&vfs, 1, seal)).expect("it is free");
    let before = held(&writer);
    vfs.fail_call(vfs.calls() + 1);
    let first = writer.append_now(&zone, vec![intent("op-1", "a")]);
    assert!(matches!(first, Err(StateError::Io { .. })), "{first:?}");
    assert_eq!(held(&writer), before, "what failed is not in the state");
    let second = writer.append_now(&zone, vec![intent("op-1", "a")]);
    assert!(matches!(second, Err(StateError::Poisoned { .. })));
    assert!(matches!(
        writer.checkpoint(),
        Err(StateError::Poisoned { .. })
    ));
}
