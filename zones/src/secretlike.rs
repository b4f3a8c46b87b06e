//! Recognises credentials that were written where a reference belongs.
//!
//! By shape, so it is a safety net: what is secret by type is checked against the schemas.

/// What a text looks like, or `None`. The text itself must never be shown.
pub(crate) fn what(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    text.split(between).find_map(word)
}

fn between(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The ranges of a text that look like credentials.
pub(crate) fn ranges(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = 0;
    for part in text.split_inclusive(between) {
        let bare = part.trim_end_matches(between);
        if word(bare).is_some() {
            out.push((start, start + bare.len()));
        }
        start += part.len();
    }
    for (at, _) in text.match_indices("-----BEGIN") {
        let rest = &text[at..];
        let line = rest.lines().next().unwrap_or("");
        if line.contains("PRIVATE KEY-----") {
            let end = rest.find("-----END").unwrap_or(rest.len());
            out.push((at, at + end));
        }
    }
    out
}

/// A message in which nothing looks like a credential.
pub(crate) fn scrub(text: &mut String) {
    let mut found = ranges(text);
    found.sort_unstable();
    for (start, end) in found.into_iter().rev() {
        if text.is_char_boundary(start) && end <= text.len() {
            text.replace_range(start..end, "***");
        }
    }
}

fn word(word: &str) -> Option<&'static str> {
    let token = |prefix: &str, min: usize| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= min
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
    };
    if ["dop_v1_", "doo_v1_", "dor_v1_"]
        .iter()
        .any(|p| token(p, 16))
    {
        return Some("a DigitalOcean token");
    }
    let age = "age-secret-key-";
    if word
        .get(..age.len())
        .is_some_and(|w| w.eq_ignore_ascii_case(age))
        && word.len() > age.len()
    {
        return Some("a private age key");
    }
    if token("DO00", 16) && word.len() == 20 {
        return Some("a Spaces access key");
    }
    if (token("AKIA", 16) || token("ASIA", 16)) && word.len() == 20 {
        return Some("an AWS access key");
    }
    if token("ghp_", 20) || token("github_pat_", 20) || token("glpat-", 20) {
        return Some("a forge token");
    }
    None
}

/// Whether it looks like a Cloudflare API token: 40 mixed characters of high entropy.
pub(crate) fn cloudflare_token(text: &str) -> bool {
    let class = |f: fn(&u8) -> bool| text.as_bytes().iter().any(&f);
    text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && class(u8::is_ascii_lowercase)
        && class(u8::is_ascii_uppercase)
        && class(u8::is_ascii_digit)
        && entropy(text) > 4.0
}

/// Bits per byte.
fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| f64::from(*c) / total)
        .map(|p| -p * p.log2())
        .sum()
}
