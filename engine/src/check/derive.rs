//! The list of checks, from the spec and what is recorded. Every line is always made: one that cannot be
//! asked says why, so that a spec that is not understood is not greener than one that is.

use std::time::Duration;

use super::probe::Probe;
use super::{Check, Severity};
use crate::address::ZoneName;
use crate::declared::{Declared, ObjectRef};
use crate::observe::Inputs;

mod databases;
mod media;
mod names;
mod platform;
mod rehearsals;
mod surroundings;
mod wiring;

const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// The validation list of a zone, with the same lines for every zone.
pub fn checks(inputs: &Inputs, zone: &ZoneName) -> Vec<Check> {
    let list = List {
        zone: Declared::of(inputs, zone),
        serving: Declared::of(inputs, &inputs.config.active),
    };
    let mut out = list.platform();
    out.extend(list.databases());
    out.extend(list.wiring());
    out.extend(list.exposure());
    out.push(list.networks());
    out.extend(list.names());
    out.push(list.secrets());
    out.extend(list.rehearsals());
    out
}

/// What the lines are derived from.
struct List<'a> {
    zone: Declared<'a>,
    /// The zone that serves: what it has, the other one needs as well.
    serving: Declared<'a>,
}

impl<'a> List<'a> {
    /// Why something is not asked that the zone lacks: a defect if the zone that serves has it, else there is
    /// no such thing in the project.
    fn absent(&self, what: &str, serving_has_it: bool) -> Probe {
        let (zone, active) = (self.zone.zone, self.serving.zone);
        if serving_has_it {
            Probe::Missing(format!(
                "the spec has no {what} in {zone}, and one in {active}"
            ))
        } else if zone == active {
            Probe::NotApplicable(format!("the spec has no {what}"))
        } else {
            Probe::NotApplicable(format!(
                "the spec has no {what}, neither in {zone} nor in {active}"
            ))
        }
    }

    /// The objects that are found, or why there are none.
    fn objects(&self, what: &str, find: impl Fn(&Declared<'a>) -> Vec<ObjectRef>) -> Probe {
        let found = find(&self.zone);
        match found.is_empty() {
            true => self.absent(what, !find(&self.serving).is_empty()),
            false => Probe::Objects(found),
        }
    }
}

fn check(
    id: impl Into<String>,
    title: impl Into<String>,
    rows: &'static [&'static str],
    probe: Probe,
) -> Check {
    Check {
        id: id.into(),
        title: title.into(),
        rows,
        severity: Severity::Blocking,
        writes: false,
        max_age: DAY,
        probe,
    }
}

/// A check that makes something, if there is anything to make.
fn writing(check: Check, max_age: Duration) -> Check {
    let writes = matches!(
        check.probe,
        Probe::Certificate { .. } | Probe::Media(_) | Probe::Smoke(super::SmokeProbe::Job(_))
    );
    Check {
        writes,
        max_age,
        ..check
    }
}

/// The id of a line of which there may be several: with a name where there are.
fn several(id: &str, name: &str, several: bool) -> String {
    match several {
        true => format!("{id}:{name}"),
        false => id.to_owned(),
    }
}
