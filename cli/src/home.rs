//! Opens the state where `[state]` says. Under `--sandbox` it stays with the emulators: in their object
//! storage when the spec says a bucket, else in files beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zonewright_engine::secret::Secret;
use zonewright_sandbox::lifecycle::Ready;
use zonewright_state::remote::{RemoteOptions, RemoteState};
use zonewright_state::store::Store;
use zonewright_state::store::file::FileStore;
use zonewright_state::store::kubernetes::KubernetesStore;
use zonewright_state::store::postgres::PostgresStore;
use zonewright_state::store::s3::{S3Options, S3Store};
use zonewright_state::vfs::real::RealVfs;
use zonewright_state::{OsRng, StateDir, StateError, StateHome, StateOptions};
use zonewright_zones::{Backend, Credential, StateSettings};

use crate::project::Project;
use crate::report::Failure;
use crate::sealed;
use crate::secrets;
use crate::term::Term;
use crate::world::World;

/// The state of a project in a world.
pub(crate) fn open(
    project: &Project,
    world: &World,
    settings: &StateSettings,
    term: Term,
) -> Result<StateHome, Failure> {
    let name = world.name().unwrap_or_default();
    let created_by = concat!("zonewright ", env!("CARGO_PKG_VERSION"));
    let mut common = StateOptions::new(&name, created_by);
    if matches!(world, World::Live) {
        project.private_if_writable()?;
    }
    let private = world.private(project);
    common.seen = Some(private.join("seen.json"));
    common.keep_history = settings.keep;
    common.seal = sealed::keys(project, world, settings)?;
    let Some(store) = store(project, world, &settings.backend)? else {
        let dir = match &settings.backend {
            Backend::File { dir } => dir.as_str(),
            Backend::S3 { .. } | Backend::Postgres { .. } | Backend::Kubernetes { .. } => "",
        };
        let path = world.state_dir(project, dir);
        return Ok(StateHome::Dir(StateDir::open(path, common)?));
    };
    let options = RemoteOptions {
        common,
        ttl: settings.ttl,
        private: Some(private),
    };
    let mut mirrors = Vec::new();
    for backend in &settings.mirrors {
        mirrors.extend(mirror(project, world, backend, term)?);
    }
    let tell = Arc::new(move |text: &str| term.say(&format!("note: {text}")));
    let remote = RemoteState::new(store, options).mirrored(mirrors, tell);
    Ok(StateHome::Remote(remote))
}

/// A store that the log is copied to. One that cannot be opened stops nothing.
fn mirror(
    project: &Project,
    world: &World,
    backend: &Backend,
    term: Term,
) -> Result<Option<Arc<dyn Store>>, Failure> {
    let Backend::File { dir } = backend else {
        return store(project, world, backend);
    };
    let path = match world {
        World::Live => project.root().join(dir),
        World::Sandbox { .. } => world.private(project).join("mirror").join(dir),
    };
    // A disk that is not mounted is not replaced by a directory in its place.
    let absent = path.parent().is_some_and(|above| !above.is_dir());
    let opened = match world {
        World::Live if absent => Err(std::io::ErrorKind::NotFound.into()),
        _ => RealVfs::create(&path, false),
    };
    match opened {
        Ok(vfs) => Ok(Some(Arc::new(FileStore::new(
            Arc::new(vfs),
            Box::new(OsRng),
        )))),
        Err(error) => {
            term.say(&format!(
                "note: the mirror {} cannot be opened: {error}",
                path.display()
            ));
            Ok(None)
        }
    }
}

/// The directories on this host that a change of the state writes to.
pub(crate) fn written(project: &Project, world: &World, settings: &StateSettings) -> Vec<PathBuf> {
    let mut out = vec![world.private(project)];
    match (&settings.backend, world) {
        (Backend::File { dir }, _) => out.push(world.state_dir(project, dir)),
        (Backend::Postgres { .. } | Backend::Kubernetes { .. }, World::Sandbox { .. }) => {
            out.push(world.state_dir(project, ""));
        }
        _ => {}
    }
    out
}

/// The store elsewhere, if the state is in one.
fn store(
    project: &Project,
    world: &World,
    backend: &Backend,
) -> Result<Option<Arc<dyn Store>>, Failure> {
    match (backend, world) {
        (Backend::File { .. }, _) => Ok(None),
        (Backend::Postgres { .. } | Backend::Kubernetes { .. }, World::Sandbox { .. }) => Ok(None),
        (
            Backend::Kubernetes {
                kubeconfig,
                context,
                namespace,
                ..
            },
            World::Live,
        ) => {
            let kubeconfig = secrets::credential(kubeconfig, project.root())?;
            let store = KubernetesStore::open(&kubeconfig, context.as_deref(), namespace);
            let store = store.map_err(|source| StateError::Store {
                place: format!("namespace {namespace} of a Kubernetes cluster"),
                source,
            })?;
            Ok(Some(Arc::new(store)))
        }
        (Backend::Postgres { url, ca_file, .. }, World::Live) => {
            database(project.root(), url, ca_file.as_deref()).map(Some)
        }
        (Backend::S3 { .. }, World::Sandbox { ready: None, .. }) => {
            Err(Failure::error("the emulators do not run"))
        }
        (
            Backend::S3 {
                bucket,
                region,
                endpoint,
                prefix,
                access_key,
                secret_key,
            },
            _,
        ) => {
            let own = Access {
                endpoint: endpoint.clone(),
                keys: (access_key, secret_key),
            };
            let (endpoint, access_key, secret_key) = own.of(project.root(), world.ready())?;
            let options = S3Options {
                bucket: bucket.clone(),
                region: region.clone(),
                endpoint,
                prefix: prefix.clone(),
                access_key,
                secret_key,
            };
            let store = S3Store::new(&options).map_err(|source| StateError::Store {
                place: format!("s3://{bucket}"),
                source,
            })?;
            Ok(Some(Arc::new(store)))
        }
    }
}

fn database(
    root: &Path,
    url: &Credential,
    ca_file: Option<&str>,
) -> Result<Arc<dyn Store>, Failure> {
    let ca = match ca_file.map(|file| root.join(file)) {
        Some(path) => Some(std::fs::read(&path).map_err(|e| Failure::file("read", &path, e))?),
        None => None,
    };
    let url = secrets::credential(url, root)?;
    let store = PostgresStore::new(&url, ca.as_deref()).map_err(|source| StateError::Store {
        place: "a PostgreSQL database".to_owned(),
        source,
    })?;
    Ok(Arc::new(store))
}

/// How a bucket is reached.
struct Access<'a> {
    endpoint: Option<String>,
    keys: (&'a Credential, &'a Credential),
}

impl Access<'_> {
    /// The emulators take nothing but their own keys.
    fn of(
        self,
        root: &Path,
        ready: Option<&Ready>,
    ) -> Result<(Option<String>, Secret, Secret), Failure> {
        let Some(ready) = ready else {
            let (access_key, secret_key) = self.keys;
            return Ok((
                self.endpoint,
                secrets::credential(access_key, root)?,
                secrets::credential(secret_key, root)?,
            ));
        };
        let pairs = ready.env();
        let own = |name: &str| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            let value = found.map(|(_, value)| value.clone());
            Secret::new(name, value.unwrap_or_default(), None)
        };
        Ok((
            Some(ready.endpoints().s3()),
            own("SPACES_ACCESS_KEY_ID"),
            own("SPACES_SECRET_ACCESS_KEY"),
        ))
    }
}
