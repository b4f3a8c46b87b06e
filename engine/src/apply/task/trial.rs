//! Just before a write: the server has to say again what the plan shows.

use super::{Phase, Step, Task, Turn, fail};
use crate::apply::{Apply, Command};
use crate::diff::Difference;
use crate::failpoint;
use crate::plan::{Action, tier};
use crate::provider::{ErrorClass, ProviderError, Trial, claimed};

/// Differences that an error names.
const SHOWN: usize = 5;

impl Task {
    /// Has an update tried that was exact in the plan; everything else is announced at once.
    pub(super) fn try_out(&mut self, run: &Apply<'_>) -> Step {
        let (change, action) = self.change(run)?;
        let (Action::Update | Action::Adopt, Some(_), Some(live)) =
            (action, &change.effect, &self.live)
        else {
            return self.announce(run);
        };
        let Some(verb) = self.update_verb(run, change, live) else {
            return self.announce(run);
        };
        let Turn::Do(Command::Send { step, instance, op }) = self.op(run, change, verb) else {
            return self.announce(run);
        };
        self.phase = Phase::Trying;
        Ok(Turn::Do(Command::Try { step, instance, op }))
    }

    /// The same effect goes on, also if the object moved in between; another one was not approved. A
    /// server that cannot say now has shown before what it would do, and the object has not changed since.
    pub(super) fn tried(&mut self, run: &Apply<'_>, said: Option<Trial>) -> Step {
        let (change, _) = self.change(run)?;
        let (after, held) = match said {
            Some(Trial::Accepted(after)) => (after, None),
            Some(Trial::Succeeds(after, held)) => (after, Some(held.attrs)),
            Some(Trial::Refused(error)) => return Err(error),
            Some(Trial::Immutable(paths)) => {
                let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
                let message = format!(
                    "the server says now that {} cannot be changed; nothing was sent: plan again",
                    paths.join(", ")
                );
                return Err(fail(ErrorClass::Conflict, message));
            }
            Some(Trial::Disputed(claims)) => {
                let message = format!("{} by now; nothing was sent: plan again", claimed(&claims));
                return Err(fail(ErrorClass::Conflict, message));
            }
            Some(Trial::Untried(_)) | None => return self.announce(run),
        };
        let registry = &run.inputs.registry;
        let (Some(schema), Some(rules), Some(live)) = (
            registry.kind(&change.address.kind),
            run.inputs.object_rules(&change.address),
            &self.live,
        ) else {
            return self.announce(run);
        };
        let recorded = run.state.record(&change.address).map(|r| &r.inputs);
        let recorded = held.as_ref().or(recorded);
        let now = tier::differences(schema, rules, &self.desired, &live.attrs, recorded, &after);
        let effect = tier::effect(&now, run.inputs.digest_key.as_ref());
        if change.effect == Some(effect) || failpoint::without("looked-at-again") {
            return self.announce(run);
        }
        Err(otherwise(&now))
    }
}

fn otherwise(now: &[Difference]) -> ProviderError {
    let paths: Vec<String> = now.iter().map(|d| d.path.to_string()).collect();
    let shown = paths.len().min(SHOWN);
    let mut what = paths[..shown].join(", ");
    if paths.len() > shown {
        what.push_str(&format!(" and {} more", paths.len() - shown));
    }
    if what.is_empty() {
        "nothing".clone_into(&mut what);
    }
    fail(
        ErrorClass::Conflict,
        format!(
            "the server would do something else now than the plan shows (it would change {what}); nothing was sent: plan again"
        ),
    )
}
