//! `zonewright state …`: looks at the state, without a lock and without anything outside.
//! Only `gc`, `init`, `migrate`, `mv`, `push`, `rekey`, `repair`, `restore`, `rm` and `unlock` write.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::snapshot::State;
use zonewright_state::StateHome;
use zonewright_zones::{Backend, Facts};

use crate::Context;
use crate::args::{Format, StateCommand};
use crate::exit::Exit;
use crate::home;
use crate::project::Project;
use crate::render;
use crate::report::Failure;
use crate::term::Term;
use crate::world::{self, World};

mod doctor;
mod edit;
mod gc;
mod history;
mod init;
mod migrate;
mod records;
mod rekey;
mod repair;
mod restore;
mod sides;
mod transfer;
mod unlock;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, command: &StateCommand) -> Result<Exit, Failure> {
    match command {
        StateCommand::Restore(args) => return restore::run(ctx, args).await,
        StateCommand::Mv(args) => return records::mv(ctx, args).await,
        StateCommand::Rm(args) => return records::rm(ctx, args).await,
        StateCommand::Diff(args) => return sides::diff(ctx, args).await,
        StateCommand::Pull(args) => return transfer::pull(ctx, args).await,
        StateCommand::Push(args) => return transfer::push(ctx, args).await,
        StateCommand::Gc(args) => return gc::run(ctx, args).await,
        StateCommand::Repair(args) => return repair::run(ctx, args).await,
        StateCommand::Unlock(args) => return unlock::run(ctx, args).await,
        StateCommand::Rekey(args) => return rekey::run(ctx, args).await,
        StateCommand::Keygen(args) => return rekey::keygen(ctx, args),
        StateCommand::Init => return init::run(ctx).await,
        StateCommand::Doctor(args) => return doctor::run(ctx, args.format).await,
        StateCommand::Migrate(args) => return migrate::run(ctx, args).await,
        StateCommand::List(_) | StateCommand::Show { .. } | StateCommand::History(_) => {}
    }
    let recorded = Recorded::open(ctx).await?;
    match command {
        StateCommand::List(args) => list(ctx, &recorded.state, args.format),
        StateCommand::Show { address, format } => {
            show(ctx, &recorded.state, address, format.format)?
        }
        StateCommand::History(args) => history::run(ctx, &recorded, args.format)?,
        _ => {}
    }
    Ok(Exit::DONE)
}

/// What is recorded. The spec is not needed for it, so that a broken one is no obstacle.
pub(crate) struct Recorded {
    pub(crate) state: State,
    /// Absent for emulators that were never served.
    dir: Option<StateHome>,
}

impl Recorded {
    /// Reads every shard that has files.
    pub(crate) async fn open(ctx: &Context) -> Result<Recorded, Failure> {
        let Some(dir) = at_rest(ctx).await? else {
            return Ok(Recorded {
                state: State::default(),
                dir: None,
            });
        };
        let shards: Vec<ZoneName> = dir.shards()?.into_iter().collect();
        let loaded = dir.read(&shards)?;
        for notice in &loaded.notices {
            ctx.term.say(&format!("note: {notice}"));
        }
        Ok(Recorded {
            state: loaded.state,
            dir: Some(dir),
        })
    }
}

/// The state of a project.
struct AtRest {
    project: Project,
    world: World,
    facts: Facts,
    term: Term,
}

impl AtRest {
    /// The project and its world. Emulators are started only for a state that is kept in them.
    async fn of(ctx: &Context) -> Result<AtRest, Failure> {
        let project = Project::find(ctx)?;
        let registry = world::registry()?;
        let facts = project.facts(ctx, &registry)?;
        let world = World::at_rest(ctx, &project);
        let elsewhere = matches!(facts.state.backend, Backend::S3 { .. });
        let world = match &world {
            World::Sandbox { id: Some(_), .. } if elsewhere => World::open(ctx, &project).await?,
            _ => world,
        };
        Ok(AtRest {
            project,
            world,
            facts,
            term: ctx.term,
        })
    }

    fn home(&self) -> Result<StateHome, Failure> {
        home::open(&self.project, &self.world, &self.facts.state, self.term)
    }
}

/// The state, without starting what need not run; absent for emulators that were never served.
async fn at_rest(ctx: &Context) -> Result<Option<StateHome>, Failure> {
    let at_rest = AtRest::of(ctx).await?;
    if at_rest.world.name().is_none() {
        return Ok(None);
    }
    at_rest.home().map(Some)
}

/// The state of a project in which something was recorded.
async fn kept(ctx: &Context) -> Result<StateHome, Failure> {
    let home = at_rest(ctx).await?;
    home.ok_or_else(|| Failure::error("nothing was ever recorded here"))
}

/// The zone that is named, or all that there are.
fn chosen(zone: Option<&ZoneName>, known: BTreeSet<ZoneName>) -> Result<Vec<ZoneName>, Failure> {
    match zone {
        Some(zone) if !known.contains(zone) => Err(Failure::no_zone(zone, &known)),
        Some(zone) => Ok(vec![zone.clone()]),
        None => Ok(known.into_iter().collect()),
    }
}

/// Everything that is recorded.
pub(crate) fn list(ctx: &Context, state: &State, format: Format) {
    match format {
        Format::Text => ctx.term.data(&render::state::list(state)),
        Format::Json => {
            let records: Vec<Json> = state
                .records()
                .map(|r| json!({ "address": r.address, "id": r.id, "status": r.status }))
                .collect();
            let open: Vec<Json> = state
                .opens()
                .map(|(a, o)| json!({ "address": a, "operation": o.op, "action": o.action }))
                .collect();
            ctx.term
                .pretty(&json!({ "format_version": 1, "records": records, "open": open }));
        }
    }
}

/// One record. A declaration of several objects stands for all of them.
pub(crate) fn show(
    ctx: &Context,
    state: &State,
    address: &Address,
    format: Format,
) -> Result<(), Failure> {
    let mut found: Vec<_> = state.record(address).into_iter().collect();
    if found.is_empty() && address.key.is_none() {
        found = state
            .records()
            .filter(|r| r.address.declaration() == *address)
            .collect();
    }
    if found.is_empty() {
        return Err(Failure::error(format!("{address} is not recorded"))
            .help("`zonewright state list` shows what is"));
    }
    match (format, found.as_slice()) {
        (Format::Text, records) => {
            for record in records {
                ctx.term.data(&render::state::record(record));
            }
        }
        (Format::Json, [one]) => ctx.term.pretty(&json!(one)),
        (Format::Json, many) => ctx.term.pretty(&json!(many)),
    }
    Ok(())
}
