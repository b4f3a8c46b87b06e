//! The filters of the list of DNS records. All compare without case.

use serde_json::Value;

use crate::call::{Call, text};

/// Whether a record is wanted: all filters by default, any with `match=any`.
pub(super) fn matches(call: &Call, record: &Value) -> bool {
    let mut verdicts = call
        .query
        .iter()
        .filter_map(|(name, value)| verdict(name, value, record))
        .peekable();
    if call.query("match") == Some("any") && verdicts.peek().is_some() {
        return verdicts.any(|yes| yes);
    }
    verdicts.all(|yes| yes)
}

// Nothing when the parameter is no filter.
fn verdict(name: &str, wanted: &str, record: &Value) -> Option<bool> {
    let (field, how) = name.split_once('.').unwrap_or((name, "exact"));
    let wanted = wanted.to_lowercase();
    match field {
        "type" => return Some(text(record, "type").eq_ignore_ascii_case(&wanted)),
        "proxied" => return Some(record["proxied"] == (wanted == "true")),
        "search" => {
            let has = |field: &str| text(record, field).to_lowercase().contains(&wanted);
            return Some(["name", "content", "comment"].into_iter().any(has));
        }
        "name" | "content" | "comment" => {}
        _ => return None,
    }
    let have = text(record, field).to_lowercase();
    match how {
        "exact" => Some(have == wanted),
        "contains" => Some(have.contains(&wanted)),
        "startswith" => Some(have.starts_with(&wanted)),
        "endswith" => Some(have.ends_with(&wanted)),
        "present" => Some(!have.is_empty()),
        "absent" => Some(have.is_empty()),
        _ => None,
    }
}
