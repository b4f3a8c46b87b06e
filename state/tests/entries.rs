//! Entries that the tests of this crate append. Also checks that they are legal by themselves.
#![allow(dead_code, reason = "each test file uses some of these")]

use std::collections::BTreeMap;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::journal::{Entry, Holder, OpResult};
use zonewright_engine::snapshot::{IntentAction, Record, RecordStatus};
use zonewright_engine::value::Value;
use zonewright_state::seal::keys::{NewKey, Source};
use zonewright_state::seal::{Keys, Seal};

pub(crate) fn shard() -> ZoneName {
    "pz".parse().expect("a zone name")
}

pub(crate) fn holder(command: &str) -> Holder {
    Holder {
        user: "ada".to_owned(),
        host: "ci-1".to_owned(),
        pid: 42,
        command: command.to_owned(),
        since: "2026-11-23T10:00:00Z".to_owned(),
    }
}

pub(crate) fn address(name: &str) -> Address {
    format!("pz/digitalocean.vpc.{name}")
        .parse()
        .expect("an address")
}

pub(crate) fn record(name: &str, id: &str) -> Record {
    let inputs = BTreeMap::from([
        ("name".to_owned(), Value::text(name)),
        ("size".to_owned(), Value::from(3)),
    ]);
    Record {
        address: address(name),
        instance: "pz/provider.digitalocean".parse().expect("an instance"),
        id: id.to_owned(),
        generation: 1,
        status: RecordStatus::Ok,
        inputs: Value::Map(inputs),
        outputs: Value::Null,
        depends_on: Vec::new(),
        marked: None,
        contained_in: None,
        protect: false,
        keep: false,
        triggers: BTreeMap::new(),
    }
}

pub(crate) fn intent(op: &str, name: &str) -> Entry {
    Entry::Intent {
        op: op.to_owned(),
        action: IntentAction::Create,
        record: Box::new(record(name, "")),
    }
}

pub(crate) fn created(op: &str, name: &str) -> Entry {
    let record = Box::new(record(name, &format!("id-{name}")));
    outcome(op, name, OpResult::Done { record })
}

pub(crate) fn outcome(op: &str, name: &str, result: OpResult) -> Entry {
    Entry::Outcome {
        op: op.to_owned(),
        address: address(name),
        result,
    }
}

pub(crate) fn deleted(op: &str, name: &str) -> Vec<Entry> {
    let intent = Entry::Intent {
        op: op.to_owned(),
        action: IntentAction::Delete,
        record: Box::new(record(name, &format!("id-{name}"))),
    };
    vec![intent, outcome(op, name, OpResult::Deleted)]
}

/// Seals for a key, and opens with it.
pub(crate) fn sealed_for(key: &NewKey) -> Seal {
    let recipients = [key.recipient.clone()];
    let keys = Keys::read(&Source {
        recipients: &recipients,
        identity: Some(&key.identity),
        ..Source::default()
    });
    Seal::new(keys.expect("keys that belong together"))
}

/// Seals for a key that this process made.
pub(crate) fn seal() -> Seal {
    static KEY: std::sync::OnceLock<NewKey> = std::sync::OnceLock::new();
    sealed_for(KEY.get_or_init(NewKey::generate))
}

/// How a test of this module keeps its state: those that `sealed.rs` runs once more, sealed.
pub(crate) fn mode(module: &str) -> Seal {
    match module.starts_with("sealed::") {
        true => seal(),
        false => Seal::default(),
    }
}
