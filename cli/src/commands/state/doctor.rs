//! `zonewright state doctor`: is the store fit, is every object whole, and is the place the right one.

use serde_json::json;
use zonewright_state::examine::{Examined, Sealing};
use zonewright_state::remote::mirror::Lag;
use zonewright_state::{Class, StateHome};
use zonewright_zones::{Backend, StateSettings};

use super::AtRest;
use crate::Context;
use crate::args::Format;
use crate::exit::Exit;
use crate::place::{self, Finding, Place};
use crate::render::text::{count, escape};
use crate::report::Failure;
use crate::typed::quoted;
use crate::world::{self, World};

/// What was found.
struct Findings {
    place: String,
    examined: Vec<Examined>,
    mirrors: Vec<Lag>,
    findings: Vec<Finding>,
}

impl Findings {
    fn is_well(&self) -> bool {
        let whole = self.examined.iter().all(|e| e.problems.is_empty());
        whole && !self.findings.iter().any(|f| f.wrong)
    }
}

/// Runs the command.
pub(super) async fn run(ctx: &Context, format: Format) -> Result<Exit, Failure> {
    let at_rest = AtRest::of(ctx).await?;
    if at_rest.world.name().is_none() {
        return Err(Failure::error("nothing was ever recorded here"));
    }
    let home = at_rest.home()?;
    let mut findings = probe(&home)?;
    let examined = home.examine()?;
    findings.extend(judged(ctx, &at_rest, &home)?);
    let mirrors = match &home {
        StateHome::Remote(remote) => remote.lag()?,
        StateHome::Dir(_) => Vec::new(),
    };
    findings.extend(mirrors.iter().map(behind));
    findings.extend(sealing(&examined, &home));
    findings.extend(side_by_side(&at_rest.facts.state));
    let found = Findings {
        place: home.place(),
        examined,
        mirrors,
        findings,
    };
    match format {
        Format::Text => ctx.term.data(&quoted(&ctx.command(&[]), &text(&found))),
        Format::Json => ctx.term.pretty(&json(&found)),
    }
    Ok(match found.is_well() {
        true => Exit::DONE,
        false => Exit::REFUSED,
    })
}

/// Who can open the state, and what is not sealed as the spec says now.
fn sealing(examined: &[Examined], home: &StateHome) -> Vec<Finding> {
    let wanted = home.seal().recipients();
    let mut out = Vec::new();
    let mut note = |text| out.push(Finding { wrong: false, text });
    if !wanted.is_empty() {
        note(format!(
            "sealed for {}: {}",
            count(wanted.len(), "recipient"),
            wanted.join(", ")
        ));
    }
    for shard in examined {
        let zone = &shard.shard;
        let newest_is_other = shard.newest.as_ref().is_some_and(|n| *n != wanted);
        let way = match (newest_is_other, home) {
            (true, _) => "`zonewright state rekey` makes a new snapshot",
            (false, StateHome::Remote(_)) => {
                "`zonewright state gc` removes it once `[state] keep` and `keep_for` let it go"
            }
            (false, StateHome::Dir(_)) => "`zonewright state rekey` seals it anew",
        };
        for (recipients, n) in shard.sealing.iter().filter(|(r, _)| **r != wanted) {
            note(format!(
                "{zone}: {} {}, which is not what the spec says; {way}",
                amount(*n),
                for_whom(recipients)
            ));
        }
    }
    out
}

fn for_whom(recipients: &[String]) -> String {
    match recipients {
        [] => "in the clear".to_owned(),
        keys => format!("sealed for {}", keys.join(", ")),
    }
}

fn amount(n: Sealing) -> String {
    let (snapshots, batches) = (
        count(n.snapshots, "snapshot"),
        count(n.batches, "log object"),
    );
    match (n.snapshots, n.batches) {
        (0, _) => batches,
        (_, 0) => snapshots,
        _ => format!("{snapshots} and {batches}"),
    }
}

/// How far a mirror is. One that holds something else is no copy of this state.
fn behind(lag: &Lag) -> Finding {
    let place = &lag.place;
    let (wrong, text) = match (&lag.why, lag.behind) {
        (Some(why), _) => (lag.other, format!("the mirror {place}: {why}")),
        (None, Some(0)) => (false, format!("the mirror {place} has everything")),
        (None, n) => (
            false,
            format!(
                "the mirror {place} lacks {}; the next run copies them",
                count(n.unwrap_or(0), "object")
            ),
        ),
    };
    Finding { wrong, text }
}

/// A mirror where the store is goes with it.
fn side_by_side(settings: &StateSettings) -> Vec<Finding> {
    let region = |backend: &Backend| match backend {
        Backend::File { .. } => None,
        Backend::S3 { region, .. } => Some(region.clone()),
        Backend::Postgres { region, .. } | Backend::Kubernetes { region, .. } => region.clone(),
    };
    let own = region(&settings.backend);
    let same = settings.mirrors.iter().filter_map(region);
    same.filter(|r| Some(r) == own.as_ref())
        .map(|region| Finding {
            wrong: false,
            text: format!(
                "a mirror is in {region}, where the store is: what takes one takes the other"
            ),
        })
        .collect()
}

/// A store that lies is a finding; one that does not answer ends the command.
fn probe(home: &StateHome) -> Result<Vec<Finding>, Failure> {
    let StateHome::Remote(remote) = home else {
        return Ok(Vec::new());
    };
    match remote.probe() {
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.class() == Class::Unfit => {
            use std::error::Error as _;
            let why = error.source().map(ToString::to_string);
            Ok(vec![Finding {
                wrong: true,
                text: why.unwrap_or_else(|| error.to_string()),
            }])
        }
        Err(error) => Err(error.into()),
    }
}

fn judged(ctx: &Context, at_rest: &AtRest, home: &StateHome) -> Result<Vec<Finding>, Failure> {
    let registry = world::registry()?;
    let loaded = at_rest
        .project
        .load(&registry, ctx.global.sandbox.is_some());
    let Some(config) = loaded.config else {
        return Ok(vec![Finding {
            wrong: false,
            text: "the place was not judged: the spec has mistakes".to_owned(),
        }]);
    };
    // Emulators are on this host, whatever the spec says for the live world.
    let backend = match (&at_rest.world, home) {
        (World::Sandbox { .. }, StateHome::Dir(_)) => return Ok(Vec::new()),
        _ => &at_rest.facts.state.backend,
    };
    let shards: Vec<_> = home.shards()?.into_iter().collect();
    // What cannot be read was named by the examination.
    let state = home.read(&shards).map(|l| l.state).unwrap_or_default();
    Ok(place::judge(&place_of(backend, home), &config, &state))
}

fn place_of(backend: &Backend, home: &StateHome) -> Place {
    let place = home.place();
    let (region, host) = match backend {
        Backend::File { .. } => (None, None),
        Backend::S3 { region, .. } => (Some(region.clone()), None),
        Backend::Postgres { region, .. } | Backend::Kubernetes { region, .. } => {
            (region.clone(), place::host_of(&place).map(str::to_owned))
        }
    };
    Place {
        backend: backend.name(),
        region,
        host,
    }
}

fn text(found: &Findings) -> String {
    let mut out = format!("{}\n", escape(&found.place));
    for shard in &found.examined {
        out += &format!(
            "  {}  serial {}, log {}: {} and {} read\n",
            shard.shard,
            shard.serial,
            shard.seq,
            count(shard.batches, "log object"),
            count(shard.snapshots, "snapshot"),
        );
        for (recipients, n) in &shard.sealing {
            if !recipients.is_empty() || shard.sealing.len() > 1 {
                out += &format!("    {}: {}\n", for_whom(recipients), amount(*n));
            }
        }
        for problem in &shard.problems {
            out += &format!("    wrong: {}\n", escape(problem));
        }
    }
    for finding in &found.findings {
        let word = if finding.wrong { "wrong" } else { "note" };
        out += &format!("  {word}: {}\n", escape(&finding.text));
    }
    out += match found.is_well() {
        true => "Everything is whole.\n",
        false => "Something is wrong.\n",
    };
    out
}

fn json(found: &Findings) -> serde_json::Value {
    let shards: Vec<_> = found
        .examined
        .iter()
        .map(|s| {
            let sealing = s.sealing.iter().map(|(recipients, n)| {
                json!({ "recipients": recipients, "snapshots": n.snapshots, "batches": n.batches })
            });
            json!({ "shard": s.shard, "serial": s.serial, "log": s.seq, "batches": s.batches,
                "snapshots": s.snapshots, "sealing": sealing.collect::<Vec<_>>(),
                "problems": s.problems })
        })
        .collect();
    let findings: Vec<_> = found
        .findings
        .iter()
        .map(|f| json!({ "wrong": f.wrong, "text": f.text }))
        .collect();
    let mirrors: Vec<_> = found
        .mirrors
        .iter()
        .map(|m| json!({ "place": m.place, "behind": m.behind, "why": m.why }))
        .collect();
    json!({ "format_version": 1, "place": found.place, "well": found.is_well(),
        "shards": shards, "mirrors": mirrors, "findings": findings })
}
