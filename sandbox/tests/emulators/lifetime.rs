//! The life of a server: who owns a world, where it is served, when it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zonewright_sandbox::control::{Client, ClientError};
use zonewright_sandbox::lifecycle::{
    Ready, ServeError, ServeOptions, attach, serve, wait_ready, world_id,
};
use zonewright_sandbox::profile::Profile;

/// A server on a directory of its own.
pub(crate) struct Server {
    pub(crate) ready: Ready,
    task: JoinHandle<Result<(), ServeError>>,
    dir: Arc<tempfile::TempDir>,
}

fn options(dir: &Path) -> ServeOptions {
    ServeOptions {
        dir: dir.to_owned(),
        listen: None,
        profile: Profile::Instant,
        idle_exit: None,
    }
}

async fn start(
    options: ServeOptions,
) -> Result<(Ready, JoinHandle<Result<(), ServeError>>), ServeError> {
    let (tell, told) = oneshot::channel();
    let task = tokio::spawn(serve(options, std::future::pending(), |ready: &Ready| {
        tell.send(ready.clone()).unwrap();
    }));
    match told.await {
        Ok(ready) => Ok((ready, task)),
        Err(_) => Err(task.await.unwrap().unwrap_err()),
    }
}

impl Server {
    pub(crate) async fn start(idle_exit: Option<Duration>) -> Server {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Server::start_in(dir, idle_exit).await
    }

    async fn start_in(dir: Arc<tempfile::TempDir>, idle_exit: Option<Duration>) -> Server {
        let options = ServeOptions {
            idle_exit,
            ..options(dir.path())
        };
        let (ready, task) = start(options).await.unwrap();
        Server { ready, task, dir }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.ready.control_url()).unwrap()
    }

    /// Another server on the same directory.
    pub(crate) async fn restart(self) -> Server {
        let dir = self.stop().await;
        Server::start_in(dir, None).await
    }

    pub(crate) async fn stop(self) -> Arc<tempfile::TempDir> {
        self.client().stop().await.unwrap();
        self.task.await.unwrap().unwrap();
        self.dir
    }
}

#[tokio::test]
async fn a_world_survives_a_restart_on_the_same_port() {
    let server = Server::start(None).await;
    let (address, id) = (server.ready.address(), server.ready.id().to_owned());
    let (env, secret) = (server.ready.env(), server.ready.secret("db"));
    server.client().add_zone("kept.test").await.unwrap();
    let before = server.client().dump().await.unwrap();
    let found = attach(server.dir.path()).await.unwrap();
    assert_eq!(found.env(), env);
    let dir = server.stop().await;
    assert!(attach(dir.path()).await.is_none());
    assert_eq!(world_id(dir.path()), Some(id.clone()));

    let server = Server::start_in(dir, None).await;
    assert_eq!(server.ready.address(), address);
    assert_eq!(server.ready.id(), id);
    assert_eq!(server.ready.env(), env);
    assert_eq!(server.ready.secret("db"), secret);
    assert_ne!(server.ready.secret("other"), secret);
    assert_eq!(server.client().dump().await.unwrap(), before);
    server.client().reset().await.unwrap();
    let zones = &server.client().dump().await.unwrap()["cloudflare"]["zones"];
    assert_eq!(zones.as_object().unwrap().len(), 1, "{zones}");
    server.stop().await;
}

#[tokio::test]
async fn the_tokens_are_for_the_owner_only() {
    let server = Server::start(None).await;
    let env = server.ready.env();
    let names: Vec<&str> = env.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "DIGITALOCEAN_API_URL",
            "DIGITALOCEAN_TOKEN",
            "CLOUDFLARE_BASE_URL",
            "CLOUDFLARE_API_TOKEN",
            "ZONEWRIGHT_SANDBOX_CONTROL",
            "ZONEWRIGHT_SANDBOX_MYSQL",
            "ZONEWRIGHT_SANDBOX_DNS",
            "ZONEWRIGHT_SANDBOX_S3",
            "SPACES_ACCESS_KEY_ID",
            "SPACES_SECRET_ACCESS_KEY",
        ]
    );
    assert!(env[1].1.starts_with("dop_v1_"));
    assert!(!format!("{:?}", server.ready).contains(&env[1].1));
    #[cfg(unix)]
    for file in ["serve.json", "identity.json"] {
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(server.dir.path().join(file)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{file}");
    }
    server.stop().await;
}

#[tokio::test]
async fn two_that_start_at_once_end_with_one_server() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let dir = dir.clone();
            tokio::spawn(async move {
                let started = start(options(dir.path())).await;
                let ready = wait_ready(dir.path(), Duration::from_secs(5))
                    .await
                    .unwrap();
                (started, ready)
            })
        })
        .collect();
    let mut owners = Vec::new();
    let mut addresses = Vec::new();
    for attempt in attempts {
        let (started, ready) = attempt.await.unwrap();
        addresses.push(ready.address());
        match started {
            Ok(owner) => owners.push(owner),
            Err(ServeError::Owned { pid, .. }) => assert_eq!(pid, std::process::id()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(owners.len(), 1);
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    let (ready, task) = owners.remove(0);
    let client = Client::new(&ready.control_url()).unwrap();
    client.stop().await.unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_server_ends_by_itself_but_not_while_it_is_asked() {
    let limit = Duration::from_millis(250);
    let server = Server::start(Some(limit)).await;
    let client = server.client();
    let start = Instant::now();
    while start.elapsed() < limit * 2 {
        client.health().await.unwrap();
        tokio::time::sleep(limit / 10).await;
    }
    server.task.await.unwrap().unwrap();
    assert!(start.elapsed() >= limit * 3 - limit / 5);
    let gone = client.health().await.unwrap_err();
    assert!(matches!(gone, ClientError::Connect { .. }), "{gone}");
    assert!(attach(server.dir.path()).await.is_none());
}

#[tokio::test]
async fn the_caller_can_end_it_and_only_loopback_is_served() {
    let dir = tempfile::tempdir().unwrap();
    serve(options(dir.path()), std::future::ready(()), |_| {})
        .await
        .unwrap();
    let everywhere = ServeOptions {
        listen: Some("0.0.0.0:0".parse().unwrap()),
        ..options(dir.path())
    };
    let refused = serve(everywhere, std::future::pending(), |_| {}).await;
    assert!(matches!(refused, Err(ServeError::NotLoopback(_))));
}

#[tokio::test]
async fn a_stale_note_of_another_directory_is_not_believed() {
    let server = Server::start(None).await;
    let other = tempfile::tempdir().unwrap();
    let note = |dir: &Path| -> PathBuf { dir.join("serve.json") };
    std::fs::copy(note(server.dir.path()), note(other.path())).unwrap();
    assert!(attach(other.path()).await.is_none());
    let timeout = Duration::from_millis(30);
    let waited = wait_ready(other.path(), timeout).await;
    assert!(matches!(waited, Err(ServeError::NotReady { .. })));
    server.stop().await;
}
