//! What is decided before a handler runs, in the order of the original's web framework: method,
//! `Content-Type`, `Accept`; and the answers to OPTIONS.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;

use super::error::ApiError;

/// The resources whose requests are JSON, whatever the method.
const JSON_RESOURCES: [&str; 3] = ["/connectors", "/connector-plugins", "/admin/loggers"];
/// The resources that answer something else than JSON.
const TEXT_RESOURCES: [&str; 1] = ["/metrics"];

/// The methods of each path, as the document has them.
#[derive(Debug, Clone)]
pub(super) struct Methods(Arc<HashMap<String, Vec<Method>>>);

impl Methods {
    /// The methods of the paths of `document`.
    pub(super) fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        let methods = paths.map(|(path, item)| {
            // HEAD, POST, GET, OPTIONS is the original's order.
            let present = [
                (Method::HEAD, item.get.is_some()),
                (Method::POST, item.post.is_some()),
                (Method::GET, item.get.is_some()),
                (Method::OPTIONS, true),
                (Method::DELETE, item.delete.is_some()),
                (Method::PUT, item.put.is_some()),
                (Method::PATCH, item.patch.is_some()),
            ];
            let present = present.into_iter().filter(|(_, present)| *present);
            (path.clone(), present.map(|(method, _)| method).collect())
        });
        Self(Arc::new(methods.collect()))
    }
}

/// Answers what needs no handler; else goes on.
pub(super) async fn negotiate(
    State(methods): State<Methods>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let path = path.as_str();
    let methods = methods.0.get(path).map_or(&[][..], Vec::as_slice);
    if !methods.contains(request.method()) {
        return ApiError::method_not_allowed().into_response();
    }
    if request.method() == Method::OPTIONS {
        return options(methods, request.headers());
    }
    let json = JSON_RESOURCES.iter().any(|resource| path.starts_with(resource));
    if json && let Err(refusal) = content_type(request.headers()) {
        return refusal.into_response();
    }
    if !TEXT_RESOURCES.contains(&path) && !accepts_json(request.headers()) {
        return ApiError::not_acceptable().into_response();
    }
    next.run(request).await
}

fn options(methods: &[Method], request: &HeaderMap) -> Response {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let allow = HeaderValue::from_str(&names.join(",")).expect("method names are ASCII");
    let wants_json = request.get(ACCEPT).is_some_and(|accept| accept == "application/json");
    let (content_type, body) = match wants_json {
        true => ("application/json", String::new()),
        false => ("text/plain", names.join(", ")),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(ALLOW, allow);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A declared type has to be JSON exactly; `+json` is not.
fn content_type(request: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = request.get(CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().map_err(|_| ApiError::unreadable_header())?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    if !essence.contains('/') {
        return Err(ApiError::unreadable_header());
    }
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::unsupported_media_type());
    }
    Ok(())
}

/// Whether JSON is among what the client takes. No `Accept` takes everything.
fn accepts_json(request: &HeaderMap) -> bool {
    let mut accepts = request.get_all(ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return true;
    }
    accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(range_takes_json)
}

fn range_takes_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts
        .filter_map(|parameter| parameter.strip_prefix("q="))
        .any(|quality| quality.trim().parse::<f32>().is_ok_and(|quality| quality == 0.0));
    matches!(essence.as_str(), "application/json" | "application/*" | "*/*" | "*") && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn accept_has_to_allow_json() {
        for (accept, taken) in [
            ("application/json", true),
            ("*/*", true),
            ("text/html, application/*;q=0.5", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", true),
        ] {
            assert_eq!(accepts_json(&headers(ACCEPT, accept)), taken, "{accept}");
        }
        assert!(accepts_json(&HeaderMap::new()));
    }

    #[test]
    fn only_json_itself_is_json() {
        for (declared, fine) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.foo+json", false),
            ("text/json", false),
            ("nonsense", false),
        ] {
            assert_eq!(content_type(&headers(CONTENT_TYPE, declared)).is_ok(), fine, "{declared}");
        }
    }
}
