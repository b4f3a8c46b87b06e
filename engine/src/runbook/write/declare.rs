//! What the spec has to say of a cluster that was restored by hand, and what takes over what came with it.

use super::{c, quoted, say, task, w};
use crate::address::Address;
use crate::plan::roles::is_writer;
use crate::runbook::facts::{ByHand, Facts};
use crate::runbook::toml::table;
use crate::runbook::{Duty, SpecEdit, Stage, Task, Text, Tool};
use crate::schema::Part;
use crate::value::Value;

/// The spec gets to know what was made by hand.
pub(super) fn restored(facts: &Facts<'_>, made: &ByHand) -> Task {
    let to = facts.to;
    let off = facts.switched_off();
    Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        instructions: vec![
            instead(facts, &off),
            vec![
                w("In "),
                c("zonewright.toml"),
                w(": a database of its own is for the zone that serves."),
            ],
            say(
                "Databases and users came with the backup, and are taken over with the cluster. What else the tables declare is made by the next apply.",
            ),
        ],
        edits: vec![
            SpecEdit {
                file: format!("zones/{to}.toml"),
                toml: tables(facts, &off, made),
            },
            SpecEdit {
                file: "zonewright.toml".to_owned(),
                toml: format!(
                    "# in [project], instead of the line that is there\nactive = \"{to}\"\n"
                ),
            },
        ],
        commands: imports(facts, &off),
        checks: vec![vec![
            c(format!("zonewright plan --zone {to}")),
            w(" neither creates nor replaces nor deletes a database."),
        ]],
        back: vec![
            w("Undo the edits. What was imported is dropped from the state by the next "),
            c(format!("zonewright apply --zone {to}")),
            w(", which would delete it at the vendor: read its plan."),
        ],
        ..task(Stage::Database, Duty::Db, say("Declare what was restored"))
    }
}

/// Which tables give way.
fn instead(facts: &Facts<'_>, off: &[(Address, Option<String>)]) -> Text {
    let mut out = vec![
        w("In "),
        c(format!("zones/{}.toml", facts.to)),
        w(", put these tables in the place of those that switch the same things off: "),
    ];
    for (n, (address, at)) in off.iter().enumerate() {
        if n > 0 {
            out.push(w(", "));
        }
        out.push(c(address.to_string()));
        if let Some(at) = at {
            out.push(w(format!(" (off at {at})")));
        }
    }
    out.push(w("."));
    out
}

/// What the serving zone says, with the new cluster's own name, size and region.
fn tables(facts: &Facts<'_>, off: &[(Address, Option<String>)], made: &ByHand) -> String {
    let registry = &facts.inputs.registry;
    let own = [
        ("name", made.name.as_str()),
        ("size", &made.size),
        ("region", &made.region),
    ];
    let tables = off.iter().map(|(address, _)| {
        let instead = match is_writer(registry, address) {
            true => &own[..],
            false => &[],
        };
        let twin = facts.twin(address);
        let table = twin.and_then(|twin| table(registry, twin, instead));
        table.unwrap_or_else(|| {
            let at = twin.and_then(|t| t.at.as_ref());
            let at = at.map_or_else(String::new, |at| format!(", as {at} does"));
            format!(
                "# [{}.{}] is to be switched on{at}\n",
                address.kind, address.name
            )
        })
    });
    tables.collect::<Vec<_>>().join("\n")
}

/// The cluster first: what is in it is found by it.
fn imports(facts: &Facts<'_>, off: &[(Address, Option<String>)]) -> Vec<String> {
    let registry = &facts.inputs.registry;
    let mut out = vec!["ID='the id that was written down'".to_owned()];
    let clusters = off.iter().filter(|(a, _)| is_writer(registry, a));
    out.extend(clusters.map(|(a, _)| format!("zonewright import {a} \"$ID\"")));
    for (address, _) in off {
        let part = registry.kind(&address.kind).and_then(|k| k.part);
        let came = matches!(part, Some(Part::Database | Part::DatabaseUser));
        let inside = registry.provider(address.kind.provider());
        let (true, Some(inside)) = (came, inside.and_then(|p| p.facts.inside)) else {
            continue;
        };
        let twin = facts.twin(address).map(|twin| facts.value(twin));
        let name = twin
            .as_ref()
            .and_then(|v| v.get("name"))
            .and_then(Value::as_str);
        let name = name.map_or_else(|| "NAME".to_owned(), quoted);
        out.push(format!(
            "zonewright import {address} {}",
            inside("\"$ID\"", &name)
        ));
    }
    out
}
