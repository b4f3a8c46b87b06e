//! `zonewright adopt`: takes everything that exists and that the spec describes under management, with a
//! plan that shows what would change. Changes only the state: no request that changes anything is sent.

use std::collections::BTreeMap;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::import::{Adoptable, adopt, adoptable};
use zonewright_engine::journal::Entry;
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::{Record, State};
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
use crate::taking::{self, Approval, Taking};
use crate::terraform::Terraform;

/// A cluster is adopted before its contents can be looked at, and these may hold more.
const ROUNDS: usize = 4;

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: AdoptArgs) -> Result<Exit, Failure> {
    let only = args.terraform.as_deref().map(Terraform::read).transpose()?;
    let stage = Stage::open(ctx).await?;
    let options = Options {
        zones: zones(&args),
        ..Options::default()
    };
    stage.check_zones(&options.zones)?;
    let wanted = Wanted {
        args: &args,
        only: only.as_ref(),
    };
    let work = async |writer: &Writer, state| {
        under_lock(ctx, &stage, &wanted, &options, (writer, state)).await
    };
    let timeout = args.edit.lock_timeout;
    stage.locked(&options, "adopt", timeout, work).await
}

fn zones(args: &AdoptArgs) -> Vec<ZoneName> {
    let named = args.addresses.iter().map(|a| a.zone.clone());
    let mut zones: Vec<ZoneName> = args.zones.iter().cloned().chain(named).collect();
    zones.sort();
    zones.dedup();
    zones
}

/// What is to be taken.
struct Wanted<'a> {
    args: &'a AdoptArgs,
    only: Option<&'a Terraform>,
}

impl Wanted<'_> {
    fn covers(&self, found: &Adoptable<'_>) -> bool {
        let named = &self.args.addresses;
        let address = found.address;
        // A declaration covers the objects that it brings.
        let is_named = |w: &Address| w == address || *w == address.declaration();
        (named.is_empty() || named.iter().any(is_named))
            && self.only.is_none_or(|t| t.manages(address, found.live))
    }
}

/// What was found: records to be made, and what somebody else's mark is on.
#[derive(Default)]
struct Found {
    taken: Vec<Record>,
    marked: BTreeMap<Address, String>,
}

/// Looks until nothing new comes up, each time with what was found so far as if it were recorded.
async fn look(
    stage: &Stage,
    wanted: &Wanted<'_>,
    options: &Options,
    state: &mut State,
) -> Result<Found, Failure> {
    let mut out = Found::default();
    for _ in 0..ROUNDS {
        let (inputs, seen) = stage.look(state.clone(), options.clone()).await?;
        let (mut round, mut marked) = (Vec::new(), BTreeMap::new());
        for found in adoptable(&inputs, &seen).filter(|f| wanted.covers(f)) {
            let mark = found.live.mark.text().map(str::to_owned);
            let allowed = wanted.args.marked || inputs.takes_over(found.address, found.live);
            let others = mark.is_some() && !allowed;
            marked.extend(mark.map(|m| (found.address.clone(), m)));
            if !others {
                round.push(found);
            }
        }
        let round = adopt(&inputs, &seen, round).map_err(|e| Failure::error(e.to_string()))?;
        out.marked.extend(marked);
        if round.is_empty() {
            break;
        }
        for record in &round {
            state.assume(record.clone());
        }
        out.taken.extend(round);
    }
    Ok(out)
}

async fn under_lock(
    ctx: &Context,
    stage: &Stage,
    wanted: &Wanted<'_>,
    options: &Options,
    (writer, mut state): (&Writer, State),
) -> Result<Exit, Failure> {
    let found = look(stage, wanted, options, &mut state).await?;
    ctx.term.prose(&listed(&found));
    if found.taken.is_empty() {
        let left = found.marked.len();
        ctx.term.say(&match left {
            0 => "Nothing that the spec describes exists without being managed.".to_owned(),
            _ => "Nothing was taken; --marked takes what carries another mark, too.".to_owned(),
        });
        return Ok(Exit::DONE);
    }
    if wanted.args.absorb {
        let absorbing = absorbed(ctx, stage, wanted, options, &state, &found.taken).await?;
        if let Some(taking) = absorbing {
            return taking.run(writer, state).await;
        }
    }
    show(ctx, stage, state, options.clone()).await?;
    let approval = &wanted.args.edit.approval;
    if approval.dry_run {
        return Ok(Exit::DONE);
    }
    let n = count(found.taken.len(), "resource");
    if !approval.given(ctx.term, &format!("Take {n} under management?"))? {
        ctx.term.say("Not approved; nothing was recorded.");
        return Ok(Exit::REFUSED);
    }
    stage.record_identities(writer)?;
    record(writer, found.taken)?;
    ctx.term.say(&format!(
        "Recorded. `{}` makes what differs as the spec says.",
        ctx.command(&["apply".to_owned()])
    ));
    Ok(Exit::DONE)
}

/// The edits with which nothing of what is taken differs, as far as there are such edits: what cannot be written
/// into the spec is said, and left to the next apply.
async fn absorbed<'a>(
    ctx: &'a Context,
    stage: &'a Stage,
    wanted: &Wanted<'_>,
    options: &'a Options,
    state: &State,
    taken: &[Record],
) -> Result<Option<Taking<'a>>, Failure> {
    let all: Vec<Address> = taken.iter().map(|r| r.address.clone()).collect();
    let planned = stage
        .plan_about(state.clone(), options.clone(), &all)
        .await?;
    let (mut absorbed, mut addresses) = (Vec::new(), Vec::new());
    for address in taken.iter().map(|r| &r.address) {
        match taking::wanted(&planned, std::slice::from_ref(address)) {
            Ok(found) => {
                absorbed.extend(found);
                addresses.push(address.clone());
            }
            Err(refused) => ctx.term.say(&format!("note: {refused}")),
        }
    }
    if absorbed.is_empty() {
        return Ok(None);
    }
    let approval = &wanted.args.edit.approval;
    Ok(Some(Taking {
        ctx,
        stage,
        options,
        addresses,
        taken: all,
        edits: taking::edits(stage.project(), &absorbed)?,
        import: None,
        approval: Approval {
            dry_run: approval.dry_run,
            auto_approve: approval.auto_approve,
        },
    }))
}

/// What is taken, and what is not because somebody else's mark is on it: two projects would manage it.
fn listed(found: &Found) -> String {
    let mut out = String::new();
    for record in &found.taken {
        let mark = found.marked.get(&record.address);
        let mark = mark.map(|m| format!(", which carries the mark {m}"));
        let (address, id) = (&record.address, &record.id);
        let line = format!("adopt {address} (id {id}){}", mark.unwrap_or_default());
        out.push_str(&escape(&line));
        out.push('\n');
    }
    let is_taken = |address: &Address| found.taken.iter().any(|r| r.address == *address);
    for (address, mark) in found.marked.iter().filter(|(a, _)| !is_taken(a)) {
        let line = format!(
            "leave {address}: it carries the mark {mark} of another project, address or tool"
        );
        out.push_str(&escape(&line));
        out.push('\n');
    }
    out
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

fn record(writer: &Writer, records: Vec<Record>) -> Result<(), Failure> {
    let mut by_shard: BTreeMap<ZoneName, Vec<Entry>> = BTreeMap::new();
    for record in records {
        let shard = by_shard.entry(record.address.zone.clone()).or_default();
        shard.push(Entry::Import {
            record: Box::new(record),
        });
    }
    for (shard, entries) in by_shard {
        writer.append_now(&shard, entries)?;
    }
    Ok(())
}
