//! The digest of JSON text whose keys are in order, without reading it into values.

use sha2::{Digest as _, Sha256};

use super::Digest;

/// The digest of a text without its white space and without one of its outermost entries, which holds it.
pub(super) fn digest(text: &[u8], own: &str) -> Digest {
    let own = format!("\"{own}\"").into_bytes();
    let mut out = Compact::default();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            b'"' if depth == 1 && out.comma && text[at..].starts_with(&own) => {
                out.comma = false;
                let value = at + own.len();
                let quote = text[value..].iter().position(|b| *b == b'"');
                at = quote.map_or(text.len(), |q| end_of_string(text, value + q));
            }
            b'"' => {
                let end = end_of_string(text, at);
                out.put(&text[at..end]);
                at = end;
            }
            b',' => {
                out.put(&[]);
                out.comma = true;
                at += 1;
            }
            _ => {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                out.put(&[byte]);
                at += 1;
            }
        }
    }
    out.finish()
}

/// Where the string that begins here is over.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => return at,
            b'\\' => at += 1,
            _ => {}
        }
    }
    text.len()
}

/// Hashes in larger parts. A comma is held back until it is known what follows.
#[derive(Default)]
struct Compact {
    hasher: Sha256,
    part: Vec<u8>,
    comma: bool,
}

impl Compact {
    fn put(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.comma) {
            self.part.push(b',');
        }
        self.part.extend_from_slice(bytes);
        if self.part.len() >= 1 << 16 {
            self.hasher.update(&self.part);
            self.part.clear();
        }
    }

    fn finish(mut self) -> Digest {
        self.put(&[]);
        self.hasher.update(&self.part);
        Digest(self.hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::digest;
    use crate::canon::{self, Digest};

    #[test]
    fn white_space_and_the_own_entry_do_not_count_and_everything_else_does() {
        let wanted = Digest::of(br#"{"a":[1,{"sha256":"x y\" z"}],"z":"sha256"}"#);
        for text in [
            r#"{"a":[1,{"sha256":"x y\" z"}],"z":"sha256"}"#,
            r#"{"a":[1,{"sha256":"x y\" z"}],"sha256":"s","z":"sha256"}"#,
            "{\n  \"a\": [1, {\"sha256\": \"x y\\\" z\"}],\n  \"sha256\": \"s\",\n  \"z\": \"sha256\"\n}\n",
        ] {
            assert_eq!(digest(text.as_bytes(), "sha256"), wanted, "{text}");
        }
        for text in [
            r#"{"a":[1,{"sha256":"xy\" z"}],"z":"sha256"}"#,
            r#"{"a":[1,{}],"z":"sha256"}"#,
            r#"{"a":[1,{"sha256":"x y\" z"}]"#,
            r#"{"sha256":"#,
            "\"",
        ] {
            assert_ne!(digest(text.as_bytes(), "sha256"), wanted, "{text}");
        }
    }

    #[test]
    fn of_what_is_written_it_is_the_digest_of_the_canonical_form() {
        let json = serde_json::json!({ "z": [1.5, null, { "b": "\u{1}é\"", "a": {} }], "a": "x" });
        let pretty = canon::pretty(&json);
        assert_eq!(digest(pretty.as_bytes(), "none"), canon::digest(&json));
    }
}
