//! Errors in the vendor's form: `{"id", "message", "request_id"}`.

use http::Response;
use serde_json::{Value, json};

use crate::reply::{self, Body};

/// An error reply.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    id: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, id: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            id,
            message: message.into(),
        }
    }

    pub(super) fn unauthorized() -> ApiError {
        ApiError::new(401, "unauthorized", "Unable to authenticate you.")
    }

    pub(super) fn not_found() -> ApiError {
        let message = "The resource you were accessing could not be found.";
        ApiError::new(404, "not_found", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> ApiError {
        ApiError::new(403, "forbidden", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> ApiError {
        ApiError::new(409, "conflict", message)
    }

    pub(super) fn precondition(message: impl Into<String>) -> ApiError {
        ApiError::new(412, "precondition_failed", message)
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> ApiError {
        ApiError::new(422, "unprocessable_entity", message)
    }

    pub(super) fn malformed() -> ApiError {
        ApiError::new(400, "bad_request", "The request body is not valid JSON.")
    }

    pub(super) fn reply(&self, request_id: &str) -> Response<Body> {
        let body = json!({"id": self.id, "message": self.message, "request_id": request_id});
        reply::json(self.status, &body)
    }
}

/// The body of an error that a fault brings about.
pub(crate) fn body(code: u16) -> Value {
    let (id, message) = match code {
        401 => ("unauthorized", "Unable to authenticate you."),
        403 => (
            "forbidden",
            "You are not authorized to perform this operation",
        ),
        404 => (
            "not_found",
            "The resource you were accessing could not be found.",
        ),
        409 => ("conflict", "The resource is busy."),
        422 => ("unprocessable_entity", "The request cannot be processed."),
        429 => ("too_many_requests", "API rate limit exceeded."),
        503 => ("service_unavailable", "Service unavailable."),
        _ => ("server_error", "Server was unable to give you a response."),
    };
    json!({"id": id, "message": message})
}
