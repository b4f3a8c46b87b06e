//! Named points at which a build for tests ends its own process, as a kill or a loss of power would.
//!
//! Only the feature `failpoints` makes them something; no release has it. With it,
//! `ZONEWRIGHT_FAIL=label:k` ends the process where it passes the point `label` for the k-th time, and
//! `ZONEWRIGHT_FAIL_LOG=FILE` writes the label of every point that is passed to a file, a line each.
//!
//! `ZONEWRIGHT_BREAK=name` leaves out a precaution. A test must miss each of them, which
//! `cargo xtask precautions` finds out.

/// The process passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_label: &'static str) {}

/// The process passes a point, and may not get beyond it.
#[cfg(feature = "failpoints")]
pub fn pass(label: &'static str) {
    armed::pass(label);
}

/// Whether a precaution is left out.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn without(_precaution: &'static str) -> bool {
    false
}

/// Whether a precaution is left out.
#[cfg(feature = "failpoints")]
pub fn without(precaution: &'static str) -> bool {
    armed::left_out().is_some_and(|name| name == precaution)
}

#[cfg(feature = "failpoints")]
#[expect(
    clippy::disallowed_methods,
    reason = "a build for tests is told where to fail by its environment, wherever it is"
)]
mod armed {
    use std::collections::BTreeMap;
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::sync::{LazyLock, Mutex, PoisonError};

    struct Armed {
        at: Option<(String, u64)>,
        log: Option<File>,
        passed: BTreeMap<&'static str, u64>,
    }

    static ARMED: LazyLock<Mutex<Armed>> = LazyLock::new(|| {
        let at = std::env::var("ZONEWRIGHT_FAIL").ok().and_then(|text| {
            let (label, k) = text.rsplit_once(':')?;
            Some((label.to_owned(), k.parse().ok()?))
        });
        let log = std::env::var_os("ZONEWRIGHT_FAIL_LOG").and_then(|path| {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.ok()
        });
        Mutex::new(Armed {
            at,
            log,
            passed: BTreeMap::new(),
        })
    });

    /// The precaution that is left out.
    pub(super) fn left_out() -> Option<&'static str> {
        static LEFT_OUT: LazyLock<Option<String>> =
            LazyLock::new(|| std::env::var("ZONEWRIGHT_BREAK").ok());
        LEFT_OUT.as_deref()
    }

    pub(super) fn pass(label: &'static str) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = &mut armed.log {
            // Who counts the lines sees that one is missing.
            let _ = writeln!(log, "{label}");
        }
        let passed = armed.passed.entry(label).or_default();
        *passed += 1;
        let passed = *passed;
        if let Some((at, k)) = &armed.at
            && at == label
            && *k == passed
        {
            // Nothing is flushed and nothing is dropped.
            std::process::abort();
        }
    }
}
