//! What is done after a restore: each step is asked for, done if it is needed, and asked for once more. A
//! state machine without IO; what was done already is not needed, so a run can be repeated.

use serde::Serialize;

use super::{Blocked, default_name};
use crate::address::{Address, ZoneName};
use crate::config::{PostRestore, Resource, Strategy};
use crate::expr::Reference;
use crate::observe::{Inputs, Observations, lookup_seen};
use crate::schema::Part;

/// What has to be done in which database.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The zone that got the data.
    pub zone: ZoneName,
    /// Whose backup it is; its provider has the restored one, too.
    pub source: Address,
    /// The database server.
    pub server: Restored,
    /// The names of databases that the spec declares on it: one, if nothing is said.
    pub databases: Vec<String>,
    /// The steps in their order.
    pub steps: Vec<PostRestore>,
}

/// How a restored database server is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It was taken over: by its recorded id.
    Id(String),
    /// Nobody told the spec yet: by the name that a restore gives it.
    Name(String),
}

/// What has to be done after the restore of a zone.
///
/// # Errors
/// The zone is not restored, or nothing says from what.
pub fn errand(inputs: &Inputs, zone: &ZoneName) -> Result<Errand, Blocked> {
    let found = inputs.config.zone(zone);
    let decision = found.and_then(|z| z.database.as_ref());
    let Some(decision) = decision.filter(|d| d.strategy == Strategy::Restore) else {
        let zone = zone.clone();
        let decision = decision.map_or("absent", |d| d.strategy.name()).to_owned();
        return Err(Blocked::Decision { zone, decision });
    };
    let no_source = || Blocked::NoSource { zone: zone.clone() };
    let restore = decision.restore.as_ref().ok_or_else(no_source)?;
    let source = &restore.source;
    let own = declared(inputs, Part::Writer)
        .filter(|r| r.address.zone == *zone)
        .find_map(|r| inputs.state.record(&r.address));
    let server = match (own, &restore.name) {
        (Some(record), _) => Restored::Id(record.id.clone()),
        (None, Some(name)) => Restored::Name(name.clone()),
        (None, None) => {
            let resource = inputs.config.resources.get(source);
            let name = resource.and_then(|r| name(inputs, r));
            let name = name.ok_or_else(|| Blocked::Unrecorded {
                source_cluster: source.clone(),
            })?;
            Restored::Name(default_name(&name, zone))
        }
    };
    Ok(Errand {
        zone: zone.clone(),
        source: source.clone(),
        server,
        databases: databases(inputs, zone, source),
        steps: decision.post_restore.clone(),
    })
}

fn declared(inputs: &Inputs, part: Part) -> impl Iterator<Item = &Resource> {
    let all = inputs.config.resources.values();
    all.filter(move |r| inputs.registry.part(&r.address.kind) == Some(part))
}

fn name(inputs: &Inputs, resource: &Resource) -> Option<String> {
    let nothing = Observations::default();
    let scope = |r: &Reference| lookup_seen(inputs, &nothing, r);
    let name = resource.body.get("name")?.eval(&scope);
    name.as_str().map(str::to_owned)
}

/// Those of the zone itself, once the spec has them, else those that came along with the source's backup.
fn databases(inputs: &Inputs, zone: &ZoneName, source: &Address) -> Vec<String> {
    let of = |wanted: &dyn Fn(&Resource) -> bool| {
        let found = declared(inputs, Part::Database).filter(|r| wanted(r));
        let mut names: Vec<String> = found.filter_map(|r| name(inputs, r)).collect();
        names.sort();
        names.dedup();
        names
    };
    let in_source = |resource: &Resource| {
        let cluster = resource.body.get("cluster");
        cluster.is_some_and(|c| {
            c.references()
                .into_iter()
                .any(|(r, _)| matches!(r, Reference::Resource { address, .. } if address == source))
        })
    };
    let own = of(&|r| r.address.zone == *zone);
    match own.is_empty() {
        true => of(&in_source),
        false => own,
    }
}

/// The first value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// The answer has no row.
    Nothing,
    /// It is NULL.
    Null,
    /// It is a number.
    Number(f64),
    /// It is a text.
    Text(String),
}

impl Cell {
    /// Whether a step is needed whose check says this.
    ///
    /// # Errors
    /// It is neither true nor a number.
    pub fn needed(&self) -> Result<bool, String> {
        let number = match self {
            Cell::Nothing => return Err("the check has no row".to_owned()),
            Cell::Null => return Err("the check is NULL".to_owned()),
            Cell::Number(number) => Some(*number),
            Cell::Text(text) if text.eq_ignore_ascii_case("true") => Some(1.0),
            Cell::Text(text) if text.eq_ignore_ascii_case("false") => Some(0.0),
            Cell::Text(text) => text.trim().parse().ok(),
        };
        let number = number.filter(|n| n.is_finite());
        let number = number.ok_or("the check is neither true nor a number")?;
        Ok(number != 0.0)
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act<'a> {
    /// Ask whether a step is needed.
    Ask(&'a PostRestore),
    /// Do it.
    Run(&'a PostRestore),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The answer to a check.
    Value(Cell),
    /// It was done.
    Ran,
    /// It was refused or failed.
    Failed(String),
    /// Nobody knows what became of it.
    Lost(String),
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody came to it.
    NotRun,
    /// Its check says so; nothing was done.
    Needed,
    /// Its check says so.
    NotNeeded,
    /// It was done, and is not needed any more.
    Done,
    /// It was not done, or is needed still.
    Failed,
    /// It may have been done.
    InDoubt,
}

/// A step and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The step.
    #[serde(flatten)]
    pub step: PostRestore,
    /// How it stands.
    pub standing: Standing,
    /// Why, if that has to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How far everything got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Every step is done or not needed.
    Whole,
    /// Steps are needed: nothing was to be done but to look.
    Needed,
    /// Something failed before anything was changed.
    Nothing,
    /// Something failed, and something may have been changed.
    Some,
    /// It is not known what was changed.
    InDoubt,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Asking,
    Running,
    AskingAgain,
    AskingAfterLoss(String),
}

/// The steps on their way.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    rows: Vec<Row>,
    at: usize,
    phase: Phase,
    look: bool,
    began: bool,
}

impl Finish {
    /// Does what is needed, and stops at what fails.
    pub fn run(steps: &[PostRestore]) -> Finish {
        Finish::new(steps, false)
    }

    /// Only asks what is needed; what cannot be asked yet stops nothing.
    pub fn look(steps: &[PostRestore]) -> Finish {
        Finish::new(steps, true)
    }

    fn new(steps: &[PostRestore], look: bool) -> Finish {
        let row = |step: &PostRestore| Row {
            step: step.clone(),
            standing: Standing::NotRun,
            why: None,
        };
        Finish {
            rows: steps.iter().map(row).collect(),
            at: 0,
            phase: Phase::Asking,
            look,
            began: false,
        }
    }

    /// The steps as they stand.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What to do next; nothing when it is over.
    pub fn act(&self) -> Option<Act<'_>> {
        let step = &self.rows.get(self.at)?.step;
        Some(match self.phase {
            Phase::Running => Act::Run(step),
            _ => Act::Ask(step),
        })
    }

    /// Takes what came of the act.
    pub fn hear(&mut self, heard: Heard) {
        let phase = std::mem::replace(&mut self.phase, Phase::Asking);
        self.began |= phase == Phase::Running;
        let needed = match &heard {
            Heard::Value(cell) => cell.needed(),
            Heard::Failed(why) | Heard::Lost(why) => Err(format!("the check failed: {why}")),
            Heard::Ran => Err("the check said nothing".to_owned()),
        };
        match (phase, heard) {
            (Phase::Running, Heard::Ran) => self.phase = Phase::AskingAgain,
            (Phase::Running, Heard::Lost(why)) => self.phase = Phase::AskingAfterLoss(why),
            (Phase::Running, Heard::Failed(why)) => self.stop(Standing::Failed, why),
            (Phase::Running, Heard::Value(_)) => {
                self.stop(Standing::InDoubt, "it said nothing of its end".to_owned());
            }
            (Phase::Asking, _) => self.asked(needed),
            (Phase::AskingAgain, _) => match needed {
                Ok(false) => self.next(Standing::Done, None),
                Ok(true) => {
                    let why = "it was done, and its check still says that it is needed";
                    self.stop(Standing::Failed, why.to_owned());
                }
                Err(why) => self.stop(Standing::Failed, format!("it was done, but {why}")),
            },
            (Phase::AskingAfterLoss(why), _) => match needed {
                Ok(false) => self.next(Standing::Done, None),
                Ok(true) | Err(_) => self.stop(Standing::InDoubt, why),
            },
        }
    }

    fn asked(&mut self, needed: Result<bool, String>) {
        match needed {
            Ok(false) => self.next(Standing::NotNeeded, None),
            Ok(true) if self.look => self.next(Standing::Needed, None),
            Ok(true) => self.phase = Phase::Running,
            Err(why) if self.look => self.next(Standing::Failed, Some(why)),
            Err(why) => self.stop(Standing::Failed, why),
        }
    }

    fn next(&mut self, standing: Standing, why: Option<String>) {
        let row = &mut self.rows[self.at];
        (row.standing, row.why) = (standing, why);
        self.at += 1;
    }

    fn stop(&mut self, standing: Standing, why: String) {
        self.next(standing, Some(why));
        self.at = self.rows.len();
    }

    /// Nobody waits for the rest. What was being done may be done or not.
    pub fn cut_off(&mut self) {
        if self.at >= self.rows.len() {
            return;
        }
        match self.phase {
            Phase::Asking => self.at = self.rows.len(),
            _ => {
                self.began = true;
                let why = "nobody waited for its end".to_owned();
                self.stop(Standing::InDoubt, why);
            }
        }
    }

    /// How far it got.
    pub fn reach(&self) -> Reach {
        let of = |row: &Row| match row.standing {
            Standing::Done | Standing::NotNeeded => Reach::Whole,
            Standing::Needed => Reach::Needed,
            Standing::NotRun | Standing::Failed if self.began => Reach::Some,
            Standing::NotRun | Standing::Failed => Reach::Nothing,
            Standing::InDoubt => Reach::InDoubt,
        };
        self.rows.iter().map(of).max().unwrap_or(Reach::Whole)
    }
}

#[cfg(test)]
mod tests;
