//! Where a value of an object is written. What comes from YAML is one place for its whole document; the
//! line of a value is looked for when something is to be said about it.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use zonewright_engine::expr::{Expr, Node, Origin};

use super::spec::{Item, Spec};
use crate::load::yaml;
use crate::tree::Loc;

impl Spec<'_> {
    /// The place of the value at a path of keys and indexes, or else that of the object.
    pub(super) fn place(&self, object: &Item<'_>, path: &[&str]) -> Option<Origin> {
        let whole = object.at();
        let own = within(&object.resource.body, path).and_then(|e| e.at.as_ref());
        if let Some(own) = own.filter(|at| Some(*at) != whole) {
            return Some(own.clone());
        }
        let at = self.world.ctx.loc(whole?);
        let line = self.line(at, path).unwrap_or(at);
        Some(self.world.ctx.origin(line))
    }

    /// The line of a value in the document that begins at a place.
    fn line(&self, at: Loc, path: &[&str]) -> Option<Loc> {
        let sources = self.world.ctx.sources.borrow();
        let (start, document) = yaml::document_at(sources.text(at.file), at.start as usize)?;
        let line = find(document, path)?;
        let (from, to) = yaml::line(document, line)?;
        Some(Loc::new(at.file, start + from, start + to))
    }
}

fn within<'e>(expr: &'e Expr, path: &[&str]) -> Option<&'e Expr> {
    path.iter().try_fold(expr, |here, step| match &here.node {
        Node::Map(map) => map.get(step),
        Node::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The number of the line of a value, from 1 on.
fn find(document: &str, path: &[&str]) -> Option<u64> {
    let walked =
        serde_saphyr::with_deserializer_from_str(document, |de| Walk(path).deserialize(de));
    walked.ok().flatten()
}

/// Goes down a path and tells the line of what is there.
struct Walk<'p>(&'p [&'p str]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Option<u64>, D::Error> {
        match self.0.split_first() {
            None => Spanned::<IgnoredAny>::deserialize(de).map(|s| Some(s.referenced.line())),
            Some((step, rest)) => de.deserialize_any(Step { step, rest }),
        }
    }
}

struct Step<'p> {
    step: &'p str,
    rest: &'p [&'p str],
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.step {
                found = map.next_value_seed(Walk(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<u64>, A::Error> {
        let wanted: Option<usize> = self.step.parse().ok();
        let mut found = None;
        for index in 0_usize.. {
            if Some(index) == wanted {
                match items.next_element_seed(Walk(self.rest))? {
                    Some(line) => found = line,
                    None => break,
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<u64>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    const DOCUMENT: &str = "kind: X\nspec:\n  replicas: 3\n  list:\n    - { a: 1 }\n    - a: 2\n      b: 'x'\n  flow: { c: 4 }\n";

    #[test]
    fn the_line_of_a_value_is_found() {
        for (path, line) in [
            (&["kind"][..], 1),
            (&["spec", "replicas"], 3),
            (&["spec", "list", "0", "a"], 5),
            (&["spec", "list", "1", "b"], 7),
            (&["spec", "flow", "c"], 8),
        ] {
            assert_eq!(find(DOCUMENT, path), Some(line), "{path:?}");
        }
        for path in [
            &["nothing"][..],
            &["kind", "deeper"],
            &["spec", "list", "2"],
        ] {
            assert_eq!(find(DOCUMENT, path), None, "{path:?}");
        }
    }
}
