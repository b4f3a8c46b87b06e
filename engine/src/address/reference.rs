//! The text inside `${…}`, before zones are resolved.

use std::fmt;

use super::path::{Quoted, Scanner, Segment};
use super::{AddressError, AttrPath, Kind, Name, ZoneName};

/// The part before the `/` of a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneSelector {
    /// A zone by name.
    Named(ZoneName),
    /// The zone that serves.
    Active,
    /// The zone that stands by.
    Standby,
}

/// A reference as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefText {
    /// `zone.region`: a setting of the zone that the text ends up in.
    Setting(AttrPath),
    /// `secret.token`.
    Secret(String),
    /// `[zone/]provider.kind.name["key"].attr…`; without a zone it is relative.
    Resource {
        /// The zone that is pinned, if any.
        zone: Option<ZoneSelector>,
        /// The kind of the resource.
        kind: Kind,
        /// The name of the resource.
        name: Name,
        /// The object's key.
        key: Option<String>,
        /// The attribute; empty for the resource's id.
        path: AttrPath,
    },
}

impl RefText {
    /// Parses what stands between `${` and `}`.
    ///
    /// # Errors
    /// The text is no reference; `at` is the byte offset.
    pub fn parse(text: &str) -> Result<RefText, AddressError> {
        let mut scan = Scanner::new(text);
        let first = scan.word()?;
        let zone = if scan.eat('/') {
            Some(selector(first)?)
        } else {
            None
        };
        if zone.is_none() && (first == "zone" || first == "secret") {
            return root(first, scan);
        }
        let provider = if zone.is_some() { scan.word()? } else { first };
        let kind_at = scan.at;
        let rest = [expect_part(&mut scan)?, expect_part(&mut scan)?];
        let kind = format!("{provider}.{}", rest[0])
            .parse()
            .map_err(|e: AddressError| AddressError::new(kind_at, e.message))?;
        let name = rest[1].parse()?;
        let mut path = scan.path(false)?;
        scan.end()?;
        // A quoted key right after the name is the object's key, not an attribute.
        let key = match path.segments().first() {
            Some(Segment::Key(key)) if !is_word(key) => Some(key.clone()),
            _ => None,
        };
        if key.is_some() {
            path = path.segments()[1..].iter().cloned().collect();
        }
        Ok(RefText::Resource {
            zone,
            kind,
            name,
            key,
            path,
        })
    }
}

/// Object keys always hold `/`, which no bare attribute name can.
fn is_word(key: &str) -> bool {
    !key.contains('/')
}

fn expect_part<'a>(scan: &mut Scanner<'a>) -> Result<&'a str, AddressError> {
    if scan.eat('.') {
        scan.word()
    } else {
        Err(AddressError::new(
            scan.at,
            "expected `provider.kind.name`, `zone.setting` or `secret.name`",
        ))
    }
}

fn selector(word: &str) -> Result<ZoneSelector, AddressError> {
    Ok(match word {
        "active" => ZoneSelector::Active,
        "standby" => ZoneSelector::Standby,
        _ => ZoneSelector::Named(word.parse()?),
    })
}

fn root(word: &str, mut scan: Scanner<'_>) -> Result<RefText, AddressError> {
    let at = scan.at;
    let path = scan.path(false)?;
    scan.end()?;
    match (word, path.segments()) {
        (_, []) => Err(AddressError::new(
            at,
            format!("expected `.name` after `{word}`"),
        )),
        ("zone", _) => Ok(RefText::Setting(path)),
        (_, [Segment::Key(name)]) => Ok(RefText::Secret(name.clone())),
        _ => Err(AddressError::new(at, "a secret has no attributes")),
    }
}

impl fmt::Display for ZoneSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ZoneSelector::Named(zone) => zone.fmt(f),
            ZoneSelector::Active => f.write_str("active"),
            ZoneSelector::Standby => f.write_str("standby"),
        }
    }
}

impl fmt::Display for RefText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefText::Setting(path) => write!(f, "zone{}", Dotted(path)),
            RefText::Secret(name) => write!(f, "secret.{name}"),
            RefText::Resource {
                zone,
                kind,
                name,
                key,
                path,
            } => {
                if let Some(zone) = zone {
                    write!(f, "{zone}/")?;
                }
                write!(f, "{kind}.{name}")?;
                if let Some(key) = key {
                    write!(f, "[{}]", Quoted(key))?;
                }
                Dotted(path).fmt(f)
            }
        }
    }
}

/// A path as it stands after a name: with a leading dot when it begins with a plain key.
pub(crate) struct Dotted<'a>(pub(crate) &'a AttrPath);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        if text.is_empty() || text.starts_with('[') {
            f.write_str(&text)
        } else {
            write!(f, ".{text}")
        }
    }
}
