//! The REST API: Kafka Connect's, so that no client can tell.
//!
//! One file per resource of the URL tree; each handler is thin: it reads the request, asks the
//! [`Herder`] and shows the answer. What is common to all requests is decided before: trailing
//! slashes in [`conventions`], methods and types in [`negotiate`]. Only [`error`] knows
//! status codes of errors. Shapes, texts and odd corners are the original's of 3.9.

mod auth;
mod connectors;
mod conventions;
mod docs;
mod entity;
mod error;
mod examples;
mod extract;
mod headers;
mod history;
mod json;
mod limits;
mod listen;
mod loggers;
mod metrics;
mod negotiate;
mod offsets;
mod openapi;
mod plugins;
mod reply;
mod root;
mod tasks;
mod tls;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use json::connector_file;
pub use listen::{Bound, bind};
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

/// Serves the API on what was bound until `shutdown`; requests that have begun are answered, within
/// a bound.
pub async fn serve(
    bound: Bound,
    herder: Herder,
    metrics: Arc<Metrics>,
    logs: LogControl,
    shutdown: CancellationToken,
) {
    herder.follow_log_levels(logs.clone());
    let gate = bound.gate;
    let document = document();
    let methods = Methods::of(&document);
    let added = Arc::new(AddedHeaders::of(&herder.config().settings));
    let text = document.to_json().expect("the document is JSON").into();
    let api = Api { herder, metrics, logs, document: text };
    let finish = |resources: OpenApiRouter<Api>, pages: Router<Api>| {
        let routes = resources
            .split_for_parts()
            .0
            .route_layer(axum::middleware::from_fn_with_state(
                methods.clone(),
                negotiate::negotiate,
            ))
            .route_layer(axum::middleware::from_fn_with_state(gate.clone(), auth::guard))
            .merge(pages)
            .fallback(async || ApiError::unknown_path())
            .with_state(api.clone());
        conventions::around(routes, Arc::clone(&added))
    };
    let mut groups = Vec::new();
    match bound.admin {
        None => groups.push((bound.api, finish(routes().merge(admin_routes()), docs::routes()))),
        Some(admin) => {
            groups.push((bound.api, finish(routes(), docs::routes())));
            groups.push((admin, finish(admin_routes(), Router::new())));
        }
    }
    listen::serve(groups, shutdown).await;
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
        .routes(routes!(history::of_connector))
        .routes(routes!(history::rollback))
        .routes(routes!(history::audit))
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
