//! The REST API: Kafka Connect's, so that no client can tell.
//!
//! One file per resource of the URL tree; each handler is thin: it reads the request, asks the
//! [`Herder`] and shows the answer. What is common to all requests is decided before: trailing
//! slashes in [`conventions`], methods and types in [`negotiate`]. Only [`error`] knows
//! status codes of errors. Shapes, texts and odd corners are the original's of 3.9.

mod connectors;
mod conventions;
mod docs;
mod entity;
mod error;
mod extract;
mod headers;
mod json;
mod loggers;
mod metrics;
mod negotiate;
mod offsets;
mod openapi;
mod plugins;
mod reply;
mod root;
mod tasks;
mod topics;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use json::connector_file;
pub use openapi::document;

use crate::metrics::Metrics;
use crate::runtime::herder::Herder;
use crate::runtime::loggers::LogControl;
use error::ApiError;
use headers::AddedHeaders;
use negotiate::Methods;

/// What every handler may use.
#[derive(Debug, Clone)]
struct Api {
    herder: Herder,
    metrics: Arc<Metrics>,
    logs: LogControl,
    /// The document as `/openapi.json` answers it.
    document: Bytes,
}

/// How long requests that have begun may take once the worker stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Serves the API until `shutdown`; requests that have begun are answered, within a bound.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    herder: Herder,
    metrics: Arc<Metrics>,
    logs: LogControl,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let drained = shutdown.clone();
    let serving = axum::serve(listener, router(herder, metrics, logs))
        .with_graceful_shutdown(shutdown.cancelled_owned());
    tokio::select! {
        outcome = serving => outcome,
        () = async {
            drained.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        } => Ok(()),
    }
}

/// The API as a service.
pub fn router(herder: Herder, metrics: Arc<Metrics>, logs: LogControl) -> Router {
    let document = document();
    let methods = Methods::of(&document);
    let settings = &herder.config().settings;
    let added = AddedHeaders::of(settings);
    // Set to nothing, it takes the resources of operators away.
    let administered = settings.get("admin.listeners").is_none_or(|set| !set.trim().is_empty());
    let text = document.to_json().expect("the document is JSON").into();
    let api = Api { herder, metrics, logs, document: text };
    let (mut routes, _) = routes().split_for_parts();
    if administered {
        routes = routes.merge(admin_routes().split_for_parts().0);
    }
    let routes = routes
        .route_layer(axum::middleware::from_fn_with_state(methods, negotiate::negotiate))
        .merge(docs::routes())
        .fallback(async || ApiError::unknown_path())
        .with_state(api);
    conventions::around(routes, added)
}

/// Every path with its handlers: the one list.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(root::server_info))
        .routes(routes!(root::health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(connectors::list, connectors::create))
        .routes(routes!(connectors::get, connectors::delete))
        .routes(routes!(connectors::get_config, connectors::put_config, connectors::patch_config))
        .routes(routes!(connectors::status))
        .routes(routes!(connectors::health))
        .routes(routes!(connectors::restart))
        .routes(routes!(connectors::pause))
        .routes(routes!(connectors::resume))
        .routes(routes!(connectors::stop))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::configs))
        .routes(routes!(tasks::status))
        .routes(routes!(tasks::restart))
        .routes(routes!(topics::list))
        .routes(routes!(topics::reset))
        .routes(routes!(offsets::get, offsets::alter, offsets::reset))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::config))
        .routes(routes!(plugins::validate))
}

/// The resources of operators, which `admin.listeners` can take away.
fn admin_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(loggers::list)).routes(routes!(loggers::get, loggers::set))
}
