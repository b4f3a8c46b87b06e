//! Paths into a value: `spec.ports[0].name`, `metadata.labels["app.kubernetes.io/name"]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AddressError, text_serde};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// A position in a list.
    Index(usize),
}

/// Where a value sits inside a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(Vec<Segment>);

impl AttrPath {
    /// The path of the whole resource.
    pub fn root() -> AttrPath {
        AttrPath::default()
    }

    /// A path of one key.
    pub fn of(key: &str) -> AttrPath {
        AttrPath::root().key(key)
    }

    /// This path, one map key deeper.
    #[must_use]
    pub fn key(&self, key: &str) -> AttrPath {
        self.with(Segment::Key(key.to_owned()))
    }

    /// This path, one list position deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> AttrPath {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> AttrPath {
        let mut segments = self.0.clone();
        segments.push(segment);
        AttrPath(segments)
    }

    /// The steps from the outside in.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this names the whole resource.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first key: the attribute's name.
    pub fn first_key(&self) -> Option<&str> {
        match self.0.first() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// Whether `self` is `prefix` or lies below it. Positions match only themselves.
    pub fn starts_with(&self, prefix: &AttrPath) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl FromIterator<Segment> for AttrPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(iter: I) -> Self {
        AttrPath(iter.into_iter().collect())
    }
}

/// A key in double quotes, with `\` and `"` escaped.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\"",
            self.0.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if is_plain(key) && i == 0 => f.write_str(key)?,
                Segment::Key(key) if is_plain(key) => write!(f, ".{key}")?,
                Segment::Key(key) => write!(f, "[{}]", Quoted(key))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for AttrPath {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut scan = Scanner::new(text);
        let path = scan.path(true)?;
        scan.end()?;
        Ok(path)
    }
}

text_serde!(AttrPath);

/// Reads the pieces that addresses, references and paths are made of.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    pub(super) fn end(&self) -> Result<(), AddressError> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) => Err(AddressError::new(self.at, format!("unexpected `{c}`"))),
        }
    }

    /// A plain word: letters, digits, `_`, `-`.
    pub(super) fn word(&mut self) -> Result<&'a str, AddressError> {
        let rest = self.rest();
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len());
        if len == 0 {
            let found = rest.chars().next();
            return Err(AddressError::new(
                self.at,
                found.map_or("expected a name, found the end".to_owned(), |c| {
                    format!("expected a name, found `{c}`")
                }),
            ));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// After `[`: a quoted key with its closing quote.
    pub(super) fn quoted(&mut self) -> Result<String, AddressError> {
        let start = self.at;
        if !self.eat('"') {
            return Err(AddressError::new(self.at, "expected `\"`"));
        }
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, escaped)) => out.push(escaped),
                    None => break,
                },
                _ => out.push(c),
            }
        }
        Err(AddressError::new(start, "this `\"` is never closed"))
    }

    /// `.key`, `["key"]` and `[n]`, as many as there are. `bare` allows a first key without a dot.
    pub(super) fn path(&mut self, bare: bool) -> Result<AttrPath, AddressError> {
        let mut segments = Vec::new();
        if bare && !self.rest().is_empty() && !self.rest().starts_with(['[', '.']) {
            segments.push(Segment::Key(self.word()?.to_owned()));
        }
        loop {
            if self.eat('.') {
                segments.push(Segment::Key(self.word()?.to_owned()));
            } else if self.eat('[') {
                segments.push(self.bracket()?);
            } else {
                return Ok(AttrPath(segments));
            }
        }
    }

    fn bracket(&mut self) -> Result<Segment, AddressError> {
        let segment = if self.rest().starts_with('"') {
            Segment::Key(self.quoted()?)
        } else {
            let at = self.at;
            let word = self.word()?;
            let index = word
                .parse()
                .map_err(|_| AddressError::new(at, format!("`{word}` is not a list position")))?;
            Segment::Index(index)
        };
        if self.eat(']') {
            Ok(segment)
        } else {
            Err(AddressError::new(self.at, "expected `]`"))
        }
    }
}
