//! `zonewright state rekey` and `state keygen`: for whom the state is sealed from here on, and a key to begin
//! with.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use zonewright_engine::address::ZoneName;
use zonewright_state::StateHome;
use zonewright_state::examine::Examined;
use zonewright_state::seal::keys::NewKey;

use super::{chosen, kept};
use crate::Context;
use crate::args::{KeygenArgs, RekeyArgs};
use crate::exit::Exit;
use crate::place;
use crate::render::text::count;
use crate::report::Failure;
use crate::stage::holder;

/// What trying a passphrase costs, as a power of two: about a second.
const WORK_FACTOR: u8 = 18;

/// Runs `state rekey`.
pub(super) async fn run(ctx: &Context, args: &RekeyArgs) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let shards = match args.zones.as_slice() {
        [] => chosen(None, home.shards()?)?,
        zones => {
            let known = home.shards()?;
            let one = |zone: &ZoneName| chosen(Some(zone), known.clone());
            let all: Result<Vec<Vec<ZoneName>>, Failure> = zones.iter().map(one).collect();
            all?.concat()
        }
    };
    // What cannot be opened cannot be sealed anew.
    let state = home.read(&shards)?.state;
    place::refuse_own(&home.place(), &state)?;
    let examined = home.examine()?;
    for shard in examined.iter().filter(|e| shards.contains(&e.shard)) {
        ctx.term.data(&text(shard, &home));
    }
    if args.edit.approval.dry_run {
        ctx.term.say("Nothing was written (--dry-run).");
        return Ok(Exit::DONE);
    }
    let question = format!("Make a new snapshot of {}?", count(shards.len(), "zone"));
    if !args.edit.approval.given(ctx.term, &question)? {
        ctx.term.say("Not approved; nothing was written.");
        return Ok(Exit::REFUSED);
    }
    for shard in &shards {
        home.rekey(shard, &holder("state rekey"), args.edit.lock_timeout)?;
    }
    ctx.term.say(&done(&home));
    Ok(Exit::DONE)
}

/// What a zone is sealed for, and what it will be.
fn text(shard: &Examined, home: &StateHome) -> String {
    let wanted = home.seal().recipients();
    let newest = shard.newest.clone().unwrap_or_default();
    let mut out = format!(
        "{} at serial {}: the newest snapshot is {}, a new one will be {}\n",
        shard.shard,
        shard.serial,
        words(&newest),
        words(&wanted)
    );
    for key in wanted.iter().filter(|key| !newest.contains(key)) {
        out += &format!("  + {key}\n");
    }
    for key in newest.iter().filter(|key| !wanted.contains(key)) {
        out += &format!("  - {key}\n");
    }
    out
}

fn words(recipients: &[String]) -> String {
    match recipients.len() {
        0 => "in the clear".to_owned(),
        n => format!("sealed for {}", count(n, "recipient")),
    }
}

fn done(home: &StateHome) -> String {
    let rest = match home {
        StateHome::Dir(_) => "Earlier snapshots were sealed anew, too.",
        StateHome::Remote(_) => {
            "Earlier objects stay as they are until `zonewright state gc` removes them; `zonewright state doctor` counts them."
        }
    };
    format!("Written. {rest} No request was sent.")
}

/// Runs `state keygen`.
pub(super) fn keygen(ctx: &Context, args: &KeygenArgs) -> Result<Exit, Failure> {
    let key = NewKey::generate();
    let protected = match &args.passphrase_env {
        None => None,
        Some(name) => {
            let passphrase = std::env::var(name).unwrap_or_default();
            if passphrase.is_empty() {
                return Err(Failure::error(format!("{name} is not set"))
                    .help("set it to the passphrase; it is not taken from the command line, where others can see it"));
            }
            let made = key.protected(&passphrase, WORK_FACTOR);
            Some(made.map_err(|e| Failure::error("the key cannot be protected").because(e))?)
        }
    };
    let failed = |e| Failure::file("write", &args.out, e);
    // A key that is there is never replaced: something may be sealed for it.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.out)
        .map_err(failed)?;
    let bytes = protected
        .as_ref()
        .map_or(key.identity.as_bytes(), String::as_bytes);
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    ctx.term.data(&format!("{}\n", key.recipient));
    ctx.term.say(&format!(
        "Wrote {} (mode 0600). The line above is public: it belongs into `recipients` of `[state.encryption]`. Keep a copy of \
         the file where the state is not; without it nothing that is sealed can be opened.",
        args.out.display()
    ));
    Ok(Exit::DONE)
}
