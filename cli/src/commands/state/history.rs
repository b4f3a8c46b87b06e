//! `zonewright state history`: the earlier snapshots, the runs that they came from, and what people did to
//! the state by hand.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Entry;
use zonewright_engine::snapshot::LastRun;
use zonewright_state::events::Event;
use zonewright_state::history::Item;

use super::Recorded;
use crate::Context;
use crate::args::Format;
use crate::render::text::escape;
use crate::report::Failure;

/// What is told of one shard.
struct Told {
    shard: ZoneName,
    serial: u64,
    records: usize,
    last_run: Option<LastRun>,
    items: Vec<Item>,
    events: Vec<Event>,
}

/// Runs the command.
pub(super) fn run(ctx: &Context, recorded: &Recorded, format: Format) -> Result<(), Failure> {
    let mut all = Vec::new();
    for (shard, snapshot) in &recorded.state.shards {
        let (items, events) = match &recorded.dir {
            Some(dir) => (dir.history(shard)?, dir.events(shard)?),
            None => (Vec::new(), Vec::new()),
        };
        all.push(Told {
            shard: shard.clone(),
            serial: snapshot.serial,
            records: snapshot.records.len(),
            last_run: snapshot.last_run.clone(),
            items,
            events,
        });
    }
    match format {
        Format::Text => all.iter().for_each(|told| ctx.term.data(&text(told))),
        Format::Json => ctx.term.pretty(&json(&all)),
    }
    Ok(())
}

fn text(told: &Told) -> String {
    let mut out = format!(
        "{}: serial {}, {} recorded\n",
        told.shard, told.serial, told.records
    );
    if let Some(run) = &told.last_run {
        out += &format!("  last run: {}, plan {}\n", by(run), run.plan);
    }
    for item in &told.items {
        out += &format!("  {}\n", line(item));
    }
    for event in &told.events {
        out += &format!("  log {}: {}\n", event.seq, escape(&words(&event.entry)));
    }
    out
}

fn by(run: &LastRun) -> String {
    let (command, who, at) = (escape(&run.command), escape(&run.by), escape(&run.at));
    format!("`{command}` by {who} at {at}")
}

fn line(item: &Item) -> String {
    let run = match &item.run {
        Some(run) => format!(", after {}", by(run)),
        None => String::new(),
    };
    let when = match time(item.modified) {
        Some(time) => format!(" of {time}"),
        None => String::new(),
    };
    format!("serial {}{when}{run}: {}", item.serial, item.file.display())
}

fn words(entry: &Entry) -> String {
    match entry {
        Entry::Break {
            epoch,
            who,
            reason,
            at,
        } => format!("the lock of writer {epoch} was broken by {who} at {at}: {reason}"),
        Entry::Move { from, to } => format!("{from} became {to}"),
        Entry::Forget { address, reason } => format!("{address} was forgotten: {reason}"),
        Entry::Note { text } => text.clone(),
        Entry::Acquire { .. }
        | Entry::Release { .. }
        | Entry::Run(_)
        | Entry::Intent { .. }
        | Entry::Outcome { .. }
        | Entry::Import { .. }
        | Entry::Identity { .. } => String::new(),
    }
}

fn json(all: &[Told]) -> Json {
    let mut items = Vec::new();
    let mut events = Vec::new();
    for told in all {
        let shard = &told.shard;
        items.extend(told.items.iter().map(|i| {
            json!({ "shard": shard, "serial": i.serial, "file": i.file, "bytes": i.len,
                "written": time(i.modified), "run": i.run })
        }));
        let event = |e: &Event| json!({ "shard": shard, "log": e.seq, "event": e.entry });
        events.extend(told.events.iter().map(event));
    }
    let runs: BTreeMap<&ZoneName, &LastRun> = all
        .iter()
        .filter_map(|told| Some((&told.shard, told.last_run.as_ref()?)))
        .collect();
    json!({ "format_version": 1, "history": items, "last_runs": runs, "events": events })
}

fn time(seconds: Option<i64>) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds?).ok()?;
    Some(time.to_string())
}
