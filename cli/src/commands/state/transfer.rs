//! `zonewright state pull` and `state push`: a snapshot out of the state, and one into it. `state restore
//! --serial` of a state in a store is a push of an earlier snapshot.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Entry;
use zonewright_engine::snapshot::{Snapshot, State};
use zonewright_state::compare::{compare, toward};
use zonewright_state::format::{Stored, encode, seal};
use zonewright_state::{StateError, StateHome};

use super::edit::{self, Change, Entries};
use super::{kept, sides};
use crate::Context;
use crate::args::{ApprovalArgs, EditArgs, PullArgs, PushArgs, RestoreArgs};
use crate::exit::Exit;
use crate::project::write_private;
use crate::render::state_diff;
use crate::report::Failure;

/// Runs `state pull`.
pub(super) async fn pull(ctx: &Context, args: &PullArgs) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let shards: Vec<ZoneName> = home.shards()?.into_iter().collect();
    let shard = match (&args.zone, shards.as_slice()) {
        (Some(zone), _) if !shards.contains(zone) => return Err(Failure::no_zone(zone, &shards)),
        (Some(zone), _) => zone,
        (None, [one]) => one,
        (None, _) => {
            let names: Vec<&str> = shards.iter().map(ZoneName::as_str).collect();
            let message = "a snapshot is of one zone; say which with --zone";
            return Err(Failure::error(message).help(format!("there are {}", names.join(", "))));
        }
    };
    let stored = home.stored(shard)?;
    let sealed = home.seal().seals() && !args.decrypt;
    let text = match sealed {
        true => String::from_utf8_lossy(&seal(&stored, home.seal())).into_owned() + "\n",
        false => encode(&stored),
    };
    match &args.out {
        None => ctx.term.data(&text),
        Some(path) => {
            write_private(path, text.as_bytes())?;
            ctx.term.say(&format!(
                "Wrote {}: {shard} at serial {}, {}readable by its owner only.",
                path.display(),
                stored.snapshot.serial,
                if sealed { "sealed, " } else { "" }
            ));
        }
    }
    Ok(Exit::DONE)
}

/// Runs `state push`.
pub(super) async fn push(ctx: &Context, args: &PushArgs) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let stored = sides::file(&args.file, home.seal())?;
    let shard = &stored.snapshot.shard;
    let shards: Vec<ZoneName> = home.shards()?.into_iter().collect();
    if !shards.contains(shard) {
        return Err(Failure::no_zone(shard, &shards));
    }
    let now = home.stored(shard)?.snapshot;
    check(args, &stored.snapshot, &now)?;
    let older = args.older.as_deref().map(str::trim).unwrap_or_default();
    if compare(&now, &stored.snapshot).is_empty() {
        ctx.term.say("No difference; nothing was written.");
        return Ok(Exit::DONE);
    }
    if stored.snapshot.serial <= now.serial && older.is_empty() {
        return Err(Failure::new(
            Exit::REFUSED,
            format!(
                "{} is at serial {}, the state of {shard} at {}: it is not newer",
                args.file.display(),
                stored.snapshot.serial,
                now.serial
            ),
        )
        .help("look at `zonewright state diff current FILE`; to go back all the same, say why with --older REASON"));
    }
    let note = format!(
        "state push of serial {}{}",
        stored.snapshot.serial,
        if older.is_empty() {
            String::new()
        } else {
            format!(": {older}")
        }
    );
    into(ctx, &args.edit, &stored, "state push", &note).await
}

/// A file of another project or world is never looked at twice.
fn check(args: &PushArgs, file: &Snapshot, now: &Snapshot) -> Result<(), Failure> {
    if file.world != now.world {
        return Err(StateError::World {
            file: args.file.clone(),
            expected: now.world.clone(),
            found: file.world.clone(),
        }
        .into());
    }
    if file.lineage != now.lineage {
        return Err(StateError::Lineage {
            file: args.file.clone(),
            expected: now.lineage.clone(),
            found: file.lineage.clone(),
        }
        .into());
    }
    Ok(())
}

/// Runs `state restore --zone Z --serial N` of a state whose objects are never replaced.
pub(super) async fn earlier(
    ctx: &Context,
    home: &StateHome,
    args: &RestoreArgs,
    serial: u64,
) -> Result<Exit, Failure> {
    for shard in &args.zones {
        let Some(stored) = home.earlier(shard, serial)? else {
            return Err(
                Failure::error(format!("{shard} has no snapshot with serial {serial}"))
                    .help("`zonewright state history` lists those that there are"),
            );
        };
        let edit = EditArgs {
            approval: ApprovalArgs {
                dry_run: false,
                auto_approve: args.auto_approve,
            },
            lock_timeout: std::time::Duration::ZERO,
        };
        let note = format!("state restore of serial {serial}");
        let exit = into(ctx, &edit, &stored, "state restore", &note).await?;
        if exit != Exit::DONE {
            return Ok(exit);
        }
    }
    Ok(Exit::DONE)
}

/// Makes a snapshot the state, in entries of the log: nothing is rewritten, and the serial goes on.
async fn into(
    ctx: &Context,
    edit: &EditArgs,
    stored: &Stored,
    command: &str,
    note: &str,
) -> Result<Exit, Failure> {
    let shard = &stored.snapshot.shard;
    let entries = |state: &State| {
        let Some(now) = state.shards.get(shard) else {
            return Err(Failure::error(format!("nothing is recorded of {shard}")));
        };
        let entries = toward(now, &stored.snapshot, command)
            .map_err(|e| Failure::error(format!("the snapshot cannot be: {}", e.0)))?;
        let note = Entry::Note {
            text: note.to_owned(),
        };
        let all = std::iter::once(note).chain(entries).collect();
        Ok(Entries::from([(shard.clone(), all)]))
    };
    let paint = ctx.term.out_paint();
    let shown = |before: &State, after: &State| {
        let differences = compare(&before.shards[shard], &after.shards[shard]);
        state_diff::text(&differences, paint) + &state_diff::summary(&differences)
    };
    let change = Change {
        command: command.to_owned(),
        entries: &entries,
        shown: &shown,
    };
    edit::run(ctx, edit, &change).await
}
