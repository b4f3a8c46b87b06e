//! `zonewright state unlock`: breaks the lock of a writer that is known to be dead.

use zonewright_engine::address::ZoneName;
use zonewright_engine::journal::Holder;
use zonewright_state::unlock::{Unlock, Unlocked};
use zonewright_state::{StateError, StateHome};

use super::kept;
use crate::Context;
use crate::args::UnlockArgs;
use crate::exit::Exit;
use crate::report::Failure;
use crate::stage::holder;

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: &UnlockArgs) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::error("the reason is empty")
            .help("say how it is known that the writer is dead; the log keeps it"));
    }
    let home = kept(ctx).await?;
    let shards: Vec<ZoneName> = home.shards()?.into_iter().collect();
    let shard = &args.zone;
    if !shards.contains(shard) {
        return Err(Failure::no_zone(shard, &shards));
    }
    let by = holder("state unlock");
    let unlock = Unlock {
        shard,
        epoch: args.epoch,
        by: &by,
        reason: args.reason.trim(),
    };
    match home.unlock(&unlock)? {
        Unlocked::Broken(all) => {
            for one in all {
                ctx.term.say(&format!(
                    "{}: the lock of writer {} is broken: {}. If it lives after all, its next write comes too late and it stops.",
                    one.shard,
                    one.epoch,
                    who(one.holder.as_deref())
                ));
            }
            Ok(Exit::DONE)
        }
        Unlocked::Process { holder } => Err(of_a_process(shard, holder)),
        Unlocked::Other { epoch, holder } => Err(Failure::new(
            Exit::REFUSED,
            format!(
                "writer {} does not hold {shard}; writer {epoch} does: {}",
                args.epoch,
                who(holder.as_deref())
            ),
        )
        .help("look whether that one is dead, too; the number is in the error of the command that finds the state locked")),
        Unlocked::Free => {
            ctx.term.say(&free(&home));
            Ok(Exit::DONE)
        }
    }
}

fn of_a_process(shard: &ZoneName, holder: Option<Box<Holder>>) -> Failure {
    let locked = StateError::Locked {
        shard: shard.clone(),
        holder,
        epoch: None,
    };
    Failure::from(locked).help(
        "a lock of files belongs to a process and goes when that ends, however it ends: end the process (its number is above), there is nothing to break",
    )
}

fn free(home: &StateHome) -> String {
    match home {
        StateHome::Dir(_) => "Nobody holds it. The lock of files goes with its process, so there is never one to break.",
        StateHome::Remote(_) => "Nobody holds it; there is nothing to break.",
    }
    .to_owned()
}

fn who(holder: Option<&Holder>) -> String {
    match holder {
        Some(h) => format!(
            "`{}` by {}@{} (pid {}, since {})",
            h.command, h.user, h.host, h.pid, h.since
        ),
        None => "another process".to_owned(),
    }
}
