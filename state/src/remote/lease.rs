//! For how long a writer may act on what it announced. Others take a shard over when they have watched its
//! writer for longer than a living one is ever silent; who was paused, or asleep, finds that out here,
//! before it sends anything.

use std::sync::Mutex;
use std::time::Duration;
use zonewright_engine::failpoint;

use rustix::time::{ClockId, clock_gettime};

/// When the log last proved that the shard is ours.
pub(super) struct Lease {
    ttl: Duration,
    proven: Mutex<Duration>,
}

impl Lease {
    pub(super) fn new(ttl: Duration) -> Lease {
        Lease {
            ttl,
            proven: Mutex::new(now()),
        }
    }

    /// What was written after this moment and became ours proves it as of then.
    pub(super) fn prove(&self, since: Duration) {
        *self.lock() = since;
    }

    /// For how long there was no proof, if that is too long to act without a new one.
    pub(super) fn lapsed(&self) -> Option<Duration> {
        self.lapsed_at(now())
    }

    /// A sixth of the time is left for a request to leave.
    fn lapsed_at(&self, now: Duration) -> Option<Duration> {
        let silent = now.saturating_sub(*self.lock());
        let lapsed = silent > self.ttl - self.ttl / 6;
        (lapsed && !failpoint::without("lease-asked")).then_some(silent)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Duration> {
        let proven = self.proven.lock();
        proven.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Time since the host started, also while it slept: others do not sleep with it.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lapses_before_others_may_take_the_shard() {
        let second = Duration::from_secs(1);
        let lease = Lease::new(second * 60);
        lease.prove(second * 100);
        for (now, silent) in [(100, None), (150, None), (151, Some(51)), (161, Some(61))] {
            let silent = silent.map(Duration::from_secs);
            assert_eq!(lease.lapsed_at(second * now), silent, "at {now}");
        }
        lease.prove(second * 151);
        assert_eq!(lease.lapsed_at(second * 161), None);
        assert_eq!(lease.lapsed_at(second * 10), None, "a clock that went back");
    }
}
