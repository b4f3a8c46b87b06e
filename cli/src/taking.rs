//! Taking what is live into the spec: an edit of the spec, shown, and written once it is approved; what is
//! recorded follows. For outside changes, and for what comes under management.

use std::collections::BTreeMap;

use zonewright_engine::absorb::{Absorbed, Place, absorb, is_seen, own_file};
use zonewright_engine::address::{Address, Segment};
use zonewright_engine::canon;
use zonewright_engine::config::{Config, Resource};
use zonewright_engine::diff::text::{Line, lines};
use zonewright_engine::expr::{Lookup, Reference};
use zonewright_engine::import::import;
use zonewright_engine::journal::Entry;
use zonewright_engine::plan::Options;
use zonewright_engine::plan::build::recorded_inputs;
use zonewright_engine::snapshot::{Record, State};
use zonewright_state::Writer;

use crate::Context;
use crate::exit::Exit;
use crate::project::{Edit, Project};
use crate::render::text::{count, escape};
use crate::report::Failure;
use crate::stage::{Planned, Stage};

/// Edits of the spec with which nothing of some resources differs any more.
pub(crate) struct Taking<'a> {
    pub(crate) ctx: &'a Context,
    /// The spec as it is.
    pub(crate) stage: &'a Stage,
    pub(crate) options: &'a Options,
    /// Of these nothing may differ then, and what the spec says is recorded.
    pub(crate) addresses: Vec<Address>,
    /// These come under management along with it, those above among them.
    pub(crate) taken: Vec<Address>,
    pub(crate) edits: Vec<Edit>,
    /// The id of what the edits declare, when there is no record of it yet.
    pub(crate) import: Option<&'a str>,
    pub(crate) approval: Approval,
}

/// Whether it is only shown, or not asked about.
#[derive(Clone, Copy)]
pub(crate) struct Approval {
    pub(crate) dry_run: bool,
    pub(crate) auto_approve: bool,
}

impl Taking<'_> {
    /// Shows them, asks, writes them, and records what the spec says then.
    pub(crate) async fn run(self, writer: &Writer, mut state: State) -> Result<Exit, Failure> {
        let Taking { ctx, stage, .. } = self;
        let edited = self.edits.iter().cloned();
        let edited = edited.fold(stage.project().clone(), Project::with);
        let edited = Stage::of(ctx, edited).await?;
        if let Some(id) = self.import {
            for address in &self.addresses {
                let (inputs, seen) = edited.look(state.clone(), self.options.clone()).await?;
                let record = import(&inputs, &seen, address, id);
                let record = record.map_err(|e| Failure::error(e.to_string()))?;
                state.assume(record);
            }
        }
        let others = changed_along(&stage.config, &edited.config, &self.addresses);
        let about = match self.taken.is_empty() {
            true => &self.addresses,
            false => &self.taken,
        };
        let after = edited
            .plan_about(state.clone(), self.options.clone(), about)
            .await?;
        check(&after, &self.addresses)?;
        for edit in &self.edits {
            ctx.term.prose(&shown(edit));
        }
        for address in others {
            let line = along(&stage.config, address);
            ctx.term.prose(&format!("{}\n", escape(&line)));
        }
        if self.approval.dry_run {
            return Ok(Exit::DONE);
        }
        let (given, way) = (self.approval.auto_approve, "give --auto-approve");
        let question = match self.taken.len() {
            0 => "Write this?".to_owned(),
            n => format!(
                "Write this, and take {} under management?",
                count(n, "resource")
            ),
        };
        if !ctx.term.approved(given, &question, way)? {
            ctx.term.say("Not approved; nothing was written.");
            return Ok(Exit::REFUSED);
        }
        for edit in &self.edits {
            stage.write(edit)?;
            ctx.term.say(&format!("Wrote {}.", edit.file));
        }
        edited.record_identities(writer)?;
        let rest = self.taken.iter().filter(|a| !self.addresses.contains(a));
        for record in rest.filter_map(|a| state.record(a)) {
            put_down(writer, record.clone())?;
        }
        record(writer, &state, &after, &self.addresses)?;
        Ok(Exit::DONE)
    }
}

/// What is said of another resource that an edit is about, too.
fn along(before: &Config, address: &Address) -> String {
    match before.resources.contains_key(address) {
        true => format!("{address} changes along with it: its next plan shows that"),
        false => format!(
            "{address} comes with it, for its zone extends the edited one; `zonewright = {{ enabled = false }}` in its table keeps it out"
        ),
    }
}

/// What differs of the named resources.
pub(crate) fn wanted(planned: &Planned, addresses: &[Address]) -> Result<Vec<Absorbed>, Failure> {
    let mut out = Vec::new();
    for address in addresses {
        let Some(change) = planned.plan.change(address) else {
            return Err(Failure::error(format!("{address} is not in the spec")));
        };
        let refused = |e: zonewright_engine::absorb::Refused| Failure::error(e.to_string());
        out.extend(absorb(&planned.inputs, change).map_err(refused)?);
    }
    Ok(out)
}

/// One edit a file. Later places first, so that earlier ones stay where they are.
pub(crate) fn edits(project: &Project, absorbed: &[Absorbed]) -> Result<Vec<Edit>, Failure> {
    let mut files: BTreeMap<String, Vec<&Absorbed>> = BTreeMap::new();
    for one in absorbed {
        files.entry(own_file(&one.address)).or_default().push(one);
    }
    let mut out = Vec::new();
    for (file, mut all) in files {
        all.sort_by_key(|a| match &a.place {
            Place::At(origin) => (0, std::cmp::Reverse(origin.start)),
            Place::Own => (1, std::cmp::Reverse(0)),
        });
        let edit = project.edit(file, |before| {
            all.iter()
                .try_fold(before.to_owned(), |text, one| put(&text, one))
        });
        out.push(edit?);
    }
    Ok(out)
}

fn put(text: &str, one: &Absorbed) -> Result<String, String> {
    let value = one.value.to_json();
    let keys: Vec<&str> = one
        .path
        .segments()
        .iter()
        .filter_map(|s| match s {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        })
        .collect();
    let done = match &one.place {
        Place::At(origin) => {
            zonewright_zones::replace_value(text, origin.start..origin.end, &value)
        }
        Place::Own => zonewright_zones::set_attribute(text, &one.address, &keys, &value),
    };
    done.map_err(|e| format!("`{}` of {}: {e}", one.path, one.address))
}

/// What else of the spec is another with the edit: a zone that extends the edited one, or refers to it.
fn changed_along<'a>(before: &Config, after: &'a Config, named: &[Address]) -> Vec<&'a Address> {
    let other = |(address, resource): &(&Address, &Resource)| {
        let was = before.resources.get(address).map(|r| &r.body);
        !named.contains(address)
            && was.is_none_or(|w| canon::digest(w) != canon::digest(&resource.body))
    };
    let all = after.resources.iter().filter(other);
    all.map(|(address, _)| address).collect()
}

/// With the edit, nothing of them may differ any more.
fn check(after: &Planned, addresses: &[Address]) -> Result<(), Failure> {
    for address in addresses {
        let change = after.plan.change(address);
        if !change.is_some_and(is_seen) {
            let message =
                format!("{address} could not be compared with the edit; nothing was written");
            return Err(Failure::error(message));
        }
        if let Some(attr) = change.and_then(|c| c.attrs.first()) {
            let message = format!(
                "`{}` of {address} would still differ: an overlay, or another zone's file, says otherwise; nothing was written",
                attr.path
            );
            return Err(Failure::error(message));
        }
    }
    Ok(())
}

fn shown(edit: &Edit) -> String {
    let mut out = format!("{}\n", edit.file);
    for line in lines(&edit.before, &edit.after, 1) {
        let line = match line {
            Line::Same(text) => format!("    {text}"),
            Line::Removed(text) => format!("  - {text}"),
            Line::Added(text) => format!("  + {text}"),
            Line::Skipped(_) => continue,
        };
        out.push_str(&escape(&line));
        out.push('\n');
    }
    out
}

/// What is recorded of them is what the spec says now, so that there is nothing left to plan.
fn record(
    writer: &Writer,
    state: &State,
    after: &Planned,
    addresses: &[Address],
) -> Result<(), Failure> {
    let inputs = &after.inputs;
    for address in addresses {
        let Some(old) = state.record(address) else {
            continue;
        };
        let later = |_: &Reference| Lookup::Later { secret: false };
        let change = after.plan.change(address);
        let desired = change.and_then(|c| Some((c, c.desired.as_ref()?.eval(&later))));
        // What is known only while it is applied is recorded then.
        let known = desired.filter(|(_, desired)| desired.is_known());
        let values = known.map(|(change, desired)| {
            let values = recorded_inputs(&inputs.registry, address, &desired, &change.ignore);
            values.rekeyed(inputs.digest_key.as_ref())
        });
        let record = Record {
            inputs: values.unwrap_or_else(|| old.inputs.clone()),
            depends_on: change.map_or_else(Vec::new, |c| c.depends_on.clone()),
            ..old.clone()
        };
        put_down(writer, record)?;
    }
    Ok(())
}

pub(crate) fn put_down(writer: &Writer, record: Record) -> Result<(), Failure> {
    let shard = record.address.zone.clone();
    let entry = Entry::Import {
        record: Box::new(record),
    };
    Ok(writer.append_now(&shard, vec![entry])?)
}
