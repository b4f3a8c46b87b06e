//! What becomes of traffic: the TTL, the way in, the flip.

use super::data::names_active;
use super::{LOW_TTL, c, convergence, edge, plan_and_apply, quoted, say, task, w};
use crate::objectives::words as time;
use crate::runbook::facts::{Facts, Flip};
use crate::runbook::sort::Sorted;
use crate::runbook::{Duty, Stage, Task, Text, Tool};

/// Records whose TTL is worth lowering.
fn slow<'a>(facts: &Facts<'a>) -> Vec<(Flip<'a>, u64)> {
    let flips = facts.flips().into_iter();
    let with_ttl = flips.filter_map(|f| f.ttl.map(|ttl| (f, ttl)));
    with_ttl.filter(|(_, ttl)| *ttl > LOW_TTL).collect()
}

/// The table of a shared resource.
fn table(flip: &Flip<'_>) -> String {
    let address = &flip.resource.address;
    format!("[shared.{}.{}]", address.kind, address.name)
}

fn set_ttl(flip: &Flip<'_>, ttl: u64) -> Text {
    vec![
        w("In "),
        c("zonewright.toml"),
        w(", under "),
        c(table(flip)),
        w(", write "),
        c(format!("ttl = {ttl}")),
        w("."),
    ]
}

/// The edge becomes what the spec says.
fn apply_edge(facts: &Facts<'_>, then: &str) -> Text {
    match facts.observed_flips().is_empty() {
        true => vec![w(then), c("zonewright apply --zone edge"), w(".")],
        false => say("Whoever manages the record changes it back."),
    }
}

/// Resolvers shall ask again soon.
pub(super) fn lower_ttl(facts: &Facts<'_>) -> Option<Task> {
    let slow = slow(facts);
    let longest = slow.iter().map(|(_, ttl)| *ttl).max()?;
    let (tool, commands, by_others) = edge(facts, "ttl");
    let edits = slow.iter().map(|(flip, _)| set_ttl(flip, LOW_TTL));
    let edit = edits.chain(by_others).collect();
    let mut back: Text = Vec::new();
    for (flip, ttl) in &slow {
        back.extend([
            c(table(flip)),
            w(": "),
            c(format!("ttl = {ttl}")),
            w(" again. "),
        ]);
    }
    back.extend(apply_edge(facts, "Then "));
    let seconds = slow
        .iter()
        .map(|(f, _)| facts.update_seconds(&f.resource.address));
    Some(Task {
        approves: Some(Duty::Ic),
        tool,
        instructions: edit,
        commands,
        seconds: seconds.max(),
        checks: slow.iter().filter_map(|(flip, _)| {
            let name = flip.name.as_ref()?;
            Some(vec![
                c(format!("dig +noall +answer {}", quoted(name))),
                w(format!(" shows at most {LOW_TTL} seconds at the authoritative servers. The flip waits {} from here, while the tasks in between go on.", time(longest))),
            ])
        }).collect(),
        back,
        dead: Some(say(format!(
            "Do it all the same and do not wait: some resolvers go on with the old answer for up to {} after the flip.",
            time(longest)
        ))),
        ..task(Stage::LowerTtl, Duty::Dns, say("Let resolvers forget faster"))
    })
}

/// One apply wires, scales and exposes; three tasks see to it.
pub(super) fn switch(facts: &Facts<'_>, sorted: &Sorted) -> Vec<Task> {
    let mut out = vec![wiring(facts, sorted)];
    out.push(application(facts, sorted));
    out.push(exposure(facts, sorted));
    out
}

fn of_stage(sorted: &Sorted, stage: Stage, task: Task) -> Task {
    Task {
        effects: sorted.effects.get(&stage).cloned().unwrap_or_default(),
        seconds: Some(sorted.seconds.get(&stage).copied().unwrap_or(0)),
        ..task
    }
}

fn back(facts: &Facts<'_>) -> Text {
    vec![
        c(format!("active = \"{}\"", facts.from)),
        w(" in "),
        c("zonewright.toml"),
        w(" again, then "),
        c(format!("zonewright apply --zone {}", facts.to)),
        w("."),
    ]
}

fn wiring(facts: &Facts<'_>, sorted: &Sorted) -> Task {
    let (from, to) = (facts.from, facts.to);
    let mut instructions = Vec::new();
    if !names_active(facts) {
        instructions.push(vec![
            w("In "),
            c("zonewright.toml"),
            w(", under "),
            c("[project]"),
            w(", write "),
            c(format!("active = \"{to}\"")),
            w("."),
        ]);
    }
    let dependents = facts.dependents();
    if !dependents.is_empty() {
        let mut text = vec![w(
            "These refer to the database and follow it by themselves if its address, user or CA changed: ",
        )];
        for (n, address) in dependents.iter().enumerate() {
            if n > 0 {
                text.push(w(", "));
            }
            text.push(c(address.to_string()));
        }
        text.push(w(
            ". Pods that run already read a changed Secret only when they are restarted.",
        ));
        instructions.push(text);
    }
    let task = Task {
        approves: Some(Duty::Ic),
        tool: Tool::Zonewright,
        instructions,
        commands: plan_and_apply(to.as_str(), "switch"),
        checks: vec![say(format!(
            "Before approving: the plan holds what this task and the next two list, and nothing of {from}, of the edge or of a database."
        ))],
        back: back(facts),
        ..task(
            Stage::Wiring,
            Duty::Db,
            say(format!("Make {to} the zone that serves, in the spec")),
        )
    };
    of_stage(sorted, Stage::Wiring, task)
}

fn application(facts: &Facts<'_>, sorted: &Sorted) -> Task {
    let to = facts.to;
    let task = Task {
        tool: Tool::Zonewright,
        instructions: vec![say("The same apply does it.")],
        commands: vec![
            format!("zonewright verify --zone {to} --only workloads --wait 10m"),
            format!("zonewright smoke --zone {to} --wait 10m"),
        ],
        checks: vec![say(
            "Both are green: what is declared runs, and the application answers inside the cluster.",
        )],
        back: back(facts),
        ..task(Stage::Application, Duty::K8s, say("The application runs"))
    };
    of_stage(sorted, Stage::Application, task)
}

fn exposure(facts: &Facts<'_>, sorted: &Sorted) -> Task {
    let to = facts.to;
    let mut commands = Vec::new();
    let mut checks = vec![say(
        "An address that does not come within 10 minutes is escalated to the vendor: look at the events of the Service.",
    )];
    let certificates = facts.certificates();
    if !certificates.is_empty() {
        commands.push(format!(
            "zonewright kubeconfig --zone {to} -o {to}.kubeconfig"
        ));
    }
    for (namespace, name) in certificates {
        commands.push(format!(
            "kubectl --kubeconfig {to}.kubeconfig -n {} wait --for=condition=Ready {} --timeout=10m",
            quoted(&namespace),
            quoted(&format!("certificate/{name}"))
        ));
    }
    let own = facts.own_names();
    for name in &own {
        checks.push(vec![
            c(format!("dig +short {}", quoted(name))),
            w(" answers with the address of the load balancer."),
        ]);
    }
    if let Some(own) = own.first() {
        for name in facts.flips().iter().filter_map(|f| f.name.as_ref()) {
            let connect = quoted(&format!("{name}:443:{own}:443"));
            let url = quoted(&format!("https://{name}/"));
            checks.push(vec![
                c(format!("curl -sSI --connect-to {connect} {url}")),
                w(format!(" answers 200 or 301: {to} serves the public name, with a valid certificate, before anybody is sent there.")),
            ]);
        }
    }
    let task = Task {
        tool: Tool::Zonewright,
        instructions: vec![say(
            "The same apply does it. Users still arrive at the other zone.",
        )],
        commands,
        checks,
        back: back(facts),
        ..task(
            Stage::Exposure,
            Duty::K8s,
            say(format!("{to} can be reached")),
        )
    };
    of_stage(sorted, Stage::Exposure, task)
}

/// Users move.
pub(super) fn flip(facts: &Facts<'_>, sorted: &Sorted) -> Option<Task> {
    let (from, to) = (facts.from, facts.to);
    let flips = facts.flips();
    if flips.is_empty() {
        return None;
    }
    let mut instructions = Vec::new();
    if let Some(longest) = slow(facts).iter().map(|(_, ttl)| *ttl).max() {
        instructions.push(say(format!(
            "Wait until {} have passed since the TTL was lowered.",
            time(longest)
        )));
    }
    let mut checks = vec![say(
        "Before approving: the plan changes what is listed here, in place, and nothing else.",
    )];
    for flip in &flips {
        if let Some(name) = &flip.name {
            checks.push(vec![
                c(format!("dig {}", quoted(name))),
                w(format!(
                    " leads to {to} at the authoritative servers and at three resolvers."
                )),
            ]);
        }
        if flip.proxied {
            checks.push(say(
                "The name is proxied: the proxy's cache for it is purged in the vendor's console.",
            ));
        }
    }
    let (tool, commands, by_others) = edge(facts, "flip");
    instructions.extend(by_others);
    let update = sorted.seconds.get(&Stage::Flip).copied().unwrap_or(0);
    let written = facts.has_data();
    let mut back = vec![
        w("As long as nobody wrote anything: "),
        c(format!("active = \"{from}\"")),
        w(" in "),
        c("zonewright.toml"),
        w(" again. "),
    ];
    back.extend(apply_edge(facts, "Then "));
    if written {
        back.push(w(
            " From the first write on there is no way back without losing it, only forward.",
        ));
    }
    Some(Task {
        approves: Some(Duty::Ic),
        tool,
        instructions,
        commands,
        effects: sorted
            .effects
            .get(&Stage::Flip)
            .cloned()
            .unwrap_or_default(),
        seconds: Some(update + convergence(&flips)),
        checks,
        back,
        dead: slow(facts)
            .iter()
            .map(|(_, ttl)| *ttl)
            .max()
            .map(|longest| {
                say(format!(
                    "Do not wait for the TTL; some users arrive up to {} later.",
                    time(longest)
                ))
            }),
        no_return: written.then_some("from the first write on"),
        ..task(Stage::Flip, Duty::Dns, say(format!("Send users to {to}")))
    })
}

/// Resolvers may remember again.
pub(super) fn restore_ttl(facts: &Facts<'_>) -> Option<Task> {
    let slow = slow(facts);
    if slow.is_empty() {
        return None;
    }
    let seconds = slow
        .iter()
        .map(|(f, _)| facts.update_seconds(&f.resource.address));
    let (tool, commands, by_others) = edge(facts, "ttl");
    let edits = slow.iter().map(|(flip, ttl)| set_ttl(flip, *ttl));
    Some(Task {
        approves: Some(Duty::Ic),
        tool,
        instructions: edits.chain(by_others).collect(),
        commands,
        seconds: seconds.max(),
        checks: vec![say(
            "Only after 30 minutes without trouble: the plan changes nothing but the TTL.",
        )],
        back: vec![c(format!("ttl = {LOW_TTL}")), w(" again.")],
        ..task(
            Stage::RestoreTtl,
            Duty::Dns,
            say("Let resolvers remember again"),
        )
    })
}
