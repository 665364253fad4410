//! Answers that succeed with something else than 200.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::extract::BaseUrl;

/// What stands as it is in the path of a URI (RFC 3986, `pchar`); `/` too, as in the original.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// 201 with the connector's absolute address, host and port as the client called them.
pub(super) fn created(base: &BaseUrl, name: &str, entity: impl Serialize) -> Response {
    let BaseUrl(base) = base;
    let location = format!("{base}/connectors/{}", utf8_percent_encode(name, KEPT));
    let mut response = (StatusCode::CREATED, Json(entity)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// 202 without a body: it will happen.
pub(super) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// 202 with what will happen.
pub(super) fn accepted_as(entity: impl Serialize) -> Response {
    (StatusCode::ACCEPTED, Json(entity)).into_response()
}

/// 204: done, nothing to say.
pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// 503: not yet.
pub(super) fn not_ready(entity: impl Serialize) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(entity)).into_response()
}

/// 500 with an entity that says why.
pub(super) fn unable(entity: impl Serialize) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(entity)).into_response()
}
