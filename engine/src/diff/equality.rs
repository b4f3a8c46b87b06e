//! When two values mean the same to the vendor: the fixed list behind [`Equality`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::Equality;
use crate::secret::{DigestKey, Secret};
use crate::value::Value;

/// Whether nothing has to be done to get from `live` to `desired`.
pub(super) fn same(equality: Equality, live: Option<&Value>, desired: &Value) -> bool {
    let Some(live) = live else {
        return is_nothing(desired);
    };
    match (live, desired) {
        (_, Value::Unknown(_)) => false,
        // A secret that cannot be compared is left alone.
        (Value::Secret(a), Value::Secret(b)) => a.same(b).unwrap_or(true),
        (Value::String(a), Value::Secret(b)) => {
            let live = Secret::new(b.label.clone(), a.clone(), b.key());
            live.same(b).unwrap_or(true)
        }
        (Value::String(a), Value::String(b)) => same_text(equality, a, b),
        (Value::List(a), Value::List(b)) => same_list(equality, a, b),
        (a, b) => a == b || (is_nothing(a) && is_nothing(b)),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

fn same_text(equality: Equality, live: &str, desired: &str) -> bool {
    match equality {
        Equality::HostName => host(live) == host(desired),
        Equality::IgnoreCase => live.eq_ignore_ascii_case(desired),
        Equality::VersionPrefix => {
            live == desired
                || live
                    .strip_prefix(desired)
                    .is_some_and(|rest| rest.starts_with(['.', '-']))
        }
        Equality::Cidr => network(live) == network(desired),
        Equality::Exact | Equality::TagSet | Equality::Unordered => live == desired,
    }
}

fn host(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Address bits without the host part, and the prefix length; the text itself when it is no network.
fn network(text: &str) -> Result<(std::net::IpAddr, u8), &str> {
    let parse = || {
        let (address, length) = text.split_once('/')?;
        let length: u8 = length.parse().ok()?;
        let address = match address.parse().ok()? {
            std::net::IpAddr::V4(ip) => {
                let mask = u32::MAX
                    .checked_shl(32u32.checked_sub(length.into())?)
                    .unwrap_or(0);
                std::net::IpAddr::V4((u32::from(ip) & mask).into())
            }
            std::net::IpAddr::V6(ip) => {
                let mask = u128::MAX
                    .checked_shl(128u32.checked_sub(length.into())?)
                    .unwrap_or(0);
                std::net::IpAddr::V6((u128::from(ip) & mask).into())
            }
        };
        Some((address, length))
    };
    parse().ok_or(text)
}

fn same_list(equality: Equality, live: &[Value], desired: &[Value]) -> bool {
    match equality {
        Equality::TagSet => {
            let live = tags(live);
            tags(desired).is_subset(&live)
        }
        Equality::Unordered => {
            let mut rest: Vec<&Value> = live.iter().collect();
            live.len() == desired.len()
                && desired.iter().all(|want| {
                    let found = rest
                        .iter()
                        .position(|have| same(Equality::Exact, Some(have), want));
                    found.map(|i| rest.swap_remove(i)).is_some()
                })
        }
        _ => {
            live.len() == desired.len()
                && live
                    .iter()
                    .zip(desired)
                    .all(|(a, b)| same(equality, Some(a), b))
        }
    }
}

fn tags(values: &[Value]) -> BTreeSet<String> {
    values
        .iter()
        .filter_map(|v| v.as_str().map(str::to_ascii_lowercase))
        .collect()
}

/// The live tags that are also wanted: others are not ours to look at.
pub(super) fn shared_tags(desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::List(want), Value::List(have)) => {
            let want = tags(want);
            let shared = tags(have).into_iter().filter(|t| want.contains(t));
            Value::List(shared.map(Value::text).collect())
        }
        _ => live.clone(),
    }
}

/// `value` with everything hidden that is a secret in `like`, its counterpart: a live value is read
/// in clear where the vendor keeps it so.
pub(super) fn veiled(value: &Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Secret(_) | Value::Unknown(_) | Value::Null, _) => value.clone(),
        (value, Value::Secret(secret)) => hidden(value, &secret.label, secret.key()),
        (value, Value::Unknown(unknown)) if unknown.secret => hidden(value, "(secret)", None),
        (Value::Map(map), Value::Map(likes)) => Value::Map(
            map.iter()
                .map(|(k, v)| {
                    let veiled = likes.get(k).map_or_else(|| v.clone(), |l| veiled(v, l));
                    (k.clone(), veiled)
                })
                .collect(),
        ),
        (Value::List(items), Value::List(likes)) if items.len() == likes.len() => {
            let pairs = items.iter().zip(likes);
            Value::List(pairs.map(|(v, l)| veiled(v, l)).collect())
        }
        // Which item is which cannot be told: all of it is hidden.
        (value, like) if holds_secret(like) => hidden(value, "(secret)", None),
        (value, _) => value.clone(),
    }
}

fn hidden(value: &Value, label: &str, key: Option<Arc<DigestKey>>) -> Value {
    let text = match value {
        Value::String(text) => text.to_string(),
        other => other.to_json().to_string(),
    };
    Value::Secret(Secret::new(label, text, key))
}

fn holds_secret(value: &Value) -> bool {
    let mut found = false;
    value.visit(&mut |leaf| match leaf {
        Value::Secret(_) => found = true,
        Value::Unknown(unknown) => found |= unknown.secret,
        _ => {}
    });
    found
}
