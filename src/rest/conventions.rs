//! What holds for every request and answer, known path or not.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::ALLOW;
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::error::ApiError;
use super::headers::{AddedHeaders, CrossOrigin};

/// The original's request timeout.
const REQUEST_MAX: Duration = Duration::from_secs(90);

#[derive(Debug, Clone)]
struct Inside {
    routes: Router,
    headers: Arc<AddedHeaders>,
    request_max: Duration,
}

/// Wraps the routes.
pub(super) fn around(routes: Router, headers: Arc<AddedHeaders>) -> Router {
    bounded(routes, headers, REQUEST_MAX)
}

fn bounded(routes: Router, headers: Arc<AddedHeaders>, request_max: Duration) -> Router {
    let inside = Inside { routes, headers, request_max };
    Router::new().fallback(conventional).with_state(inside)
}

async fn conventional(
    State(Inside { routes, headers, request_max }): State<Inside>,
    mut request: Request,
) -> Response {
    let cross_origin = CrossOrigin::of(request.method(), request.headers());
    if let Some(shorter) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = shorter;
    }
    let mut response = match tokio::time::timeout(request_max, routes.oneshot(request)).await {
        Ok(response) => response.into_response(),
        Err(_elapsed) => ApiError::timed_out().into_response(),
    };
    // The original's 405 does not say what is allowed; axum's would.
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().remove(ALLOW);
    }
    headers.add(cross_origin.as_ref(), response.headers_mut());
    response
}

/// The same address without the slash at the end of its path, if it has one.
fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    // Relative links of the page need the slash.
    let path = uri.path().strip_suffix('/').filter(|path| !matches!(*path, "" | "/" | "/docs"))?;
    let shorter = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(shorter).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_is_stuck_is_answered() {
        let stuck = Router::new()
            .route("/stuck", axum::routing::get(async || std::future::pending::<&str>().await));
        let routes = bounded(stuck, Arc::default(), Duration::from_millis(20));
        let request = Request::get("/stuck/").body(axum::body::Body::empty()).unwrap();
        let answer = routes.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
        assert_eq!(&body[..], b"{\"error_code\":500,\"message\":\"Request timed out\"}");
    }

    #[test]
    fn one_trailing_slash_is_dropped() {
        for (uri, expected) in [
            ("/", None),
            ("//", None),
            ("/connectors", None),
            ("/connectors/", Some("/connectors")),
            ("/connectors/?expand=info/", Some("/connectors?expand=info/")),
            ("/docs/", None),
            ("/connectors/a%2F/", Some("/connectors/a%2F")),
        ] {
            let shorter = without_trailing_slash(&uri.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(shorter.as_deref(), expected, "{uri}");
        }
    }
}
