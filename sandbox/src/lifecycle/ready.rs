//! What a client needs to talk to a running sandbox; the content of `serve.json`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::identity::{Identity, write_private};
use crate::s3;
use crate::sandbox::Sandbox;

const FILE: &str = "serve.json";

/// A running sandbox: where it is and what it takes. Holds tokens: the file is 0600 and nothing
/// here prints them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ready {
    pid: u32,
    address: SocketAddr,
    control: String,
    mysql: SocketAddr,
    dns: SocketAddr,
    secondary: SocketAddr,
    clusters: SocketAddr,
    cluster_authority: String,
    identity: Identity,
    digitalocean_token: String,
    cloudflare_token: String,
}

/// Where the parts of a world are reached that have vendor-style names inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The vendors' APIs.
    pub http: SocketAddr,
    /// Every database: TLS by its own host name chooses which.
    pub mysql: SocketAddr,
    /// The first name server of every zone, over UDP and TCP.
    pub dns: SocketAddr,
    /// The second one.
    pub secondary: SocketAddr,
    /// The API servers of every cluster, over TLS, each under `/clusters/ID`.
    pub clusters: SocketAddr,
}

impl Endpoints {
    /// The endpoint of the object storage, for path-style requests.
    pub fn s3(&self) -> String {
        format!("http://{}{}", self.http, s3::PREFIX)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("id", &self.identity.id)
            .field("pid", &self.pid)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Ready {
    pub(super) fn of(sandbox: &Sandbox, endpoints: Endpoints) -> Ready {
        let identity = sandbox.identity();
        Ready {
            pid: std::process::id(),
            address: endpoints.http,
            control: format!("http://{}/_sandbox", endpoints.http),
            mysql: endpoints.mysql,
            dns: endpoints.dns,
            secondary: endpoints.secondary,
            clusters: endpoints.clusters,
            cluster_authority: sandbox.clusters.authority.clone().unwrap_or_default(),
            identity: identity.clone(),
            digitalocean_token: identity.digitalocean_token(),
            cloudflare_token: identity.cloudflare_token(),
        }
    }

    /// The id of the world.
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the control API.
    pub fn control_url(&self) -> String {
        self.control.clone()
    }

    /// Where databases, name servers and object storage are reached; their names stay the vendor's.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            http: self.address,
            mysql: self.mysql,
            dns: self.dns,
            secondary: self.secondary,
            clusters: self.clusters,
        }
    }

    /// The certificate of the authority that vouches for the clusters' API servers, PEM. Kubeconfigs hold it.
    pub fn cluster_authority(&self) -> &str {
        &self.cluster_authority
    }

    /// The environment that points the providers at the sandbox.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let origin = format!("http://{}", self.address);
        vec![
            ("DIGITALOCEAN_API_URL", origin.clone()),
            ("DIGITALOCEAN_TOKEN", self.digitalocean_token.clone()),
            ("CLOUDFLARE_BASE_URL", format!("{origin}/client/v4")),
            ("CLOUDFLARE_API_TOKEN", self.cloudflare_token.clone()),
            ("ZONEWRIGHT_SANDBOX_CONTROL", self.control.clone()),
            ("ZONEWRIGHT_SANDBOX_MYSQL", self.mysql.to_string()),
            ("ZONEWRIGHT_SANDBOX_DNS", self.dns.to_string()),
            ("ZONEWRIGHT_SANDBOX_S3", self.endpoints().s3()),
            ("SPACES_ACCESS_KEY_ID", self.identity.spaces_key()),
            ("SPACES_SECRET_ACCESS_KEY", self.identity.spaces_secret()),
        ]
    }

    /// The sandbox's value for a secret that the user has not set: the same for every server of
    /// this world.
    pub fn secret(&self, name: &str) -> String {
        self.identity.secret(name)
    }

    pub(super) fn load(dir: &Path) -> Option<Ready> {
        // A file that is being replaced or is damaged names no server.
        serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()
    }

    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        write_private(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    pub(super) fn remove(dir: &Path) -> io::Result<()> {
        match std::fs::remove_file(dir.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
