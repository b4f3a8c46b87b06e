//! `zonewright state migrate`: moves the state to another store, and lets the spec say so.

use std::fs;

use zonewright_state::StateHome;

use super::AtRest;
use super::init::emulated_bucket;
use crate::Context;
use crate::args::MigrateArgs;
use crate::exit::Exit;
use crate::project::ROOT_FILE;
use crate::render::text::count;
use crate::report::Failure;
use crate::stage::holder;
use crate::world::{self, World};

/// Runs the command.
pub(super) async fn run(ctx: &Context, args: &MigrateArgs) -> Result<Exit, Failure> {
    let mut now = AtRest::of(ctx).await?;
    if matches!(now.world, World::Sandbox { .. }) {
        now.world = World::open(ctx, &now.project).await?;
    }
    let text = fs::read_to_string(&args.to).map_err(|e| Failure::file("read", &args.to, e))?;
    let edit = now.project.edit(ROOT_FILE.to_owned(), |_| Ok(text))?;
    let project = now.project.clone().with(edit.clone());
    let (_, facts) = project.config(ctx, &world::registry()?)?;
    let then = AtRest {
        project,
        world: now.world.clone(),
        facts,
        term: ctx.term,
    };
    if then.facts.state == now.facts.state {
        return Err(
            Failure::error(format!("{} keeps the state where it is", args.to.display()))
                .help("write another `[state]` into it"),
        );
    }
    if args.yes {
        emulated_bucket(&then).await?;
    }
    let from = now.home()?;
    let to = then.home()?;
    if let (StateHome::Remote(to), true) = (&to, args.yes) {
        to.prepare()?;
        to.probe()?;
    }
    let moved = from.migrate(&to, &holder("state migrate"), args.yes)?;
    let shards: Vec<String> = moved
        .shards
        .iter()
        .map(|(shard, serial)| format!("{shard} at serial {serial}"))
        .collect();
    let what = format!(
        "{} ({} bytes) from {} to {}: {}",
        count(moved.objects, "object"),
        moved.bytes,
        from.place(),
        to.place(),
        shards.join(", ")
    );
    if !args.yes {
        ctx.term.say(&format!(
            "Would copy {what}. Nothing was written; --yes copies."
        ));
        return Ok(Exit::DONE);
    }
    now.project.write(&edit)?;
    ctx.term.say(&format!(
        "Copied {what}. Everything reads back as it was.\nWrote {ROOT_FILE}. What is at the old place is not used any more; \
         keep it until the next apply is done."
    ));
    Ok(Exit::DONE)
}
