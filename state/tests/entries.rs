//! The state directory that the tests of this crate work on, and the entries that they append. Also checks that
//! these are legal by themselves.
#![allow(dead_code, reason = "each test file uses some of these")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::journal::{Entry, Holder, OpResult};
use zonewright_engine::snapshot::{IntentAction, Record, Snapshot};
use zonewright_engine::value::{Map, Value};
use zonewright_state::seal::keys::{NewKey, Source};
use zonewright_state::seal::{Keys, Seal};
use zonewright_state::{Class, Loaded, StateDir, StateError, StateOptions, Writer};

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
    let inputs = Map::from([("name", Value::text(name)), ("size", Value::from(3))]);
    let instance = "pz/provider.digitalocean".parse().expect("an instance");
    Record {
        inputs: Value::Map(inputs),
        ..Record::new(address(name), instance, id)
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

/// A state directory and the file of its high-water marks.
pub(crate) struct Project {
    _tmp: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) seen: PathBuf,
}

impl Project {
    pub(crate) fn new() -> Project {
        let tmp = tempfile::tempdir().expect("a directory");
        Project {
            dir: tmp.path().join("state"),
            seen: tmp.path().join(".zonewright/seen.json"),
            _tmp: tmp,
        }
    }

    pub(crate) fn options(&self) -> StateOptions {
        let mut options = StateOptions::new("live", "zonewright 0.1.0");
        options.seen = Some(self.seen.clone());
        options.patience = 1;
        options
    }

    pub(crate) fn open(&self) -> StateDir {
        StateDir::open(&self.dir, self.options()).expect("it opens")
    }

    pub(crate) fn writer(&self) -> Writer {
        let writer = self
            .open()
            .acquire(&[shard()], &holder("apply"), Duration::ZERO);
        writer.expect("it is free")
    }

    pub(crate) fn read(&self) -> Result<Loaded, StateError> {
        StateDir::open(&self.dir, self.options())?.read(&[shard()])
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.read().expect("it reads").state.shards[&shard()].clone()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Two checkpointed changes and two in the journal; the writer died.
    pub(crate) fn used() -> Project {
        let project = Project::new();
        let writer = project.writer();
        for name in ["a", "b", "c", "d"] {
            let batch = vec![intent(name, name), created(name, name)];
            writer.append_now(&shard(), batch).expect("it is durable");
            if name == "b" {
                writer.checkpoint().expect("it is written");
            }
        }
        drop(writer);
        project
    }

    pub(crate) fn without_marks(self) -> Project {
        fs::remove_file(&self.seen).expect("it was there");
        self
    }
}

pub(crate) fn class(result: Result<Loaded, StateError>) -> Class {
    match result {
        Err(error) => error.class(),
        Ok(loaded) => panic!("it was accepted: {loaded:?}"),
    }
}
