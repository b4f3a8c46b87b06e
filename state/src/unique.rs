//! JSON in which no object has a key twice. Which of the two counts would depend on who reads it, and a digest of
//! what was read would not tell.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether a text is such JSON. Nothing of it is kept.
///
/// # Errors
/// It is no JSON, or (of the category `Data`) a key is in an object twice.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice(bytes).map(|Unique| ())
}

struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unique, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while let Some(Unique) = items.next_element()? {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique, A::Error> {
        let twice = || de::Error::custom("a key is there twice");
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            let Unique = entries.next_value()?;
            // In a file that we wrote they are sorted: the error is told where it is.
            if keys.last() == Some(&key) {
                return Err(twice());
            }
            keys.push(key);
        }
        if !keys.is_sorted() {
            keys.sort_unstable();
        }
        match keys.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(twice()),
            false => Ok(Unique),
        }
    }
}

/// A key, borrowed from the text unless it has escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(Texts).map(Key)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn no_key_is_there_twice() {
        let text = r#"{"b":[1,-2,0.5,true,null,"x",{"a":{"b":{}}}],"a":18446744073709551615}"#;
        assert!(check(text.as_bytes()).is_ok());
        for (text, data) in [
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"a":1,"b":{},"a":1}"#, true),
            (r#"[{"b":{"a":1,"\u0061":2}}]"#, true),
            (r#"{"a":1"#, false),
        ] {
            assert_eq!(
                check(text.as_bytes()).unwrap_err().is_data(),
                data,
                "{text}"
            );
        }
    }
}
