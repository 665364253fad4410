//! Errors on the wire, and the only place that knows their status codes (Kafka Connect,
//! `ConnectExceptionMapper`).

use axum::Json;
use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::runtime::herder::HerderError;
use crate::runtime::validation::ValidationError;

/// The body of every answer with a status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ErrorMessage {
    /// The HTTP status again.
    #[schema(example = 404)]
    pub(super) error_code: u16,
    #[schema(example = "Connector c not found")]
    pub(super) message: Option<String>,
}

/// An error answer.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    /// Answers from before a handler was chosen have no `Content-Type`, as the original's.
    typed: bool,
    /// When it may be tried again.
    retry_after: Option<u64>,
}

impl ApiError {
    /// The text that the answer shows.
    pub(super) fn into_message(self) -> String {
        self.message
    }

    /// No such path.
    pub(super) fn unknown_path() -> Self {
        Self::plain(StatusCode::NOT_FOUND)
    }

    /// The path has no such method.
    pub(super) fn method_not_allowed() -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// The client does not take JSON.
    pub(super) fn not_acceptable() -> Self {
        Self::plain(StatusCode::NOT_ACCEPTABLE)
    }

    /// The client says that its body is no JSON.
    pub(super) fn unsupported_media_type() -> Self {
        Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }

    /// There is a body, and nothing says what it is.
    pub(super) fn untyped_body() -> Self {
        Self { typed: true, ..Self::unsupported_media_type() }
    }

    /// A header that cannot be read.
    pub(super) fn unreadable_header() -> Self {
        Self::plain(StatusCode::BAD_REQUEST)
    }

    /// A path parameter that cannot be one: like an unknown path, but found by the handler.
    pub(super) fn unreadable_path() -> Self {
        Self { typed: true, ..Self::unknown_path() }
    }

    /// A body that is longer than `limit` bytes.
    pub(super) fn too_large(limit: usize) -> Self {
        let text =
            format!("The request body is longer than {limit} bytes, the limit of this worker");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// The client went away, or broke off its body.
    pub(super) fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The request body ended too early")
    }

    /// The answer took too long.
    pub(super) fn timed_out() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Request timed out")
    }

    /// A request that makes no sense.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What was named does not exist.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// A body that is not the JSON that was expected: 500, as in the original.
    pub(super) fn unreadable_body(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// A body that is missing or `null` where the handler needs one.
    pub(super) fn null_body(call: &str, variable: &str) -> Self {
        let text = format!("Cannot invoke \"{call}\" because \"{variable}\" is null");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// A validation that gives no answer: at the validate endpoint everything is 500, with the
    /// original's exception class before the text.
    pub(super) fn failed_validation(error: &ValidationError) -> Self {
        let class = match error {
            ValidationError::NoConnectorType(_) => {
                "org.apache.kafka.connect.runtime.rest.errors.BadRequestException"
            }
            ValidationError::UnknownClass(_) => "org.apache.kafka.connect.errors.ConnectException",
            ValidationError::Unreadable(_) => "org.apache.kafka.common.config.ConfigException",
        };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{class}: {error}"))
    }

    /// Nobody knows who asks. The text and its form are those of the original's extension.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "User cannot access the resource.")
    }

    /// Whoever asks has asked too often.
    pub(super) fn too_many_requests(seconds: u64) -> Self {
        let text = format!("Too many requests: try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), typed: true, retry_after: None }
    }

    fn plain(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self {
            status,
            message: format!("HTTP {} {reason}", status.as_u16()),
            typed: false,
            retry_after: None,
        }
    }
}

impl From<HerderError> for ApiError {
    fn from(error: HerderError) -> Self {
        let status = match &error {
            HerderError::NotFound(_) => StatusCode::NOT_FOUND,
            HerderError::AlreadyExists(_) | HerderError::Conflict(_) => StatusCode::CONFLICT,
            HerderError::BadRequest(_) | HerderError::InvalidConfig { .. } => {
                StatusCode::BAD_REQUEST
            }
            HerderError::Forbidden(_) => StatusCode::FORBIDDEN,
            HerderError::Internal(cause) => {
                // The client is told what failed; its causes, which may name hosts and statements,
                // are for the log.
                tracing::error!(error = cause.trace(), "request failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status == StatusCode::UNAUTHORIZED {
            return (self.status, self.message).into_response();
        }
        if let Some(seconds) = self.retry_after {
            let mut response = Self { retry_after: None, ..self }.into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            return response;
        }
        let body = ErrorMessage { error_code: self.status.as_u16(), message: Some(self.message) };
        if self.typed {
            return (self.status, Json(body)).into_response();
        }
        let text = serde_json::to_vec(&body).expect("numbers and strings are JSON");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        response
    }
}
