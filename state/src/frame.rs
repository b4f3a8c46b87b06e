//! Frames of a journal file: `length (u32, LE) | CRC-32C (u32, LE) | bytes`.
//!
//! The bytes of a frame are JSON, so they hold no NUL. That tells a torn append (cut short, or
//! extended by zeros that the data never replaced) from damage: a complete frame without a run of
//! zeros whose checksum fails was written whole and changed later. No flip of a single bit can
//! make a record look torn. What stays undecidable is a file that was cut exactly like a crash
//! would cut it; the high-water mark is for that.

use zonewright_engine::failpoint;

const HEAD: usize = 8;

/// What is at a place of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// The end.
    End,
    /// A whole frame.
    Frame {
        /// Its bytes.
        payload: &'a [u8],
        /// Where the next one begins.
        end: usize,
    },
    /// The remains of an append that did not finish.
    Torn,
    /// Something that no append leaves behind.
    Damaged(&'static str),
}

/// A frame around bytes.
///
/// # Panics
/// More than 4 GiB are framed.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("invariant: batches are small");
    let mut out = Vec::with_capacity(HEAD + payload.len());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// Reads what is at an offset.
pub fn next(bytes: &[u8], at: usize) -> Next<'_> {
    let rest = &bytes[at..];
    if rest.is_empty() {
        return Next::End;
    }
    if let Some(payload) = whole(rest) {
        return Next::Frame {
            payload,
            end: at + HEAD + payload.len(),
        };
    }
    if rest.iter().all(|b| *b == 0) {
        return Next::Torn;
    }
    if (1..rest.len()).any(|skip| whole(&rest[skip..]).is_some()) {
        return Next::Damaged("a record is unreadable and a valid one follows");
    }
    classify(rest)
}

/// Where the next whole frame begins, at an offset or after it.
pub fn resume(bytes: &[u8], at: usize) -> Option<usize> {
    (at..bytes.len()).find(|at| whole(&bytes[*at..]).is_some())
}

/// The payload of a frame whose checksum is right.
fn whole(rest: &[u8]) -> Option<&[u8]> {
    let (len, crc) = head(rest)?;
    let payload = rest.get(HEAD..HEAD.checked_add(len)?)?;
    let right = crc32c::crc32c(payload) == crc || failpoint::without("checksum-read");
    (len > 0 && payload[0] == b'{' && right).then_some(payload)
}

fn head(rest: &[u8]) -> Option<(usize, u32)> {
    let len = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
    let crc = u32::from_le_bytes(rest.get(4..HEAD)?.try_into().ok()?);
    Some((usize::try_from(len).ok()?, crc))
}

/// Torn or damaged, for the last frame of a file.
fn classify(rest: &[u8]) -> Next<'static> {
    let Some((len, crc)) = head(rest) else {
        return Next::Torn;
    };
    let body = &rest[HEAD..];
    if !body.is_empty() && crc32c::crc32c(body) == crc {
        return Next::Damaged("the length of a record is wrong");
    }
    let hole = |b: &[u8]| b.last() == Some(&0) || b.windows(2).any(|w| w == [0, 0]);
    if len > body.len() || hole(body) {
        return Next::Torn;
    }
    Next::Damaged("the checksum of a record is wrong")
}
