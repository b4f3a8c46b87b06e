//! A Kubernetes client on top of the port to the network, for clusters that are not reached by sockets.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Full;
use kube::client::Body;
use tower::BoxError;

use crate::transport::Transport;

/// A client of the API server at `server`, with a bearer token. Nothing when the token is not fit for a
/// header.
pub(super) fn client(
    transport: Arc<dyn Transport>,
    server: &Uri,
    token: &str,
) -> Option<kube::Client> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    let server = server.to_string().trim_end_matches('/').to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        carry(
            Arc::clone(&transport),
            server.clone(),
            bearer.clone(),
            request,
        )
    });
    Some(kube::Client::new(service, "default"))
}

async fn carry(
    transport: Arc<dyn Transport>,
    server: String,
    bearer: HeaderValue,
    request: Request<Body>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    parts.uri = format!("{server}{path}").parse()?;
    parts.headers.insert(AUTHORIZATION, bearer);
    let body = body.collect_bytes().await?;
    let reply = transport.send(Request::from_parts(parts, body)).await?;
    Ok(reply.map(Full::new))
}
