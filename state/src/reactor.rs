//! The runtime of the stores that are reached over a network: on threads of its own, so that callers
//! may block on it from anywhere, and what keeps a shard taken goes on while they do other things.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The runtime.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("state")
            .enable_all()
            .build()
            .expect("invariant: the system gives two threads")
    })
}

/// Waits for a future, also on a thread of another runtime.
pub(crate) fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime().block_on(future));
        waiting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
