//! Those who watch a run: lines or bars on standard error, or events on standard output.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use zonewright_engine::apply::{Event, Observer};
use zonewright_engine::plan::Plan;

use crate::Context;
use crate::args::Format;
use crate::render::text::{elide, escape};
use crate::render::{events, progress};
use crate::term::Term;

/// At most this many steps are shown at work at the same time.
const BARS: usize = 12;
/// A step that goes on is mentioned on a plain output at most this often.
const EVERY: Duration = Duration::from_secs(30);

/// The observer that fits the output.
pub(crate) fn observer<'a>(
    ctx: &Context,
    plan: &'a Plan,
    format: Format,
) -> Box<dyn Observer + 'a> {
    match format {
        Format::Json => Box::new(Stream {
            term: ctx.term,
            plan,
        }),
        Format::Text if std::io::stderr().is_terminal() => Box::new(Bars {
            term: ctx.term,
            plan,
            all: MultiProgress::new(),
            bars: Mutex::default(),
        }),
        Format::Text => Box::new(Lines {
            term: ctx.term,
            plan,
            said: Mutex::default(),
        }),
    }
}

struct Stream<'a> {
    term: Term,
    plan: &'a Plan,
}

impl Observer for Stream<'_> {
    fn event(&self, event: &Event) {
        if let Some(line) = events::event(self.plan, event) {
            self.term.line(&line);
        }
    }
}

struct Lines<'a> {
    term: Term,
    plan: &'a Plan,
    /// When each step was mentioned last.
    said: Mutex<BTreeMap<usize, Duration>>,
}

impl Observer for Lines<'_> {
    fn event(&self, event: &Event) {
        if let Event::Progress { step, elapsed, .. } = event {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let last = said.entry(*step).or_default();
            if elapsed.saturating_sub(*last) < EVERY {
                return;
            }
            *last = *elapsed;
        }
        if let Some(line) = progress::line(self.plan, event, self.term.err_paint()) {
            self.term.say(&line);
        }
    }
}

struct Bars<'a> {
    term: Term,
    plan: &'a Plan,
    all: MultiProgress,
    bars: Mutex<BTreeMap<usize, ProgressBar>>,
}

impl Observer for Bars<'_> {
    fn event(&self, event: &Event) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step } => {
                if bars.len() < BARS
                    && let Some(bar) = self.bar(*step)
                {
                    bars.insert(*step, bar);
                }
                return;
            }
            Event::Progress { step, detail, .. } => {
                if let (Some(bar), Some(what)) = (bars.get(step), self.doing(*step)) {
                    let line = format!("{what}: {detail}");
                    bar.set_message(self.fitting(&line));
                }
                return;
            }
            Event::Finished { step, .. }
            | Event::Failed { step, .. }
            | Event::Interrupted { step, .. } => {
                if let Some(bar) = bars.remove(step) {
                    bar.finish_and_clear();
                }
            }
            Event::Blocked { .. } | Event::Stopping => {}
        }
        if let Some(line) = progress::line(self.plan, event, self.term.err_paint()) {
            // Bars that cannot be drawn are no reason to end a run.
            let _ = self.all.println(self.term.wrapped(&line));
        }
    }
}

impl Bars<'_> {
    fn doing(&self, step: usize) -> Option<String> {
        Some(progress::doing(&self.plan.steps.get(step)?.node))
    }

    /// With room at the end: what a terminal echoes there (`^C`) must not begin a new line.
    fn fitting(&self, line: &str) -> String {
        let room = self.term.report_width().unwrap_or(100).saturating_sub(16);
        elide(&escape(line), room).into_owned()
    }

    fn bar(&self, step: usize) -> Option<ProgressBar> {
        let what = self.doing(step)?;
        let bar = self.all.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}").ok()?;
        bar.set_style(style);
        bar.set_message(self.fitting(&what));
        bar.enable_steady_tick(Duration::from_millis(120));
        Some(bar)
    }
}
