//! Latency profiles: how long the vendors' asynchronous work takes in the sandbox.

use std::time::Duration;

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
            Profile::Fast => real / 6000,
            Profile::Realistic => real,
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
