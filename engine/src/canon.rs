//! Canonical JSON: the only serialiser of what is hashed, compared by bytes or stored.
//!
//! Rules: keys sorted by their UTF-8 bytes, no white space, no escapes beyond JSON's own, numbers
//! as `serde_json` prints them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::address::text_serde;
use crate::value::Value;

mod order;
mod text;

/// The canonical bytes of a value.
///
/// # Panics
/// Never for the types of this crate: they serialise to JSON without fail.
pub fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    order::text(value, false)
}

/// The SHA-256 of the canonical bytes.
pub fn digest<T: Serialize>(value: &T) -> Digest {
    Digest::of(&bytes(value))
}

/// A short text that is another one when the value is. Secrets go in by their keyed digest: the text tells
/// nothing of them, and begins with the key's id, because another key gives another text.
pub fn fingerprint(value: &Value) -> String {
    let mut key = None;
    let digest = &digest(&unlabelled(value, &mut key)).hex()[..16];
    match key {
        None => digest.to_owned(),
        Some(id) => format!("{id}.{digest}"),
    }
}

/// The id of the key and the digest of a fingerprint that secrets went into.
pub fn keyed(fingerprint: &str) -> Option<(&str, &str)> {
    fingerprint.split_once('.')
}

/// Where a secret comes from says nothing about what it is.
fn unlabelled(value: &Value, key: &mut Option<String>) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(|v| unlabelled(v, key)).collect()),
        Value::Map(map) => {
            let entries = map.iter().map(|(k, v)| (k.clone(), unlabelled(v, key)));
            Value::Map(entries.collect())
        }
        Value::Secret(secret) => {
            let own = secret.key().map(|k| k.id());
            // Without a key there is no digest, and nothing can be told.
            *key = own.or(key.take()).or(Some("none".to_owned()));
            secret.digest().map_or(Value::Null, Value::text)
        }
        leaf => leaf.clone(),
    }
}

/// The same from the text of a file that [`pretty`] wrote, without reading it into values. `own` is its outermost
/// entry that holds the digest, and no part of it. Of any other text it is the digest of something else.
pub fn digest_of_text(text: &[u8], own: &str) -> Digest {
    text::digest(text, own)
}

/// Canonical key order with two-space indentation: for files that people read.
pub fn pretty<T: Serialize>(value: &T) -> String {
    let mut out = order::text(value, true);
    out.push(b'\n');
    String::from_utf8(out).expect("invariant: JSON is UTF-8")
}

/// A SHA-256, printed as `sha256:<64 hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// Lower-case hex digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, b| {
        // Writing to a String does not fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `sha256:` and 64 hex digits in small letters")]
pub struct NotADigest;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;
    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digits = text.strip_prefix("sha256:").ok_or(NotADigest)?;
        // One text for each digest: a flipped bit that makes a letter large is noticed.
        let is_ours = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.bytes().all(is_ours) {
            return Err(NotADigest);
        }
        let mut out = [0; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Digest(out))
    }
}

text_serde!(Digest);
