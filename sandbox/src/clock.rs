//! The port to time: what stored times are compared with. Pauses go through tokio, so that a virtual
//! clock and the timers of a paused runtime are one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A clock that stored times follow.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> u64;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now_ms(&self) -> u64 {
        millis(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}

/// Time as tokio's runtime counts it: where that is paused, a day passes as soon as everybody waits
/// for it. Read inside that runtime.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    begun: Instant,
    epoch_ms: u64,
}

impl VirtualClock {
    /// A clock that shows `epoch_ms`, in milliseconds since the epoch, now.
    pub fn starting_at(epoch_ms: u64) -> VirtualClock {
        VirtualClock {
            begun: Instant::now(),
            epoch_ms,
        }
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> u64 {
        self.epoch_ms.saturating_add(millis(self.begun.elapsed()))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
