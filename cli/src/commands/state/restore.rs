//! `zonewright state restore`: makes a damaged, lost or rolled back state usable again.

use std::collections::BTreeSet;

use zonewright_engine::address::ZoneName;
use zonewright_state::StateHome;
use zonewright_state::restore::{Restored, Source, Taken};

use super::{at_rest, transfer};
use crate::Context;
use crate::args::RestoreArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::stage::holder;

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    let dir = at_rest(ctx)
        .await?
        .ok_or_else(|| Failure::error("nothing was ever recorded here"))?;
    let mut known: BTreeSet<ZoneName> = dir.shards()?;
    known.extend(dir.high_water()?.into_keys());
    if known.is_empty() {
        return Err(Failure::error("nothing was ever recorded here"));
    }
    // To go on from nothing where nothing was would only leave a shard that no zone has.
    if let Some(other) = args.zones.iter().find(|z| !known.contains(*z)) {
        let names: Vec<&str> = known.iter().map(ZoneName::as_str).collect();
        return Err(
            Failure::error(format!("nothing was ever recorded of a zone {other}"))
                .help(format!("there are records of {}", names.join(", "))),
        );
    }
    let chosen: BTreeSet<ZoneName> = match args.zones.as_slice() {
        [] => known,
        zones => zones.iter().cloned().collect(),
    };
    if let (StateHome::Remote(_), Some(serial)) = (&dir, args.serial) {
        return transfer::earlier(ctx, &dir, args, serial).await;
    }
    let source = match (args.serial, args.empty) {
        (Some(serial), _) => Source::Serial(serial),
        (None, true) => Source::Empty,
        (None, false) => Source::Newest,
    };
    if !approved(ctx, args, source)? {
        ctx.term.say("Not approved; nothing was changed.");
        return Ok(Exit::REFUSED);
    }
    for shard in &chosen {
        let restored = dir.restore(shard, source, &holder("state restore"))?;
        ctx.term.say(&line(&restored));
    }
    say_next(ctx);
    Ok(Exit::DONE)
}

/// What to do once a state is whole again.
pub(super) fn say_next(ctx: &Context) {
    ctx.term.say(&format!(
        "Now look at `{}`. What exists and is not recorded is adopted by its marker; what is recorded \
         and gone is planned anew.",
        ctx.command(&["plan".to_owned()])
    ));
}

/// Whatever is older than what is whole is taken only when somebody said so.
fn approved(ctx: &Context, args: &RestoreArgs, source: Source) -> Result<bool, Failure> {
    let unasked = source == Source::Newest || args.auto_approve;
    let question = "This gives up what is recorded now.";
    ctx.term.approved(unasked, question, "give --auto-approve")
}

pub(super) fn line(restored: &Restored) -> String {
    let from = match &restored.taken {
        Taken::Current => "is whole".to_owned(),
        Taken::Cut { offset } => {
            format!("its log is damaged at byte {offset}; everything before that is kept")
        }
        Taken::SnapshotOnly => "its log cannot be used; the snapshot is kept".to_owned(),
        Taken::Earlier { file } => format!("the earlier snapshot {} is taken", file.display()),
        Taken::Empty => "nothing is recorded any more".to_owned(),
    };
    let aside = match &restored.aside {
        Some(dir) => format!("; what was replaced is in {}", dir.display()),
        None => String::new(),
    };
    format!(
        "{}: {from}; it goes on from serial {}{aside}",
        restored.shard, restored.serial
    )
}
