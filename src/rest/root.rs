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
    answer(worker_status(&health))
}

fn answer(status: WorkerStatus) -> Response {
    match status.status {
        HEALTHY => Json(status).into_response(),
        STARTING => reply::not_ready(status),
        _ => reply::unable(status),
    }
}

const HEALTHY: &str = "healthy";
const STARTING: &str = "starting";
const UNHEALTHY: &str = "unhealthy";

fn worker_status(health: &Health) -> WorkerStatus {
    let trouble = trouble(health);
    if !health.started {
        let message = format!("Worker is still starting up.{trouble}");
        return WorkerStatus { status: STARTING, message };
    }
    if trouble.is_empty() {
        let message = "Worker has completed startup and is ready to handle requests.".to_owned();
        return WorkerStatus { status: HEALTHY, message };
    }
    let message = format!(
        "Worker was unable to handle this request and may be unable to handle other \
         requests.{trouble}"
    );
    WorkerStatus { status: UNHEALTHY, message }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_names_what_is_away() {
        let well = Health {
            started: true,
            herder_alive: true,
            database_reachable: true,
            broker_reachable: true,
        };
        let told = |health: &Health| {
            let WorkerStatus { status, message } = worker_status(health);
            (status, message)
        };
        assert_eq!(told(&well).0, "healthy");
        for (health, code) in [
            (well.clone(), 200),
            (Health { started: false, ..well.clone() }, 503),
            (Health { herder_alive: false, ..well.clone() }, 500),
            (Health { database_reachable: false, ..well.clone() }, 500),
        ] {
            assert_eq!(answer(worker_status(&health)).status(), code, "{health:?}");
        }
        assert_eq!(
            told(&Health { started: false, ..well.clone() }),
            ("starting", "Worker is still starting up.".to_owned())
        );
        let (status, message) = told(&Health { broker_reachable: false, ..well });
        assert_eq!(status, "unhealthy");
        assert!(message.ends_with("other requests. The Kafka cluster cannot be reached."));
    }
}
