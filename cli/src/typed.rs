//! Commands in texts, as they are typed for the project and world at hand: whoever rehearses against the
//! sandbox and copies one must not reach the real vendors with it.

use std::sync::OnceLock;

use clap::CommandFactory;

use crate::args::Cli;

/// The program's name, as texts name it.
const NAME: &str = "zonewright";
/// Commands that work on no project and in no world.
const ALONE: [&str; 4] = ["completions", "explain", "init", "schema"];

/// Which commands work on a project.
fn commands() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let cli = Cli::command();
        let names = cli.get_subcommands().map(|c| c.get_name().to_owned());
        names.filter(|n| !ALONE.contains(&n.as_str())).collect()
    })
}

/// A text with every command of ours in it, at its beginning or within, called as `program`.
pub(crate) fn typed(program: &str, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (before, from) = rest.split_at(at);
        let after = &from[NAME.len()..];
        out.push_str(before);
        // A part of another word, or a file's name, is no program.
        let apart = !out.ends_with(|c: char| c.is_alphanumeric() || "-_./:=".contains(c));
        out.push_str(if apart && begins(after) {
            program
        } else {
            NAME
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether what comes behind the program's name is one of its commands.
fn begins(after: &str) -> bool {
    let Some(words) = after.strip_prefix(' ') else {
        return false;
    };
    let word = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let word = word.into_iter().next().unwrap_or_default();
    commands().iter().any(|name| name == word)
}

/// The same between backticks only, where texts that people read quote commands.
pub(crate) fn quoted(program: &str, text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| match n % 2 {
        1 => typed(program, part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_ours_get_the_options_and_nothing_else_does() {
        let program = "zonewright -C x --sandbox";
        for (given, expected) in [
            (
                "zonewright plan --zone bz",
                "zonewright -C x --sandbox plan --zone bz",
            ),
            (
                "curl -d \"$(zonewright output a)\"\nzonewright import b",
                "curl -d \"$(zonewright -C x --sandbox output a)\"\nzonewright -C x --sandbox import b",
            ),
            ("zonewright explain ZW1001", "zonewright explain ZW1001"),
            ("zonewright init DIR", "zonewright init DIR"),
            (
                "zonewright = { protect = true }",
                "zonewright = { protect = true }",
            ),
            ("zonewright plans", "zonewright plans"),
            ("my-zonewright plan", "my-zonewright plan"),
            ("zonewright", "zonewright"),
        ] {
            assert_eq!(typed(program, given), expected);
        }
        assert_eq!(
            quoted(
                program,
                "zonewright plan: see `zonewright plan`, then `zonewright` again"
            ),
            "zonewright plan: see `zonewright -C x --sandbox plan`, then `zonewright` again"
        );
    }
}
