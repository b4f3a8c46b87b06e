//! `zonewright state mv` and `state rm`: records under another address, or no more of them. What the
//! vendors have stays as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::journal::Entry;
use zonewright_engine::journal::moved::renamed;
use zonewright_engine::snapshot::{Record, State};

use super::edit::{self, Change, Entries};
use crate::Context;
use crate::args::{MoveArgs, RemoveArgs};
use crate::exit::Exit;
use crate::render::text::{count, escape};
use crate::report::Failure;

/// Runs `state mv`.
pub(super) async fn mv(ctx: &Context, args: &MoveArgs) -> Result<Exit, Failure> {
    let (from, to) = (&args.from, &args.to);
    let change = Change {
        command: format!("state mv {from} {to}"),
        entries: &|state| Ok(moves(state, from, to)),
        shown: &|before, _| moved(before, from, to),
    };
    let exit = edit::run(ctx, &args.edit, &change).await?;
    if exit == Exit::DONE && !args.edit.approval.dry_run {
        ctx.term.say(&format!(
            "Call it {to} in the spec now; with both names at once, or only the old one, a plan would be about two things."
        ));
    }
    Ok(exit)
}

/// One entry for the shard of the resource, and one for each that refers to it.
fn moves(state: &State, from: &Address, to: &Address) -> Entries {
    let refers = |record: &Record| {
        let container = record.contained_in.iter().map(|c| &c.address);
        let mut all = record.depends_on.iter().chain(container);
        all.any(|a| renamed(a, from, to).is_some())
    };
    let mut shards: BTreeSet<ZoneName> = [from.zone.clone()].into();
    for (shard, snapshot) in &state.shards {
        let open = snapshot.open.values().map(|open| &open.record);
        if snapshot.records().chain(open).any(refers) {
            shards.insert(shard.clone());
        }
    }
    let entry = Entry::Move {
        from: from.clone(),
        to: to.clone(),
    };
    let one = |shard| (shard, vec![entry.clone()]);
    shards.into_iter().map(one).collect()
}

fn moved(before: &State, from: &Address, to: &Address) -> String {
    let mut out = String::new();
    let (mut references, mut inside) = (0, 0);
    for record in before.records() {
        if let Some(new) = renamed(&record.address, from, to) {
            let line = format!("{} -> {new}", record.address);
            let _ = writeln!(out, "{}", escape(&line));
        }
        let refers = |a: &Address| renamed(a, from, to).is_some();
        references += record.depends_on.iter().filter(|a| refers(a)).count();
        inside += usize::from(
            record
                .contained_in
                .as_ref()
                .is_some_and(|c| refers(&c.address)),
        );
    }
    if references > 0 {
        let _ = writeln!(out, "  {} to it", count(references, "reference"));
    }
    if inside > 0 {
        let _ = writeln!(out, "  {} in it", count(inside, "resource"));
    }
    out
}

/// Runs `state rm`.
pub(super) async fn rm(ctx: &Context, args: &RemoveArgs) -> Result<Exit, Failure> {
    let names: Vec<String> = args.addresses.iter().map(Address::to_string).collect();
    let change = Change {
        command: format!("state rm {}", names.join(" ")),
        entries: &|state| forgets(state, &args.addresses),
        shown: &removed,
    };
    let exit = edit::run(ctx, &args.edit, &change).await?;
    if exit == Exit::DONE && !args.edit.approval.dry_run {
        ctx.term.say(
            "What exists stays, and its bill with it. As long as the spec has it, the next plan takes it over again by its mark.",
        );
    }
    Ok(exit)
}

/// Every address, with what it brings along and what it contains.
fn forgets(state: &State, addresses: &[Address]) -> Result<Entries, Failure> {
    let mut gone: BTreeSet<Address> = BTreeSet::new();
    let known: Vec<(&Address, Option<&Address>)> = state
        .records()
        .map(|r| (&r.address, r.contained_in.as_ref().map(|c| &c.address)))
        .chain(state.opens().map(|(a, o)| {
            let container = o.record.contained_in.as_ref();
            (a, container.map(|c| &c.address))
        }))
        .collect();
    for address in addresses {
        let mut of_it = known
            .iter()
            .filter(|(a, _)| renamed(a, address, address).is_some())
            .peekable();
        if of_it.peek().is_none() {
            return Err(Failure::error(format!("{address} is not recorded"))
                .help("`zonewright state list` shows what is"));
        }
        gone.extend(of_it.map(|(a, _)| (*a).clone()));
    }
    loop {
        let inside: Vec<Address> = known
            .iter()
            .filter(|(a, container)| {
                !gone.contains(*a) && container.is_some_and(|c| gone.contains(c))
            })
            .map(|(a, _)| (*a).clone())
            .collect();
        if inside.is_empty() {
            break;
        }
        gone.extend(inside);
    }
    let mut out = Entries::new();
    for address in gone {
        let shard = address.zone.clone();
        out.entry(shard).or_default().push(Entry::Forget {
            address,
            reason: "state rm".to_owned(),
        });
    }
    Ok(out)
}

fn removed(before: &State, after: &State) -> String {
    let mut out = String::new();
    let mut gone: BTreeSet<&Address> = BTreeSet::new();
    for record in before.records() {
        if after.record(&record.address).is_none() {
            gone.insert(&record.address);
            let line = format!("- {} (id {})", record.address, record.id);
            let _ = writeln!(out, "{}", escape(&line));
        }
    }
    for (address, open) in before.opens() {
        if after.open(address).is_none() {
            let line = format!(
                "- the operation {} of {address}, whose outcome is not known",
                open.op
            );
            let _ = writeln!(out, "{}", escape(&line));
        }
    }
    for record in after.records() {
        for address in record.depends_on.iter().filter(|a| gone.contains(a)) {
            let line = format!("  {} refers to {address}", record.address);
            let _ = writeln!(out, "{}", escape(&line));
        }
    }
    out
}
