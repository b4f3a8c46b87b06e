//! Signatures of version 4, in the header or in the query, checked with the one key pair of a world.

use std::collections::BTreeMap;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use sha2::{Digest as _, Sha256};

use crate::identity::{Identity, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Of a body that the signature does not cover.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has no signature.
    Anonymous,
    /// The signature cannot be read.
    Malformed,
    /// Nobody has this access key.
    UnknownKey,
    /// The signature is another one.
    Mismatch,
    /// The body is not the one that was signed.
    OtherBody,
    /// A form of signature that the sandbox does not know.
    Unsupported,
}

/// A signature taken apart.
struct Signature {
    key: String,
    /// Date, region, service, ending.
    scope: String,
    signed: Vec<String>,
    signature: String,
    time: String,
    payload: String,
}

/// Checks a request.
pub(super) fn check(
    identity: &Identity,
    req: &Request<Bytes>,
    query: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let found = match header(req, "authorization") {
        Some(text) => in_header(req, &text)?,
        None if query.contains_key("X-Amz-Signature") => in_query(query)?,
        None => return Err(Refusal::Anonymous),
    };
    if found.payload.starts_with("STREAMING-") {
        return Err(Refusal::Unsupported);
    }
    if found.key != identity.spaces_key() {
        return Err(Refusal::UnknownKey);
    }
    let canonical = canonical(req, query, &found);
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("{ALGORITHM}\n{}\n{}\n{hashed}", found.time, found.scope);
    let mut key = format!("AWS4{}", identity.spaces_secret()).into_bytes();
    for part in found.scope.split('/') {
        key = keyed(&key, part);
    }
    if hex(&keyed(&key, &text)) != found.signature {
        return Err(Refusal::Mismatch);
    }
    let body = hex(&Sha256::digest(req.body()));
    if found.payload != UNSIGNED && found.payload != body {
        return Err(Refusal::OtherBody);
    }
    Ok(())
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn header(req: &Request<Bytes>, name: &str) -> Option<String> {
    let values = req.headers().get_all(name).into_iter();
    let texts: Vec<&str> = values
        .filter_map(|v| v.to_str().ok())
        .map(str::trim)
        .collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn in_header(req: &Request<Bytes>, text: &str) -> Result<Signature, Refusal> {
    let rest = text.strip_prefix(ALGORITHM).ok_or(Refusal::Malformed)?;
    let parts: BTreeMap<&str, &str> = rest
        .split(',')
        .filter_map(|part| part.trim().split_once('='))
        .collect();
    let of = |name: &str| parts.get(name).copied().ok_or(Refusal::Malformed);
    let time = header(req, "x-amz-date").ok_or(Refusal::Malformed)?;
    let payload = header(req, "x-amz-content-sha256").ok_or(Refusal::Malformed)?;
    signature(
        of("Credential")?,
        of("SignedHeaders")?,
        of("Signature")?,
        time,
        payload,
    )
}

fn in_query(query: &BTreeMap<String, String>) -> Result<Signature, Refusal> {
    let of = |name: &str| query.get(name).ok_or(Refusal::Malformed);
    if of("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Refusal::Malformed);
    }
    let payload = query.get("X-Amz-Content-Sha256").cloned();
    signature(
        of("X-Amz-Credential")?,
        of("X-Amz-SignedHeaders")?,
        of("X-Amz-Signature")?,
        of("X-Amz-Date")?.clone(),
        payload.unwrap_or_else(|| UNSIGNED.to_owned()),
    )
}

fn signature(
    credential: &str,
    signed: &str,
    signature: &str,
    time: String,
    payload: String,
) -> Result<Signature, Refusal> {
    let (key, scope) = credential.split_once('/').ok_or(Refusal::Malformed)?;
    Ok(Signature {
        key: key.to_owned(),
        scope: scope.to_owned(),
        signed: signed.split(';').map(str::to_owned).collect(),
        signature: signature.to_owned(),
        time,
        payload,
    })
}

fn canonical(req: &Request<Bytes>, query: &BTreeMap<String, String>, found: &Signature) -> String {
    let path = crate::kubernetes::decode(req.uri().path(), false);
    let mut pairs: Vec<String> = query
        .iter()
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| format!("{}={}", encoded(name, false), encoded(value, false)))
        .collect();
    pairs.sort();
    let headers: String = found
        .signed
        .iter()
        .map(|name| format!("{name}:{}\n", header(req, name).unwrap_or_default()))
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        req.method(),
        encoded(&path, true),
        pairs.join("&"),
        found.signed.join(";"),
        found.payload
    )
}

/// Percent-encoding as signatures want it.
fn encoded(text: &str, slashes: bool) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
