//! The tasks of a runbook, stage by stage, and the clock.

use super::facts::{Facts, Flip};
use super::sort::Sorted;
use super::{Duty, Part, Stage, Task, Text, Tool};
use crate::config::Strategy;
use crate::objectives::{self, Forecast, words as time};
use crate::parity::Relative;
use crate::plan::{Note, Plan, Severity};

mod data;
mod declare;
mod traffic;

/// The TTL while users are moved: resolvers that ask again within a minute are moved within a minute.
const LOW_TTL: u64 = 60;

/// All tasks in order.
pub(super) fn tasks(facts: &Facts<'_>, sorted: &Sorted) -> Vec<Task> {
    let mut out = vec![declare(facts)];
    out.extend(preflight(facts));
    out.extend(build(facts));
    out.extend(traffic::lower_ttl(facts));
    out.extend(data::freeze(facts));
    out.extend(data::rpo_point(facts));
    out.extend(data::database(facts, sorted));
    out.extend(traffic::switch(facts, sorted));
    out.push(go_no_go(facts));
    out.extend(traffic::flip(facts, sorted));
    out.push(post_checks(facts));
    out.extend(traffic::restore_ttl(facts));
    out.push(stand_down(facts, sorted));
    out.push(failback(facts));
    out
}

/// Machine time until users are served: planned, and with the old zone gone. Neither is known when nothing
/// moves users. Sets when each task is over.
pub(super) fn clock(facts: &Facts<'_>, tasks: &mut [Task]) -> (Option<u64>, Option<u64>) {
    let flips = facts.flips();
    let old_ttl = flips.iter().filter_map(|f| f.ttl).max().unwrap_or(0);
    let (mut now, mut lowered, mut served) = (0, None, None);
    let mut emergency = 0;
    for task in tasks {
        let seconds = task.seconds.unwrap_or(0);
        if task.stage == Stage::Flip {
            // Old answers have to be gone before: that wait runs beside everything since.
            if let Some(at) = lowered {
                now = now.max(at + old_ttl);
            }
            served = Some(now + seconds);
        }
        now += seconds;
        task.until = now;
        match task.stage {
            Stage::LowerTtl => lowered = Some(now),
            Stage::Freeze => {}
            Stage::Flip => {
                // Nobody waited: resolvers have the old answer for as long as they were told.
                emergency += seconds - seconds.min(convergence(&flips)) + old_ttl;
            }
            stage if stage < Stage::Flip => emergency += seconds,
            _ => {}
        }
    }
    let gone = served.filter(|_| !copies_what_is_gone(facts));
    (served, gone.map(|_| emergency))
}

/// Whether the zone is yet to be built as a copy of the other one: which cannot be done once that is gone.
fn copies_what_is_gone(facts: &Facts<'_>) -> bool {
    facts.build.is_some() && facts.strategy() == Some(Strategy::Replica)
}

/// Seconds until resolvers have let go, when the TTL was lowered in time.
fn convergence(flips: &[Flip<'_>]) -> u64 {
    let ttls = flips.iter().filter_map(|f| f.ttl);
    ttls.max().unwrap_or(0).min(LOW_TTL)
}

/// What to know before.
pub(super) fn warnings(facts: &Facts<'_>, plan: &Plan, forecast: Option<&Forecast>) -> Vec<String> {
    let mut out = Vec::new();
    if facts.build.is_some() {
        out.push(format!(
            "{} is off: it is built first. A replica can only be made while {} lives; when it is gone, a backup has to be restored",
            facts.to, facts.from
        ));
    }
    if facts.flips().is_empty() {
        out.push(format!(
            "No shared resource refers to the active zone: nothing moves users to {}",
            facts.to
        ));
    }
    let of_forecast = forecast.map(|f| objectives::notes(&[(facts.to.clone(), f.clone())].into()));
    let notes: Vec<&Note> = of_forecast.iter().flatten().collect();
    out.extend(notes.iter().map(|n| format!("{} [{}]", n.message, n.code)));
    // What the forecasts of the other zone say is about another day.
    let worth = plan.notes.iter().filter(|n| n.severity == Severity::Danger);
    out.extend(worth.map(|n| match &n.address {
        Some(address) => format!("{address}: {} [{}]", n.message, n.code),
        None => format!("{} [{}]", n.message, n.code),
    }));
    let stand_ins = plan.changes.iter().filter(|c| c.stand_in);
    let mut charts: Vec<String> = stand_ins
        .map(|c| Relative::of(&c.address.declaration()).to_string())
        .collect();
    charts.sort();
    charts.dedup();
    if !charts.is_empty() {
        out.push(format!(
            "Made with stand-ins of the sandbox, not with the real charts: {}",
            charts.join(", ")
        ));
    }
    out
}

/// Words.
fn w(text: impl Into<String>) -> Part {
    Part::Words(text.into())
}

/// Something to be typed.
fn c(text: impl Into<String>) -> Part {
    Part::Code(text.into())
}

/// A sentence of words only.
fn say(text: impl Into<String>) -> Text {
    vec![w(text)]
}

/// A task for people, to be filled in.
fn task(stage: Stage, does: Duty, title: Text) -> Task {
    Task {
        stage,
        title,
        does,
        approves: None,
        tool: Tool::People,
        instructions: Vec::new(),
        edits: Vec::new(),
        commands: Vec::new(),
        effects: Vec::new(),
        seconds: None,
        until: 0,
        checks: Vec::new(),
        back: say("Nothing was changed."),
        dead: None,
        no_return: None,
    }
}

/// Plans into a file, and applies exactly that.
fn plan_and_apply(zone: &str, file: &str) -> Vec<String> {
    vec![
        format!("zonewright plan --zone {zone} -o {file}.plan"),
        format!("zonewright apply {file}.plan"),
    ]
}

fn declare(facts: &Facts<'_>) -> Task {
    let rto = facts.before.objectives.rto.map(|d| time(d.as_secs()));
    let clock = rto.map_or_else(
        || "Write down the time in UTC: the clock starts here.".to_owned(),
        |rto| format!("Write down the time in UTC: the RTO of {rto} counts from here."),
    );
    let (from, to) = (facts.from, facts.to);
    Task {
        approves: Some(Duty::Ic),
        instructions: vec![
            say(clock),
            say(
                "Name who is IC, DB, K8s, DNS and scribe. In a planned switch, whoever asks for it does not approve it.",
            ),
            say("Announce the start."),
        ],
        checks: vec![say(format!(
            "At least two places see that {from} does not serve, one of them not inside {from}; or it is a planned switch."
        ))],
        back: say("Call it off, and say so."),
        ..task(
            Stage::Declare,
            Duty::Ic,
            say(format!(
                "Declare the disaster, or the planned switch, from {from} to {to}"
            )),
        )
    }
}

fn preflight(facts: &Facts<'_>) -> Vec<Task> {
    let (from, to) = (facts.from, facts.to);
    let ready = Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        commands: vec![
            format!("zonewright verify --zone {to}"),
            format!("zonewright readiness --zone {to}"),
            format!("zonewright parity {from} {to}"),
        ],
        checks: vec![say(
            "All of them end with exit code 0; or IC accepts each red line in writing.",
        )],
        dead: Some(vec![
            w(format!(
                "Lines that ask {from} stay unknown, and parity cannot look at it. Judge by the proofs that are kept: "
            )),
            c(format!("zonewright readiness --zone {to} --recorded")),
            w("."),
        ]),
        ..task(
            Stage::Preflight,
            Duty::K8s,
            say(format!("See whether {to} may be counted on")),
        )
    };
    let quiet = Task {
        tool: Tool::Zonewright,
        commands: vec![format!("zonewright plan --zone {to} --detailed-exitcode")],
        checks: vec![say(format!(
            "Exit code 0: {to} is as the spec says, and the plans below hold nothing else."
        ))],
        ..task(
            Stage::Preflight,
            Duty::K8s,
            say(format!("See that nothing else is about to change in {to}")),
        )
    };
    match facts.build {
        // There is nothing to ask yet.
        Some(_) => Vec::new(),
        None => vec![ready, quiet],
    }
}

fn build(facts: &Facts<'_>) -> Option<Task> {
    let to = facts.to;
    Some(Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        seconds: Some(facts.build?),
        commands: vec![
            format!("zonewright posture --zone {to} cold"),
            format!("zonewright verify --zone {to}"),
        ],
        checks: vec![say(
            "Every line is green; or IC accepts each red one in writing.",
        )],
        back: vec![c(format!("zonewright posture --zone {to} off"))],
        dead: copies_what_is_gone(facts).then(|| {
            vec![
                w(format!(
                    "There is no replica, and none can be made without {}. Decide for the newest backup (`strategy = \"restore\"` and `[database.restore]`) in ",
                    facts.from
                )),
                c(format!("zones/{to}.toml")),
                w(", and follow the runbook that is made then: "),
                c(format!("zonewright runbook --to {to}")),
                w("."),
            ]
        }),
        ..task(
            Stage::Build,
            Duty::K8s,
            say(format!("Build {to}, not reachable from outside")),
        )
    })
}

fn go_no_go(facts: &Facts<'_>) -> Task {
    let (from, to) = (facts.from, facts.to);
    let mut checks = Vec::new();
    if facts.has_data() {
        checks.push(say(format!("The database of {to} takes writes.")));
    }
    checks.extend([
        say(format!("The application in {to} answers.")),
        say("The certificate is valid for every public name."),
        say("Monitoring is green, or the risk is accepted in writing."),
        say("Everybody who has to know does."),
        say("The way back of the next task is understood."),
    ]);
    Task {
        approves: Some(Duty::Ic),
        checks,
        back: vec![
            w(format!("No go: {from} goes on serving. Set ")),
            c(format!("active = \"{from}\"")),
            w(" in "),
            c("zonewright.toml"),
            w(" again and run "),
            c(format!("zonewright apply --zone {to}")),
            w(". Do not flip half."),
        ],
        dead: Some(say(format!(
            "There is nothing to go back to: without {to} nobody is served."
        ))),
        ..task(Stage::GoNoGo, Duty::Ic, say("Decide"))
    }
}

fn post_checks(facts: &Facts<'_>) -> Task {
    let to = facts.to;
    let mut checks = vec![say(format!("Every line of {to} is green."))];
    for flip in facts.flips() {
        if let Some(name) = flip.name {
            checks.push(vec![
                c(format!("curl -sSI {}", quoted(&format!("https://{name}/")))),
                w(" answers 200 or 301 with a valid certificate."),
            ]);
        }
    }
    checks.extend([
        say("By hand: log in, write something and delete it again, upload a file and fetch it without being logged in."),
        say("For 30 to 60 minutes: less than 2 % of answers are errors, and the slowest hundredth takes less than 4 s. Then IC says that it is stable, with the RTO and RPO that were reached."),
    ]);
    Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        commands: vec![
            format!("zonewright verify --zone {to}"),
            format!("zonewright smoke --zone {to}"),
        ],
        checks,
        back: say("That of the flip."),
        ..task(
            Stage::PostChecks,
            Duty::K8s,
            say("See that users are served"),
        )
    }
}

fn stand_down(facts: &Facts<'_>, sorted: &Sorted) -> Task {
    let (from, to) = (facts.from, facts.to);
    let mut instructions = Vec::new();
    if facts.has_data() {
        instructions.push(say(format!(
            "Keep the data of {from} until it was compared with that of {to}: what was written there last may be nowhere else."
        )));
    }
    let (tool, commands) = if facts.observes_from() {
        instructions.push(say(format!(
            "zonewright only observes {from}: whoever manages it closes its ways in and keeps its application stopped."
        )));
        (Tool::People, Vec::new())
    } else {
        (Tool::Zonewright, plan_and_apply(from.as_str(), "down"))
    };
    Task {
        approves: Some(Duty::Ic),
        tool,
        instructions,
        commands,
        effects: sorted
            .effects
            .get(&Stage::StandDown)
            .cloned()
            .unwrap_or_default(),
        seconds: sorted.seconds.get(&Stage::StandDown).copied(),
        checks: vec![vec![
            c(format!("zonewright verify --zone {from}")),
            w(" shows that nothing of it can be reached from outside."),
        ]],
        back: say(format!(
            "None is needed: {from} stands by, built as before."
        )),
        dead: Some(say(format!(
            "This is owed: do it before anything else as soon as {from} answers, or two zones take writes."
        ))),
        ..task(
            Stage::StandDown,
            Duty::K8s,
            say(format!("{from} stands down")),
        )
    }
}

fn failback(facts: &Facts<'_>) -> Task {
    let (from, to) = (facts.from, facts.to);
    let mut instructions = vec![say(
        "Nothing goes back by itself, and not on the day of the disaster.",
    )];
    if facts.has_data() {
        instructions.push(vec![
            w(format!(
                "Say how {from} gets the data of {to} (a replica of it, or a backup): "
            )),
            c("[database]"),
            w(" in "),
            c(format!("zones/{from}.toml")),
            w(format!(". Apply {from}, and let it catch up.")),
        ]);
    }
    Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        instructions,
        commands: vec![format!("zonewright runbook --to {from}")],
        checks: vec![say(
            "A window is agreed on, and everybody who has to know does.",
        )],
        back: say(format!("{to} goes on serving.")),
        ..task(Stage::Failback, Duty::Ic, say("Plan the way back"))
    }
}

/// Whether a restore decides.
fn restores(facts: &Facts<'_>) -> bool {
    facts.strategy() == Some(Strategy::Restore)
}

/// What changes the edge: zonewright, or whoever manages the records that it only observes.
fn edge(facts: &Facts<'_>, file: &str) -> (Tool, Vec<String>, Option<Text>) {
    let observed = facts.observed_flips();
    if observed.is_empty() {
        return (Tool::Zonewright, plan_and_apply("edge", file), None);
    }
    let mut text = vec![w("zonewright only observes ")];
    for (n, address) in observed.iter().enumerate() {
        if n > 0 {
            text.push(w(", "));
        }
        text.push(c(address.to_string()));
    }
    text.push(w(": whoever manages it makes this change."));
    (Tool::People, Vec::new(), Some(text))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_./:=@,+".contains(ch);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
