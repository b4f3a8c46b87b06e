//! A runbook, for people and programs. Names come from the spec and may hold anything: each form escapes
//! what it would take for its own.

use serde_json::{Value as Json, json as object};
use zonewright_engine::objectives::words as time;
use zonewright_engine::runbook::{Effect, Part, Runbook, Task, Tool};

mod html;
pub mod markdown;

pub use html::html;
pub use markdown::markdown;

/// For programs.
pub fn json(book: &Runbook) -> Json {
    object!({ "format_version": 1, "runbook": book })
}

/// What stands at the top, as pairs.
fn facts(book: &Runbook) -> Vec<(&'static str, String)> {
    let mut out = vec![("from", book.from.to_string()), ("to", book.to.to_string())];
    if let Some(decision) = &book.decision {
        let what = format!(
            "{}: {} ({})",
            decision.strategy.name(),
            decision.reason,
            decision.date
        );
        out.push(("data by", what));
    }
    let rto = |seconds: Option<u64>| match (seconds, book.rto_objective) {
        (None, _) => "not known: nothing moves users".to_owned(),
        (Some(seconds), Some(rto)) if seconds > rto => format!(
            "{} of the RTO of {}: out of reach",
            time(seconds),
            time(rto)
        ),
        (Some(seconds), Some(rto)) => format!(
            "{} of the RTO of {}: {} are left for people and decisions",
            time(seconds),
            time(rto),
            time(rto - seconds)
        ),
        (Some(seconds), None) => time(seconds),
    };
    out.push(("machine time, planned", rto(book.planned_seconds)));
    let gone = match (book.planned_seconds, book.emergency_seconds) {
        (Some(_), None) => format!(
            "out of reach: {} is off, and its replica cannot be made without {}",
            book.to, book.from
        ),
        (_, seconds) => format!("{} ({} does not answer)", rto(seconds), book.from),
    };
    let stuck = book.planned_seconds.is_some() && book.emergency_seconds.is_none();
    out.push(("machine time, emergency", gone));
    let lost = book.forecast.as_ref().and_then(|f| f.rpo_seconds);
    if let Some(lost) = lost {
        let objective = book.rpo_objective;
        let of = objective.map_or_else(String::new, |o| format!(" of the RPO of {}", time(o)));
        let lost = match stuck {
            true => format!("{}{of}, while {} answers", time(lost), book.from),
            false => format!("{}{of}", time(lost)),
        };
        out.push(("lost at most", lost));
    }
    out
}

/// The kinds of tools that need a word.
fn by(task: &Task) -> &'static str {
    match task.tool {
        Tool::People => "people",
        Tool::Zonewright => "zonewright",
        Tool::Kubectl => "kubectl (zonewright has no command for it yet)",
        Tool::Vendor => "the vendor (zonewright has no command for it yet)",
    }
}

fn takes(task: &Task) -> String {
    task.seconds.map_or_else(|| "-".to_owned(), time)
}

fn approves(task: &Task) -> &'static str {
    task.approves.map_or("-", |d| d.name())
}

fn effect(effect: &Effect) -> Vec<Part> {
    let action = effect.action.name();
    let words = match effect.count {
        1 => format!("{action} "),
        n => format!("{action} {n} objects of "),
    };
    vec![Part::Words(words), Part::Code(effect.address.to_string())]
}

/// The lists of a task under their names, empty ones left out.
fn lists(task: &Task) -> Vec<(&'static str, Vec<Vec<Part>>)> {
    let effects: Vec<Vec<Part>> = task.effects.iter().map(effect).collect();
    let all = vec![
        ("Changes", effects),
        ("Check", task.checks.clone()),
        ("Way back", vec![task.back.clone()]),
        (
            "If the old zone does not answer",
            task.dead.clone().into_iter().collect(),
        ),
    ];
    all.into_iter()
        .filter(|(_, list)| !list.is_empty())
        .collect()
}

const DUTIES: &str = "IC decides (incident commander), DB is responsible for the database, K8s for the clusters, DNS for names; a scribe writes \
     down every time. Whoever asks for a planned switch does not approve it.";

const TIMES: &str = "Times are typical ones of machines; people take theirs. \"Total\" counts from the declaration, with both zones answering.";
