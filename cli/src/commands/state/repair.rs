//! `zonewright state repair`: shows what of a damaged state can be read, and, approved, goes on from the newest
//! that is whole. The damaged files are kept. The same as `state restore`, with a look first.

use std::collections::BTreeSet;

use zonewright_engine::address::ZoneName;
use zonewright_state::damage::{Damage, Holds, Left, Readable};
use zonewright_state::remote::RemoteState;
use zonewright_state::restore::Source;
use zonewright_state::{StateDir, StateHome};

use super::{chosen, kept, restore};
use crate::Context;
use crate::args::RepairArgs;
use crate::exit::Exit;
use crate::render::text::{count, escape};
use crate::report::Failure;
use crate::stage::holder;

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: &RepairArgs) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let mut known: BTreeSet<ZoneName> = home.shards()?;
    known.extend(home.high_water()?.into_keys());
    let chosen = chosen(args.zone.as_ref(), known)?;
    match &home {
        StateHome::Dir(dir) => files(ctx, args, &home, dir, &chosen),
        StateHome::Remote(remote) => objects(ctx, args, &home, remote, &chosen),
    }
}

fn files(
    ctx: &Context,
    args: &RepairArgs,
    home: &StateHome,
    dir: &StateDir,
    chosen: &[ZoneName],
) -> Result<Exit, Failure> {
    let mut damaged = Vec::new();
    for shard in chosen {
        let damage = dir.damage(shard)?;
        ctx.term.data(&text(&damage));
        if damage.why.is_some() {
            damaged.push(shard);
        }
    }
    if damaged.is_empty() {
        ctx.term.say("Everything is whole.");
        return Ok(Exit::DONE);
    }
    let question = "Go on from the newest that is whole, and keep the damaged files aside?";
    if !approved(ctx, args, question)? {
        return Ok(Exit::STATE);
    }
    for shard in damaged {
        let restored = home.restore(shard, Source::Newest, &holder("state repair"))?;
        ctx.term.say(&restore::line(&restored));
    }
    restore::say_next(ctx);
    Ok(Exit::DONE)
}

/// Without approval the state stays as it is, which is damaged.
fn approved(ctx: &Context, args: &RepairArgs, question: &str) -> Result<bool, Failure> {
    if args.approval.dry_run {
        ctx.term.say("Nothing was changed (--dry-run).");
        return Ok(false);
    }
    let yes = args.approval.given(ctx.term, question)?;
    if !yes {
        ctx.term.say("Not approved; nothing was changed.");
    }
    Ok(yes)
}

fn text(damage: &Damage) -> String {
    let Some(why) = &damage.why else {
        return format!("{}: whole\n", damage.shard);
    };
    let mut out = format!("{}: {}\n", damage.shard, escape(why));
    for left in &damage.files {
        out += &file(left);
    }
    out
}

fn file(left: &Left) -> String {
    let name = left.file.display();
    let Some(bytes) = left.bytes else {
        return format!("  {name} is missing\n");
    };
    let mut out = format!("  {name}, {bytes} bytes\n");
    let mut at = 0;
    for part in &left.readable {
        out += &gap(at, part.offset);
        out += &format!(
            "    bytes {} to {}: {}\n",
            part.offset,
            part.end,
            holds(part)
        );
        at = part.end;
    }
    out + &gap(at, bytes)
}

fn gap(from: u64, to: u64) -> String {
    match from < to {
        true => format!("    bytes {from} to {to}: cannot be read\n"),
        false => String::new(),
    }
}

fn holds(part: &Readable) -> String {
    const SHOWN: usize = 8;
    match &part.holds {
        Holds::Snapshot { serial } => format!("the snapshot with serial {serial}"),
        Holds::Header => "the header".to_owned(),
        Holds::Records { first, last, about } => {
            let names: Vec<String> = about.iter().take(SHOWN).map(ToString::to_string).collect();
            let more = about.len().saturating_sub(SHOWN);
            let mut out = match first == last {
                true => format!("record {first}"),
                false => format!("records {first} to {last}"),
            };
            if !names.is_empty() {
                out += &format!(", about {}", escape(&names.join(", ")));
            }
            if more > 0 {
                out += &format!(" and {more} more");
            }
            out
        }
    }
}

fn objects(
    ctx: &Context,
    args: &RepairArgs,
    home: &StateHome,
    remote: &RemoteState,
    chosen: &[ZoneName],
) -> Result<Exit, Failure> {
    let mut wrong = 0;
    for examined in home.examine()? {
        if !chosen.contains(&examined.shard) {
            continue;
        }
        wrong += examined.problems.len();
        for problem in &examined.problems {
            ctx.term
                .data(&format!("{}: {}\n", examined.shard, escape(problem)));
        }
    }
    if wrong == 0 {
        ctx.term.say("Everything is whole.");
        return Ok(Exit::DONE);
    }
    let mut removable = 0;
    for shard in chosen {
        for bad in remote.repair(shard, false)? {
            ctx.term.data(&format!(
                "{shard}: the log has everything that is in {}\n",
                escape(&bad.key)
            ));
            removable += 1;
        }
    }
    if removable == 0 {
        return Err(Failure::new(
            Exit::STATE,
            format!("nothing can be done about this in {}", home.place()),
        )
        .help("objects are never replaced: put back those that are missing or changed from the store's own versions, or a mirror"));
    }
    let question = format!(
        "Remove {}, and keep copies on this host?",
        count(removable, "snapshot")
    );
    if !approved(ctx, args, &question)? {
        return Ok(Exit::STATE);
    }
    for shard in chosen {
        for bad in remote.repair(shard, true)? {
            let kept = match &bad.kept {
                Some(file) => format!("; a copy is in {}", file.display()),
                None => String::new(),
            };
            ctx.term.say(&format!("Removed {}{kept}.", bad.key));
        }
    }
    let left = home.examine()?;
    let mut left = left.iter().filter(|e| chosen.contains(&e.shard));
    let whole = left.all(|e| e.problems.is_empty());
    let doctor = ctx.command(&["state".to_owned(), "doctor".to_owned()]);
    ctx.term.say(&match whole {
        true => "Everything is whole.".to_owned(),
        false => format!("Something is still wrong; `{doctor}` names it."),
    });
    Ok(match whole {
        true => Exit::DONE,
        false => Exit::STATE,
    })
}
