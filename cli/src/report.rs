//! What libraries report, in words for people and with an exit code. The only conversions.

use std::error::Error;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value as Json, json};
use textwrap::core::Word;
use textwrap::{WordSeparator, WordSplitter};
use zonewright_engine::address::ZoneName;
use zonewright_engine::apply::driver::RunError;
use zonewright_engine::journal::JournalError;
use zonewright_engine::observe::ObserveError;
use zonewright_engine::plan::Plan;
use zonewright_engine::plan::build::PlanError;
use zonewright_engine::provider::{ErrorClass, ProviderError};
use zonewright_engine::unread::Blind;
use zonewright_sandbox::control::ClientError;
use zonewright_sandbox::lifecycle::ServeError;
use zonewright_state::{Class, StateError};

use crate::exit::Exit;
use crate::render::text::{escape, words};
use crate::render::unread;
use crate::typed::quoted;
use code::Code;

pub mod code;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", shown(.code))]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    code: Code,
    message: String,
    help: Option<String>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
    related: Vec<Failure>,
    /// What is wrong with the spec, for programs.
    diagnostics: Vec<Json>,
    /// Whether everything there is to say to people was said already.
    silent: bool,
}

/// What says nothing more than the message is not shown.
fn shown(code: &Code) -> String {
    match code {
        Code::General => String::new(),
        code => format!(" [{}]", code.id()),
    }
}

impl Failure {
    /// A failure with an exit code and a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: Code::of_exit(exit),
            message: escape(&message.into()).into_owned(),
            help: None,
            source: None,
            related: Vec::new(),
            diagnostics: Vec::new(),
            silent: false,
        }
    }

    /// A zone that there is not, with those that there are.
    pub(crate) fn no_zone<'a>(
        zone: &ZoneName,
        known: impl IntoIterator<Item = &'a ZoneName>,
    ) -> Failure {
        let known: Vec<&str> = known.into_iter().map(ZoneName::as_str).collect();
        Failure::error(format!("there is no zone {zone}"))
            .help(format!("the zones are {}", known.join(", ")))
    }

    /// An error before anything was changed.
    pub fn error(message: impl Into<String>) -> Failure {
        Failure::new(Exit::ERROR, message)
    }

    /// Mistakes of the spec that people were shown already.
    pub fn spec(diagnostics: Vec<Json>) -> Failure {
        let n = diagnostics.len();
        let s = if n == 1 { "" } else { "s" };
        Failure {
            silent: true,
            diagnostics,
            ..Failure::error(format!("the spec has {n} mistake{s}")).code(Code::SpecInvalid)
        }
    }

    /// The same, as an error of this kind.
    #[must_use]
    pub fn code(mut self, code: Code) -> Failure {
        self.code = code;
        self
    }

    /// The error for programs. The names are an interface: add, never rename.
    pub fn json(&self) -> Json {
        json!({ "error": self.json_inside() })
    }

    fn json_inside(&self) -> Json {
        let mut causes = Vec::new();
        let mut source = self.source.as_deref().map(|e| e as &dyn Error);
        while let Some(cause) = source {
            causes.push(escape(&cause.to_string()).into_owned());
            source = cause.source();
        }
        let related: Vec<Json> = self.related.iter().map(Failure::json_inside).collect();
        json!({
            "code": self.code.id(),
            "message": self.message,
            "help": self.help,
            "exit": self.exit.code(),
            "causes": causes,
            "related": related,
            "diagnostics": self.diagnostics,
        })
    }

    /// The same, with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }

    /// The same, with what is behind it.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Failure {
        self.source = Some(Box::new(source));
        self
    }

    /// Several failures under one heading; the worst code of them counts.
    pub fn many(message: impl Into<String>, related: Vec<Failure>) -> Failure {
        let exit = related.iter().map(|f| f.exit).max();
        let code = related.first().map_or(Code::General, |f| f.code);
        Failure {
            related,
            code,
            ..Failure::new(exit.unwrap_or(Exit::ERROR), message)
        }
    }

    /// A file that cannot be read or written.
    pub fn file(doing: &str, path: &std::path::Path, source: std::io::Error) -> Failure {
        Failure::error(format!("cannot {doing} {}", path.display())).because(source)
    }

    /// The same, with the commands that it names as they are typed for this project and world.
    #[must_use]
    pub fn typed_as(mut self, program: &str) -> Failure {
        self.help = self.help.map(|help| quoted(program, &help));
        self.related = self
            .related
            .into_iter()
            .map(|f| f.typed_as(program))
            .collect();
        self
    }

    /// The whole report as text; empty when everything was said already.
    pub fn text(&self, colors: bool, width: Option<usize>) -> String {
        if self.silent {
            return String::new();
        }
        graphical(self, colors, width)
    }
}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.related.is_empty() {
            return None;
        }
        Some(Box::new(self.related.iter().map(|f| f as &dyn Diagnostic)))
    }
}

/// A diagnostic as text: on a terminal wrapped to its width, elsewhere not at all. What stands between
/// backticks is there to be copied and never broken.
pub fn graphical(diagnostic: &dyn Diagnostic, colors: bool, width: Option<usize>) -> String {
    let theme = if colors {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_wrap_lines(width.is_some())
        .with_width(width.unwrap_or(usize::MAX))
        .with_break_words(false)
        .with_word_separator(WordSeparator::Custom(separated))
        .with_word_splitter(WordSplitter::NoHyphenation);
    if handler.render_report(&mut out, diagnostic).is_err() {
        out = format!("{diagnostic}\n");
    }
    out
}

/// Words as miette wraps them.
fn separated(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    Box::new(words(line).into_iter().map(Word::from))
}

/// The exit code that follows from an error of a provider before anything was sent.
fn provider_exit(class: &ErrorClass) -> Exit {
    match class {
        ErrorClass::Unauthorized | ErrorClass::Denied => Exit::CREDENTIALS,
        ErrorClass::WrongCluster => Exit::REFUSED,
        ErrorClass::Bug => Exit::BUG,
        _ => Exit::ERROR,
    }
}

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No request that changes something was announced in the journal.
    Nothing,
    /// At least one was.
    Something,
}

/// The exit code of a run: what is in doubt weighs most, then an interruption, then a failure. A run
/// that changed nothing is no partly applied one, except when the world moved under it.
pub fn run_exit<'a>(
    interrupted: bool,
    in_doubt: bool,
    failed: impl Iterator<Item = &'a ProviderError>,
    complete: bool,
    reach: Reach,
) -> Exit {
    let classes: Vec<&ErrorClass> = failed.map(|e| &e.class).collect();
    if in_doubt {
        return Exit::IN_DOUBT;
    }
    if complete && classes.is_empty() {
        return Exit::DONE;
    }
    if interrupted && !complete {
        return Exit::INTERRUPTED;
    }
    let moved = classes.iter().any(|c| **c == ErrorClass::Conflict);
    match reach {
        Reach::Nothing if !moved => classes
            .iter()
            .map(|c| provider_exit(c))
            .max()
            .unwrap_or(Exit::ERROR),
        Reach::Nothing | Reach::Something => Exit::PARTIAL,
    }
}

/// The way out of a state that cannot be used.
const RESTORE: &str = "put back the files if they were only moved; otherwise `zonewright state restore` goes on from \
     the newest state that is whole, and with `--empty` from nothing";

/// The way out of a state that there is no key for.
const SEALED: &str = "write `[state.encryption]` as the others have it, with the identity of one of the recipients: \
     `zonewright explain ZW5015`";

/// The way out of what is in the clear among what is sealed.
const UNSEALED: &str = "find out who wrote it: `zonewright explain ZW5016`";

/// The way out of a cluster that is not the zone's own.
const WRONG_CLUSTER: &str = "nothing was sent; look where the credentials lead. When the cluster was replaced on purpose behind \
     a kubeconfig, write its uid into `[providers.kubernetes] identity`: `zonewright explain ZW3124`";

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        let (exit, help) = match error.class() {
            Class::Locked => (Exit::LOCKED, None),
            Class::Damaged if matches!(error, StateError::Unsealed { .. }) => {
                (Exit::STATE, Some(UNSEALED))
            }
            Class::Damaged | Class::Lost | Class::RolledBack => (Exit::STATE, Some(RESTORE)),
            Class::Sealed => (Exit::CREDENTIALS, Some(SEALED)),
            Class::WorldMismatch => (Exit::STALE, None),
            Class::Denied => (
                Exit::CREDENTIALS,
                Some("check the keys that `[state]` names, and what they may do"),
            ),
            Class::Unfit => (Exit::REFUSED, None),
            Class::Newer | Class::Insecure | Class::Io => (Exit::ERROR, None),
        };
        let mut failure = Failure::new(exit, error.to_string()).code(Code::from(&error));
        failure.help = help.map(str::to_owned).or_else(|| held(&error));
        failure.source = source_of(&error);
        failure
    }
}

/// The way out of a state that somebody else holds: to wait, or the command that breaks the lock.
fn held(error: &StateError) -> Option<String> {
    if error.class() != Class::Locked {
        return None;
    }
    let wait = "wait for that run to end, or give --lock-timeout 5m";
    Some(match error {
        StateError::Locked {
            shard,
            epoch: Some(epoch),
            ..
        } => format!(
            "{wait}. Only when it is certain that it is dead: `zonewright state unlock --zone {shard} --epoch {epoch} --reason WHY`"
        ),
        StateError::Locked { .. } => {
            format!("{wait}; the lock belongs to that process and goes when it ends")
        }
        _ => wait.to_owned(),
    })
}

/// What is behind an error, as text: the error itself is spent on the message.
fn source_of(error: &dyn Error) -> Option<Box<dyn Error + Send + Sync>> {
    let source = error.source()?;
    Some(Box::new(Cause {
        message: escape(&source.to_string()).into_owned(),
        source: source_of(source),
    }))
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Cause {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        let exit = if error.is_refusal() {
            Exit::REFUSED
        } else if matches!(error, PlanError::Cycle { .. }) {
            Exit::BUG
        } else {
            Exit::ERROR
        };
        Failure::new(exit, error.to_string())
            .code(Code::from(&error))
            .help(error.help())
    }
}

impl From<Vec<PlanError>> for Failure {
    fn from(errors: Vec<PlanError>) -> Failure {
        let mut failures: Vec<Failure> = errors.into_iter().map(Failure::from).collect();
        if failures.len() == 1 {
            return failures.remove(0);
        }
        let n = failures.len();
        Failure::many(
            format!("there is no plan: {n} things are in the way"),
            failures,
        )
        .code(Code::NoPlan)
    }
}

impl Failure {
    /// A plan that is none: what is in the way, and which zones can be planned without it.
    pub(crate) fn blind(blind: &Blind, plan: &Plan) -> Failure {
        let reasons = unread::lines(&unread::of(plan), false).join("; ");
        let message = match blind {
            Blind::Nothing => format!("nothing could be read, this is no plan: {reasons}"),
            Blind::NothingPlanned => format!(
                "there is nothing to do as far as could be seen, but not everything could be read: {reasons}"
            ),
            Blind::Wanted(addresses) => {
                const SHOWN: usize = 5;
                let names: Vec<String> = addresses
                    .iter()
                    .take(SHOWN)
                    .map(ToString::to_string)
                    .collect();
                let more = match addresses.len().saturating_sub(SHOWN) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                format!(
                    "what shall be made, changed or removed could not be read: {}{more}",
                    names.join(", ")
                )
            }
        };
        let mut help = "plan again when the other side answers".to_owned();
        let elsewhere = unread::elsewhere(plan);
        if !elsewhere.is_empty() {
            help.push_str("; meanwhile `zonewright plan");
            for zone in elsewhere {
                help.push_str(&format!(" --zone {zone}"));
            }
            help.push_str("` plans what could be read");
        }
        Failure::error(message).code(Code::TooLittleRead).help(help)
    }
}

impl From<ObserveError> for Failure {
    fn from(error: ObserveError) -> Failure {
        let exit = provider_exit(&error.source.class);
        let failure = Failure::new(exit, error.to_string()).code(Code::from(&error.source.class));
        let failure = match error.source.class {
            ErrorClass::WrongCluster => failure.help(WRONG_CLUSTER),
            _ => failure,
        };
        failure.because(error.source)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Failure {
        Failure::new(provider_exit(&error.class), error.to_string()).code(Code::from(&error.class))
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        // The caller knows whether anything was sent, and whether the state can still be read.
        let mut failure =
            Failure::new(Exit::PARTIAL, error.to_string()).code(Code::StateUnwritable);
        failure.source = source_of(&error);
        failure.help("nothing more was sent; look at the disk or the store, then apply again: what was announced before is looked up, never repeated blindly")
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Plan(source) => {
                Failure::new(Exit::STALE, "the plan cannot be applied").because(source)
            }
            RunError::Journal { source, .. } => source.into(),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        let mut failure = Failure::error(error.to_string()).code(Code::Sandbox);
        failure.source = source_of(&error);
        failure
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let mut failure = Failure::error(error.to_string()).code(Code::Sandbox);
        failure.source = source_of(&error);
        failure.help(
            "start the emulators with `zonewright sandbox serve`, or run a command with --sandbox",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_credentials_have_their_own_code() {
        let error = ObserveError {
            instance: "edge/provider.digitalocean".parse().unwrap(),
            source: ProviderError::new(ErrorClass::Unauthorized, "401 Unauthorized"),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::CREDENTIALS);
        let text = failure.text(false, None);
        assert!(
            text.contains("edge/provider.digitalocean cannot be used"),
            "{text}"
        );
        assert!(text.contains("401 Unauthorized"), "{text}");
    }

    #[test]
    fn a_command_is_never_broken_and_nothing_is_without_a_terminal() {
        let command = "zonewright plan --zone bz --zone a-zone-with-a-name -o some/where/bz.plan";
        let long = "some words, then a few more of them, and at last";
        let failure = Failure::error(long).help(format!("{long} `{command}` {long}"));
        for width in [20, 50, 100] {
            let text = failure.text(false, Some(width));
            assert!(text.lines().any(|l| l.contains(command)), "{text}");
            let fits = |l: &str| l.chars().count() <= width || l.contains(command);
            assert!(text.lines().all(fits), "{width}: {text}");
        }
        let whole = failure.text(false, None);
        assert!(
            whole.contains(&format!("{long} `{command}` {long}")),
            "{whole}"
        );
    }

    #[test]
    fn refusals_and_mistakes_are_told_apart() {
        let serving = PlanError::Serving {
            zone: "pz".parse().unwrap(),
        };
        assert_eq!(Failure::from(serving).exit, Exit::REFUSED);
        let missing = PlanError::ObservedMissing {
            address: "pz/digitalocean.vpc.main".parse().unwrap(),
            names: "net".to_owned(),
        };
        assert_eq!(Failure::from(vec![missing]).exit, Exit::ERROR);
    }

    #[test]
    fn what_is_in_doubt_weighs_more_than_an_interruption() {
        let failed = [ProviderError::new(ErrorClass::Failed, "no")];
        let none: [ProviderError; 0] = [];
        let some = Reach::Something;
        let exit =
            |interrupted, in_doubt| run_exit(interrupted, in_doubt, failed.iter(), false, some);
        assert_eq!(exit(true, true), Exit::IN_DOUBT);
        assert_eq!(exit(true, false), Exit::INTERRUPTED);
        assert_eq!(exit(false, false), Exit::PARTIAL);
        assert_eq!(run_exit(false, false, none.iter(), true, some), Exit::DONE);
        assert_eq!(run_exit(true, false, none.iter(), true, some), Exit::DONE);
    }

    #[test]
    fn a_run_that_changed_nothing_is_not_partly_applied() {
        let exit = |class| {
            let failed = [ProviderError::new(class, "no")];
            run_exit(false, false, failed.iter(), false, Reach::Nothing)
        };
        assert_eq!(exit(ErrorClass::NotSent), Exit::ERROR);
        assert_eq!(exit(ErrorClass::Denied), Exit::CREDENTIALS);
        assert_eq!(exit(ErrorClass::Conflict), Exit::PARTIAL);
    }
}
