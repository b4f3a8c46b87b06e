//! The one rate limiter: a token bucket per credential, corrected by what the vendor's headers say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// Requests that may go out at once. Both vendors allow about 250 a minute before they refuse.
const CAPACITY: f64 = 200.0;
/// Requests per second that both vendors sustain: 250 a minute and 1200 in five minutes.
const REFILL: f64 = 4.0;

/// Shared by everything that uses one credential.
#[derive(Debug)]
pub(crate) struct Limiter {
    bucket: Mutex<Bucket>,
    /// Whether there is a budget; pauses that were asked for are kept all the same.
    bounded: bool,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Duration,
    paused_until: Duration,
    heard: Option<Duration>,
}

impl Limiter {
    pub(crate) fn new(clock: &dyn Clock) -> Limiter {
        Limiter {
            bucket: Mutex::new(Bucket {
                tokens: CAPACITY,
                at: clock.now(),
                paused_until: Duration::ZERO,
                heard: None,
            }),
            bounded: true,
        }
    }

    /// Without a budget of our own.
    pub(crate) fn unbounded(clock: &dyn Clock) -> Limiter {
        Limiter {
            bounded: false,
            ..Limiter::new(clock)
        }
    }

    /// Ends when a request may go out.
    pub(crate) async fn admit(&self, clock: &dyn Clock) {
        while let Some(pause) = self.take(clock.now()) {
            clock.sleep(pause).await;
        }
    }

    /// Takes a token, or says how long to wait for one.
    fn take(&self, now: Duration) -> Option<Duration> {
        let mut bucket = self.lock();
        if now < bucket.paused_until {
            return Some(bucket.paused_until.saturating_sub(now));
        }
        if !self.bounded {
            return None;
        }
        let passed = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * REFILL).min(CAPACITY);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - bucket.tokens) / REFILL))
    }

    /// The vendor said how many requests are left.
    pub(crate) fn remaining(&self, left: u32) {
        let mut bucket = self.lock();
        bucket.tokens = bucket.tokens.min(f64::from(left));
    }

    /// The vendor asked for a pause; every user of the credential keeps it.
    pub(crate) fn pause_until(&self, until: Duration) {
        let mut bucket = self.lock();
        bucket.paused_until = bucket.paused_until.max(until);
    }

    /// The vendor answered.
    pub(crate) fn heard(&self, now: Duration) {
        self.lock().heard = Some(now);
    }

    /// How long the vendor has been silent; a pause that it asked for is none.
    pub(crate) fn silent_for(&self, now: Duration) -> Option<Duration> {
        let bucket = self.lock();
        let heard = bucket.heard?.max(bucket.paused_until);
        Some(now.saturating_sub(heard))
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::TestClock;

    #[test]
    fn a_pause_that_was_asked_for_is_no_silence() {
        let at = Duration::from_secs;
        let limiter = Limiter::new(&TestClock::default());
        assert_eq!(limiter.silent_for(at(5)), None);
        limiter.heard(at(5));
        assert_eq!(limiter.silent_for(at(7)), Some(at(2)));
        limiter.pause_until(at(20));
        assert_eq!(limiter.silent_for(at(19)), Some(at(0)));
        assert_eq!(limiter.silent_for(at(23)), Some(at(3)));
    }

    #[tokio::test]
    async fn a_burst_passes_and_then_the_sustained_rate_holds() {
        let clock = TestClock::default();
        let limiter = Limiter::new(&clock);
        for _ in 0..200 {
            limiter.admit(&clock).await;
        }
        assert_eq!(clock.now(), Duration::ZERO);
        for _ in 0..40 {
            limiter.admit(&clock).await;
        }
        let spent = clock.now().as_secs_f64();
        assert!((9.9..10.2).contains(&spent), "{spent}");
    }

    #[tokio::test]
    async fn an_emulator_has_no_budget_but_its_pauses_are_kept() {
        let clock = TestClock::default();
        let limiter = Limiter::unbounded(&clock);
        for _ in 0..1000 {
            limiter.admit(&clock).await;
        }
        assert_eq!(clock.now(), Duration::ZERO);
        limiter.pause_until(Duration::from_secs(3));
        limiter.admit(&clock).await;
        assert!(clock.now() >= Duration::from_secs(3));
    }

    #[tokio::test]
    async fn the_vendor_has_the_last_word() {
        let clock = TestClock::default();
        let limiter = Limiter::new(&clock);
        limiter.remaining(1);
        limiter.admit(&clock).await;
        assert_eq!(clock.now(), Duration::ZERO);
        limiter.pause_until(Duration::from_secs(29));
        limiter.admit(&clock).await;
        assert!(clock.now() >= Duration::from_secs(29));
    }
}
