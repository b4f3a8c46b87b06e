//! Line by line differences of long texts, for plans and drift reports.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// In both.
    Same(String),
    /// Only in the old text.
    Removed(String),
    /// Only in the new text.
    Added(String),
    /// This many equal lines are left out.
    Skipped(usize),
}

/// How long a difference may be looked for: a worst case of tens of thousands of lines falls back to
/// a coarser answer instead of holding up a plan.
const DEADLINE: Duration = Duration::from_millis(300);

/// The changed lines with `context` equal ones around them.
pub fn lines(old: &str, new: &str, context: usize) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(old, new);
    let mut out = Vec::new();
    let mut last = 0;
    for group in diff.grouped_ops(context) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        if start > last {
            out.push(Line::Skipped(start - last));
        }
        for op in &group {
            for change in diff.iter_changes(op) {
                let text = change.value().trim_end_matches('\n').to_owned();
                out.push(match change.tag() {
                    ChangeTag::Equal => Line::Same(text),
                    ChangeTag::Delete => Line::Removed(text),
                    ChangeTag::Insert => Line::Added(text),
                });
            }
            last = op.old_range().end;
        }
    }
    let total = old.lines().count();
    if !out.is_empty() && total > last {
        out.push(Line::Skipped(total - last));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_lines_and_their_context_are_shown() {
        let old = "a\nb\nc\nd\ne\nf\n";
        let new = "a\nb\nc\nD\ne\nf\n";
        assert_eq!(
            lines(old, new, 1),
            [
                Line::Skipped(2),
                Line::Same("c".into()),
                Line::Removed("d".into()),
                Line::Added("D".into()),
                Line::Same("e".into()),
                Line::Skipped(1),
            ]
        );
        assert_eq!(lines(old, old, 1), []);
    }
}
