//! A sandbox of a test, on a thread of its own, with an empty bucket for whoever wants one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::runtime::Runtime;
use zonewright_engine::secret::Secret;
use zonewright_sandbox::control::{Client, Storage, Switches};
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_sandbox::lifecycle::{Ready, ServeOptions, serve};
use zonewright_sandbox::profile::Profile;
use zonewright_state::store::s3::{S3Options, S3Store};

/// A sandbox that ends with the test.
pub(crate) struct Server {
    pub(crate) ready: Ready,
    runtime: Runtime,
    buckets: AtomicUsize,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let options = ServeOptions {
            dir: dir.path().to_owned(),
            listen: None,
            profile: Profile::Instant,
            idle_exit: None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (tell, told) = mpsc::channel();
        runtime.spawn(serve(
            options,
            std::future::pending(),
            move |ready: &Ready| {
                tell.send(ready.clone()).unwrap();
            },
        ));
        Server {
            ready: told.recv().unwrap(),
            runtime,
            buckets: AtomicUsize::new(0),
            _dir: dir,
        }
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.ready.control_url()).unwrap()
    }

    /// Lets the object storage behave in a way.
    pub(crate) fn storage(&self, storage: Storage) {
        let mut switches = Switches::default();
        switches.storage = storage;
        self.wait(self.client().set_switches(&switches)).unwrap();
    }

    /// Arms a fault of the object storage.
    pub(crate) fn fault(&self, method: &str, path: &str, (nth, count): (u64, u64), kind: Kind) {
        let fault = Fault {
            service: Some("s3".to_owned()),
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            nth,
            count,
            kind,
        };
        self.wait(self.client().add_fault(&fault)).unwrap();
    }

    pub(crate) fn clear_faults(&self) {
        self.wait(self.client().clear_faults()).unwrap();
    }

    /// How often the faults struck.
    pub(crate) fn struck(&self) -> u64 {
        let faults = self.wait(self.client().faults()).unwrap();
        let all = faults.as_array().unwrap().iter();
        all.map(|f| f["struck"].as_u64().unwrap()).sum()
    }

    /// A store in a new bucket.
    pub(crate) fn bucket(&self) -> S3Store {
        let n = self.buckets.fetch_add(1, Ordering::Relaxed);
        let name = format!("state-{n}");
        self.wait(self.client().add_bucket(&name)).unwrap();
        self.open(&name)
    }

    /// A store in a bucket.
    pub(crate) fn open(&self, bucket: &str) -> S3Store {
        let env = self.ready.env();
        let of = |name: &str| env.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        let secret = |name: &str| Secret::new(name, of(name), None);
        S3Store::new(&S3Options {
            bucket: bucket.to_owned(),
            region: "fra1".to_owned(),
            endpoint: Some(of("ZONEWRIGHT_SANDBOX_S3")),
            prefix: "wp/live".to_owned(),
            access_key: secret("SPACES_ACCESS_KEY_ID"),
            secret_key: secret("SPACES_SECRET_ACCESS_KEY"),
        })
        .unwrap()
    }
}
