//! `/` and `/health` (KIP-1017).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::entity::{ServerInfo, WorkerStatus};
use super::{Api, reply};
use crate::runtime::herder::Health;

/// The release of Kafka Connect whose API this is. Additions of 4.x that take nothing away are on.
const VERSION: &str = "3.9.1";

/// What answers here.
#[utoipa::path(
    get, path = "/", tag = "worker",
    responses((status = 200, description = "The version and the cluster", body = ServerInfo))
)]
pub(super) async fn server_info(State(api): State<Api>) -> Json<ServerInfo> {
    let kafka_cluster_id = api.herder.cluster_id().await;
    Json(ServerInfo { version: VERSION, commit: "unknown", kafka_cluster_id })
}

/// Whether the worker can do its work.
#[utoipa::path(
    get, path = "/health", tag = "worker",
    responses(
        (status = 200, description = "It can", body = WorkerStatus),
        (status = 500, description = "It cannot", body = WorkerStatus),
        (status = 503, description = "Not yet", body = WorkerStatus),
    )
)]
pub(super) async fn health(State(api): State<Api>) -> Response {
    let health = api.herder.health().await;
    let trouble = trouble(&health);
    if !health.started {
        let message = format!("Worker is still starting up.{trouble}");
        return reply::not_ready(WorkerStatus { status: "starting", message });
    }
    if trouble.is_empty() {
        let message = "Worker has completed startup and is ready to handle requests.".to_owned();
        return Json(WorkerStatus { status: "healthy", message }).into_response();
    }
    let message = format!(
        "Worker was unable to handle this request and may be unable to handle other \
         requests.{trouble}"
    );
    reply::unable(WorkerStatus { status: "unhealthy", message })
}

/// What is wrong, a sentence each, where the original names the stage in which it hangs.
fn trouble(health: &Health) -> String {
    let Health { started: _, herder_alive, database_reachable, broker_reachable } = *health;
    let mut text = String::new();
    for (fine, sentence) in [
        (herder_alive, " The herder does not answer."),
        (database_reachable, " The state database cannot be reached."),
        (broker_reachable, " The Kafka cluster cannot be reached."),
    ] {
        if !fine {
            text.push_str(sentence);
        }
    }
    text
}
