//! When each step of a run began and ended, in virtual time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zonewright_engine::apply::{Event, Observer};

/// Since the run began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// When the step began.
    pub begun: Duration,
    /// When it was done.
    pub ended: Option<Duration>,
}

/// The spans of a run, by positions of steps in the plan.
#[derive(Debug)]
pub struct Timeline {
    begun: Instant,
    spans: Mutex<BTreeMap<usize, Span>>,
}

impl Timeline {
    pub(super) fn starting_now() -> Timeline {
        Timeline {
            begun: Instant::now(),
            spans: Mutex::default(),
        }
    }

    /// The spans so far.
    pub fn spans(&self) -> BTreeMap<usize, Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Observer for Timeline {
    fn event(&self, event: &Event) {
        let now = self.begun.elapsed();
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step } => spans.entry(*step).or_default().begun = now,
            Event::Finished { step, .. } => spans.entry(*step).or_default().ended = Some(now),
            _ => {}
        }
    }
}
