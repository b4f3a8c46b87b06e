//! Sealed states: what is in the clear, what opens, and what is found out.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use proptest::prelude::*;
use zonewright_engine::address::ZoneName;
use zonewright_engine::snapshot::Snapshot;
use zonewright_state::remote::{RemoteOptions, RemoteState, TTL};
use zonewright_state::restore::Source;
use zonewright_state::seal::keys::{self, NewKey};
use zonewright_state::seal::{Binding, Expected, Kind, Seal, SealError, sealed_for};
use zonewright_state::store::Store;
use zonewright_state::store::memory::MemoryStore;
use zonewright_state::{Class, StateDir, StateError, StateOptions, Writer};

mod entries;
use entries::{created, holder, intent, record, seal, sealed_for as keys_of, shard};

/// A word of the records, which must be nowhere in the clear.
const CANARY: &str = "digitalocean.vpc";

fn options(seal: &Seal) -> StateOptions {
    let mut options = StateOptions::new("live", "test");
    options.patience = 0;
    options.seal = seal.clone();
    options
}

fn dir(path: &Path, seal: &Seal) -> StateDir {
    StateDir::open(path, options(seal)).expect("it opens")
}

fn remote(store: &Arc<MemoryStore>, seal: &Seal) -> RemoteState {
    let options = RemoteOptions {
        common: options(seal),
        ttl: TTL,
        private: None,
    };
    RemoteState::new(Arc::clone(store) as Arc<dyn Store>, options)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it answers at once")
}

fn put(writer: &Writer, name: &str) {
    let batch = vec![intent(name, name), created(name, name)];
    writer.append_now(&shard(), batch).expect("it is durable");
}

/// One run that makes something.
fn apply_to(dir: &StateDir, name: &str) {
    let writer = dir.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    put(&writer, name);
    writer.release().expect("it is written");
}

fn apply_at(state: &RemoteState, name: &str) {
    let writer = state.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    put(&writer, name);
    writer.release().expect("it is written");
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let name = |a: &zonewright_engine::address::Address| a.to_string();
    snapshot.records.keys().map(name).collect()
}

/// The class of what reading ends with.
fn read_class(dir: &StateDir) -> Option<Class> {
    dir.read(&[shard()]).err().map(|e| e.class())
}

/// The files of a state that hold a word.
fn with_word(path: &Path, word: &str) -> Vec<String> {
    let mut out = Vec::new();
    for entry in fs::read_dir(path).expect("it lists").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            out.extend(with_word(&entry.path(), word));
        } else if String::from_utf8_lossy(&fs::read(entry.path()).expect("it reads")).contains(word)
        {
            out.push(name);
        }
    }
    out
}

#[test]
fn nothing_of_a_sealed_state_is_in_the_clear() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let sealed = dir(&path, &seal());
    apply_to(&sealed, "a");
    let writer = sealed.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    put(&writer, "b");
    assert_eq!(with_word(&path, CANARY), Vec::<String>::new());
    assert_eq!(
        with_word(&path, "age1").len(),
        3,
        "both snapshots, the journal"
    );
    drop(writer);
    let found = sealed.read(&[shard()]).expect("it opens");
    assert_eq!(names(&found.state.shards[&shard()]).len(), 2);
    let history = sealed.history(&shard()).expect("it lists");
    assert_eq!(history.len(), 1);
}

/// Also not in the lock file and the sign of life, which anybody reads.
#[test]
fn a_command_does_not_tell_addresses_outside() {
    let by = holder("state mv pz/digitalocean.vpc.a pz/digitalocean.vpc.b");
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let writer = dir(&path, &seal()).acquire(&[shard()], &by, Duration::ZERO);
    let lock = fs::read_to_string(path.join("pz.lock")).expect("it is there");
    assert!(
        lock.contains("state mv") && !lock.contains(CANARY),
        "{lock}"
    );
    drop(writer);
    assert_eq!(Seal::default().outside(&by), by);
    assert_eq!(seal().outside(&holder("apply")), holder("apply"));
}

#[test]
fn a_state_without_its_key_is_never_empty() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    apply_to(&dir(&path, &seal()), "a");
    let before = fs::read(path.join("pz.state.json")).expect("it is there");
    for other in [Seal::default(), keys_of(&NewKey::generate())] {
        let closed = dir(&path, &other);
        assert_eq!(read_class(&closed), Some(Class::Sealed));
        let taken = closed.acquire(&[shard()], &holder("apply"), Duration::ZERO);
        assert_eq!(taken.expect_err("no").class(), Class::Sealed);
        let restored = closed.restore(&shard(), Source::Newest, &holder("state restore"));
        assert_eq!(restored.expect_err("no").class(), Class::Sealed);
    }
    assert_eq!(
        fs::read(path.join("pz.state.json")).expect("it is there"),
        before
    );
    let store = Arc::new(MemoryStore::default());
    let state = remote(&store, &seal());
    state.init().expect("it is fit");
    apply_at(&state, "a");
    for other in [Seal::default(), keys_of(&NewKey::generate())] {
        let closed = remote(&store, &other);
        let error = closed.read(&[shard()]).expect_err("no");
        assert_eq!(error.class(), Class::Sealed);
        let text = error.to_string();
        assert!(
            text.contains("age1") && !text.contains("AGE-SECRET"),
            "{text}"
        );
    }
}

#[test]
fn a_state_in_the_clear_is_sealed_from_the_next_write_on() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    apply_to(&dir(&path, &Seal::default()), "a");
    let sealing = dir(&path, &seal());
    let writer = sealing.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    put(&writer, "b");
    let journal = fs::read_to_string(path.join("pz.journal"));
    assert!(journal.is_err() || !journal.expect("text").contains(CANARY));
    drop(writer);
    let found = sealing.read(&[shard()]).expect("both are read");
    assert_eq!(names(&found.state.shards[&shard()]).len(), 2);
    apply_to(&sealing, "c");
    // The snapshot that was in the clear, in the history.
    assert_eq!(with_word(&path, CANARY), ["2.json"]);
}

fn moved_in_files(prepare: impl Fn(&Path), key: &Seal) -> Option<Class> {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let state = dir(&path, key);
    for name in ["a", "b", "c"] {
        apply_to(&state, name);
    }
    prepare(&path);
    read_class(&state)
}

#[test]
fn f12_a_snapshot_of_another_serial_or_shard_or_lineage_is_damage() {
    let key = seal();
    // An earlier snapshot in the place of the newest: a replayed state.
    let replayed = |path: &Path| {
        fs::copy(path.join("pz.history/2.json"), path.join("pz.state.json")).expect("it copies");
    };
    assert_eq!(moved_in_files(replayed, &key), Some(Class::Damaged));
    let other = |path: &Path, zone: &str, fresh: bool| {
        let tmp = tempfile::tempdir().expect("a directory");
        let there = tmp.path().join("state");
        let from = match fresh {
            true => there.as_path(),
            false => path,
        };
        let zone: ZoneName = zone.parse().expect("a zone");
        let state = dir(from, &key);
        let writer = state.acquire(
            std::slice::from_ref(&zone),
            &holder("apply"),
            Duration::ZERO,
        );
        let writer = writer.expect("it is free");
        writer.checkpoint().expect("it is written");
        writer.release().expect("it is written");
        for end in ["state.json", "journal"] {
            let (from, to) = (format!("{zone}.{end}"), format!("pz.{end}"));
            fs::copy(there_or(from.as_str(), fresh, &there, path), path.join(to))
                .expect("it copies");
        }
    };
    let of_bz = |path: &Path| other(path, "bz", false);
    assert_eq!(moved_in_files(of_bz, &key), Some(Class::Damaged));
    let of_another = |path: &Path| other(path, "pz", true);
    assert_eq!(moved_in_files(of_another, &key), Some(Class::Damaged));
    // In the history, where only the name tells the serial.
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let state = dir(&path, &key);
    for name in ["a", "b", "c"] {
        apply_to(&state, name);
    }
    fs::copy(
        path.join("pz.history/0.json"),
        path.join("pz.history/2.json"),
    )
    .expect("it copies");
    let home = zonewright_state::StateHome::Dir(state);
    let error = home.earlier(&shard(), 2).expect_err("it is another");
    assert_eq!(error.class(), Class::Damaged);
}

fn there_or(name: &str, fresh: bool, there: &Path, here: &Path) -> std::path::PathBuf {
    match fresh {
        true => there.join(name),
        false => here.join(name),
    }
}

/// A store with a state of three runs in two shards.
fn filled(key: &Seal) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let state = remote(&store, key);
    state.init().expect("it is fit");
    for name in ["a", "b", "c"] {
        apply_at(&state, name);
    }
    let bz: ZoneName = "bz".parse().expect("a zone");
    for _ in 0..3 {
        let writer = state.acquire(std::slice::from_ref(&bz), &holder("apply"), Duration::ZERO);
        writer
            .expect("it is free")
            .release()
            .expect("it is written");
    }
    store
}

fn replace(store: &MemoryStore, key: &str, bytes: &[u8]) {
    now(store.gc(key)).expect("it goes");
    now(store.put_new(key, bytes)).expect("it is written");
}

fn get(store: &MemoryStore, key: &str) -> Vec<u8> {
    now(store.get(key)).expect("it reads").expect("it is there")
}

#[test]
fn f12_a_batch_of_another_number_or_shard_or_lineage_is_damage() {
    let key = seal();
    let log = |zone: &str, seq: u64| format!("{zone}/log/{seq:020}");
    let last = |store: &MemoryStore| {
        now(store.list("pz/log/", None))
            .expect("it lists")
            .last()
            .expect("some")
            .clone()
    };
    let of_another = |store: &MemoryStore| get(&filled(&key), &last(store));
    type Taken<'a> = &'a dyn Fn(&MemoryStore) -> Vec<u8>;
    let cases: [(&str, Taken<'_>); 3] = [
        ("number", &|store| get(store, &log("pz", 2))),
        ("shard", &|store| get(store, &log("bz", 6))),
        ("lineage", &of_another),
    ];
    for (what, taken) in cases {
        let store = filled(&key);
        let bytes = taken(&store);
        replace(&store, &last(&store), &bytes);
        let error = remote(&store, &key).read(&[shard()]).expect_err(what);
        assert_eq!(error.class(), Class::Damaged, "{what}: {error}");
    }
}

#[test]
fn f12_a_snapshot_in_a_store_under_another_name_is_damage() {
    let key = seal();
    let store = filled(&key);
    let snaps = now(store.list("pz/snap/", None)).expect("it lists");
    let (old, new) = (get(&store, &snaps[0]), snaps.last().expect("some"));
    // Its own mark, the number of the newest.
    let mark = snaps[0].rsplit('-').next().expect("a mark");
    let number = new.split('-').next().expect("a number");
    now(store.gc(new)).expect("it goes");
    now(store.put_new(&format!("{number}-{mark}"), &old)).expect("it is written");
    let error = remote(&store, &key)
        .read(&[shard()])
        .expect_err("it is old");
    assert_eq!(error.class(), Class::Damaged, "{error}");
}

/// The keys of a project that writes in the clear again.
fn plain(key: &NewKey) -> Seal {
    let source = keys::Source {
        identity: Some(&key.identity),
        plain: true,
        ..keys::Source::default()
    };
    Seal::new(keys::Keys::read(&source).expect("they fit"))
}

/// As somebody would make it who can write to the store and open nothing.
#[test]
fn what_is_in_the_clear_after_what_is_sealed_is_damage() {
    let key = NewKey::generate();
    let store = filled(&keys_of(&key));
    let writer = remote(&store, &plain(&key));
    let writer = writer.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    drop(writer.expect("it is free"));
    let error = remote(&store, &keys_of(&key))
        .read(&[shard()])
        .expect_err("it is in the clear");
    assert!(matches!(error, StateError::Unsealed { .. }), "{error}");
    assert_eq!(error.class(), Class::Damaged);
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    apply_to(&dir(&path, &keys_of(&key)), "a");
    let writer = dir(&path, &plain(&key)).acquire(&[shard()], &holder("apply"), Duration::ZERO);
    drop(writer.expect("it is free"));
    let error = dir(&path, &keys_of(&key))
        .read(&[shard()])
        .expect_err("it is in the clear");
    assert!(matches!(error, StateError::Unsealed { .. }), "{error}");
    dir(&path, &plain(&key))
        .read(&[shard()])
        .expect("on purpose");
}

#[test]
fn what_must_be_sealed_is_refused_in_the_clear() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    apply_to(&dir(&path, &Seal::default()), "a");
    let key = NewKey::generate();
    let recipients = [key.recipient.clone()];
    let keys = |require| {
        let source = keys::Source {
            recipients: &recipients,
            identity: Some(&key.identity),
            require,
            ..keys::Source::default()
        };
        Seal::new(keys::Keys::read(&source).expect("they fit"))
    };
    let strict = dir(&path, &keys(true));
    let error = strict.read(&[shard()]).expect_err("it is in the clear");
    assert!(matches!(error, StateError::Unsealed { .. }), "{error}");
    apply_to(&dir(&path, &keys(false)), "b");
    strict.read(&[shard()]).expect("it is sealed now");
    // What is older may be in the clear, and looking at everything is no reason to stop.
    let examined = strict.examine().expect("it looks");
    assert_eq!(examined[0].problems, Vec::<String>::new());
}

#[test]
fn it_is_written_in_the_clear_again_on_purpose_only() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let key = NewKey::generate();
    apply_to(&dir(&path, &keys_of(&key)), "a");
    apply_to(&dir(&path, &plain(&key)), "b");
    let found = dir(&path, &Seal::default()).read(&[shard()]);
    let found = found.expect("no key is needed any more");
    assert_eq!(names(&found.state.shards[&shard()]).len(), 2);
}

#[test]
fn keys_are_read_with_their_mistakes() {
    let (ours, other) = (NewKey::generate(), NewKey::generate());
    let to_ours = [ours.recipient.clone()];
    let read = |recipients: &[String], identity: &str, passphrase: Option<&str>| {
        let source = keys::Source {
            recipients,
            identity: Some(identity),
            passphrase,
            ..keys::Source::default()
        };
        keys::Keys::read(&source).map(drop)
    };
    assert_eq!(read(&to_ours, &ours.identity, None), Ok(()));
    let both = format!("{}\n# older\n{}", *other.identity, *ours.identity);
    assert_eq!(read(&to_ours, &both, None), Ok(()));
    let stranger = read(&to_ours, &other.identity, None);
    assert_eq!(
        stranger,
        Err(keys::KeyError::NotARecipient(other.recipient.clone()))
    );
    let private = ours.identity.lines().last().expect("a line").to_owned();
    let pasted = read(std::slice::from_ref(&private), &ours.identity, None);
    assert_eq!(pasted, Err(keys::KeyError::PrivateRecipient));
    assert_eq!(
        read(&to_ours, &ours.recipient, None),
        Err(keys::KeyError::PublicIdentity)
    );
    assert_eq!(
        read(&to_ours, "hello", None),
        Err(keys::KeyError::NoIdentity)
    );
    let none: &[String] = &[];
    assert_eq!(
        read(none, &ours.identity, None),
        Err(keys::KeyError::NoRecipient)
    );
    let protected = ours.protected("correct horse", 4).expect("it is made");
    assert!(!protected.contains("SECRET"));
    assert_eq!(read(&to_ours, &protected, Some("correct horse")), Ok(()));
    assert_eq!(
        read(&to_ours, &protected, None),
        Err(keys::KeyError::Protected)
    );
    let wrong = read(&to_ours, &protected, Some("wrong"));
    assert_eq!(wrong, Err(keys::KeyError::Passphrase));
    let cut = &protected[..protected.len() / 2];
    assert_eq!(
        read(&to_ours, cut, Some("correct horse")),
        Err(keys::KeyError::Unreadable)
    );
}

#[test]
fn keys_are_never_shown() {
    let key = NewKey::generate();
    let seal = keys_of(&key);
    let text = format!("{seal:?} {:?}", options(&seal));
    assert!(text.contains("age1") && !text.contains("SECRET"), "{text}");
}

fn binding() -> Binding {
    Binding {
        kind: Kind::Batch,
        lineage: "0".repeat(32),
        shard: Some(shard()),
        seq: 7,
        serial: 0,
    }
}

/// Somebody who guesses what is in the last batch still does not know what the next one has to name.
#[test]
fn the_same_contents_have_another_digest_each_time() {
    let seal = seal();
    let digest = || {
        let bytes = seal.seal(&binding(), b"{}");
        let opened = seal.open(Kind::Batch, &Expected::default(), &bytes);
        opened.expect("it opens").digest()
    };
    assert_ne!(digest(), digest());
}

/// Every single bit of an envelope counts.
#[test]
fn a_flipped_bit_is_damage_or_does_not_open() {
    let seal = seal();
    let body = format!("{:?}", record("a", "id-a")).into_bytes();
    let good = seal.seal(&binding(), &body);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        let opened = seal.open(Kind::Batch, &Expected::default(), &bad);
        match opened {
            // No envelope any more, then it is no form that is read.
            Ok(opened) if !opened.is_sealed() => assert_eq!(&*opened.body, &bad[..]),
            Ok(opened) => panic!("byte {at} does not count: {:?}", opened.binding),
            Err(_) => {}
        }
    }
}

/// The same of the files as they stand on the disk.
#[test]
fn no_flipped_bit_of_a_sealed_file_is_taken() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("state");
    let state = dir(&path, &seal());
    apply_to(&state, "a");
    drop(
        state
            .acquire(&[shard()], &holder("apply"), Duration::ZERO)
            .expect("it is free"),
    );
    for name in ["pz.state.json", "pz.journal"] {
        let file = path.join(name);
        let good = fs::read(&file).expect("it is there");
        for at in (0..good.len()).step_by(5) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, &bad).expect("it is written");
            let error = state.read(&[shard()]).expect_err("a bit is flipped");
            let class = error.class();
            // A digit of the version makes it one that is to come.
            assert!(
                matches!(class, Class::Damaged | Class::Newer),
                "byte {at} of {name}: {error}"
            );
        }
        fs::write(&file, &good).expect("it is written");
    }
    state.read(&[shard()]).expect("it is whole again");
}

/// What came of requests, kept on a host, is sealed, too, and never dropped for want of a key.
#[test]
fn what_is_kept_for_a_store_is_sealed_and_waits_for_its_key() {
    let key = NewKey::generate();
    let tmp = tempfile::tempdir().expect("a directory");
    let store = Arc::new(MemoryStore::default());
    let at = |seal: &Seal| {
        let options = RemoteOptions {
            common: options(seal),
            ttl: TTL,
            private: Some(tmp.path().join("own")),
        };
        RemoteState::new(Arc::clone(&store) as Arc<dyn Store>, options)
    };
    at(&keys_of(&key)).init().expect("it is fit");
    let writer = at(&keys_of(&key)).acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    writer
        .append_now(&shard(), vec![intent("a", "a")])
        .expect("it is durable");
    // Somebody has the next number: what this writer says is kept on its host.
    let last = now(store.list("pz/log/", None)).expect("it lists").len();
    let taken = format!("pz/log/{:020}", last + 1);
    now(store.put_new(&taken, b"{}")).expect("it is written");
    writer
        .append_now(&shard(), vec![created("a", "a")])
        .expect_err("it is lost");
    drop(writer);
    now(store.gc(&taken)).expect("it goes");
    let rescue = tmp.path().join("own/rescue");
    assert_eq!(with_word(&rescue, "sealed").len(), 1);
    assert_eq!(with_word(&rescue, CANARY), Vec::<String>::new());
    let other = NewKey::generate();
    let both = [key.recipient.clone(), other.recipient.clone()];
    let closed = at(&keys_of(&other)).acquire(&[shard()], &holder("apply"), Duration::ZERO);
    assert_eq!(closed.expect_err("no key").class(), Class::Sealed);
    assert_eq!(with_word(&rescue, "sealed").len(), 1, "it is still there");
    let with_both = keys::Source {
        recipients: &both,
        identity: Some(&key.identity),
        ..keys::Source::default()
    };
    let keys = Seal::new(keys::Keys::read(&with_both).expect("they fit"));
    let writer = at(&keys).acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is taken over");
    assert_eq!(names(&writer.state().shards[&shard()]).len(), 1);
    assert_eq!(with_word(&rescue, "sealed"), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_an_error_or_themselves(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let opened = seal().open(Kind::Snapshot, &Expected::default(), &bytes).expect("no envelope");
        prop_assert_eq!(&*opened.body, &bytes[..]);
        prop_assert_eq!(sealed_for(&bytes), None);
    }

    #[test]
    fn anything_in_the_form_of_an_envelope_is_an_error(sealed in ".{0,200}", version in 0..4u64, n in 0..3usize) {
        let recipients = vec!["age1x"; n];
        let text = serde_json::json!({
            "format": "zonewright.log", "recipients": recipients, "sealed": sealed, "version": version,
        });
        let opened = seal().open(Kind::Batch, &Expected::default(), text.to_string().as_bytes()).map(drop);
        prop_assert!(opened.is_err());
    }

    /// As above, with what can be decoded: an age file that was changed in places, cut or lengthened.
    #[test]
    fn a_changed_age_file_is_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        more in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let seal = seal();
        let good = seal.seal(&binding(), b"some contents of a batch");
        let mut envelope: serde_json::Value = serde_json::from_slice(&good).expect("it is JSON");
        let mut file = STANDARD.decode(envelope["sealed"].as_str().expect("text")).expect("base64");
        let before = file.clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        file.extend(more);
        prop_assume!(file != before);
        envelope["sealed"] = STANDARD.encode(file).into();
        let text = envelope.to_string();
        let opened = seal.open(Kind::Batch, &Expected::default(), text.as_bytes());
        prop_assert!(matches!(opened, Err(SealError::Damaged(_))), "{:?}", opened);
    }

    #[test]
    fn what_is_sealed_opens_as_it_was(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let seal = seal();
        let bytes = seal.seal(&binding(), &body);
        prop_assert!(!bytes.contains(&0));
        prop_assert_eq!(bytes.first(), Some(&b'{'));
        let opened = seal.open(Kind::Batch, &Expected::default(), &bytes).expect("it opens");
        prop_assert_eq!(&*opened.body, &body[..]);
        prop_assert_eq!(opened.binding, Some(binding()));
        let cut = &bytes[..bytes.len() / 2];
        let cut = seal.open(Kind::Batch, &Expected::default(), cut).expect("no envelope");
        prop_assert!(!cut.is_sealed());
        let other = seal.open(Kind::Snapshot, &Expected::default(), &bytes).map(drop);
        prop_assert!(matches!(other, Err(SealError::Damaged(_))));
    }
}
