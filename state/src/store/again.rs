//! Patience with stores that are reached over a network: what may work in a moment is tried again.

use std::time::Duration;

/// How often something is tried whose answer tells nothing.
pub(super) const TRIES: u32 = 6;
/// Between the first two tries; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// For a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For an answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits after a try, counted from one.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
}

/// Does what may be done twice, and again while it fails in a way that may pass.
pub(super) async fn again<T, E, F>(passes: impl Fn(&E) -> bool, act: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    loop {
        match act().await {
            Err(error) if passes(&error) && attempt < TRIES => pause(attempt).await,
            other => return other,
        }
        attempt += 1;
    }
}
