//! What is kept: snapshots, journals, records, and the envelope around them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value as Json;
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::canon;
use zonewright_engine::journal::{Entry, Holder, OpResult};
use zonewright_engine::snapshot::{IntentAction, Record, Snapshot};
use zonewright_engine::value::Value;
use zonewright_state::format;
use zonewright_state::record::{self, Batch, Header};
use zonewright_state::seal::keys::Source;
use zonewright_state::seal::{Binding, Expected, Keys, Kind, Seal};
use zonewright_state::vfs::model::{Image, ModelVfs};
use zonewright_state::{SeededRng, StateDir, StateError, StateOptions, Writer};

/// The state of the first format, as it was written.
const META: &[u8] = include_bytes!("../../../state/tests/formats/v1/meta.json");
const SNAPSHOT: &[u8] = include_bytes!("../../../state/tests/formats/v1/pz.state.json");
const JOURNAL: &[u8] = include_bytes!("../../../state/tests/formats/v1/pz.journal");

/// A key that seals nothing but the inputs of these targets.
const KEY: &str = include_str!("../../fuzz/envelope.agekey");

fn shard() -> ZoneName {
    "pz".parse().expect("a name")
}

/// A disk with the files of the first format, one of them replaced.
fn disk(name: &str, bytes: &[u8]) -> Arc<ModelVfs> {
    let files = [
        ("meta.json", META),
        ("pz.state.json", SNAPSHOT),
        ("pz.journal", JOURNAL),
    ];
    let mut files: BTreeMap<String, Vec<u8>> = files
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .into();
    files.insert(name.to_owned(), bytes.to_vec());
    let dirs = BTreeSet::from(["pz.history".to_owned()]);
    Arc::new(ModelVfs::from_image(&Image { files, dirs }))
}

fn dir(vfs: Arc<ModelVfs>) -> StateDir {
    let mut options = StateOptions::new("live", "zonewright 0.1.0");
    options.patience = 0;
    StateDir::with_vfs(vfs, options, Box::new(SeededRng::new(1)))
}

fn take(dir: &StateDir) -> Result<Writer, StateError> {
    let holder = Holder {
        user: "ada".to_owned(),
        host: "ci-1".to_owned(),
        pid: 42,
        command: "apply".to_owned(),
        since: "2026-11-23T10:00:00Z".to_owned(),
    };
    dir.acquire(&[shard()], &holder, Duration::ZERO)
}

fn snapshot_of(dir: &StateDir) -> Result<Snapshot, StateError> {
    let mut loaded = dir.read(&[shard()])?;
    Ok(loaded
        .state
        .shards
        .remove(&shard())
        .expect("the shard that was asked for"))
}

/// An error has words, and a place that is in the file.
fn told(error: &StateError, len: usize) {
    assert!(!error.to_string().is_empty());
    if let StateError::Damaged { offset, .. } = error {
        assert!(*offset <= len as u64, "{error}");
    }
}

/// What can be read can be gone on with, and is the same then; what cannot is left as it is.
fn gone_on_with(name: &str, bytes: &[u8]) {
    let vfs = disk(name, bytes);
    let dir = dir(Arc::clone(&vfs));
    let found = match snapshot_of(&dir) {
        Ok(found) => found,
        Err(error) => {
            told(&error, bytes.len());
            assert!(take(&dir).is_err(), "nobody writes on top of it: {error}");
            assert_eq!(vfs.image().files[name], bytes);
            return;
        }
    };
    let writer = take(&dir).expect("what can be read can be written on");
    assert_eq!(writer.state().shards[&shard()], found);
    writer.release().expect("it is released");
    let after = snapshot_of(&dir).expect("what was written can be read");
    assert_eq!(after, found);
}

/// A journal of any bytes.
///
/// # Panics
/// It does not hold.
pub fn journal(bytes: &[u8]) {
    gone_on_with("pz.journal", bytes);
}

/// A snapshot of any bytes, and the same with the digest that it should have.
///
/// # Panics
/// It does not hold.
pub fn snapshot(bytes: &[u8]) {
    gone_on_with("pz.state.json", bytes);
    one_form(bytes);
    let Ok(Json::Object(mut map)) = serde_json::from_slice(bytes) else {
        return;
    };
    map.remove("sha256");
    let digest = canon::digest(&map).to_string();
    map.insert("sha256".to_owned(), digest.into());
    let right = Json::Object(map).to_string();
    one_form(right.as_bytes());
    gone_on_with("pz.state.json", right.as_bytes());
}

fn one_form(bytes: &[u8]) {
    match format::decode(bytes, Path::new("pz.state.json"), &[]) {
        Err(error) => told(&error, bytes.len()),
        Ok(stored) => {
            let text = format::encode(&stored);
            let again = format::decode(text.as_bytes(), Path::new("again"), &[]);
            assert_eq!(again.expect("what is written is read"), stored);
            assert_eq!(format::encode(&stored), text);
        }
    }
}

/// A record of a log: whatever is one is written as it was read.
///
/// # Panics
/// It does not hold.
pub fn record(bytes: &[u8]) {
    if let Ok(batch) = record::decode::<Batch>(bytes) {
        let again = record::decode::<Batch>(&canon::bytes(&batch));
        assert_eq!(again.expect("what is written is read"), batch);
    }
    if let Ok(header) = record::decode::<Header>(bytes) {
        let again = record::decode::<Header>(&canon::bytes(&header));
        assert_eq!(again.expect("what is written is read"), header);
    }
}

fn kept(name: u8, id: &str) -> Record {
    let address: Address = format!(
        "pz/digitalocean.vpc.{}",
        ["a", "b", "c"][usize::from(name % 3)]
    )
    .parse()
    .expect("an address");
    let instance = "pz/provider.digitalocean".parse().expect("an instance");
    Record {
        inputs: Value::Map([("n", Value::from(i64::from(name)))].into()),
        ..Record::new(address, instance, id)
    }
}

/// What two bytes say: what is done, and to what.
fn entry(what: u8, name: u8) -> Entry {
    let op = format!("op-{}", what / 16 % 3);
    let record = Box::new(kept(name, "id"));
    let address = record.address.clone();
    let outcome = |result| Entry::Outcome {
        op: op.clone(),
        address: address.clone(),
        result,
    };
    match what % 16 {
        0..=3 => Entry::Intent {
            op: op.clone(),
            action: [IntentAction::Create, IntentAction::Delete][usize::from(what % 2)],
            record: Box::new(kept(name, "")),
        },
        4 | 5 => outcome(OpResult::Done { record }),
        6 => outcome(OpResult::Deleted),
        7 => outcome(OpResult::Absent),
        8 => outcome(OpResult::InDoubt {
            message: "no answer".to_owned(),
        }),
        9 => Entry::Import { record },
        10 => Entry::Forget {
            address,
            reason: "test".to_owned(),
        },
        11 => Entry::Move {
            from: address,
            to: kept(name / 3, "").address,
        },
        _ => Entry::Note {
            text: format!("note {name}"),
        },
    }
}

/// A log comes to the same in any batches, live and read again. Two bytes are an entry; what is not legal where
/// it stands changes nothing.
///
/// # Panics
/// It does not hold.
pub fn fold(bytes: &[u8]) {
    let fresh = || dir(Arc::new(ModelVfs::from_image(&Image::default())));
    let (probe, one, many) = (fresh(), fresh(), fresh());
    let writer = take(&probe).expect("it is free");
    let mut legal: Vec<(Entry, u8)> = Vec::new();
    for pair in bytes.chunks_exact(2).take(200) {
        let entry = entry(pair[0], pair[1]);
        let before = writer.state();
        match writer.append_now(&shard(), vec![entry.clone()]) {
            Ok(()) => legal.push((entry, pair[0] ^ pair[1])),
            Err(error) => {
                assert!(matches!(error, StateError::Illegal { .. }), "{error}");
                assert_eq!(writer.state(), before);
            }
        }
    }
    let live = writer.state();
    let (a, b) = (
        take(&one).expect("it is free"),
        take(&many).expect("it is free"),
    );
    if !legal.is_empty() {
        let all = legal.iter().map(|(entry, _)| entry.clone()).collect();
        a.append_now(&shard(), all)
            .expect("legal by and by is legal at once");
    }
    let mut batch = Vec::new();
    for (entry, how) in legal {
        batch.push(entry);
        if how % 2 == 0 {
            b.append_now(&shard(), std::mem::take(&mut batch))
                .expect("it is durable");
        }
        if how % 8 == 0 {
            b.checkpoint().expect("it is written");
        }
    }
    if !batch.is_empty() {
        b.append_now(&shard(), batch).expect("it is durable");
    }
    assert_eq!((a.state(), b.state()), (live.clone(), live.clone()));
    b.release().expect("it is released");
    drop(a);
    for dir in [one, many] {
        assert_eq!(snapshot_of(&dir).expect("it reads"), live.shards[&shard()]);
    }
}

/// Seals for the key of these targets; `require` refuses what is in the clear.
fn seal(require: bool) -> Seal {
    let source = Source {
        identity: Some(KEY),
        plain: true,
        ..Source::default()
    };
    let recipients = Keys::read(&source).expect("a key").ours();
    let keys = Keys::read(&Source {
        recipients: &recipients,
        identity: Some(KEY),
        require,
        ..Source::default()
    });
    Seal::new(keys.expect("a key and its recipient"))
}

static SEALS: LazyLock<[Seal; 2]> = LazyLock::new(|| [seal(false), seal(true)]);

/// A batch in an envelope that [`envelope`] opens.
pub fn sealed(batch: &[u8]) -> Vec<u8> {
    let binding = Binding {
        kind: Kind::Batch,
        lineage: "0".repeat(32),
        shard: Some(shard()),
        seq: 1,
        serial: 0,
    };
    SEALS[1].seal(&binding, batch)
}

/// An envelope of any bytes; and any bytes in an envelope, which come back as they were, and not at all once a bit
/// of it was changed.
///
/// # Panics
/// It does not hold.
pub fn envelope(bytes: &[u8]) {
    let [lenient, strict] = &*SEALS;
    for kind in [
        Kind::Snapshot,
        Kind::Batch,
        Kind::Journal,
        Kind::Rescue,
        Kind::Plan,
    ] {
        match lenient.open(kind, &Expected::default(), bytes) {
            Ok(opened) if opened.is_sealed() => {
                assert_eq!(opened.binding.map(|b| b.kind), Some(kind))
            }
            Ok(opened) => assert_eq!(opened.body, bytes),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let binding = Binding {
        kind: Kind::Batch,
        lineage: "0".repeat(32),
        shard: Some(shard()),
        seq: bytes.len() as u64,
        serial: 0,
    };
    let mut sealed = strict.seal(&binding, bytes);
    let opened = strict
        .open(Kind::Batch, &Expected::default(), &sealed)
        .expect("it opens");
    assert_eq!(opened.body, bytes);
    assert_eq!(opened.binding.as_ref(), Some(&binding));
    let bit = bytes.iter().fold(7_usize, |n, b| {
        n.wrapping_mul(31).wrapping_add(usize::from(*b))
    });
    let bit = bit % (sealed.len() * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    let changed = strict.open(Kind::Batch, &Expected::default(), &sealed);
    assert!(changed.is_err(), "bit {bit} went unnoticed");
}
