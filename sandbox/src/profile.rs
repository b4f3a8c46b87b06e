//! Latency profiles: how long the vendors' asynchronous work takes in the sandbox.

use std::time::Duration;

/// How much faster the fast profile is than the vendors.
const FASTER: u32 = 6000;

/// How real durations are mapped to sandbox durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Asynchronous work is finished when it is asked for.
    Instant,
    /// Minutes become tens of milliseconds: the states are passed through, quickly.
    #[default]
    Fast,
    /// As long as the vendors take.
    Realistic,
}

impl Profile {
    /// Maps a real duration to the one the sandbox uses.
    pub fn scale(self, real: Duration) -> Duration {
        match self {
            Profile::Instant => Duration::ZERO,
            Profile::Fast => real / FASTER,
            Profile::Realistic => real,
        }
    }

    /// What is left of a wait that another profile scaled, in this one's time (both in milliseconds).
    pub fn convert(self, from: Profile, left: u64) -> u64 {
        let factor = |p: Profile| match p {
            Profile::Instant => 0,
            Profile::Fast => 1,
            Profile::Realistic => u64::from(FASTER),
        };
        match factor(from) {
            // Nothing is ever left of an instant.
            0 => left,
            from => (u128::from(left) * u128::from(factor(self)) / u128::from(from))
                .try_into()
                .unwrap_or(u64::MAX),
        }
    }

    /// Parses the name that the command line uses.
    pub fn parse(name: &str) -> Option<Profile> {
        match name {
            "instant" => Some(Profile::Instant),
            "fast" => Some(Profile::Fast),
            "realistic" => Some(Profile::Realistic),
            _ => None,
        }
    }

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Instant => "instant",
            Profile::Fast => "fast",
            Profile::Realistic => "realistic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_scaled_anew() {
        assert_eq!(Profile::Fast.convert(Profile::Realistic, 240_000), 40);
        assert_eq!(Profile::Realistic.convert(Profile::Fast, 40), 240_000);
        assert_eq!(Profile::Instant.convert(Profile::Realistic, 240_000), 0);
    }
}
