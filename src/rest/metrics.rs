//! `/metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Api;

/// The worker's metrics in the OpenMetrics text form.
#[utoipa::path(
    get, path = "/metrics", tag = "worker",
    responses((
        status = 200, description = "OpenMetrics text", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        example = json!("kafka_connect_source_task_source_record_poll_total{connector=\"c\",task=\"0\"} 1\n# EOF\n")
    ))
)]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    api.herder.refresh_metrics();
    ([(CONTENT_TYPE, form)], api.metrics.encode()).into_response()
}
