//! `zonewright adopt`: takes everything that exists and that the spec describes under management, with a
//! plan that shows what would change. Changes only the state: no request that changes anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::import::{adoptable, import};
use zonewright_engine::journal::{Entry, Journal};
use zonewright_engine::observe::Observations;
use zonewright_engine::plan::Options;
use zonewright_engine::provider::{Live, Observed};
use zonewright_engine::snapshot::{Record, State};
use zonewright_engine::value::Value;
use zonewright_state::Writer;

use crate::Context;
use crate::args::AdoptArgs;
use crate::exit::Exit;
use crate::render;
use crate::render::cost::Costs;
use crate::render::plan::View;
use crate::render::text::{count, escape};
use crate::report::Failure;
use crate::stage::Stage;

/// A cluster is adopted before its contents can be looked at, and these may hold more.
const ROUNDS: usize = 4;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: AdoptArgs) -> Result<Exit, Failure> {
    let only = args.terraform.as_deref().map(terraform_ids).transpose()?;
    let stage = Stage::open(ctx).await?;
    let options = Options {
        zones: zones(&args),
        ..Options::default()
    };
    stage.check_zones(&options.zones)?;
    let writer = stage.acquire(&options, "adopt", args.lock_timeout)?;
    let done = under_lock(ctx, &stage, &args, only.as_ref(), options, &writer).await;
    let released = writer.release();
    let exit = done?;
    released?;
    Ok(exit)
}

fn zones(args: &AdoptArgs) -> Vec<ZoneName> {
    let named = args.addresses.iter().map(|a| a.zone.clone());
    let mut zones: Vec<ZoneName> = args.zones.iter().cloned().chain(named).collect();
    zones.sort();
    zones.dedup();
    zones
}

/// The ids in a Terraform state file (version 4).
fn terraform_ids(path: &Path) -> Result<BTreeSet<String>, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::file("read", path, e))?;
    let wrong = |what: &str| {
        Failure::error(format!("{} is no Terraform state: {what}", path.display()))
            .help("give the output of `terraform state pull`")
    };
    let state: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|_| wrong("it is not JSON"))?;
    if state["version"] != 4 {
        return Err(wrong("it is not of version 4"));
    }
    let resources = state["resources"].as_array();
    let managed = resources
        .into_iter()
        .flatten()
        .filter(|r| r["mode"] == "managed");
    let instances = managed.flat_map(|r| r["instances"].as_array().into_iter().flatten());
    let ids = instances.filter_map(|i| i["attributes"]["id"].as_str().map(str::to_owned));
    Ok(ids.collect())
}

async fn under_lock(
    ctx: &Context,
    stage: &Stage,
    args: &AdoptArgs,
    only: Option<&BTreeSet<String>>,
    options: Options,
    writer: &Writer,
) -> Result<Exit, Failure> {
    let held = writer.state();
    let mut state = stage.read_others(&held)?;
    state.shards.extend(held.shards);
    let mut taken: Vec<Record> = Vec::new();
    let mut marked: BTreeMap<Address, String> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let (inputs, seen) = stage.look(state.clone(), options.clone()).await?;
        let wanted =
            |a: &Address| args.addresses.is_empty() || args.addresses.iter().any(|w| covers(w, a));
        let mut round = Vec::new();
        for (address, id) in adoptable(&inputs, &seen) {
            if wanted(&address) && only.is_none_or(|ids| is_among(ids, &id, found(&seen, &address)))
            {
                let record = import(&inputs, &seen, &address, &id);
                let record = record.map_err(|e| Failure::error(e.to_string()))?;
                let same = |r: &&Record| r.id == record.id && r.address.kind == record.address.kind;
                if let Some(twice) = round.iter().find(same) {
                    let twice = &twice.address;
                    let message = format!("{twice} and {address} name one thing (id {id})");
                    return Err(Failure::error(message).help("take one of them out of the spec"));
                }
                marked.extend(foreign_mark(found(&seen, &address)).map(|m| (address.clone(), m)));
                round.push(record);
            }
        }
        if round.is_empty() {
            break;
        }
        put(&mut state, &round);
        taken.extend(round);
    }
    if taken.is_empty() {
        ctx.term
            .say("Nothing that the spec describes exists without being managed.");
        return Ok(Exit::DONE);
    }
    for record in &taken {
        let mark = marked
            .get(&record.address)
            .map(|m| format!(", which carries the mark {m} of another project or address"));
        let line = format!(
            "adopt {} (id {}){}",
            record.address,
            record.id,
            mark.unwrap_or_default()
        );
        ctx.term.prose(&format!("{}\n", escape(&line)));
    }
    show(ctx, stage, state, options).await?;
    if args.dry_run {
        return Ok(Exit::DONE);
    }
    let question = format!(
        "Take {} under management? Only `yes` goes on:",
        count(taken.len(), "resource")
    );
    if !args.auto_approve && !ctx.term.can_ask() {
        let message = "there is nobody to ask: this is no terminal";
        return Err(Failure::new(Exit::REFUSED, message).help("give --auto-approve or --dry-run"));
    }
    if !args.auto_approve && !ctx.term.ask(&question, "yes") {
        ctx.term.say("Not approved; nothing was recorded.");
        return Ok(Exit::REFUSED);
    }
    stage.record_identities(writer)?;
    record(writer, taken).await?;
    ctx.term.say(&format!(
        "Recorded. `{}` makes what differs as the spec says.",
        ctx.command(&["apply".to_owned()])
    ));
    Ok(Exit::DONE)
}

/// A declaration covers the objects that it brings.
fn covers(wanted: &Address, address: &Address) -> bool {
    wanted == address || *wanted == address.declaration()
}

/// The mark of somebody else on what is taken: two projects would manage it.
fn foreign_mark(live: Option<&Live>) -> Option<String> {
    live?.mark.text().map(str::to_owned)
}

fn found<'a>(seen: &'a Observations, address: &Address) -> Option<&'a Live> {
    match seen.seen.get(address)? {
        Observed::Foreign(live) | Observed::Present(live) => Some(live),
        _ => None,
    }
}

/// Whether Terraform knows it: it joins the parts of an id in ways of its own.
fn is_among(ids: &BTreeSet<String>, id: &str, live: Option<&Live>) -> bool {
    let parts = |text: &str| {
        let (first, last) = (text.split('/').next(), text.rsplit('/').next());
        (
            first.unwrap_or_default().to_owned(),
            last.unwrap_or_default().to_owned(),
        )
    };
    let named = || {
        let metadata = live?.attrs.get("metadata")?;
        let said = |key: &str| metadata.get(key).and_then(Value::as_str);
        let name = said("name")?;
        Some(said("namespace").map_or_else(|| name.to_owned(), |n| format!("{n}/{name}")))
    };
    let (first, last) = parts(id);
    let joined = id.contains('/');
    ids.contains(id)
        || named().is_some_and(|n| ids.contains(&n))
        || joined
            && ids
                .iter()
                .any(|t| *t == last || t.contains('/') && parts(t) == (first.clone(), last.clone()))
}

/// What the next look takes for recorded.
fn put(state: &mut State, records: &[Record]) {
    for record in records {
        if let Some(shard) = state.shards.get_mut(&record.address.zone) {
            shard.records.insert(record.address.clone(), record.clone());
        }
    }
}

/// What an apply would change then.
async fn show(ctx: &Context, stage: &Stage, state: State, options: Options) -> Result<(), Failure> {
    let planned = match stage.plan(state, options).await {
        Ok(planned) => planned,
        // What is taken in parts leaves the rest in the way.
        Err(failure) => {
            ctx.term
                .say("There is no plan yet for what an apply would change:");
            ctx.term.fail(&failure);
            return Ok(());
        }
    };
    let view = View {
        paint: ctx.term.out_paint(),
        verbose: ctx.global.verbose > 0,
        command: None,
        program: ctx.command(&[]),
        approvable: false,
        costs: Costs {
            prices: planned.prices.clone(),
            by_mode: stage.by_mode(&planned.plan.options),
        },
    };
    ctx.term.say("What an apply would change then:");
    ctx.term.prose(&render::plan::text(&planned.plan, &view));
    Ok(())
}

async fn record(writer: &Writer, records: Vec<Record>) -> Result<(), Failure> {
    let mut by_shard: BTreeMap<ZoneName, Vec<Entry>> = BTreeMap::new();
    for record in records {
        let shard = by_shard.entry(record.address.zone.clone()).or_default();
        shard.push(Entry::Import {
            record: Box::new(record),
        });
    }
    for (shard, entries) in by_shard {
        writer
            .append(&shard, entries)
            .await
            .map_err(|e| Failure::error(format!("{e}: {}", e.source)))?;
    }
    Ok(())
}
