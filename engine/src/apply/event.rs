//! What a run tells those who watch, and what is left when it is over.

use std::time::Duration;

use crate::provider::ProviderError;
use crate::snapshot::State;

/// Something worth showing. Steps are positions in `Plan::steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step began.
    Started {
        /// The step.
        step: usize,
    },
    /// A step goes on.
    Progress {
        /// The step.
        step: usize,
        /// What it waits for, in a few words.
        detail: String,
        /// Since it began.
        elapsed: Duration,
    },
    /// A step is done.
    Finished {
        /// The step.
        step: usize,
        /// Since it began.
        elapsed: Duration,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: usize,
        /// Why.
        error: ProviderError,
        /// Since it began.
        elapsed: Duration,
    },
    /// A step will not start, because another one failed.
    Blocked {
        /// The step.
        step: usize,
        /// The step that failed.
        by: usize,
    },
    /// A step was left as it is because the run is stopping; the next run goes on with it.
    Interrupted {
        /// The step.
        step: usize,
        /// Since it began.
        elapsed: Duration,
    },
    /// The run was asked to stop: nothing new starts.
    Stopping,
}

/// The port to whoever watches.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It failed.
    Failed(ProviderError),
    /// It is not known whether it happened.
    InDoubt(ProviderError),
    /// Something it waits for failed.
    Blocked {
        /// The step that failed.
        by: usize,
    },
    /// It was left as it is, to be resumed.
    Interrupted,
    /// The run stopped before its turn.
    NotStarted,
}

/// What is left of a run.
#[derive(Debug)]
pub struct RunReport {
    /// By step, in the plan's order.
    pub verdicts: Vec<Verdict>,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// The state as it is now.
    pub state: State,
}

impl RunReport {
    /// Whether every step is done.
    pub fn is_complete(&self) -> bool {
        self.verdicts.iter().all(|v| *v == Verdict::Done)
    }

    /// The steps that failed, with why.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &ProviderError)> {
        self.verdicts
            .iter()
            .enumerate()
            .filter_map(|(i, v)| match v {
                Verdict::Failed(error) | Verdict::InDoubt(error) => Some((i, error)),
                _ => None,
            })
    }

    /// Whether anything is in doubt.
    pub fn in_doubt(&self) -> bool {
        self.verdicts
            .iter()
            .any(|v| matches!(v, Verdict::InDoubt(_)))
    }
}
