//! Records of the state for people.

use std::fmt::Write as _;

use zonewright_engine::snapshot::{IntentAction, Record, RecordStatus, State};
use zonewright_engine::value::Value;

use super::text::{count, escape};
use super::value;

/// The status in a word.
pub fn status(status: RecordStatus) -> &'static str {
    match status {
        RecordStatus::Creating => "creating",
        RecordStatus::Ok => "ok",
        RecordStatus::Tainted => "tainted",
        RecordStatus::Deleting => "deleting",
    }
}

/// One line per record: the address, and the status unless it is ready. Vendors' ids differ from run
/// to run and are shown by [`record`] only.
pub fn list(state: &State) -> String {
    let mut out = String::new();
    for record in state.records() {
        let address = record.address.to_string();
        let _ = match record.status {
            RecordStatus::Ok => writeln!(out, "{}", escape(&address)),
            other => writeln!(out, "{} ({})", escape(&address), status(other)),
        };
    }
    for (address, open) in state.opens() {
        let what = match open.action {
            IntentAction::Create => "create",
            IntentAction::Update => "update",
            IntentAction::Delete => "delete",
        };
        let line = format!(
            "{address} ({what} without a known outcome, operation {})",
            open.op
        );
        let _ = writeln!(out, "{}", escape(&line));
    }
    out
}

/// Everything about one record.
pub fn record(record: &Record) -> String {
    let mut out = format!("{}\n", escape(&record.address.to_string()));
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "  {name}: {}", escape(text));
    };
    line("id", &record.id);
    line("status", status(record.status));
    line("provider", &record.instance.to_string());
    line("generation", &record.generation.to_string());
    if record.protect {
        line("protected", "yes");
    }
    if let Some(container) = &record.contained_in {
        line(
            "lives in",
            &format!("{} ({})", container.address, container.id),
        );
    }
    for dependency in &record.depends_on {
        line("depends on", &dependency.to_string());
    }
    entries("inputs", &record.inputs, &mut out);
    entries("outputs", &record.outputs, &mut out);
    out
}

fn entries(title: &str, map: &Value, out: &mut String) {
    let Some(map) = map.as_map().filter(|m| !m.is_empty()) else {
        return;
    };
    let _ = writeln!(out, "  {title}:");
    for (key, entry) in map {
        let _ = writeln!(out, "    {} = {}", escape(key), value::value(entry));
    }
}

/// A summary of the shards.
pub fn shards(state: &State) -> String {
    let mut out = String::new();
    for (name, shard) in &state.shards {
        let _ = writeln!(
            out,
            "{name}: serial {}, {}",
            shard.serial,
            count(shard.records.len(), "record")
        );
    }
    out
}
