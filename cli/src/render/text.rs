//! Texts on a terminal: control characters made visible, long ones shortened, times in words.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character can change what a terminal or a reader sees elsewhere: controls, and the
/// marks that turn the direction of text or have no width.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text with everything visible that would not be: one line, safe for a terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_treacherous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_treacherous(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The text with nothing in it that a runner of jobs takes for a command to itself: a line that begins with
/// `::`, and `##[` and `##vso[` anywhere. What is shown is not all ours.
pub fn inert(text: &str) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    // A carriage return may begin a line, too.
    for line in text.split_inclusive(['\n', '\r']) {
        let begin = line.len() - line.trim_start().len();
        let (space, rest) = line.split_at(begin);
        out.push_str(space);
        if rest.starts_with("::") {
            out.push_str("| ");
        }
        out.push_str(&rest.replace("##[", "# #[").replace("##vso[", "# #vso["));
    }
    Cow::Owned(out)
}

/// JSON with the same in mind: the same values, and no `##`.
pub fn inert_json(json: &str) -> String {
    json.replace("##", "#\\u0023")
}

/// The text in at most `width` columns, with the middle left out when it is longer.
pub fn elide(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(1);
    let head = take(text.chars(), room.div_ceil(2));
    let tail: String = take(text.chars().rev(), room / 2).chars().rev().collect();
    Cow::Owned(format!("{head}…{tail}"))
}

fn take(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    chars
        .take_while(|c| {
            let fits = c.width().unwrap_or(0) <= left;
            left = left.saturating_sub(c.width().unwrap_or(0));
            fits
        })
        .collect()
}

/// Before a command on a line of its own, which is not broken: it is there to be copied.
pub const COMMAND: &str = "apply exactly this with: ";

/// The text with lines wrapped at spaces to a width, continued a little further in. A word that is
/// longer than the width is left whole: it is an address or a command, to be copied. Colours take no room.
pub fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let ended = line.ends_with('\n');
        wrap_line(line.trim_end_matches('\n'), width, &mut out);
        if ended {
            out.push('\n');
        }
    }
    out
}

fn wrap_line(line: &str, width: usize, out: &mut String) {
    if visible(line) <= width || line.starts_with(COMMAND) {
        out.push_str(line);
        return;
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let hang = (indent + 4).min(width / 2);
    let mut column = 0;
    for (i, word) in words(line).into_iter().enumerate() {
        let word = word.strip_suffix(' ').unwrap_or(word);
        let room = visible(word);
        let fits = column + 1 + room <= width;
        if i > 0 && (fits || column <= hang) {
            out.push(' ');
            column += 1;
        } else if i > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', hang));
            column = hang;
        }
        out.push_str(word);
        column += room;
    }
}

/// The words of a line, each with the space after it. What stands between backticks is one: a command, to
/// be copied.
pub fn words(line: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (i, c) in line.char_indices() {
        match c {
            '`' => quoted = !quoted && line[i + 1..].contains('`'),
            ' ' if !quoted => {
                out.push(&line[start..=i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    if start < line.len() {
        out.push(&line[start..]);
    }
    out
}

/// The columns that a text takes, without what sets its colours.
fn visible(text: &str) -> usize {
    let mut columns = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            columns += c.width().unwrap_or(0);
        }
    }
    columns
}

/// A duration in words: `850ms`, `12s`, `14m`, `1h 5m`.
pub fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0 => format!("{}ms", time.as_millis()),
        1..=9 => format!("{secs}.{}s", time.subsec_millis() / 100),
        10..=119 => format!("{secs}s"),
        600..=3599 => format!("{}m", (secs + 30) / 60),
        120..=599 if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        120..=599 => format!("{}m {}s", secs / 60, secs % 60),
        _ => match (secs / 3600, secs % 3600 / 60) {
            (h, 0) => format!("{h}h"),
            (h, m) => format!("{h}h {m}m"),
        },
    }
}

/// `1 resource`, `2 resources`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = String> {
        // A fixed walk over texts with wide, narrow, combining and control characters.
        let alphabet: Vec<char> = "aß漢字\u{301}\n\u{1b}[2J\u{202e}…\"\\ \0é🦀"
            .chars()
            .collect();
        (0..400usize).map(move |seed| {
            (0..seed % 37)
                .map(|i| alphabet[(seed * 7 + i * i * 3 + i) % alphabet.len()])
                .collect()
        })
    }

    #[test]
    fn nothing_is_a_command_to_a_runner() {
        assert_eq!(inert("a::b ## c"), "a::b ## c");
        assert_eq!(
            inert("x\n  ::add-mask::y\r::z\n##[error]a##vso[b]"),
            "x\n  | ::add-mask::y\r| ::z\n# #[error]a# #vso[b]"
        );
        let json = serde_json::json!({"#": "\\##[x]", "y": "###"}).to_string();
        let same: serde_json::Value = serde_json::from_str(&inert_json(&json)).unwrap();
        assert_eq!(same.to_string(), json);
        assert!(!inert_json(&json).contains("##"));
    }

    #[test]
    fn escaped_text_has_nothing_that_moves_a_cursor() {
        for text in samples() {
            let safe = escape(&text);
            assert!(!safe.chars().any(is_treacherous), "{text:?} -> {safe:?}");
            assert_eq!(escape(&safe), safe, "escaping twice changes nothing");
        }
    }

    #[test]
    fn elided_text_fits_and_short_text_is_left_alone() {
        for text in samples() {
            let text = escape(&text).into_owned();
            for width in [1, 2, 5, 20, 80] {
                let short = elide(&text, width);
                assert!(short.width() <= width, "{short:?} is wider than {width}");
                if text.width() <= width {
                    assert_eq!(short, text);
                }
            }
        }
    }

    #[test]
    fn wrapped_text_fits_and_loses_nothing() {
        let text = "plain\n  + create   bz/digitalocean.vpc.main\n      \u{1b}[2mnew in the spec\u{1b}[0m (zones/bz.toml:41) and more words\n";
        for width in [20, 40, 60] {
            let wrapped = wrap(text, width);
            let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&wrapped), words(text));
            for line in wrapped.lines() {
                let one = line.split_whitespace().count() <= 2;
                assert!(visible(line) <= width || one, "{width}: {line:?}");
            }
        }
        assert_eq!(wrap(text, 200), text);
    }

    #[test]
    fn what_stands_between_backticks_is_one_word() {
        let line = "run `zonewright plan` or  `x`, not ` alone";
        let expected = [
            "run ",
            "`zonewright plan` ",
            "or ",
            " ",
            "`x`, ",
            "not ",
            "` ",
            "alone",
        ];
        assert_eq!(words(line), expected);
        assert!(wrap(line, 20).contains("`zonewright plan`"));
    }

    #[test]
    fn an_elided_text_keeps_both_ends() {
        assert_eq!(elide("abcdefghijkl", 7), "abc…jkl");
    }

    #[test]
    fn durations_are_as_precise_as_people_need() {
        let words = |s: f64| duration(Duration::from_secs_f64(s));
        assert_eq!(words(0.85), "850ms");
        assert_eq!(words(1.25), "1.2s");
        assert_eq!(words(75.0), "75s");
        assert_eq!(words(150.0), "2m 30s");
        assert_eq!(words(840.0), "14m");
        assert_eq!(words(3900.0), "1h 5m");
        assert_eq!(words(7200.0), "2h");
    }
}
