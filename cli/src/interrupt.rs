//! SIGINT, SIGTERM and SIGHUP while the state is held. A terminal that goes away is an interruption like any
//! other, unless who started the command wants it to be outlived (`nohup`).
//!
//! Before anything was sent, the first one ends the command and lets the state go. During a run the
//! first one lets the requests under way end and be recorded, and starts nothing new; what a vendor is
//! still working on is not waited for, since its id is recorded and the next run takes it up. The second
//! one stops at once: what was announced is looked up by the next run.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zonewright_engine::apply::driver::Stop;

use crate::exit::Exit;
use crate::report::Failure;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Interrupt {
    stop: Stop,
    came: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Interrupt {
    /// Takes the signals over from the system, which would end the process.
    pub(crate) fn listen() -> Interrupt {
        let stop = Stop::default();
        let (tell, came) = watch::channel(false);
        let task = tokio::spawn(listen(stop.clone(), tell));
        Interrupt { stop, came, task }
    }

    /// Stops a run.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Work that sends nothing; a signal ends it.
    ///
    /// # Errors
    /// A signal came first.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut came = self.came.clone();
        tokio::select! {
            biased;
            // A listener that could not be set up never tells.
            Ok(_) = came.wait_for(|came| *came) => Err(Failure::new(
                Exit::INTERRUPTED,
                "interrupted; nothing was sent",
            )),
            done = work => Ok(done),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(stop: Stop, tell: watch::Sender<bool>) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    let mut hangup = match is_ignored(SignalKind::hangup()) {
        true => None,
        false => signal(SignalKind::hangup()).ok(),
    };
    loop {
        tokio::select! {
            got = interrupt.recv() => if got.is_none() { return },
            got = terminate.recv() => if got.is_none() { return },
            got = next(&mut hangup) => if got.is_none() { return },
        }
        if *tell.borrow() {
            stop.now();
        } else {
            stop.graceful();
        }
        tell.send_replace(true);
    }
}

/// The next signal; none ever comes of what is not listened for.
async fn next(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether the process was started with a signal ignored. Where the system does not tell, it counts as
/// ignored: what it does by itself is left as it is.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
