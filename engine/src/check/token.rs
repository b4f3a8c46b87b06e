//! Whether a token of the DNS provider is good enough, and not too good. Pure.

use super::Verdict;
use super::judge::all;
use super::probe::TokenAnswer;
use crate::declared::Entry;
use crate::objectives::words;

/// A token that ends within so many seconds is as good as ending: two weeks, as for certificates.
const SOON: u64 = 14 * 86_400;

/// Other domains that are named; of more only the number is told.
const SHOWN: usize = 3;

/// Whether each token is active and sees every domain.
pub(super) fn works(domains: &[String], tokens: &[(Entry, TokenAnswer)], now: u64) -> Verdict {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (entry, token) in tokens {
        match trouble(domains, token, now) {
            Some(trouble) => bad.push(format!("{entry}: {trouble}")),
            None if domains.is_empty() => good.push(format!("{entry} is active")),
            None => good.push(format!("{entry} is active and sees {}", domains.join(", "))),
        }
    }
    all(&good, &bad, "there is no token")
}

fn trouble(domains: &[String], token: &TokenAnswer, now: u64) -> Option<String> {
    let Some(status) = &token.status else {
        return Some("the vendor does not take it".to_owned());
    };
    if status != "active" {
        return Some(format!("it is {status}"));
    }
    if let Some(from) = token.not_before.filter(|from| *from > now) {
        return Some(format!("it is good only in {}", words(from - now)));
    }
    if token.expires.is_some_and(|end| end <= now) {
        return Some("it is expired".to_owned());
    }
    let hidden: Vec<&str> = domains
        .iter()
        .filter(|d| !token.domains.contains(d))
        .map(String::as_str)
        .collect();
    (!hidden.is_empty())
        .then(|| format!("it does not see {}: it lacks Zone Read", hidden.join(", ")))
}

/// Whether each token sees no other domain and does not end soon. What else it may do there the vendor
/// does not tell.
pub(super) fn narrow(domains: &[String], tokens: &[(Entry, TokenAnswer)], now: u64) -> Verdict {
    if let Some((entry, _)) = tokens.iter().find(|(_, t)| t.status.is_none()) {
        return Verdict::Unknown(format!("{entry}: the vendor does not take it"));
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (entry, token) in tokens {
        let excess = excess(domains, token);
        let soon = token.expires.filter(|end| end.saturating_sub(now) < SOON);
        let soon = soon.map(|end| format!("it ends in {}", words(end.saturating_sub(now))));
        let found: Vec<String> = excess.into_iter().chain(soon).collect();
        if found.is_empty() {
            let end = token.expires.map(|end| words(end.saturating_sub(now)));
            let end = end.map_or("without an end".to_owned(), |e| format!("ends in {e}"));
            let domains = match token.domains.len() {
                1 => "1 domain".to_owned(),
                n => format!("{n} domains"),
            };
            good.push(format!("{entry} sees {domains}, {end}"));
        } else {
            bad.push(format!("{entry}: {}", found.join(", ")));
        }
    }
    all(&good, &bad, "there is no token")
}

fn excess(domains: &[String], token: &TokenAnswer) -> Option<String> {
    let used: Vec<&String> = token
        .domains
        .iter()
        .filter(|d| domains.contains(d))
        .collect();
    let others: Vec<&str> = token
        .domains
        .iter()
        .filter(|d| !domains.contains(d))
        .map(String::as_str)
        .collect();
    // Without a record in the spec, one domain is what it is for.
    if others.is_empty() || (domains.is_empty() && others.len() == 1) {
        return None;
    }
    let more = match others.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    Some(format!(
        "it sees {} domains and {} used, not {}{more}",
        token.domains.len(),
        match used.len() {
            1 => "1 is".to_owned(),
            n => format!("{n} are"),
        },
        others[..others.len().min(SHOWN)].join(", ")
    ))
}
