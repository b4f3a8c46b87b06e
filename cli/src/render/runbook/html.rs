//! The runbook as one HTML file that needs nothing else.

use std::fmt::Write as _;

use zonewright_engine::objectives::words as time;
use zonewright_engine::runbook::{Part, Runbook, Task};

use super::{DUTIES, TIMES, approves, by, facts, lists, takes};
use crate::render::text::escape;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}\
table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}\
pre{background:#f3f3f3;padding:.6rem;overflow-x:auto}code{background:#f3f3f3}pre code{background:none}\
.note{border-left:4px solid #b36b00;padding:.2rem .8rem}.last{border-left:4px solid #b00020;padding:.2rem .8rem;font-weight:bold}\
.who{color:#555}@media print{article{break-inside:avoid}}";

/// For a browser; `program` is how zonewright is called.
pub fn html(book: &Runbook, program: &str) -> String {
    let title = format!("{}: switch to {}", plain(&book.project), book.to);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p>Made from the spec by <code>{} runbook --to {} --format html</code>.</p>",
        plain(program),
        book.to
    );
    out.push_str("<table>\n");
    for (name, value) in facts(book) {
        let _ = writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", plain(&value));
    }
    out.push_str("</table>\n");
    for warning in &book.warnings {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", plain(warning));
    }
    let _ = writeln!(out, "<p>{}</p>\n<p>{}</p>", plain(DUTIES), plain(TIMES));
    overview(&mut out, book);
    let mut stage = None;
    for (n, task) in book.tasks.iter().enumerate() {
        if stage != Some(task.stage) {
            let _ = writeln!(out, "<h2>{}</h2>", plain(task.stage.title()));
            stage = Some(task.stage);
        }
        one(&mut out, n + 1, task);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn overview(out: &mut String, book: &Runbook) {
    out.push_str("<table>\n<tr><th>#</th><th>task</th><th>does</th><th>approves</th><th>takes</th><th>total</th></tr>\n");
    for (n, task) in book.tasks.iter().enumerate() {
        let mark = match task.no_return {
            Some(_) => " <strong>(no way back)</strong>",
            None => "",
        };
        let _ = writeln!(
            out,
            "<tr><td><a href=\"#t{0}\">{0}</a></td><td>{1}{mark}</td><td>{2}</td><td>{3}</td><td>{4}</td><td>{5}</td></tr>",
            n + 1,
            text(&task.title),
            task.does.name(),
            approves(task),
            takes(task),
            time(task.until)
        );
    }
    out.push_str("</table>\n");
}

fn one(out: &mut String, n: usize, task: &Task) {
    let _ = writeln!(
        out,
        "<article id=\"t{n}\">\n<h3>{n}. {}</h3>",
        text(&task.title)
    );
    let _ = writeln!(
        out,
        "<p class=\"who\">does: {}, approves: {}, by: {}, takes: {}, total: {}</p>",
        task.does.name(),
        approves(task),
        by(task),
        takes(task),
        time(task.until)
    );
    if let Some(why) = task.no_return {
        let _ = writeln!(
            out,
            "<p class=\"last\">Point of no return: {}.</p>",
            plain(why)
        );
    }
    list(out, &task.instructions);
    for edit in &task.edits {
        let lines: Vec<String> = edit.toml.trim_end().split('\n').map(plain).collect();
        let file = plain(&edit.file);
        let _ = writeln!(
            out,
            "<p><code>{file}</code>:</p>\n<pre><code>{}</code></pre>",
            lines.join("\n")
        );
    }
    if !task.commands.is_empty() {
        let lines = task.commands.iter().flat_map(|c| c.split('\n'));
        let lines: Vec<String> = lines.map(plain).collect();
        let _ = writeln!(out, "<pre><code>{}</code></pre>", lines.join("\n"));
    }
    for (name, items) in lists(task) {
        let _ = writeln!(out, "<h4>{name}</h4>");
        list(out, &items);
    }
    out.push_str("</article>\n");
}

fn list(out: &mut String, items: &[Vec<Part>]) {
    if items.is_empty() {
        return;
    }
    out.push_str("<ul>\n");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", text(item));
    }
    out.push_str("</ul>\n");
}

fn text(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Words(words) => plain(words),
            Part::Code(code) => format!("<code>{}</code>", plain(code)),
        })
        .collect()
}

/// Text in which nothing is markup, within attributes too.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_markup() {
        let hostile = "<script>alert(\"1\")</script> & 'x'";
        assert_eq!(
            plain(hostile),
            "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;"
        );
    }
}
