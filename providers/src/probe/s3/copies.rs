//! What two buckets hold: lists of both, and some objects read from both.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use rusty_s3::S3Action;
use rusty_s3::actions::ListObjectsV2;
use zonewright_engine::check::{Copies, PROBES, Stored};
use zonewright_engine::provider::ProviderError;

use super::{SIGNED, Store, failed};

/// Pages of a thousand objects that are listed of each bucket: what is beyond is not judged.
const MOST_PAGES: usize = 20;
/// Objects that are read from both buckets.
const SAMPLES: usize = 3;
/// No larger ones are read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The objects of a bucket by key, the last key if there are more, and the store's time.
struct Listed {
    objects: Vec<Stored>,
    until: Option<String>,
    now: u64,
}

/// Compares a bucket with the one that it is a copy of.
pub(super) async fn compare(source: &Store, copy: &Store) -> Result<Copies, ProviderError> {
    let (originals, copies) = futures::try_join!(list(source), list(copy))?;
    let until = [&originals.until, &copies.until];
    let until = until.into_iter().flatten().min().cloned();
    let mut found = Copies {
        source: source.bucket.name().to_owned(),
        originals: originals.objects,
        copies: copies.objects,
        until,
        now: originals.now,
        read: 0,
        differ: Vec::new(),
    };
    for key in samples(&found)? {
        let (theirs, own) =
            futures::try_join!(source.read(&key), copy.read(&key)).map_err(failed)?;
        found.read += 1;
        if theirs != own {
            found.differ.push(key);
        }
    }
    Ok(found)
}

/// Keys of some objects that both have, other ones each time.
fn samples(found: &Copies) -> Result<Vec<String>, ProviderError> {
    let both: Vec<&Stored> = found
        .originals
        .iter()
        .filter(|o| o.size <= LARGEST && !o.key.starts_with(PROBES))
        .filter(|o| found.copies.iter().any(|c| c.key == o.key && o.same(c)))
        .collect();
    let mut seed = [0u8; 8];
    getrandom::fill(&mut seed).map_err(|e| failed(e.to_string()))?;
    let most = u64::try_from(both.len()).unwrap_or(u64::MAX).max(1);
    let start = usize::try_from(u64::from_le_bytes(seed) % most).unwrap_or(0);
    let around = both.iter().cycle().skip(start);
    let keys = around.take(SAMPLES.min(both.len())).map(|o| o.key.clone());
    Ok(keys.collect())
}

async fn list(store: &Store) -> Result<Listed, ProviderError> {
    let mut out = Listed {
        objects: Vec::new(),
        until: None,
        now: 0,
    };
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut action = store.bucket.list_objects_v2(Some(&store.credentials));
        if let Some(token) = &token {
            action.with_continuation_token(token.clone());
        }
        let request = store.client.get(action.sign(SIGNED));
        let reply = store.dated(request, "list").await.map_err(failed)?;
        let page = ListObjectsV2::parse_response(&reply.body).map_err(|e| failed(e.to_string()))?;
        out.now = reply
            .date
            .and_then(|d| http_date(&d))
            .ok_or_else(|| failed("the object storage does not tell its time"))?;
        for object in page.contents {
            let at = object.last_modified.as_deref().and_then(rfc3339);
            let at =
                at.ok_or_else(|| failed("the object storage does not tell how old objects are"))?;
            out.objects.push(Stored {
                key: object.key,
                size: object.size.unwrap_or(0),
                etag: object.etag.unwrap_or_default().trim_matches('"').to_owned(),
                at,
            });
        }
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    if token.is_some() {
        out.until = out.objects.last().map(|o| o.key.clone());
    }
    out.objects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(out)
}

fn rfc3339(text: &str) -> Option<u64> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_second()).ok()
}

fn http_date(text: &str) -> Option<u64> {
    let at = rfc2822::parse(text).ok()?;
    u64::try_from(at.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_of_the_store() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(rfc3339("1994-11-06T08:49:37.123Z"), Some(784_111_777));
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn only_what_both_have_is_read() {
        let stored = |key: &str, size: u64| Stored {
            key: key.to_owned(),
            size,
            etag: "x".to_owned(),
            at: 0,
        };
        let found = Copies {
            source: "pz".to_owned(),
            originals: vec![stored("a", 1), stored("b", LARGEST + 1), stored("c", 1)],
            copies: vec![stored("a", 1), stored("b", LARGEST + 1)],
            until: None,
            now: 0,
            read: 0,
            differ: Vec::new(),
        };
        assert_eq!(samples(&found).unwrap(), ["a"]);
    }
}
