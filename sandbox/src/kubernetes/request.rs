//! A request taken apart, and what an answer can be.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderName, USER_AGENT};
use serde_json::Value;

use crate::world::{Tables, Txn, World};

use super::environment::Home;
use super::failure::Failure;
use super::kinds::Kind;
use super::watch::Watch;

/// One request to the API server of a cluster.
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) cluster: String,
    pub(crate) method: Method,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) cookie: String,
    pub(crate) body: Bytes,
}

/// What is known besides the request while it is served.
pub(crate) struct Ctx<'a, 't> {
    pub(crate) world: &'a World,
    pub(crate) cluster: &'a str,
    pub(crate) txn: &'a mut Txn<'t>,
}

impl Ctx<'_, '_> {
    pub(crate) fn tables(&self) -> &Tables {
        self.txn.tables()
    }

    pub(crate) fn home(&self) -> Home<'_> {
        Home {
            tables: self.txn.tables(),
            cluster: self.cluster,
        }
    }

    pub(crate) fn now(&self) -> String {
        timestamp(self.world.now_ms())
    }

    /// Stores an object under the next revision; gives back what is stored.
    pub(crate) fn store(&mut self, table: &str, key: &str, mut object: Value) -> Value {
        let revision = self.txn.next_revision().to_string();
        object["metadata"]["resourceVersion"] = Value::String(revision);
        self.txn.put(table, key, object.clone());
        object
    }
}

/// The answer to a request.
pub(crate) enum Answer {
    Json(u16, Value),
    Bytes(u16, &'static str, Vec<u8>),
    Watch(Box<Watch>),
}

/// An answer with the warnings and headers that go with it.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) warnings: Vec<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply {
            answer,
            warnings: Vec::new(),
            headers: Vec::new(),
        }
    }
}

/// The object or collection that a path names.
pub(crate) struct Place {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    pub(crate) table: String,
}

impl Call {
    pub(crate) fn new(world: &Arc<World>, cluster: &str, request: http::Request<Bytes>) -> Call {
        let (parts, body) = request.into_parts();
        let header = |name: HeaderName| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        Call {
            world: Arc::clone(world),
            cluster: cluster.to_owned(),
            accept: header(ACCEPT),
            content_type: header(CONTENT_TYPE)
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            user_agent: header(USER_AGENT),
            cookie: header(COOKIE),
            query: query(parts.uri.query().unwrap_or_default()),
            method: parts.method,
            body,
        }
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), Some("true" | "1"))
    }

    /// Whether the client wants metadata only.
    pub(crate) fn wants_partial(&self) -> bool {
        self.accept.contains("as=PartialObjectMetadata")
    }

    /// The body as an object; YAML where the content type says so.
    pub(crate) fn object(&self) -> Result<Value, Failure> {
        let yaml = self.content_type.contains("yaml");
        let value = match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) => value,
            Err(_) if yaml => parse_yaml(&self.body)?,
            Err(e) => {
                let text = format!("the object provided is unrecognized: {e}");
                return Err(Failure::bad_request(text));
            }
        };
        if value.is_object() {
            Ok(value)
        } else {
            Err(Failure::bad_request(
                "the object provided is unrecognized: not an object",
            ))
        }
    }
}

fn parse_yaml(body: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::bad_request("error decoding YAML: the body is not UTF-8"))?;
    serde_saphyr::from_str(text)
        .map_err(|e| Failure::bad_request(format!("error decoding YAML: {e}")))
}

fn query(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent-encoding, and `+` for a space in queries.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if plus && bytes[at] == b'+' {
                    b' '
                } else {
                    bytes[at]
                });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A stored time in the form that objects use.
pub(crate) fn timestamp(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// A random identifier in the usual form.
pub(crate) fn new_uid() -> String {
    let mut b = [0u8; 16];
    // Without entropy every uid would be the same; nothing sensible is left to do then.
    getrandom::fill(&mut b).expect("invariant: the system has a random source");
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex: String = b.iter().map(|x| format!("{x:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
