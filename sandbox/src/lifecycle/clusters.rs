//! The TLS of a world's clusters. One authority vouches for all of them, as long as the directory exists:
//! a kubeconfig that was given out stays good when the server is started anew.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::ServeError;
use crate::authority::{Authority, AuthorityError};
use crate::identity::write_private;
use crate::sandbox::ClusterFace;

const FILE: &str = "cluster-authority.json";
const NAME: &str = "Sandbox Cluster CA";

/// What the API servers show, and what is said about it.
pub(super) struct Clusters {
    pub(super) face: ClusterFace,
    pub(super) tls: Arc<ServerConfig>,
}

impl Clusters {
    /// The API servers of a world, at an address.
    pub(super) fn of(dir: &Path, address: SocketAddr) -> Result<Clusters, ServeError> {
        let path = dir.join(FILE);
        let authority = load_or_create(&path).map_err(|source| ServeError::File {
            path: path.display().to_string(),
            source,
        })?;
        let names = vec![address.ip().to_string(), "localhost".to_owned()];
        let tls = authority.server(NAME, "kube-apiserver", names);
        Ok(Clusters {
            tls: tls.map_err(|e| ServeError::Tls(e.into()))?,
            face: ClusterFace {
                origin: format!("https://{address}"),
                authority: Some(authority.certificate),
            },
        })
    }
}

fn load_or_create(path: &Path) -> io::Result<Authority> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let made = Authority::new(NAME);
            let made = made.map_err(|e: AuthorityError| io::Error::other(e))?;
            write_private(path, &serde_json::to_vec_pretty(&made)?)?;
            Ok(made)
        }
        Err(e) => Err(e),
    }
}
