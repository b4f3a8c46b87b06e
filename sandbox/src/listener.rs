//! The listener: HTTP/1.1 on a loopback socket, on top of the handler.
//!
//! It speaks to hyper directly because a dropped reply has to close the socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::reply::{self, Body, Dropped};
use crate::sandbox::Sandbox;

const BODY_LIMIT: usize = 64 << 20;
const FAREWELL: Duration = Duration::from_millis(500);

/// The connection is to be closed without a reply.
#[derive(Debug, thiserror::Error)]
#[error("the reply is dropped on purpose")]
struct Drop;

/// Accepts connections until `until` resolves, then gives the open ones a moment to finish.
pub(crate) async fn run(
    sandbox: Arc<Sandbox>,
    listener: TcpListener,
    until: impl Future<Output = ()>,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(sandbox.clone(), stream, closed.clone()));
                }
                // Out of file descriptors, or a peer that has gone already: neither ends the server.
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What still streams or is held after that is cut off when the set is dropped.
    let _ = tokio::time::timeout(FAREWELL, drained).await;
    Ok(())
}

async fn connection(sandbox: Arc<Sandbox>, stream: TcpStream, mut closed: watch::Receiver<bool>) {
    // Small replies must not wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |req| respond(sandbox.clone(), req));
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

async fn respond(sandbox: Arc<Sandbox>, req: Request<Incoming>) -> Result<Response<Body>, Drop> {
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
