//! Foreign text on terminals, in logs and in Markdown.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use unicode_width::UnicodeWidthStr;
use zonewright::render::runbook::markdown::{code, plain};
use zonewright::render::text::{elide, escape, inert, inert_json, wrap};

/// Nothing moves a cursor, turns the direction of text or speaks to a runner; a width is kept.
///
/// # Panics
/// It does not hold.
pub fn terminal(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let safe = escape(&text);
    assert!(!safe.chars().any(char::is_control), "{safe:?}");
    assert!(!safe.contains(['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}']));
    assert_eq!(escape(&safe), safe, "once is enough");
    let width = bytes.first().map_or(0, |b| usize::from(*b));
    assert!(elide(&safe, width).width() <= width.max(1));
    let lines = wrap(&safe, width);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines), words(&safe), "wrapping loses nothing");
    let quiet = inert(&text);
    for line in quiet.split(['\n', '\r']) {
        assert!(!line.trim_start().starts_with("::"), "{line:?}");
        assert!(
            !line.contains("##[") && !line.contains("##vso["),
            "{line:?}"
        );
    }
    assert_eq!(inert(&quiet), quiet, "once is enough");
    let json = serde_json::Value::from(&*text);
    let line = inert_json(&json.to_string());
    assert!(!line.contains("##"), "{line}");
    let again: serde_json::Value = serde_json::from_str(&line).expect("it is still JSON");
    assert_eq!(again, json);
}

/// Words stay words and code stays code, whatever is in them.
///
/// # Panics
/// It does not hold.
pub fn markdown(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = escape(&text);
    let mut said = String::new();
    for event in Parser::new(&format!("x{}x", plain(&text))) {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::Text(words) => said.push_str(&words),
            other => panic!("{other:?} of {text:?}"),
        }
    }
    assert_eq!(said, format!("x{shown}x"));
    // In a table a pipe is written otherwise; no code span is empty.
    if shown.trim().is_empty() || shown.contains('|') {
        return;
    }
    let mut spans = Vec::new();
    for event in Parser::new(&format!("x {} x", code(&text))) {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::Text(words) => assert_eq!(words.trim(), "x"),
            Event::Code(span) => spans.push(span.into_string()),
            other => panic!("{other:?} of {text:?}"),
        }
    }
    let [span] = &spans[..] else {
        panic!("{spans:?} of {text:?}");
    };
    assert_eq!(span.trim(), shown.trim());
}
