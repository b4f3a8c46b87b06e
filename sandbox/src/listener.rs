//! The listener: HTTP/1.1 on loopback sockets, on top of the handler. The clusters' API servers have a
//! socket of their own, since real clients give their tokens over TLS only.
//!
//! It speaks to hyper directly because a dropped reply has to close the socket.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::reply::{self, Body, Dropped};
use crate::sandbox::Sandbox;

const BODY_LIMIT: usize = 64 << 20;
const FAREWELL: Duration = Duration::from_millis(500);

/// The connection is to be closed without a reply.
#[derive(Debug, thiserror::Error)]
#[error("the reply is dropped on purpose")]
struct Drop;

/// Where requests come in.
pub(crate) struct Doors {
    /// The vendors' APIs, in clear text on loopback.
    pub(crate) plain: TcpListener,
    /// The clusters' API servers.
    pub(crate) clusters: TcpListener,
    /// What these show.
    pub(crate) tls: Arc<ServerConfig>,
}

/// Which door a request came through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Plain,
    Clusters,
}

/// Accepts connections until `until` resolves, then gives the open ones a moment to finish.
pub(crate) async fn run(sandbox: Arc<Sandbox>, doors: Doors, until: impl Future<Output = ()>) {
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut until = std::pin::pin!(until);
    let acceptor = TlsAcceptor::from(doors.tls);
    loop {
        let (door, accepted) = tokio::select! {
            () = &mut until => break,
            accepted = doors.plain.accept() => (Door::Plain, accepted),
            accepted = doors.clusters.accept() => (Door::Clusters, accepted),
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // Out of file descriptors, or a peer that has gone already: neither ends the server.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Small replies must not wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let (sandbox, closed) = (sandbox.clone(), closed.clone());
        match door {
            Door::Plain => connections.spawn(connection(sandbox, stream, door, closed)),
            Door::Clusters => {
                connections.spawn(encrypted(sandbox, stream, acceptor.clone(), closed))
            }
        };
    }
    drop((doors.plain, doors.clusters));
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What still streams or is held after that is cut off when the set is dropped.
    let _ = tokio::time::timeout(FAREWELL, drained).await;
}

/// A connection that has to begin with TLS.
async fn encrypted(
    sandbox: Arc<Sandbox>,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    closed: watch::Receiver<bool>,
) {
    match acceptor.accept(stream).await {
        Ok(stream) => connection(sandbox, stream, Door::Clusters, closed).await,
        // A client that does not trust us says so and goes.
        Err(error) => tracing::debug!(%error, "a connection to a cluster ended in its handshake"),
    }
}

async fn connection(
    sandbox: Arc<Sandbox>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    door: Door,
    mut closed: watch::Receiver<bool>,
) {
    let service = service_fn(move |req| respond(sandbox.clone(), door, req));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { drop(closed.wait_for(|closed| *closed).await) } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(
    sandbox: Arc<Sandbox>,
    door: Door,
    req: Request<Incoming>,
) -> Result<Response<Body>, Drop> {
    match (door, req.uri().path().starts_with("/clusters/")) {
        (Door::Plain, true) => {
            let text = "Client sent an HTTP request to an HTTPS server.\n";
            return Ok(reply::with_type(400, "text/plain", text));
        }
        (Door::Clusters, false) => return Ok(reply::empty(404)),
        _ => {}
    }
    let (parts, body) = req.into_parts();
    let whole = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(_) => return Ok(reply::empty(413)),
    };
    let request: Request<Bytes> = Request::from_parts(parts, whole);
    let response = sandbox.handle(request).await;
    if response.extensions().get::<Dropped>().is_some() {
        return Err(Drop);
    }
    Ok(response)
}
