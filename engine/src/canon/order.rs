//! Puts the keys of every object in order while it is written, so that nothing but the text is held.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::mem::take;
use std::rc::Rc;

use serde::Serialize;
use serde_json::ser::Formatter;

/// The canonical text of a value, on one line or indented by two spaces.
pub(super) fn text<T: Serialize>(value: &T, indented: bool) -> Vec<u8> {
    let shared = Rc::new(RefCell::new(Text::default()));
    let ordered = Ordered {
        indented,
        text: Rc::clone(&shared),
    };
    let mut serializer = serde_json::Serializer::with_formatter(Sink(Rc::clone(&shared)), ordered);
    value
        .serialize(&mut serializer)
        .expect("invariant: own types serialise to JSON, and memory takes what is written");
    take(&mut shared.borrow_mut().out)
}

/// What is written, and what is open in it.
#[derive(Default)]
struct Text {
    out: Vec<u8>,
    /// Of every list and object that is open, where each of its items begins.
    open: Vec<Vec<usize>>,
}

/// Takes what the serialiser writes itself: scalars, keys and colons.
struct Sink(Rc<RefCell<Text>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes note of where items begin, and sorts those of an object when it ends.
struct Ordered {
    indented: bool,
    text: Rc<RefCell<Text>>,
}

impl Ordered {
    /// What stands before an item that is not the first, at this depth.
    fn break_at(&self, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if self.indented {
            out.push(b'\n');
            out.resize(1 + 2 * depth, b' ');
        }
        out
    }

    fn begin(&mut self, bracket: u8) {
        let mut text = self.text.borrow_mut();
        text.out.push(bracket);
        text.open.push(Vec::new());
    }

    fn item(&mut self, first: bool) {
        let mut text = self.text.borrow_mut();
        if !first {
            text.out.push(b',');
        }
        let line = self.break_at(text.open.len());
        text.out.extend_from_slice(&line);
        let start = text.out.len();
        text.open.last_mut().expect(BEGUN).push(start);
    }

    fn end(&mut self, bracket: u8, sorted: bool) {
        let mut text = self.text.borrow_mut();
        let depth = text.open.len();
        let starts = text.open.pop().expect(BEGUN);
        if sorted {
            let mut between = vec![b','];
            between.extend(self.break_at(depth));
            sort(&mut text.out, &starts, &between);
        }
        if !starts.is_empty() {
            let line = self.break_at(depth - 1);
            text.out.extend_from_slice(&line);
        }
        text.out.push(bracket);
    }
}

const BEGUN: &str = "invariant: what has items or ends was begun";

/// Brings the entries of an object, which begin at `starts`, into the order of their keys.
fn sort(out: &mut Vec<u8>, starts: &[usize], between: &[u8]) {
    let end = |i: usize| match starts.get(i + 1) {
        Some(next) => next - between.len(),
        None => out.len(),
    };
    let mut entries: Vec<_> = (0..starts.len())
        .map(|i| {
            let entry = &out[starts[i]..end(i)];
            (key(entry), entry)
        })
        .collect();
    if entries.is_sorted_by(|a, b| a.0 <= b.0) {
        return;
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let entries: Vec<&[u8]> = entries.into_iter().map(|(_, entry)| entry).collect();
    let ordered = entries.join(between);
    out.truncate(starts[0]);
    out.extend(ordered);
}

/// The key that an entry begins with, as it is without JSON's escapes.
fn key(entry: &[u8]) -> Cow<'_, [u8]> {
    let plain = entry[1..].iter().position(|b| matches!(b, b'"' | b'\\'));
    let plain = plain.expect("invariant: an entry begins with a key in quotes");
    if entry[1 + plain] == b'"' {
        return Cow::Borrowed(&entry[1..=plain]);
    }
    let mut first = serde_json::Deserializer::from_slice(entry).into_iter::<String>();
    let key = first.next().and_then(Result::ok);
    Cow::Owned(
        key.expect("invariant: an entry begins with a key in quotes")
            .into_bytes(),
    )
}

impl Formatter for Ordered {
    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.begin(b'[');
        Ok(())
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.end(b']', false);
        Ok(())
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(first);
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.begin(b'{');
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.end(b'}', true);
        Ok(())
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(first);
        Ok(())
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(match self.indented {
            true => b": ",
            false => b":",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json, json};

    /// The same by the book: sorted as a whole, then printed.
    fn sorted(json: &Json) -> Json {
        match json {
            Json::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
                let entries = entries.into_iter().map(|(k, v)| (k.clone(), sorted(v)));
                Json::Object(Map::from_iter(entries))
            }
            Json::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let entry = ("[a\"\\\\\u{1}\u{e9}\u{10000}z]{0,3}", inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..8).prop_map(Json::from),
                prop::collection::vec(entry, 0..8)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_sorting_first_and_printing_then_gives(json in any_json()) {
            let sorted = sorted(&json);
            prop_assert_eq!(
                String::from_utf8(text(&json, false)).expect("UTF-8"),
                serde_json::to_string(&sorted).expect("JSON")
            );
            prop_assert_eq!(
                String::from_utf8(text(&json, true)).expect("UTF-8"),
                serde_json::to_string_pretty(&sorted).expect("JSON")
            );
        }
    }

    #[test]
    fn fields_of_types_are_sorted_too() {
        #[derive(Serialize)]
        enum Kind {
            Known { b: u8, a: Option<u8> },
        }
        let value = Kind::Known { b: 1, a: None };
        assert_eq!(text(&value, false), br#"{"Known":{"a":null,"b":1}}"#);
        assert_eq!(text(&json!({}), true), b"{}");
    }
}
