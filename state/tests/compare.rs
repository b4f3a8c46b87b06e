//! Laws of comparing snapshots, and of the entries that make one the other.

use proptest::prelude::*;
use zonewright_engine::journal::fold;
use zonewright_engine::secret::Secret;
use zonewright_engine::snapshot::{IntentAction, OpenIntent, Snapshot};
use zonewright_engine::value::Value;
use zonewright_state::compare::{Change, compare, toward};

mod entries;
use entries::{address, record, shard};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What is there under each name: an id and a size, and whether an operation is open.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    let one = (proptest::option::of((0u8..3, 0i64..3)), any::<bool>());
    proptest::collection::vec(one, NAMES.len()).prop_map(|all| {
        let mut out = Snapshot::empty("l", shard(), "live");
        for (name, (there, busy)) in NAMES.iter().zip(all) {
            let action = match there {
                Some(_) => IntentAction::Update,
                None => IntentAction::Create,
            };
            if let Some((id, size)) = there {
                let mut new = record(name, &format!("id-{name}-{id}"));
                new.inputs = Value::Map([("size".to_owned(), Value::from(size))].into());
                out.records.insert(new.address.clone(), Box::new(new));
            }
            if busy {
                let open = OpenIntent {
                    op: format!("op-{name}"),
                    action,
                    record: record(name, ""),
                };
                out.open.insert(address(name), open);
            }
        }
        out
    })
}

proptest! {
    #[test]
    fn the_entries_make_one_the_other(now in snapshot(), then in snapshot()) {
        let entries = toward(&now, &then, "a test").expect("both can be");
        let mut after = now.clone();
        for entry in &entries {
            fold(&mut after, entry).expect("each is legal");
        }
        prop_assert_eq!(&after.records, &then.records);
        prop_assert_eq!(&after.open, &then.open);
        prop_assert!(compare(&after, &then).is_empty());
        prop_assert!(toward(&after, &then, "a test").expect("it can be").is_empty());
        let same = now.records == then.records && now.open == then.open;
        prop_assert_eq!(compare(&now, &then).is_empty(), same);
        prop_assert_eq!(compare(&now, &then).len(), compare(&then, &now).len());
    }
}

#[test]
fn the_same_object_under_another_address_has_moved() {
    let mut before = Snapshot::empty("l", shard(), "live");
    let mut after = before.clone();
    before.records.insert(address("a"), record("a", "7").into());
    after.records.insert(address("b"), record("b", "7").into());
    let all = compare(&before, &after);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].how, Change::Moved { from: address("a") });
    let paths: Vec<String> = all[0].attrs.iter().map(|a| a.path.to_string()).collect();
    assert_eq!(paths, ["inputs.name"]);
}

#[test]
fn what_stood_beside_a_secret_is_not_told() {
    let mut before = Snapshot::empty("l", shard(), "live");
    let mut after = before.clone();
    let with = |value: Value| {
        let mut new = record("a", "7");
        new.inputs = Value::Map([("password".to_owned(), value)].into());
        new
    };
    before
        .records
        .insert(address("a"), with(Value::text("hunter2")).into());
    let secret = Value::Secret(Secret::new("secret.db", "hunter2", None));
    after.records.insert(address("a"), with(secret).into());
    for (one, other) in [(&before, &after), (&after, &before)] {
        let all = compare(one, other);
        assert_eq!(all.len(), 1);
        let text = format!("{all:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
