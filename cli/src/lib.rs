//! The command line of zonewright.
//!
//! Standard output is data, standard error is talk. Every command ends with one of the codes in
//! [`exit`]. What libraries report becomes words for people in [`report`], and nowhere else.

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub mod args;
mod charts;
mod collect;
pub mod commands;
pub mod env;
pub mod exit;
mod given;
mod home;
mod interrupt;
mod listen;
mod log;
mod modes;
mod place;
mod probes;
mod project;
mod proofs;
mod proven;
pub mod render;
pub mod report;
mod sandboxed;
mod sealed;
mod secrets;
mod stage;
mod taking;
mod term;
mod terraform;
mod typed;
mod watch;
mod world;
mod writable;

use args::Cli;
use exit::Exit;
use report::Failure;
use report::code::Code;
use term::Term;

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) global: args::Global,
    pub(crate) term: Term,
}

/// The whole program: arguments from the process, an exit code for it.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_panic));
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                let exit = runtime.block_on(run(std::env::args_os()));
                // A question that nobody answered still waits for a line.
                runtime.shutdown_background();
                exit
            }
            Err(error) => {
                Term::new(args::Color::Auto).say(&format!("cannot start: {error}"));
                Exit::ERROR
            }
        }
    }));
    done.unwrap_or(Exit::BUG).into()
}

/// One command line, the program's name included.
pub async fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    zonewright_providers::install_crypto();
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, wants_json(&args)),
    };
    log::start(&cli.global);
    let term = match cli.command.is_json() {
        true => Term::new(cli.global.color).for_programs(),
        false => Term::new(cli.global.color),
    };
    let ctx = Context {
        global: cli.global,
        term,
    };
    let exit = match commands::run(&ctx, cli.command).await {
        Ok(exit) => exit,
        Err(failure) => {
            let failure = failure.typed_as(&ctx.command(&[]));
            term.fail(&failure);
            return failure.exit;
        }
    };
    written(term, exit)
}

/// What a command ends with once its output is there, or is not: nobody can rely on half a report.
/// A code that says more than that the output is good stays.
fn written(term: Term, exit: Exit) -> Exit {
    let Some(error) = term::unwritten() else {
        return exit;
    };
    let failure = Failure::error("the output could not be written whole")
        .help("what the command does is done; only what it says of it is incomplete")
        .because(error);
    term.fail(&failure);
    match exit {
        Exit::DONE | Exit::CHANGES => failure.exit,
        exit => exit,
    }
}

/// Help and version are data; a mistake is an error like any other, whatever clap's own code is.
fn usage(error: &clap::Error, json: bool) -> Exit {
    let shows = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if json && !shows {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ");
        let failure = Failure::error(message).code(Code::Usage);
        Term::new(args::Color::Never).for_programs().fail(&failure);
        return Exit::ERROR;
    }
    let printed = error.print();
    if !shows {
        return Exit::ERROR;
    }
    term::note(printed);
    written(Term::new(args::Color::Never), Exit::DONE)
}

/// Whether a command line that is not understood asks for JSON all the same.
fn wants_json(args: &[OsString]) -> bool {
    let pair = |p: &[OsString]| p[0] == "--format" && p[1] == "json";
    args.windows(2).any(pair) || args.iter().any(|a| a == "--format=json")
}

/// The page of a code, wherever the code belongs; any case.
pub fn explain(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_uppercase();
    zonewright_zones::explain(&code)
        .or_else(|| zonewright_engine::plan::pages::explain(&code))
        .or_else(|| report::code::explain(&code))
}

/// A panic is a bug of ours. Formatted messages may hold values, so only fixed ones are shown.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string);
    let what = info.payload().downcast_ref::<&'static str>();
    Term::new(args::Color::Auto).say(&format!(
        "zonewright {} has a bug and stopped at {}{}\n\
         The state holds everything that was done. Please report this with the command and the \
         version: {}",
        env!("CARGO_PKG_VERSION"),
        at.unwrap_or_else(|| "an unknown place".to_owned()),
        what.map(|w| format!(": {w}")).unwrap_or_default(),
        env!("CARGO_PKG_REPOSITORY"),
    ));
}

impl Context {
    /// A command line that works on the same project and world, for the user to copy.
    pub(crate) fn command(&self, rest: &[String]) -> String {
        let mut words = vec!["zonewright".to_owned()];
        if let Some(dir) = &self.global.directory {
            words.push("-C".to_owned());
            words.push(quoted(&dir.display().to_string()));
        }
        match self.global.sandbox.as_deref() {
            Some("") => words.push("--sandbox".to_owned()),
            Some(dir) => words.push(format!("--sandbox={}", quoted(dir))),
            None => {}
        }
        words.extend(rest.iter().map(|w| quoted(w)));
        words.join(" ")
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exit(args: &[&str]) -> u8 {
        run(args.iter().map(OsString::from)).await.code()
    }

    #[tokio::test]
    async fn usage_errors_are_errors_and_help_is_not() {
        assert_eq!(exit(&["zonewright", "--bogus"]).await, 1);
        assert_eq!(exit(&["zonewright"]).await, 1);
        assert_eq!(exit(&["zonewright", "plan", "--zone", "1"]).await, 1);
        assert_eq!(exit(&["zonewright", "--help"]).await, 0);
        assert_eq!(exit(&["zonewright", "--version"]).await, 0);
    }

    #[tokio::test]
    async fn without_a_project_nothing_is_planned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert_eq!(exit(&["zonewright", "-C", path, "plan"]).await, 1);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("a-b/c.plan"), "a-b/c.plan");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }
}
