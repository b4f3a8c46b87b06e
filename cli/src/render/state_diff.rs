//! What differs between two states, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_state::compare::{Change, Difference};

use super::plan::attr_lines;
use super::style::{Paint, Tone};
use super::text::{count, escape};

/// The differences as text.
pub fn text(differences: &[Difference], paint: Paint) -> String {
    let mut out = String::new();
    for difference in differences {
        let address = difference.address.to_string();
        let (tone, head) = match &difference.how {
            Change::Added => (Tone::Good, format!("+ {address}")),
            Change::Removed => (Tone::Bad, format!("- {address}")),
            Change::Moved { from } => (Tone::Change, format!("> {from} -> {address}")),
            Change::Changed => (Tone::Change, format!("~ {address}")),
        };
        let id = match difference.how {
            Change::Added | Change::Removed if !difference.id.is_empty() => {
                format!(" (id {})", difference.id)
            }
            _ => String::new(),
        };
        let _ = writeln!(out, "{}", paint.tone(tone, escape(&(head + &id))));
        for line in difference.attrs.iter().flat_map(|a| attr_lines(a, paint)) {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// One line that says how much it is.
pub fn summary(differences: &[Difference]) -> String {
    let of = |wanted: fn(&Change) -> bool| differences.iter().filter(|d| wanted(&d.how)).count();
    if differences.is_empty() {
        return "No difference.\n".to_owned();
    }
    format!(
        "{} differ: {} added, {} removed, {} moved, {} changed.\n",
        count(differences.len(), "record"),
        of(|c| matches!(c, Change::Added)),
        of(|c| matches!(c, Change::Removed)),
        of(|c| matches!(c, Change::Moved { .. })),
        of(|c| matches!(c, Change::Changed)),
    )
}

/// The differences of each shard, for programs.
pub fn json(shards: &[(ZoneName, Vec<Difference>)]) -> Json {
    let all: Vec<Json> = shards
        .iter()
        .flat_map(|(_, differences)| differences)
        .map(|d| {
            let mut out = json!({ "address": d.address, "id": d.id, "attrs": d.attrs });
            match &d.how {
                Change::Added => out["change"] = "added".into(),
                Change::Removed => out["change"] = "removed".into(),
                Change::Changed => out["change"] = "changed".into(),
                Change::Moved { from } => {
                    out["change"] = "moved".into();
                    out["from"] = json!(from);
                }
            }
            out
        })
        .collect();
    let zones: Vec<&ZoneName> = shards.iter().map(|(zone, _)| zone).collect();
    json!({ "format_version": 1, "zones": zones, "equal": all.is_empty(), "differences": all })
}
