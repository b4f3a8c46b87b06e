//! A change of what is recorded, by hand: shown, approved, and written on the way that an apply takes.

use std::collections::BTreeMap;

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon;
use zonewright_engine::journal::{Entry, fold};
use zonewright_engine::snapshot::{LastRun, State};
use zonewright_state::Writer;

use super::kept;
use crate::Context;
use crate::args::EditArgs;
use crate::exit::Exit;
use crate::place;
use crate::report::Failure;
use crate::stage::holder;

/// What is appended, by shard.
pub(super) type Entries = BTreeMap<ZoneName, Vec<Entry>>;

/// A change of the state.
pub(super) struct Change<'a> {
    /// As the history tells it: `state mv pz/… pz/…`.
    pub(super) command: String,
    /// What is appended to a state; refuses one that it does not fit.
    pub(super) entries: &'a dyn Fn(&State) -> Result<Entries, Failure>,
    /// What it does, for people: before and after.
    pub(super) shown: &'a dyn Fn(&State, &State) -> String,
}

/// Shows a change, asks, and writes it.
pub(super) async fn run(
    ctx: &Context,
    args: &EditArgs,
    change: &Change<'_>,
) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let shards: Vec<ZoneName> = home.shards()?.into_iter().collect();
    let loaded = home.read(&shards)?;
    for notice in &loaded.notices {
        ctx.term.say(&format!("note: {notice}"));
    }
    let before = loaded.state;
    place::refuse_own(&home.place(), &before)?;
    let entries = (change.entries)(&before)?;
    let after = folded(&before, &entries)?;
    ctx.term.data(&(change.shown)(&before, &after));
    if args.approval.dry_run {
        ctx.term.say("Nothing was written (--dry-run).");
        return Ok(Exit::DONE);
    }
    if !args.approval.given(ctx.term, "Write this?")? {
        ctx.term.say("Not approved; nothing was written.");
        return Ok(Exit::REFUSED);
    }
    let held: Vec<ZoneName> = entries.keys().cloned().collect();
    let writer = home.acquire(&held, &holder(&change.command), args.lock_timeout)?;
    let done = write(&writer, change, &before, &entries);
    let released = writer.release();
    done?;
    released?;
    ctx.term.say("Written. No request was sent.");
    Ok(Exit::DONE)
}

/// The state with the entries in it.
fn folded(before: &State, entries: &Entries) -> Result<State, Failure> {
    let mut after = before.clone();
    for (shard, entries) in entries {
        let Some(snapshot) = after.shards.get_mut(shard) else {
            return Err(Failure::error(format!("nothing is recorded of {shard}")));
        };
        for entry in entries {
            fold(snapshot, entry).map_err(|illegal| Failure::error(illegal.0))?;
        }
    }
    Ok(after)
}

/// Appends to every shard, each in one batch. A run that dies in between has changed what it said of the
/// shards so far: references that are not moved yet are put right by the next apply.
fn write(
    writer: &Writer,
    change: &Change<'_>,
    before: &State,
    entries: &Entries,
) -> Result<(), Failure> {
    let mut now = before.clone();
    now.shards.extend(writer.state().shards);
    let moved = before
        .shards
        .iter()
        .any(|(shard, then)| now.shards[shard].serial != then.serial);
    if moved || (change.entries)(&now)? != *entries {
        let stale = "the state changed since it was shown; nothing was written";
        return Err(Failure::new(Exit::STALE, stale).help("run the command again"));
    }
    let who = holder(&change.command);
    let run = LastRun {
        plan: canon::digest(entries),
        command: who.command,
        by: format!("{}@{}", who.user, who.host),
        at: who.since,
    };
    for (shard, entries) in entries {
        let mut batch = vec![Entry::Run(run.clone())];
        batch.extend(entries.iter().cloned());
        writer.append_now(shard, batch)?;
    }
    Ok(())
}
