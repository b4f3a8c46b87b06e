//! The HTTP endpoint of the metrics. It answers with what was collected last and asks nothing itself, so that
//! a reader neither waits for a vendor nor makes requests to one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What was collected last; nothing before the first time.
type Newest = watch::Receiver<Option<Arc<str>>>;

/// Connections at once.
const AT_ONCE: usize = 64;
/// Time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for a connection, requests and pauses together.
const LIFETIME: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub(crate) async fn run(listener: TcpListener, newest: Newest) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let newest = newest.clone();
                tokio::spawn(async move {
                    // Who holds a connection open without end takes the place of others.
                    let _ = tokio::time::timeout(LIFETIME, connection(stream, newest)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, newest: Newest) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, newest.borrow().as_deref());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn answer<B>(request: &Request<B>, newest: Option<&str>) -> Response<Full<Bytes>> {
    let readable = [Method::GET, Method::HEAD].contains(request.method());
    let (status, kind, text) = match (readable, request.uri().path(), newest) {
        (false, _, _) => (405, "text/plain", "only reading is possible here\n"),
        (_, "/metrics", Some(text)) => (200, "text/plain; version=0.0.4", text),
        (_, "/metrics", None) => (503, "text/plain", "nothing is collected yet\n"),
        (_, "/", _) => (200, "text/plain", "the metrics are at /metrics\n"),
        _ => (404, "text/plain", "there is only /metrics\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let kind = HeaderValue::from_static(if kind.contains("version") {
        "text/plain; version=0.0.4; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    });
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &str, path: &str, newest: Option<&str>) -> u16 {
        let request = Request::builder().method(method).uri(path);
        let answer = answer(&request.body(()).unwrap(), newest);
        answer.status().as_u16()
    }

    #[test]
    fn only_what_was_collected_is_told() {
        assert_eq!(status("GET", "/metrics", None), 503);
        assert_eq!(status("GET", "/metrics", Some("up 1\n")), 200);
        assert_eq!(status("HEAD", "/metrics", Some("up 1\n")), 200);
        assert_eq!(status("POST", "/metrics", Some("up 1\n")), 405);
        assert_eq!(status("GET", "/state", Some("up 1\n")), 404);
    }
}
