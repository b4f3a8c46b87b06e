//! Jobs: they run one pod, and end as it does; finished ones go when their time is up.

use serde_json::json;

use super::super::delete;
use super::super::kinds::{key, table};
use super::super::request::{Ctx, timestamp};
use super::job_pod::{self, End};
use super::workload::{Fate, fate};
use super::{Looked, condition, holds, waits_until};

/// Seconds that a Job runs.
const RUNNING: u64 = 20;
/// On a namespace: `fail` lets its Jobs fail.
const JOBS: &str = "sandbox.zonewright.dev/jobs";

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
    if holds(&it.object, "Complete") || holds(&it.object, "Failed") {
        return expire(ctx, it, since);
    }
    let end = match waits_until(ctx, since, RUNNING) {
        Some(due) => {
            job_pod::ensure(ctx, &it, None);
            run(ctx, &mut it, since);
            return Some(due);
        }
        None => end_of(ctx, &it),
    };
    job_pod::ensure(ctx, &it, Some(&end));
    match end {
        End::Succeeded(_) | End::Failed(_) => {
            finish(ctx, &mut it, since, &end);
            expire(ctx, it, since)
        }
        // It waits for what it cannot start without, until it is given up.
        End::CannotStart(_) | End::Running => {
            run(ctx, &mut it, since);
            let deadline = it.object["spec"]["activeDeadlineSeconds"].as_u64();
            match deadline.map(|d| waits_until(ctx, since, d.max(RUNNING))) {
                Some(None) => {
                    give_up(ctx, &mut it, since);
                    expire(ctx, it, since)
                }
                Some(Some(due)) => Some(due.min(ctx.world.now_ms() + 1000)),
                None => Some(ctx.world.now_ms() + 1000),
            }
        }
    }
}

fn end_of(ctx: &Ctx<'_, '_>, it: &Looked) -> End {
    let failed = || End::Failed("the program has failed\n".to_owned());
    let namespaces = table(ctx.cluster, "", "namespaces");
    let home = ctx.tables().get(&namespaces, &key(None, it.namespace()));
    if home.is_some_and(|n| n["metadata"]["annotations"][JOBS] == "fail") {
        return failed();
    }
    match fate(&it.object) {
        Fate::Never => End::Running,
        Fate::CrashLoop | Fate::ImagePull | Fate::BadImage => failed(),
        Fate::Ready => job_pod::end(ctx, it),
    }
}

fn run(ctx: &mut Ctx<'_, '_>, it: &mut Looked, since: u64) {
    it.update(ctx, |o| {
        o["status"]["startTime"] = json!(timestamp(since));
        o["status"]["active"] = o["spec"]["parallelism"].clone();
        o["status"]["ready"] = json!(0);
    });
}

fn finish(ctx: &mut Ctx<'_, '_>, it: &mut Looked, since: u64, end: &End) {
    let now = ctx.now();
    it.update(ctx, |o| {
        let completions = o["spec"]["completions"].clone();
        let status = &mut o["status"];
        status["startTime"] = json!(timestamp(since));
        status["active"] = json!(0);
        status["ready"] = json!(0);
        if matches!(end, End::Succeeded(_)) {
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

/// A Job that has had its time fails, and its pods go.
fn give_up(ctx: &mut Ctx<'_, '_>, it: &mut Looked, since: u64) {
    job_pod::remove(ctx, it);
    let now = ctx.now();
    it.update(ctx, |o| {
        let status = &mut o["status"];
        status["startTime"] = json!(timestamp(since));
        status["active"] = json!(0);
        let text = "Job was active longer than specified deadline";
        condition(status, &now, ("Failed", true, "DeadlineExceeded", text));
    });
}

fn expire(ctx: &mut Ctx<'_, '_>, it: Looked, since: u64) -> Option<u64> {
    let ttl = it.object["spec"]["ttlSecondsAfterFinished"].as_u64()?;
    if let Some(due) = waits_until(ctx, since, RUNNING + ttl) {
        return Some(due);
    }
    delete::remove(ctx, &it.table, &it.key, it.object);
    None
}
