//! `zonewright state gc`: removes what later snapshots have made superfluous.

use zonewright_state::sweep::{Keep, Swept};

use super::{AtRest, chosen};
use crate::Context;
use crate::args::GcArgs;
use crate::exit::Exit;
use crate::render::text::{count, escape};
use crate::report::Failure;
use crate::stage::holder;

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: &GcArgs) -> Result<Exit, Failure> {
    let at_rest = AtRest::of(ctx).await?;
    if at_rest.world.name().is_none() {
        return Err(Failure::error("nothing was ever recorded here"));
    }
    let home = at_rest.home()?;
    let settings = &at_rest.facts.state;
    let chosen = chosen(args.zone.as_ref(), home.shards()?)?;
    let age =
        jiff::SignedDuration::try_from(settings.keep_for).unwrap_or(jiff::SignedDuration::MAX);
    let limit = jiff::Timestamp::now().saturating_sub(age);
    let limit = limit.map_err(|e| Failure::error(format!("`keep_for`: {e}")))?;
    let is_young = |at: Option<&str>, modified: Option<i64>| {
        let of_run = at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let of_disk = modified.and_then(|s| jiff::Timestamp::from_second(s).ok());
        of_run.or(of_disk).is_some_and(|made| made > limit)
    };
    let keep = Keep {
        count: settings.keep,
        is_young: &is_young,
    };
    let by = holder("state gc");
    let mut found = Vec::new();
    for shard in &chosen {
        found.push(home.sweep(shard, &keep, &by, false)?);
    }
    for swept in &found {
        ctx.term.data(&text(
            swept,
            ctx.global.verbose > 0 || args.approval.dry_run,
        ));
    }
    let total: usize = found.iter().map(|s| s.removed.len()).sum();
    if total == 0 {
        ctx.term.say("Nothing is superfluous.");
        return Ok(Exit::DONE);
    }
    if args.approval.dry_run {
        ctx.term.say("Nothing was removed (--dry-run).");
        return Ok(Exit::DONE);
    }
    let question = format!("Remove {} for good?", count(total, "object"));
    if !args.approval.given(ctx.term, &question)? {
        ctx.term.say("Not approved; nothing was removed.");
        return Ok(Exit::REFUSED);
    }
    for swept in found.iter().filter(|s| !s.removed.is_empty()) {
        home.sweep(&swept.shard, &keep, &by, true)?;
    }
    ctx.term
        .say(&format!("Removed {}.", count(total, "object")));
    Ok(Exit::DONE)
}

fn text(swept: &Swept, all: bool) -> String {
    let from = match swept.from {
        Some(serial) => format!("kept from serial {serial} on"),
        None => "no snapshot yet".to_owned(),
    };
    let n = count(swept.removed.len(), "object");
    let mut out = format!("{}: {from}; {n} before that\n", swept.shard);
    if all {
        for key in &swept.removed {
            out += &format!("  {}\n", escape(key));
        }
    }
    out
}
