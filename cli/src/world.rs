//! The world that a command works on: the live one, or the emulators in a directory. Worlds do not
//! mix: each has its own state, and plans name theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zonewright_engine::provider::Provider;
use zonewright_engine::schema::Registry;
use zonewright_engine::value::Value;
use zonewright_providers::kubernetes;
use zonewright_providers::probe::Overrides;
use zonewright_providers::{Clock, HttpOptions, HttpTransport, TokioClock, Transport};
use zonewright_providers::{Lists, Tokens, digitalocean_lists};
use zonewright_sandbox::lifecycle::{self, Ready};

use crate::project::Project;
use crate::report::Failure;
use crate::{Context, env, sandboxed};

/// What providers send through.
type Ports = (Arc<dyn Transport>, Arc<dyn Clock>);

/// A world.
#[derive(Debug, Clone)]
pub(crate) enum World {
    /// The vendors.
    Live,
    /// Emulators.
    Sandbox {
        /// Their directory.
        dir: PathBuf,
        /// Their id; absent as long as nothing was ever served from the directory.
        id: Option<String>,
        /// How to reach them, when they run.
        ready: Option<Box<Ready>>,
    },
}

impl World {
    /// The world as it is, without starting anything.
    pub(crate) fn at_rest(ctx: &Context, project: &Project) -> World {
        match sandbox_dir(ctx, Some(project)) {
            None => World::Live,
            Some(dir) => World::Sandbox {
                id: lifecycle::world_id(&dir),
                dir,
                ready: None,
            },
        }
    }

    /// The world, ready for requests.
    pub(crate) async fn open(ctx: &Context, project: &Project) -> Result<World, Failure> {
        let Some(dir) = sandbox_dir(ctx, Some(project)) else {
            return Ok(World::Live);
        };
        if dir.starts_with(project.private()) {
            project.make_private()?;
        }
        let ready = sandboxed::start(ctx, &dir).await?;
        Ok(World::Sandbox {
            dir,
            id: Some(ready.id().to_owned()),
            ready: Some(Box::new(ready)),
        })
    }

    /// The name in states and plans; absent for emulators that were never served.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            World::Live => Some("live".to_owned()),
            World::Sandbox { id, .. } => id.as_ref().map(|id| format!("sandbox:{id}")),
        }
    }

    /// Whether it is the vendors' own.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, World::Live)
    }

    /// How to reach the emulators.
    pub(crate) fn ready(&self) -> Option<&Ready> {
        match self {
            World::Live => None,
            World::Sandbox { ready, .. } => ready.as_deref(),
        }
    }

    /// The directory of the state. `configured` is what the spec says for the live world.
    pub(crate) fn state_dir(&self, project: &Project, configured: &str) -> PathBuf {
        match self {
            World::Live => project.root().join(configured),
            World::Sandbox { dir, .. } => dir.join("state"),
        }
    }

    /// The directory of what this host alone keeps: the digest key and the high-water marks.
    pub(crate) fn private(&self, project: &Project) -> PathBuf {
        match self {
            World::Live => project.private(),
            World::Sandbox { dir, .. } => dir.clone(),
        }
    }

    fn endpoint(&self, variable: &str) -> Option<String> {
        match self.ready() {
            Some(ready) => {
                let pairs = ready.env();
                let found = pairs.into_iter().find(|(name, _)| *name == variable);
                found.map(|(_, value)| value)
            }
            None => env::var(variable),
        }
    }

    /// Where names are reached: the emulators have the vendors' names and other addresses.
    pub(crate) fn overrides(&self) -> Overrides {
        let Some(endpoints) = self.ready().map(Ready::endpoints) else {
            return Overrides::default();
        };
        Overrides {
            mysql: Some(endpoints.mysql),
            dns: vec![endpoints.dns, endpoints.secondary],
            s3: Some(endpoints.s3()),
        }
    }

    /// Whole lists of the account that a provider's configuration opens.
    pub(crate) fn lists(&self, config: &Value) -> Result<Lists, Failure> {
        let (transport, clock) = self.ports()?;
        let url = self.endpoint(env::DIGITALOCEAN_API_URL);
        Ok(digitalocean_lists(transport, clock, url, config)?)
    }

    /// Who is asked about tokens of the DNS provider.
    pub(crate) fn tokens(&self) -> Result<Tokens, Failure> {
        let (transport, clock) = self.ports()?;
        let url = self.endpoint(env::CLOUDFLARE_BASE_URL);
        Ok(Tokens::new(transport, clock, url))
    }

    fn ports(&self) -> Result<Ports, Failure> {
        let proxy = match self {
            World::Live => env::var(env::HTTPS_PROXY),
            World::Sandbox { .. } => None,
        };
        let options = HttpOptions {
            proxy,
            extra_ca: Vec::new(),
        };
        let transport = HttpTransport::new(&options)
            .map_err(|e| Failure::error("the HTTP client cannot be set up").because(e))?;
        Ok((Arc::new(transport), Arc::new(TokioClock::new())))
    }

    /// The providers for this world.
    pub(crate) fn providers(&self) -> Result<Vec<Arc<dyn Provider>>, Failure> {
        let (transport, clock) = self.ports()?;
        let (transport, clock) = (|| Arc::clone(&transport), || Arc::clone(&clock));
        let digitalocean = match self.endpoint(env::DIGITALOCEAN_API_URL) {
            Some(url) => zonewright_providers::digitalocean_at(transport(), clock(), url),
            None => zonewright_providers::digitalocean(transport(), clock()),
        };
        let cloudflare = match self.endpoint(env::CLOUDFLARE_BASE_URL) {
            Some(url) => zonewright_providers::cloudflare_at(transport(), clock(), url),
            None => zonewright_providers::cloudflare(transport(), clock()),
        };
        let kubernetes = kubernetes::provider(kubernetes::Options {
            kubeconfig: self.is_live(),
            ..kubernetes::Options::default()
        });
        Ok(vec![digitalocean, cloudflare, kubernetes])
    }
}

/// The schemas of all providers.
pub(crate) fn registry() -> Result<Registry, Failure> {
    Ok(Registry::new(
        World::Live.providers()?.iter().map(|p| p.schema()),
    ))
}

/// The directory of the emulators, if they are asked for.
pub(crate) fn sandbox_dir(ctx: &Context, project: Option<&Project>) -> Option<PathBuf> {
    match ctx.global.sandbox.as_deref()? {
        "" => project.map(|p| p.private().join("sandbox")),
        dir => Some(absolute(Path::new(dir))),
    }
}

fn absolute(path: &Path) -> PathBuf {
    // Without a current directory, the path is taken as it is and fails where it is used.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
