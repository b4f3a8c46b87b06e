//! What becomes of the data: frozen, measured, promoted or restored.

use super::declare;
use super::{c, plan_and_apply, quoted, restores, say, task, w};
use crate::config::{PostRestore, PostRestoreRun, Strategy};
use crate::objectives::words as time;
use crate::plan::roles::PROMOTED;
use crate::restore::finish::errand;
use crate::runbook::facts::{Facts, Writer};
use crate::runbook::sort::Sorted;
use crate::runbook::{Duty, Stage, Task, Tool};

/// Nothing is written in the zone that serves any more.
pub(super) fn freeze(facts: &Facts<'_>) -> Option<Task> {
    let from = facts.from;
    let writers = facts.writers();
    if !facts.has_data() || writers.is_empty() || !facts.has_cluster(from) {
        return None;
    }
    let config = format!("{from}.kubeconfig");
    let mut commands = vec![format!("zonewright kubeconfig --zone {from} -o {config}")];
    commands.extend(writers.iter().map(|writer| stop(&config, writer)));
    Some(Task {
        approves: Some(Duty::Ic),
        tool: Tool::Kubectl,
        commands,
        checks: vec![vec![
            w(format!(
                "Ask the database of {from} twice, some seconds apart: "
            )),
            c("SELECT @@GLOBAL.gtid_executed"),
            w(
                ". The position has not moved. One that is told to be read-only may still take writes.",
            ),
        ]],
        back: if facts.observes_from() {
            say("Start them again, with the replicas that they had.")
        } else {
            vec![
                c(format!("zonewright apply --zone {from}")),
                w(" starts again what the spec declares."),
            ]
        },
        dead: Some(say(format!(
            "Skip it, and write it down as owed: before anything of {from} serves again, this is done first."
        ))),
        ..task(
            Stage::Freeze,
            Duty::Db,
            say(format!("Stop what writes in {from}")),
        )
    })
}

fn stop(config: &str, writer: &Writer) -> String {
    let Writer {
        kind,
        namespace,
        name,
    } = writer;
    let start = format!("kubectl --kubeconfig {config} -n {}", quoted(namespace));
    let kind = kind.to_ascii_lowercase();
    let name = quoted(&format!("{kind}/{name}"));
    if kind == "cronjob" {
        format!("{start} patch {name} -p '{{\"spec\":{{\"suspend\":true}}}}'")
    } else {
        format!("{start} scale {name} --replicas=0")
    }
}

/// What is lost, before it is.
pub(super) fn rpo_point(facts: &Facts<'_>) -> Option<Task> {
    let to = facts.to;
    let strategy = facts.strategy()?;
    let rpo = facts.before.objectives.rpo.map(|d| time(d.as_secs()));
    let limit = rpo.map_or_else(
        || "IC accepts the loss in writing.".to_owned(),
        |rpo| format!("It is within the RPO of {rpo}; or IC accepts the loss in writing."),
    );
    let (commands, what) = match strategy {
        Strategy::Replica => (
            vec![format!(
                "zonewright verify --zone {to} --only replication-lag --format markdown"
            )],
            format!(
                "The evidence holds the age of the newest heartbeat that arrived in {to}: what was written later is lost. Take off the time since the writer was frozen, which stops the heartbeat too."
            ),
        ),
        Strategy::Restore => (
            vec![format!("zonewright restore plan --zone {to}")],
            "It names one backup and its age: what was written later is lost. Write down its timestamp for the next task."
                .to_owned(),
        ),
    };
    Some(Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        instructions: vec![say(what)],
        commands,
        checks: vec![say(limit)],
        ..task(
            Stage::RpoPoint,
            Duty::Db,
            say("Write down what is lost, right before it is"),
        )
    })
}

/// The zone gets data of its own.
pub(super) fn database(facts: &Facts<'_>, sorted: &Sorted) -> Vec<Task> {
    match facts.strategy() {
        Some(Strategy::Replica) => promote(facts, sorted).into_iter().collect(),
        Some(Strategy::Restore) => restore(facts),
        None => Vec::new(),
    }
}

fn promote(facts: &Facts<'_>, sorted: &Sorted) -> Option<Task> {
    let (from, to) = (facts.from, facts.to);
    let replica = facts.replicas().into_iter().next()?;
    let address = &replica.address;
    let (attr, primary) = PROMOTED;
    let effects = sorted.effects.get(&Stage::Database).cloned();
    Some(Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        instructions: vec![vec![
            w("In "),
            c(format!("zones/{to}.toml")),
            w(", under "),
            c(format!("[{}.{}]", address.kind, address.name)),
            w(", write "),
            c(format!("{attr} = \"{primary}\"")),
            w(" and "),
            c("zonewright = { protect = true }"),
            w(
                ". From now on this is the writer: never switch it off or take it out, or the data goes with it.",
            ),
        ]],
        commands: plan_and_apply(to.as_str(), "promote"),
        effects: effects.unwrap_or_default(),
        seconds: Some(
            sorted
                .seconds
                .get(&Stage::Database)
                .copied()
                .unwrap_or_default()
                .max(facts.update_seconds(address)),
        ),
        checks: vec![
            vec![
                w("Before approving: the plan changes nothing but "),
                c(address.to_string()),
                w(" in place. If it deletes, replaces or creates a database, stop."),
            ],
            vec![
                c(format!(
                    "zonewright verify --zone {to} --only database-mode --only database-tls"
                )),
                w(" is green: the writer takes writes over verified TLS."),
            ],
        ],
        back: say(format!(
            "None: the replica follows {from} no more. Until the flip {from} can go on serving with all its data; a new replica is then made for {to}, and this database given up."
        )),
        dead: Some(say("The promotion asks nothing of it.")),
        no_return: Some("a promoted replica never follows again"),
        ..task(
            Stage::Database,
            Duty::Db,
            vec![w("Promote "), c(address.to_string())],
        )
    })
}

fn restore(facts: &Facts<'_>) -> Vec<Task> {
    let to = facts.to;
    let Some(decision) = facts.decision() else {
        return Vec::new();
    };
    let Some(made) = facts.restore_by_hand() else {
        return vec![Task {
            approves: Some(Duty::Ic),
            instructions: vec![vec![
                w(
                    "The spec does not say what is restored, or the vendor's way is not known. Write ",
                ),
                c("[database.restore]"),
                w(" in "),
                c(format!("zones/{to}.toml")),
                w(", and make this runbook again."),
            ]],
            ..task(Stage::Database, Duty::Db, say("Restore a backup"))
        }];
    };
    let source = decision.restore.as_ref().map(|r| &r.source);
    let mut commands = vec!["BACKUP='the timestamp that was written down'".to_owned()];
    commands.push(made.lines.join("\n"));
    let name = &made.name;
    let mut out = vec![Task {
        approves: Some(Duty::Ic),
        tool: Tool::Vendor,
        instructions: vec![say(
            "zonewright has no command for the restore yet: the vendor's API does it, or its console (the source's backups, restore to a new cluster). Write down the id of the new cluster.",
        )],
        commands,
        seconds: source.map(|s| facts.create_seconds(s)),
        checks: vec![say(format!(
            "The vendor shows {name} as online, and its log of events names the backup."
        ))],
        back: say(format!(
            "Delete {name} at the vendor: nothing else was changed."
        )),
        dead: Some(say("The vendor has the backups; the zone is not asked.")),
        ..task(
            Stage::Database,
            Duty::Db,
            vec![w("Restore the backup as "), c(name.clone())],
        )
    }];
    out.extend(finish(facts, &decision.post_restore));
    out.push(declare::restored(facts, &made));
    out
}

/// The steps of the spec, in one go.
fn finish(facts: &Facts<'_>, steps: &[PostRestore]) -> Option<Task> {
    if steps.is_empty() {
        return None;
    }
    let to = facts.to;
    // Which database it is, the spec says or somebody who knows.
    let one = errand(facts.inputs, to).is_ok_and(|e| e.databases.len() == 1);
    let database = if one { "" } else { " --database NAME" };
    let command = format!("zonewright restore finish --zone {to}{database}");
    let mut listed = vec![w("In this order, each only if it is needed: ")];
    for (n, step) in steps.iter().enumerate() {
        if n > 0 {
            listed.push(w(", "));
        }
        listed.push(c(step.name.clone()));
        let kind = match &step.run {
            PostRestoreRun::Sql(_) => " (SQL)".to_owned(),
            PostRestoreRun::Job(file) => format!(" (the Job in {file})"),
        };
        listed.push(w(kind));
    }
    Some(Task {
        tool: Tool::Zonewright,
        instructions: vec![listed],
        commands: vec![
            format!("{command} --dry-run"),
            format!("{command} --auto-approve"),
        ],
        checks: vec![say(
            "Every step is done or not needed. One that failed stops the rest: settle why, and run it again; what is done is not done again.",
        )],
        back: say("Restore the backup again."),
        dead: Some(say("The steps ask nothing of it.")),
        ..task(
            Stage::Database,
            Duty::Db,
            say("Do what comes after the restore"),
        )
    })
}

/// Whether the active zone was named with the data already.
pub(super) fn names_active(facts: &Facts<'_>) -> bool {
    restores(facts) && facts.restore_by_hand().is_some()
}
