//! What a client is told when something goes wrong.
//!
//! The set of codes is part of the API (docs/http-api.md). A message for the client and the cause for the log are different
//! things: an internal cause is logged once, with the request's id, and never sent. [`ApiError`] becomes a response without
//! a body; the outermost layer ([`crate::gate`]) knows the request's id and writes the body.

use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// Result of a handler.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// What kind of failure it is; clients may branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is wrong; the same request will fail again.
    BadRequest,
    /// Nothing is known under that name.
    NotFound,
    /// The request or its answer is over a limit.
    TooLarge,
    /// It took longer than allowed.
    Timeout,
    /// The server has too much to do; the same request may succeed in a moment.
    Overloaded,
    /// A fault of the server; the log has the cause under the request's id.
    Internal,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    fields: Vec<FieldProblem>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// The request is wrong in the way `message` says.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    /// Fields of the request's body are wrong.
    pub(crate) fn bad_fields(fields: Vec<FieldProblem>) -> Self {
        let all: Vec<String> = fields.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect();
        Self { fields, ..Self::bad_request(all.join("; ").trim().to_owned()) }
    }

    /// Nothing is known under that name.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    }

    /// The request or its answer is over the limit that `message` names.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, message)
    }

    /// It took longer than allowed. 504 rather than 408, which browsers repeat by themselves.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, ErrorCode::Timeout, message)
    }

    /// Too much to do at the moment.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded, message)
    }

    /// A fault of ours, whose cause is for the log only.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "the server failed to answer; its log has the cause under this request id";
        Self {
            cause: Some(Arc::from(cause.into())),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, message)
        }
    }

    /// The request is wrong in a way that has a status of its own, such as 405 or 415.
    pub fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, ErrorCode::BadRequest, message)
    }

    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), cause: None }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code that clients branch on.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The chain of causes in one line, for the log.
    pub(crate) fn cause_chain(&self) -> Option<String> {
        let first = self.cause.as_deref()?;
        let mut text = first.to_string();
        let mut next = first.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Some(text)
    }

    /// The body that the contract promises.
    pub(crate) fn problem(&self, request_id: String) -> Problem {
        let (message, fields) = (self.message.clone(), self.fields.clone());
        Problem { error: ProblemDetail { code: self.code, message, fields, request_id } }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.code == ErrorCode::Overloaded {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Body of every error, as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What went wrong.
    pub(crate) error: ProblemDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDetail {
    /// The kind of failure.
    pub(crate) code: ErrorCode,
    /// What is wrong and what to do, in one sentence.
    pub(crate) message: String,
    /// What is wrong with the body, by field; absent when it is not about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<FieldProblem>,
    /// Names this request in the server's log.
    pub(crate) request_id: String,
}

/// What is wrong with one field of a body.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Its name, with the names of the objects around it; empty for the body itself.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}
