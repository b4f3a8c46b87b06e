//! Whether a bucket holds what another one has had for long enough. Pure.

use super::Verdict;
use crate::objectives::words;

/// Where probes put their objects: those are nobody's media.
pub const PROBES: &str = "zonewright-probe/";

/// An object in a list of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// What the store calls its content. Of an object that was put in parts it is not the content's digest.
    pub etag: String,
    /// When it was put, in seconds since 1970 by the store's clock.
    pub at: u64,
}

impl Stored {
    /// Whether two lists tell of one content, as far as lists can.
    pub fn same(&self, other: &Stored) -> bool {
        let whole = |etag: &str| !etag.contains('-');
        let comparable = whole(&self.etag) && whole(&other.etag);
        self.size == other.size && (!comparable || self.etag == other.etag)
    }
}

/// What the lists of two buckets, and reading some of their objects, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// The bucket that is copied.
    pub source: String,
    /// Its objects, by key.
    pub originals: Vec<Stored>,
    /// The objects of the copy, by key.
    pub copies: Vec<Stored>,
    /// The key up to which both were listed; absent when they were listed to the end.
    pub until: Option<String>,
    /// The time of the source's store, in seconds since 1970.
    pub now: u64,
    /// Objects that were read from both.
    pub read: usize,
    /// Those of them that were not equal.
    pub differ: Vec<String>,
}

/// Decides on a round trip and, if there are two buckets, on what is missing in the copy. `max_lag` is in
/// seconds.
pub(super) fn judge(
    trip: &Result<String, String>,
    copies: Option<&Copies>,
    max_lag: Option<u64>,
) -> Verdict {
    let said = match trip {
        Ok(said) => said,
        Err(why) => return Verdict::Fail(why.clone()),
    };
    match (copies, max_lag) {
        (None, None) => Verdict::Pass(said.clone()),
        (Some(copies), Some(max_lag)) => match copied(copies, max_lag) {
            Verdict::Pass(evidence) => Verdict::Pass(format!("{said}; {evidence}")),
            other => other,
        },
        _ => Verdict::Unknown("the answer is to another question".to_owned()),
    }
}

fn copied(found: &Copies, max_lag: u64) -> Verdict {
    let (source, limit) = (&found.source, words(max_lag));
    let counted = |o: &&Stored| {
        !o.key.starts_with(PROBES) && found.until.as_ref().is_none_or(|last| o.key <= *last)
    };
    let due = |o: &&Stored| found.now.saturating_sub(o.at) >= max_lag;
    let originals: Vec<&Stored> = found.originals.iter().filter(counted).collect();
    let old: Vec<&Stored> = originals.iter().copied().filter(due).collect();
    let there = |o: &Stored| {
        let at = found.copies.binary_search_by(|c| c.key.cmp(&o.key));
        at.is_ok_and(|i| o.same(&found.copies[i]))
    };
    let missing: Vec<&&Stored> = old.iter().filter(|o| !there(o)).collect();
    if let Some(oldest) = missing.iter().min_by_key(|o| o.at) {
        return Verdict::Fail(format!(
            "{} of {} objects that are in {source} for {limit} or longer are not in the copy; {} since {}",
            missing.len(),
            old.len(),
            oldest.key,
            words(found.now.saturating_sub(oldest.at))
        ));
    }
    if !found.differ.is_empty() {
        let keys = found.differ.join(", ");
        return Verdict::Fail(format!(
            "read from {source} and from the copy, these differ: {keys}"
        ));
    }
    if old.is_empty() {
        return Verdict::Unknown(format!(
            "{source} holds nothing for {limit} or longer: whether it is copied in time is not known"
        ));
    }
    let part = match &found.until {
        Some(last) => format!(" (up to {last}; there are more)"),
        None => String::new(),
    };
    Verdict::Pass(format!(
        "{} objects of {source}, in it for {limit} or longer, are in the copy{part}; {} read and equal",
        old.len(),
        found.read
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: &str, at: u64, etag: &str) -> Stored {
        Stored {
            key: key.to_owned(),
            size: 1,
            etag: etag.to_owned(),
            at,
        }
    }

    fn found(originals: Vec<Stored>, copies: Vec<Stored>) -> Copies {
        Copies {
            source: "pz".to_owned(),
            originals,
            copies,
            until: None,
            now: 10_000,
            read: 1,
            differ: Vec::new(),
        }
    }

    fn name(copies: &Copies) -> &'static str {
        judge(&Ok("round".to_owned()), Some(copies), Some(900)).name()
    }

    #[test]
    fn what_is_younger_than_the_lag_is_not_missed() {
        let old = stored("a", 1_000, "x");
        let young = stored("b", 9_101, "y");
        let both = vec![old.clone(), young];
        assert_eq!(name(&found(both.clone(), vec![old.clone()])), "pass");
        let mut later = found(both, vec![old]);
        later.now += 1;
        assert_eq!(name(&later), "fail");
    }

    #[test]
    fn another_content_is_no_copy_and_parts_are_not_compared() {
        let original = stored("a", 0, "x");
        assert_eq!(
            name(&found(vec![original.clone()], vec![stored("a", 5, "z")])),
            "fail"
        );
        assert_eq!(
            name(&found(vec![original.clone()], vec![stored("a", 5, "z-2")])),
            "pass"
        );
        let mut read = found(vec![original.clone()], vec![original]);
        read.differ.push("a".to_owned());
        assert_eq!(name(&read), "fail");
    }

    #[test]
    fn nothing_to_judge_by_is_unknown() {
        assert_eq!(name(&found(Vec::new(), Vec::new())), "unknown");
        let probe = stored("zonewright-probe/pz/1", 0, "x");
        assert_eq!(name(&found(vec![probe], Vec::new())), "unknown");
        let trip = judge(&Ok("round".to_owned()), None, Some(900));
        assert_eq!(trip.name(), "unknown");
        assert_eq!(judge(&Err("no".to_owned()), None, None).name(), "fail");
    }

    #[test]
    fn what_was_not_listed_in_both_is_not_judged() {
        let mut part = found(
            vec![stored("a", 0, "x"), stored("b", 0, "x")],
            vec![stored("a", 0, "x")],
        );
        part.until = Some("a".to_owned());
        let verdict = judge(&Ok("round".to_owned()), Some(&part), Some(900));
        assert!(verdict.evidence().contains("up to a"), "{verdict:?}");
    }
}
