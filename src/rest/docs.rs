//! `/docs/`: the document as a page that a browser shows without any network beyond this worker.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::Api;
use super::error::ApiError;

/// Links of the page are relative, so that it works behind a proxy that adds a prefix; and nothing
/// outside judges the document.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new(["../openapi.json"]).validator_url("none")));

/// The page and its parts. They are not part of the API: no document has them, no JSON is asked for.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/docs", get(async || Redirect::permanent("docs/")))
        .route("/docs/", get(async || file("")))
        .route("/docs/{*file}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Response {
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            ([(CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response()
        }
        Ok(None) | Err(_) => ApiError::unknown_path().into_response(),
    }
}
