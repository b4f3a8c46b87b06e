//! The terminal: standard output is data, standard error is talk.
//!
//! The only place of the crate that writes to either. A pipe that was closed by its reader ends the
//! output quietly; data that cannot be written for any other reason is an error of the command, once it
//! is over ([`unwritten`]): what is under way is not left half done for that.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value as Json, json};

use crate::args::Color;
use crate::env;
use crate::exit::Exit;
use crate::render::style::Paint;
use crate::render::text::{inert, inert_json, wrap};
use crate::report::Failure;

/// Where output goes, and with what colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    out: Paint,
    err: Paint,
    /// The columns of standard output, when it is a terminal.
    width: Option<usize>,
    /// Whether what is said is for programs: one JSON object a line.
    json: bool,
    /// Whether a runner of jobs reads along, and looks for commands to itself.
    runner: bool,
}

impl Term {
    /// Decides on colours for both streams.
    pub(crate) fn new(color: Color) -> Term {
        Term {
            out: Paint::new(colored(color, io::stdout().is_terminal())),
            err: Paint::new(colored(color, io::stderr().is_terminal())),
            width: width(&io::stdout()),
            json: false,
            runner: env::has_runner(),
        }
    }

    /// The same, talking to programs.
    pub(crate) fn for_programs(mut self) -> Term {
        self.json = true;
        self.err = Paint::new(false);
        self
    }

    /// Whether it talks to programs.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Colours of standard output.
    pub(crate) fn out_paint(self) -> Paint {
        self.out
    }

    /// Colours of standard error.
    pub(crate) fn err_paint(self) -> Paint {
        self.err
    }

    /// Writes data.
    pub(crate) fn data(self, text: &str) {
        let mut out = io::stdout().lock();
        note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes text for people: on a terminal wrapped to its width, elsewhere as it is.
    pub(crate) fn prose(self, text: &str) {
        let text = self.inert(text);
        match self.width {
            Some(width) => self.data(&wrap(&text, width)),
            None => self.data(&text),
        }
    }

    /// What is for people to read, and for no runner to obey.
    fn inert(self, text: &str) -> Cow<'_, str> {
        match self.runner {
            true => inert(text),
            false => Cow::Borrowed(text),
        }
    }

    /// JSON on a line, or on several.
    fn json_text(self, json: &str) -> Cow<'_, str> {
        match self.runner {
            true => Cow::Owned(inert_json(json)),
            false => Cow::Borrowed(json),
        }
    }

    /// The columns for reports on standard error, when it is a terminal.
    pub(crate) fn report_width(self) -> Option<usize> {
        width(&io::stderr()).map(|w| w.clamp(40, REPORT))
    }

    /// Writes one JSON value on a line of its own.
    pub(crate) fn line(self, json: &Json) {
        self.data(&self.json_text(&format!("{json}\n")));
    }

    /// Writes one JSON value for people who read JSON.
    pub(crate) fn pretty(self, json: &Json) {
        self.data(&self.json_text(&format!("{json:#}\n")));
    }

    /// Says something.
    pub(crate) fn say(self, text: &str) {
        let text = text.trim_end_matches('\n');
        let message = self.json.then(|| json!({ "message": text }).to_string());
        let line = match &message {
            Some(json) => self.json_text(json),
            None => self.inert(text),
        };
        let mut err = io::stderr().lock();
        let _ = writeln!(err, "{line}");
    }

    /// Says something longer: on a terminal wrapped to its width.
    pub(crate) fn explain(self, text: &str) {
        self.say(&self.wrapped(text));
    }

    /// A text as it is said on standard error.
    pub(crate) fn wrapped(self, text: &str) -> String {
        match width(&io::stderr()) {
            Some(width) => wrap(text, width),
            None => text.to_owned(),
        }
    }

    /// Says why a command failed.
    pub(crate) fn fail(self, failure: &Failure) {
        if self.json {
            let mut err = io::stderr().lock();
            let line = failure.json().to_string();
            let _ = writeln!(err, "{}", self.json_text(&line));
            return;
        }
        let text = failure.text(self.err.is_on(), self.report_width());
        if !text.is_empty() {
            self.say(&text);
        }
    }

    /// Whether there is somebody to ask.
    fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Ends the command where approval must come with it: there is nobody to ask.
    ///
    /// # Errors
    /// This is no terminal; `way` says what to give instead.
    pub(crate) fn must_ask(self, way: &str) -> Result<(), Failure> {
        if self.can_ask() {
            return Ok(());
        }
        let message = "there is nobody to ask: this is no terminal";
        Err(Failure::new(Exit::REFUSED, message).help(way))
    }

    /// Whether something is approved: with the command, or by who is asked and answers `yes`.
    ///
    /// # Errors
    /// There is nobody to ask.
    pub(crate) fn approved(
        self,
        with_command: bool,
        question: &str,
        way: &str,
    ) -> Result<bool, Failure> {
        if with_command {
            return Ok(true);
        }
        self.must_ask(way)?;
        Ok(self.ask(&format!("{question} Only `yes` goes on:"), "yes"))
    }

    /// Asks for exactly `answer`; anything else, and the end of input, is no.
    pub(crate) fn ask(self, question: &str, answer: &str) -> bool {
        {
            // Let go before the wait: others may have something to say meanwhile.
            let mut err = io::stderr().lock();
            let _ = write!(err, "{question} ");
            let _ = err.flush();
        }
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == answer
    }
}

/// Why data was lost on its way to the standard output, which the whole process shares.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Remembers the first error of writing data. A reader that went away has what it wanted.
pub(crate) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let mut first = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    }
}

/// Why data could not be written, if so; once.
pub(crate) fn unwritten() -> Option<io::Error> {
    let mut first = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    first.take()
}

/// Reports on a terminal are never wider than this.
const REPORT: usize = 100;

/// The columns of a terminal: what `COLUMNS` says, or what it says itself. No terminal, no width.
fn width(stream: &(impl IsTerminal + std::os::fd::AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let told = env::var(env::COLUMNS).and_then(|c| c.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(stream).ok();
    let width = told.or_else(|| asked().map(|size| usize::from(size.ws_col)));
    width.filter(|w| *w >= 20)
}

fn colored(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if env::var(env::NO_COLOR).is_some() => false,
        Color::Auto => match env::var(env::CLICOLOR_FORCE) {
            Some(force) => force != "0",
            None => terminal && std::env::var("TERM").as_deref() != Ok("dumb"),
        },
    }
}
