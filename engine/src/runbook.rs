//! The runbook of a switch to another zone: what is done by whom, in which order, how long it takes, how
//! it is checked and how it is taken back. Pure, and from the spec alone: nobody is asked, so that it can
//! be made while the zone that serves is gone, and the same spec gives the same runbook.
//!
//! The order is that of the plan's graph. Every step of the plan is in exactly one [`Stage`], and no step
//! stands in an earlier stage than what it waits for.

use serde::Serialize;

use crate::address::{Address, ZoneName};
use crate::assume;
use crate::config::{Config, DatabaseDecision, Strategy};
use crate::data::DatabaseMode;
use crate::expr::{Expr, Node};
use crate::objectives::{self, Forecast};
use crate::observe::{Inputs, Observations};
use crate::plan::build::{PlanError, plan_despite};
use crate::plan::roles::{PROMOTED, is_promoted, is_replica, is_writer};
use crate::plan::{Action, Plan};
use crate::schema::Registry;
use crate::value::Value;

pub(crate) mod facts;
mod sort;
mod toml;
mod write;

/// A runbook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Runbook {
    /// The project.
    pub project: String,
    /// The zone that shall serve.
    pub to: ZoneName,
    /// The zone that serves.
    pub from: ZoneName,
    /// How the data gets there.
    pub decision: Option<DatabaseDecision>,
    /// What the zone can achieve.
    pub forecast: Option<Forecast>,
    /// What to know before.
    pub warnings: Vec<String>,
    /// What is done, in order.
    pub tasks: Vec<Task>,
    /// Seconds of machine time from the declaration until users are served, when both zones answer; `None`
    /// when nothing moves them.
    pub planned_seconds: Option<u64>,
    /// The same when the zone that serves is gone: nothing of it is waited for. `None` also when the zone has
    /// to be built as a copy of what is gone.
    pub emergency_seconds: Option<u64>,
    /// Seconds that `[objectives] rto` allows.
    pub rto_objective: Option<u64>,
    /// Seconds that `[objectives] rpo` allows.
    pub rpo_objective: Option<u64>,
}

impl Runbook {
    /// The same with other commands: `typed` gets everything that is to be typed letter by letter.
    #[must_use]
    pub fn retyped(mut self, typed: &dyn Fn(&str) -> String) -> Runbook {
        for task in &mut self.tasks {
            for command in &mut task.commands {
                *command = typed(command);
            }
            let texts = task.instructions.iter_mut().chain(&mut task.checks);
            let texts = texts.chain([&mut task.title, &mut task.back]);
            for part in texts.chain(&mut task.dead).flatten() {
                if let Part::Code(code) = part {
                    *code = typed(code);
                }
            }
        }
        self
    }
}

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The clock starts.
    Declare,
    /// May the zone be counted on?
    Preflight,
    /// What a zone that is off lacks.
    Build,
    /// Resolvers forget faster.
    LowerTtl,
    /// Nothing is written any more.
    Freeze,
    /// How much is lost?
    RpoPoint,
    /// The data becomes the zone's own.
    Database,
    /// The application is told where the data is.
    Wiring,
    /// What answers requests runs.
    Application,
    /// The zone can be reached.
    Exposure,
    /// The decision.
    GoNoGo,
    /// Users arrive at the zone.
    Flip,
    /// They are served.
    PostChecks,
    /// Resolvers remember as long as before.
    RestoreTtl,
    /// The other zone stands down.
    StandDown,
    /// The way back, one day.
    Failback,
}

impl Stage {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Stage::Declare => "Declare",
            Stage::Preflight => "Preflight",
            Stage::Build => "Build the zone",
            Stage::LowerTtl => "Lower the TTL",
            Stage::Freeze => "Freeze the writer",
            Stage::RpoPoint => "Capture the RPO point",
            Stage::Database => "Database",
            Stage::Wiring => "Wiring",
            Stage::Application => "Application",
            Stage::Exposure => "Exposure",
            Stage::GoNoGo => "Go or no go",
            Stage::Flip => "Flip",
            Stage::PostChecks => "Checks afterwards",
            Stage::RestoreTtl => "Restore the TTL",
            Stage::StandDown => "Stand down",
            Stage::Failback => "Failback",
        }
    }
}

/// Who does or approves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Duty {
    /// The incident commander, who decides.
    Ic,
    /// Responsible for the database.
    Db,
    /// Responsible for the clusters.
    K8s,
    /// Responsible for names.
    Dns,
}

impl Duty {
    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Duty::Ic => "IC",
            Duty::Db => "DB",
            Duty::K8s => "K8s",
            Duty::Dns => "DNS",
        }
    }
}

/// What carries a step out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// People.
    People,
    /// zonewright.
    Zonewright,
    /// The cluster's own client: zonewright has no command for it yet.
    Kubectl,
    /// The vendor's API: zonewright has no command for it yet.
    Vendor,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Words.
    Words(String),
    /// Something to be typed or recognised letter by letter.
    Code(String),
}

/// A sentence or two.
pub type Text = Vec<Part>;

/// A piece of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpecEdit {
    /// The file that it belongs into.
    pub file: String,
    /// The piece, TOML; a comment says where it goes.
    pub toml: String,
}

/// Steps of the plan that a task carries out: one declaration, one action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Effect {
    /// What is done.
    pub action: Action,
    /// The declaration, or the object if it is the only one.
    pub address: Address,
    /// The number of objects.
    pub count: usize,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// The stage that it belongs to.
    pub stage: Stage,
    /// What is done.
    pub title: Text,
    /// Who does it.
    pub does: Duty,
    /// Who approves it first.
    pub approves: Option<Duty>,
    /// What carries it out.
    pub tool: Tool,
    /// What to know or to edit, in order.
    pub instructions: Vec<Text>,
    /// What to write into the spec, before anything is run.
    pub edits: Vec<SpecEdit>,
    /// What to run, in order.
    pub commands: Vec<String>,
    /// What of the plan happens.
    pub effects: Vec<Effect>,
    /// How long it typically takes; absent for what people take their time for.
    pub seconds: Option<u64>,
    /// Machine time since the declaration when it is over, if both zones answer.
    pub until: u64,
    /// How to see that it worked.
    pub checks: Vec<Text>,
    /// How it is taken back.
    pub back: Text,
    /// What differs when the zone that serves does not answer.
    pub dead: Option<Text>,
    /// Why it cannot be taken back; absent when it can.
    pub no_return: Option<&'static str>,
}

/// Why there is no runbook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRunbook {
    /// The decision is a replica, and there is none.
    #[error("zone {zone} has no replica to promote in the posture that it stands in")]
    NoReplica {
        /// The zone.
        zone: ZoneName,
    },
    /// The zone that serves has data, and nothing says how it gets to the other one.
    #[error("nothing says how zone {zone} gets the data of zone {from}")]
    Undecided {
        /// The zone.
        zone: ZoneName,
        /// The zone that serves.
        from: ZoneName,
    },
    /// The spec with the zone active cannot be planned.
    #[error("the spec with zone {zone} active cannot be planned")]
    Plan {
        /// The zone.
        zone: ZoneName,
        /// What stands in the way.
        errors: Vec<PlanError>,
    },
}

/// The runbook from `before`, where one zone serves, to `after`, where the other does. `off` is said of a
/// zone that has to be built first; `before` is the spec in which it stands by.
///
/// # Errors
/// The switch cannot be planned.
pub fn runbook(
    (before, after): (&Config, &Config),
    off: bool,
    registry: &Registry,
) -> Result<Runbook, NoRunbook> {
    let to = &after.active;
    let decision = before.zone(to).and_then(|z| z.database.clone());
    let strategy = decision.as_ref().map(|d| d.strategy);
    let mut after = after.clone();
    // A missed objective of the zone that stands down is no reason to have no runbook.
    after.objectives.strict = false;
    if strategy.is_none()
        && DatabaseMode::of(before, registry, &before.active) != DatabaseMode::None
    {
        return Err(NoRunbook::Undecided {
            zone: to.clone(),
            from: before.active.clone(),
        });
    }
    if strategy == Some(Strategy::Replica) && !promote(&mut after, registry) {
        return Err(NoRunbook::NoReplica { zone: to.clone() });
    }
    let assumed = assume::applied(before, &after, registry);
    let forecast = objectives::outlook(&assumed).remove(to);
    let by_hand = |e: &PlanError| matches!(e, PlanError::NoDatabase { .. });
    let (inputs, plan) = switch(assumed, &after, &by_hand).map_err(|errors| NoRunbook::Plan {
        zone: to.clone(),
        errors,
    })?;
    let ready = forecast.as_ref().map(|f| f.ready.seconds);
    let facts = facts::Facts::of(before, &inputs, ready.filter(|_| off));
    let sorted = sort::sort(&inputs, &plan);
    let mut tasks = write::tasks(&facts, &sorted);
    let (planned_seconds, emergency_seconds) = write::clock(&facts, &mut tasks);
    Ok(Runbook {
        project: before.project.clone(),
        to: to.clone(),
        from: before.active.clone(),
        warnings: write::warnings(&facts, &plan, forecast.as_ref()),
        decision,
        forecast,
        tasks,
        planned_seconds,
        emergency_seconds,
        rto_objective: before.objectives.rto.map(|d| d.as_secs()),
        rpo_objective: before.objectives.rpo.map(|d| d.as_secs()),
    })
}

/// The plan from one configuration to the other. `tolerated` is what stands in the way of applying it
/// and is dealt with by hand.
fn switch(
    mut inputs: Inputs,
    after: &Config,
    tolerated: &dyn Fn(&PlanError) -> bool,
) -> Result<(Inputs, Plan), Vec<PlanError>> {
    inputs.config = after.clone();
    let plan = plan_despite(&inputs, &Observations::default(), tolerated)?;
    Ok((inputs, plan))
}

/// Says in the spec that the serving zone's replica is a primary; whether there is one.
fn promote(after: &mut Config, registry: &Registry) -> bool {
    let active = &after.active;
    let own = |a: &Address| a.zone == *active;
    let mut found = after
        .resources
        .keys()
        .any(|a| own(a) && is_writer(registry, a));
    let (attr, primary) = PROMOTED;
    for resource in after.resources.values_mut() {
        if resource.address.zone != after.active || !is_replica(registry, &resource.address) {
            continue;
        }
        found = true;
        if is_promoted(resource) {
            continue;
        }
        if let Node::Map(map) = &mut resource.body.node {
            let value = Expr::literal(Value::text(primary));
            map.insert(attr.to_owned(), value);
        }
    }
    found
}
