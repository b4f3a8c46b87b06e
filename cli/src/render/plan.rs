//! The plan for people. Order: what it is for, what is dangerous, the changes by zone, what else
//! there is to know, how long it takes, and the command that applies exactly this.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::config::Role;
use zonewright_engine::plan::{Change, Note, Plan, Severity, StepNode, Summary, ZoneFacts};

use super::cost::Costs;
use super::style::{Paint, Tone};
use super::text::{COMMAND, count, duration, escape};
use crate::typed::quoted;

mod changes;
mod reason;

pub use changes::attr_lines;

/// How a plan is shown.
#[derive(Debug, Clone)]
pub struct View {
    /// Colours.
    pub paint: Paint,
    /// Whether nothing is folded.
    pub verbose: bool,
    /// The command that applies the plan; absent when it is being applied already.
    pub command: Option<String>,
    /// How zonewright is called for this project and world.
    pub program: String,
    /// Whether the plan can be approved. One that saw too little has no digest to approve.
    pub approvable: bool,
    /// What things cost.
    pub costs: Costs,
}

/// The plan as text.
pub fn text(plan: &Plan, view: &View) -> String {
    if is_quiet(plan) {
        return nothing(plan) + &cost(plan, view);
    }
    let mut out = header(plan, view);
    incomplete(plan, view, &mut out);
    dangers(plan, view, &mut out);
    moves(plan, view, &mut out);
    zones(plan, view, &mut out);
    notes(plan, view, &mut out);
    out.push('\n');
    out.push_str(&cost(plan, view));
    estimate(plan, view, &mut out);
    let _ = writeln!(
        out,
        "{}",
        view.paint.tone(Tone::Strong, summary_line(&plan.summary()))
    );
    footer(plan, view, &mut out);
    out
}

fn is_quiet(plan: &Plan) -> bool {
    plan.moves.is_empty()
        && plan.changes.iter().all(|c| !changes::is_shown(c))
        && plan.notes.iter().all(|n| n.severity == Severity::Info)
}

fn nothing(plan: &Plan) -> String {
    let n = plan.changes.len();
    let are = if n == 1 { "is" } else { "are" };
    format!(
        "No changes: {} {are} as the spec says.\n",
        count(n, "resource")
    )
}

/// `Plan: 12 to create, 1 to update`.
pub fn summary_line(sum: &Summary) -> String {
    let parts: Vec<String> = [
        (sum.create, "create"),
        (sum.update, "update"),
        (sum.replace, "replace"),
        (sum.delete, "delete"),
        (sum.adopt, "adopt"),
        (sum.forget, "forget"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} to {what}"))
    .collect();
    if parts.is_empty() {
        return "Plan: nothing to do.".to_owned();
    }
    format!("Plan: {}.", parts.join(", "))
}

fn header(plan: &Plan, view: &View) -> String {
    let base = &plan.base;
    let title = format!("{} in {}", base.project, base.world);
    let mut out = format!("{}\n", view.paint.tone(Tone::Strong, escape(&title)));
    for (name, facts) in &plan.zones {
        let _ = writeln!(out, "  {}", zone_line(name, facts));
        if let Some(forecast) = plan.forecasts.get(name) {
            out.push_str(&super::forecast::text(forecast, view.verbose));
        }
    }
    if !plan.options.zones.is_empty() {
        let names: Vec<&str> = plan.options.zones.iter().map(ZoneName::as_str).collect();
        let _ = writeln!(out, "  only: {}", names.join(", "));
    }
    if plan.options.destroy {
        let _ = writeln!(out, "  {}", view.paint.tone(Tone::Bad, "to destroy"));
    }
    out
}

fn zone_line(name: &ZoneName, facts: &ZoneFacts) -> String {
    let why = match facts.role {
        Role::Active => "serves: `[project] active` names it",
        Role::Standby => "stands by: another zone is active",
    };
    let posture = facts.posture.map(|p| format!(", {}", p.name()));
    let mut line = format!(
        "{name}: {}{} ({why})",
        facts.role.name(),
        posture.unwrap_or_default()
    );
    if let Some(region) = &facts.region {
        let _ = write!(line, ", {}", escape(region));
    }
    match facts.exposed {
        Some(true) => line.push_str(", reachable from outside"),
        Some(false) => line.push_str(", not reachable from outside"),
        None => {}
    }
    if let Some(decided) = &facts.database {
        let what = decided.strategy.name();
        let why = format!("; data by {what}: {} ({})", decided.reason, decided.date);
        line.push_str(&escape(&why));
    }
    if !facts.needs.is_empty() {
        let needs: Vec<String> = facts.needs.iter().map(ToString::to_string).collect();
        let _ = write!(line, "; needs {}", escape(&needs.join(", ")));
    }
    line
}

fn dangers(plan: &Plan, view: &View, out: &mut String) {
    let mut dangers = of(plan, Severity::Danger).peekable();
    if dangers.peek().is_none() {
        return;
    }
    let bar = view.paint.tone(Tone::Bad, "!");
    let _ = writeln!(out, "\n{bar} {}", view.paint.tone(Tone::Bad, "DANGER"));
    for note in dangers {
        let _ = writeln!(out, "{bar}   {}", note_line(note));
        if let Some(help) = &note.help {
            let help = quoted(&view.program, help);
            let _ = writeln!(out, "{bar}     help: {}", escape(&help));
        }
    }
}

/// What could not be read, before anything else: the rest is only what could be seen.
fn incomplete(plan: &Plan, view: &View, out: &mut String) {
    let unread = super::unread::of(plan);
    if unread.is_empty() {
        return;
    }
    let bar = view.paint.tone(Tone::Bad, "?");
    let head = format!(
        "INCOMPLETE: {} could not be read and {} left alone [ZW3001]",
        count(unread.len(), "resource"),
        if unread.len() == 1 { "is" } else { "are" }
    );
    let _ = writeln!(out, "\n{bar} {}", view.paint.tone(Tone::Bad, head));
    for line in super::unread::lines(&unread, view.verbose) {
        let _ = writeln!(out, "{bar}   {line}");
    }
    let elsewhere = super::unread::elsewhere(plan);
    if !elsewhere.is_empty() {
        let zones: Vec<String> = elsewhere.iter().map(|z| format!("--zone {z}")).collect();
        let _ = writeln!(
            out,
            "{bar}   help: `plan {}` plans without what could not be read",
            zones.join(" ")
        );
    }
}

fn of(plan: &Plan, severity: Severity) -> impl Iterator<Item = &Note> {
    plan.notes.iter().filter(move |n| n.severity == severity)
}

fn note_line(note: &Note) -> String {
    let about = note.address.as_ref().map(|a| format!("{a}: "));
    let line = format!(
        "{}{} [{}]",
        about.unwrap_or_default(),
        note.message,
        note.code
    );
    escape(&line).into_owned()
}

fn notes(plan: &Plan, view: &View, out: &mut String) {
    for (severity, word, tone) in [
        (Severity::Warning, "warning", Tone::Change),
        (Severity::Info, "note", Tone::Note),
    ] {
        for (i, said) in gathered(plan, severity, view.verbose).iter().enumerate() {
            if i == 0 {
                out.push('\n');
            }
            let line = match said.objects {
                1 => note_line(said.note),
                n => {
                    let about = said.about.as_ref().map(|a| format!(" of {a}"));
                    let about = about.unwrap_or_default();
                    let Note { message, code, .. } = said.note;
                    escape(&format!("{n} objects{about}: {message} [{code}]")).into_owned()
                }
            };
            let _ = writeln!(out, "{}: {line}", view.paint.tone(tone, word));
            if let Some(help) = &said.note.help {
                let help = quoted(&view.program, help);
                let _ = writeln!(out, "  help: {}", escape(&help));
            }
        }
    }
}

/// A note, and for how many objects of one declaration it is the same.
struct Said<'a> {
    note: &'a Note,
    about: Option<Address>,
    objects: usize,
}

fn gathered(plan: &Plan, severity: Severity, whole: bool) -> Vec<Said<'_>> {
    let mut out: Vec<Said<'_>> = Vec::new();
    // What could not be read stands at the top already.
    for note in of(plan, severity).filter(|n| n.code != "ZW3001") {
        let about = note.address.as_ref().map(Address::declaration);
        let same = |s: &&mut Said<'_>| {
            !whole && s.about == about && s.note.code == note.code && s.note.message == note.message
        };
        match out.iter_mut().find(same) {
            Some(said) => said.objects += 1,
            None => out.push(Said {
                note,
                about,
                objects: 1,
            }),
        }
    }
    out
}

/// The zones in name order, what they share last.
fn zones(plan: &Plan, view: &View, out: &mut String) {
    let mut by_zone: BTreeMap<(bool, &ZoneName), Vec<&Change>> = BTreeMap::new();
    for change in plan.changes.iter().filter(|c| changes::is_shown(c)) {
        let zone = &change.address.zone;
        by_zone
            .entry((zone.is_edge(), zone))
            .or_default()
            .push(change);
    }
    for ((_, zone), list) in by_zone {
        let title = if zone.is_edge() {
            "edge (shared by the zones)".to_owned()
        } else {
            format!("zone {zone}")
        };
        let _ = writeln!(out, "\n{}", view.paint.tone(Tone::Strong, title));
        changes::write(&list, view, out);
    }
}

/// What the state will know under another address.
fn moves(plan: &Plan, view: &View, out: &mut String) {
    for (i, step) in plan.moves.iter().enumerate() {
        if i == 0 {
            out.push('\n');
        }
        let head = view.paint.tone(Tone::Note, "  > move");
        let line = format!("{} to {}", step.from, step.to);
        let _ = writeln!(out, "{head}    {}", escape(&line));
    }
}

fn cost(plan: &Plan, view: &View) -> String {
    super::cost::text(plan, &view.costs, view.paint, view.verbose)
}

fn estimate(plan: &Plan, view: &View, out: &mut String) {
    if plan.steps.is_empty() {
        return;
    }
    let steps: Vec<String> = plan
        .estimate
        .critical_path
        .iter()
        .filter_map(|&i| plan.steps.get(i))
        .filter(|s| matches!(s.node, StepNode::Act { .. }))
        .map(|s| s.node.to_string())
        .collect();
    let time = duration(Duration::from_secs(plan.estimate.seconds));
    let path = match steps.len() {
        0 => String::new(),
        1..=5 => format!("; longest path: {}", steps.join(" -> ")),
        n => format!(
            "; longest path: {} -> ({} more) -> {}",
            steps[..2].join(" -> "),
            n - 4,
            steps[n - 2..].join(" -> ")
        ),
    };
    let line = format!("about {time}{path}");
    let _ = writeln!(out, "{}", view.paint.tone(Tone::Faint, escape(&line)));
}

fn footer(plan: &Plan, view: &View, out: &mut String) {
    if !view.approvable {
        return;
    }
    let _ = writeln!(out, "digest {}", plan.digest());
    if let Some(command) = view.command.as_ref().filter(|_| !plan.is_empty()) {
        let _ = writeln!(out, "{COMMAND}{}", escape(command));
    }
}

#[cfg(test)]
pub(crate) mod tests;
