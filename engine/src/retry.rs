//! The one retry policy: which error may be tried again, and when.
//!
//! Pure: the caller counts the attempts and sleeps. Used by the providers for single requests and by
//! the engine for whole operations. Jitter is a function of the seed and the attempt, so that a run
//! can be repeated exactly.

use std::time::Duration;

use crate::provider::ErrorClass;

/// A vendor that asks for a longer pause than this is not waited for: the caller reports it instead.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60);

/// How long [`ErrorClass::NotYet`] is repeated in all, counted in nominal pauses. A replica of a
/// fresh database cluster has to wait for the first backup, which takes up to half an hour.
const NOT_YET_BUDGET: Duration = Duration::from_secs(40 * 60);

/// How often, and with what pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all, the first included. Does not bound [`ErrorClass::NotYet`].
    pub attempts: u32,
    /// The first pause; each later one is twice as long.
    pub base: Duration,
    /// No pause that we choose is longer.
    pub cap: Duration,
    /// Spreads the jitter; the same seed gives the same pauses.
    pub seed: u64,
}

impl Default for Policy {
    /// Five attempts within about half a minute: longer than a vendor's hiccup, shorter than a
    /// reader's patience.
    fn default() -> Policy {
        Policy {
            attempts: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
            seed: 0,
        }
    }
}

impl Policy {
    /// The pause before the next attempt, or `None` when there shall be none. `attempt` is the number
    /// of attempts already made (at least one); `idempotent` says whether repeating is harmless even
    /// if the last attempt was carried out.
    pub fn next(&self, class: &ErrorClass, attempt: u32, idempotent: bool) -> Option<Duration> {
        let after = match class {
            ErrorClass::NotYet { after } => return self.not_yet(*after, attempt),
            ErrorClass::NotSent => None,
            ErrorClass::RateLimited { after } => *after,
            ErrorClass::Transient { after } if idempotent => *after,
            ErrorClass::Ambiguous if idempotent => None,
            ErrorClass::Transient { .. }
            | ErrorClass::Ambiguous
            | ErrorClass::NotFound
            | ErrorClass::Conflict
            | ErrorClass::Invalid
            | ErrorClass::Unauthorized
            | ErrorClass::Denied
            | ErrorClass::WrongCluster
            | ErrorClass::Unreachable
            | ErrorClass::Failed
            | ErrorClass::Bug => return None,
        };
        if attempt >= self.attempts {
            return None;
        }
        self.pause(after, attempt)
    }

    fn not_yet(&self, after: Option<Duration>, attempt: u32) -> Option<Duration> {
        let mut spent = Duration::ZERO;
        for n in 1..attempt {
            spent = spent.saturating_add(after.unwrap_or_default().max(self.nominal(n)));
            if spent >= NOT_YET_BUDGET {
                return None;
            }
        }
        self.pause(after, attempt)
    }

    /// What the vendor asked for is a lower bound; jitter comes on top.
    fn pause(&self, after: Option<Duration>, attempt: u32) -> Option<Duration> {
        let nominal = self.nominal(attempt);
        match after {
            Some(asked) if asked > LONGEST_WAIT => None,
            Some(asked) => Some(asked.max(nominal) + self.jitter(nominal, attempt)),
            None => Some(nominal / 2 + self.jitter(nominal, attempt)),
        }
    }

    fn nominal(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// Up to half of the nominal pause.
    fn jitter(&self, nominal: Duration, attempt: u32) -> Duration {
        let mut x = self.seed ^ (u64::from(attempt) << 32) ^ 0x9e37_79b9_7f4a_7c15;
        // One round of splitmix64 spreads neighbouring seeds and attempts over the whole range.
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let thousandths = u32::try_from((x ^ (x >> 31)) % 1000).unwrap_or(0);
        nominal / 2 * thousandths / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(policy: Policy, class: &ErrorClass) -> (u32, Duration) {
        let mut attempt = 1;
        let mut spent = Duration::ZERO;
        while let Some(pause) = policy.next(class, attempt, true) {
            spent += pause;
            attempt += 1;
        }
        (attempt, spent)
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_when_harmless() {
        let policy = Policy::default();
        let after = None;
        for class in [ErrorClass::Ambiguous, ErrorClass::Transient { after }] {
            assert!(policy.next(&class, 1, true).is_some(), "{class:?}");
            assert_eq!(policy.next(&class, 1, false), None, "{class:?}");
        }
        for class in [
            ErrorClass::NotSent,
            ErrorClass::RateLimited { after },
            ErrorClass::NotYet { after },
        ] {
            assert!(policy.next(&class, 1, false).is_some(), "{class:?}");
        }
    }

    #[test]
    fn verdicts_are_never_repeated() {
        for class in [
            ErrorClass::NotFound,
            ErrorClass::Conflict,
            ErrorClass::Invalid,
            ErrorClass::Unauthorized,
            ErrorClass::Denied,
            ErrorClass::Unreachable,
            ErrorClass::Failed,
            ErrorClass::Bug,
        ] {
            assert_eq!(Policy::default().next(&class, 1, true), None, "{class:?}");
        }
    }

    #[test]
    fn not_yet_is_repeated_for_about_forty_minutes() {
        let class = ErrorClass::NotYet { after: None };
        let (attempts, spent) = total(Policy::default(), &class);
        assert!((200..600).contains(&attempts), "{attempts}");
        assert!(spent > Duration::from_secs(20 * 60) && spent < Duration::from_secs(41 * 60));
        let patient = ErrorClass::NotYet {
            after: Some(Duration::from_secs(60)),
        };
        assert!((35..=45).contains(&total(Policy::default(), &patient).0));
    }

    #[test]
    fn a_wait_beyond_reason_is_reported_instead() {
        let after = Some(Duration::from_secs(3600));
        let class = ErrorClass::RateLimited { after };
        assert_eq!(Policy::default().next(&class, 1, true), None);
    }

    proptest! {
        #[test]
        fn pauses_respect_the_vendor_and_the_cap(seed: u64, attempt in 1u32..5, asked in 0u64..300) {
            let policy = Policy { seed, ..Policy::default() };
            let asked = Duration::from_secs(asked);
            let told = policy
                .next(&ErrorClass::RateLimited { after: Some(asked) }, attempt, false)
                .expect("within the attempts");
            prop_assert!(told >= asked && told <= asked + policy.cap * 2);
            let own = policy.next(&ErrorClass::NotSent, attempt, false).expect("within the attempts");
            prop_assert!(own <= policy.cap);
            prop_assert_eq!(policy.next(&ErrorClass::NotSent, attempt, false), Some(own));
        }
    }
}
