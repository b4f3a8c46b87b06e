//! What is read back from real files: round trips, damage, loss, rollback, permissions.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use zonewright_engine::journal::{Entry, Journal, OpResult};
use zonewright_state::frame::{self, Next};
use zonewright_state::restore::{Source, Taken};
use zonewright_state::{
    Class, Notice, OsRng, SeededRng, StateDir, StateError, StateOptions, digest_key,
};

mod entries;
use entries::{Project, class, created, deleted, holder, intent, outcome, record, shard};

#[test]
fn inv_i09_no_flipped_bit_of_a_snapshot_or_journal_is_accepted() {
    let project = Project::used().without_marks();
    for name in ["pz.state.json", "pz.journal", "meta.json"] {
        let good = fs::read(project.file(name)).expect("it is there");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let mut options = project.options();
            options.patience = 0;
            fs::write(project.file(name), &bad).expect("it is written");
            let dir = StateDir::open(&project.dir, options).expect("it opens");
            let read = dir.read(&[shard()]);
            // `created_by` is words for people, no more.
            let words = name == "meta.json" && read.is_ok() && {
                let text = String::from_utf8_lossy(&good);
                let at = text.find("\"created_by\": \"").expect("it is there") + 15;
                (at..at + "zonewright 0.1.0".len()).contains(&(bit / 8))
            };
            assert!(read.is_err() || words, "{name}: bit {bit} went unnoticed");
        }
        fs::write(project.file(name), &good).expect("it is written");
    }
    assert_eq!(project.snapshot().records.len(), 4);
}

#[test]
fn inv_i08_lost_files_are_an_error_and_never_an_empty_state() {
    for name in ["pz.state.json", "pz.journal", "meta.json"] {
        for empty in [true, false] {
            let project = Project::used().without_marks();
            let file = project.file(name);
            if empty {
                fs::write(&file, "").expect("it is written");
            } else {
                fs::remove_file(&file).expect("it was there");
            }
            let error = project.read().expect_err("it is noticed");
            let expected = match (name, empty) {
                ("meta.json", true) => Class::Damaged,
                _ => Class::Lost,
            };
            assert_eq!(error.class(), expected, "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
            let taken = project
                .open()
                .acquire(&[shard()], &holder("apply"), Duration::ZERO);
            assert_eq!(taken.expect_err("nor written").class(), expected);
        }
    }
}

#[test]
fn a_lost_snapshot_names_the_history() {
    let project = Project::used();
    fs::write(project.file("pz.state.json"), "").expect("it is written");
    let text = project.read().expect_err("it is noticed").to_string();
    assert!(text.starts_with("state was lost: "), "{text}");
    assert!(text.contains("pz.history/0.json"), "{text}");
}

#[test]
fn a_removed_directory_is_noticed_by_the_high_water_mark() {
    let project = Project::used();
    fs::remove_dir_all(&project.dir).expect("it was there");
    assert_eq!(class(project.read()), Class::Lost);
    let fresh = Project::new();
    assert_eq!(fresh.snapshot().serial, 0, "a new project is no loss");
    assert!(!fresh.dir.exists(), "reading makes nothing");
}

#[test]
fn inv_i10_an_older_state_is_refused_until_it_is_accepted() {
    let project = Project::new();
    let writer = project.writer();
    writer
        .append_now(&shard(), vec![intent("1", "a"), created("1", "a")])
        .expect("it is durable");
    writer.release().expect("it is released");
    let saved: Vec<_> = ["pz.state.json", "pz.journal"]
        .map(|name| (name, fs::read(project.file(name)).expect("it is there")))
        .into();
    let writer = project.writer();
    writer
        .append_now(&shard(), deleted("2", "a"))
        .expect("it is durable");
    writer.release().expect("it is released");
    for (name, bytes) in saved {
        fs::write(project.file(name), bytes).expect("it is written");
    }
    let error = project.read().expect_err("it is noticed");
    assert_eq!(error.class(), Class::RolledBack);
    assert!(error.to_string().contains("serial 4"), "{error}");
    let mut options = project.options();
    options.accept_rollback = true;
    let dir = StateDir::open(&project.dir, options).expect("it opens");
    let writer = dir.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is accepted");
    assert!(matches!(
        writer.notices(),
        [Notice::RollbackAccepted { .. }]
    ));
    writer.release().expect("it is released");
    assert_eq!(project.snapshot().serial, 2, "afterwards it is the truth");
}

#[test]
fn a_cut_journal_loses_only_its_last_record_with_a_notice_and_the_mark_knows() {
    let project = Project::used().without_marks();
    let good = fs::read(project.file("pz.journal")).expect("it is there");
    let whole = project.snapshot();
    fs::write(project.file("pz.journal"), &good[..good.len() - 7]).expect("it is written");
    let loaded = project.read().expect("a torn tail is no damage");
    let notice = loaded.notices.first().expect("it is told");
    assert!(matches!(notice, Notice::TornTail { .. }), "{notice:?}");
    let cut = &loaded.state.shards[&shard()];
    assert_eq!(cut.records.len() + 1, whole.records.len());
    let writer = project.writer();
    writer
        .append_now(&shard(), vec![intent("d", "d"), created("d", "d")])
        .expect("it goes on");
    assert_eq!(writer.state().shards[&shard()], whole);
}

#[test]
fn a_hole_in_the_journal_names_file_and_offset() {
    let project = Project::used().without_marks();
    let mut bytes = fs::read(project.file("pz.journal")).expect("it is there");
    let head = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")) as usize + 8;
    bytes[head + 20] ^= 0xff;
    fs::write(project.file("pz.journal"), &bytes).expect("it is written");
    let error = project.read().expect_err("it is noticed");
    let text = error.to_string();
    assert_eq!(error.class(), Class::Damaged);
    assert!(
        text.contains(&format!("pz.journal is damaged at byte {head}")),
        "{text}"
    );
}

/// Each record by itself is whole: only that they follow each other tells that one is missing, or that two
/// changed places.
#[test]
fn a_record_that_is_taken_out_or_moved_is_noticed() {
    let project = Project::used().without_marks();
    let writer = project.writer();
    for name in ["x", "y", "z"] {
        let batch = vec![intent(name, name), created(name, name)];
        writer.append_now(&shard(), batch).expect("it is durable");
    }
    drop(writer);
    let good = fs::read(project.file("pz.journal")).expect("it is there");
    let (mut at, mut frames) = (0, Vec::new());
    while let Next::Frame { end, .. } = frame::next(&good, at) {
        frames.push(good[at..end].to_vec());
        at = end;
    }
    assert!(frames.len() > 3, "a header and some records");
    for i in 1..frames.len() - 1 {
        let (mut without, mut swapped) = (frames.clone(), frames.clone());
        without.remove(i);
        swapped.swap(i, i + 1);
        for bad in [without, swapped] {
            fs::write(project.file("pz.journal"), bad.concat()).expect("it is written");
            let error = project.read().expect_err("it is noticed");
            assert_eq!(error.class(), Class::Damaged, "{error}");
        }
    }
    fs::write(project.file("pz.journal"), good).expect("it is written");
    project.read().expect("it is whole");
}

#[test]
fn restoring_keeps_what_the_log_holds_before_the_damage() {
    let project = Project::used();
    let whole = project.snapshot();
    let good = fs::read(project.file("pz.journal")).expect("it is there");
    let mut bytes = good.clone();
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 0xff;
    fs::write(project.file("pz.journal"), &bytes).expect("it is written");
    assert_eq!(
        project.read().expect_err("it is noticed").class(),
        Class::Damaged
    );
    let restored = project
        .open()
        .restore(&shard(), Source::Newest, &holder("state restore"))
        .expect("it is restored");
    assert!(matches!(restored.taken, Taken::Cut { .. }), "{restored:?}");
    let left = project.snapshot();
    assert!(
        left.serial > 0 && left.serial < whole.serial,
        "{}",
        left.serial
    );
    for (address, record) in &left.records {
        assert!(whole.records.contains_key(address) || record.id.is_empty());
    }
    let aside = restored.aside.expect("the damaged log is kept");
    assert_eq!(
        fs::read(aside.join("pz.journal")).expect("it is kept"),
        bytes
    );
}

#[test]
fn worlds_and_lineages_do_not_mix() {
    let project = Project::used();
    let other = StateOptions::new("sandbox:1", "test");
    let read = StateDir::open(&project.dir, other).and_then(|dir| dir.read(&[shard()]));
    let error = read.expect_err("it is noticed");
    assert_eq!(error.class(), Class::WorldMismatch);
    assert!(error.to_string().contains("world live"), "{error}");
    let foreign = Project::used();
    for name in ["pz.state.json", "pz.journal"] {
        fs::copy(foreign.file(name), project.file(name)).expect("it is copied");
    }
    let error = project.read().expect_err("it is noticed");
    assert!(matches!(error, StateError::Lineage { .. }), "{error}");
}

#[test]
fn files_are_private_and_insecure_places_are_refused() {
    let project = Project::used();
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&project.dir), 0o700);
    assert_eq!(mode(&project.file("pz.history")), 0o700);
    for name in [
        "pz.state.json",
        "pz.journal",
        "pz.lock",
        "meta.json",
        "pz.history/0.json",
    ] {
        assert_eq!(mode(&project.file(name)), 0o600, "{name}");
    }
    fs::set_permissions(&project.dir, fs::Permissions::from_mode(0o770)).expect("chmod");
    let error = project.read().expect_err("it is refused");
    assert_eq!(error.class(), Class::Insecure);
    assert!(error.to_string().contains("chmod go-w"), "{error}");
    fs::set_permissions(&project.dir, fs::Permissions::from_mode(0o755)).expect("chmod");
    project
        .read()
        .expect("others may read what holds no secret");
    let file = project.file("pz.state.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("chmod");
    let error = project.read().expect_err("it is refused");
    assert_eq!(error.class(), Class::Insecure);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    project.read().expect("nor is a file that others may read");
    fs::rename(&file, project.file("moved.json")).expect("it is moved");
    symlink("moved.json", &file).expect("a link");
    assert_eq!(class(project.read()), Class::Insecure);
    fs::remove_file(&file).expect("it was there");
    fs::create_dir(&file).expect("a directory");
    assert_eq!(class(project.read()), Class::Insecure);
    let link = project.dir.with_extension("link");
    symlink(&project.dir, &link).expect("a link");
    let error = StateDir::open(&link, project.options()).expect_err("it is refused");
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let project = Project::used();
    let file = project.file("pz.state.json");
    let text = fs::read_to_string(&file).expect("it is there");
    let newer = text.replace("\"version\": 1", "\"version\": 4");
    fs::write(&file, &newer).expect("it is written");
    assert_eq!(class(project.read()), Class::Newer);
    let taken = project
        .open()
        .acquire(&[shard()], &holder("x"), Duration::ZERO);
    assert_eq!(taken.expect_err("no write").class(), Class::Newer);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), newer);
}

#[test]
fn an_unknown_field_with_a_right_digest_is_refused() {
    let project = Project::used();
    let file = project.file("pz.state.json");
    let text = fs::read_to_string(&file).expect("it is there");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let map = json.as_object_mut().expect("an object");
    map.remove("sha256");
    map.insert("later".to_owned(), true.into());
    let digest = zonewright_engine::canon::digest(&json).to_string();
    json["sha256"] = digest.into();
    fs::write(&file, json.to_string()).expect("it is written");
    let text = project.read().expect_err("it is refused").to_string();
    assert!(text.contains("a field is unknown"), "{text}");
}

#[test]
fn an_illegal_batch_changes_nothing_and_does_not_poison() {
    let project = Project::new();
    let writer = project.writer();
    let before = writer.state();
    let nowhere = Entry::Move {
        from: record("a", "").address,
        to: record("b", "").address,
    };
    for bad in [
        vec![intent("1", "a"), created("2", "b")],
        vec![intent("1", "c"), nowhere],
    ] {
        let refused = writer.append_now(&shard(), bad);
        assert!(matches!(refused, Err(StateError::Illegal { .. })));
        assert_eq!(writer.state(), before);
    }
    writer
        .append_now(&shard(), vec![intent("1", "a")])
        .expect("it goes on");
}

#[test]
fn history_keeps_the_last_checkpoints() {
    let project = Project::new();
    let mut options = project.options();
    options.keep_history = 3;
    let dir = StateDir::open(&project.dir, options).expect("it opens");
    let writer = dir.acquire(&[shard()], &holder("x"), Duration::ZERO);
    let writer = writer.expect("it is free");
    for i in 0..6 {
        let op = format!("{i}");
        let batch = vec![intent(&op, "a"), created(&op, "a")];
        writer.append_now(&shard(), batch).expect("it is durable");
        writer.checkpoint().expect("it is written");
    }
    let serials: Vec<u64> = dir
        .history(&shard())
        .expect("it lists")
        .iter()
        .map(|item| item.serial)
        .collect();
    assert_eq!(serials, [10, 8, 6]);
    assert_eq!(dir.high_water().expect("it reads")[&shard()].serial, 12);
}

#[test]
fn a_change_costs_the_same_bytes_however_many_there_are() {
    let per_change = |changes: usize| {
        let project = Project::new();
        let writer = project.writer();
        for chunk in (0..changes).collect::<Vec<_>>().chunks(20) {
            let ops = chunk.iter().map(|i| format!("n{i:06}"));
            let batch = ops.flat_map(|op| [intent(&op, &op), created(&op, &op)]);
            writer
                .append_now(&shard(), batch.collect())
                .expect("it is durable");
        }
        let bytes = fs::metadata(project.file("pz.journal")).expect("it is there");
        bytes.len() / changes as u64
    };
    let (few, many) = (per_change(100), per_change(1000));
    assert!(many <= few, "{few} bytes a change became {many}");
}

#[tokio::test]
async fn the_engine_port_is_durable_and_typed() {
    let project = Project::new();
    let writer = project.writer();
    let zone = shard();
    writer
        .append(&zone, vec![intent("1", "a")])
        .await
        .expect("it is durable");
    assert_eq!(project.snapshot().open.len(), 1, "others see it at once");
    let bad = writer.append(&zone, vec![created("9", "z")]).await;
    let source = bad.expect_err("it is refused").source;
    assert_eq!(source.kind(), std::io::ErrorKind::InvalidInput);
    let edge = "edge".parse().expect("a name");
    assert!(writer.append(&edge, Vec::new()).await.is_err());
}

#[test]
fn the_digest_key_is_made_once_and_kept_private() {
    let tmp = tempfile::tempdir().expect("a directory");
    let path = tmp.path().join("keys/digest.key");
    assert!(
        digest_key::load(&path)
            .expect("no key is no error")
            .is_none()
    );
    digest_key::load_or_create(&path, &mut OsRng).expect("it is made");
    let text = fs::read_to_string(&path).expect("it is there");
    digest_key::load_or_create(&path, &mut SeededRng::new(1)).expect("it is read");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
    let error = digest_key::load(&path).expect_err("it is refused");
    assert_eq!(error.class(), Class::Insecure);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
    fs::write(&path, &text[..40]).expect("it is written");
    let error = digest_key::load(&path).expect_err("it is no key");
    assert_eq!(error.class(), Class::Damaged);
    assert!(
        !error.to_string().contains(&text[..8]),
        "no key in messages"
    );
}

#[test]
fn format_v1_opens_for_ever() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/v1");
    let project = Project::new();
    fs::create_dir(&project.dir).expect("a directory");
    for name in ["meta.json", "pz.state.json", "pz.journal"] {
        fs::copy(fixture.join(name), project.file(name)).expect("it is copied");
    }
    let golden = fs::read_to_string(fixture.join("expected.json")).expect("it is there");
    let snapshot = project.snapshot();
    assert_eq!(zonewright_engine::canon::pretty(&snapshot), golden);
    // What is written today is what was written then.
    let again = Project::new();
    golden_run(&again.dir);
    for name in ["meta.json", "pz.state.json", "pz.journal"] {
        let (old, new) = (fs::read(fixture.join(name)), fs::read(again.file(name)));
        assert!(
            old.expect("it is there") == new.expect("it is there"),
            "{name} differs"
        );
    }
}

/// Writes the state of the fixture.
fn golden_run(path: &Path) {
    let vfs = zonewright_state::vfs::real::RealVfs::create(path, false).expect("a directory");
    let options = StateOptions::new("live", "zonewright 0.1.0");
    let rng = Box::new(SeededRng::new(1));
    let dir = StateDir::with_vfs(std::sync::Arc::new(vfs), options, rng);
    let writer = dir.acquire(&[shard()], &holder("apply"), Duration::ZERO);
    let writer = writer.expect("it is free");
    let append = |batch| writer.append_now(&shard(), batch).expect("it is durable");
    append(vec![intent("op-1", "a"), intent("op-2", "b")]);
    append(vec![created("op-1", "a")]);
    writer.checkpoint().expect("it is written");
    append(vec![intent("op-3", "c")]);
    let message = "the answer was lost".to_owned();
    append(vec![outcome("op-3", "c", OpResult::InDoubt { message })]);
}

/// Makes the fixture anew: only for a new format version, never to make a test pass.
#[test]
#[ignore = "writes the fixture"]
fn write_the_fixture() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/v1");
    assert!(
        !fixture.join("meta.json").exists(),
        "a released fixture is never edited"
    );
    let project = Project::new();
    golden_run(&project.dir);
    fs::create_dir_all(&fixture).expect("a directory");
    for name in ["meta.json", "pz.state.json", "pz.journal"] {
        fs::copy(project.file(name), fixture.join(name)).expect("it is copied");
    }
    let text = zonewright_engine::canon::pretty(&project.snapshot());
    fs::write(fixture.join("expected.json"), text).expect("it is written");
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e300..1e300_f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-zé\"\\\\\n]{0,4}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A legal piece of history of one resource.
fn any_change() -> impl Strategy<Value = Vec<Entry>> {
    (0..4_u8, 0..5_u8, any_value()).prop_map(|(name, what, value)| {
        let name = ["a", "b", "c", "d"][usize::from(name)];
        let mut full = record(name, "id");
        full.inputs = zonewright_engine::value::Value::from_plain_json(value);
        let done = OpResult::Done {
            record: Box::new(full.clone()),
        };
        let doubt = OpResult::InDoubt {
            message: "no answer".to_owned(),
        };
        match what {
            0 => vec![intent("op", name), outcome("op", name, done)],
            1 => vec![intent("op", name), outcome("op", name, doubt)],
            2 => vec![Entry::Import {
                record: Box::new(full),
            }],
            3 => vec![Entry::Forget {
                address: full.address,
                reason: "test".to_owned(),
            }],
            _ => vec![intent("op", name), outcome("op", name, OpResult::Absent)],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// What was folded live is what is folded after opening again, whatever the batches and
    /// wherever the checkpoints.
    #[test]
    fn live_and_recovered_state_are_equal_in_any_batching(
        changes in prop::collection::vec((any_change(), any::<bool>(), any::<bool>()), 1..8),
    ) {
        let (one, many) = (Project::new(), Project::new());
        let (a, b) = (one.writer(), many.writer());
        a.append_now(&shard(), changes.iter().flat_map(|(c, ..)| c.clone()).collect())?;
        for (change, split, checkpoint) in changes {
            if split {
                for entry in change {
                    b.append_now(&shard(), vec![entry])?;
                }
            } else {
                b.append_now(&shard(), change)?;
            }
            if checkpoint {
                b.checkpoint()?;
            }
        }
        let live = b.state().shards[&shard()].clone();
        prop_assert_eq!(&many.snapshot(), &live);
        drop(b);
        let reopened = many.writer();
        prop_assert_eq!(&reopened.state().shards[&shard()], &live);
        reopened.release()?;
        prop_assert_eq!(&many.snapshot(), &live);
        let mut single = one.snapshot();
        single.lineage.clone_from(&live.lineage);
        prop_assert_eq!(&single, &live);
    }
}
