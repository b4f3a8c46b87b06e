//! One DNS record: its canonical form, what it must look like, what it must not collide with.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::call::text;

use super::ApiError;
use super::dns::Records;

const TYPES: [&str; 9] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"];
const PROXIABLE: [&str; 3] = ["A", "AAAA", "CNAME"];
/// A comment on the free plan.
const LONGEST_COMMENT: usize = 100;

/// The record that comes of a request's fields over `base`, in canonical form.
pub(super) fn build(
    base: &Value,
    body: &Map<String, Value>,
    zone: &str,
    now: &str,
) -> Result<Value, ApiError> {
    let mut record = base.clone();
    for name in [
        "type", "name", "content", "ttl", "proxied", "priority", "data", "settings",
    ] {
        if let Some(value) = body.get(name) {
            record[name] = value.clone();
        }
    }
    let kind = text(&record, "type").to_uppercase();
    if !TYPES.contains(&kind.as_str()) {
        return Err(invalid(
            9005,
            format!("Invalid DNS record type \"{kind}\"."),
        ));
    }
    let name = fqdn(text(&record, "name"), zone)?;
    let content = content(&kind, text(&record, "content"), &record)?;
    let proxied = record["proxied"] == true;
    let proxiable = PROXIABLE.contains(&kind.as_str());
    if proxied && !proxiable {
        return Err(invalid(9004, "This record type cannot be proxied."));
    }
    let ttl = ttl(record.get("ttl"), proxied)?;
    if kind == "MX" && record["priority"].as_u64().is_none_or(|p| p > 65535) {
        return Err(invalid(9100, "priority is a required data field"));
    }
    no_tags(body)?;
    comment(&mut record, body, now)?;
    for (field, value) in [
        ("type", json!(kind)),
        ("name", json!(name)),
        ("content", json!(content)),
        ("ttl", json!(ttl)),
        ("proxied", json!(proxied)),
        ("proxiable", json!(proxiable)),
        ("tags", json!([])),
        ("meta", json!({})),
        ("modified_on", json!(now)),
    ] {
        record[field] = value;
    }
    shape_settings(&mut record, &kind);
    Ok(record)
}

/// Checks that a record can stand beside the others of its zone.
pub(super) fn check_conflicts(new: &Value, records: &Records) -> Result<(), ApiError> {
    let hosts = ["A", "AAAA", "CNAME"];
    let (kind, name) = (text(new, "type"), text(new, "name"));
    for other in records.values().filter(|other| other["id"] != new["id"]) {
        if text(other, "name") != name {
            continue;
        }
        let theirs = text(other, "type");
        if kind == theirs && kind != "CNAME" && same(new, other) {
            return Err(invalid(81058, "An identical record already exists."));
        }
        if kind == "CNAME" && hosts.contains(&theirs) {
            let message = "An A, AAAA, or CNAME record with that host already exists.";
            return Err(invalid(81053, message));
        }
        if hosts.contains(&kind) && theirs == "CNAME" {
            let message = "A CNAME record with that host already exists.";
            return Err(invalid(81054, message));
        }
    }
    Ok(())
}

fn same(a: &Value, b: &Value) -> bool {
    ["content", "priority", "data"]
        .into_iter()
        .all(|field| a[field] == b[field])
}

fn invalid(code: u32, message: impl Into<String>) -> ApiError {
    ApiError::new(400, code, message)
}

// The whole name in lower case; a name outside the zone is taken as a label of it.
fn fqdn(name: &str, zone: &str) -> Result<String, ApiError> {
    let name = name.trim().trim_end_matches('.').to_lowercase();
    let bad = || invalid(9000, "DNS name is invalid.");
    if name.is_empty() {
        return Err(bad());
    }
    let whole = if name == "@" || name == zone {
        zone.to_owned()
    } else if name.ends_with(&format!(".{zone}")) {
        name
    } else {
        format!("{name}.{zone}")
    };
    let fits = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_*".contains(c);
        (1..=63).contains(&label.len()) && label.chars().all(plain)
    };
    if whole.len() > 253 || !whole.split('.').all(fits) {
        return Err(bad());
    }
    Ok(whole)
}

fn content(kind: &str, content: &str, record: &Value) -> Result<String, ApiError> {
    let content = content.trim();
    // Some types carry their content in parts.
    if content.is_empty() && record["data"].is_object() {
        return Ok(parts(&record["data"]));
    }
    if content.is_empty() {
        return Err(invalid(9020, "Content for the record is missing."));
    }
    match kind {
        "A" => content
            .parse::<Ipv4Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| invalid(9005, "Content for A record must be a valid IPv4 address.")),
        "AAAA" => content
            .parse::<Ipv6Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| {
                invalid(
                    9006,
                    "Content for AAAA record must be a valid IPv6 address.",
                )
            }),
        "CNAME" | "MX" | "NS" | "PTR" => {
            let host = content.trim_end_matches('.').to_lowercase();
            if kind == "CNAME" && host.parse::<Ipv4Addr>().is_ok() {
                return Err(invalid(9007, "Content for CNAME record is invalid."));
            }
            Ok(host)
        }
        _ => Ok(content.to_owned()),
    }
}

fn parts(data: &Value) -> String {
    let order = [
        "priority", "flags", "weight", "tag", "port", "target", "value",
    ];
    let shown = order.into_iter().filter_map(|name| match data.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    shown.collect::<Vec<_>>().join(" ")
}

// A proxied record always has the automatic ttl, whatever was asked for.
fn ttl(asked: Option<&Value>, proxied: bool) -> Result<u64, ApiError> {
    match asked.map(|v| v.as_f64()) {
        None => Ok(1),
        Some(Some(_)) if proxied => Ok(1),
        Some(Some(ttl)) if ttl == 1.0 || (60.0..=86400.0).contains(&ttl) && ttl.fract() == 0.0 => {
            // In range and whole, as was just checked.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Ok(ttl as u64)
        }
        Some(_) => Err(invalid(
            9021,
            "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
        )),
    }
}

fn no_tags(body: &Map<String, Value>) -> Result<(), ApiError> {
    let count = body
        .get("tags")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if count == 0 {
        return Ok(());
    }
    let mut error = invalid(1004, "DNS Validation Error");
    let message = format!("DNS record has {count} tags, exceeding the quota of 0.");
    error.chain = Some((9300, message));
    Err(error)
}

fn comment(record: &mut Value, body: &Map<String, Value>, now: &str) -> Result<(), ApiError> {
    let comment = match body.get("comment") {
        None => {
            if record.get("comment").is_none() {
                record["comment"] = Value::Null;
            }
            return Ok(());
        }
        Some(comment) => comment.as_str().filter(|c| !c.is_empty()),
    };
    if comment.is_some_and(|c| c.chars().count() > LONGEST_COMMENT) {
        let message = "DNS record comment exceeds the maximum length of 100 characters.";
        return Err(invalid(9313, message));
    }
    if comment.is_some_and(|c| c.contains(['\n', '\r'])) {
        return Err(invalid(
            9314,
            "DNS record comment contains invalid characters.",
        ));
    }
    if record.get("comment").and_then(Value::as_str) != comment {
        record["comment_modified_on"] = json!(now);
    }
    record["comment"] = json!(comment);
    if comment.is_none()
        && let Some(map) = record.as_object_mut()
    {
        map.remove("comment_modified_on");
    }
    Ok(())
}

// An unproxied CNAME shows no settings unless some are set; the others show an empty object.
fn shape_settings(record: &mut Value, kind: &str) {
    let set = record["settings"].as_object();
    let empty = set.is_none_or(serde_json::Map::is_empty);
    let Some(map) = record.as_object_mut() else {
        return;
    };
    if empty && kind == "CNAME" {
        map.remove("settings");
    } else if empty {
        map.insert("settings".to_owned(), json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_whole() {
        let whole = |name: &str| fqdn(name, "guajiro.xyz").map_err(|e| e.code);
        assert_eq!(whole("@"), Ok("guajiro.xyz".to_owned()));
        assert_eq!(whole("WP-bz"), Ok("wp-bz.guajiro.xyz".to_owned()));
        assert_eq!(whole("a.guajiro.xyz."), Ok("a.guajiro.xyz".to_owned()));
        assert_eq!(
            whole("xguajiro.xyz"),
            Ok("xguajiro.xyz.guajiro.xyz".to_owned())
        );
        assert_eq!(whole("*.a"), Ok("*.a.guajiro.xyz".to_owned()));
        assert_eq!(whole("a b"), Err(9000));
        assert_eq!(whole("a..b"), Err(9000));
        assert_eq!(whole(""), Err(9000));
    }
}
