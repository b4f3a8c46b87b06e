//! The hint of a shard: overwritten by whoever writes, at intervals. That it moves shows others that
//! the writer lives; how far the log was makes a gap in it visible. Nothing else rests on it.

use serde::{Deserialize, Serialize};
use zonewright_engine::canon;
use zonewright_engine::journal::Holder;

/// What a writer says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hint {
    pub(crate) epoch: u64,
    pub(crate) nonce: String,
    pub(crate) holder: Holder,
    /// The last batch.
    pub(crate) seq: u64,
    /// Counted up each time.
    pub(crate) beat: u64,
}

impl Hint {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        canon::bytes(self)
    }

    /// Bytes that are no hint say nothing.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Hint> {
        serde_json::from_slice(bytes).ok()
    }
}
