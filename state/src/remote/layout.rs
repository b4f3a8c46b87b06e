//! The keys of a state in a store of objects.
//!
//! ```text
//! meta.json                                  the lineage, made once
//! pz/log/00000000000000000042                one batch of the log
//! pz/snap/00000000000000000042-<digest/16>   the state with that batch in it
//! pz/hint                                    who writes and how far the log is; nothing depends on it
//! ```

use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::Digest;

/// A batch.
pub(crate) fn log(shard: &ZoneName, seq: u64) -> String {
    format!("{shard}/log/{seq:020}")
}

/// A snapshot.
pub(crate) fn snap(shard: &ZoneName, seq: u64, bytes: &[u8]) -> String {
    format!("{shard}/snap/{seq:020}-{}", mark(bytes))
}

/// What the keys of all batches of a shard begin with.
pub(crate) fn logs(shard: &ZoneName) -> String {
    format!("{shard}/log/")
}

/// What the keys of all snapshots of a shard begin with.
pub(crate) fn snaps(shard: &ZoneName) -> String {
    format!("{shard}/snap/")
}

/// The hint.
pub(crate) fn hint(shard: &ZoneName) -> String {
    format!("{shard}/hint")
}

/// Sixteen digits of the digest of a snapshot's bytes, sealed if they are.
pub(crate) fn mark(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    let digits = digest.rsplit(':').next().unwrap_or_default();
    digits.chars().take(16).collect()
}

/// What a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Meta,
    Log {
        shard: ZoneName,
        seq: u64,
    },
    Snap {
        shard: ZoneName,
        seq: u64,
        mark: String,
    },
    Hint,
    /// What a probe left behind.
    Probe,
    Unknown,
}

/// Reads a key.
pub(crate) fn parse(key: &str) -> Named {
    if key == crate::meta::KEY {
        return Named::Meta;
    }
    let parts: Vec<&str> = key.split('/').collect();
    let shard = parts[0].parse::<ZoneName>();
    match (parts.as_slice(), shard) {
        ([crate::store::probe::PLACE, ..], _) => Named::Probe,
        ([_, "hint"], Ok(_)) => Named::Hint,
        ([_, "log", number], Ok(shard)) => match number_of(number) {
            Some(seq) => Named::Log { shard, seq },
            None => Named::Unknown,
        },
        ([_, "snap", name], Ok(shard)) => match name.split_once('-') {
            Some((number, mark)) => match number_of(number) {
                Some(seq) => Named::Snap {
                    shard,
                    seq,
                    mark: mark.to_owned(),
                },
                None => Named::Unknown,
            },
            None => Named::Unknown,
        },
        _ => Named::Unknown,
    }
}

fn number_of(text: &str) -> Option<u64> {
    let whole = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let pz: ZoneName = "pz".parse().unwrap();
        let log = Named::Log {
            shard: pz.clone(),
            seq: 42,
        };
        assert_eq!(parse(&super::log(&pz, 42)), log);
        let Named::Snap { seq, mark, .. } = parse(&snap(&pz, 7, b"text")) else {
            panic!("a snapshot is one");
        };
        assert_eq!((seq, mark.len()), (7, 16));
        assert_eq!(parse(&hint(&pz)), Named::Hint);
        assert_eq!(parse("meta.json"), Named::Meta);
        assert_eq!(parse("_probe/x/one"), Named::Probe);
        for other in ["pz/log/42", "pz/snap/1", "x", "pz/log/1/2"] {
            assert_eq!(parse(other), Named::Unknown, "{other}");
        }
    }
}
