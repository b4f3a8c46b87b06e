//! The runbook in Markdown.

use std::fmt::Write as _;

use zonewright_engine::objectives::words as time;
use zonewright_engine::runbook::{Part, Runbook, Task};

use super::{DUTIES, TIMES, approves, by, facts, lists, takes};
use crate::render::text::escape;

/// For version control; `program` is how zonewright is called.
pub fn markdown(book: &Runbook, program: &str) -> String {
    let mut out = format!("# {}: switch to {}\n\n", plain(&book.project), book.to);
    let made = format!(
        "Made from the spec by `{program} runbook --to {}`. Do not edit it: make it again when the spec has changed.",
        book.to
    );
    let _ = writeln!(out, "{made}\n");
    out.push_str("| | |\n|---|---|\n");
    for (name, value) in facts(book) {
        let _ = writeln!(out, "| {name} | {} |", plain(&value));
    }
    out.push('\n');
    for warning in &book.warnings {
        let _ = writeln!(out, "> **Note**: {}\n", plain(warning));
    }
    let _ = writeln!(out, "{DUTIES}\n\n{TIMES}\n");
    overview(&mut out, book);
    let mut stage = None;
    for (n, task) in book.tasks.iter().enumerate() {
        if stage != Some(task.stage) {
            let _ = writeln!(out, "\n## {}", task.stage.title());
            stage = Some(task.stage);
        }
        one(&mut out, n + 1, task);
    }
    out
}

fn overview(out: &mut String, book: &Runbook) {
    out.push_str("| # | task | does | approves | takes | total |\n|---|---|---|---|---|---|\n");
    for (n, task) in book.tasks.iter().enumerate() {
        let mark = match task.no_return {
            Some(_) => " **(no way back)**",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {}{mark} | {} | {} | {} | {} |",
            n + 1,
            text(&task.title),
            task.does.name(),
            approves(task),
            takes(task),
            time(task.until)
        );
    }
}

fn one(out: &mut String, n: usize, task: &Task) {
    let _ = writeln!(out, "\n### {n}. {}\n", text(&task.title));
    let _ = writeln!(
        out,
        "{} does it, {}; by {}. Takes {}, total {}.",
        task.does.name(),
        match task.approves {
            Some(duty) => format!("{} approves it first", duty.name()),
            None => "nobody has to approve it".to_owned(),
        },
        by(task),
        match task.seconds {
            Some(seconds) => time(seconds),
            None => "what people need".to_owned(),
        },
        time(task.until)
    );
    if let Some(why) = task.no_return {
        let _ = writeln!(out, "\n**Point of no return**: {}.", plain(why));
    }
    if !task.instructions.is_empty() {
        out.push('\n');
        for instruction in &task.instructions {
            let _ = writeln!(out, "- {}", text(instruction));
        }
    }
    for edit in &task.edits {
        let _ = writeln!(out, "\n{}:\n", code(&edit.file));
        out.push_str(&block("toml", std::slice::from_ref(&edit.toml)));
    }
    if !task.commands.is_empty() {
        out.push('\n');
        out.push_str(&block("sh", &task.commands));
    }
    for (name, list) in lists(task) {
        let _ = writeln!(out, "\n{name}:\n");
        for item in &list {
            let _ = writeln!(out, "- {}", text(item));
        }
    }
}

/// A fence that is longer than any run of backticks inside.
fn block(language: &str, commands: &[String]) -> String {
    let lines: Vec<String> = commands
        .iter()
        .flat_map(|c| c.trim_end().split('\n'))
        .map(|line| escape(line).into_owned())
        .collect();
    let longest = lines.iter().map(|l| backticks(l)).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

fn text(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Words(words) => plain(words),
            Part::Code(text) => code(text),
        })
        .collect()
}

/// Words in which nothing is markup.
pub fn plain(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in escape(words).chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span that holds whatever it is given, in a table too.
pub fn code(text: &str) -> String {
    let text = escape(text).replace('|', "\\|");
    let fence = "`".repeat(backticks(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The longest run of backticks.
fn backticks(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_markup() {
        assert_eq!(plain("a_b *c* <d> | e"), r"a\_b \*c\* \<d\> \| e");
        assert_eq!(
            plain("x\u{1b}[1m\n# y"),
            r"x\\u\{1b}\[1m\\n\# y".replace(r"\{", "{")
        );
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a|b"), r"`a\|b`");
        let fenced = block("sh", &["echo '```'".to_owned()]);
        assert_eq!(fenced, "````sh\necho '```'\n````\n");
    }
}
