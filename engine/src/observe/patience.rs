//! How long a side that does not answer is waited for.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::sessions::Sessions;
use crate::address::InstanceId;
use crate::provider::{ErrorClass, ProviderError};

/// How long an instance may be silent while planning. Longer than a vendor's hiccup with its
/// repetitions; dozens of lists that each wait for their own timeouts are no plan.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// After this long it is said who is waited for.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// Who kept us waiting so far, and who was given up.
#[derive(Default)]
pub(super) struct Patience {
    told: Mutex<BTreeSet<InstanceId>>,
    over: Mutex<BTreeSet<InstanceId>>,
}

impl Patience {
    /// Work on an instance, until it was silent for too long. That it keeps us waiting is told once.
    pub(super) async fn bound<T>(
        &self,
        sessions: &Sessions,
        id: &InstanceId,
        work: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        self.left_for(id)?;
        let begun = Instant::now();
        let silence = || {
            let since_answer = sessions.get(id).and_then(|s| s.silent_for());
            since_answer.map_or(begun.elapsed(), |since| since.min(begun.elapsed()))
        };
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(TELL_AFTER, &mut work).await {
            return done;
        }
        if locked(&self.told).insert(id.clone()) {
            sessions.tell_waiting(id);
        }
        while silence() < READ_PATIENCE {
            if let Ok(done) = timeout(READ_PATIENCE - silence(), &mut work).await {
                return done;
            }
        }
        locked(&self.over).insert(id.clone());
        Err(silent(id))
    }

    /// Whether there is any patience left for an instance.
    ///
    /// # Errors
    /// It was given up.
    pub(super) fn left_for(&self, id: &InstanceId) -> Result<(), ProviderError> {
        match locked(&self.over).contains(id) {
            true => Err(silent(id)),
            false => Ok(()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn silent(id: &InstanceId) -> ProviderError {
    let message = format!(
        "{} did not answer within {} s",
        id.provider,
        READ_PATIENCE.as_secs()
    );
    ProviderError::new(ErrorClass::Unreachable, message)
}
