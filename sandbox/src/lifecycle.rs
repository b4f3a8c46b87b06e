//! The life of a sandbox server: who owns a world, where it is served, when it ends.
//!
//! A world directory has one owner at a time, the holder of the lock on `serve.lock`. What the
//! owner writes to `serve.json` is a hint: [`attach`] believes it only when the server answers
//! there and serves this very directory.

mod clusters;
mod ready;
mod sockets;

use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::control::Client;
use crate::dns;
use crate::identity::Identity;
use crate::listener::{self, Doors};
use crate::mysql;
use crate::profile::Profile;
use crate::sandbox::{OpenError, Sandbox};

use clusters::Clusters;
pub use ready::{Endpoints, Ready};
use sockets::Sockets;

const PAUSE: Duration = Duration::from_millis(20);
const HANDOVER: Duration = Duration::from_secs(5);

/// How a world is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The world's directory; created when missing.
    pub dir: PathBuf,
    /// The address to listen on; without one, the port of the last time or any free one.
    pub listen: Option<SocketAddr>,
    /// How fast asynchronous work gets done.
    pub profile: Profile,
    /// Stop after this time without requests.
    pub idle_exit: Option<Duration>,
}

/// Why a world cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another server has this world.
    #[error("the sandbox in {dir} is served by process {pid} already")]
    Owned {
        /// The world's directory.
        dir: String,
        /// The owner.
        pid: u32,
    },
    /// Another process has the lock but does not answer.
    #[error("another process has locked the sandbox in {dir} and does not answer")]
    Locked {
        /// The world's directory.
        dir: String,
    },
    /// Only loopback addresses are served.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address is taken or not to be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The world cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The clusters' certificate cannot be made.
    #[error("the clusters of the sandbox cannot be served over TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file of the world cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// No server came up in time.
    #[error("no server for the sandbox in {dir} came up in time")]
    NotReady {
        /// The world's directory.
        dir: String,
    },
}

/// Serves a world until `shutdown` resolves, a stop is asked for, or it has been idle for long
/// enough. `on_ready` is called once the server takes requests.
///
/// # Errors
/// The world is served already, or its files or its address cannot be used.
pub async fn serve(
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), ServeError> {
    if let Some(address) = options.listen
        && !address.ip().is_loopback()
    {
        return Err(ServeError::NotLoopback(address));
    }
    let dir = prepare(&options.dir)?;
    let _owner = own(&dir).await?;
    let file_error = |file: &str| {
        let path = dir.join(file).display().to_string();
        move |source| ServeError::File { path, source }
    };
    let mut identity = Identity::load_or_create(&dir).map_err(file_error("identity.json"))?;
    let sockets = Sockets::bind(options.listen, &mut identity).await?;
    let endpoints = sockets.endpoints;
    identity.save(&dir).map_err(file_error("identity.json"))?;
    let clusters = Clusters::of(&dir, endpoints.clusters)?;
    let sandbox = Sandbox::open(&dir, options.profile, &clusters.face.origin)?;
    let sandbox = Arc::new(sandbox.facing(clusters.face));
    let ready = Ready::of(&sandbox, endpoints);
    // Dropped at the end, with every connection.
    let mut servers = JoinSet::new();
    servers.spawn(mysql::run(sandbox.clone(), sockets.mysql));
    for (place, (udp, tcp)) in [
        (dns::Place::First, sockets.dns),
        (dns::Place::Second, sockets.secondary),
    ] {
        servers.spawn(dns::run(sandbox.clone(), place, udp, tcp));
    }
    ready.save(&dir).map_err(file_error("serve.json"))?;
    on_ready(&ready);
    let doors = Doors {
        plain: sockets.http,
        clusters: sockets.clusters,
        tls: clusters.tls,
    };
    let until = end(&sandbox, options.idle_exit, shutdown);
    listener::run(sandbox.clone(), doors, until).await;
    // Gone before the lock is: nobody is led to a server that has ended.
    Ready::remove(&dir).map_err(file_error("serve.json"))
}

/// The server of a directory, if one answers.
pub async fn attach(dir: &Path) -> Option<Ready> {
    let dir = dir.canonicalize().ok()?;
    let ready = Ready::load(&dir)?;
    let health = Client::new(&ready.control_url())
        .ok()?
        .health()
        .await
        .ok()?;
    let serves = |field: &str, want: &str| health[field].as_str() == Some(want);
    (serves("id", ready.id()) && serves("dir", &dir.to_string_lossy())).then_some(ready)
}

/// Waits for a server of a directory that somebody is starting.
///
/// # Errors
/// None answers in time.
pub async fn wait_ready(dir: &Path, timeout: Duration) -> Result<Ready, ServeError> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(ready) = attach(dir).await {
            return Ok(ready);
        }
        if Instant::now() >= deadline {
            return Err(ServeError::NotReady {
                dir: dir.display().to_string(),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The id of the world in a directory, served or not, if there is one.
pub fn world_id(dir: &Path) -> Option<String> {
    Identity::load(dir).ok().flatten().map(|found| found.id)
}

fn prepare(dir: &Path) -> Result<PathBuf, ServeError> {
    let prepare = || {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(dir)?;
        dir.canonicalize()
    };
    prepare().map_err(|source| ServeError::File {
        path: dir.display().to_string(),
        source,
    })
}

async fn own(dir: &Path) -> Result<File, ServeError> {
    let path = dir.join("serve.lock");
    let file_error = |source| ServeError::File {
        path: path.display().to_string(),
        source,
    };
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(file_error)?;
    let deadline = Instant::now() + HANDOVER;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(file_error(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        let shown = dir.display().to_string();
        if let Some(ready) = attach(dir).await {
            let pid = ready.pid();
            return Err(ServeError::Owned { dir: shown, pid });
        }
        // The owner is starting or ending: one of the two will show soon.
        if Instant::now() >= deadline {
            return Err(ServeError::Locked { dir: shown });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn end(sandbox: &Sandbox, idle_exit: Option<Duration>, shutdown: impl Future<Output = ()>) {
    let idle = async {
        let Some(limit) = idle_exit else {
            return std::future::pending().await;
        };
        while let Some(left) = limit.checked_sub(sandbox.idle()).filter(|d| !d.is_zero()) {
            tokio::time::sleep(left.max(Duration::from_millis(1))).await;
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = sandbox.stopped() => {}
        () = idle => {}
    }
}
