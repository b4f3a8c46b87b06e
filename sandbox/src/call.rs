//! One call to an emulator, taken apart, and what the emulator may use to answer it.
//!
//! A call is answered inside one transaction of the world: it sees every earlier call whole, and
//! its own writes are one line of the log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::control::Switches;
use crate::identity::{Identity, hex, uuid};
use crate::sandbox::ClusterFace;
use crate::world::{Txn, World};

/// A request, taken apart.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) segments: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) bearer: Option<String>,
    body: Bytes,
}

impl Call {
    /// Takes a request apart; `prefix` is the part of the path that names the service.
    pub(crate) fn new(req: &Request<Bytes>, prefix: &str) -> Call {
        let path = req.uri().path();
        let path = path.strip_prefix(prefix).unwrap_or(path);
        Call {
            method: req.method().clone(),
            segments: path
                .split('/')
                .filter(|s| !s.is_empty())
                .map(|s| decode(s, false).into_owned())
                .collect(),
            query: query_pairs(req.uri().query().unwrap_or("")),
            bearer: bearer(req).map(str::to_owned),
            body: req.body().clone(),
        }
    }

    /// The path inside the service, for matching.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// One query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// One numeric query parameter, or what stands for it.
    pub(crate) fn number(&self, name: &str, default: usize) -> usize {
        self.query(name)
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    }

    /// The body as a JSON object; an empty body is an empty object.
    pub(crate) fn object(&self) -> Option<Map<String, Value>> {
        if self.body.is_empty() {
            return Some(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(map)) => Some(map),
            _ => None,
        }
    }
}

/// The bearer token of a request.
pub(crate) fn bearer(req: &Request<Bytes>) -> Option<&str> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// The pairs of a query string, decoded; the last of several wins.
pub(crate) fn query_pairs(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(name, true).into_owned(),
                decode(value, true).into_owned(),
            )
        })
        .collect()
}

fn decode(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') if plus_is_space => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// What an emulator may use while it answers.
pub(crate) struct Scene<'a, 't> {
    pub(crate) world: &'a World,
    pub(crate) txn: &'a mut Txn<'t>,
    pub(crate) identity: &'a Identity,
    pub(crate) clusters: &'a ClusterFace,
    pub(crate) switches: &'a mut Switches,
    pub(crate) now: u64,
    pub(crate) made: u32,
}

impl Scene<'_, '_> {
    /// When work that really takes `seconds` is done.
    pub(crate) fn after(&self, seconds: u64) -> u64 {
        self.now + self.scaled(seconds)
    }

    /// How many milliseconds `seconds` of the vendor's time are here.
    pub(crate) fn scaled(&self, seconds: u64) -> u64 {
        let real = Duration::from_secs(seconds);
        u64::try_from(self.world.profile().scale(real).as_millis()).unwrap_or(u64::MAX)
    }

    /// A fresh id in the form of a random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        uuid(self.fresh("uuid"))
    }

    /// A fresh id of 32 hexadecimal digits.
    pub(crate) fn hex_id(&mut self) -> String {
        hex(&self.fresh("hex")[..16])
    }

    /// A fresh number with nine digits.
    pub(crate) fn number(&mut self) -> u32 {
        let b = self.fresh("number");
        400_000_000 + u32::from_le_bytes([b[0], b[1], b[2], b[3]]) % 100_000_000
    }

    /// A fresh password.
    pub(crate) fn password(&mut self) -> String {
        let salt = hex(&self.fresh("password"));
        format!("AVNS_{}", self.identity.derive(&salt, 19))
    }

    // Ids depend on the key and the history only, so a world can be repeated; the revision never
    // comes back, not even after a reset, so they never repeat.
    fn fresh(&mut self, what: &str) -> [u8; 32] {
        self.made += 1;
        let purpose = format!("{what} {} {}", self.txn.next_revision(), self.made);
        self.identity.digest(&purpose)
    }
}

/// A stored time as the vendors write it: RFC 3339 with whole seconds.
pub(crate) fn rfc3339(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// A stored time with microseconds, as Cloudflare writes it.
pub(crate) fn rfc3339_micros(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    format!("{time:.6}")
}

/// A text field of a document, or the empty text.
pub(crate) fn text<'v>(doc: &'v Value, field: &str) -> &'v str {
    doc.get(field).and_then(Value::as_str).unwrap_or("")
}

/// A stored time of a document, if it has it.
pub(crate) fn time(doc: &Value, field: &str) -> Option<u64> {
    doc.get(field).and_then(Value::as_u64)
}

/// Whether a stored time is there and has come.
pub(crate) fn due(doc: &Value, field: &str, now: u64) -> bool {
    time(doc, field).is_some_and(|t| t <= now)
}

/// Whether a stored time is there and is still to come.
pub(crate) fn pending(doc: &Value, field: &str, now: u64) -> bool {
    time(doc, field).is_some_and(|t| t > now)
}

/// Removes the sandbox's own fields (stored times) from a document that is shown.
pub(crate) fn without_times(doc: &Value) -> Value {
    let mut shown = doc.clone();
    if let Some(map) = shown.as_object_mut() {
        map.retain(|field, _| !field.ends_with("_ms"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let q = query_pairs("a=1&comment.startswith=zonewright%3Aab+c&flag&%41=%zz");
        assert_eq!(q["comment.startswith"], "zonewright:ab c");
        assert_eq!(q["flag"], "");
        assert_eq!(q["A"], "%zz");
        assert_eq!(decode("é%2", false), "é%2");
    }

    #[test]
    fn times_are_written_as_the_vendors_do() {
        assert_eq!(rfc3339(1_583_437_755_000), "2020-03-05T19:49:15Z");
        assert_eq!(
            rfc3339_micros(1_583_437_755_120),
            "2020-03-05T19:49:15.120000Z"
        );
    }
}
