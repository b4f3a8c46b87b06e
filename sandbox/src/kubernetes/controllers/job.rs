//! Jobs complete, or fail when they are told to; finished ones go when their time is up.

use serde_json::json;

use super::super::delete;
use super::super::request::{Ctx, timestamp};
use super::workload::{Fate, fate};
use super::{Looked, condition, holds, waits_until};

/// Seconds that a Job runs.
const RUNNING: u64 = 20;

pub(crate) fn look(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() {
        return None;
    }
    let suspended = it.object["spec"]["suspend"] == true;
    let since = it.since(ctx, if suspended { "suspended" } else { "running" });
    let now = ctx.now();
    if suspended {
        it.update(ctx, |o| {
            condition(
                &mut o["status"],
                &now,
                ("Suspended", true, "JobSuspended", "Job suspended"),
            );
        });
        return None;
    }
    if let Some(due) = waits_until(ctx, since, RUNNING) {
        it.update(ctx, |o| {
            o["status"]["startTime"] = json!(timestamp(since));
            o["status"]["active"] = o["spec"]["parallelism"].clone();
            o["status"]["ready"] = json!(0);
        });
        return Some(due);
    }
    let fate = fate(&it.object);
    if fate == Fate::Never {
        return None;
    }
    if !holds(&it.object, "Complete") && !holds(&it.object, "Failed") {
        it.update(ctx, |o| {
            let completions = o["spec"]["completions"].clone();
            let status = &mut o["status"];
            status["startTime"] = json!(timestamp(since));
            status["active"] = json!(0);
            if fate == Fate::Ready {
                status["succeeded"] = completions;
                status["completionTime"] = json!(now);
                let text = "Reached expected number of succeeded pods";
                condition(
                    status,
                    &now,
                    ("SuccessCriteriaMet", true, "CompletionsReached", text),
                );
                condition(status, &now, ("Complete", true, "CompletionsReached", text));
            } else {
                status["failed"] = json!(1);
                let text = "Job has reached the specified backoff limit";
                condition(status, &now, ("Failed", true, "BackoffLimitExceeded", text));
            }
        });
    }
    let ttl = it.object["spec"]["ttlSecondsAfterFinished"].as_u64()?;
    if let Some(due) = waits_until(ctx, since, RUNNING + ttl) {
        return Some(due);
    }
    delete::remove(ctx, &it.table, &it.key, it.object);
    None
}
