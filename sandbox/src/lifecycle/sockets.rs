//! The ports of a world: those of the last time, so that addresses that were given out stay right.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use super::{Endpoints, ServeError};
use crate::identity::Identity;

/// What is listened on.
pub(super) struct Sockets {
    pub(super) http: TcpListener,
    pub(super) mysql: TcpListener,
    pub(super) dns: (UdpSocket, TcpListener),
    pub(super) secondary: (UdpSocket, TcpListener),
    pub(super) clusters: TcpListener,
    pub(super) endpoints: Endpoints,
}

impl Sockets {
    /// Listens everywhere, and notes the ports in the identity.
    pub(super) async fn bind(
        listen: Option<SocketAddr>,
        identity: &mut Identity,
    ) -> Result<Sockets, ServeError> {
        let http = bind(listen, identity.port).await?;
        let mysql = bind(None, identity.mysql_port).await?;
        let dns = bind_both(identity.dns_port).await?;
        let secondary = bind_both(identity.secondary_port).await?;
        let clusters = bind(None, identity.clusters_port).await?;
        let at = |socket: &TcpListener| {
            let address = any_port();
            let failed = |source| ServeError::Listen { address, source };
            socket.local_addr().map_err(failed)
        };
        let endpoints = Endpoints {
            http: at(&http)?,
            mysql: at(&mysql)?,
            dns: at(&dns.1)?,
            secondary: at(&secondary.1)?,
            clusters: at(&clusters)?,
        };
        identity.port = Some(endpoints.http.port());
        identity.mysql_port = Some(endpoints.mysql.port());
        identity.dns_port = Some(endpoints.dns.port());
        identity.secondary_port = Some(endpoints.secondary.port());
        identity.clusters_port = Some(endpoints.clusters.port());
        Ok(Sockets {
            http,
            mysql,
            dns,
            secondary,
            clusters,
            endpoints,
        })
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

async fn bind(
    listen: Option<SocketAddr>,
    recorded: Option<u16>,
) -> Result<TcpListener, ServeError> {
    let failed = |address| move |source| ServeError::Listen { address, source };
    if let Some(address) = listen {
        return TcpListener::bind(address).await.map_err(failed(address));
    }
    if let Some(port) = recorded {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            // Somebody else has taken the port meanwhile: another one is better than none.
            Err(error) => tracing::warn!(%error, port, "the recorded port cannot be had"),
        }
    }
    TcpListener::bind(any_port())
        .await
        .map_err(failed(any_port()))
}

/// One port for both transports.
async fn bind_both(recorded: Option<u16>) -> Result<(UdpSocket, TcpListener), ServeError> {
    let mut recorded = recorded;
    let mut tries = 0;
    loop {
        let tcp = bind(None, recorded.take()).await?;
        let failed = |source| ServeError::Listen {
            address: any_port(),
            source,
        };
        let address = tcp.local_addr().map_err(failed)?;
        match UdpSocket::bind(address).await {
            Ok(udp) => return Ok((udp, tcp)),
            // The other transport's port of that number is taken: another number will do.
            Err(_) if tries < 20 => tries += 1,
            Err(source) => return Err(ServeError::Listen { address, source }),
        }
    }
}
