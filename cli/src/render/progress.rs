//! The progress of a run for people: one line per transition, and the table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use zonewright_engine::apply::{Event, RunReport, Verdict};
use zonewright_engine::plan::{Action, Plan, StepNode};
use zonewright_engine::provider::ProviderError;

use super::style::{Paint, Tone};
use super::text::{count, duration, escape};
use crate::report::code::Code;

/// The word for what a step is at.
pub fn doing(node: &StepNode) -> String {
    match node {
        StepNode::Open { instance } => format!("opening {instance}"),
        StepNode::Act { address, action } => {
            let word = match action {
                Action::Create => "creating",
                Action::Update => "updating",
                Action::Delete => "deleting",
                Action::Adopt => "adopting",
                Action::Forget => "forgetting",
                Action::Read => "reading",
                Action::NoOp => "checking",
            };
            format!("{word} {address}")
        }
    }
}

fn done(node: &StepNode) -> String {
    match node {
        StepNode::Open { instance } => format!("opened {instance}"),
        StepNode::Act { address, action } => {
            let word = match action {
                Action::Create => "created",
                Action::Update => "updated",
                Action::Delete => "deleted",
                Action::Adopt => "adopted",
                Action::Forget => "forgot",
                Action::Read => "read",
                Action::NoOp => "checked",
            };
            format!("{word} {address}")
        }
    }
}

/// One line for an event; `None` for what is not worth one.
pub fn line(plan: &Plan, event: &Event, paint: Paint) -> Option<String> {
    let node = |step: &usize| plan.steps.get(*step).map(|s| &s.node);
    let text = match event {
        Event::Started { step } => escape(&doing(node(step)?)).into_owned(),
        Event::Progress {
            step,
            detail,
            elapsed,
        } => {
            let line = format!("{}: {detail} ({})", doing(node(step)?), duration(*elapsed));
            paint.tone(Tone::Faint, escape(&line))
        }
        Event::Finished { step, elapsed } => {
            let line = format!("{} ({})", done(node(step)?), duration(*elapsed));
            paint.tone(Tone::Good, escape(&line))
        }
        Event::Failed {
            step,
            error,
            elapsed,
        } => {
            let line = format!(
                "failed: {}: {error} ({})",
                doing(node(step)?),
                duration(*elapsed)
            );
            paint.tone(Tone::Bad, escape(&line))
        }
        // Counted and grouped at the end: one line each would bury what went wrong.
        Event::Blocked { .. } => return None,
        Event::Interrupted { step, elapsed } => {
            let line = format!(
                "not waited for: {} ({}); the next run goes on with it",
                doing(node(step)?),
                duration(*elapsed)
            );
            paint.tone(Tone::Change, escape(&line))
        }
        Event::Stopping => paint.tone(
            Tone::Change,
            "stopping: requests under way are finished and recorded, nothing new starts; interrupt again to stop at once",
        ),
    };
    Some(text)
}

/// What a step is about.
pub fn subject(node: &StepNode) -> String {
    match node {
        StepNode::Open { instance } => instance.to_string(),
        StepNode::Act { address, .. } => address.to_string(),
    }
}

/// Number of steps per verdict; openings of providers count only when they failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Done.
    pub done: usize,
    /// Failed.
    pub failed: usize,
    /// Not known whether done.
    pub in_doubt: usize,
    /// Never started, because something else failed.
    pub blocked: usize,
    /// Left, because the run stopped.
    pub left: usize,
}

impl Tally {
    /// Counts a report.
    pub fn of(plan: &Plan, report: &RunReport) -> Tally {
        let mut tally = Tally::default();
        for (step, verdict) in plan.steps.iter().zip(&report.verdicts) {
            let acts = usize::from(matches!(step.node, StepNode::Act { .. }));
            match verdict {
                Verdict::Done => tally.done += acts,
                Verdict::Failed(_) => tally.failed += 1,
                Verdict::InDoubt(_) => tally.in_doubt += 1,
                Verdict::Blocked { .. } => tally.blocked += acts,
                Verdict::Interrupted | Verdict::NotStarted => tally.left += acts,
            }
        }
        tally
    }
}

/// The table at the end of a run.
pub fn summary(plan: &Plan, report: &RunReport, elapsed: Duration, paint: Paint) -> String {
    let tally = Tally::of(plan, report);
    let mut out = String::new();
    troubles(plan, report, paint, &mut out);
    let word = if report.is_complete() {
        paint.tone(Tone::Good, "Applied")
    } else if report.interrupted {
        paint.tone(Tone::Change, "Interrupted")
    } else if tally.done == 0 {
        paint.tone(Tone::Bad, "Not applied")
    } else {
        paint.tone(Tone::Bad, "Partly applied")
    };
    let _ = write!(out, "{word}: {} done", count(tally.done, "step"));
    for (n, what) in [
        (tally.failed, "failed"),
        (tally.in_doubt, "in doubt"),
        (tally.blocked, "blocked"),
        (tally.left, "left"),
    ] {
        if n > 0 {
            let _ = write!(out, ", {n} {what}");
        }
    }
    let _ = writeln!(
        out,
        ", in {} (planned: about {}).",
        duration(elapsed),
        duration(Duration::from_secs(plan.estimate.seconds))
    );
    out
}

/// What is left to do and why. The causes stand last, where the eye is when the run ends.
fn troubles(plan: &Plan, report: &RunReport, paint: Paint, out: &mut String) {
    let mut left: Vec<&StepNode> = Vec::new();
    let mut blocked: BTreeMap<usize, Vec<&StepNode>> = BTreeMap::new();
    let mut causes: BTreeMap<(bool, String), Vec<&StepNode>> = BTreeMap::new();
    for (step, verdict) in plan.steps.iter().zip(&report.verdicts) {
        let node = &step.node;
        match verdict {
            Verdict::Failed(error) => causes.entry((false, coded(error))).or_default().push(node),
            Verdict::InDoubt(error) => causes.entry((true, coded(error))).or_default().push(node),
            Verdict::Blocked { by } => blocked.entry(*by).or_default().push(node),
            Verdict::Interrupted => left.push(node),
            Verdict::Done | Verdict::NotStarted => {}
        }
    }
    let mut row = |tone, word: &str, line: &str| {
        let word = paint.tone(tone, format!("{word:<8}"));
        let _ = writeln!(out, "{word}  {}", escape(line));
    };
    if !left.is_empty() {
        let line = format!("{}: the next run goes on with it", listed(&left));
        row(Tone::Change, "begun", &line);
    }
    for (by, nodes) in blocked {
        let by = plan.steps.get(by).map(|s| subject(&s.node));
        let verb = if nodes.len() == 1 { "waits" } else { "wait" };
        let line = format!(
            "{} {verb} for {}: {}",
            count(nodes.len(), "step"),
            by.unwrap_or_default(),
            listed(&nodes)
        );
        row(Tone::Change, "blocked", &line);
    }
    for ((in_doubt, error), nodes) in causes {
        let word = if in_doubt { "in doubt" } else { "failed" };
        row(Tone::Bad, word, &format!("{}: {error}", listed(&nodes)));
    }
}

/// An error with the code that `explain` knows.
fn coded(error: &ProviderError) -> String {
    format!("{error} [{}]", Code::from(&error.class).id())
}

/// The steps in words, objects of one declaration folded.
fn listed(nodes: &[&StepNode]) -> String {
    const SHOWN: usize = 6;
    let mut folded: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let name = match node {
            StepNode::Act { address, action } => {
                format!("{} {}", action.name(), address.declaration())
            }
            StepNode::Open { .. } => node.to_string(),
        };
        *folded.entry(name).or_default() += 1;
    }
    if let [one] = nodes {
        return one.to_string();
    }
    let more: usize = folded.values().skip(SHOWN).sum();
    let mut names: Vec<String> = folded
        .into_iter()
        .take(SHOWN)
        .map(|(name, n)| match n {
            1 => name,
            n => format!("{name} ({n} objects)"),
        })
        .collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use zonewright_engine::plan::Step;
    use zonewright_engine::provider::{ErrorClass, ProviderError};
    use zonewright_engine::snapshot::State;

    use super::*;

    fn plan() -> Plan {
        let mut plan = super::super::plan::tests::plan(Vec::new());
        plan.steps = ["vpc", "kubernetes_cluster"]
            .iter()
            .map(|kind| Step {
                node: StepNode::Act {
                    address: format!("bz/digitalocean.{kind}.main").parse().unwrap(),
                    action: Action::Create,
                },
                seconds: 10,
            })
            .collect();
        plan.estimate.seconds = 20;
        plan
    }

    fn failure() -> ProviderError {
        ProviderError::new(ErrorClass::Invalid, "the range overlaps\u{1b}[2J")
    }

    #[test]
    fn events_are_lines_with_their_elapsed_time() {
        let plan = plan();
        let show = |event| line(&plan, &event, Paint::new(false)).unwrap();
        assert_eq!(
            show(Event::Finished {
                step: 0,
                elapsed: Duration::from_secs(12)
            }),
            "created bz/digitalocean.vpc.main (12s)"
        );
        let blocked = Event::Blocked { step: 1, by: 0 };
        assert_eq!(line(&plan, &blocked, Paint::new(false)), None);
        let failed = show(Event::Failed {
            step: 0,
            error: failure(),
            elapsed: Duration::ZERO,
        });
        assert!(!failed.contains('\u{1b}'), "{failed:?}");
    }

    #[test]
    fn the_summary_names_what_failed_and_what_it_blocked() {
        let report = RunReport {
            verdicts: vec![Verdict::Failed(failure()), Verdict::Blocked { by: 0 }],
            interrupted: false,
            state: State::default(),
        };
        let shown = summary(&plan(), &report, Duration::from_secs(3), Paint::new(false));
        assert_eq!(
            shown,
            "blocked   1 step waits for bz/digitalocean.vpc.main: create bz/digitalocean.kubernetes_cluster.main
failed    create bz/digitalocean.vpc.main: the range overlaps\\u{1b}[2J [ZW6008]
Not applied: 0 steps done, 1 failed, 1 blocked, in 3.0s (planned: about 20s).
"
        );
    }
}
