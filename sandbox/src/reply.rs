//! Bodies and replies of the sandbox.

use std::io;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

/// The body of every reply: it may stream, and it may break off.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Marks a response that must never leave: the connection is closed without a reply.
///
/// The listener closes the socket; whoever calls [`Sandbox::handle`](crate::Sandbox::handle)
/// directly finds this in the response's extensions and treats it as a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped;

/// A body that is already whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) fn json(status: u16, value: &Value) -> Response<Body> {
    with_type(status, "application/json", value.to_string())
}

pub(crate) fn with_type(
    status: u16,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(content_type),
    );
    response
}

pub(crate) fn empty(status: u16) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(crate) fn dropped() -> Response<Body> {
    let mut response = empty(502);
    response.extensions_mut().insert(Dropped);
    response
}
