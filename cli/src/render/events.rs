//! The run for programs: one JSON object a line. The names are an interface: add, never rename.

use std::time::Duration;

use serde_json::{Value as Json, json};
use zonewright_engine::apply::{Event, RunReport};
use zonewright_engine::plan::{Plan, StepNode};
use zonewright_engine::provider::{ErrorClass, ProviderError};

use super::plan_json::planned_change;
use super::progress::Tally;
use crate::report::code::Code;

/// The first line.
pub fn version() -> Json {
    json!({ "type": "version", "ui": "1.0", "zonewright": env!("CARGO_PKG_VERSION") })
}

/// One line per change, then the counts.
pub fn planned(plan: &Plan) -> Vec<Json> {
    let mut out: Vec<Json> = plan
        .changes
        .iter()
        .filter(|c| !c.is_no_op())
        .map(|c| json!({ "type": "planned_change", "change": planned_change(c) }))
        .collect();
    out.push(json!({
        "type": "change_summary",
        "changes": plan.summary(),
        "digest": plan.digest(),
        "estimate_seconds": plan.estimate.seconds,
    }));
    out
}

/// The line of an event; `None` for a step that the plan does not have.
pub fn event(plan: &Plan, event: &Event) -> Option<Json> {
    let hook = |step: &usize| Some(hook(&plan.steps.get(*step)?.node));
    let line = match event {
        Event::Started { step } => json!({ "type": "apply_start", "hook": hook(step)? }),
        Event::Progress {
            step,
            detail,
            elapsed,
        } => json!({ "type": "apply_progress", "hook": hook(step)?, "detail": detail,
                "elapsed_seconds": seconds(*elapsed) }),
        Event::Finished { step, elapsed } => json!({ "type": "apply_complete",
                "hook": hook(step)?, "elapsed_seconds": seconds(*elapsed) }),
        Event::Failed {
            step,
            error,
            elapsed,
        } => json!({ "type": "apply_errored", "hook": hook(step)?, "error": failure(error),
                "elapsed_seconds": seconds(*elapsed) }),
        Event::Blocked { step, by } => {
            json!({ "type": "apply_blocked", "hook": hook(step)?, "by": hook(by)? })
        }
        Event::Interrupted { step, elapsed } => json!({ "type": "apply_interrupted",
                "hook": hook(step)?, "elapsed_seconds": seconds(*elapsed) }),
        Event::Stopping => json!({ "type": "stopping" }),
    };
    Some(line)
}

/// The last line.
pub fn summary(plan: &Plan, report: &RunReport, elapsed: Duration, exit: u8) -> Json {
    let tally = Tally::of(plan, report);
    json!({
        "type": "summary",
        "done": tally.done,
        "failed": tally.failed,
        "in_doubt": tally.in_doubt,
        "blocked": tally.blocked,
        "left": tally.left,
        "interrupted": report.interrupted,
        "elapsed_seconds": seconds(elapsed),
        "exit_code": exit,
    })
}

fn hook(node: &StepNode) -> Json {
    match node {
        StepNode::Open { instance } => json!({ "action": "open", "instance": instance }),
        StepNode::Act { address, action } => {
            json!({ "action": action, "address": address, "zone": address.zone, "kind": address.kind })
        }
    }
}

fn failure(error: &ProviderError) -> Json {
    json!({ "class": class(&error.class), "code": Code::from(&error.class).id(), "message": error.message, "at": error.at,
        "request_id": error.request_id })
}

/// The name of a class of errors.
pub fn class(class: &ErrorClass) -> &'static str {
    match class {
        ErrorClass::NotSent => "not_sent",
        ErrorClass::NotYet { .. } => "not_yet",
        ErrorClass::Transient { .. } => "transient",
        ErrorClass::RateLimited { .. } => "rate_limited",
        ErrorClass::Ambiguous => "ambiguous",
        ErrorClass::NotFound => "not_found",
        ErrorClass::Conflict => "conflict",
        ErrorClass::Invalid => "invalid",
        ErrorClass::Unauthorized => "unauthorized",
        ErrorClass::Denied => "denied",
        ErrorClass::WrongCluster => "wrong_cluster",
        ErrorClass::Unreachable => "unreachable",
        ErrorClass::Failed => "failed",
        ErrorClass::Bug => "bug",
    }
}

/// Seconds with milliseconds.
fn seconds(time: Duration) -> f64 {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    f64::from(millis) / 1000.0
}

#[cfg(test)]
mod tests {
    use zonewright_engine::plan::{Action, Reason, Step};

    use super::super::plan::tests;
    use super::*;

    #[test]
    fn the_stream_names_what_it_is_about() {
        let create = tests::change("bz/digitalocean.vpc.main", &[Action::Create], Reason::New);
        let mut plan = tests::plan(vec![create]);
        plan.steps = vec![Step {
            node: StepNode::Act {
                address: "bz/digitalocean.vpc.main".parse().unwrap(),
                action: Action::Create,
            },
            seconds: 1,
        }];
        let lines = planned(&plan);
        assert_eq!(lines[0]["type"], "planned_change");
        assert_eq!(lines[0]["change"]["address"], "bz/digitalocean.vpc.main");
        assert_eq!(lines[1]["changes"]["create"], 1);
        let started = event(&plan, &Event::Started { step: 0 }).unwrap();
        assert_eq!(started["type"], "apply_start");
        assert_eq!(started["hook"]["action"], "create");
        assert_eq!(event(&plan, &Event::Started { step: 7 }), None);
    }
}
