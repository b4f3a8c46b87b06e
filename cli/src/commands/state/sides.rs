//! Snapshots by name: a serial, a file, or `current`. And `zonewright state diff` of two of them.

use std::path::Path;

use zonewright_engine::address::ZoneName;
use zonewright_engine::snapshot::Snapshot;
use zonewright_state::compare::{Difference, compare};
use zonewright_state::format::{self, Stored};
use zonewright_state::seal::{Expected, Seal};
use zonewright_state::{StateError, StateHome};

use super::kept;
use crate::args::{DiffArgs, Format, Side};
use crate::exit::Exit;
use crate::render::state_diff;
use crate::report::Failure;
use crate::{Context, given};

/// Reads a snapshot file.
pub(super) fn file(path: &Path, seal: &Seal) -> Result<Stored, Failure> {
    let bytes = given::read(path)?;
    // Who names a file has chosen it: it may be in the clear.
    let any = Expected::default();
    Ok(format::open(&bytes, path, &[], &any, &seal.lenient())?.0)
}

/// One side, of one shard; `None` when it has no such snapshot.
fn of_shard(home: &StateHome, side: &Side, shard: &ZoneName) -> Result<Option<Snapshot>, Failure> {
    let stored = match side {
        Side::Current => Some(home.stored(shard)?),
        Side::Serial(serial) => home.earlier(shard, *serial)?,
        Side::File(path) => Some(file(path, home.seal())?).filter(|s| s.snapshot.shard == *shard),
    };
    Ok(stored.map(|s| s.snapshot))
}

/// Runs `state diff`.
pub(super) async fn diff(ctx: &Context, args: &DiffArgs) -> Result<Exit, Failure> {
    let home = kept(ctx).await?;
    let shards: Vec<ZoneName> = home.shards()?.into_iter().collect();
    if let Some(zone) = args.zone.as_ref().filter(|z| !shards.contains(z)) {
        return Err(Failure::no_zone(zone, &shards));
    }
    let mut found: Vec<(ZoneName, Vec<Difference>)> = Vec::new();
    for shard in shards {
        if args.zone.as_ref().is_some_and(|z| *z != shard) {
            continue;
        }
        let before = of_shard(&home, &args.before, &shard)?;
        let after = of_shard(&home, &args.after, &shard)?;
        if let (Some(before), Some(after)) = (before, after) {
            check_same(&before, &after, args)?;
            found.push((shard, compare(&before, &after)));
        }
    }
    // A serial counts the changes of one zone: the same number of two zones says nothing.
    let by_number = [&args.before, &args.after]
        .iter()
        .any(|s| matches!(s, Side::Serial(_)));
    match found.as_slice() {
        [] => {
            return Err(Failure::error("no zone has both of these")
                .help("`zonewright state history` lists the serials that there are"));
        }
        [_, _, ..] if by_number => {
            let zones: Vec<&str> = found.iter().map(|(z, _)| z.as_str()).collect();
            let message = format!(
                "serials count the changes of one zone; {} have these",
                zones.join(", ")
            );
            return Err(Failure::error(message).help("say which with --zone"));
        }
        _ => {}
    }
    let all: Vec<Difference> = found.iter().flat_map(|(_, d)| d.clone()).collect();
    match args.format {
        Format::Json => ctx.term.pretty(&state_diff::json(&found)),
        Format::Text => {
            let text = state_diff::text(&all, ctx.term.out_paint());
            ctx.term.prose(&(text + &state_diff::summary(&all)));
        }
    }
    Ok(match all.is_empty() {
        true => Exit::DONE,
        false => Exit::CHANGES,
    })
}

/// States of two projects or worlds have nothing in common.
fn check_same(before: &Snapshot, after: &Snapshot, args: &DiffArgs) -> Result<(), Failure> {
    let path = [&args.before, &args.after]
        .into_iter()
        .find_map(|s| match s {
            Side::File(path) => Some(path.clone()),
            _ => None,
        });
    let file = path.unwrap_or_default();
    if before.world != after.world {
        return Err(StateError::World {
            file,
            expected: before.world.clone(),
            found: after.world.clone(),
        }
        .into());
    }
    if before.lineage != after.lineage {
        return Err(StateError::Lineage {
            file,
            expected: before.lineage.clone(),
            found: after.lineage.clone(),
        }
        .into());
    }
    Ok(())
}
