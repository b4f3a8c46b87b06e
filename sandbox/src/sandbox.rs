//! The sandbox without its socket: from `http` request to `http` response.
//!
//! Every request is noted on arrival, runs into the faults that name it, and is answered by the
//! emulator of its service. What time has brought about is settled before each request.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::call::{Call, Scene, bearer};
use crate::clock::{Clock, MachineClock};
use crate::control::{self, Switches};
use crate::fault::{Board, Kind};
use crate::identity::Identity;
use crate::journal::{self, Journal, Service};
use crate::profile::Profile;
use crate::reply::{self, Body};
use crate::world::{Tables, World};
use crate::{cloudflare, digitalocean, kubernetes, mysql, s3, seed};

/// Why a sandbox cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the sandbox world in {dir}")]
pub struct OpenError {
    /// The world's directory.
    pub dir: String,
    /// What went wrong there.
    #[source]
    pub source: io::Error,
}

/// Where the API servers of a world's clusters are reached.
#[derive(Debug, Clone)]
pub(crate) struct ClusterFace {
    /// The beginning of their addresses, e.g. `https://127.0.0.1:4001`.
    pub(crate) origin: String,
    /// The certificate of the authority that vouches for them, PEM; none where requests take no socket.
    pub(crate) authority: Option<String>,
}

/// The emulators of one world behind one handler.
pub struct Sandbox {
    pub(crate) world: Arc<World>,
    pub(crate) identity: Identity,
    pub(crate) clusters: ClusterFace,
    pub(crate) journal: Journal,
    pub(crate) board: Board,
    pub(crate) switches: Mutex<Switches>,
    stopped: watch::Sender<bool>,
    activity: Arc<Activity>,
}

impl Sandbox {
    /// Opens the world of a directory. `origin` is what the answers name as the clusters' address,
    /// e.g. `http://127.0.0.1:4000`. The caller sees to it that nobody else has it open.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(
        dir: &Path,
        profile: Profile,
        origin: impl Into<String>,
    ) -> Result<Sandbox, OpenError> {
        Sandbox::open_at(dir, profile, origin, Arc::new(MachineClock))
    }

    /// The same with another clock than the machine's.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open_at(
        dir: &Path,
        profile: Profile,
        origin: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Sandbox, OpenError> {
        let open = || -> io::Result<Sandbox> {
            let world = World::open_at(dir, profile, clock)?;
            let identity = Identity::load_or_create(dir)?;
            world.trust_cloudflare_token(identity.cloudflare_token());
            Ok(Sandbox {
                world: Arc::new(world),
                identity,
                clusters: ClusterFace {
                    origin: origin.into(),
                    authority: None,
                },
                journal: Journal::default(),
                board: Board::default(),
                switches: Mutex::default(),
                stopped: watch::Sender::new(false),
                activity: Arc::default(),
            })
        };
        open().map_err(|source| OpenError {
            dir: dir.display().to_string(),
            source,
        })
    }

    /// Says where the clusters are reached, and whom to trust there.
    pub(crate) fn facing(self, clusters: ClusterFace) -> Sandbox {
        Sandbox { clusters, ..self }
    }

    /// The world behind the emulators.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The world's id, tokens and secrets.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Answers a request. A response with [`reply::Dropped`] in its extensions stands for a
    /// connection that is closed without a reply. A request with a [`Kind`] in its extensions runs into
    /// that fault.
    pub async fn handle(&self, req: Request<Bytes>) -> Response<Body> {
        let guard = Activity::enter(&self.activity);
        let response = self.answer(req).await;
        response.map(|body| {
            body.map_frame(move |frame| {
                let _ = &guard;
                frame
            })
            .boxed_unsync()
        })
    }

    /// Counts as an answer under way until it is dropped.
    pub(crate) fn busy(&self) -> impl Drop + use<> {
        Activity::enter(&self.activity)
    }

    /// How long nothing has been asked of the sandbox; zero while an answer is under way.
    pub fn idle(&self) -> Duration {
        self.activity.idle()
    }

    /// How the object storage treats writes.
    pub(crate) fn storage(&self) -> control::Storage {
        let switches = self.switches.lock();
        switches.unwrap_or_else(PoisonError::into_inner).storage
    }

    /// Asks the server to stop.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Resolves once [`Sandbox::stop`] has been called.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    async fn answer(&self, req: Request<Bytes>) -> Response<Body> {
        let path = req.uri().path().to_owned();
        if let Some(rest) = path.strip_prefix("/_sandbox")
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return control::answer(self, rest, &req);
        }
        let service = match s3::is_meant(&req) {
            true => Some(Service::S3),
            false => Service::of(&path),
        };
        let Some(service) = service else {
            let message = "no emulated service has this path";
            return reply::json(404, &json!({"id": "not_found", "message": message}));
        };
        let seq = self.journal.begin(service, &req);
        let method = match journal::is_trial(service, &req) {
            true => "TRY",
            false => req.method().as_str(),
        };
        let struck = self.board.strike(service.name(), method, &path);
        let kind = req.extensions().get::<Kind>().cloned().or(struck);
        let response = match kind {
            None => self.carry_out(service, seq, req).await,
            Some(kind) => self.strike(service, seq, req, kind).await,
        };
        if response.extensions().get::<reply::Dropped>().is_none() {
            self.journal.replied(seq, response.status().as_u16());
        }
        response
    }

    async fn strike(
        &self,
        service: Service,
        seq: u64,
        req: Request<Bytes>,
        kind: Kind,
    ) -> Response<Body> {
        self.journal.fault(seq, kind.name());
        let held = json!({
            "seq": seq, "kind": kind.name(), "service": service.name(),
            "method": req.method().as_str(), "path": req.uri().path(),
        });
        match kind {
            Kind::Status {
                code,
                body,
                headers,
            } => {
                let body = body.unwrap_or_else(|| error_body(service, code));
                with_headers(reply::json(code, &body), &headers)
            }
            Kind::DropBefore => reply::dropped(),
            Kind::DropAfter => {
                self.carry_out(service, seq, req).await;
                reply::dropped()
            }
            Kind::StatusAfter { code } => {
                self.carry_out(service, seq, req).await;
                reply::json(code, &error_body(service, code))
            }
            Kind::Delay { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.carry_out(service, seq, req).await
            }
            Kind::HoldBefore => {
                self.board.hold(seq, held).await;
                self.carry_out(service, seq, req).await
            }
            Kind::HoldAfter => {
                let response = self.carry_out(service, seq, req).await;
                self.board.hold(seq, held).await;
                response
            }
        }
    }

    async fn carry_out(&self, service: Service, seq: u64, req: Request<Bytes>) -> Response<Body> {
        let response = match service {
            Service::DigitalOcean => {
                self.on_stage(|scene| digitalocean::answer(scene, &Call::new(&req, "/v2")))
            }
            Service::Cloudflare => {
                self.on_stage(|scene| cloudflare::answer(scene, &Call::new(&req, "/client/v4")))
            }
            Service::Kubernetes => self.cluster(req).await,
            Service::S3 => s3::carry_out(self, &req).await,
            // On ports of their own.
            Service::Mysql | Service::Dns => reply::empty(404),
        };
        self.journal.carried_out(seq, response.status().as_u16());
        response
    }

    /// Settles the world and runs `f` in the same transaction.
    pub(crate) fn on_stage(
        &self,
        f: impl FnOnce(&mut Scene<'_, '_>) -> Response<Body>,
    ) -> Response<Body> {
        self.stage(f).unwrap_or_else(|error| {
            tracing::error!(%error, "the sandbox world cannot be written");
            let message = "the sandbox world cannot be written";
            reply::json(500, &json!({"id": "server_error", "message": message}))
        })
    }

    /// Settles the world and runs `f` in the same transaction.
    ///
    /// # Errors
    /// The world cannot be written.
    pub(crate) fn stage<R>(&self, f: impl FnOnce(&mut Scene<'_, '_>) -> R) -> io::Result<R> {
        let mut switches = self.switches.lock().unwrap_or_else(PoisonError::into_inner);
        self.world.write(|txn| {
            let mut scene = Scene {
                world: &self.world,
                txn,
                identity: &self.identity,
                clusters: &self.clusters,
                switches: &mut switches,
                now: self.world.now_ms(),
                made: 0,
            };
            seed::plant(&mut scene);
            digitalocean::settle(&mut scene);
            mysql::heartbeat::settle(&mut scene);
            f(&mut scene)
        })
    }

    async fn cluster(&self, req: Request<Bytes>) -> Response<Body> {
        let whole = req.uri().path().to_owned();
        let inner = whole.strip_prefix("/clusters/").unwrap_or("");
        let (id, path) = match inner.find('/') {
            Some(at) => inner.split_at(at),
            None => (inner, "/"),
        };
        // Settles first, so that a cluster whose deletion is due is gone.
        let mut running = false;
        self.on_stage(|scene| {
            running = digitalocean::is_running(scene.txn.tables(), id, scene.now);
            reply::empty(204)
        });
        if !running {
            return status(503, "ServiceUnavailable", "no cluster is running here");
        }
        if bearer(&req) != Some(&self.identity.cluster_token(id)) {
            return status(401, "Unauthorized", "Unauthorized");
        }
        kubernetes::handle(&self.world, id, path, req).await
    }

    /// The whole world as JSON: service, table, document, as an API would show it now.
    pub(crate) fn dump(&self) -> Value {
        let mut dump = json!({});
        self.on_stage(|scene| {
            dump = self::dump(scene.txn.tables(), scene);
            reply::empty(204)
        });
        dump
    }
}

fn dump(tables: &Tables, scene: &Scene<'_, '_>) -> Value {
    let mut services = json!({"digitalocean": {}, "cloudflare": {}, "kubernetes": {}});
    for name in tables.names("") {
        let Some((service, table)) = name.split_once('/') else {
            continue;
        };
        if service == "sandbox" {
            continue;
        }
        for (key, doc) in tables.list(name) {
            let shown = match service {
                "digitalocean" => digitalocean::show(scene, table, doc),
                _ => doc.clone(),
            };
            services[service][table][key] = shown;
        }
    }
    services
}

fn error_body(service: Service, code: u16) -> Value {
    match service {
        Service::DigitalOcean => digitalocean::error_body(code),
        Service::Cloudflare => cloudflare::error_body(code),
        Service::Kubernetes | Service::Mysql | Service::Dns | Service::S3 => {
            status_body(code, "InternalError", "injected fault")
        }
    }
}

fn status_body(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code})
}

fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    reply::json(code, &status_body(code, reason, message))
}

fn with_headers(
    mut response: Response<Body>,
    headers: &std::collections::BTreeMap<String, String>,
) -> Response<Body> {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Which answers are under way and when the last one ended.
struct Activity {
    started: Instant,
    last_ms: AtomicU64,
    open: AtomicUsize,
}

impl Default for Activity {
    fn default() -> Activity {
        Activity {
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        }
    }
}

impl Activity {
    fn enter(this: &Arc<Activity>) -> Under {
        this.open.fetch_add(1, Ordering::SeqCst);
        Under(Arc::clone(this))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn idle(&self) -> Duration {
        if self.open.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        let last = self.last_ms.load(Ordering::SeqCst);
        Duration::from_millis(self.elapsed_ms().saturating_sub(last))
    }
}

struct Under(Arc<Activity>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.last_ms.store(self.0.elapsed_ms(), Ordering::SeqCst);
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
